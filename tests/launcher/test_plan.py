"""The launch plan: what is started for which settings, and what is refused before anything starts."""

import stat
from pathlib import Path

import pytest

from local.launcher.azurite import KEY
from local.launcher.plan import CannotStart, Choices, LaunchPlan, check_ports, make_plan

REAL = {
    "TWILIO_ACCOUNT_SID": "AC" + "1" * 32,
    "TWILIO_AUTH_TOKEN": "a_real_token",
    "TWILIO_FROM_NUMBER": "+12025550100",
    "PUBLIC_BASE_URL": "https://switchboard.ngrok.app",
}


@pytest.fixture
def choices(tmp_path: Path) -> Choices:
    return Choices(
        app_dir=tmp_path,
        data=tmp_path / "data",
        port=7100,
        storage_port=10100,
        twilio_port=4100,
        phone_port=7170,
    )


def test_without_settings_everything_is_on_this_machine(choices: Choices) -> None:
    plan = make_plan(choices, {})
    assert not plan.is_real
    assert plan.keys is None
    assert plan.settings == {name: value for name, value in plan.given.items() if value}
    assert plan.settings["TWILIO_BASE_URL"] == "http://127.0.0.1:4100"
    assert plan.settings["PUBLIC_BASE_URL"] == plan.url == "http://localhost:7100"
    assert "QueueEndpoint=http://127.0.0.1:10101/" in plan.settings["AzureWebJobsStorage"]


def test_what_env_says_stays_in_env(choices: Choices) -> None:
    (choices.app_dir / ".env").write_text(
        "TWILIO_FROM_NUMBER=+12025550109\nSMS_SCHEDULE='0 * * * * *'\nOTHER=1\nALLOWED_COUNTRIES=\n"
    )
    plan = make_plan(choices, {"SEND_CONCURRENCY": "8"})
    assert plan.settings["TWILIO_FROM_NUMBER"] == "+12025550109"
    assert plan.settings["SMS_SCHEDULE"] == "0 * * * * *"
    assert plan.given["SEND_CONCURRENCY"] == "8"
    # It is not put into the host's environment, where it would hide a later change of the file.
    assert not {"TWILIO_FROM_NUMBER", "SMS_SCHEDULE", "OTHER", "ALLOWED_COUNTRIES"} & set(plan.given)


def test_tests_and_the_demo_read_no_env_file(choices: Choices) -> None:
    (choices.app_dir / ".env").write_text("\n".join(f"{name}={value}" for name, value in REAL.items()))
    assert make_plan(choices, {}).is_real
    plan = make_plan(choices, {"PYTHON_DOTENV_DISABLED": "1"})
    assert not plan.is_real
    assert plan.settings["TWILIO_ACCOUNT_SID"] == "AC" + "0" * 32


def test_a_real_account_means_the_real_twilio_with_keys(choices: Choices) -> None:
    plan = make_plan(choices, REAL)
    assert plan.is_real
    assert plan.keys
    assert "TWILIO_BASE_URL" not in plan.settings


@pytest.mark.parametrize(
    "origin",
    [
        None,
        "http://localhost:7071",
        "http://switchboard.ngrok.app",
        "https://localhost",
        "https://127.0.0.1",
        "https://10.1.2.3",
        "https://192.168.0.10:8443",
        "https://[::1]",
        "https://laptop",
        "https://laptop.local",
        "https://[",
    ],
)
def test_a_real_account_needs_a_public_https_address(choices: Choices, origin: str | None) -> None:
    environ = {**REAL, "PUBLIC_BASE_URL": origin or ""}
    with pytest.raises(CannotStart, match="must be a public https origin") as refused:
        make_plan(choices, environ)
    assert "21609" in str(refused.value)
    assert (f"it is {origin}" if origin else "it is missing") in str(refused.value)


def test_a_real_account_with_a_loopback_twilio_is_our_emulator_s(choices: Choices) -> None:
    plan = make_plan(choices, {**REAL, "TWILIO_BASE_URL": "http://127.0.0.1:4000", "PUBLIC_BASE_URL": ""})
    assert not plan.is_real
    assert plan.settings["TWILIO_BASE_URL"] == "http://127.0.0.1:4100"
    assert plan.settings["TWILIO_ACCOUNT_SID"] == REAL["TWILIO_ACCOUNT_SID"]


def test_with_keys_on_the_storage_key_is_nobody_else_s(choices: Choices) -> None:
    plan = make_plan(choices, REAL)
    assert plan.storage_key != KEY
    assert plan.storage_key in plan.given["AzureWebJobsStorage"]
    assert stat.S_IMODE((choices.data / "azurite.key").stat().st_mode) == 0o600
    assert make_plan(choices, REAL).storage_key == plan.storage_key
    assert make_plan(choices, {}).storage_key == KEY


def test_auth_alone_turns_keys_on(choices: Choices) -> None:
    asked = Choices(app_dir=choices.app_dir, data=choices.data, auth=True)
    plan = make_plan(asked, {})
    assert plan.keys
    assert plan.enforced_because is None


def test_settings_that_are_wrong_are_named_together(choices: Choices) -> None:
    with pytest.raises(CannotStart) as refused:
        make_plan(choices, {"TWILIO_FROM_NUMBER": "0100", "SEND_CONCURRENCY": "many"})
    assert "TWILIO_FROM_NUMBER must be" in str(refused.value)
    assert "SEND_CONCURRENCY must be" in str(refused.value)
    assert ".env" in str(refused.value)


@pytest.mark.parametrize(
    "connection",
    [
        "DefaultEndpointsProtocol=https;AccountName=live;AccountKey=eA==;EndpointSuffix=core.windows.net",
        "AccountName=live;AccountKey=eA==;QueueEndpoint=https://live.queue.core.windows.net/",
    ],
)
def test_storage_elsewhere_is_refused(choices: Choices, connection: str) -> None:
    with pytest.raises(CannotStart, match="AzureWebJobsStorage leads to storage elsewhere"):
        make_plan(choices, {"AzureWebJobsStorage": connection})


@pytest.mark.parametrize("name", ["UseDevelopmentStorage=true", "QueueEndpoint=http://127.0.0.1:10001/x;"])
def test_development_storage_is_our_azurite(choices: Choices, name: str) -> None:
    environ = {"AzureWebJobsStorage": name, "AzureWebJobsStorage__accountName": "live"}
    plan = make_plan(choices, environ)
    assert "http://127.0.0.1:10101/" in plan.given["AzureWebJobsStorage"]
    assert plan.given["AzureWebJobsStorage__accountName"] == ""
    assert "AzureWebJobsStorage__accountName" not in plan.settings


@pytest.mark.parametrize(
    ("ports", "problem"),
    [
        ((7100, 10100, 7100, 7170), "port 7100 is asked for twice, by --port and --twilio-port"),
        ((10102, 10100, 4100, 7170), "port 10102 is asked for twice, by --port and --storage-port"),
        ((7100, 10100, 4100, 4100), "port 4100 is asked for twice, by --twilio-port and --phone-port"),
    ],
)
def test_a_port_may_be_asked_for_once(
    choices: Choices, ports: tuple[int, int, int, int], problem: str
) -> None:
    port, storage_port, twilio_port, phone_port = ports
    clashing = Choices(
        app_dir=choices.app_dir,
        data=choices.data,
        port=port,
        storage_port=storage_port,
        twilio_port=twilio_port,
        phone_port=phone_port,
    )
    with pytest.raises(CannotStart, match=problem):
        check_ports(make_plan(clashing, {}))


def test_secrets_are_not_in_the_repr(choices: Choices) -> None:
    plan: LaunchPlan = make_plan(choices, REAL)
    assert "a_real_token" not in repr(plan)
    assert plan.keys
    assert plan.keys.default not in repr(plan)
    assert plan.storage_key not in repr(plan)
