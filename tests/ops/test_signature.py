"""ops/signature.py: every likely mistake is found by recomputing, and the right request is not blamed."""

import pytest
from twilio.request_validator import RequestValidator

from ops import signature
from ops.signature import explain

TOKEN = "the-auth-token"
FIELDS = {"CallSid": "CA" + "0" * 32, "From": "+12025550101", "Digits": "1"}
BASE = "https://app.example.com"
URL = f"{BASE}/api/voice/step/menu?heard=1%202&x=a+b"


def signed(url: str, token: str = TOKEN) -> str:
    return str(RequestValidator(token).compute_signature(url, FIELDS))


def test_a_good_signature_has_no_mistake() -> None:
    found = explain(signed(URL), URL, FIELDS, {"TWILIO_AUTH_TOKEN": TOKEN})

    assert found is not None
    assert found.mistakes == ()


@pytest.mark.parametrize(
    ("twilio", "app", "mistakes"),
    [
        ("http://app.example.com/api/voice", f"{BASE}/api/voice", ("scheme",)),
        ("https://other.example.com/api/voice", f"{BASE}/api/voice", ("host",)),
        (f"{BASE}:8443/api/voice", f"{BASE}/api/voice", ("port",)),
        (f"{BASE}/api/voice", f"{BASE}:8443/api/voice", ("port",)),
        (f"{BASE}/api/voice/", f"{BASE}/api/voice", ("slash",)),
        (f"{BASE}/api/voice", f"{BASE}/api/voice/", ("slash",)),
        (f"{BASE}/api/voice", f"{BASE}/api/voice?code=abc", ("code",)),
        (f"{BASE}/api/voice?a=1", f"{BASE}/api/voice?a=1&code=abc", ("code",)),
        (f"{BASE}/api/voice", f"{BASE}/api/voice?a=1", ("query",)),
        (f"{BASE}/api/sms?b=a%20b", f"{BASE}/api/sms?b=a+b", ("encoding",)),
        (f"{BASE}/api/sms?b=a b", f"{BASE}/api/sms?b=a%20b", ("encoding",)),
        (f"{BASE}/api/voice", f"{BASE}/hook/api/voice", ("prefix",)),
        ("http://app.example.com/api/voice/", f"{BASE}/api/voice", ("scheme", "slash")),
        ("http://localhost:7071/api/voice", "http://127.0.0.1:7071/api/voice", ("host",)),
    ],
)
def test_each_mistake_in_the_url_is_named(twilio: str, app: str, mistakes: tuple[str, ...]) -> None:
    bases = ("https://other.example.com", f"{BASE}:8443")

    found = explain(signed(twilio), app, FIELDS, {"TWILIO_AUTH_TOKEN": TOKEN}, bases)

    assert found is not None
    assert found.mistakes == mistakes
    assert (found.signed, found.expected) == (twilio, app)
    assert found.mend


def test_a_wrong_token_is_named() -> None:
    tokens = {"TWILIO_AUTH_TOKEN": TOKEN, "TWILIO_API_SECRET": "another"}

    found = explain(signed(URL, "another"), URL, FIELDS, tokens)

    assert found is not None
    assert found.mistakes == ("token",)
    assert "TWILIO_API_SECRET" in str(found)


def test_an_unknown_token_or_changed_fields_are_not_explained_away() -> None:
    assert explain(signed(URL, "unknown"), URL, FIELDS, {"TWILIO_AUTH_TOKEN": TOKEN}) is None
    assert explain(signed(URL), URL, FIELDS | {"Digits": "2"}, {"TWILIO_AUTH_TOKEN": TOKEN}) is None


def test_the_simplest_explanation_comes_first() -> None:
    counts = [len(mistakes) for mistakes, _, _ in signature.attempts(URL, {"t": TOKEN, "u": "x"}, (BASE,))]

    assert counts == sorted(counts)
    assert counts[0] == 0
    assert max(counts) == signature.MOST_MISTAKES


def test_a_key_in_a_url_is_not_shown() -> None:
    assert signature.shown(f"{BASE}/api/voice?code=secret") == f"{BASE}/api/voice?code=..."
    assert signature.shown(f"{BASE}/api/voice?code=secret&a=1") == f"{BASE}/api/voice?code=...&a=1"
    assert signature.shown(URL) == URL


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        (f"{BASE}/api/sms", f"{BASE}/api/sms"),
        (
            f"{BASE}/api/sms#ct=2000&rt=7000&rc=2&rp=ct,rt,5xx",
            f"{BASE}/api/sms#ct=2000&rt=7000&rc=2&rp=ct,rt,5xx",
        ),
        (f"{BASE}/api/sms#secret", f"{BASE}/api/sms#..."),
        (f"{BASE}/api/sms#rc=2&secret", f"{BASE}/api/sms#..."),
        (f"{BASE}?key=secret#rc=2", f"{BASE}?key=...#rc=2"),
        (f"{BASE}/a?key=secret&secret&b=", f"{BASE}/...?key=...&...&..."),
        (f"{BASE}/a?key=secret?b=secret", f"{BASE}/...?key=..."),
        (f"{BASE}?c2VjcmV0", f"{BASE}?..."),
        (f"{BASE}?c2VjcmV0==", f"{BASE}?..."),
        ("https://user:secret@example.com:8443/a", "https://...@example.com:8443/..."),
        ("https://user:sec@ret@example.com/a@b", "https://...@example.com/..."),
        ("https://secret@[::1]:8443?a=secret", "https://...@[::1]:8443?a=..."),
        ("user:secret@example.com", "..."),
        ("https://example.com;token=secret/a", "https://example.com.../..."),
        ("example.com/secret/https://example.com/", "example.com/..."),
        ("http://[", "http://["),
        ("", ""),
    ],
)
def test_of_a_masked_url_only_the_place_and_names_are_left(url: str, shown: str) -> None:
    assert signature.masked(url) == shown


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://hook.eu1.make.com/s3cret", "https://hook.eu1.make.com/..."),
        ("https://hooks.slack.com/services/T0/B0/s3cret", "https://hooks.slack.com/..."),
        ("https://hooks.zapier.com/hooks/catch/1/s3cret/", "https://hooks.zapier.com/..."),
        ("https://discord.com/api/webhooks/1/s3cret", "https://discord.com/..."),
        ("https://api.telegram.org/bots3cret/sendMessage", "https://api.telegram.org/..."),
        ("https://b.example.com/s3cret/https://b.example.com/", "https://b.example.com/..."),
        ("http://twimlets.com/forward?PhoneNumber=s3cret", "http://twimlets.com/...?PhoneNumber=..."),
        ("https://demo.twilio.com/welcome/sms/reply/", "https://demo.twilio.com/..."),
        (f"{BASE}/api/voice;token=s3cret", f"{BASE}/..."),
        (f"{BASE}/api/voice/step/s3cret", f"{BASE}/..."),
        (f"{BASE}/api/twimlets/s3cret", f"{BASE}/..."),
    ],
)
def test_a_path_that_may_be_the_secret_is_not_shown(url: str, shown: str) -> None:
    assert signature.masked(url) == shown


@pytest.mark.parametrize(
    "path",
    ["/api/sms", "/api/voice/", "/voice/status", "/api/voice/step/conference-pin", "/api/twimlets/message"],
)
def test_a_path_of_ours_is_shown_wherever_it_leads(path: str) -> None:
    assert signature.masked(f"https://b.example.com{path}") == f"https://b.example.com{path}"
    assert signature.masked(f"{BASE}/s3cret/a{path}") == f"{BASE}/...{path}"


@pytest.mark.parametrize(
    ("fragment", "shown"),
    [
        ("tt=15000&sni=n&e=ashburn,sao-paulo,san-jose-ix&rp=all", True),
        ("sni=s3cret", False),
        ("e=s3cret", False),
        ("e=ashburn,s3cret", False),
        ("rp=ct,s3cret", False),
        ("ct=2025550101", False),
        ("ct=2000&rc=2&", False),
        ("token=5", False),
    ],
)
def test_of_a_fragment_only_what_twilio_takes_is_shown(fragment: str, shown: bool) -> None:
    assert signature.masked(f"{BASE}/api/sms#{fragment}") == f"{BASE}/api/sms#{fragment if shown else '...'}"


@pytest.mark.parametrize(
    ("other", "app", "says"),
    [
        ("https://b.example.com/api/voice", f"{BASE}/api/voice", "https://b.example.com/api/voice"),
        (f"{BASE}/api/voice/", f"{BASE}/api/voice", f"{BASE}/api/voice/"),
        (f"{BASE}/api/voice", f"{BASE}/voice", f"{BASE}/api/voice"),
        (f"{BASE}/proxied/api/voice", f"{BASE}/api/voice", f"{BASE}/.../api/voice"),
    ],
)
def test_what_is_masked_still_shows_the_difference(other: str, app: str, says: str) -> None:
    found = str(signature.Explanation((), other, app, "TWILIO_AUTH_TOKEN"))

    assert found == f"Twilio signs {says}, the app checks {app}"


def test_no_explanation_shows_a_password_or_a_value() -> None:
    other = "https://user:hunter2@b.example.com/api/voice?line=s3cret"

    found = str(signature.Explanation(("host",), other, f"{BASE}/api/voice?line=s3cret", "TWILIO_AUTH_TOKEN"))

    assert "https://...@b.example.com/api/voice?line=..." in found
    assert "hunter2" not in found
    assert "s3cret" not in found


def test_every_mistake_has_a_mend() -> None:
    other = f"{URL}&code=x"
    attempts = signature.attempts(other, {"t": "", "u": "x"}, ("https://b.example.com:8443",))

    found = {name for mistakes, _, _ in attempts for name in mistakes}

    assert found | {"account"} == signature.MENDS.keys()
