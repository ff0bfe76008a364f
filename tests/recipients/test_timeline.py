"""timeline.py and the routes beside it: one number's texts, calls, callbacks, opt-out and price."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from local.twilio import Emulator
from shared.calls import placing
from shared.calls.call import Call
from shared.delivery import keys
from shared.delivery.states import State
from shared.errors import InvalidRequest
from shared.recipients import timeline
from shared.services import Services
from shared.sms import opt_outs as recipients
from shared.sms import schedule
from shared.storage.rows import Insert, Put, stamp
from tests.app import App
from tests.clock import NOW

WHO, OTHER = "+12025550141", "+12025550142"


async def text(services: Services, to: str, at: datetime, body: str = "Hi") -> str:
    request = {"to": to, "body": body, "send_at": stamp(at)}
    made = await schedule.create(request, services.messages, services.settings, now=at)
    return made.id


async def shown(services: Services, to: str = WHO, **request: Any) -> dict[str, Any]:
    return await services.timeline.view(to, {"to": to, **request}, now=NOW)


async def test_texts_and_calls_are_joined_newest_first(services: Services) -> None:
    await text(services, WHO, NOW + timedelta(days=1), "to come")
    await text(services, WHO, NOW - timedelta(days=1), "yesterday")
    await text(services, f"whatsapp:{WHO}", NOW - timedelta(days=200), "long ago")
    await text(services, OTHER, NOW, "someone else's")
    await placing.accept(
        {"to": WHO, "say": "Hi", "id": "ring"},
        services.calls,
        services.settings,
        now=NOW - timedelta(hours=2),
    )
    inbound = Call(id="CA1", to="+12025550100", sender=WHO, direction="inbound", created=NOW, due=NOW)
    await services.calls.add(inbound)
    found = await shown(services)
    assert [(each["kind"], each.get("body") or each["id"]) for each in found["entries"]] == [
        ("text", "to come"),
        ("call", "CA1"),
        ("call", "ring"),
        ("text", "yesterday"),
        ("text", "long ago"),
    ]
    assert (found["opted_out"], found["older"], found["price"]) == (None, None, {})


async def test_an_opt_out_is_told_with_its_time_and_source(services: Services) -> None:
    await recipients.opt_out(services.messages, WHO, now=NOW, source="STOP")
    assert (await shown(services))["opted_out"] == {"since": stamp(NOW), "source": "STOP"}


async def test_an_edit_leaves_one_entry_and_takes_it_from_the_other_recipient(services: Services) -> None:
    first = await text(services, WHO, NOW + timedelta(days=1))
    await schedule.edit(
        first, {"send_at": stamp(NOW + timedelta(days=2))}, services.messages, services.settings, now=NOW
    )
    assert len((await shown(services))["entries"]) == 1
    await schedule.edit(first, {"to": OTHER}, services.messages, services.settings, now=NOW)
    assert (await shown(services))["entries"] == []
    assert len((await shown(services, OTHER))["entries"]) == 1


async def test_many_come_in_pages_and_none_is_lost(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timeline, "MOST", 4)
    for days in range(10):
        await text(services, WHO, NOW - timedelta(days=days), str(days))
    await text(services, WHO, NOW - timedelta(days=3), "at the same time")
    bodies: list[str] = []
    until: dict[str, str] = {}
    while True:
        page = await shown(services, **until)
        bodies += [each["body"] for each in page["entries"]]
        if page["older"] is None:
            break
        until = {"until": page["older"]}
    assert sorted(bodies) == sorted([*map(str, range(10)), "at the same time"])


async def test_prices_are_fetched_once_and_summed(services: Services, emulator: Emulator) -> None:
    first = await text(services, WHO, NOW)
    sent = await services.twilio.send_sms(
        to=WHO, body="Hi", status_callback=f"{services.settings.public_base_url}/x"
    )
    placed = await services.twilio.place_call(
        to=WHO, status_callback=f"{services.settings.public_base_url}/x", twiml="<Response/>"
    )
    await emulator.settle_async()
    message = await services.messages.get(first)
    await services.messages.table.commit(
        message.partition,
        [Put(f"m|{first}", {**message.columns(), "state": "delivered", "sid": sent.sid})],
    )
    await services.calls.add(
        Call(id="rung", to=WHO, created=NOW, due=NOW, state=State.COMPLETED, sid=placed.sid)
    )
    found = await shown(services)
    prices = {each["kind"]: each["price"] for each in found["entries"]}
    assert prices["text"].startswith("-0.0")
    assert prices["call"].startswith("-0.0")
    total = sum(float(each.split()[0]) for each in prices.values())
    assert float(found["price"]["USD"]) == pytest.approx(total)
    asked = len(emulator.rest_requests())
    assert (await shown(services))["price"] == found["price"]
    assert len(emulator.rest_requests()) == asked


async def test_a_place_in_the_list_without_a_call_does_no_harm(services: Services) -> None:
    call = Call(id="gone", to=WHO, created=NOW, due=NOW)
    await services.calls.add(call)
    await services.calls.add(Call(id="here", to=WHO, created=NOW, due=NOW))
    dangling = Insert(keys.place(WHO, NOW, "never-entered"), {})
    await services.tables.table("calls").commit("00", [dangling])
    assert sorted(each["id"] for each in (await shown(services))["entries"]) == ["gone", "here"]


async def test_the_routes_take_the_number_in_the_body_and_say_what_is_wrong(app: App) -> None:
    status, answer = await app.post("recipient_timeline", {"to": "+12025550196"})
    assert (status, answer["entries"]) == (200, [])
    status, answer = await app.post("recipient_timeline", {"to": "12"})
    assert (status, answer["error"]["field"]) == (422, "to")
    status, answer = await app.post("recipient_timeline", {"to": "+12025550196", "until": "soon"})
    assert (status, answer["error"]["field"]) == (422, "until")
    status, answer = await app.post("recipient_messages", {"to": "+12025550196", "limit": 0})
    assert (status, answer["error"]["field"]) == (422, "limit")
    status, answer = await app.post("recipient_messages", {"to": "+12025550196", "token": "m|"})
    assert (status, answer["error"]["field"]) == (422, "token")


async def test_the_messages_of_a_number_come_in_pages(services: Services) -> None:
    for days in range(3):
        await text(services, WHO, NOW + timedelta(days=days), str(days))
    first = await timeline.messages(WHO, {"to": WHO, "limit": 2}, services.messages)
    rest = await timeline.messages(WHO, {"to": WHO, "limit": 2, "token": first.token}, services.messages)
    assert [each.body for each in (*first.items, *rest.items)] == ["0", "1", "2"]
    with pytest.raises(InvalidRequest, match="token"):
        await timeline.messages(OTHER, {"to": OTHER, "token": first.token}, services.messages)
