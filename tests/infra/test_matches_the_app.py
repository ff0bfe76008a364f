"""infra/ names what the app names: its settings, queues, tables, containers, functions and log lines."""

import ast
import json
import re
from collections.abc import Iterator

import pytest

from local.host.worker import Worker
from ops import gather_settings
from shared.config import Settings
from tests.infra.bicep import INFRA, PARAMETERS, ROOT, Snapshot, snapshot

FOR_THE_HOST = {
    "APPLICATIONINSIGHTS_AUTHENTICATION_STRING",
    "APPLICATIONINSIGHTS_CONNECTION_STRING",
    "AzureWebJobsStorage__credential",
}
"""Settings that the Functions host reads, not our code."""


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Snapshot:
    return snapshot(INFRA, tmp_path_factory.mktemp("snapshot"))


def documented_settings() -> set[str]:
    """The first column of the README's table of settings."""
    table = (
        (ROOT / "README.md").read_text(encoding="utf-8").split("\n## Settings\n", 1)[1].split("\n## ", 1)[0]
    )
    return set(re.findall(r"^\| `([^`]+)` \|", table, re.MULTILINE))


def secret_settings(deployed: Snapshot) -> set[str]:
    return {name.replace("-", "_") for name in deployed.names("Microsoft.KeyVault/vaults/secrets")}


def test_every_setting_of_the_readme_reaches_the_app(deployed: Snapshot) -> None:
    """Gathered by the hook, kept in the vault, or set by the template itself."""
    (app,) = deployed.of_type("Microsoft.Web/sites/config")
    by_template = set(re.findall(r"'([A-Za-z_]+)', ", app["properties"])) - {
        "Microsoft.Resources/deployments"
    }
    gathered = set(gather_settings.plain_settings(dict.fromkeys(Settings.names(), "1")))
    wanted = documented_settings() - {*gather_settings.NOT_IN_AZURE, "AzureWebJobsStorage"} | FOR_THE_HOST

    assert wanted <= gathered | secret_settings(deployed) | by_template
    assert not gathered & secret_settings(deployed)
    assert gathered <= documented_settings()


def test_every_secret_setting_is_in_the_vault_and_no_other_is(deployed: Snapshot) -> None:
    assert secret_settings(deployed) == Settings.secret_names() - {"AzureWebJobsStorage"}


def test_every_secret_setting_is_a_variable_of_azd() -> None:
    given = json.loads(PARAMETERS.read_text("utf-8"))["parameters"]

    for name in Settings.secret_names() - {"AzureWebJobsStorage"}:
        first, *rest = name.lower().split("_")
        assert given[first + "".join(part.title() for part in rest)] == {"value": f"${{{name}}}"}


def test_every_queue_that_a_function_names_is_there(deployed: Snapshot, worker: Worker) -> None:
    named = {
        binding.properties["queueName"]
        for function in worker.functions
        for binding in function.bindings
        if "queueName" in binding.properties
    }

    made = deployed.names("Microsoft.Storage/storageAccounts/queueServices/queues")
    assert named <= made
    # What is given up lies in a queue beside, which no function need listen to.
    assert {name.removesuffix("-poison") for name in made} <= named


def test_every_table_and_container_that_the_app_names_is_there(deployed: Snapshot) -> None:
    services = (ROOT / "shared" / "services.py").read_text(encoding="utf-8")
    storage = "Microsoft.Storage/storageAccounts"

    tables = set(re.findall(r'tables\.table\("(\w+)"', services))
    assert deployed.names(f"{storage}/tableServices/tables") == tables
    containers = set(re.findall(r'Blobs\(self\.settings, "(\w+)"\)', services))
    assert deployed.names(f"{storage}/blobServices/containers") == containers | {"packages"}


def test_the_public_base_url_is_the_host_name_that_azure_gave(deployed: Snapshot) -> None:
    (app,) = deployed.of_type("Microsoft.Web/sites/config")

    assert re.search(
        r"'PUBLIC_BASE_URL', format\('https://\{0\}', reference\([^)]*/sites/[^)]*\)\.defaultHostName\)",
        app["properties"],
    )


def test_the_timer_fires_every_minute_in_azure(deployed: Snapshot) -> None:
    (app,) = deployed.of_type("Microsoft.Web/sites/config")

    assert "'SMS_SCHEDULE', '0 * * * * *'" in app["properties"]
    assert "'AzureWebJobsDisableHomepage', 'true'" in app["properties"]


def logged() -> Iterator[tuple[str, str]]:
    """(level, text) of every line that the deployed code logs, with % where a value stands."""
    for path in [ROOT / "function_app.py", *(ROOT / "shared").rglob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            match node:
                case ast.Call(
                    func=ast.Attribute(value=ast.Name(id="log"), attr=level),
                    args=[ast.Constant(str(text)), *_],
                ):
                    yield level, text


def query(deployed: Snapshot, name: str) -> str:
    return str(deployed.alerts()[name]["criteria"]["allOf"][0]["query"])


def test_every_alert_looks_for_words_that_the_app_logs(deployed: Snapshot) -> None:
    errors = [text for level, text in logged() if level == "error"]
    looked_for = [
        (name, *match)
        for name in deployed.alerts()
        for match in re.findall(r'message (startswith|has) "([^"]+)"', query(deployed, name))
    ]

    assert {name for name, _, _ in looked_for} == {"dead-letters", "held", "unresolved", "twice"}
    for name, operator, words in looked_for:
        found = [
            text for text in errors if (text.startswith(words) if operator == "startswith" else words in text)
        ]
        assert found, f"the alert {name} looks for {words!r}, which nothing logs as an error"


def test_a_webhook_that_answers_503_counts_as_failed(deployed: Snapshot) -> None:
    # The host notes success for whatever a function returns (azure-functions-host issue 6511).
    page = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")

    for text in (query(deployed, "failures"), page):
        assert 'resultCode startswith "5" or (success == false' in text


def test_the_silence_alert_watches_the_timer(deployed: Snapshot, worker: Worker) -> None:
    (name,) = re.findall(r'Name =~ "(\w+)"', query(deployed, "drain-silent"))
    (function,) = (each for each in worker.functions if each.name == name)

    assert function.trigger.type == "timerTrigger"
