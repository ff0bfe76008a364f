"""Azure Table storage: point reads, range reads and entity group transactions. Nothing scans a table.

The app connects by a connection string, or by its managed identity. Layout guards every table.
"""

import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from azure.core import MatchConditions
from azure.core.exceptions import AzureError, HttpResponseError, ResourceExistsError, ResourceNotFoundError
from azure.data.tables import UpdateMode
from azure.data.tables.aio import TableClient, TableServiceClient

from shared.config import Settings
from shared.errors import Contended, StorageAway
from shared.storage.batching import Batches
from shared.storage.layout import Layout
from shared.storage.rows import TRANSACTION_LIMIT, Delete, Insert, Merge, Put, Row, Write

TIMEOUTS: dict[str, Any] = {
    "connection_timeout": 5,
    "read_timeout": 10,
    "retry_total": 2,
    "retry_backoff_factor": 0.2,
    "use_env_settings": False,
}
"""Seconds, and how often the SDK repeats a request. A write that landed and is repeated fails as Contended.

With use_env_settings aiohttp looks for a .netrc file before each request, in a thread: that doubles its cost.
"""

_CONTENDED = {
    "EntityAlreadyExists",
    "UpdateConditionNotSatisfied",
    "ConditionNotMet",
    "ResourceNotFound",
    "EntityNotFound",
}

# At INFO the SDK logs the URL of every request, and a URL may have a recipient's number in it.
logging.getLogger("azure").setLevel(logging.WARNING)


class Table:
    """One table. Made on first use, so that a new storage account needs no set-up.

    layout: is asked before every read and write; None for a table that Layout itself uses. batching: commits
    to one partition that come at once share transactions.
    """

    def __init__(self, client: TableClient, layout: Layout | None, *, batching: bool = False) -> None:
        self._client = client
        self._layout = layout
        self._batches = Batches(self._transact) if batching else None

    async def get(self, partition: str, key: str) -> Row | None:
        """The row, or None."""
        await self._check_layout()
        try:
            async with translated("table storage"):
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
        await self._check_layout()
        rows: list[Row] = []
        found = self._client.query_entities(
            "PartitionKey eq @partition and RowKey gt @low and RowKey lt @high",
            parameters={"partition": partition, "low": low, "high": high},
            results_per_page=min(limit, 1000),
            select=["PartitionKey", "RowKey", *select] if select else None,
        )
        try:
            async with translated("table storage"):
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
        await self._check_layout()
        return await (self._batches.commit if self._batches else self._transact)(partition, writes)

    async def is_empty(self) -> bool:
        """Whether the table has no row, or does not exist: one row is read, whichever comes first."""
        try:
            async with translated("table storage"):
                async for _ in self._client.list_entities(results_per_page=1, select=["PartitionKey"]):
                    return False
        except ResourceNotFoundError:
            pass
        return True

    async def _check_layout(self) -> None:
        if self._layout:
            await self._layout.check()

    async def _transact(self, partition: str, writes: Sequence[Write], *, made: bool = False) -> list[str]:
        operations = [_operation(partition, write) for write in writes]
        try:
            async with translated("table storage"):
                results = await self._client.submit_transaction(operations)
        except HttpResponseError as exc:
            code = error_code(exc)
            if code == "TableNotFound" and not made:
                await self._create()
                return await self._transact(partition, writes, made=True)
            if code in _CONTENDED:
                raise Contended(f"{code} in {self._client.table_name}") from exc
            raise
        return [result.get("etag", "") for result in results]

    async def _create(self) -> None:
        """Make the table. Raises StorageAway while storage still deletes one of this name."""
        try:
            async with translated("table storage"):
                await self._client.create_table()
        except ResourceExistsError:
            pass
        except HttpResponseError as exc:
            if error_code(exc) == "TableBeingDeleted":
                raise StorageAway(f"table storage still deletes {self._client.table_name}") from exc
            raise
        if self._layout:
            self._layout.forget()
            await self._layout.check()


class Tables:
    """The storage account's tables, over one connection pool. layout: guards them all."""

    def __init__(self, service: TableServiceClient, credential: Any = None) -> None:
        self._service = service
        self._credential = credential
        self.layout = Layout(lambda name: Table(service.get_table_client(name), None))

    @classmethod
    def connect(cls, settings: Settings) -> "Tables":
        """With the connection string where there is one, else as the app's identity."""
        if settings.storage:
            return cls(TableServiceClient.from_connection_string(settings.storage, **TIMEOUTS))
        credential = identity(settings)
        endpoint = f"https://{settings.storage_account}.table.core.windows.net"
        return cls(TableServiceClient(endpoint, credential=credential, **TIMEOUTS), credential)

    def table(self, name: str, *, batching: bool = False) -> Table:
        """A table by name, whether or not it exists yet."""
        return Table(self._service.get_table_client(name), self.layout, batching=batching)

    async def close(self) -> None:
        """Close the connections."""
        await self.layout.close()
        await self._service.close()
        if self._credential:
            await self._credential.close()


def identity(settings: Settings) -> Any:
    """The app's managed identity, as an async credential of azure-core."""
    from azure.identity.aio import ManagedIdentityCredential

    return _Identity(ManagedIdentityCredential(client_id=settings.storage_client_id, **TIMEOUTS))


class _Identity:
    """A credential whose errors are StorageAway.

    Without it they go by many names: an identity endpoint that answers 400 is a ClientAuthenticationError,
    one that answers a number instead of an object a TypeError, and the blob SDK tries again after each.
    """

    def __init__(self, credential: Any) -> None:
        self._credential = credential

    async def get_token(self, *scopes: str, **options: Any) -> Any:
        """A token for these scopes. Raises StorageAway."""
        try:
            return await self._credential.get_token(*scopes, **options)
        except Exception as exc:
            reason = str(exc).partition("\n")[0]
            raise StorageAway(f"the app's managed identity gives no token: {reason}") from exc

    async def close(self) -> None:
        """Close the connections."""
        await self._credential.close()


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


def error_code(exc: HttpResponseError) -> str:
    """Storage's own code, such as TableNotFound, or ""."""
    code = getattr(exc, "error_code", None)
    return str(getattr(code, "value", code or ""))


@asynccontextmanager
async def translated(service: str) -> AsyncIterator[None]:
    """An SDK error that says nothing of the request becomes StorageAway: try again later.

    That is every error without an HTTP status (no connection, no answer, one that breaks off in the middle or
    cannot be read), 5xx, and what passes by itself: a role that is not assigned yet, a timeout, throttling.
    """
    try:
        yield
    except HttpResponseError as exc:
        status = exc.status_code
        if status is None or status < 400:
            raise StorageAway(f"{service} gave an answer that cannot be read") from exc
        if status >= 500 or status in (401, 403, 408, 429):
            raise StorageAway(f"{service} answered {status} {error_code(exc)}".rstrip()) from exc
        raise
    except AzureError as exc:
        raise StorageAway(f"{service} does not answer") from exc
