"""The emulator's HTTP server: whose requests it takes, and its control API."""

from typing import Any

import pytest
import requests

from local.twilio import ACCOUNT_SID, AUTH_TOKEN, NUMBER, Emulator
from tests.listener import Answer, Listener

PERSON = "+12025550101"


def ask(emulator: Emulator, method: str, path: str, **values: Any) -> requests.Response:
    return requests.request(method, emulator.url + path, timeout=20, **values)


@pytest.mark.parametrize(
    "path", ["/", "/emulator/ledger", f"/2010-04-01/Accounts/{ACCOUNT_SID}/Messages.json"]
)
@pytest.mark.parametrize("host", ["example.com", "localhost", "127.0.0.1:1", "127.0.0.1.example.com"])
def test_another_host_name_is_refused(emulator: Emulator, path: str, host: str) -> None:
    answer = ask(emulator, "GET", path, headers={"Host": host}, auth=(ACCOUNT_SID, AUTH_TOKEN))
    assert answer.status_code == 421


def test_every_loopback_name_is_served(emulator: Emulator) -> None:
    for name in ("127.0.0.1", "localhost", "[::1]"):
        answer = ask(emulator, "GET", "/emulator/health", headers={"Host": f"{name}:{emulator.port}"})
        assert answer.json() == {"status": "ok", "account_sid": ACCOUNT_SID}


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://example.com"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_a_page_of_another_origin_is_refused(emulator: Emulator, headers: dict[str, str]) -> None:
    for method, path in (("GET", "/emulator/ledger"), ("POST", "/emulator/reset"), ("GET", "/")):
        answer = ask(emulator, method, path, headers=headers)
        assert answer.status_code == 403
        assert "Access-Control-Allow-Origin" not in answer.headers
    assert ask(emulator, "GET", "/emulator/ledger", headers={"Origin": emulator.url}).ok


def test_a_form_cannot_control_it(emulator: Emulator) -> None:
    answer = ask(emulator, "POST", "/emulator/inbound/message", data={"from": PERSON})
    assert (answer.status_code, answer.json()["error"]) == (415, "Content-Type: must be application/json")


@pytest.mark.parametrize(
    ("method", "path", "body", "problem"),
    [
        ("POST", "/emulator/inbound/message", {"to": NUMBER, "body": "x"}, "from: must be text"),
        (
            "POST",
            "/emulator/inbound/message",
            {"from": PERSON, "to": NUMBER, "body": 1},
            "body: must be text",
        ),
        (
            "POST",
            "/emulator/inbound/message",
            {"from": PERSON, "to": NUMBER, "body": "x", "media_urls": "one"},
            "media_urls: must be a list of URLs",
        ),
        ("POST", "/emulator/inbound/call", {"from": "x", "to": NUMBER}, "from: must be a phone number"),
        ("PUT", "/emulator/faults", {"nope": 1}, "nope: no such fault"),
        ("POST", "/emulator/faults/plan", {"kind": "nope"}, "kind: must be one of"),
        ("PUT", "/emulator/pace", {"step": -1}, "step: must be seconds"),
        ("POST", "/emulator/away", {}, "seconds: must be above 0"),
        ("POST", "/emulator/settle", {"timeout": "long"}, "timeout: must be above 0"),
    ],
)
def test_control_names_what_is_wrong(
    emulator: Emulator, method: str, path: str, body: dict[str, Any], problem: str
) -> None:
    answer = ask(emulator, method, path, json=body)
    assert answer.status_code == 422
    assert answer.json()["error"].startswith(problem)


def test_control_takes_a_json_object(emulator: Emulator) -> None:
    headers = {"Content-Type": "application/json"}
    for data in ("{", "[]"):
        assert ask(emulator, "PUT", "/emulator/faults", data=data, headers=headers).status_code == 400


def test_the_control_api_does_what_the_class_does(emulator: Emulator, listener: Listener) -> None:
    listener.answers["/sms"] = Answer("<Response><Message>Hi</Message></Response>")
    listener.answers["/voice"] = Answer("<Response><Say>Hi</Say></Response>")
    emulator.configure_number(sms_url=f"{listener.url}/sms", voice_url=f"{listener.url}/voice")
    text = ask(
        emulator, "POST", "/emulator/inbound/message", json={"from": PERSON, "to": NUMBER, "body": "hello"}
    ).json()
    assert (text["status"], len(text["replies"])) == (200, 1)
    call = ask(emulator, "POST", "/emulator/inbound/call", json={"from": PERSON, "to": NUMBER}).json()
    assert (call["status"], call["twiml"]) == (200, "<Response><Say>Hi</Say></Response>")
    assert ask(emulator, "POST", "/emulator/settle", json={"timeout": 20}).json() == {"settled": True}
    ledger = ask(emulator, "GET", "/emulator/ledger").json()
    assert [each["body"] for each in ledger["messages"]] == ["Hi"]
    kept = ask(emulator, "GET", "/emulator/deliveries", params={"sid": call["sid"]}).json()["deliveries"]
    assert [(each["kind"], each["status"]) for each in kept] == [("voice", 200)]
    shown = ask(emulator, "GET", f"/emulator/calls/{call['sid']}").json()
    assert shown["documents"][0]["twiml"] == call["twiml"]
    assert ask(emulator, "GET", "/emulator/calls/CA0").status_code == 404
    assert ask(emulator, "PUT", "/emulator/pace", json={"step": 30}).json()["step"] == 30
    faults = ask(emulator, "PUT", "/emulator/faults", json={"lost_answers": 0.05, "list_dark": True}).json()
    assert (faults["lost_answers"], faults["list_dark"], faults["injected"]) == (0.05, True, {})
    assert ask(emulator, "GET", "/emulator/faults").json() == faults
    assert ask(emulator, "POST", "/emulator/faults/plan", json={"kind": "lost"}).json() == {"planned": 1}
    overview = ask(emulator, "GET", "/emulator/overview").json()
    assert overview["counts"] == {"messages": 2, "calls": 1, "deliveries": 2}
    assert ask(emulator, "POST", "/emulator/reset", json={}).json() == {"reset": True}
    assert ask(emulator, "GET", "/emulator/ledger").json() == {"messages": [], "calls": [], "evicted": 0}
    assert ask(emulator, "GET", "/emulator/faults").json()["lost_answers"] == 0


def test_what_is_still_under_way_is_said(emulator: Emulator) -> None:
    emulator.pace(step=30)
    ask(
        emulator,
        "POST",
        f"/2010-04-01/Accounts/{ACCOUNT_SID}/Messages.json",
        data={"To": PERSON, "From": NUMBER, "Body": "hello"},
        auth=(ACCOUNT_SID, AUTH_TOKEN),
    )
    assert ask(emulator, "POST", "/emulator/settle", json={"timeout": 0.05}).json() == {"settled": False}


def test_the_inspector_may_not_be_framed_nor_load_from_elsewhere(emulator: Emulator) -> None:
    answer = ask(emulator, "GET", "/")
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert ask(emulator, "GET", "/inspector.js").headers["Content-Type"].startswith("text/javascript")
    assert ask(emulator, "GET", "/inspector.css").headers["Content-Type"].startswith("text/css")


def test_bytes_that_are_not_text_are_no_traceback(emulator: Emulator) -> None:
    answer = ask(
        emulator,
        "POST",
        f"/2010-04-01/Accounts/{ACCOUNT_SID}/Messages.json",
        data=b"To=\xff\xfe&Body=%ff",
        headers={"Content-Type": "application/x-www-form-urlencoded; charset=nonsense"},
        auth=(ACCOUNT_SID, AUTH_TOKEN),
    )
    assert (answer.status_code, answer.json()["code"]) == (400, 21211)
    headers = {"Content-Type": "application/json"}
    assert ask(emulator, "PUT", "/emulator/faults", data=b"\xff", headers=headers).status_code == 400


def test_what_twilio_has_and_the_emulator_does_not_is_not_found(emulator: Emulator) -> None:
    answer = ask(
        emulator, "GET", f"/2010-04-01/Accounts/{ACCOUNT_SID}/Usage.json", auth=(ACCOUNT_SID, AUTH_TOKEN)
    )
    assert (answer.status_code, answer.json()["code"]) == (404, 20404)
    assert ask(emulator, "GET", "/2010-04-01/Accounts.json").status_code == 401
