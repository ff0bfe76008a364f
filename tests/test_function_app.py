"""function_app.py: a table of contents that is indexed without settings, and each of whose entries runs."""

import ast
import gzip
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from local.host.worker import QueuedMessage, Worker
from tests import calling
from tests.app import App
from tests.settings import ENVIRON

ROOT = Path(__file__).parent.parent
HEAVY = ["twilio.rest", "azure.data.tables", "azure.storage.queue", "azure.identity", "aiohttp", "requests"]

# Every function, with how it is reached; a new one has to be entered here, and tested.
HTTP = {
    "voice_incoming": ("voice", "GET POST", "ANONYMOUS"),
    "voice_step": ("voice/step/{step}", "GET POST", "ANONYMOUS"),
    "voice_client": ("voice/client", "GET POST", "ANONYMOUS"),
    "voice_status": ("voice/status", "GET POST", "ANONYMOUS"),
    "sms_incoming": ("sms", "GET POST", "ANONYMOUS"),
    "sms_status": ("sms/status", "GET POST", "ANONYMOUS"),
    "twimlet": ("twimlets/{name}", "GET POST", "ANONYMOUS"),
    "message_create": ("messages", "POST", "FUNCTION"),
    "message_list": ("messages", "GET", "FUNCTION"),
    "message_get": ("messages/{id}", "GET", "FUNCTION"),
    "message_edit": ("messages/{id}", "PATCH", "FUNCTION"),
    "message_cancel": ("messages/{id}", "DELETE", "FUNCTION"),
    "message_resend": ("messages/{id}/resend", "POST", "FUNCTION"),
    "call_create": ("calls", "POST", "FUNCTION"),
    "call_list": ("calls", "GET", "FUNCTION"),
    "call_get": ("calls/{id}", "GET", "FUNCTION"),
    "recipient_messages": ("recipients/messages", "POST", "FUNCTION"),
    "recipient_timeline": ("recipients/timeline", "POST", "FUNCTION"),
    "line_get": ("line", "GET", "FUNCTION"),
    "dead_letter_list": ("deadletters", "GET", "FUNCTION"),
    "dead_letter_action": ("deadletters/{id}/{action}", "POST", "FUNCTION"),
    "bulk_create": ("bulk", "POST", "FUNCTION"),
    "bulk_list": ("bulk", "GET", "FUNCTION"),
    "bulk_get": ("bulk/{id}", "GET", "FUNCTION"),
    "bulk_action": ("bulk/{id}/{action}", "POST", "FUNCTION"),
    "stats_get": ("stats", "GET", "FUNCTION"),
    "token_mint": ("token", "POST", "FUNCTION"),
    "softphone_page": ("softphone", "GET", "ANONYMOUS"),
    "console_page": ("console", "GET", "ANONYMOUS"),
    "asset_get": ("assets/{name}", "GET", "ANONYMOUS"),
    "health": ("health", "GET", "ANONYMOUS"),
}
QUEUES = {
    "drain_sms": "sms-drain",
    "place_outbound_call": "outbound-calls",
    "bulk_load": "bulk-load",
}
OPEN = {name for name, (_, _, level) in HTTP.items() if level == "ANONYMOUS"}


def test_every_function_is_indexed_as_the_design_has_it(worker: Worker) -> None:
    for name, (route, methods, level) in HTTP.items():
        trigger = worker.function(name).trigger.properties
        assert (trigger["route"], trigger["authLevel"]) == (route, level), name
        assert set(trigger["methods"]) == set(methods.split()), name
    for name, queue in QUEUES.items():
        assert worker.function(name).trigger.properties["queueName"] == queue
    timer = worker.function("send_due_sms").trigger.properties
    assert (timer["schedule"], timer.get("runOnStartup", False)) == ("%SMS_SCHEDULE%", False)


def test_no_output_is_a_text_that_the_host_would_rewrite() -> None:
    """It reads an Out[str] as JSON and writes it anew: dates change, an array becomes several messages."""
    assert "Out[str]" not in (ROOT / "function_app.py").read_text()


def test_nothing_but_signed_webhooks_health_and_pages_is_open(worker: Worker) -> None:
    levels = {each.name: each.trigger.properties.get("authLevel") for each in worker.functions}
    anonymous = {name for name, level in levels.items() if level == "ANONYMOUS"}
    assert anonymous == OPEN


async def test_a_timer_and_a_drain_with_nothing_due_run(worker: Worker) -> None:
    assert (await worker.timer("send_due_sms")).outputs.get("shards", ()) == ()
    assert (await worker.timer("send_due_sms", past_due=True)).outputs.get("shards", ()) == ()
    for shard in ("00", "no shard", "ff", ""):
        assert (await worker.queue("drain_sms", shard)).outputs.get("shards", ()) == ()


async def test_health_is_good_and_tells_nothing(worker: Worker) -> None:
    answer = (await worker.http("health")).answer
    assert answer is not None
    assert (answer.status, answer.json()) == (200, {"status": "healthy"})


async def test_health_names_a_sign_in_that_is_off_and_the_rest_works(app: App) -> None:
    with calling.settings_with(APP_SERVICE_AUTHENTICATION="true"):
        status, health = await app.get("health")
        token, refused = await app.post("token_mint", {})
        listed, _ = await app.get("message_list")
    (wrong,) = health["invalid"]
    assert (status, health["status"], health["missing"]) == (200, "degraded", [])
    assert wrong.startswith("APP_SERVICE_AUTHENTICATION is true, but App Service's sign-in is off")
    assert (token, listed) == (503, 200)
    assert "TWILIO_API_KEY" in refused["error"]["message"]


REFERENCE = "@Microsoft.KeyVault(SecretUri=https://vault.example.com/secrets/X)"


async def test_health_names_a_secret_that_was_not_resolved_and_the_rest_works(app: App) -> None:
    with calling.settings_with(ERASURE_KEY=REFERENCE, TWILIO_API_SECRET=REFERENCE):
        status, health = await app.get("health")
        erased, refused = await app.post("recipient_erase", {"to": "+12025550101"})
        token, unsigned = await app.post("token_mint", {})
        listed, _ = await app.get("message_list")
    assert (status, health["status"], health["missing"]) == (200, "degraded", [])
    assert [each.partition(" ")[0] for each in health["invalid"]] == ["TWILIO_API_SECRET", "ERASURE_KEY"]
    assert (erased, token, listed) == (503, 503, 200)
    assert "ERASURE_KEY" in refused["error"]["message"]
    assert "TWILIO_API_SECRET is a Key Vault reference" in unsigned["error"]["message"]


async def test_an_answer_is_json_that_nobody_caches(worker: Worker) -> None:
    answer = (await worker.http("call_list")).answer
    assert answer is not None
    assert answer.headers["content-type"].startswith("application/json")
    assert answer.headers["Cache-Control"] == "no-store"


async def test_a_queue_message_without_a_shape_breaks_nothing(worker: Worker) -> None:
    await worker.queue("place_outbound_call", QueuedMessage("not JSON", id="odd-1"))
    await worker.queue("drain_sms", QueuedMessage("not JSON", id="odd-2"))


def test_one_invocation_looks_at_the_clock_once() -> None:
    """Each trigger asks utcnow at most once, and passes the time on; nothing else in shared/ does."""
    source = (ROOT / "function_app.py").read_text()
    for trigger in ast.parse(source).body:
        if isinstance(trigger, ast.AsyncFunctionDef):
            assert ast.unparse(trigger).count("utcnow()") <= 1, trigger.name
    reads = re.compile(r"datetime\.now\(|utcnow\(\)|time\.time\(")
    found = {
        str(each.relative_to(ROOT))
        for each in (ROOT / "shared").rglob("*.py")
        if reads.search(each.read_text())
    }
    assert found == {"shared/services.py"}


def python(code: str, **environ: str) -> subprocess.CompletedProcess[str]:
    clean = {
        name: value for name, value in os.environ.items() if name not in ENVIRON and "TWILIO" not in name
    }
    return subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        cwd=ROOT,
        env={**clean, "PYTHON_DOTENV_DISABLED": "1", **environ},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize(
    ("function", "method"),
    [
        ("message_create", "POST"),
        ("message_edit", "PATCH"),
        ("call_create", "POST"),
        ("recipient_erase", "POST"),
        ("bulk_create", "POST"),
    ],
)
async def test_whoever_sends_a_body_in_chunks_is_asked_for_content_length(
    worker: Worker, function: str, method: str
) -> None:
    """The host drops such a body: the function gets the header, and nothing else."""
    headers = {"Content-Type": "application/json", "Transfer-Encoding": "chunked"}
    result = await worker.http(function, method, "http://localhost:7071/api/x", headers, b"", {"id": "a"})
    assert result.answer is not None
    error = result.answer.json()["error"]
    assert (result.answer.status, error["code"]) == (400, "no_content_length")
    assert "Content-Length" in error["message"]


async def test_a_compressed_body_is_refused_by_name(app: App) -> None:
    """The host does not unpack it."""
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    body = gzip.compress(b'{"to": "+12025550101", "body": "Hi"}')
    for function in ("message_create", "bulk_create"):
        result = await app.worker.http(function, "POST", f"{app.origin}/api/x", headers, body)
        assert result.answer is not None
        error = result.answer.json()["error"]
        assert (result.answer.status, error["code"]) == (415, "compressed")
        assert "Content-Encoding: gzip" in error["message"]


def test_importing_the_app_pulls_in_nothing_heavy() -> None:
    """A cold start is what a caller hears as silence."""
    code = f"import function_app, sys; print([name for name in {HEAVY!r} if name in sys.modules])"
    ran = python(code)
    assert (ran.stdout.strip(), ran.returncode) == ("[]", 0), ran.stderr


INDEXED = """
import asyncio, sys
from pathlib import Path
from local.host.worker import Worker

asyncio.run(Worker.start(Path.cwd()))
print(sorted(name for name in sys.modules if name.startswith("shared.")))
"""


LOADED = str([f"shared.{name}" for name in ("errors", "phone_numbers", "services", "web", "web.api")])


def test_indexing_the_app_loads_nothing_that_is_put_off() -> None:
    """The worker library looks at all that function_app holds, which is enough to load a LazyLoader's."""
    ran = python(INDEXED)
    assert ran.stdout.splitlines()[-1:] == [LOADED], ran.stderr


WITHOUT_SETTINGS = """
import asyncio, json
from pathlib import Path
from local.host.worker import Worker

async def main():
    worker = await Worker.start(Path.cwd())
    health = (await worker.http("health")).answer
    webhook = (await worker.http("voice_incoming", "POST", "http://localhost/api/voice")).answer
    listed = (await worker.http("message_list")).answer
    seen = [health.status, health.json(), webhook.status, listed.status, listed.json()]
    print(json.dumps([len(worker.functions), *seen]))

asyncio.run(main())
"""


@pytest.mark.timeout(90)
def test_the_app_is_indexed_without_settings_and_health_names_them() -> None:
    ran = python(WITHOUT_SETTINGS, SMS_SCHEDULE="0 * * * * *", TWILIO_FROM_NUMBER="nonsense")
    assert ran.returncode == 0, ran.stderr
    functions, status, health, webhook, listed, error = json.loads(ran.stdout.splitlines()[-1])
    missing = ["TWILIO_ACCOUNT_SID", "TWILIO_AUTH_TOKEN", "PUBLIC_BASE_URL", "AzureWebJobsStorage"]
    assert functions >= len(HTTP) + len(QUEUES) + 1
    assert (status, health["status"], health["missing"]) == (503, "unhealthy", missing)
    assert health["invalid"] == ["TWILIO_FROM_NUMBER must be a phone number in E.164, such as +12025550100"]
    assert (webhook, listed) == (503, 503)
    assert error["error"]["code"] == "missing_settings"


@pytest.mark.parametrize("function", ["bulk_action", "dead_letter_action"])
async def test_an_action_that_there_is_not_is_404(app: App, function: str) -> None:
    result = await app.send(function, "POST", id="x", action="eat")
    assert result.answer is not None
    assert (result.answer.status, result.answer.json()["error"]["code"]) == (404, "not_found")
