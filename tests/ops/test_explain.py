"""`ops explain`: a signature that was caught, with the fields that came with it."""

import json

from twilio.request_validator import RequestValidator

from tests.ops.conftest import Run

URL = "https://app.example.com/api/voice"
FIELDS = {"CallSid": "CA1", "Digits": "1"}
ARGUMENTS = tuple(f"{name}={value}" for name, value in FIELDS.items())
TOKEN = "twilio_test_auth_token"


def signed(url: str, token: str = TOKEN) -> str:
    return str(RequestValidator(token).compute_signature(url, FIELDS))


async def test_a_good_one_fits(ops: Run) -> None:
    result = await ops("explain", signed(URL), URL, *ARGUMENTS, TWILIO_AUTH_TOKEN=TOKEN)

    assert (result.exit_code, result.output) == (0, "It fits.\n")


async def test_the_mistake_is_named_with_what_mends_it(ops: Run) -> None:
    result = await ops("explain", signed(f"{URL}/"), URL, *ARGUMENTS, TWILIO_AUTH_TOKEN=TOKEN)

    assert result.exit_code == 1
    assert f"Because of the slash: Twilio signs {URL}/, the app checks {URL}" in result.output
    assert "leave it out at Twilio" in result.output


async def test_what_fits_nothing_is_said_to_fit_nothing(ops: Run) -> None:
    result = await ops("explain", signed(URL, "other"), URL, *ARGUMENTS, "--json", TWILIO_AUTH_TOKEN=TOKEN)

    assert result.exit_code == 1
    assert json.loads(result.stdout) == {"mistakes": None, "signed_url": None}


async def test_what_is_no_url_is_said_to_be_none(ops: Run) -> None:
    for arguments in (["http://["], ["https://example.com:99999/api"], [URL, "--base", "http://["]):
        result = await ops("explain", signed(URL), *arguments, TWILIO_AUTH_TOKEN=TOKEN)

        assert result.exit_code == 1
        assert "must begin with an origin, such as https://example.azurewebsites.net" in result.stderr


async def test_a_field_without_a_value_is_wrong_usage(ops: Run) -> None:
    result = await ops("explain", signed(URL), URL, "Digits", TWILIO_AUTH_TOKEN=TOKEN)

    assert result.exit_code == 2
    assert "FIELD=VALUE" in result.stderr
