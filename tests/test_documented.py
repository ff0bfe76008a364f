"""Every setting and every route is where a reader looks for it."""

import json
import re
from dataclasses import fields
from pathlib import Path

from bench.__main__ import MEASURES
from bench.report import KEYS
from local.host.worker import Worker
from shared.config import Settings

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
# The host takes any AzureWebJobsStorage__... for an identity-based connection, even an empty one.
IDENTITY = {"AzureWebJobsStorage__accountName", "AzureWebJobsStorage__clientId"}


def section(title: str) -> str:
    return README.split(f"\n## {title}\n", 1)[1].split("\n## ", 1)[0]


def first_cells(text: str) -> list[str]:
    return re.findall(r"^\| ((?:`[^`]+`(?:, )?)+) \|", text, re.MULTILINE)


def test_every_setting_is_in_the_readme() -> None:
    assert {cell.strip("`") for cell in first_cells(section("Settings"))} == set(Settings.names())


def test_a_conference_is_said_to_last_as_long_as_it_may() -> None:
    assert "four hours, or `CALL_TIME_LIMIT` where that is longer" in README
    assert "네 시간까지, `CALL_TIME_LIMIT`가 더 길면 그때까지" in (ROOT / "README.ko.md").read_text()


def test_every_setting_is_in_env_example() -> None:
    names = re.findall(r"^(\w+)=", (ROOT / ".env.example").read_text(), re.MULTILINE)
    assert sorted(names) == sorted(Settings.names())


def test_every_setting_is_in_local_settings_example() -> None:
    values = json.loads((ROOT / "local.settings.example.json").read_text())["Values"]
    assert set(values) == set(Settings.names()) - IDENTITY | {"FUNCTIONS_WORKER_RUNTIME"}


def test_what_the_platform_sets_is_explained_and_set_by_nobody() -> None:
    platform = {each.metadata["name"] for each in fields(Settings) if each.metadata} - set(Settings.names())
    assert platform == {"WEBSITE_AUTH_ENABLED"}
    for name in platform:
        assert f"`{name}`" in section("Settings")
        for example in (".env.example", "local.settings.example.json", "infra/main.parameters.json"):
            assert name not in (ROOT / example).read_text()


def test_the_examples_settings_are_complete() -> None:
    values = json.loads((ROOT / "local.settings.example.json").read_text())["Values"]
    assert Settings.from_env(values).twilio_base_url == "http://127.0.0.1:4000"


ACTIONS = {"bulk/{id}/{action}": ("resume", "discard"), "deadletters/{id}/{action}": ("replay", "discard")}
"""Several routes of the README that are one trigger."""


async def test_every_route_is_in_the_readme(worker: Worker) -> None:
    documented = {
        route for cell in first_cells(section("Routes")) for route in re.findall(r"`([^`]+)`", cell)
    }
    served = {str(f.trigger.properties["route"]) for f in worker.functions if "route" in f.trigger.properties}
    for several, actions in ACTIONS.items():
        served = served - {several} | {several.replace("{action}", action) for action in actions}
    assert documented == served


def test_the_table_of_places_names_what_is_there() -> None:
    """Each path in it exists, and every package of shared/ and each other folder of code has a row."""
    rows = section("Where is what").split("|---|---|\n", 1)[1].split("\n\n", 1)[0].splitlines()
    named = [path for row in rows for path in re.findall(r"`([^`]+)`", row)]
    assert len(rows) <= 25
    assert [path for path in named if not (ROOT / path).exists()] == []
    packages = {path.parent.name for path in (ROOT / "shared").glob("*/__init__.py")}
    assert packages <= {path.split("/")[1] for path in named if path.startswith("shared/")}
    assert {"local", "ops", "infra", "bench", "web"} <= {path.split("/")[0] for path in named}


def test_every_measure_and_result_of_the_bench_is_explained() -> None:
    page = (ROOT / "bench" / "README.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `([^`]+)` \| (.+) \|$", page, re.MULTILINE))
    assert tuple(rows) == MEASURES
    explained = {name for text in rows.values() for name in re.findall(r"`(\w+)`", text)}
    assert set(KEYS) <= explained
