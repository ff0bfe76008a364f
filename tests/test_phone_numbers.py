"""shared/phone_numbers.py: parsed, allowed or refused, masked."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared import phone_numbers
from shared.errors import InvalidRequest
from shared.voice.context import WITHHELD
from tests.flows import settings


@pytest.mark.parametrize(
    "written", ["+12025550101", "+1 (202) 555-0101", "+1 202.555.0101", "+1-202-555-0101"]
)
def test_a_number_in_any_usual_writing_is_parsed(written: str) -> None:
    assert phone_numbers.parse(written) == "+12025550101"


def test_a_number_without_a_country_code_needs_a_region() -> None:
    assert phone_numbers.parse("(202) 555-0101", region="US") == "+12025550101"
    with pytest.raises(InvalidRequest):
        phone_numbers.parse("(202) 555-0101")


@pytest.mark.parametrize(
    "text", ["", "+", "hello", "+1", "+120255501010000", "+12025550101x5", "call +12025550101", "\ud800"]
)
def test_what_is_no_number_is_refused_by_field(text: str) -> None:
    with pytest.raises(InvalidRequest, match=r"to: .*E\.164") as caught:
        phone_numbers.parse(text)
    assert caught.value.field == "to"


def test_by_default_only_our_own_country_is_called() -> None:
    assert phone_numbers.allowed("+12025550101", settings())
    assert not phone_numbers.allowed("+821012345678", settings())
    assert phone_numbers.allowed("+821012345678", settings(TWILIO_FROM_NUMBER="+821087654321"))


def test_allowed_countries_are_named() -> None:
    known = settings(ALLOWED_COUNTRIES="us,kr")
    assert phone_numbers.allowed("+821012345678", known)
    assert not phone_numbers.allowed("+442079460123", known)


@pytest.mark.parametrize(
    ("number", "why"),
    [
        ("+19005550100", "premium rate"),
        ("+448712345678", "premium rate"),
        ("+447012345678", "personal number"),
        ("+15335550123", "personal number"),
        ("+18765550123", "is in JM"),
        ("+8821612345678", "in use in any country"),
        ("+870773123456", "in use in any country"),
    ],
)
def test_toll_fraud_ranges_are_refused_even_in_allowed_countries(number: str, why: str) -> None:
    with pytest.raises(InvalidRequest, match=why) as caught:
        phone_numbers.permitted(number, settings(ALLOWED_COUNTRIES="US,GB"))
    assert caught.value.code == "number_not_allowed"


def test_what_stands_for_a_withheld_number_is_refused() -> None:
    assert not any(phone_numbers.allowed(number, settings()) for number in WITHHELD)


def test_shared_cost_is_refused() -> None:
    assert not phone_numbers.allowed("+491803123456", settings(ALLOWED_COUNTRIES="DE"))


def test_toll_free_and_fictitious_numbers_pass() -> None:
    for number in ("+18005551212", *(f"+120255501{last:02}" for last in range(100))):
        assert phone_numbers.allowed(number, settings()), number


def test_the_magic_numbers_of_twilios_test_credentials_pass() -> None:
    assert phone_numbers.allowed("+15005550001", settings())


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("+12025550101", "+1202***0101"),
        ("whatsapp:+12025550101", "whatsapp:+1202***0101"),
        ("client:alice", "client:***"),
        ("sip:alice@example.com", "sip:***"),
        ("anonymous", "***"),
        ("+2562533", "***"),
        ("", ""),
    ],
)
def test_addresses_are_masked_for_logs(address: str, shown: str) -> None:
    assert phone_numbers.masked(address) == shown


@given(st.text())
def test_any_text_is_a_number_or_an_invalid_request(text: str) -> None:
    try:
        number = phone_numbers.parse(text, region="US")
    except InvalidRequest:
        return
    assert number.startswith("+")
    assert phone_numbers.parse(number) == number
    phone_numbers.refusal(number, settings())


@given(st.from_regex(r"\+[1-9][0-9]{9,14}", fullmatch=True))
def test_a_mask_shows_eight_digits_at_most(number: str) -> None:
    shown = phone_numbers.masked(number)
    assert "***" in shown
    assert sum(character.isdecimal() for character in shown) <= 8
