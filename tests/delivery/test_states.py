"""shared/delivery/states.py: one table of legal transitions, which no order of callbacks leaves."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.calls import status as call_status
from shared.calls.call import Call
from shared.delivery import outcome
from shared.delivery.callbacks import Callback, noted
from shared.delivery.states import IN_DOUBT, TRANSITIONS, WAITING, State, advance, from_twilio
from shared.sms import status as sms_status
from shared.sms.message import Message, new_id
from shared.twiml.request import TwilioRequest
from tests.clock import NOW

MESSAGE_STATUSES = ["accepted", "queued", "sending", "sent", "delivered", "undelivered", "failed", "read"]
CALL_STATUSES = [
    "initiated",
    "ringing",
    "answered",
    "in-progress",
    "completed",
    "busy",
    "no-answer",
    "failed",
]
ENDS = {
    State.READ,
    State.CANCELED,
    State.SUPPRESSED,
    State.COMPLETED,
    State.BUSY,
    State.NO_ANSWER,
}


def asked(item_id: str, **form: str) -> TwilioRequest:
    query = (("id", item_id), ("attempt", "a1"))
    return TwilioRequest(form, query, (), "POST", "http://localhost/", NOW)


def of_message(status: str, sid: str = "SM1", **form: str) -> Callback:
    read = sms_status.read(asked(MESSAGE.id, MessageSid=sid, MessageStatus=status, **form))
    assert read
    return read


def of_call(status: str) -> Callback:
    read = call_status.read(asked("c1", CallSid="CA1", CallStatus=status))
    assert read
    return read


MESSAGE = Message(
    id=new_id("+12025550101", NOW), to="+12025550101", body="hello", due=NOW, created=NOW, attempt="a1"
)


def reachable(start: State) -> set[State]:
    found, new = {start}, {start}
    while new:
        new = set().union(*(TRANSITIONS[state] for state in new)) - found
        found |= new
    return found


def test_every_state_has_its_row_and_is_reached() -> None:
    assert set(TRANSITIONS) == set(State)
    assert reachable(State.PENDING) == set(State)


def test_nothing_leads_on_from_an_end() -> None:
    assert {state for state, following in TRANSITIONS.items() if not following} == ENDS


def test_what_may_have_left_goes_back_by_a_person_alone() -> None:
    back = {state for state, following in TRANSITIONS.items() if following & WAITING} - WAITING
    assert back == {State.POSTING, State.UNRESOLVED, State.FAILED, State.EXPIRED}
    assert not TRANSITIONS[State.UNKNOWN] & WAITING


def test_twilios_words_are_understood() -> None:
    assert {from_twilio(status) for status in [*MESSAGE_STATUSES, *CALL_STATUSES]} == {
        State.SUBMITTED,
        State.SENT,
        State.DELIVERED,
        State.UNDELIVERED,
        State.FAILED,
        State.READ,
        State.RINGING,
        State.IN_PROGRESS,
        State.COMPLETED,
        State.BUSY,
        State.NO_ANSWER,
    }
    assert [from_twilio(word) for word in ("", "pending", "posting", "expired", "nonsense")] == [None] * 5


@given(
    st.sampled_from([*IN_DOUBT, State.SUBMITTED]),
    st.lists(st.sampled_from(MESSAGE_STATUSES), max_size=12),
)
def test_no_order_of_message_callbacks_leads_back(start: State, statuses: list[str]) -> None:
    message = replace(MESSAGE, state=start, posted=NOW)
    for status in statuses:
        after = noted(message, of_message(status))
        before = State.SUBMITTED if message.state in IN_DOUBT else message.state
        assert after.state is before or after.state in TRANSITIONS[before]
        message = after
    if statuses:
        assert message.sid == "SM1"
        assert message.state not in IN_DOUBT
    for final in (State.DELIVERED, State.READ):
        if final.value in statuses:
            assert message.state in {State.DELIVERED, State.READ}


@given(st.sampled_from([*IN_DOUBT, State.SUBMITTED]), st.lists(st.sampled_from(CALL_STATUSES), max_size=12))
def test_no_order_of_call_callbacks_leads_back(start: State, statuses: list[str]) -> None:
    call = Call(id="c1", due=NOW, created=NOW, state=start, posted=NOW, attempt="a1")
    ended: State | None = None
    for status in statuses:
        call = noted(call, of_call(status))
        if ended:
            assert call.state is ended
        ended = call.state if call.state in ENDS or call.state is State.FAILED else None


@given(st.sampled_from(list(State)), st.sampled_from(list(State)))
def test_a_report_is_taken_or_ignored(present: State, said: State) -> None:
    after = advance(present, said)
    assert after is said if said in TRANSITIONS[present] else after is present


@given(
    st.sampled_from([State.POSTING, State.UNKNOWN, State.SENT, State.DELIVERED, State.FAILED]),
    st.sampled_from([State.SUBMITTED, State.UNKNOWN, State.PENDING, State.HELD, State.FAILED]),
)
def test_the_answer_of_a_post_never_undoes_a_callback(present: State, answer: State) -> None:
    row = replace(MESSAGE, state=present, etag="row")
    joined = outcome.joined(row, replace(MESSAGE, state=answer, sid="SM1"))
    assert joined.state is present or joined.state in TRANSITIONS[present]
    assert joined.etag == "row"


def test_a_second_sid_raises_an_alarm_and_changes_nothing(caplog: pytest.LogCaptureFixture) -> None:
    row = replace(MESSAGE, state=State.SENT, sid="SM1")
    assert noted(row, of_message("delivered", "SM2")) == row
    assert outcome.joined(row, replace(MESSAGE, state=State.SUBMITTED, sid="SM2")) == row
    assert caplog.text.count("SM2") == 2
    assert {record.levelname for record in caplog.records} == {"ERROR"}


def test_a_delivery_after_all_clears_the_error() -> None:
    row = replace(MESSAGE, state=State.UNDELIVERED, sid="SM1", code=30003, reason="the handset")
    after = noted(row, of_message("delivered"))
    assert (after.state, after.code, after.reason) == (State.DELIVERED, 0, "")


def test_a_late_error_does_not_stain_a_delivery() -> None:
    row = replace(MESSAGE, state=State.DELIVERED, sid="SM1")
    after = noted(row, of_message("failed", ErrorCode="30008"))
    assert (after.state, after.code, after.reason) == (State.DELIVERED, 0, "")


def test_what_was_to_be_sent_again_but_was_sent_is_not() -> None:
    """A person had it resent, and before it leaves the first attempt's callback comes after all."""
    row = replace(MESSAGE, state=State.PENDING, attempts=1)
    after = noted(row, of_message("sent"))
    assert (after.state, after.sid) == (State.SENT, "SM1")
