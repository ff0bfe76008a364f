"""tests/openapi.py: the judge finds what does not fit, so that its silence means something."""

import json
from dataclasses import replace
from typing import Any

import pytest
from twilio.rest import Client

from local.twilio import ACCOUNT_SID, AUTH_TOKEN, NUMBER, Emulator
from local.twilio.carrier.backend import RestRequest
from tests import openapi


@pytest.fixture
def created(emulator: Emulator) -> RestRequest:
    """A good creation of a message, as the emulator recorded it."""
    client = Client(ACCOUNT_SID, AUTH_TOKEN)
    client.api.base_url = emulator.url
    client.messages.create(to="+12025550101", from_=NUMBER, body="hello")
    (exchange,) = emulator.rest_requests()
    assert openapi.problems([exchange]) == []
    return exchange


@pytest.mark.parametrize(
    ("form", "problem"),
    [
        ("To=%2B12025550101&Form=typo", "there is no parameter Form"),
        ("Body=hello", "To is required"),
        ("To=%2B12025550101&MessagingServiceSid=MG1", "MessagingServiceSid"),
        ("To=%2B12025550101&ValidityPeriod=soon", "'soon' is not of type 'integer'"),
        ("To=%2B12025550101&To=%2B12025550102", "To is given 2 times"),
        ("To=%2B12025550101&SmartEncoded=perhaps", "'perhaps' is not of type 'boolean'"),
    ],
)
def test_a_request_that_does_not_fit_is_found(created: RestRequest, form: str, problem: str) -> None:
    assert any(problem in each for each in openapi.problems([replace(created, form=form)]))
    lost = replace(created, form=form, status=None, answer="")
    assert any(problem in each for each in openapi.problems([lost]))


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"status": "gone"}, "'gone' is not one of"),
        ({"date_created": "2026-01-31T00:00:00Z"}, "is not a 'date-time-rfc-2822'"),
        ({"num_segments": 1}, "1 is not of type 'string'"),
        ({"error_code": "30003"}, "'30003' is not of type 'integer'"),
        ({"sid": "SM123"}, "'SM123'"),
        ({"extra": 1}, "extra is not described"),
        ({"price": ...}, "price is missing"),
    ],
)
def test_an_answer_that_does_not_fit_is_found(
    created: RestRequest, change: dict[str, Any], problem: str
) -> None:
    body = {**json.loads(created.answer), **change}
    answer = json.dumps({name: value for name, value in body.items() if value is not ...})
    assert any(problem in each for each in openapi.problems([replace(created, answer=answer)]))


def test_other_misfits_are_found(created: RestRequest) -> None:
    for wrong, problem in (
        (replace(created, status=202), "202 is not one of 201"),
        (replace(created, path=created.path.replace("Messages", "Letters")), "not in the description"),
        (replace(created, content_type="application/json"), "not form encoded"),
        (replace(created, status=400, answer='{"code":1}'), "the error body"),
        (replace(created, query="Bogus=1"), "there is no parameter Bogus"),
    ):
        assert any(problem in each for each in openapi.problems([wrong])), problem
