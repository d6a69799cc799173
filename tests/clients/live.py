"""Changes a database under live clients of the Python package, in each protocol era, and hears of it: over stdio, and in
the newer era over HTTP, where the older one is told nothing.

    python live.py SERVER DATABASE

SERVER is the program mcp-pg-server, DATABASE the program test-database, which gives a throw-away PostgreSQL. Ends with 1
if a client is not told within twenty seconds.
"""

import asyncio
import json
import os
import subprocess
import sys

from mcp import Client, StdioServerParameters, stdio_client
from transcript import ERAS, served

ORDERS = "postgresql://schema/orders"


class Database:
    """A PostgreSQL that is gone when this ends."""

    def __init__(self, program):
        pipe = subprocess.PIPE
        self.process = subprocess.Popen([program], stdin=pipe, stdout=pipe, text=True)
        self.url = self.process.stdout.readline().strip()

    def sql(self, text):
        self.process.stdin.write(json.dumps(text) + "\n")
        self.process.stdin.flush()
        assert self.process.stdout.readline() == "ok\n", text

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def triggers(server):
    printed = subprocess.run([server, "setup-sql", "--notify", "orders"], capture_output=True, text=True, check=True)
    # What comes before makes a login.
    return printed.stdout[printed.stdout.index("-- Tells running servers of changes") :]


class Ear:
    """What a client was told."""

    def __init__(self):
        self.heard = asyncio.Queue()

    async def message(self, message):
        method = getattr(message, "method", None) or getattr(getattr(message, "root", None), "method", None)
        if method:
            uri = getattr(getattr(message, "params", None), "uri", None)
            self.heard.put_nowait((method.removeprefix("notifications/"), uri and str(uri)))

    def event(self, event):
        names = {
            "ToolsListChanged": "tools/list_changed",
            "ResourcesListChanged": "resources/list_changed",
            "ResourceUpdated": "resources/updated",
        }
        self.heard.put_nowait((names[type(event).__name__], getattr(event, "uri", None)))

    async def hear(self, *expected):
        missing = set(expected)
        async with asyncio.timeout(20):
            while missing:
                missing.discard(await self.heard.get())


async def changes(client, ear, database):
    """What every client sees, whichever way it listens."""
    tables = {"detail": "names"}
    before = (await client.call_tool("list_tables", tables)).structured_content["tables"]
    assert before == ["orders"], before
    database.sql("CREATE TABLE gifts (id integer PRIMARY KEY)")
    await ear.hear(("tools/list_changed", None), ("resources/list_changed", None))
    after = (await client.call_tool("list_tables", tables)).structured_content["tables"]
    assert after == ["gifts", "orders"], after
    tools = {tool.name: tool for tool in (await client.list_tools()).tools}
    assert "gifts" in tools["select"].input_schema["properties"]["table"]["enum"]
    database.sql("INSERT INTO orders VALUES (DEFAULT, 'a secret')")
    await ear.hear(("resources/updated", ORDERS))
    database.sql("DROP TABLE gifts")
    await ear.hear(("tools/list_changed", None))


async def listening(client, ear, database):
    """The same for one that opens a stream."""
    async with client.listen(
        tools_list_changed=True, resources_list_changed=True, resource_subscriptions=[ORDERS]
    ) as stream:

        async def listen():
            async for event in stream:
                ear.event(event)

        task = asyncio.create_task(listen())
        await changes(client, ear, database)
        task.cancel()


async def main(server, database):
    database.sql("CREATE TABLE orders (id serial PRIMARY KEY, note text);" + triggers(server))
    arguments = ["--database-url", database.url]
    for era, mode in ERAS.items():
        ear = Ear()
        parameters = StdioServerParameters(command=server, args=["stdio", *arguments], env=dict(os.environ))
        async with Client(stdio_client(parameters), mode=mode, message_handler=ear.message) as client:
            if era == "initialize":
                await client.subscribe_resource(ORDERS)
                await changes(client, ear, database)
            else:
                await listening(client, ear, database)
            print(f"live, stdio, {era}: told of tables, tools and rows ({client.protocol_version})", flush=True)
    async with served([server, "http", "--listen", "127.0.0.1:0", *arguments]) as url:
        async with Client(url, mode=ERAS["discover"]) as client:
            await listening(client, Ear(), database)
            print(f"live, http, discover: told of tables, tools and rows ({client.protocol_version})", flush=True)


if __name__ == "__main__":
    postgresql = Database(sys.argv[2])
    try:
        asyncio.run(main(sys.argv[1], postgresql))
    finally:
        postgresql.close()
