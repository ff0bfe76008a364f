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
        ("PUBLIC_BASE_URL", "https://example.com/api", "must be an origin"),
        ("TWILIO_BASE_URL", "https://api.example.com", "loopback"),
        ("ALLOWED_COUNTRIES", "USA", "ISO 3166"),
        ("ALLOWED_TWIML_HOSTS", "https://example.com/", "host names"),
        ("SEND_CONCURRENCY", "0", "above 0"),
        ("MAX_PER_SECOND", "fast", "above 0"),
    ],
)
def test_a_malformed_setting_is_named_with_what_would_be_right(name: str, value: str, problem: str) -> None:
    with pytest.raises(SettingsError) as caught:
        Settings.from_env({**MINIMAL, name: value})
    assert caught.value.invalid[0][0] == name
    assert problem in str(caught.value)


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
