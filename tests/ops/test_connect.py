"""`ops connect` against the Twilio double and the real app."""

import json
from typing import Any

import pytest
from twilio.rest import Client

from local.twilio import ACCOUNT_SID, AUTH_TOKEN, NUMBER, Double
from ops.connect import application_values, number_values
from tests.ops.conftest import Run

pytestmark = pytest.mark.usefixtures("public")


def rest(double: Double) -> Any:
    client = Client(ACCOUNT_SID, AUTH_TOKEN)
    client.api.base_url = double.url
    return client


def number(double: Double, phone_number: str = NUMBER) -> Any:
    return rest(double).incoming_phone_numbers.list(phone_number=phone_number)[0]


def state(double: Double) -> dict[str, str]:
    """What the number has, of what connect sets."""
    owned = number(double)
    return {name: str(getattr(owned, name) or "") for name in number_values("")}


async def test_a_dry_run_changes_nothing(ops: Run, public: str, double: Double) -> None:
    before = state(double)

    result = await ops("connect", NUMBER, "--dry-run")

    assert result.exit_code == 0, result.output
    assert f"{public}/api/voice#ct=2000" in result.output
    assert "Nothing was changed" in result.output
    assert state(double) == before
    assert rest(double).applications.list() == []


async def test_it_sets_the_number_and_makes_the_twiml_app(ops: Run, public: str, double: Double) -> None:
    result = await ops("connect", NUMBER)

    assert result.exit_code == 0, result.output
    assert state(double) == number_values(public)
    (app,) = rest(double).applications.list()
    assert {name: getattr(app, name) for name in application_values(public)} == application_values(public)
    assert "TWILIO_TWIML_APP_SID in .env" in result.output
    assert app.sid in result.output


async def test_connecting_again_finds_nothing_to_do(ops: Run, double: Double) -> None:
    await ops("connect", NUMBER)
    requests = len(double.exchanges())

    result = await ops("connect", NUMBER)

    assert "Nothing to change" in result.output
    assert {each.method for each in double.exchanges()[requests:]} == {"GET"}


async def test_undo_restores_what_was_there_before_the_first_time(ops: Run, double: Double) -> None:
    rest(double).incoming_phone_numbers(number(double).sid).update(
        voice_url="https://old.example.com/voice", voice_method="GET", sms_url="", status_callback=""
    )
    before = state(double)
    await ops("connect", NUMBER)
    rest(double).incoming_phone_numbers(number(double).sid).update(sms_url="https://elsewhere.example.com")
    await ops("connect", NUMBER)

    result = await ops("connect", NUMBER, "--undo")

    assert result.exit_code == 0, result.output
    assert state(double) == before
    assert rest(double).applications.list() == []
    again = await ops("connect", NUMBER, "--undo")
    assert again.exit_code == 1
    assert "nothing is remembered" in again.stderr


async def test_undo_can_be_tried_dry(ops: Run, public: str, double: Double) -> None:
    await ops("connect", NUMBER)

    result = await ops("connect", NUMBER, "--undo", "--dry-run")

    assert "Nothing was changed" in result.output
    assert state(double) == number_values(public)
    assert len(rest(double).applications.list()) == 1


async def test_a_known_twiml_app_is_updated_and_restored(ops: Run, public: str, double: Double) -> None:
    sid = rest(double).applications.create(friendly_name="mine", voice_url="https://old.example.com/").sid

    result = await ops("connect", NUMBER, TWILIO_TWIML_APP_SID=sid)

    (app,) = rest(double).applications.list()
    assert (app.sid, app.voice_url) == (sid, application_values(public)["voice_url"])
    assert "For the softphone" not in result.output
    await ops("connect", NUMBER, "--undo", TWILIO_TWIML_APP_SID=sid)
    (app,) = rest(double).applications.list()
    assert (app.friendly_name, app.voice_url) == ("mine", "https://old.example.com/")


async def test_twilio_then_reaches_the_app(ops: Run, double: Double) -> None:
    await ops("connect", NUMBER)

    text = await double.inbound_message_async("+12025550101", NUMBER, "HELP")
    call = await double.inbound_call_async("+12025550101", NUMBER)

    assert (text.status, call.status) == (200, 200)
    assert "<Message>" in text.twiml
    assert "<Gather" in call.twiml


async def test_json_is_for_programs(ops: Run, public: str) -> None:
    result = await ops("connect", NUMBER, "--json")

    report = json.loads(result.stdout)
    assert report["number"] == NUMBER
    assert report["done"] is True
    assert {
        "what": "number",
        "name": "sms_url",
        "before": "",
        "after": number_values(public)["sms_url"],
    } in report["changes"]


async def test_a_number_of_somebody_else_is_refused_naming_ours(ops: Run) -> None:
    result = await ops("connect", "+12025550150")

    assert result.exit_code == 1
    assert f"+12025550150 is not a number of the account {ACCOUNT_SID}. It has: {NUMBER}" in result.stderr


async def test_a_text_that_is_no_number_is_refused(ops: Run) -> None:
    result = await ops("connect", "12345")

    assert result.exit_code == 1
    assert "NUMBER" in result.stderr
    assert "E.164" in result.stderr


@pytest.mark.parametrize(
    ("url", "fault"),
    [
        ("http://example.com", "must be https"),
        ("https://example.com/api", "must be an origin"),
        ("example.com", "must be an origin"),
        ("http://localhost:9", "cannot be reached"),
    ],
)
async def test_a_url_that_twilio_could_not_use_is_refused(
    ops: Run, double: Double, url: str, fault: str
) -> None:
    before = state(double)

    result = await ops("connect", NUMBER, "--url", url)

    assert result.exit_code == 1
    assert fault in result.stderr
    assert state(double) == before


@pytest.mark.usefixtures("without_from_number")
async def test_an_app_without_its_settings_is_not_connected(ops: Run, double: Double) -> None:
    result = await ops("connect", NUMBER)

    assert result.exit_code == 1
    assert "TWILIO_FROM_NUMBER" in result.stderr
    assert "Nothing was changed" in result.stderr
    assert number(double).voice_url == ""


async def test_wrong_credentials_are_said_in_words(ops: Run) -> None:
    result = await ops("connect", NUMBER, TWILIO_AUTH_TOKEN="wrong")

    assert result.exit_code == 1
    assert "the credentials are wrong (error 20003)" in result.stderr


async def test_missing_credentials_are_named(ops: Run) -> None:
    result = await ops("connect", NUMBER, TWILIO_AUTH_TOKEN="")

    assert result.exit_code == 1
    assert "TWILIO_AUTH_TOKEN must be known here" in result.stderr


async def test_an_api_key_is_used_where_there_is_one(ops: Run) -> None:
    result = await ops("connect", NUMBER, TWILIO_API_KEY="SK" + "0" * 32, TWILIO_API_SECRET="wrong")

    assert "error 20003" in result.stderr


async def test_what_would_take_the_calls_instead_is_cleared(ops: Run, double: Double) -> None:
    # Twilio's OpenAPI description has no empty SID, yet its documentation clears one that way: no judge here.
    double.on_exchange(None)
    app = rest(double).applications.create(friendly_name="other").sid
    rest(double).incoming_phone_numbers(number(double).sid).update(voice_application_sid=app)

    await ops("connect", NUMBER)

    assert number(double).voice_application_sid is None
