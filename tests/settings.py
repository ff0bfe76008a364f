"""Settings for tests: the well-known account of the laptop edition, and whatever a test changes."""

from shared.config import Settings

ENVIRON = {
    "TWILIO_ACCOUNT_SID": "AC" + "0" * 32,
    "TWILIO_AUTH_TOKEN": "twilio_test_auth_token",
    "TWILIO_FROM_NUMBER": "+12025550100",
    "PUBLIC_BASE_URL": "http://localhost:7071",
    "AzureWebJobsStorage": "UseDevelopmentStorage=true",
    "SMS_SCHEDULE": "*/15 * * * * *",
}


def settings(**changes: str) -> Settings:
    """Settings as an environment with these changes gives them."""
    return Settings.from_env({**ENVIRON, **changes})
