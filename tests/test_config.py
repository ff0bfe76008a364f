"""shared/config.py: the settings are read, checked and reported together."""

import pytest

from shared.config import AZURITE, Settings
from shared.errors import SettingsError

MINIMAL = {
    "TWILIO_ACCOUNT_SID": "AC" + "0" * 32,
    "TWILIO_AUTH_TOKEN": "twilio_test_auth_token",
    "TWILIO_FROM_NUMBER": "+12025550100",
    "PUBLIC_BASE_URL": "http://localhost:7071",
    "AzureWebJobsStorage": "UseDevelopmentStorage=true",
    "SMS_SCHEDULE": "*/15 * * * * *",
}


def test_all_missing_settings_are_reported_together() -> None:
    with pytest.raises(SettingsError) as caught:
        Settings.from_env({"TWILIO_AUTH_TOKEN": " "})
    assert caught.value.missing == (
        "TWILIO_ACCOUNT_SID",
        "TWILIO_AUTH_TOKEN",
        "TWILIO_FROM_NUMBER",
        "PUBLIC_BASE_URL",
        "SMS_SCHEDULE",
        "AzureWebJobsStorage",
    )


def test_development_storage_is_azurite() -> None:
    assert Settings.from_env(MINIMAL).storage == AZURITE


def test_identity_based_storage_needs_no_connection_string() -> None:
    environ = {**MINIMAL, "AzureWebJobsStorage": "", "AzureWebJobsStorage__accountName": "example"}
    assert Settings.from_env(environ).storage_account == "example"


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("TWILIO_ACCOUNT_SID", "AC123", "must be AC and 32 hexadecimal digits"),
        ("TWILIO_FROM_NUMBER", "2025550100", "E.164"),
        ("TWILIO_API_KEY", "SK" + "x" * 32, "must be SK and 32 hexadecimal digits"),
        ("PUBLIC_BASE_URL", "https://example.com/api", "must be an origin"),
        ("PUBLIC_BASE_URL", "http://[", "must be an origin"),
        ("PUBLIC_BASE_URL", "https://example.com:99999", "must be an origin"),
        ("TWILIO_BASE_URL", "http://[", "loopback"),
        ("HOLD_MUSIC", "http://[", "must be the URL of an audio file"),
        ("TWILIO_BASE_URL", "https://api.example.com", "loopback"),
        ("ALLOWED_COUNTRIES", "USA", "ISO 3166"),
        ("ALLOWED_TWIML_HOSTS", "https://example.com/", "host names"),
        ("SEND_CONCURRENCY", "0", "above 0"),
        ("MAX_PER_SECOND", "fast", "above 0"),
        ("DAILY_CALL_LIMIT", "0", "above 0"),
        ("CALL_TIME_LIMIT", "0", "from 1 to 86,400"),
        ("CALL_TIME_LIMIT", "86401", "from 1 to 86,400"),
        ("CALL_TIME_LIMIT", "half an hour", "from 1 to 86,400"),
    ],
)
def test_a_malformed_setting_is_named_with_what_would_be_right(name: str, value: str, problem: str) -> None:
    with pytest.raises(SettingsError) as caught:
        Settings.from_env({**MINIMAL, name: value})
    assert caught.value.invalid[0][0] == name
    assert problem in str(caught.value)


@pytest.mark.parametrize(
    ("asked", "platform", "unusable"),
    [
        ("true", "", True),
        ("true", "False", True),
        ("true", "True", False),
        ("true", "true", False),
        ("false", "", False),
        ("false", "True", False),
    ],
)
def test_the_sign_in_counts_only_where_the_platform_says_that_it_is_on(
    asked: str, platform: str, unusable: bool
) -> None:
    known = Settings.from_env(
        {**MINIMAL, "APP_SERVICE_AUTHENTICATION": asked, "WEBSITE_AUTH_ENABLED": platform}
    )
    assert [name for name, _ in known.unusable] == ["APP_SERVICE_AUTHENTICATION"] * unusable


def test_half_an_api_key_is_reported() -> None:
    with pytest.raises(SettingsError, match="TWILIO_API_SECRET"):
        Settings.from_env({**MINIMAL, "TWILIO_API_KEY": "SK" + "0" * 32})


def test_secrets_are_not_in_the_repr() -> None:
    settings = Settings.from_env(
        {
            **MINIMAL,
            "TWILIO_AUTH_TOKEN_SECONDARY": "old_token",
            "TWILIO_API_KEY": "SK" + "0" * 32,
            "TWILIO_API_SECRET": "key_secret",
            "ERASURE_KEY": "erasure_secret",
        }
    )
    shown = repr(settings)
    for secret in ("twilio_test_auth_token", "old_token", "key_secret", "erasure_secret", "AccountKey"):
        assert secret not in shown
    assert settings.auth_tokens == ("twilio_test_auth_token", "old_token")


def test_the_call_flows_settings_are_parsed() -> None:
    known = Settings.from_env(
        MINIMAL
        | {
            "TEAM_NUMBERS": "+12025550102, client:carol,sip:dave@example.com,+12025550102",
            "CONFERENCE_ROOMS": "standup: 4321, board:8765",
            "BLOCKED_NUMBERS": "+12025550109,anonymous",
            "BUSINESS_HOURS": "Mon-Fri 09:00-17:00",
            "TIME_ZONE": "Asia/Seoul",
            "HOLD_MUSIC": "http://localhost:7071/hold.mp3",
        }
    )
    assert known.team_numbers == ("+12025550102", "client:carol", "sip:dave@example.com")
    assert dict(known.conference_rooms) == {"4321": "standup", "8765": "board"}
    assert known.blocked_numbers == {"+12025550109", "anonymous"}
    assert len(known.business_hours) == 1
    assert "4321" not in repr(known)
    hash(known)


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("TEAM_NUMBERS", "2025550102", "E.164"),
        ("TEAM_NUMBERS", ",".join(f"+120255501{last}" for last in range(10, 21)), "at most ten"),
        ("OWNER_NUMBER", "me", "E.164"),
        ("TEAM_RING", "some", "in-turn or all"),
        ("RING_SECONDS", "1", "from 5 to 600"),
        ("BUSINESS_HOURS", "nine to five", "Mon-Fri 09:00-17:00"),
        ("TIME_ZONE", "Seoul", "IANA time zone"),
        ("TIME_ZONE", "../etc", "IANA time zone"),
        ("VOICE_LANGUAGE", "fr-FR", "en-US or ko-KR"),
        ("BLOCKED_NUMBERS", "nobody", "E.164"),
        ("BLOCKED_REASON", "rude", "rejected or busy"),
        ("HOLD_MUSIC", "music.mp3", "audio file"),
        ("HOLD_MUSIC", "https://media.example.org/a.mp3", "ALLOWED_TWIML_HOSTS"),
        ("CONFERENCE_ROOMS", "standup", "PIN of 4 to 12 digits"),
        ("CONFERENCE_ROOMS", "standup:12", "PIN of 4 to 12 digits"),
        ("CONFERENCE_ROOMS", "standup:4321,board:4321", "its own PIN"),
    ],
)
def test_a_wrong_setting_of_the_call_flows_says_what_would_be_right(
    name: str, value: str, problem: str
) -> None:
    with pytest.raises(SettingsError) as caught:
        Settings.from_env({**MINIMAL, name: value})
    ((wrong, why),) = caught.value.invalid
    assert wrong == name
    assert problem in why


# Key Vault references.

REFERENCE = "@Microsoft.KeyVault(SecretUri=https://vault-abc.vault.azure.net/secrets/X/0123456789abcdef)"


def test_a_required_setting_whose_reference_was_not_resolved_is_invalid() -> None:
    with pytest.raises(SettingsError) as caught:
        Settings.from_env({**MINIMAL, "TWILIO_AUTH_TOKEN": REFERENCE})

    ((name, problem),) = caught.value.invalid
    assert name == "TWILIO_AUTH_TOKEN"
    assert "Key Vault Secrets User" in problem
    assert "vault-abc" not in str(caught.value)


def test_so_is_storage_where_nothing_else_says_where_it_is() -> None:
    with pytest.raises(SettingsError) as caught:
        Settings.from_env({**MINIMAL, "AzureWebJobsStorage": REFERENCE})
    assert [name for name, _ in caught.value.invalid] == ["AzureWebJobsStorage"]
    assert caught.value.missing == ()

    found = Settings.from_env(
        {**MINIMAL, "AzureWebJobsStorage": REFERENCE, "AzureWebJobsStorage__accountName": "example"}
    )
    assert found.storage is None


@pytest.mark.parametrize(
    "reference", [REFERENCE, REFERENCE.lower(), "@Microsoft.KeyVault(VaultName=v;SecretName=s)"]
)
@pytest.mark.parametrize(
    ("name", "field"),
    [
        ("TWILIO_AUTH_TOKEN_SECONDARY", "auth_token_secondary"),
        ("TWILIO_API_SECRET", "api_secret"),
        ("ERASURE_KEY", "erasure_key"),
        ("CONFERENCE_ROOMS", "conference_rooms"),
        ("COMPANY_NAME", "company_name"),
    ],
)
def test_an_optional_one_is_off_and_said_to_be(name: str, field: str, reference: str) -> None:
    found = Settings.from_env({**MINIMAL, name: reference})

    assert not getattr(found, field)
    ((unusable, problem),) = found.unusable
    assert unusable == name
    assert "that Azure has not resolved" in problem
    assert found.auth_tokens == ("twilio_test_auth_token",)


def test_an_api_key_without_its_secret_is_not_used() -> None:
    found = Settings.from_env({**MINIMAL, "TWILIO_API_KEY": "SK" + "0" * 32, "TWILIO_API_SECRET": REFERENCE})

    assert (found.api_key, found.api_secret) == (None, None)
    assert [name for name, _ in found.unusable] == ["TWILIO_API_SECRET"]


def test_what_only_mentions_a_reference_is_a_value() -> None:
    found = Settings.from_env({**MINIMAL, "COMPANY_NAME": f"we use {REFERENCE}"})

    assert found.company_name == f"we use {REFERENCE}"
    assert found.unusable == ()
