"""shared/web/webhook.py: our Twilio account gets an answer, and any other request gets 403."""

import hashlib
from collections.abc import AsyncIterator, Sequence
from functools import partial
from urllib.parse import parse_qsl, urlencode

import azure.functions as func
import pytest
import pytest_asyncio
from hypothesis import given
from hypothesis import strategies as st
from twilio.request_validator import RequestValidator
from werkzeug.datastructures import MultiDict

from local.host.worker import Answer, Worker
from local.launcher.azurite import StoragePorts
from local.launcher.ports import free_ports
from shared import twilio_helper
from shared.config import Settings
from shared.errors import Forbidden
from shared.services import Services
from shared.sms import status as sms_status
from shared.twiml.request import TwilioRequest
from shared.voice import menu, steps, twimlets
from shared.web import webhook
from tests import webhooks
from tests.clock import NOW
from tests.front import Front
from tests.hanging import hanging_storage
from tests.settings import settings

TOKEN = "twilio_test_auth_token"
FORM = "application/x-www-form-urlencoded"
ACCOUNT = ("AccountSid", "AC" + "0" * 32)
type Pairs = Sequence[tuple[str, str]]


def request(
    url: str,
    pairs: Pairs = (),
    *,
    signature: str | None = None,
    token: str = TOKEN,
    signed_url: str = "",
    method: str = "POST",
    headers: dict[str, str] | None = None,
) -> func.HttpRequest:
    """A request as Twilio sends it, signed with `token` unless a signature is given."""
    if signature is None:
        fields = MultiDict(pairs) if method == "POST" else MultiDict()
        signature = RequestValidator(token).compute_signature(signed_url or url, fields)
    given = {"X-Twilio-Signature": signature, "Content-Type": FORM, **(headers or {})}
    body = urlencode(pairs).encode() if method == "POST" else b""
    return func.HttpRequest(method, url, headers=given, body=body)


def received(req: func.HttpRequest, known: Settings | None = None) -> TwilioRequest:
    return webhook.receive(req, known or settings(), now=NOW)


def is_refused(req: func.HttpRequest, known: Settings | None = None) -> bool:
    try:
        received(req, known)
    except Forbidden:
        return True
    return False


# Test vectors that Twilio publishes, or that its own libraries use.

U = "https://mycompany.com/myapp.php?foo=1&bar=2"
P = [
    ("CallSid", "CA1234567890ABCDE"),
    ("Caller", "+14158675309"),
    ("Digits", "1234"),
    ("From", "+14158675309"),
    ("To", "+18005551212"),
]
JSON_HASH = "0a1ff7634d9ab3b95db5c9a2dfe9416e41502b283a80c7cf19632632f96e6620"
VECTOR = settings(TWILIO_AUTH_TOKEN="12345", PUBLIC_BASE_URL="https://mycompany.com")


@pytest.mark.parametrize(
    ("url", "pairs", "signature"),
    [
        (U, P, "RSOYDt4T1cUTdK1PDd93/VVr8B8="),
        (f"{U}&Body=It's+amazing", P, "dsq4Ehbj6cs+KdTkpF5sSSplOWw="),
        (
            U,
            [("MessagingBinding.Address", "+1325xxxxxxx"), ("MessagingBinding.Address", "+1415xxxxxxx")],
            "83O6e2vORAoJHUNzJjDWN1jz+BA=",
        ),
    ],
)
def test_the_published_vectors_are_good(url: str, pairs: Pairs, signature: str) -> None:
    assert not is_refused(request(url, pairs, signature=signature), VECTOR)
    assert is_refused(request(f"{url}&more=1", pairs, signature=signature), VECTOR)
    assert is_refused(request(url, [*pairs, ("More", "1")], signature=signature), VECTOR)


def json_request(url: str, body: bytes, signature: str) -> func.HttpRequest:
    headers = {"X-Twilio-Signature": signature, "Content-Type": "application/json"}
    return func.HttpRequest("POST", url, headers=headers, body=body)


def test_a_json_body_is_signed_by_its_hash_in_the_url() -> None:
    url, body = f"{U}&bodySHA256={JSON_HASH}", b'{"property": "value", "boolean": true}'
    signature = "a9nBmqA0ju/hNViExpshrM61xv4="
    assert not is_refused(json_request(url, body, signature), VECTOR)
    assert is_refused(json_request(url, body + b" ", signature), VECTOR)
    assert is_refused(json_request(url, b"", signature), VECTOR)


def test_no_body_needs_no_hash() -> None:
    url = "http://localhost:7071/api/voice"
    assert not is_refused(json_request(url, b"", RequestValidator(TOKEN).compute_signature(url, {})))


@pytest.mark.parametrize("body", [b'{"a": 1}', b"\xff\xfe", b"a" * 10])
def test_a_body_that_nothing_signs_is_refused(body: bytes) -> None:
    url = "http://localhost:7071/api/sms"
    assert is_refused(json_request(url, body, RequestValidator(TOKEN).compute_signature(url, {})))


def test_a_form_needs_a_signature_over_its_fields_even_with_a_hash_in_the_url() -> None:
    body = urlencode([("Body", "hi")]).encode()
    url = f"http://localhost:7071/api/sms?bodySHA256={hashlib.sha256(body).hexdigest()}"
    signature = RequestValidator(TOKEN).compute_signature(url, {})
    assert is_refused(request(url, [("Body", "hi")], signature=signature))


# The fields that Twilio signs are the fields that we read.

URL = "http://localhost:7071/api/sms"


def test_blank_and_repeated_fields_are_signed_and_kept() -> None:
    pairs = [("Body", ""), ("Tag", "b"), ("Tag", "a"), ("Tag", "b"), ACCOUNT]
    got = received(request(URL, pairs))
    assert (got.get("Body"), got.get("Tag"), list(got.fields)) == ("", "b", pairs)
    assert "Body" in got.form


def test_a_field_that_is_in_the_query_as_well_is_not_mixed_up() -> None:
    """The signed text joins names and values, so a field must not pass from the URL to the form or back."""
    got = received(request(f"{URL}?From=%2B12025550199", [("From", "+12025550101")]))
    assert (got.get("From"), got.state("From")) == ("+12025550101", "+12025550199")
    assert got.get("To") == ""
    moved = request(f"{URL}?To=1", [("From", "2")])
    assert is_refused(
        request(URL, [("To", "1"), ("From", "2")], signature=moved.headers["X-Twilio-Signature"])
    )


def test_a_get_carries_its_fields_in_the_signed_url() -> None:
    got = received(request(f"{URL}?Body=hi+there&Body=2&Empty=", method="GET"))
    assert (got.get("Body"), got.get("Empty"), list(got.fields)) == ("hi there", "", [])
    assert is_refused(request(f"{URL}?Body=hi", method="GET", signed_url=URL))


@pytest.mark.parametrize(
    "path",
    [
        "/api/voice/step/a%2Fb",
        "/api/sms/",
        "/api/sms?x=%20+%2B&y=%C3%A9&x=",
        "/api//sms",
        "/api/sms?q=It's",
        "/api/sms?a=b&c",
        "/api/sms?%E4",
    ],
)
def test_path_slash_and_percent_encoding_are_kept_as_they_came(path: str) -> None:
    assert not is_refused(request(f"http://localhost:7071{path}", P))


def test_forwarded_headers_with_another_host_or_scheme_are_ignored() -> None:
    known = settings(PUBLIC_BASE_URL="https://example.com")
    headers = {"X-Forwarded-Proto": "http", "X-Forwarded-Host": "evil.example", "Host": "evil.example"}
    behind = request(
        "http://10.0.0.7:80/api/sms?a=1", P, signed_url="https://example.com/api/sms?a=1", headers=headers
    )
    assert received(behind, known).url == "https://example.com/api/sms?a=1"
    evil = "http://evil.example/api/sms?a=1"
    assert is_refused(request(evil, P, signed_url=evil, headers=headers), known)


def test_twilio_may_name_the_default_port_or_not() -> None:
    known = settings(PUBLIC_BASE_URL="https://example.com")
    for signed in ("https://example.com:443/api/sms", "https://example.com/api/sms"):
        assert not is_refused(request("https://example.com/api/sms", P, signed_url=signed), known)


def test_the_secondary_token_is_good_while_tokens_are_rotated() -> None:
    both = settings(TWILIO_AUTH_TOKEN_SECONDARY="the next one")
    assert not is_refused(request(URL, P, token="the next one"), both)
    assert not is_refused(request(URL, P), both)
    assert is_refused(request(URL, P, token="the next one"))
    assert is_refused(request(URL, P, token=""), both)


@pytest.mark.parametrize("account", ["AC" + "1" * 32, "", "ac" + "0" * 32])
def test_a_signature_for_another_account_is_refused(account: str) -> None:
    assert is_refused(request(URL, [("AccountSid", account)]))
    assert is_refused(request(f"{URL}?AccountSid={account}", method="GET"))


@pytest.mark.parametrize("signature", ["", "x", "é" * 28, "\udcff", "RSOYDt4T1cUTdK1PDd93/VVr8B8=", " " * 28])
def test_a_signature_that_does_not_fit_is_refused(signature: str) -> None:
    assert is_refused(request(URL, P, signature=signature))
    assert is_refused(request(URL, method="GET", signature=signature))
    assert not twilio_helper.verified(settings(), URL, {"a": ["b", "c"]}, signature)
    assert not twilio_helper.verified(settings(), URL, "text", signature)


def test_a_form_is_utf_8() -> None:
    headers = {"Content-Type": f"{FORM}; charset=UTF-8"}
    assert received(request(URL, [("Body", "čau 👋")], headers=headers)).get("Body") == "čau 👋"


# Through the worker: the answers, and what a refused request does not do.


@pytest_asyncio.fixture
async def stored(worker: Worker) -> AsyncIterator[Services]:  # noqa: ARG001 - it sets the settings
    """What the app under the worker has stored."""
    found = Services(Settings.from_env())
    yield found
    await found.close()


async def post(
    worker: Worker, front: Front, function: str, path: str, pairs: Pairs, signature: str | None = None
) -> tuple[Answer, dict[str, tuple[str, ...]]]:
    url = f"{front.url}/api/{path}"
    sent = request(url, pairs, signature=signature)
    params = {"step": path.rpartition("/")[2], "name": path.rpartition("/")[2]}
    result = await worker.http(function, "POST", url, dict(sent.headers), sent.get_body(), params)
    assert result.answer is not None
    return result.answer, dict(result.outputs)


WEBHOOKS = [
    ("voice_incoming", "voice"),
    ("voice_step", "voice/step/menu"),
    ("voice_client", "voice/client"),
    ("voice_status", "voice/status"),
    ("sms_incoming", "sms"),
    ("sms_status", "sms/status"),
    ("twimlet", "twimlets/echo"),
]


@pytest.mark.parametrize(("function", "path"), WEBHOOKS)
@pytest.mark.parametrize("signature", ["", "bm90IHNpZ25lZCBieSBhbnlvbmU=", "é" * 28])
async def test_every_webhook_refuses_what_is_not_signed(
    worker: Worker, front: Front, function: str, path: str, signature: str
) -> None:
    stop = [
        ("From", "+12025550101"),
        ("To", "+12025550100"),
        ("Body", "STOP"),
        ("CallStatus", "ringing"),
        ACCOUNT,
    ]
    answer, outputs = await post(worker, front, function, path, stop, signature)
    assert (answer.status, answer.body, outputs) == (403, b"", {})


async def test_a_forged_stop_or_status_changes_nothing(
    worker: Worker, front: Front, stored: Services
) -> None:
    sender, sid = "+12025550151", "CA" + "5" * 32
    stop = [("From", sender), ("Body", "STOP"), ACCOUNT]
    ring = [("CallSid", sid), ("CallStatus", "ringing"), ACCOUNT]
    for signature, counts in (("forged", False), (None, True)):
        await post(worker, front, "sms_incoming", "sms", stop, signature)
        await post(worker, front, "voice_status", "voice/status", ring, signature)
        assert await stored.messages.opted_out(sender) is counts
        assert bool(await stored.calls.find(sid)) is counts


async def test_an_inbound_text_is_answered_in_twiml(worker: Worker, front: Front) -> None:
    pairs = [("From", "+12025550101"), ("To", "+12025550100"), ("Body", "hi"), ACCOUNT]
    answer, _ = await post(worker, front, "sms_incoming", "sms", pairs)
    assert (answer.status, answer.headers["content-type"]) == (200, "text/xml; charset=utf-8")
    assert answer.text.startswith('<?xml version="1.0" encoding="UTF-8"?><Response><Message>Thank you')


async def test_an_unknown_step_or_twimlet_is_404_for_twilio_and_403_for_others(
    worker: Worker, front: Front
) -> None:
    for function, path in (("voice_step", "voice/step/nowhere"), ("twimlet", "twimlets/nothing")):
        assert (await post(worker, front, function, path, [ACCOUNT]))[0].status == 404
        assert (await post(worker, front, function, path, [ACCOUNT], "forged"))[0].status == 403


async def test_storage_that_is_away_is_503_and_a_log_line(
    front: Front, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.storage.tables.TIMEOUTS", {"retry_total": 0})
    storage_account = StoragePorts(*free_ports(3)).connection_string()
    broken = Services(settings(PUBLIC_BASE_URL=front.url, AzureWebJobsStorage=storage_account))
    url = f"{front.url}/api/sms/status?id={'0' * 32}&attempt=a"
    report = request(url, [("MessageStatus", "sent"), ("MessageSid", "SM1"), ACCOUNT])
    answer = await webhooks.record(report, broken, lambda got: sms_status.reported(got, broken.text_outbox))
    await broken.close()
    assert answer.status_code == 503
    assert "table storage does not answer" in caplog.text


async def test_while_storage_hangs_calls_are_answered_and_a_stop_gets_503(
    front: Front, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhook, "ANSWER_SECONDS", 0.3)
    caller = [("From", "+12025550101"), ("To", "+12025550100"), ("CallSid", "CA" + "1" * 32), ACCOUNT]
    async with hanging_storage() as account:
        stuck = Services(settings(PUBLIC_BASE_URL=front.url, AzureWebJobsStorage=account))

        async def status(path: str, flow: webhook.Flow) -> int:
            answer = await webhooks.reply(request(f"{front.url}/api/{path}", caller), stuck, flow)
            return int(answer.status_code)

        async def told(body: str) -> int:
            asked = request(f"{front.url}/api/sms", [*caller, ("Body", body)])
            return int((await webhooks.text(asked, stuck)).status_code)

        assert await status("voice", menu.greeting) == 200
        for step in steps.STEPS:
            assert await status(f"voice/step/{step}", partial(steps.step, step)) == 200, step
        assert await status("twimlets/message?Message=Sorry", partial(twimlets.twimlet, "message")) == 200
        assert "cannot be answered in time" not in caplog.text
        assert await told("hi") == 200
        assert await told("STOP") == 503
        assert caplog.text.count("cannot be answered in time") == 1
        await stuck.close()


@given(st.text(st.sampled_from("ab=&+%4é1F \x00") | st.characters(codec="utf-8"), max_size=40))
def test_a_form_reads_as_the_standard_library_reads_it(text: str) -> None:
    assert list(webhook._pairs(text)) == parse_qsl(text, keep_blank_values=True)
