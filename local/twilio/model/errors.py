"""Twilio's errors, as its REST API answers them.

Codes and their meaning are from Twilio's Error and Warning Dictionary (twilio.com/docs/api/errors).
"""

from dataclasses import dataclass

from local.phone.twiml.notices import TITLES

_MEANING = {
    11200: "HTTP retrieval failure",
    11205: "HTTP connection failure",
    12100: "Document parse failure",
    12200: "Schema validation warning",
    12300: "Invalid Content-Type",
    20001: "Unknown parameters",
    20003: "Authenticate",
    20004: "Method not allowed",
    20005: "Account not active",
    20403: "403 Forbidden",
    20404: "The requested resource was not found",
    20409: "Conflict",
    20422: "Invalid Parameter",
    20429: "Too Many Requests",
    20500: "An internal server error has occurred",
    20503: "Service unavailable",
    21201: "No 'To' number is specified",
    21203: "International calling not enabled",
    21205: "Url is not a valid URL",
    21208: "Invalid Timeout",
    21209: "Invalid Method",
    21210: "The source phone number provided is not yet verified for your account",
    21211: "Invalid 'To' Phone Number",
    21212: "Invalid 'From' Number",
    21213: "No 'From' number is specified",
    21214: "'To' phone number cannot be reached",
    21215: "Account not authorized to call this number. Please check your international permissions",
    21216: "Call blocked by Twilio",
    21217: "Phone number does not appear to be valid",
    21218: "Invalid ApplicationSid",
    21219: "The number is unverified. Trial accounts may only make calls to verified numbers",
    21220: "Call is not in-progress. Cannot redirect.",
    21234: "Invalid Machine Detection configuration value",
    21265: "'To' number cannot be a Short Code",
    21266: "'To' and 'From' number cannot be the same",
    21268: "Sending to Premium rate or Information Service numbers is not allowed",
    21402: "Invalid Url",
    21403: "Invalid Method",
    21408: "Permission to send an SMS has not been enabled for the region indicated by the 'To' number",
    21421: "PhoneNumber is invalid",
    21422: "PhoneNumber is not available",
    21452: "No phone numbers found in area code",
    21481: "Invalid PageToken",
    21601: "Phone number is not a valid SMS-capable inbound phone number",
    21602: "Message body is required",
    21603: "A 'From' phone number is required",
    21604: "A 'To' phone number is required",
    21606: "'From' number is not a valid message-capable Twilio number for this account",
    21608: "The number is unverified. Trial accounts cannot send messages to unverified numbers",
    21609: "Invalid 'StatusCallback'",
    21610: "Attempt to send to unsubscribed recipient",
    21611: "This 'From' number has exceeded the maximum number of queued messages",
    21612: "Message cannot be sent with the current combination of 'To' and/or 'From' parameters",
    21614: "'To' number is not a valid mobile number",
    21617: "The concatenated message body exceeds the 1600 character limit",
    21619: "A text message body or media urls must be specified.",
    21620: "Invalid media URL(s)",
    21623: "Number of media files exceeds allowed limit",
    21624: "Invalid validity period value",
    21626: "Invalid 'StatusCallbackEvent'",
    21635: "'To' number cannot be a landline",
    21659: "'From' is not a Twilio phone number or Short Code country mismatch",
    21660: "Mismatch between the 'From' number and the account",
    21661: "'From' number is not SMS-capable",
    21701: "The Messaging Service does not exist",
    21703: "The Messaging Service does not have a phone number available to send a message",
    21704: "The Messaging Service contains no phone numbers",
    30001: "Queue overflow",
    30002: "Account suspended",
    30003: "Unreachable destination handset",
    30004: "Message blocked",
    30005: "Unknown destination handset",
    30006: "Landline or unreachable carrier",
    30007: "Carrier violation",
    30008: "Unknown error",
    30034: "US A2P 10DLC - Message from an Unregistered Number",
    30409: "Could not cancel message: it is not in a cancelable state",
    35111: "SendAt timestamp is missing",
    35114: "SendAt time must be between 300 seconds and 35 days in the future",
    63007: "Twilio could not find a Channel with the specified From address",
    63016: "Failed to send freeform message because you are outside the allowed window",
    63038: "Account exceeded the daily messages limit",
}
_STATUS = {
    20003: 401,
    20004: 405,
    20403: 403,
    20404: 404,
    20409: 409,
    20429: 429,
    20500: 500,
    20503: 503,
    30409: 409,
}


def meaning(code: int) -> str:
    """Twilio's short text for an error code."""
    return _MEANING.get(code) or TITLES.get(code) or f"Error {code}"


@dataclass
class ApiError(Exception):
    """A request that Twilio refuses. status is the HTTP status, by default what Twilio uses for the code."""

    code: int
    message: str = ""
    status: int = 0
    retry_after: int | None = None

    def __post_init__(self) -> None:
        self.message = self.message or meaning(self.code)
        self.status = self.status or _STATUS.get(self.code, 400)
        super().__init__(f"{self.code}: {self.message}")

    def body(self) -> dict[str, object]:
        return {
            "code": self.code,
            "message": self.message,
            "more_info": f"https://www.twilio.com/docs/errors/{self.code}",
            "status": self.status,
        }


def not_found(path: str) -> ApiError:
    return ApiError(20404, f"The requested resource {path} was not found")
