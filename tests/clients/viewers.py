"""Replays the movie example as each of its viewers with the Python MCP client, in each protocol era.

    python viewers.py EXAMPLE DOCUMENT

EXAMPLE is the program example-imdb. A section of the document names its viewer: `--claims '…'` over stdio, and
`Bearer …` over HTTP. Ends with 1 at the first reply that is another.
"""

import asyncio
import contextlib
import os
import re
import sys

from mcp import StdioServerParameters, stdio_client
from mcp.client.streamable_http import create_mcp_http_client, streamable_http_client
from transcript import ERAS, read, replay, served

VIEWER = re.compile(r"^## (.*?)\n.*?--claims '(.*?)'.*?Bearer ([\w-]+)", re.MULTILINE | re.DOTALL)


@contextlib.asynccontextmanager
async def as_bearer(url, key):
    async with create_mcp_http_client(headers={"Authorization": f"Bearer {key}"}) as http:
        yield streamable_http_client(url, http_client=http)


async def main(example, document):
    sections = [section for section in re.split(r"(?m)^(?=## )", read(document)) if VIEWER.match(section)]
    if len(sections) != 3:
        sys.exit(f"{document}: {len(sections)} viewers")
    async with served([example, "demo", "http", "--listen", "127.0.0.1:0"]) as url:
        for section in sections:
            viewer, claims, key = VIEWER.match(section).groups()
            for era, mode in ERAS.items():
                arguments = ["demo", "stdio", "--claims", claims]
                stdio = StdioServerParameters(command=example, args=arguments, env=dict(os.environ))
                version = await replay(stdio_client(stdio), mode, viewer, section)
                async with as_bearer(url, key) as target:
                    await replay(target, mode, viewer, section)
                print(f"{viewer}: stdio and http, {era}: as shown ({version})", flush=True)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
