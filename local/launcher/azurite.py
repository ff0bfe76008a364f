"""The storage of the laptop edition: Azurite, Microsoft's emulator, from npm."""

import base64
import os
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from shared.config import AZURITE

ACCOUNT = "devstoreaccount1"
KEY = next(part for part in AZURITE.split(";") if part.startswith("AccountKey=")).removeprefix("AccountKey=")
PROGRAM = Path(__file__).parents[2] / "node_modules" / ".bin" / "azurite"
_KEEP_ALIVE = "120"
"""Seconds. Azurite's own 5 are fewer than aiohttp's 15, after which a client lets go of an idle connection.
Now and then a request met one that Azurite was about to close, and failed with "Server disconnected"."""


@dataclass(frozen=True, slots=True)
class StoragePorts:
    """The ports of Azurite on 127.0.0.1."""

    blob: int
    queue: int
    table: int

    @classmethod
    def starting_at(cls, first: int) -> "StoragePorts":
        return cls(first, first + 1, first + 2)

    def all(self) -> tuple[int, int, int]:
        return (self.blob, self.queue, self.table)

    def connection_string(self, account: str = ACCOUNT, key: str = KEY) -> str:
        """The connection string, for AzureWebJobsStorage and for every storage SDK."""
        return (
            f"DefaultEndpointsProtocol=http;AccountName={account};AccountKey={key};"
            f"BlobEndpoint=http://127.0.0.1:{self.blob}/{account};"
            f"QueueEndpoint=http://127.0.0.1:{self.queue}/{account};"
            f"TableEndpoint=http://127.0.0.1:{self.table}/{account};"
        )


def command(ports: StoragePorts, folder: Path | None) -> list[str]:
    """The command line of Azurite. Without a folder, it keeps everything in memory.

    --skipApiVersionCheck: azure-storage-queue and -blob use a newer REST version than Azurite knows.
    """
    where = ["--location", str(folder)] if folder else ["--inMemoryPersistence"]
    return [
        str(PROGRAM),
        *where,
        "--silent",
        "--disableTelemetry",
        "--skipApiVersionCheck",
        *("--blobKeepAliveTimeout", _KEEP_ALIVE, "--queueKeepAliveTimeout", _KEEP_ALIVE),
        *("--tableKeepAliveTimeout", _KEEP_ALIVE),
        *("--blobHost", "127.0.0.1", "--blobPort", str(ports.blob)),
        *("--queueHost", "127.0.0.1", "--queuePort", str(ports.queue)),
        *("--tableHost", "127.0.0.1", "--tablePort", str(ports.table)),
    ]


def accounts(names: Sequence[str], key: str = KEY) -> str:
    """The value of AZURITE_ACCOUNTS for these account names, all with the same key."""
    return ";".join(f"{name}:{key}" for name in names)


def own_key(folder: Path) -> str:
    """A secret storage key, kept in a file of this folder that only the owner can read.

    Azurite does not check the Host header, and everybody knows its usual key. With that key, any page in the
    developer's browser could put a call onto the queue, and the call would reach a real Twilio account.
    """
    path = folder / "azurite.key"
    folder.mkdir(parents=True, exist_ok=True)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        path.chmod(0o600)
        return path.read_text()
    key = base64.b64encode(secrets.token_bytes(64)).decode()
    with os.fdopen(descriptor, "w") as file:
        file.write(key)
    return key
