"""Addresses: numbers in E.164, channels and places. Also, how many segments a text has."""

import functools
import re

import phonenumbers

# Numbers of Twilio's test credentials, and the error of each as sender or recipient
# (twilio.com/docs/iam/test-credentials).
MAGIC_SENDER = "+15005550006"
MAGIC_SMS_FROM = {"+15005550001": 21212, "+15005550007": 21606, "+15005550008": 21611}
MAGIC_SMS_TO = {
    "+15005550001": 21211,
    "+15005550002": 21612,
    "+15005550003": 21408,
    "+15005550004": 21610,
    "+15005550009": 21614,
}
MAGIC_CALL_FROM = {"+15005550001": 21212}
MAGIC_CALL_TO = {
    "+15005550001": 21217,
    "+15005550002": 21214,
    "+15005550003": 21215,
    "+15005550004": 21216,
}
MAGIC_PURCHASE = {"+15005550000": 21422, "+15005550001": 21421}

_E164 = re.compile(r"\+[1-9]\d{6,14}")
_PUNCTUATION = re.compile(r"[\s().\-]")
_ALPHANUMERIC = re.compile(r"(?=.*[A-Za-z])[A-Za-z0-9 ]{1,11}")
_CHANNEL = re.compile(r"(whatsapp|messenger|rcs):(.+)")

# GSM 03.38, basic and extension table: 160 of these fit a segment. Any other character makes the text UCS-2,
# of which 70 fit.
_GSM = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞ ÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_GSM_EXTENSION = frozenset("^{}\\[~]|€\f")


@functools.lru_cache(maxsize=4096)
def e164(text: str) -> str | None:
    """The number in E.164, or None if it cannot be one. As at Twilio, `(202) 555-0101` is a US number."""
    number = _PUNCTUATION.sub("", text)
    if number.isdecimal():
        number = "+" + (number if len(number) != 10 else "1" + number)
    if not number.isascii() or not _E164.fullmatch(number):
        return None
    if number.startswith("+1500555"):
        return number
    try:
        parsed = phonenumbers.parse(number)
    except phonenumbers.NumberParseException:
        return None
    return number if phonenumbers.is_possible_number(parsed) else None


def channel(address: str) -> tuple[str, str]:
    """`("whatsapp", "+1...")` for a channel address, `("", address)` for a plain one."""
    match = _CHANNEL.fullmatch(address)
    return (match[1], match[2]) if match else ("", address)


def is_alphanumeric(sender: str) -> bool:
    return _ALPHANUMERIC.fullmatch(sender) is not None


def segments(text: str) -> int:
    """How many SMS segments a text has: of 160 or 153 GSM-7 septets, else of 70 or 67 UTF-16 units."""
    if all(char in _GSM or char in _GSM_EXTENSION for char in text):
        length = len(text) + sum(char in _GSM_EXTENSION for char in text)
        return 1 if length <= 160 else -(-length // 153)
    length = len(text.encode("utf-16-le")) // 2
    return 1 if length <= 70 else -(-length // 67)


def formatted_name(number: str) -> str:
    """`(202) 555-0101` for a number in North America; any other address unchanged."""
    if len(number) == 12 and number.startswith("+1"):
        return f"({number[2:5]}) {number[5:8]}-{number[8:]}"
    return number


_PLACES = {"202": ("WASHINGTON", "DC", "20001"), "212": ("NEW YORK", "NY", "10001")}


@functools.lru_cache(maxsize=4096)
def geography(prefix: str, address: str) -> tuple[tuple[str, str], ...]:
    """Twilio's City, State, Zip and Country fields for one party. A field is empty if it is not known."""
    number = channel(address)[1]
    city, state, zip_code = (
        _PLACES.get(number[2:5], ("", "", "")) if number.startswith("+1") else ("", "", "")
    )
    country = ""
    if number.startswith("+"):
        try:
            parsed = phonenumbers.parse(number)
            country = phonenumbers.region_code_for_number(
                parsed
            ) or phonenumbers.region_code_for_country_code(parsed.country_code or 0)
        except phonenumbers.NumberParseException:
            country = ""
    fields = (("City", city), ("State", state), ("Zip", zip_code), ("Country", country))
    return tuple((prefix + name, value) for name, value in fields)
