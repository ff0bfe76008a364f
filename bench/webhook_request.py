"""The request that Twilio makes when a call comes in, signed as Twilio signs it."""

from urllib.parse import urlencode

from twilio.request_validator import RequestValidator

ACCOUNT_SID = "AC" + "0" * 32
AUTH_TOKEN = "twilio_test_auth_token"  # noqa: S105  the well-known token of the laptop edition, no secret
BASE_URL = "http://localhost:7071"
URL = f"{BASE_URL}/api/voice"

ENVIRON = {
    "TWILIO_ACCOUNT_SID": ACCOUNT_SID,
    "TWILIO_AUTH_TOKEN": AUTH_TOKEN,
    "TWILIO_FROM_NUMBER": "+12025550100",
    "PUBLIC_BASE_URL": BASE_URL,
    "SMS_SCHEDULE": "0 0 0 1 1 *",
    "AzureWebJobsStorage": "UseDevelopmentStorage=true",
}
"""The settings that the app cannot do without, and no others."""

# The fields of "TwiML for Programmable Voice: Twilio's request to your application".
FORM = {
    "AccountSid": ACCOUNT_SID,
    "ApiVersion": "2010-04-01",
    "CallSid": "CA" + "1" * 32,
    "CallStatus": "ringing",
    "Called": "+12025550100",
    "CalledCity": "WASHINGTON",
    "CalledCountry": "US",
    "CalledState": "DC",
    "CalledZip": "",
    "Caller": "+12025550101",
    "CallerCity": "WASHINGTON",
    "CallerCountry": "US",
    "CallerState": "DC",
    "CallerZip": "",
    "Direction": "inbound",
    "From": "+12025550101",
    "FromCity": "WASHINGTON",
    "FromCountry": "US",
    "FromState": "DC",
    "FromZip": "",
    "To": "+12025550100",
    "ToCity": "WASHINGTON",
    "ToCountry": "US",
    "ToState": "DC",
    "ToZip": "",
}

BODY = urlencode(FORM).encode()


def headers(signed: bool = True) -> dict[str, str]:
    signature = RequestValidator(AUTH_TOKEN).compute_signature(URL, FORM)
    return {
        "content-type": "application/x-www-form-urlencoded",
        "x-twilio-signature": signature if signed else "AAAAAAAAAAAAAAAAAAAAAAAAAAA=",
    }
