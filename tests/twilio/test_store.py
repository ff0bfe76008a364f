"""What the emulator remembers is limited, and it says when it has forgotten something."""

import requests
from hypothesis import given
from hypothesis import strategies as st
from twilio.rest import Client

from local.twilio import ACCOUNT_SID, AUTH_TOKEN, NUMBER, Emulator, Options, Pace
from local.twilio.model.addresses import e164, segments

PERSON = "+12025550101"


def test_the_oldest_messages_go_when_there_are_too_many() -> None:
    with Emulator(
        Options(capacity=5, pace=Pace(step=0.001), deliveries_kept=3, rest_requests_kept=4)
    ) as emulator:
        client = Client(ACCOUNT_SID, AUTH_TOKEN)
        client.api.base_url = emulator.url
        callback = f"{emulator.url}/emulator/health"
        sids = [
            str(client.messages.create(to=PERSON, from_=NUMBER, body=str(n), status_callback=callback).sid)
            for n in range(8)
        ]
        emulator.settle()
        assert [each.sid for each in client.messages.list(to=PERSON)] == sids[:2:-1]
        ledger = emulator.ledger()
        assert [each["sid"] for each in ledger["messages"]] == sids[3:]
        assert ledger["evicted"] == 3
        assert len(emulator.deliveries()) == 3
        assert len(emulator.rest_requests()) == 4


def test_a_reset_forgets_everything(emulator: Emulator) -> None:
    emulator.pace(step=30)
    emulator.faults(throttled=1, seed=9)
    emulator.inbound_message(PERSON, NUMBER, "STOP")
    emulator.inbound_call(PERSON, NUMBER)
    emulator.reset()
    emulator.settle()
    assert (emulator.messages(), emulator.calls(), emulator.deliveries(), emulator.alerts()) == (
        [],
        [],
        [],
        [],
    )
    assert emulator.faults()["throttled"] == 0
    overview = requests.get(f"{emulator.url}/emulator/overview", timeout=20).json()
    assert overview["counts"] == {"messages": 0, "calls": 0, "deliveries": 0}


def test_segments_are_cut_where_twilio_cuts_them() -> None:
    assert [segments("x" * n) for n in (0, 160, 161, 306, 307)] == [1, 1, 2, 2, 3]
    assert [segments("한" * n) for n in (1, 70, 71, 134, 135)] == [1, 1, 2, 2, 3]
    assert segments("€" * 80) == 1
    assert segments("€" * 81) == 2
    assert segments("😀" * 35) == 1
    assert segments("😀" * 36) == 2


@given(st.text(max_size=2000))
def test_more_text_never_takes_fewer_segments(text: str) -> None:
    assert segments(text + "x") >= segments(text) >= 1


@given(st.text(max_size=30))
def test_whatever_is_taken_for_a_number_is_one(text: str) -> None:
    number = e164(text)
    assert number is None or (number.startswith("+") and number[1:].isascii() and number[1:].isdecimal())


def test_numbers_are_read_as_leniently_as_twilio_reads_them() -> None:
    for text in ("+12025550101", "(202) 555-0101", "202.555.0101", "12025550101", "+1 202 555 0101"):
        assert e164(text) == PERSON
    for text in ("", "+", "+0123456789", "2025550", "+1202555010a", "+１２０２５５５０１０１"):
        assert e164(text) is None
