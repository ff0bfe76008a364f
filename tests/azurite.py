"""Real storage for the tests: one Azurite for the session, a fresh account for each test that asks."""

import asyncio
import itertools
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from azure.storage.blob import ResourceTypes, Services, generate_account_sas
from azure.storage.queue import QueueClient

from local.launcher import azurite, ports
from local.launcher.orphans import adopted

_ACCOUNTS = tuple(f"account{number:03}" for number in range(400))


@dataclass(frozen=True)
class Azurite:
    """A running Azurite. connection_string: its default account, shared by the whole session."""

    ports: azurite.StoragePorts
    connection_string: str
    _accounts: Iterator[str] = field(default_factory=lambda: iter(_ACCOUNTS))
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def fresh_account(self) -> str:
        """The connection string of an account that nobody has used: no tables, queues or blobs."""
        return self.ports.connection_string(next(self._accounts))

    def fresh_name(self, prefix: str = "t") -> str:
        """A name that no table, queue or container has yet."""
        return f"{prefix}{next(self._numbers):05}"


def signed(connection: str, permission: str, *, queues: bool = True) -> str:
    """A connection string for these rights (read, write, delete, list, add, create, update, process) alone.

    queues: to queues as well as to blobs.
    """
    known = dict(each.split("=", 1) for each in connection.split(";") if each)
    signature = generate_account_sas(
        known["AccountName"],
        known["AccountKey"],
        ResourceTypes(service=True, container=True, object=True),
        permission,
        datetime.now(UTC) + timedelta(hours=1),
        services=Services(blob=True, queue=queues),
        protocol="https,http",
    )
    endpoints = [f"{name}={value}" for name, value in known.items() if name.endswith("Endpoint")]
    return ";".join([*endpoints, f"SharedAccessSignature={signature}"])


def make_queues(connection: str, *names: str) -> None:
    """The queues that an app's triggers listen to: the host makes none."""
    for name in names:
        with QueueClient.from_connection_string(connection, name) as queue:
            queue.create_queue()


@contextmanager
def running_azurite() -> Iterator[Azurite]:
    where = azurite.StoragePorts(*ports.free_ports(3))
    process = subprocess.Popen(
        azurite.command(where, folder=None),
        env={**os.environ, "AZURITE_ACCOUNTS": azurite.accounts((azurite.ACCOUNT, *_ACCOUNTS))},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    with adopted(process.pid):
        try:
            asyncio.run(_ready(process, where))
            yield Azurite(where, where.connection_string())
        finally:
            process.terminate()
            process.communicate(timeout=30)


async def _ready(process: subprocess.Popen[bytes], where: azurite.StoragePorts) -> None:
    async with asyncio.timeout(60):
        waiting = asyncio.gather(*(ports.listening(port) for port in where.all()))
        while not waiting.done():
            await asyncio.wait([waiting], timeout=0.2)
            if process.poll() is not None:
                output = process.stdout.read().decode() if process.stdout else ""
                raise RuntimeError(f"Azurite ended with {process.returncode}: {output}")
