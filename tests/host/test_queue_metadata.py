"""local/host/binding_data.py, through Microsoft's worker library: what a queue function is told of a message.

The table was seen on Microsoft's own host (4.1037, queue extension 5.3.10).
"""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from azure.storage.queue import QueueClient, QueueMessage

from tests.azurite import Azurite, make_queues
from tests.host.process import HostProcess, serving, write_app
from tests.waiting import until

APP = """
@app.queue_trigger(arg_name="message", queue_name="asked", connection="AzureWebJobsStorage")
@app.queue_output(arg_name="seen", queue_name="seen", connection="AzureWebJobsStorage")
def tell(message: func.QueueMessage, seen: func.Out[typing.List[str]]) -> None:
    seen.set([json.dumps({
        "body": message.get_body().decode(),
        "id": message.id,
        "dequeue_count": message.dequeue_count,
        "pop_receipt": message.pop_receipt,
        "insertion_time": str(message.insertion_time),
        "expiration_time": str(message.expiration_time),
        "time_next_visible": str(message.time_next_visible),
    })])
"""
OVERWRITTEN: list[tuple[str, dict[str, Any]]] = [
    ('{"to":"x"}', {}),
    ('{"id":"a"}', {"id": "a"}),
    ('{"Id":"b"}', {"id": "b"}),
    ('{"ID":"c","id":"d"}', {"id": "d"}),
    ('{"id":7}', {"id": "7"}),
    ('{"id":true}', {"id": "True"}),
    ('{"id":null}', {}),
    ('{"id":""}', {"id": ""}),
    ('{"id":["a"]}', {}),
    ('{"id":"2026-11-28T10:00:00-05:00"}', {"id": "11/28/2026 15:00:00"}),
    ('{"id":"2026-11-28T09:00:00"}', {"id": "11/28/2026 09:00:00"}),
    ('{"id":"2026-11-28"}', {"id": "2026-11-28"}),
    ('{"id":"a","id":"b"}', {"id": "b"}),
    ('{"dequeueCount":99}', {"dequeue_count": 99}),
    ('{"popReceipt":"zzz"}', {"pop_receipt": "zzz"}),
    ('{"insertionTime":null}', {}),
    ('{"queueTrigger":"evil"}', {}),
    ('[{"id":"x"}]', {}),
    ('"id"', {}),
    ("plain", {}),
    ('{"id":"é😀"}', {"id": "é😀"}),
    ('{"id":"a"}}', {}),
    ("{bad}", {}),
    ('{"data":"1","id":"t"}', {"id": "t"}),
    # These were read in the source.
    ("{id:1.0,}", {"id": "1"}),
    ('{"id":"a","x":new Date(1)}', {}),
    ('{"id":{"b": [1]}}', {"id": "{'b': [1]}"}),
    ('{"insertionTime":""}', {"insertion_time": "None"}),
]
UNDECODED = [
    '{"insertionTime":"2026-11-28T10:00:00Z"}',
    '{"insertionTime":"2026-11-28T10:00:00"}',
    '{"insertionTime":"x"}',
    '{"INSERTIONTIME":"x"}',
    '{"expirationTime":5}',
    '{"nextVisibleTime":true}',
    '{"dequeueCount":"many"}',
]


@pytest_asyncio.fixture(scope="module")
async def host(azurite: Azurite, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[HostProcess]:
    account = azurite.fresh_account()
    make_queues(account, "asked", "seen")
    app_dir = write_app(tmp_path_factory.mktemp("metadata") / "app", APP)
    async with serving(app_dir, {"AzureWebJobsStorage": account}) as running:
        yield running


async def test_the_fields_of_a_json_body_overwrite_the_message_s_own(host: HostProcess) -> None:
    account = host.environ["AzureWebJobsStorage"]
    with (
        QueueClient.from_connection_string(account, "asked") as asked,
        QueueClient.from_connection_string(account, "seen") as seen,
    ):
        sent = {body: asked.send_message(body) for body, _ in OVERWRITTEN}
        found: dict[str, dict[str, Any]] = {}

        def all_seen() -> bool:
            for message in seen.receive_messages():
                values = json.loads(message.content)
                found[values.pop("body")] = values
            return len(found) == len(OVERWRITTEN)

        await until(all_seen)
    expected = {body: {**own(sent[body]), **overwritten} for body, overwritten in OVERWRITTEN}
    for body, values in found.items():
        # A receipt and the time at which the lease ends are known to the host alone.
        assert values.pop("time_next_visible") > values["insertion_time"] or "insertion" in body
        if "pop_receipt" not in expected[body]:
            assert len(values.pop("pop_receipt")) > 10
    assert found == expected


def own(message: QueueMessage) -> dict[str, Any]:
    return {
        "id": message.id,
        "dequeue_count": 1,
        "insertion_time": str(message.inserted_on),
        "expiration_time": str(message.expires_on),
    }


async def test_metadata_that_does_not_decode_keeps_a_message_from_the_app(host: HostProcess) -> None:
    account = host.environ["AzureWebJobsStorage"]
    with (
        QueueClient.from_connection_string(account, "asked") as asked,
        QueueClient.from_connection_string(account, "asked-poison") as poison,
        QueueClient.from_connection_string(account, "seen") as seen,
    ):
        for body in UNDECODED:
            asked.send_message(body)
        await until(lambda: not asked.get_queue_properties().approximate_message_count)
        assert sorted(each.content for each in poison.receive_messages()) == sorted(UNDECODED)
        assert not [each for each in seen.receive_messages() if json.loads(each.content)["body"] in UNDECODED]
    assert "does not match format" in host.log
