"""What the first invocation of each trigger loads.

`loaded` starts one process, in which Microsoft's worker library indexes the real function_app.py. Each
invocation then runs in a fork of it, and so finds what a first invocation finds: an indexed app, and no more.
"""

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from urllib.parse import urlencode

from twilio.request_validator import RequestValidator

from tests.settings import ENVIRON

ROOT = Path(__file__).parent.parent
HEAVY = (
    *(
        "aiohttp",
        "azure.data.tables",
        "azure.identity",
        "azure.storage.blob",
        "azure.storage.queue",
        "dateutil",
    ),
    *("jwt", "phonenumbers", "requests", "twilio.rest", "twilio.twiml", "zoneinfo"),
)
FORM = "application/x-www-form-urlencoded"


@dataclass(frozen=True, slots=True)
class Invocation:
    """One invocation. kind: http, queue (body is the message) or timer."""

    function: str
    kind: str = "http"
    method: str = "GET"
    path: str = "x"
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str = ""
    params: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Load:
    """What one invocation answered and loaded. status: of HTTP; 200 for a queue message or the timer.

    ours: modules of shared/, without "shared." and without packages. heavy: those of HEAVY that it loaded.
    """

    status: int
    ours: frozenset[str]
    heavy: frozenset[str]


def webhook(function: str, path: str, form: Mapping[str, str], **params: str) -> Invocation:
    """A webhook, signed as Twilio signs it."""
    fields = {"AccountSid": ENVIRON["TWILIO_ACCOUNT_SID"], **form}
    url = f"{ENVIRON['PUBLIC_BASE_URL']}/api/{path}"
    signature = RequestValidator(ENVIRON["TWILIO_AUTH_TOKEN"]).compute_signature(url, fields)
    headers = {"Content-Type": FORM, "X-Twilio-Signature": signature}
    return Invocation(function, "http", "POST", path, headers, urlencode(fields), params)


def api(function: str, method: str = "GET", body: object = None, **params: str) -> Invocation:
    """A request to the JSON API or for a page."""
    sent = "" if body is None else json.dumps(body)
    return Invocation(function, "http", method, "x", {"Content-Type": "application/json"}, sent, params)


def loaded(invocations: Sequence[Invocation], **environ: str) -> list[Load]:
    """What each invocation loads. environ: settings besides those that are required."""
    clean = {name: value for name, value in os.environ.items() if "TWILIO" not in name}
    ran = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "tests.first_load_child"],
        cwd=ROOT,
        env={**clean, **ENVIRON, **environ, "PYTHON_DOTENV_DISABLED": "1"},
        input=json.dumps({"heavy": HEAVY, "invocations": [asdict(each) for each in invocations]}),
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    found = json.loads(ran.stdout.splitlines()[-1])
    return [Load(status, frozenset(ours), frozenset(heavy)) for status, ours, heavy in found]
