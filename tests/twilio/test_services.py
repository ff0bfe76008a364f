"""Messaging Services over REST, and where they send the texts of their numbers."""

import json
from dataclasses import replace
from typing import Any

import pytest
from twilio.base.exceptions import TwilioRestException
from twilio.rest import Client

from local.twilio import NUMBER, Emulator, MessagingService, Options
from local.twilio.model.account import InboundError
from local.twilio.model.options import Number
from tests import openapi
from tests.listener import Listener

PERSON, OTHER = "+12025550101", "+12025550150"
SERVICES = tuple(f"MG{digit * 32}" for digit in "123")


@pytest.fixture
def messaging(client: Client, emulator: Emulator) -> Any:
    """Three services, of which the first has our number and the second the other one."""
    client.messaging.base_url = emulator.url
    pools = ((NUMBER,), (OTHER,), ("+12025550199",))
    services = [MessagingService(sid=sid, senders=pool) for sid, pool in zip(SERVICES, pools, strict=True)]
    numbers = (Number(), Number(phone_number=OTHER, capabilities=frozenset({"sms"})))
    emulator.reset(Options(numbers=numbers, messaging_services=tuple(services)))
    return client.messaging.v1


def test_services_are_listed_in_pages_and_fetched(messaging: Any) -> None:
    assert [each.sid for each in messaging.services.list(page_size=1)] == list(SERVICES)
    found = messaging.services(SERVICES[0]).fetch()
    assert (found.friendly_name, found.use_inbound_webhook_on_number) == ("Switchboard", True)
    with pytest.raises(TwilioRestException) as caught:
        messaging.services("MG" + "9" * 32).fetch()
    assert caught.value.code == 20404


def test_the_numbers_of_a_service_are_listed(messaging: Any, client: Client) -> None:
    (ours,) = messaging.services(SERVICES[0]).phone_numbers.list()
    (owned,) = client.incoming_phone_numbers.list(phone_number=NUMBER)
    assert (ours.sid, ours.phone_number, ours.country_code) == (owned.sid, NUMBER, "US")
    assert ours.capabilities == ["MMS", "SMS", "Voice"]
    assert messaging.services(SERVICES[1]).phone_numbers.list()[0].capabilities == ["SMS"]
    assert messaging.services(SERVICES[2]).phone_numbers.list() == []


def test_a_service_takes_its_numbers_texts(messaging: Any, emulator: Emulator, listener: Listener) -> None:
    emulator.configure_number(sms_url=f"{listener.url}/number")
    emulator.inbound_message(PERSON, NUMBER, "hello")
    messaging.services(SERVICES[0]).update(
        inbound_request_url=f"{listener.url}/service",
        inbound_method="GET",
        use_inbound_webhook_on_number=False,
    )
    emulator.inbound_message(PERSON, NUMBER, "hello")
    assert [each.method for each in listener.to("/number")] == ["POST"]
    assert [each.method for each in listener.to("/service")] == ["GET"]


def test_a_service_falls_back(messaging: Any, emulator: Emulator, listener: Listener) -> None:
    messaging.services(SERVICES[0]).update(
        inbound_request_url="http://localhost:9/service",
        fallback_url=f"{listener.url}/fallback",
        use_inbound_webhook_on_number=False,
    )
    emulator.inbound_message(PERSON, NUMBER, "hello")
    assert len(listener.to("/fallback")) == 1


def test_a_service_without_a_url_drops_its_numbers_texts(messaging: Any, emulator: Emulator) -> None:
    messaging.services(SERVICES[0]).update(use_inbound_webhook_on_number=False)
    with pytest.raises(InboundError, match=f"to: the Messaging Service {SERVICES[0]} drops"):
        emulator.inbound_message(PERSON, NUMBER, "hello")
    assert emulator.messages() == []


@pytest.mark.parametrize(
    ("values", "code"),
    [
        ({"inbound_request_url": "nowhere"}, 21402),
        ({"inbound_method": "PUT"}, 21403),
        ({"sticky_sender": True}, 20001),
    ],
)
def test_a_refused_update_changes_nothing(messaging: Any, values: dict[str, Any], code: int) -> None:
    with pytest.raises(TwilioRestException) as caught:
        messaging.services(SERVICES[0]).update(friendly_name="other", **values)
    assert caught.value.code == code
    assert messaging.services(SERVICES[0]).fetch().friendly_name == "Switchboard"


def test_wrong_credentials_are_refused(messaging: Any, emulator: Emulator) -> None:
    stranger = Client("AC" + "0" * 32, "wrong")
    stranger.messaging.base_url = emulator.url
    with pytest.raises(TwilioRestException) as caught:
        stranger.messaging.v1.services(SERVICES[0]).fetch()
    assert caught.value.code == 20003
    assert messaging.services(SERVICES[0]).fetch()


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"use_inbound_webhook_on_number": "no"}, "'no' is not of type 'boolean'"),
        ({"date_created": "Fri, 24 May 2019 17:44:46 +0000"}, "is not a 'date-time'"),
        ({"inbound_request_url": ...}, "inbound_request_url is missing"),
    ],
)
def test_twilios_description_judges_services_too(
    messaging: Any, emulator: Emulator, change: dict[str, Any], problem: str
) -> None:
    messaging.services(SERVICES[0]).fetch()
    exchange = emulator.rest_requests()[-1]
    assert openapi.problems([exchange]) == []
    body = {**json.loads(exchange.answer), **change}
    answer = json.dumps({name: value for name, value in body.items() if value is not ...})
    assert any(problem in each for each in openapi.problems([replace(exchange, answer=answer)]))
