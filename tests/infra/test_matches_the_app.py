"""infra/ names what the app names: its settings, queues, tables, containers, functions and log lines."""

import ast
import re
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import pytest

from local.host.worker import Worker
from shared.config import Settings
from tests.infra import checks
from tests.infra.bicep import Bicep, read_all

ROOT = Path(__file__).parent.parent.parent
INFRA = ROOT / "infra"
PARAMETERS = INFRA / "main.parameters.json"

NOT_IN_AZURE = {"AzureWebJobsStorage", "TWILIO_BASE_URL", "PHONE_URL"}
"""A connection string, where Azure has an identity; and where the laptop edition's emulator and phone are."""

FOR_THE_HOST = {
    "APPLICATIONINSIGHTS_AUTHENTICATION_STRING",
    "APPLICATIONINSIGHTS_CONNECTION_STRING",
    "AzureWebJobsStorage__credential",
}
"""Settings that the Functions host reads, not our code."""


@pytest.fixture(scope="module")
def ours() -> dict[str, Bicep]:
    return {file.name: file for file in read_all(INFRA)}


def documented_settings() -> set[str]:
    """The first column of the README's table of settings."""
    table = (
        (ROOT / "README.md").read_text(encoding="utf-8").split("\n## Settings\n", 1)[1].split("\n## ", 1)[0]
    )
    return set(re.findall(r"^\| `([^`]+)` \|", table, re.MULTILINE))


def test_the_app_gets_the_settings_of_the_readme(ours: dict[str, Bicep]) -> None:
    plain, secret = checks.app_settings(list(ours.values()), PARAMETERS)

    assert plain | secret == documented_settings() - NOT_IN_AZURE | FOR_THE_HOST


def test_every_secret_setting_is_in_the_vault_and_no_other_is(ours: dict[str, Bicep]) -> None:
    _, secret = checks.app_settings(list(ours.values()), PARAMETERS)

    assert secret == {each.metadata["name"] for each in fields(Settings) if not each.repr} - NOT_IN_AZURE


def test_a_setting_left_out_of_the_parameters_is_noticed(tmp_path: Path, ours: dict[str, Bicep]) -> None:
    parameters = tmp_path / "main.parameters.json"
    text = PARAMETERS.read_text(encoding="utf-8")
    parameters.write_text(re.sub(r'\s*"TIME_ZONE".*', "", text), encoding="utf-8")

    plain, _ = checks.app_settings(list(ours.values()), parameters)

    assert documented_settings() - plain >= {"TIME_ZONE"}


def test_every_queue_that_a_function_names_is_there(ours: dict[str, Bicep], worker: Worker) -> None:
    named = {
        binding.properties["queueName"]
        for function in worker.functions
        for binding in function.bindings
        if "queueName" in binding.properties
    }

    assert set(ours["storage.bicep"].variables["queueNames"]) == named


def test_every_table_and_container_that_the_app_names_is_there(ours: dict[str, Bicep]) -> None:
    services = (ROOT / "shared" / "services.py").read_text(encoding="utf-8")
    variables = ours["storage.bicep"].variables

    assert set(variables["tableNames"]) == set(re.findall(r'tables\.table\("(\w+)"\)', services))
    containers = set(re.findall(r'Blobs\(self\.settings, "(\w+)"\)', services))
    assert set(variables["containerNames"]) == containers | {"packages"}


def test_the_public_base_url_is_the_host_name_that_azure_gave(ours: dict[str, Bicep]) -> None:
    app = ours["app.bicep"]

    assert app.variables["publicBaseUrl"] == "https://${site.properties.defaultHostName}"
    assert "PUBLIC_BASE_URL: publicBaseUrl" in app.code


def test_the_timer_fires_every_minute_in_azure(ours: dict[str, Bicep]) -> None:
    assert "SMS_SCHEDULE: '0 * * * * *'" in ours["app.bicep"].code


def logged() -> Iterator[tuple[str, str]]:
    """(level, text) of every line that the deployed code logs, with % where a value stands."""
    for path in [ROOT / "function_app.py", *(ROOT / "shared").glob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            match node:
                case ast.Call(
                    func=ast.Attribute(value=ast.Name(id="log"), attr=level),
                    args=[ast.Constant(str(text)), *_],
                ):
                    yield level, text


def test_every_alert_looks_for_words_that_the_app_logs(ours: dict[str, Bicep]) -> None:
    errors = [text for level, text in logged() if level == "error"]
    rules = ours["monitoring.bicep"].variables["rules"]
    looked_for = [
        (rule["name"], *match)
        for rule in rules
        for match in re.findall(r'message (startswith|has) "([^"]+)"', rule["query"])
    ]

    assert {name for name, _, _ in looked_for} == {"dead-letters", "held", "unresolved", "twice"}
    for name, operator, words in looked_for:
        found = [
            text for text in errors if (text.startswith(words) if operator == "startswith" else words in text)
        ]
        assert found, f"the alert {name} looks for {words!r}, which nothing logs as an error"


def test_a_webhook_that_answers_503_counts_as_failed(ours: dict[str, Bicep]) -> None:
    # The host notes success for whatever a function returns (azure-functions-host issue 6511).
    (failures,) = (rule for rule in ours["monitoring.bicep"].variables["rules"] if rule["name"] == "failures")

    for query in (failures["query"], (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")):
        assert 'resultCode startswith "5" or (success == false' in query


def test_the_silence_alert_watches_the_timer(ours: dict[str, Bicep], worker: Worker) -> None:
    (silent,) = (
        rule for rule in ours["monitoring.bicep"].variables["rules"] if rule["name"] == "drain-silent"
    )
    (name,) = re.findall(r'name =~ "(\w+)"', silent["query"])
    (function,) = (each for each in worker.functions if each.name == name)

    assert function.trigger.type == "timerTrigger"
