"""shared/web/access_token.py: what a token contains, and when none is minted."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pytest
import pytest_asyncio

from local.twilio import Emulator, Options
from shared.config import Settings
from shared.errors import InvalidRequest, SettingsError, TooMany
from shared.services import Services
from shared.web import access_token
from tests import calling, openapi
from tests.app import App
from tests.azurite import Azurite
from tests.settings import settings
from tests.web.conftest import API_KEY, SOFTPHONE, TWIML_APP

SECRET = SOFTPHONE["TWILIO_API_SECRET"]
RESTRICTED = "SK" + "2" * 32
PERSON = "Jane.Doe@contoso.com"


@pytest.fixture
def keyed(emulator: Emulator) -> Emulator:
    """A Twilio that has two API keys, one of them restricted."""
    keys = {API_KEY: SECRET, RESTRICTED: SECRET}
    emulator.reset(Options(api_keys=keys, restricted_keys=frozenset({RESTRICTED})))
    return emulator


@pytest_asyncio.fixture
async def services(keyed: Emulator, azurite: Azurite) -> AsyncIterator[Services]:
    made = Services(set_up(keyed, azurite))
    yield made
    await made.close()


def set_up(emulator: Emulator, azurite: Azurite, **changes: str) -> Settings:
    given = {**SOFTPHONE, "TWILIO_BASE_URL": emulator.url, "AzureWebJobsStorage": azurite.fresh_account()}
    return settings(**{**given, **changes})


def now() -> datetime:
    return datetime.now(UTC)


async def mint(principal: str, services: Services, at: datetime | None = None) -> dict[str, Any]:
    known = services.settings
    return await access_token.mint(principal, known, services.twilio, services.limits, now=at or now())


async def test_a_token_is_for_one_identity_and_one_app_and_ends(services: Services) -> None:
    minted = await mint("", services)
    claims = jwt.decode(minted["token"], SECRET, algorithms=["HS256"])
    assert jwt.get_unverified_header(minted["token"])["cty"] == "twilio-fpa;v=1"
    assert (claims["iss"], claims["sub"]) == (API_KEY, "AC" + "0" * 32)
    assert claims["grants"] == {
        "identity": "agent",
        "voice": {"incoming": {"allow": True}, "outgoing": {"application_sid": TWIML_APP}},
    }
    assert "nbf" not in claims
    assert 3590 < claims["exp"] - now().timestamp() <= 3600
    assert datetime.fromisoformat(minted["expires_at"]).timestamp() == pytest.approx(claims["exp"], abs=2)


async def test_settings_say_who_it_is_for_and_how_long(keyed: Emulator, azurite: Azurite) -> None:
    made = Services(set_up(keyed, azurite, CLIENT_IDENTITY="front_desk", CLIENT_TOKEN_SECONDS="90"))
    minted = await mint(PERSON, made)
    claims = jwt.decode(minted["token"], SECRET, algorithms=["HS256"])
    assert minted["identity"] == claims["grants"]["identity"] == "front_desk"
    assert claims["exp"] - now().timestamp() <= 90
    await made.close()


async def test_a_sign_in_counts_only_where_a_setting_says_that_it_is_on(
    keyed: Emulator, azurite: Azurite
) -> None:
    made = Services(set_up(keyed, azurite, APP_SERVICE_AUTHENTICATION="true", WEBSITE_AUTH_ENABLED="True"))
    minted = await mint(PERSON, made)
    assert minted["identity"] == "jane_dot_doe_at_contoso_dot_com"
    others = [await mint(name, made) for name in ("jane_dot_doe@contoso.com", "김@x.kr")]
    assert [each["identity"] for each in others] == [
        "jane__dot__doe_at_contoso_dot_com",
        "_xae40__at_x_dot_kr",
    ]
    long = await mint(f"{'a' * 120}@contoso.com", made)
    assert len(long["identity"]) <= 121
    with pytest.raises(InvalidRequest, match="sign in first") as refused:
        await mint("", made)
    assert refused.value.status == 401
    await made.close()


@pytest.mark.parametrize("platform", ["", "False", "yes", "1"])
async def test_while_the_sign_in_is_off_nobody_can_say_who_they_are(
    keyed: Emulator, azurite: Azurite, platform: str
) -> None:
    made = Services(set_up(keyed, azurite, APP_SERVICE_AUTHENTICATION="true", WEBSITE_AUTH_ENABLED=platform))
    for forged in (PERSON, ""):
        with pytest.raises(SettingsError, match="APP_SERVICE_AUTHENTICATION is true, but") as refused:
            await mint(forged, made)
        assert "WEBSITE_AUTH_ENABLED" in str(refused.value)
    await made.close()


async def test_without_the_setting_a_sign_in_changes_nothing(keyed: Emulator, azurite: Azurite) -> None:
    made = Services(set_up(keyed, azurite, WEBSITE_AUTH_ENABLED="True"))
    assert (await mint(PERSON, made))["identity"] == "agent"
    await made.close()


async def test_missing_settings_are_named(keyed: Emulator, azurite: Azurite) -> None:
    made = Services(set_up(keyed, azurite, TWILIO_API_KEY="", TWILIO_API_SECRET="", TWILIO_TWIML_APP_SID=""))
    with pytest.raises(SettingsError, match="missing app settings: TWILIO_API_KEY, TWILIO_TWIML_APP_SID"):
        await mint("", made)
    await made.close()


async def test_a_restricted_key_is_refused_and_so_is_one_that_is_not_ours(
    keyed: Emulator, azurite: Azurite
) -> None:
    for key, why in [
        (RESTRICTED, "is a restricted key"),
        ("SK" + "3" * 32, "is not an API key of this account"),
    ]:
        made = Services(set_up(keyed, azurite, TWILIO_API_KEY=key))
        with pytest.raises(SettingsError, match=f"TWILIO_API_KEY {why}"):
            await mint("", made)
        await made.close()


async def test_the_key_is_looked_up_once_as_twilio_describes_it(services: Services, keyed: Emulator) -> None:
    for _ in range(3):
        await mint("", services)
    asked = [each for each in keyed.rest_requests() if each.path.startswith("/v1/Keys/")]
    assert len(asked) == 1
    assert not openapi.problems(asked)


async def test_a_token_is_minted_while_twilio_is_away(keyed: Emulator, azurite: Azurite) -> None:
    made = Services(set_up(keyed, azurite, TWILIO_BASE_URL="http://127.0.0.1:9"))
    assert (await mint("", made))["identity"] == "agent"
    await made.close()


async def test_an_identity_gets_a_limited_number_of_tokens_a_minute(services: Services) -> None:
    at = now().replace(second=50)
    for _ in range(access_token.PER_MINUTE):
        await mint("", services, at)
    with pytest.raises(TooMany) as refused:
        await mint("", services, at)
    assert refused.value.retry_after == 10
    other = Services(services.settings)  # another instance
    with pytest.raises(TooMany):
        await mint("", other, at)
    await mint("", other, at + timedelta(seconds=10))
    await other.close()


async def test_the_route_believes_no_header_while_the_sign_in_is_off(app: App) -> None:
    header = {"X-MS-CLIENT-PRINCIPAL-NAME": PERSON}
    with calling.settings_with(**SOFTPHONE, APP_SERVICE_AUTHENTICATION="true"):
        answer = (
            await app.worker.http("token_mint", "POST", f"{app.origin}/api/token", header, b"{}")
        ).answer
    assert answer is not None
    assert answer.status == 503
    assert "APP_SERVICE_AUTHENTICATION is true, but" in answer.json()["error"]["message"]


async def test_the_route_says_which_setting_is_missing(app: App) -> None:
    status, answer = await app.post("token_mint", {})
    assert status == 503
    assert answer["error"]["code"] == "missing_settings"
    assert "TWILIO_API_KEY, TWILIO_TWIML_APP_SID" in answer["error"]["message"]
