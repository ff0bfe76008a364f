"""What azd and our hook make of the settings on their way to Bicep, by azd's own rules (tests/azd.py)."""

import json
import os
import re
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from ops import gather_settings
from ops.azd import parsed
from ops.gather_settings import NotPassedOn, as_text, check, plain_settings
from tests.azd import PRINCIPAL, Asks, Azd, EnvironmentBroken, ProvisionFails, marshal, unmarshal
from tests.infra.bicep import INFRA, PARAMETERS, ROOT, needs_bicep, template

HOOK = [sys.executable, "-m", "ops.gather_settings"]
TEXTS = [
    "Example Ltd",
    'Joe "The Pipe" Smith',
    r"k\new\tab",
    "two\nlines",
    "tab\there",
    "$HOME and ${HOME} and $(secretOrRandomPassword vault name)",
    "`ls` !important #1 'single' <&>",
    "Müller & Söhne, 한국 📞",
    " leading and trailing ",
    "007",
    "+12025550150",
    "true",
    "{}",
    "a=b",
    '"quoted" first',
    "\\",
    "x" * 20_000,
]


@pytest.fixture(scope="module")
def compiled() -> dict[str, Any]:
    needs_bicep()
    return template(INFRA)


@pytest.fixture
def azd(tmp_path: Path) -> Azd:
    """A new environment, in which the prompts of the first `azd up` were answered."""
    made = Azd(tmp_path)
    made.set("AZURE_LOCATION", "westeurope")
    made.answer("twilioAccountSid", "AC" + "0" * 32)
    made.answer("twilioFromNumber", "+12025550100")
    made.answer("twilioAuthToken", "the-auth-token", secure=True)
    return made


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """What a shell has, and nothing of ours."""
    (tmp_path / "bin").mkdir()
    return {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}


def provisioned(azd: Azd, compiled: dict[str, Any], environ: dict[str, str]) -> dict[str, Any]:
    """`azd provision`: the hook, then what Azure Resource Manager is given."""
    done = azd.hook(HOOK, Path(environ["HOME"]) / "bin", environ)
    if done.returncode:
        raise ProvisionFails(done.stderr)
    return azd.parameters(compiled, PARAMETERS, environ)


# azd's own rules, as far as they are why the hook is there.


def test_a_setting_inside_json_text_breaks_it_or_is_changed(
    tmp_path: Path, azd: Azd, environ: dict[str, str]
) -> None:
    template = {"parameters": {"settings": {"type": "object"}}}
    naive = tmp_path / "main.parameters.json"
    naive.write_text('{"parameters": {"settings": {"value": {"COMPANY_NAME": "${COMPANY_NAME}"}}}}')

    azd.set("COMPANY_NAME", 'Joe "The Pipe" Smith')
    with pytest.raises(ProvisionFails):
        azd.parameters(template, naive, environ)
    azd.set("COMPANY_NAME", r"k\new\tab")
    assert azd.parameters(template, naive, environ)["settings"]["COMPANY_NAME"] == "k\new\tab"


@pytest.mark.parametrize("text", [each for each in TEXTS if not each.endswith("\\")])
def test_azds_file_keeps_a_text_and_we_read_it_as_azd_does(text: str) -> None:
    written = marshal({"A": text, "B": "after"})

    assert unmarshal(written) == {"A": text, "B": "after"}
    assert parsed(written) == {"A": text, "B": "after"}


def test_a_quote_at_the_end_is_lost_and_then_breaks_azds_file() -> None:
    read = unmarshal(marshal({"A": 'Joe "The Pipe"'}))

    assert read == {"A": 'Joe "The Pipe\\'}
    with pytest.raises(EnvironmentBroken):
        unmarshal(marshal(read))


# The hook.


@pytest.mark.parametrize("text", TEXTS)
def test_every_text_reaches_the_app_as_it_was_set(
    azd: Azd, compiled: dict[str, Any], environ: dict[str, str], text: str
) -> None:
    # azd's file cannot hold a text that ends with a backslash: it can come from the shell alone.
    if text.endswith("\\"):
        environ["COMPANY_NAME"] = text
    else:
        azd.set("COMPANY_NAME", text)

    given = provisioned(azd, compiled, environ)

    assert given["settings"] == {"COMPANY_NAME": text}


def test_all_that_was_set_before_the_hook_was_there_is_gathered(
    azd: Azd, compiled: dict[str, Any], environ: dict[str, str]
) -> None:
    old = {"COMPANY_NAME": "Example Ltd", "TIME_ZONE": "Europe/Berlin", "TWILIO_API_KEY": "SK" + "0" * 32}
    for name, value in {**old, "OWNER_NUMBER": "", "ALERT_EMAIL": "ops@example.com"}.items():
        azd.set(name, value)

    given = provisioned(azd, compiled, environ)

    assert given["settings"] == old
    assert given["alertEmail"] == "ops@example.com"
    assert given["twilioAccountSid"] == "AC" + "0" * 32
    assert given["twilioFromNumber"] == "+12025550100"
    assert given["principalId"] == PRINCIPAL
    assert given["alwaysReady"] == 0


def test_a_setting_for_one_number_is_gathered_with_the_others() -> None:
    given = {"COMPANY_NAME__12025550123": "Shop", "NO_SETTING__12025550123": "x", "COMPANY_NAME__X": "y"}

    assert plain_settings(given) == {"COMPANY_NAME__12025550123": "Shop"}


def test_a_setting_that_is_cleared_leaves_the_app(
    azd: Azd, compiled: dict[str, Any], environ: dict[str, str]
) -> None:
    azd.set("COMPANY_NAME", "Example Ltd")
    assert provisioned(azd, compiled, environ)["settings"] == {"COMPANY_NAME": "Example Ltd"}

    azd.set("COMPANY_NAME", "")

    assert provisioned(azd, compiled, environ)["settings"] == {}


def test_with_nothing_set_the_first_deployment_goes_through(
    azd: Azd, compiled: dict[str, Any], environ: dict[str, str]
) -> None:
    # `azd up` reads the parameters before the hook has run, to know what it has to ask for.
    assert "settings" not in azd.parameters(compiled, PARAMETERS, environ)
    assert provisioned(azd, compiled, environ)["settings"] == {}


def test_a_new_environment_asks_for_the_account_and_for_nothing_else(
    tmp_path: Path, compiled: dict[str, Any], environ: dict[str, str]
) -> None:
    with pytest.raises(Asks) as caught:
        Azd(tmp_path / "new").parameters(compiled, PARAMETERS, environ)

    assert set(caught.value.args) == {"location", "twilioAccountSid", "twilioAuthToken", "twilioFromNumber"}


def test_a_secret_from_a_vault_is_fetched_whatever_it_holds(
    azd: Azd, compiled: dict[str, Any], environ: dict[str, str]
) -> None:
    azd.set_secret("ERASURE_KEY", 'k\\new\\tab "quoted"\n')

    given = provisioned(azd, compiled, environ)

    assert given["erasureKey"] == 'k\\new\\tab "quoted"\n'
    assert "ERASURE_KEY" not in azd.values[gather_settings.VARIABLE]


def test_no_secret_is_gathered(azd: Azd, compiled: dict[str, Any], environ: dict[str, str]) -> None:
    for name in ("TWILIO_AUTH_TOKEN", "TWILIO_API_SECRET", "CONFERENCE_ROOMS", "ERASURE_KEY"):
        azd.set(name, f"hunter2-{name}")

    given = provisioned(azd, compiled, environ)

    assert given["settings"] == {}
    assert given["twilioAuthToken"] == "hunter2-TWILIO_AUTH_TOKEN"
    assert "hunter2" not in azd.values[gather_settings.VARIABLE]


@pytest.mark.parametrize(
    ("name", "value", "mend"),
    [
        ("ERASURE_KEY", r"k\new\tab", "use `azd env set-secret ERASURE_KEY`"),
        ("TWILIO_AUTH_TOKEN", 'a"b', "use `azd env set-secret TWILIO_AUTH_TOKEN`"),
        ("ALERT_EMAIL", '"Ops" <ops@example.com>', "set it anew without one"),
    ],
)
def test_what_azd_would_break_is_refused_by_name(
    azd: Azd, compiled: dict[str, Any], environ: dict[str, str], name: str, value: str, mend: str
) -> None:
    azd.set(name, value)

    with pytest.raises(ProvisionFails) as caught:
        provisioned(azd, compiled, environ)

    assert f"Error: {name} holds a quotation mark, a backslash" in str(caught.value)
    assert mend in str(caught.value)
    assert value not in str(caught.value)


def test_a_quote_at_the_end_is_refused_before_azds_file_breaks(azd: Azd, environ: dict[str, str]) -> None:
    azd.set("COMPANY_NAME", 'Joe "The Pipe"')

    with pytest.raises(NotPassedOn, match="COMPANY_NAME ends with a quotation mark"):
        check({**environ, **azd.values}, azd.folder)


def test_a_second_run_changes_nothing(azd: Azd, environ: dict[str, str], tmp_path: Path) -> None:
    azd.set("COMPANY_NAME", "Example Ltd")
    azd.hook(HOOK, tmp_path / "bin", environ)
    (tmp_path / "bin" / "azd").unlink()
    gone = {**environ, **azd.values, "PATH": ""}

    with pytest.raises(SystemExit, match="run `azd provision`"):
        gather_settings.main({**gone, "COMPANY_NAME": "Another Ltd"})
    gather_settings.main(gone)


def test_what_is_kept_is_plain_ascii_without_a_dollar() -> None:
    text = as_text({"COMPANY_NAME": "$(secretOrRandomPassword) Müller"})

    assert text.isascii()
    assert "$" not in text
    assert json.loads(text) == {"COMPANY_NAME": "$(secretOrRandomPassword) Müller"}


def test_it_needs_no_package(tmp_path: Path) -> None:
    script = "import sys; sys.path.insert(0, sys.argv[1]); import ops.gather_settings"
    azd = Azd(tmp_path)
    done = azd.hook([sys.executable, "-I", "-S", "-c", script, str(ROOT)], tmp_path, {"PATH": ""})

    assert done.returncode == 0, done.stderr


# azure.yaml.


@pytest.fixture(scope="module")
def project() -> dict[str, Any]:
    return dict(yaml.safe_load((ROOT / "azure.yaml").read_text("utf-8")))


def test_the_package_is_made_once_before_it_is_zipped(project: dict[str, Any]) -> None:
    """Path() is the project, and dist is joined to it (framework_service_python.go, Package)."""
    service = dict(project["services"]["app"])
    hooks = service.pop("hooks")

    assert service == {
        "host": "function",
        "language": "python",
        "project": ".",
        "dist": "dist",
        "remoteBuild": False,
    }
    assert hooks.keys() == {"prepackage"}
    assert project["hooks"].keys() == {"preprovision"}


def test_every_hook_runs_on_windows_too(project: dict[str, Any]) -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8")
    for hook in (project["services"]["app"]["hooks"]["prepackage"], project["hooks"]["preprovision"]):
        # With both, azd takes nothing beside them (schemas/v1.0/azure.yaml.json).
        assert hook.keys() == {"posix", "windows"}
        assert hook["posix"]["shell"] == "sh"
        target = hook["posix"]["run"].removeprefix("make ")
        assert re.search(rf"^{target}:", makefile, re.MULTILINE)
        assert hook["windows"]["shell"] == "pwsh"
        module = hook["windows"]["run"].removeprefix("python -m ").replace(".", "/")
        assert (ROOT / f"{module}.py").is_file()


def test_the_app_is_found_by_its_tag() -> None:
    assert "'azd-service-name': 'app'" in (INFRA / "app.bicep").read_text("utf-8")
