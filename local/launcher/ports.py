"""TCP ports on this machine."""

import asyncio
import random
import socket

# Below the ports that Linux (from 32768) and macOS (from 49152) give to outgoing connections.
_LOWEST, _HIGHEST = 15_000, 32_000


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on now, and that no outgoing connection gets."""
    found: set[int] = set()
    while len(found) < count:
        port = random.randrange(_LOWEST, _HIGHEST)
        if not is_taken(port):
            found.add(port)
    return sorted(found)


def free_port_run(count: int) -> int:
    """The first of `count` free ports in a row."""
    while True:
        first = random.randrange(_LOWEST, _HIGHEST)
        if not any(is_taken(first + more) for more in range(count)):
            return first


def is_taken(port: int) -> bool:
    """Whether listening on this port of 127.0.0.1 would fail."""
    with socket.socket() as probe:
        # Servers do the same, so a port in TIME_WAIT counts as free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return True
        return False


async def listening(port: int) -> None:
    """Return as soon as something accepts connections on this port. The caller sets the time limit."""
    while True:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(0.02)
        else:
            writer.close()
            return
