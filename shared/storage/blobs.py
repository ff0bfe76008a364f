"""Files in blob storage. A file is written once, read and removed; it is replaced where someone is erased."""

import hashlib
from dataclasses import dataclass
from typing import IO, Any

from azure.core import MatchConditions
from azure.core.exceptions import ResourceExistsError, ResourceModifiedError, ResourceNotFoundError
from azure.storage.blob.aio import BlobServiceClient

from shared.config import Settings
from shared.errors import Contended, NotFound, StorageAway
from shared.storage.tables import TIMEOUTS, error_code, identity, translated

# The blob SDK has a retry policy of its own. By default it waits 15 seconds before its first retry, and then
# longer. These retries wait for at most two seconds each.
RETRIES = {**TIMEOUTS, "retry_total": 2, "initial_backoff": 0, "increment_base": 1, "random_jitter_range": 1}
# By default the SDK fetches the first 32 MB of a file in one request, into memory.
PIECE = 1024 * 1024
BLOBS = "blob storage"
OPTIONS: dict[str, Any] = {**RETRIES, "max_single_get_size": PIECE, "max_chunk_get_size": PIECE}


@dataclass(frozen=True, slots=True)
class Version:
    """A file as it was read. digest: SHA-256, in hexadecimal digits."""

    digest: str
    etag: str


class Blobs:
    """One container, made on first use."""

    def __init__(self, settings: Settings, container: str) -> None:
        self._credential = None if settings.storage else identity(settings)
        if settings.storage:
            self._service = BlobServiceClient.from_connection_string(settings.storage, **OPTIONS)
        else:
            endpoint = f"https://{settings.storage_account}.blob.core.windows.net"
            self._service = BlobServiceClient(endpoint, credential=self._credential, **OPTIONS)
        self._container = self._service.get_container_client(container)

    async def write(self, name: str, data: bytes) -> None:
        """Write a file under a new name. A file that is there already stays as it is."""
        try:
            await self._upload(name, data)
        except ResourceNotFoundError:
            await self._create()
            await self._upload(name, data)

    async def replace(self, name: str, file: IO[bytes], etag: str) -> None:
        """Write another file in the place of one that is there. Raises Contended where that has changed."""
        file.seek(0)
        unchanged: dict[str, Any] = {"etag": etag, "match_condition": MatchConditions.IfNotModified}
        try:
            async with translated(BLOBS):
                await self._container.upload_blob(name, file, overwrite=True, **unchanged)
        except (ResourceModifiedError, ResourceNotFoundError) as exc:
            raise Contended(f"the file {name} has changed") from exc

    async def read(self, name: str, into: IO[bytes]) -> Version:
        """Copy a file into an open one, a piece at a time. Raises NotFound."""
        digest = hashlib.sha256()
        try:
            async with translated(BLOBS):
                stream = await self._container.download_blob(name)
                async for piece in stream.chunks():
                    digest.update(piece)
                    into.write(piece)
        except ResourceNotFoundError as exc:
            raise NotFound(f"there is no file {name}") from exc
        return Version(digest.hexdigest(), stream.properties.etag)

    async def remove(self, name: str) -> None:
        """Remove a file, if it is there."""
        try:
            async with translated(BLOBS):
                await self._container.delete_blob(name)
        except ResourceNotFoundError:
            return

    async def close(self) -> None:
        """Close the connections."""
        await self._service.close()
        if self._credential:
            await self._credential.close()

    async def _upload(self, name: str, data: bytes) -> None:
        try:
            async with translated(BLOBS):
                await self._container.upload_blob(name, data)
        except ResourceExistsError as exc:
            _raise_if_being_deleted(exc)

    async def _create(self) -> None:
        try:
            async with translated(BLOBS):
                await self._container.create_container()
        except ResourceExistsError as exc:
            _raise_if_being_deleted(exc)


def _raise_if_being_deleted(exc: ResourceExistsError) -> None:
    """The SDK gives the same error for a container that storage still deletes: nothing can be written yet."""
    if error_code(exc) == "ContainerBeingDeleted":
        raise StorageAway(f"{BLOBS} still deletes the container") from exc
