"""Messages over REST: what is accepted, refused, listed and changed, with twilio-python's own client."""

from datetime import UTC, datetime, timedelta

import pytest
from twilio.base.exceptions import TwilioRestException
from twilio.rest import Client

from local.twilio import ACCOUNT_SID, AUTH_TOKEN, NUMBER, Emulator, MessagingService, Number, Options
from tests.listener import Listener

PERSON = "+12025550101"
SERVICE = "MG" + "1" * 32


def refusal(client: Client, **values: object) -> TwilioRestException:
    with pytest.raises(TwilioRestException) as caught:
        client.messages.create(**{"to": PERSON, "from_": NUMBER, "body": "hello", **values})
    return caught.value


def test_a_message_is_queued_then_sent_then_delivered(
    client: Client, emulator: Emulator, listener: Listener
) -> None:
    callback = f"{listener.url}/status?id=7&attempt=1"
    created = client.messages.create(to=PERSON, from_=NUMBER, body="hello", status_callback=callback)
    assert (created.status, created.direction, created.price, created.date_sent) == (
        "queued",
        "outbound-api",
        None,
        None,
    )
    emulator.settle()
    message = client.messages(created.sid or "").fetch()
    assert (message.status, message.price, message.num_segments) == ("delivered", "-0.00790", "1")
    assert message.date_sent is not None
    requests = listener.to("/status")
    assert [each.form["MessageStatus"] for each in requests] == ["sent", "delivered"]
    assert all(each.is_signed(AUTH_TOKEN) and each.url == callback for each in requests)
    assert requests[0].form.keys() == {
        "MessageSid",
        "SmsSid",
        "MessageStatus",
        "SmsStatus",
        "AccountSid",
        "From",
        "To",
        "ApiVersion",
    }
    assert requests[1].form["RawDlrDoneDate"].isdecimal()


def test_a_messaging_service_picks_the_sender_after_accepting(client: Client, emulator: Emulator) -> None:
    emulator.reset(Options(messaging_services=(MessagingService(sid=SERVICE),), pace=emulator.options.pace))
    created = client.messages.create(to=PERSON, messaging_service_sid=SERVICE, body="x" * 161)
    assert (created.status, created.from_, created.num_segments) == ("accepted", None, "0")
    emulator.settle()
    message = client.messages(created.sid or "").fetch()
    assert (message.status, message.from_, message.num_segments) == ("delivered", NUMBER, "2")


def test_a_messaging_service_without_a_sender_cannot_send(client: Client, emulator: Emulator) -> None:
    for senders, numbers, code in (
        ((), (), 21704),
        (("+12025550177",), (Number(),), 21703),
        ((), (Number(capabilities=frozenset({"voice"})),), 21704),
    ):
        service = MessagingService(sid=SERVICE, senders=senders)
        emulator.reset(Options(messaging_services=(service,), numbers=numbers))
        assert refusal(client, from_="", messaging_service_sid=SERVICE).code == code


def test_a_messaging_service_calls_back_for_every_change_but_the_first(
    client: Client, emulator: Emulator, listener: Listener
) -> None:
    service = MessagingService(sid=SERVICE, status_callback=f"{listener.url}/service")
    emulator.reset(Options(messaging_services=(service,), pace=emulator.options.pace))
    client.messages.create(to=PERSON, messaging_service_sid=SERVICE, body="hello")
    emulator.settle()
    forms = [each.form for each in listener.to("/service")]
    assert [each["MessageStatus"] for each in forms] == ["queued", "sent", "delivered"]
    assert {each["MessagingServiceSid"] for each in forms} == {SERVICE}


@pytest.mark.parametrize(
    ("to", "code"),
    [
        ("+15005550001", 21211),
        ("+15005550002", 21612),
        ("+15005550003", 21408),
        ("+15005550004", 21610),
        ("+15005550009", 21614),
        ("not a number", 21211),
        ("", 21604),
        ("12345", 21265),
    ],
)
def test_recipients_are_refused_as_twilio_refuses_them(client: Client, to: str, code: int) -> None:
    error = refusal(client, to=to)
    assert (error.code, error.status) == (code, 400)


@pytest.mark.parametrize(
    ("sender", "code"),
    [
        ("+15005550001", 21212),
        ("+15005550007", 21606),
        ("+15005550008", 21611),
        ("+12025550177", 21606),
        ("nonsense!", 21212),
        ("Switchboard", 21212),
        ("whatsapp:+12025550100", 63007),
    ],
)
def test_senders_are_refused_as_twilio_refuses_them(client: Client, sender: str, code: int) -> None:
    assert refusal(client, from_=sender).code == code


def test_the_magic_sender_passes(client: Client) -> None:
    assert client.messages.create(to=PERSON, from_="+15005550006", body="hello").status == "queued"


def test_a_number_without_sms_cannot_send(client: Client, emulator: Emulator) -> None:
    emulator.reset(Options(numbers=(Number(capabilities=frozenset({"voice"})),)))
    assert refusal(client).code == 21661


def test_what_is_missing_is_named(client: Client) -> None:
    assert refusal(client, from_="").code == 21603
    assert refusal(client, body="").code == 21619
    assert refusal(client, to=NUMBER).code == 21266
    assert refusal(client, status_callback="not a url").code == 21609
    assert refusal(client, from_="", messaging_service_sid=SERVICE).code == 21701


def test_1600_characters_are_the_most(client: Client) -> None:
    assert client.messages.create(to=PERSON, from_=NUMBER, body="x" * 1600).num_segments == "11"
    assert refusal(client, body="x" * 1601).code == 21617
    assert refusal(client, body="한" * 1601).code == 21617


def test_whatsapp_addresses_are_accepted(client: Client, emulator: Emulator, listener: Listener) -> None:
    created = client.messages.create(
        to=f"whatsapp:{PERSON}",
        from_=f"whatsapp:{NUMBER}",
        body="hello",
        status_callback=f"{listener.url}/status",
    )
    assert (created.to, created.from_) == (f"whatsapp:{PERSON}", f"whatsapp:{NUMBER}")
    emulator.settle()
    assert [each.form["ChannelPrefix"] for each in listener.to("/status")] == ["whatsapp", "whatsapp"]


def test_media_is_counted_listed_and_served(client: Client) -> None:
    picture = "data:image/gif;base64,R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7"
    created = client.messages.create(
        to=PERSON, from_=NUMBER, media_url=[picture, "https://example.com/a.png"]
    )
    assert created.sid is not None
    assert created.sid.startswith("MM")
    assert created.num_media == "2"
    assert [each.content_type for each in client.messages(created.sid).media.list()] == [
        "image/gif",
        "image/png",
    ]


def test_lists_are_newest_first_and_filtered(client: Client) -> None:
    sids = [client.messages.create(to=PERSON, from_=NUMBER, body=str(n)).sid for n in range(3)]
    client.messages.create(to="+12025550102", from_=NUMBER, body="other")
    assert [each.sid for each in client.messages.list(to=PERSON)] == sids[::-1]
    assert len(client.messages.list(from_=NUMBER)) == 4
    assert client.messages.list(from_="+12025550199") == []


def test_every_page_is_reached_by_its_token(client: Client) -> None:
    sids = [client.messages.create(to=PERSON, from_=NUMBER, body=str(n)).sid for n in range(7)]
    assert [each.sid for each in client.messages.stream(page_size=3)] == sids[::-1]
    first = client.messages.page(page_size=3)
    second = first.next_page()
    assert second is not None
    back = second.previous_page()
    assert [each.sid for each in back or []] == sids[:3:-1]


def test_a_page_holds_no_more_than_it_was_asked_for_while_messages_arrive(client: Client) -> None:
    sids = [client.messages.create(to=PERSON, from_=NUMBER, body=str(n)).sid for n in range(4)]
    first = client.messages.page(page_size=2)
    client.messages.create(to=PERSON, from_=NUMBER, body="in between")
    assert [each.sid for each in first.next_page() or []] == [sids[1], sids[0]]


def test_date_filters_see_only_what_was_sent(client: Client, emulator: Emulator) -> None:
    emulator.pace(step=30)
    client.messages.create(to=PERSON, from_=NUMBER, body="waiting")
    emulator.pace(step=0)
    sent = client.messages.create(to=PERSON, from_=NUMBER, body="sent").sid or ""
    while client.messages(sent).fetch().status != "delivered":
        pass
    now = datetime.now(UTC)
    hour = timedelta(hours=1)
    assert [each.sid for each in client.messages.list(date_sent=now.date())] == [sent]
    assert [each.sid for each in client.messages.list(date_sent_after=now - hour)] == [sent]
    assert [each.sid for each in client.messages.list(date_sent_before=now + hour)] == [sent]
    assert client.messages.list(date_sent_after=now + hour) == []
    assert client.messages.list(date_sent_before=now - hour) == []


def test_a_sent_message_can_be_redacted_and_deleted(client: Client, emulator: Emulator) -> None:
    sid = client.messages.create(to=PERSON, from_=NUMBER, body="secret").sid or ""
    emulator.settle()
    assert client.messages(sid).update(body="").body == ""
    assert client.messages(sid).delete()
    with pytest.raises(TwilioRestException) as caught:
        client.messages(sid).fetch()
    assert (caught.value.status, caught.value.code) == (404, 20404)
    assert [each["body"] for each in emulator.ledger()["messages"]] == ["secret"]


def test_a_message_under_way_cannot_be_deleted_or_canceled(client: Client, emulator: Emulator) -> None:
    emulator.pace(step=30)
    sid = client.messages.create(to=PERSON, from_=NUMBER, body="hello").sid or ""
    with pytest.raises(TwilioRestException) as caught:
        client.messages(sid).delete()
    assert (caught.value.status, caught.value.code) == (409, 20009)
    with pytest.raises(TwilioRestException) as caught:
        client.messages(sid).update(status="canceled")
    assert caught.value.code == 30409


def test_a_scheduled_message_waits_and_can_be_canceled(client: Client, emulator: Emulator) -> None:
    emulator.reset(Options(messaging_services=(MessagingService(sid=SERVICE),), pace=emulator.options.pace))
    later = datetime.now(UTC) + timedelta(hours=1)
    created = client.messages.create(
        to=PERSON, messaging_service_sid=SERVICE, body="later", schedule_type="fixed", send_at=later
    )
    emulator.settle()
    assert client.messages(created.sid or "").fetch().status == "scheduled"
    assert client.messages(created.sid or "").update(status="canceled").status == "canceled"


def test_send_at_is_dropped_without_a_messaging_service(client: Client) -> None:
    later = datetime.now(UTC) + timedelta(hours=1)
    created = client.messages.create(
        to=PERSON, from_=NUMBER, body="now", schedule_type="fixed", send_at=later
    )
    assert created.status == "queued"


def test_other_credentials_and_accounts_are_refused(emulator: Emulator) -> None:
    for account, token in ((ACCOUNT_SID, "wrong"), ("AC" + "f" * 32, AUTH_TOKEN)):
        client = Client(account, token)
        client.api.base_url = emulator.url
        error = refusal(client)
        assert (error.status, error.code) == (401, 20003)


def test_an_api_key_is_as_good_as_the_token(emulator: Emulator) -> None:
    key = "SK" + "2" * 32
    emulator.reset(Options(api_keys={key: "key_secret"}))
    client = Client(key, "key_secret", account_sid=ACCOUNT_SID)
    client.api.base_url = emulator.url
    assert client.messages.create(to=PERSON, from_=NUMBER, body="hello").status == "queued"
