"""TCP ports on this machine."""

import asyncio
import socket


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on just now."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


def free_port_run(count: int) -> int:
    """The first of `count` ports in a row that nobody listens on just now."""
    while True:
        first = free_ports(1)[0]
        if first + count < 65_536 and not any(is_taken(first + more) for more in range(count)):
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
