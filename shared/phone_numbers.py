"""Phone numbers: parsed, allowed or refused, and masked for logs.

phonenumbers is imported where it is used: most webhooks need none of it.
"""

import re
from functools import lru_cache
from typing import TYPE_CHECKING

from shared.errors import InvalidRequest

if TYPE_CHECKING:
    from shared.config import Settings

# Twilio's test credentials answer these with a chosen error each ("Test Credentials", magic numbers).
TEST_NUMBERS = frozenset(f"+1500555000{digit}" for digit in range(10))

# Toll fraud dials numbers whose owner earns by the minute. Satellite networks and others without a country
# have no ISO code, so ALLOWED_COUNTRIES can never name them.
COSTLY = {"PREMIUM_RATE", "SHARED_COST", "PERSONAL_NUMBER", "PAGER"}

WRITTEN = re.compile(r"[+0-9 ().\-/]{1,40}")


def parse(text: str, field: str = "to", *, region: str | None = None) -> str:
    """The number in E.164, from any usual way of writing it.

    `region` (ISO 3166) is taken for a number without a country code. Raises InvalidRequest naming `field`.
    """
    import phonenumbers

    problem = "must be a phone number in E.164, such as +12025550101"
    if not WRITTEN.fullmatch(text):
        raise InvalidRequest(field, problem)
    try:
        number = phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException as exc:
        raise InvalidRequest(field, problem) from exc
    if not phonenumbers.is_possible_number(number):
        raise InvalidRequest(field, problem)
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def region(number: str) -> str | None:
    """The ISO 3166 country of a number in E.164; None where there is none, as for satellites."""
    return _about(number)[0]


def refusal(number: str, settings: "Settings") -> str | None:
    """Why this number (E.164) may not be called or texted, or None where it may."""
    if number in TEST_NUMBERS:
        return None
    country, kind = _about(number)
    if country is None:
        return "is not a number in use in any country"
    if country not in allowed_countries(settings):
        return f"is in {country}, which ALLOWED_COUNTRIES does not name"
    if kind in COSTLY:
        return f"is a {kind.lower().replace('_', ' ')} number, which is never called or texted"
    return None


def allowed(number: str, settings: "Settings") -> bool:
    """Whether this number (E.164) may be called or texted."""
    return refusal(number, settings) is None


def permitted(text: str, settings: "Settings", field: str = "to", *, region: str | None = None) -> str:
    """The number in E.164, if it may be called or texted. Raises InvalidRequest with why not."""
    number = parse(text, field, region=region)
    reason = refusal(number, settings)
    if reason:
        raise InvalidRequest(field, reason, code="number_not_allowed")
    return number


def allowed_countries(settings: "Settings") -> frozenset[str]:
    """ALLOWED_COUNTRIES, or the country of our own number."""
    return settings.allowed_countries or frozenset({home(settings)})


def home(settings: "Settings") -> str:
    """The country of our own number."""
    return _main_region(settings.from_number)


def masked(address: str) -> str:
    """For logs: +1202***0101 for +12025550101; for anything else its kind alone, such as client:***."""
    scheme, colon, rest = address.rpartition(":")
    if colon and not rest.startswith("+"):
        return f"{scheme.partition(':')[0]}:***"
    if rest.startswith("+") and rest[1:].isdecimal() and len(rest) >= 11:
        return f"{scheme}{colon}{rest[:5]}***{rest[-4:]}"
    return f"{scheme}{colon}***" if rest else ""


@lru_cache(maxsize=4096)
def _about(number: str) -> tuple[str | None, str]:
    """The country, or None if the number is in no numbering plan; and the name of its type (phonenumbers)."""
    import phonenumbers

    try:
        parsed = phonenumbers.parse(number, None)
    except phonenumbers.NumberParseException:
        return None, "UNKNOWN"
    country = phonenumbers.region_code_for_number(parsed)
    if country is None or len(country) != 2 or not country.isalpha():
        return None, "UNKNOWN"
    kind: str = phonenumbers.PhoneNumberType.to_string(phonenumbers.number_type(parsed))
    return country, kind


@lru_cache(maxsize=16)
def _main_region(number: str) -> str:
    import phonenumbers

    parsed = phonenumbers.parse(number, None)
    found = phonenumbers.region_code_for_number(parsed)
    return found or phonenumbers.region_code_for_country_code(parsed.country_code or 0)
