"""`python -m local.emulator`: the emulator as a process of its own."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests
from twilio.rest import Client

from local.launcher.orphans import adopted
from tests import openapi
from tests.listener import Answer, Listener

ROOT = Path(__file__).parent.parent.parent
ACCOUNT = "AC" + "5" * 32
KEY = "SK" + "6" * 32
NUMBER = "+12025550120"
PERSON = "+12025550101"


@contextmanager
def running(*options: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The process and its URL, as soon as it says that it is ready."""
    environ = {
        **os.environ,
        "TWILIO_AUTH_TOKEN": "process_token",
        "TWILIO_API_KEY": KEY,
        "TWILIO_API_SECRET": "process_secret",
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "local.emulator", "--port", "0", *options],
        cwd=ROOT,
        env=environ,
        stderr=subprocess.PIPE,
        text=True,
    )
    with adopted(process.pid):
        try:
            assert process.stderr is not None
            ready = process.stderr.readline()
            match = re.search(r"ready at (http://127\.0\.0\.1:\d+)$", ready.strip())
            assert match, ready
            yield process, match[1]
        finally:
            if process.poll() is None:
                process.kill()
            process.communicate()


def test_it_serves_what_its_options_say_and_logs_a_line_an_event(listener: Listener) -> None:
    listener.answers["/sms"] = Answer("<Response><Message>Hi</Message></Response>")
    options = (
        "--account-sid", ACCOUNT, "--number", NUMBER, "--number", "+12025550121",
        "--sms-url", f"{listener.url}/sms", "--voice-url", f"{listener.url}/voice",
        "--status-callback", f"{listener.url}/status", "--messaging-service", "MG" + "7" * 32,
        "--twiml-app", "AP" + "8" * 32, "--step", "0.01", "--talk", "0.01",
    )  # fmt: skip
    with running(*options) as (process, url):
        client = Client(KEY, "process_secret", account_sid=ACCOUNT)
        client.api.base_url = url
        assert {each.phone_number for each in client.incoming_phone_numbers.list()} == {
            NUMBER,
            "+12025550121",
        }
        assert client.applications("AP" + "8" * 32).fetch().sid
        created = client.messages.create(to=PERSON, messaging_service_sid="MG" + "7" * 32, body="secret")
        assert created.status == "accepted"
        text = {"from": PERSON, "to": NUMBER, "body": "secret"}
        answer = requests.post(f"{url}/emulator/inbound/message", json=text, timeout=20)
        assert answer.json()["status"] == 200
        call = {"from": PERSON, "to": NUMBER}
        requests.post(f"{url}/emulator/inbound/call", json=call, timeout=20)
        requests.post(f"{url}/emulator/settle", json={}, timeout=20)
        assert listener.to("/sms")[0].is_signed("process_token")
        assert listener.to("/voice")[0].is_signed("process_token")
        assert listener.to("/status")[0].form["CallStatus"] == "completed"
        exchanges = openapi.exchanges_at(url)
        assert len(exchanges) == 3
        assert openapi.problems(exchanges) == []
        process.send_signal(signal.SIGTERM)
        _, log = process.communicate(timeout=20)
    assert process.returncode == 0
    lines = log.splitlines()
    assert any(f"message {created.sid} accepted -> queued" in line for line in lines)
    assert all(re.match(r"\d\d:\d\d:\d\d \S", line) for line in lines)
    for hidden in ("secret", "2025550", "process_token"):
        assert hidden not in log


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_it_cleanly(signum: signal.Signals) -> None:
    # An open event stream, such as the inspector's, must not keep the process from ending.
    with (
        running() as (process, url),
        requests.get(f"{url}/emulator/events", stream=True, timeout=20) as stream,
    ):
        assert next(stream.iter_lines()).startswith(b"data: ")
        process.send_signal(signum)
        _, log = process.communicate(timeout=20)
    assert process.returncode == 0
    assert "Traceback" not in log


def test_a_taken_port_is_named() -> None:
    with running() as (_, url):
        port = url.rpartition(":")[2]
        second = subprocess.run(
            [sys.executable, "-m", "local.emulator", "--port", port],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
    assert second.returncode == 1
    assert f"cannot listen on port {port}" in second.stderr
    assert "Traceback" not in second.stderr


def test_it_can_go_away_and_come_back() -> None:
    with running() as (_, url):
        requests.post(f"{url}/emulator/away", json={"seconds": 0.3}, timeout=20)
        refused = False
        for _ in range(2000):
            try:
                requests.get(f"{url}/emulator/health", timeout=20)
                if refused:
                    break
            except requests.ConnectionError:
                refused = True
        assert refused
        assert requests.get(f"{url}/emulator/health", timeout=20).ok
