"""Replays the transcripts of documents with the Python MCP client, in each protocol era and over each transport.

    python transcript.py SERVER DOCUMENT...

SERVER is the program mcp-pg-server. A call in a document is a block of `js`, its reply the block of `json` after it;
"…" in a reply stands for what is left out, and moments are any. Ends with 1 at the first reply that is another.
"""

import asyncio
import contextlib
import json
import os
import re
import sys
import tempfile

from mcp import Client, StdioServerParameters, stdio_client

ERAS = {"initialize": "legacy", "discover": "2026-07-28"}
EXCHANGE = re.compile(r"^```js\n(\w+)\((.*?)\)\n```\n```json\n(.*?)\n```$", re.MULTILINE | re.DOTALL)
MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
MORE = "…"


def exchanges(text):
    found = EXCHANGE.findall(text)
    return [(tool, json.loads(arguments), json.loads(reply)) for tool, arguments, reply in found]


def read(path):
    with open(path, encoding="utf-8") as document:
        text = document.read()
    if not exchanges(text):
        sys.exit(f"{path}: no exchanges")
    return text


def matches(shown, real):
    if shown == MORE:
        return True
    if isinstance(shown, str) and isinstance(real, str):
        return shown == real or bool(MOMENT.fullmatch(shown) and MOMENT.fullmatch(real))
    if isinstance(shown, list) and isinstance(real, list):
        cut = shown[-1:] == [MORE]
        first = shown[:-1] if cut else shown
        enough = len(first) <= len(real) if cut else len(first) == len(real)
        return enough and all(map(matches, first, real))
    if isinstance(shown, dict) and isinstance(real, dict):
        named = {key: value for key, value in shown.items() if key != MORE}
        whole = len(named) == len(shown)
        return (not whole or len(named) == len(real)) and all(
            key in real and matches(value, real[key]) for key, value in named.items()
        )
    return shown == real


@contextlib.asynccontextmanager
async def stdio(server):
    arguments = ["stdio", "--demo=shop", "--role", "operator"]
    # The client passes on only a few variables; where PostgreSQL is may be said in one of ours.
    parameters = StdioServerParameters(command=server, args=arguments, env=dict(os.environ))
    yield stdio_client(parameters)


@contextlib.asynccontextmanager
async def http(server):
    with tempfile.NamedTemporaryFile("w", suffix=".toml") as config:
        config.write('default_role = "operator"\n')
        config.flush()
        arguments = ["http", "--listen", "127.0.0.1:0", "--demo=shop", "--config", config.name]
        async with served([server, *arguments]) as url:
            yield url


@contextlib.asynccontextmanager
async def served(command):
    """The URL at which a program serves MCP."""
    process = await asyncio.create_subprocess_exec(*command, stderr=asyncio.subprocess.PIPE)
    try:
        while True:
            line = (await process.stderr.readline()).decode()
            if not line:
                sys.exit("the server ended before it listened")
            if "listening on " in line:
                break
        yield line.split("listening on ")[1].strip()
    finally:
        process.terminate()
        await process.wait()


async def replay(target, mode, name, text):
    """Calls what the text shows, and gives the protocol's version; ends this at the first other reply."""
    async with Client(target, mode=mode) as client:
        tools = {tool.name for tool in (await client.list_tools()).tools}
        for tool, arguments, shown in exchanges(text):
            if tool not in tools:
                sys.exit(f"{name}: {tool} is not in the list of tools")
            # The client checks the structured content against the tool's output schema.
            result = await client.call_tool(tool, arguments)
            real = result.structured_content
            if not matches(shown, real):
                sys.exit(f"{name}: {tool}({arguments}) answers\n{json.dumps(real, indent=2)}")
            if result.is_error != ("error" in real) or json.loads(result.content[0].text) != real:
                sys.exit(f"{name}: {tool}({arguments}): text, structure and isError disagree")
        return client.protocol_version


async def main():
    server, *documents = sys.argv[1:]
    for document in documents:
        for transport in (stdio, http):
            for era, mode in ERAS.items():
                async with transport(server) as target:
                    version = await replay(target, mode, document, read(document))
                print(f"{document}: {transport.__name__}, {era}: as shown ({version})", flush=True)


if __name__ == "__main__":
    asyncio.run(main())
