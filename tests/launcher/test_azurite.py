"""The real Azurite does what the other tests rely on."""

import pytest
from azure.core import MatchConditions
from azure.core.exceptions import HttpResponseError
from azure.data.tables import TableServiceClient, UpdateMode
from azure.storage.queue import QueueServiceClient

from tests.azurite import Azurite


def test_accounts_are_separate(azurite: Azurite) -> None:
    first, second = (QueueServiceClient.from_connection_string(azurite.fresh_account()) for _ in range(2))
    first.create_queue("outbound-calls")
    assert [queue.name for queue in first.list_queues()] == ["outbound-calls"]
    assert list(second.list_queues()) == []


def test_a_stale_etag_in_a_transaction_is_refused(azurite: Azurite) -> None:
    with TableServiceClient.from_connection_string(azurite.fresh_account()) as service:
        table = service.create_table("rows")
        row = {"PartitionKey": "p", "RowKey": "r", "state": "pending"}
        stale = table.create_entity(row)["etag"]
        table.update_entity({**row, "state": "canceled"})
        claim = ("update", {**row, "state": "claimed"}, _only_if(stale))
        with pytest.raises(HttpResponseError) as refused:
            table.submit_transaction([claim])
        assert refused.value.status_code == 412
        assert table.get_entity("p", "r")["state"] == "canceled"


def _only_if(etag: str) -> dict[str, object]:
    return {"mode": UpdateMode.REPLACE, "etag": etag, "match_condition": MatchConditions.IfNotModified}
