"""TCP ports on this machine."""

import asyncio
import random
import socket

# Below what Linux (32768) and macOS (49152) hand out to outgoing connections, which come and go.
_LOWEST, _HIGHEST = 15_000, 32_000


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on just now, and that no outgoing connection will take."""
    found: set[int] = set()
    while len(found) < count:
        port = random.randrange(_LOWEST, _HIGHEST)
        if not is_taken(port):
            found.add(port)
    return sorted(found)


def free_port_run(count: int) -> int:
    """The first of `count` such ports in a row."""
    while True:
        first = random.randrange(_LOWEST, _HIGHEST)
        if not any(is_taken(first + more) for more in range(count)):
            return first


def is_taken(port: int) -> bool:
    """Would listening on 127.0.0.1 fail?"""
    with socket.socket() as probe:
        # As servers do: a port in TIME_WAIT is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return True
        return False


async def listening(port: int) -> None:
    """Return as soon as something accepts connections there; the caller sets the time limit."""
    while True:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(0.02)
        else:
            writer.close()
            return
