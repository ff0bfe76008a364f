"""Azure Table storage: point reads, range reads and entity group transactions, and nothing else.

Reached by a connection string, or by the app's managed identity. There is no way to scan a table.
"""

import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from azure.core import MatchConditions
from azure.core.exceptions import (
    HttpResponseError,
    ResourceExistsError,
    ResourceNotFoundError,
    ServiceRequestError,
    ServiceResponseError,
)
from azure.data.tables import UpdateMode
from azure.data.tables.aio import TableClient, TableServiceClient

from shared.config import Settings
from shared.errors import Contended, StorageAway
from shared.storage.rows import TRANSACTION_LIMIT, Delete, Insert, Merge, Put, Row, Write

TIMEOUTS: dict[str, Any] = {
    "connection_timeout": 5,
    "read_timeout": 10,
    "retry_total": 2,
    "retry_backoff_factor": 0.2,
    "use_env_settings": False,
}
"""Seconds, and the SDK's own retries: a write that landed and is repeated fails as Contended, never twice.

With use_env_settings aiohttp looks for a .netrc before each request, in a thread: that costs as much again.
"""

_CONTENDED = {
    "EntityAlreadyExists",
    "UpdateConditionNotSatisfied",
    "ConditionNotMet",
    "ResourceNotFound",
    "EntityNotFound",
}

# At INFO it logs every request's URL, in which a recipient's number may stand.
logging.getLogger("azure").setLevel(logging.WARNING)


class Table:
    """One table. Made on first use, so that a new storage account needs no set-up."""

    def __init__(self, client: TableClient) -> None:
        self._client = client

    async def get(self, partition: str, key: str) -> Row | None:
        """The row, or None."""
        try:
            async with _translated():
                entity = await self._client.get_entity(partition, key)
        except ResourceNotFoundError:
            return None
        return _row(entity)

    async def read(
        self,
        partition: str,
        low: str,
        high: str,
        *,
        limit: int,
        select: Sequence[str] = (),
    ) -> list[Row]:
        """At most `limit` rows with low < key < high in the order of their keys.

        select: the columns wanted, or all of them.
        """
        rows: list[Row] = []
        found = self._client.query_entities(
            "PartitionKey eq @partition and RowKey gt @low and RowKey lt @high",
            parameters={"partition": partition, "low": low, "high": high},
            results_per_page=min(limit, 1000),
            select=["PartitionKey", "RowKey", *select] if select else None,
        )
        try:
            async with _translated():
                async for entity in found:
                    rows.append(_row(entity))
                    if len(rows) == limit:
                        break
        except ResourceNotFoundError:
            return []
        return rows

    async def commit(self, partition: str, writes: Sequence[Write]) -> list[str]:
        """Make up to 100 writes in one partition, all of them or none; the new etags, in order.

        Raises Contended where a row was not as a write expects it.
        """
        if len(writes) > TRANSACTION_LIMIT:
            raise ValueError(f"{len(writes)} writes in a transaction of at most {TRANSACTION_LIMIT}")
        operations = [_operation(partition, write) for write in writes]
        try:
            async with _translated():
                results = await self._client.submit_transaction(operations)
        except HttpResponseError as exc:
            code = _code(exc)
            if code == "TableNotFound":
                await self._create()
                return await self.commit(partition, writes)
            if code in _CONTENDED:
                raise Contended(f"{code} in {self._client.table_name}") from exc
            raise
        return [result.get("etag", "") for result in results]

    async def _create(self) -> None:
        try:
            async with _translated():
                await self._client.create_table()
        except ResourceExistsError:
            pass


class Tables:
    """The storage account's tables, over one connection pool."""

    def __init__(self, service: TableServiceClient, credential: Any = None) -> None:
        self._service = service
        self._credential = credential

    @classmethod
    def connect(cls, settings: Settings) -> "Tables":
        """With the connection string where there is one, else as the app's identity."""
        if settings.storage:
            return cls(TableServiceClient.from_connection_string(settings.storage, **TIMEOUTS))
        credential = identity(settings)
        endpoint = f"https://{settings.storage_account}.table.core.windows.net"
        return cls(TableServiceClient(endpoint, credential=credential, **TIMEOUTS), credential)

    def table(self, name: str) -> Table:
        """A table by name, whether or not it exists yet."""
        return Table(self._service.get_table_client(name))

    async def close(self) -> None:
        """Close the connections."""
        await self._service.close()
        if self._credential:
            await self._credential.close()


def identity(settings: Settings) -> Any:
    """The app's managed identity, as an async credential."""
    from azure.identity.aio import ManagedIdentityCredential

    return ManagedIdentityCredential(client_id=settings.storage_client_id)


def _row(entity: Mapping[str, Any]) -> Row:
    values = {name: value for name, value in entity.items() if name not in ("PartitionKey", "RowKey")}
    return Row(entity["RowKey"], values, entity.metadata["etag"])  # type: ignore[attr-defined]


def _operation(partition: str, write: Write) -> Any:
    entity = {"PartitionKey": partition, "RowKey": write.key, **getattr(write, "values", {})}
    match write:
        case Insert():
            return ("create", entity)
        case Put(etag=None):
            return ("upsert", entity, {"mode": UpdateMode.REPLACE})
        case Put(etag=etag):
            condition = {"etag": etag, "match_condition": MatchConditions.IfNotModified}
            return ("update", entity, {"mode": UpdateMode.REPLACE, **condition})
        case Merge(etag=None):
            return ("update", entity, {"mode": UpdateMode.MERGE})
        case Merge(etag=etag):
            condition = {"etag": etag, "match_condition": MatchConditions.IfNotModified}
            return ("update", entity, {"mode": UpdateMode.MERGE, **condition})
        case Delete(etag=None):
            return ("delete", entity)
        case Delete(etag=etag):
            return ("delete", entity, {"etag": etag, "match_condition": MatchConditions.IfNotModified})


def _code(exc: HttpResponseError) -> str:
    code = getattr(exc, "error_code", None)
    return str(getattr(code, "value", code or ""))


@asynccontextmanager
async def _translated() -> AsyncIterator[None]:
    """Connection trouble, 5xx and a role that is not yet there become StorageAway: try again later."""
    try:
        yield
    except (ServiceRequestError, ServiceResponseError) as exc:
        raise StorageAway("table storage does not answer") from exc
    except HttpResponseError as exc:
        if exc.status_code and (exc.status_code >= 500 or exc.status_code in (401, 403, 408, 429)):
            raise StorageAway(f"table storage answered {exc.status_code}") from exc
        raise
