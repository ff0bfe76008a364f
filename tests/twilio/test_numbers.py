"""IncomingPhoneNumbers and Applications over REST."""

import pytest
from twilio.base.exceptions import TwilioRestException
from twilio.rest import Client

from local.twilio import NUMBER, Emulator
from tests.listener import Listener

PERSON = "+12025550101"


def test_the_accounts_numbers_are_listed_and_found(client: Client) -> None:
    client.incoming_phone_numbers.create(phone_number="+12025550150", friendly_name="support")
    assert [each.phone_number for each in client.incoming_phone_numbers.list()] == ["+12025550150", NUMBER]
    (found,) = client.incoming_phone_numbers.list(phone_number=NUMBER)
    assert found.capabilities == {"voice": True, "sms": True, "mms": True, "fax": False}
    (found,) = client.incoming_phone_numbers.list(friendly_name="support")
    assert client.incoming_phone_numbers(str(found.sid)).fetch().phone_number == "+12025550150"


def test_webhooks_go_where_the_number_was_last_pointed(
    client: Client, emulator: Emulator, listener: Listener
) -> None:
    (number,) = client.incoming_phone_numbers.list(phone_number=NUMBER)
    updated = number.update(sms_url=f"{listener.url}/texts", sms_method="GET", voice_url="")
    assert (updated.sms_url, updated.sms_method, updated.voice_url) == (f"{listener.url}/texts", "GET", "")
    emulator.inbound_message(PERSON, NUMBER, "hello")
    assert [each.method for each in listener.to("/texts")] == ["GET"]


def test_an_applications_urls_win_over_the_numbers(
    client: Client, emulator: Emulator, listener: Listener
) -> None:
    application = client.applications.create(friendly_name="app", sms_url=f"{listener.url}/app")
    (number,) = client.incoming_phone_numbers.list()
    number.update(sms_url=f"{listener.url}/number", sms_application_sid=application.sid)
    emulator.inbound_message(PERSON, NUMBER, "hello")
    assert (len(listener.to("/app")), len(listener.to("/number"))) == (1, 0)


@pytest.mark.parametrize(
    ("values", "code"),
    [
        ({"phone_number": "+15005550000"}, 21422),
        ({"phone_number": "+15005550001"}, 21421),
        ({"phone_number": "seven"}, 21421),
        ({"phone_number": NUMBER}, 21422),
        ({"area_code": "533"}, 21452),
        ({}, 21421),
    ],
)
def test_numbers_are_refused_as_twilio_refuses_them(
    client: Client, values: dict[str, str], code: int
) -> None:
    with pytest.raises(TwilioRestException) as caught:
        client.incoming_phone_numbers.create(**values)
    assert caught.value.code == code


def test_a_number_is_bought_and_released(client: Client) -> None:
    assert client.incoming_phone_numbers.create(phone_number="+15005550006").phone_number == "+15005550006"
    bought = client.incoming_phone_numbers.create(area_code="500")
    assert str(bought.phone_number).startswith("+1500")
    assert bought.delete()
    with pytest.raises(TwilioRestException) as caught:
        bought.fetch()
    assert caught.value.code == 20404


@pytest.mark.parametrize(
    ("values", "code"),
    [
        ({"voice_url": "nowhere"}, 21402),
        ({"voice_method": "PUT"}, 21403),
        ({"voice_application_sid": "AP" + "9" * 32}, 21218),
    ],
)
def test_a_refused_update_changes_nothing(client: Client, values: dict[str, str], code: int) -> None:
    (number,) = client.incoming_phone_numbers.list()
    with pytest.raises(TwilioRestException) as caught:
        number.update(sms_url="https://example.com/new", **values)
    assert caught.value.code == code
    assert client.incoming_phone_numbers.list()[0].sms_url == ""


def test_applications_are_created_updated_listed_and_deleted(client: Client) -> None:
    created = client.applications.create(
        friendly_name="softphone",
        voice_url="https://example.com/voice/client",
        voice_caller_id_lookup=True,
        message_status_callback="https://example.com/status",
    )
    assert (created.voice_method, created.voice_caller_id_lookup) == ("POST", True)
    assert client.applications(str(created.sid)).update(voice_method="GET").voice_method == "GET"
    client.applications.create(friendly_name="other")
    assert [each.sid for each in client.applications.list(friendly_name="softphone")] == [created.sid]
    assert created.delete()
    assert [each.friendly_name for each in client.applications.list()] == ["other"]


def test_a_filter_is_decoded_once(client: Client) -> None:
    name = "100%41 & +1 = café?"
    created = client.applications.create(friendly_name=name)
    client.applications.create(friendly_name="100A & +1 = café?")
    assert [each.sid for each in client.applications.list(friendly_name=name, page_size=1)] == [created.sid]


def test_message_callbacks_can_come_from_an_application(
    client: Client, emulator: Emulator, listener: Listener
) -> None:
    application = client.applications.create(message_status_callback=f"{listener.url}/status")
    client.messages.create(to=PERSON, from_=NUMBER, body="hello", application_sid=application.sid)
    emulator.settle()
    assert [each.form["MessageStatus"] for each in listener.to("/status")] == ["sent", "delivered"]
