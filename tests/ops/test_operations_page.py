"""docs/operations.md says what is so: its commands, alerts, settings, routes, log lines and numbers."""

import re
import shlex
from pathlib import Path

import pytest
import typer
import yaml
from typer.core import TyperGroup

from local.host.worker import Worker
from ops import costs, gather_settings
from ops.commands import app
from shared.config import Settings
from shared.storage.partitions import SHARDS
from tests.infra.bicep import INFRA, Snapshot, snapshot
from tests.infra.test_matches_the_app import logged

ROOT = Path(__file__).parent.parent.parent
PAGE = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")


def ops_commands() -> list[str]:
    found = re.findall(r"python -m ops ([^`\n|]+)", PAGE)
    assert len(found) > 5
    return sorted({each.strip() for each in found})


@pytest.mark.parametrize("text", ops_commands())
def test_every_command_is_one(text: str) -> None:
    words, command = shlex.split(text), typer.main.get_command(app)
    context = typer.Context(command)
    while isinstance(command, TyperGroup):
        name, found, words = command.resolve_command(context, words)
        assert found is not None, name
        command = found

    command.make_context(str(command.name), words, parent=context)


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Snapshot:
    return snapshot(INFRA, tmp_path_factory.mktemp("snapshot"))


def test_every_alert_is_explained(deployed: Snapshot) -> None:
    assert set(re.findall(r"^\| `(switchboard-[\w-]+)` \|", PAGE, re.MULTILINE)) == {
        f"switchboard-{name}" for name in deployed.alerts()
    }


def test_every_alert_is_in_the_costs(deployed: Snapshot) -> None:
    minutes = {"PT5M": 5, "PT15M": 15, "PT1H": 60}
    frequencies = [minutes[each["evaluationFrequency"]] for each in deployed.alerts().values()]

    assert sorted(costs.ALERTS) == sorted(frequencies)


def test_what_is_said_of_scale_is_deployed(deployed: Snapshot) -> None:
    (site,) = deployed.of_type("Microsoft.Web/sites")
    scale = site["properties"]["functionAppConfig"]["scaleAndConcurrency"]

    assert f"to {scale['maximumInstanceCount']} instances" in PAGE
    assert f"takes {scale['triggers']['http']['perInstanceConcurrency']} requests at once" in PAGE


def test_the_costs_are_those_that_are_computed() -> None:
    table = PAGE.split("<!-- costs -->\n", 1)[1].split("\n<!-- /costs -->", 1)[0]

    assert table == costs.markdown()
    assert f"prices are US list prices of {costs.PRICES_OF}" in PAGE


def test_the_requests_of_a_message_are_those_that_are_counted() -> None:
    alone = costs.CREATE + costs.ASK_DRAIN + costs.SEND + costs.STATUSES * costs.STATUS
    together = costs.CREATE + costs.SEND_IN_BURST + costs.STATUSES * costs.STATUS
    call = costs.ACCEPT_CALL + costs.PLACE_CALL + costs.CALL_STATUSES * costs.CALL_STATUS

    assert (
        f"A message takes {alone} table requests by itself, and {together} among hundreds; a call {call}."
        in PAGE
    )
    assert f"some {int(20_000 / together // 100 * 100):,} messages" in PAGE
    assert f"over {SHARDS} partitions" in PAGE


def test_every_azd_setting_is_one_that_the_deployment_takes() -> None:
    given = (ROOT / "infra" / "main.parameters.json").read_text(encoding="utf-8")
    gathered = gather_settings.plain_settings(dict.fromkeys(Settings.names(), "1"))
    named = set(re.findall(r"azd env set (\w+)", PAGE))

    assert len(named) > 3
    for name in named:
        assert name in gathered or re.search(rf"\$\{{{name}[}}=]", given), name


def test_every_secret_that_azd_is_to_keep_in_a_vault_is_one() -> None:
    named = set(re.findall(r"azd env set-secret (\w+)", PAGE))

    assert named
    assert named <= Settings.secret_names()


def test_the_workflows_variables_are_named() -> None:
    workflow = (ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8")

    for name in set(re.findall(r"vars\.(\w+)", workflow)):
        assert f"`{name}`" in PAGE, name


def test_the_least_azd_is_that_of_azure_yaml() -> None:
    azure = yaml.safe_load((ROOT / "azure.yaml").read_text(encoding="utf-8"))
    version = azure["requiredVersions"]["azd"].removeprefix(">= ")

    assert f"[azd](https://aka.ms/azd) {version} or later" in PAGE


def test_every_route_is_there(worker: Worker) -> None:
    routes = {str(each.trigger.properties.get("route")) for each in worker.functions}

    assert set(re.findall(r"/api/([\w{}/-]+)", PAGE)) <= routes


def test_the_queries_look_for_words_that_are_logged() -> None:
    lines = [text for _, text in logged()]
    starts = re.findall(r'message startswith "([^"]+)"', PAGE)

    assert len(starts) >= 2
    for words in starts:
        assert any(line.startswith(words) for line in lines), words


def test_every_link_leads_somewhere() -> None:
    for page in (ROOT / "docs").glob("*.md"):
        for target in re.findall(r"\]\(([^)#]+)", page.read_text(encoding="utf-8")):
            assert target.startswith("https://") or (page.parent / target).exists(), f"{page.name}: {target}"


def test_the_tables_to_restore_are_all_of_them(deployed: Snapshot) -> None:
    kind = "Microsoft.Storage/storageAccounts/tableServices/tables"
    tables = [each["name"].rpartition("/")[2] for each in deployed.of_type(kind)]

    assert " and ".join([", ".join(f"`{name}`" for name in tables[:-1]), f"`{tables[-1]}`"]) in PAGE
    assert f"{['', '', '', 'three', 'four', 'five', 'six'][len(tables)]} tables" in PAGE
