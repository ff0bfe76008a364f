"""Storage that takes every request and answers none."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from local.launcher.azurite import StoragePorts


@asynccontextmanager
async def hanging_storage() -> AsyncIterator[str]:
    """Its connection string."""
    connections: set[asyncio.StreamWriter] = set()

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.add(writer)
        while await reader.read(65536):
            continue
        writer.close()

    server = await asyncio.start_server(take, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    try:
        yield StoragePorts(port, port, port).connection_string()
    finally:
        server.close()
        for each in connections:
            each.close()
