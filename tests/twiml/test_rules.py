"""shared/twiml/rules.py: TwiML and URLs from outside."""

import xml.etree.ElementTree as ET
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import InvalidRequest
from shared.twiml import rules
from tests.flows import PUBLIC, company, parse

KNOWN = company()


def test_allowed_twiml_is_serialized_again() -> None:
    twiml = (
        '<?xml version="1.0"?><!-- hi --><Response><Say>A &amp; B <break time="1s"/>C</Say>'
        f'<Gather action="{PUBLIC}/api/voice"><Play>https://media.example.com/a.mp3</Play></Gather>'
        "<Dial><Number>(202) 555-0101</Number><Client>carol</Client><Queue>support</Queue></Dial></Response>"
    )
    written = rules.check(twiml, KNOWN)
    assert "<!--" not in written
    assert parse(written).find("Say/break") is not None


@pytest.mark.parametrize(
    ("inside", "problem"),
    [
        ("<Dial>+19005550100</Dial>", "<Dial> is a premium rate number"),
        ("<Dial><Number>+442079460123</Number></Dial>", "<Number> is in GB, which ALLOWED_COUNTRIES"),
        ("<Sms to='+442079460123'>x</Sms>", "<Sms> to is in GB"),
        ("<Play>https://evil.example.org/a.mp3</Play>", "<Play> is on evil.example.org, which ALLOWED"),
        ("<Gather action='https://evil.example.org'/>", "<Gather> action is on evil.example.org"),
        ("<Record recordingStatusCallback='http://evil.example.org'/>", "recordingStatusCallback is on"),
        ("<Dial><Sip>sip:a@evil.example.org</Sip></Dial>", "<Sip> is on evil.example.org"),
        ("<Dial><Sip>tel:+1</Sip></Dial>", "<Sip> must be a SIP URI"),
        ("<Redirect/>", "<Redirect> must be an http"),
        ("<Redirect>/relative</Redirect>", "<Redirect> must be an absolute"),
        ("<Connect><Stream url='wss://x'/></Connect>", "<Response> must not hold <Connect>"),
        ("<Say><audio src='x'/></Say>", "<Say> must not hold <audio>"),
        ("<Dial><Client>a</Client>+19005550100</Dial>", "must not hold text after <Client>"),
        ("<Say>" + "<p>" * 20 + "</p>" * 20 + "</Say>", "nested too deeply"),
    ],
)
def test_what_is_not_allowed_is_named(inside: str, problem: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        rules.check(f"<Response>{inside}</Response>", KNOWN)
    assert problem in caught.value.message
    assert caught.value.field == "twiml"


@pytest.mark.parametrize(
    ("dial", "seconds"),
    [
        ("<Dial>+12025550101</Dial>", "1800"),
        ("<Dial timeLimit='60'>+12025550101</Dial>", "60"),
        ("<Dial timeLimit='1800'><Number>+12025550101</Number></Dial>", "1800"),
        ("<Dial timeLimit='1801'><Client>carol</Client></Dial>", "1800"),
        ("<Dial timeLimit='86400'><Sip>sip:a@media.example.com</Sip></Dial>", "1800"),
        ("<Dial timelimit='60'>+12025550101</Dial>", "1800"),
        ("<Dial><Queue>support</Queue></Dial>", "1800"),
        ("<Dial><Conference>standup</Conference></Dial>", "14400"),
        ("<Dial timeLimit='600'><Conference>standup</Conference></Dial>", "600"),
        ("<Dial timeLimit='86400'><Conference>standup</Conference></Dial>", "14400"),
        ("<Dial><Conference>standup</Conference><Number>+12025550101</Number></Dial>", "1800"),
        ("<Dial>+12025550101<Conference>standup</Conference></Dial>", "1800"),
    ],
)
def test_a_dial_gets_our_time_limit_or_its_own_shorter_one(dial: str, seconds: str) -> None:
    written = parse(rules.check(f"<Response>{dial}</Response>", KNOWN))
    assert [each.get("timeLimit") for each in written.iter("Dial")] == [seconds]


def test_every_one_of_several_dials_gets_its_limit() -> None:
    twiml = "<Response>" + "<Dial>+12025550101</Dial>" * 3 + "</Response>"
    known = company(CALL_TIME_LIMIT="600")
    written = parse(rules.check(twiml, known))
    assert [each.get("timeLimit") for each in written] == ["600"] * 3


def test_a_conference_lasts_at_least_as_long_as_a_call() -> None:
    assert company(CALL_TIME_LIMIT="20000").conference_time_limit == 20_000


@pytest.mark.parametrize("asked", ["", "0", "-1", "1.5", "٣", "60 s", "86401", "9" * 5_000])
def test_a_time_limit_that_twilio_would_not_take_is_named(asked: str) -> None:
    twiml = f"<Response><Dial timeLimit='{asked}'>+12025550101</Dial></Response>"
    with pytest.raises(InvalidRequest, match="<Dial> timeLimit must be whole seconds from 1 to 86,400"):
        rules.parse(twiml, KNOWN, limit=rules.MAX_DOCUMENT)


def test_twiml_that_is_too_long_with_its_time_limits_is_refused() -> None:
    twiml = "<Response>" + "<Dial>+12025550101</Dial>" * 150 + "</Response>"
    assert len(twiml) < rules.MAX_INLINE
    with pytest.raises(InvalidRequest, match="with a timeLimit on every <Dial>") as caught:
        rules.check(twiml, KNOWN)
    assert caught.value.status == 413


@pytest.mark.parametrize(
    ("twiml", "problem"),
    [
        ("", "must be TwiML"),
        ("hello", "must be TwiML"),
        ("<Response>", "must be TwiML"),
        ("<html/>", "its root is <html>"),
        ("<Response xmlns='urn:x'/>", "its root is"),
        ("<!DOCTYPE Response><Response/>", "must not have a DOCTYPE"),
        (
            "<!DOCTYPE r [<!ENTITY e SYSTEM 'file:///etc/passwd'>]><Response><Say>&e;</Say></Response>",
            "DOCTYPE",
        ),
        ("<Response><Say>&lol;</Say></Response>", "must be TwiML"),
        ("<Response><Say>\x0b</Say></Response>", "must be TwiML"),
        ("<Response>" + " " * 4_000 + "</Response>", "at most 4,000 characters"),
    ],
)
def test_what_is_no_twiml_is_refused(twiml: str, problem: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        rules.check(twiml, KNOWN)
    assert problem in caught.value.message


@pytest.mark.parametrize(
    "url",
    [
        f"{PUBLIC}/api/voice?x=1",
        "https://switchboard.example.com:8443/x",
        "http://media.example.com/hold%20on.mp3",
        "HTTPS://MEDIA.example.com/a",
    ],
)
def test_our_own_and_allowed_hosts_pass(url: str) -> None:
    assert rules.check_url(url, KNOWN) == url


@pytest.mark.parametrize(
    "url",
    [
        "",
        "/api/voice",
        "//media.example.com/a",
        "ftp://media.example.com/a",
        "javascript:alert(1)",
        "https://evil.example.org/",
        "https://media.example.com.evil.example.org/",
        "https://media.example.com@evil.example.org/",
        "https://evil.example.org#@media.example.com/",
        "https://media.example.com\\@evil.example.org/",
        "https://evil.example.org\n.media.example.com/",
        "https://user:pass@media.example.com/",
        "https://media.example.com:99999999/",
        "https://[media.example.com/",
        "https:media.example.com",
    ],
)
def test_other_urls_are_refused(url: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        rules.check_url(url, KNOWN, "Url")
    assert caught.value.field == "Url"


def test_a_relative_url_is_resolved_against_its_base() -> None:
    base = f"{PUBLIC}/api/twimlets/echo?Twiml=x"
    assert rules.check_url("/x", KNOWN, base=base) == f"{PUBLIC}/x"
    with pytest.raises(InvalidRequest):
        rules.check_url("//evil.example.org/x", KNOWN, base=base)


@given(st.text())
def test_any_url_is_allowed_or_an_invalid_request(text: str) -> None:
    with suppress(InvalidRequest):
        rules.check_url(text, KNOWN, base=PUBLIC)


@given(st.text(), st.text(), st.sampled_from(sorted(rules.CHILDREN)))
def test_any_xml_is_twiml_or_an_invalid_request(text: str, url: str, verb: str) -> None:
    element = ET.Element("Response")
    child = ET.SubElement(element, verb, {"action": url, "to": text})
    child.text = text
    twiml = ET.tostring(element, encoding="unicode")
    with suppress(InvalidRequest):
        assert parse(rules.check(twiml, KNOWN)).tag == "Response"
