"""ops/client.py: which deployment a command is for, and how its key is found."""

import asyncio
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from azure.core.credentials import AccessToken
from azure.core.exceptions import ClientAuthenticationError
from typer.testing import CliRunner

from ops.azure_sign_in import function_key
from ops.client import Api, Deployment, find
from ops.commands import app
from ops.errors import OpsError
from tests.azd import Azd
from tests.listener import Answer, Listener
from tests.ops.conftest import KEY

AZURE_URL = "https://switchboard-abc.azurewebsites.net"
AZD = {
    "PUBLIC_BASE_URL": AZURE_URL,
    "AZURE_SUBSCRIPTION_ID": "sub",
    "AZURE_RESOURCE_GROUP": "switchboard-prod",
    "AZURE_FUNCTION_APP_NAME": "switchboard-abc",
    "AZURE_STORAGE_ACCOUNT_NAME": "switchboardabc",
    "TWILIO_FROM_NUMBER": "+12025550100",
}


@pytest.fixture
def azd(tmp_path: Path) -> Path:
    """A folder in which azd has deployed the environment `prod`."""
    made = Azd(tmp_path)
    for name, value in AZD.items():
        made.set(name, value)
    return tmp_path


def laptop(folder: Path, url: str = "http://localhost:7071", **values: str) -> None:
    (folder / ".local").mkdir()
    lines = {"SWITCHBOARD_URL": url, "SWITCHBOARD_KEY": "local-key", "PUBLIC_BASE_URL": url, **values}
    (folder / ".local" / "running.env").write_text("".join(f"{k}='{v}'\n" for k, v in lines.items()))


def test_what_azd_deployed_is_found(azd: Path) -> None:
    found = find(None, environ={}, folder=azd)

    assert (found.url, found.source) == (AZURE_URL, "azd's environment prod")
    assert found.settings["AZURE_FUNCTION_APP_NAME"] == "switchboard-abc"
    assert found.key is None


def test_another_azd_environment_may_be_chosen(azd: Path) -> None:
    (azd / ".azure" / "test").mkdir()
    (azd / ".azure" / "test" / ".env").write_text('PUBLIC_BASE_URL="https://test.example.com"\n')

    assert find(None, environ={"AZURE_ENV_NAME": "test"}, folder=azd).url == "https://test.example.com"


def test_the_laptop_edition_is_found_while_it_runs(tmp_path: Path) -> None:
    laptop(tmp_path, TWILIO_FROM_NUMBER="+12025550100")

    found = find(None, environ={}, folder=tmp_path)

    assert (found.url, found.source, found.key) == (
        "http://localhost:7071",
        "the laptop edition",
        "local-key",
    )
    assert found.is_local
    assert find("http://127.0.0.1:7071", environ={}, folder=tmp_path).source == "the laptop edition"


def test_a_laptop_edition_behind_a_tunnel_is_known_by_its_public_name(tmp_path: Path) -> None:
    laptop(tmp_path, PUBLIC_BASE_URL="https://abc.example.com")

    assert find("https://abc.example.com", environ={}, folder=tmp_path).source == "the laptop edition"


def test_what_is_deployed_comes_before_the_laptop(azd: Path) -> None:
    laptop(azd)

    assert find(None, environ={}, folder=azd).url == AZURE_URL


def test_another_url_stands_on_the_environment_alone(azd: Path) -> None:
    environ = {"TWILIO_FROM_NUMBER": "+12025550101"}

    found = find("https://other.example.com/", environ=environ, folder=azd)

    assert (found.url, found.source) == ("https://other.example.com", "the environment")
    assert found.settings == environ


def test_the_environment_comes_before_azds_values(azd: Path) -> None:
    found = find(None, environ={"TWILIO_FROM_NUMBER": "+12025550155"}, folder=azd)

    assert found.settings["TWILIO_FROM_NUMBER"] == "+12025550155"


@pytest.mark.parametrize(
    "url",
    [
        "http://[",
        "https://host.example.com:99999",
        "https://host.example.com:0",
        "https://host.example.com:x",
        "https://host.example.com#secret",
        "https://host.example.com?",
        "https://host.example.com/secret",
        "ftp://host.example.com",
        " https://host.example.com",
    ],
)
def test_what_is_no_origin_is_refused_in_words(tmp_path: Path, url: str) -> None:
    with pytest.raises(OpsError, match="--url must be an origin, such as") as caught:
        find(url, environ={}, folder=tmp_path)

    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "url", ["https://Host.example.com/", "HTTPS://host.example.com:8443", "http://[::1]:7071"]
)
def test_an_origin_is_taken_as_it_is(tmp_path: Path, url: str) -> None:
    assert find(url, environ={}, folder=tmp_path).url == url.rstrip("/")


def test_nothing_to_talk_to_is_said_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(OpsError, match=r"make start.*azd up.*--url"):
        find(None, environ={}, folder=tmp_path)


def test_neither_key_nor_settings_are_in_a_repr(tmp_path: Path) -> None:
    laptop(tmp_path, TWILIO_AUTH_TOKEN="s3cret")

    shown = repr(find(None, environ={}, folder=tmp_path))

    assert "s3cret" not in shown
    assert "local-key" not in shown


# The key, by the caller's sign-in to Azure.


@dataclass
class SignedIn:
    """A credential as azure-identity has them."""

    error: Exception | None = None
    scope: str = ""

    def get_token(self, *scopes: str, **_: Any) -> AccessToken:
        if self.error:
            raise self.error
        self.scope = scopes[0]
        return AccessToken("a-token", 0)


@pytest.fixture
def arm() -> Iterator[Listener]:
    """Where Azure Resource Manager would be."""
    with Listener() as listener:
        yield listener


LISTKEYS = (
    "/subscriptions/sub/resourceGroups/switchboard-prod/providers/Microsoft.Web/sites/switchboard-abc"
    "/host/default/listkeys"
)
DEPLOYED = Deployment(AZURE_URL, "azd", AZD)


def test_a_key_is_fetched_with_the_callers_sign_in(arm: Listener) -> None:
    keys = {"masterKey": "m", "functionKeys": {"default": "f"}, "systemKeys": {}}
    arm.answers[LISTKEYS] = Answer(json.dumps(keys), content_type="application/json")
    credential = SignedIn()

    assert function_key(AZD, credential, arm=arm.url) == "f"

    (request,) = arm.requests
    assert request.url.endswith("?api-version=2025-03-01")
    assert request.headers["Authorization"] == "Bearer a-token"
    assert credential.scope == "https://management.azure.com/.default"


@pytest.mark.parametrize(
    ("status", "body", "fault"),
    [(403, "{}", "Website Contributor"), (404, "{}", "does not give the keys"), (200, "{}", "does not give")],
)
def test_keys_that_azure_keeps_are_a_clear_error(arm: Listener, status: int, body: str, fault: str) -> None:
    arm.answers[LISTKEYS] = Answer(body, status, "application/json")

    with pytest.raises(OpsError, match=fault):
        function_key(AZD, SignedIn(), arm=arm.url)


def test_nobody_signed_in_is_a_clear_error() -> None:
    with pytest.raises(OpsError, match="az login"):
        function_key(AZD, SignedIn(ClientAuthenticationError("no")))


def test_an_app_that_is_not_known_by_name_needs_a_key() -> None:
    with pytest.raises(OpsError, match=r"--key.*AZURE_SUBSCRIPTION_ID"):
        function_key({}, SignedIn())


# The API.


async def test_a_wrong_key_is_a_clear_error(served: str) -> None:
    with pytest.raises(OpsError, match="does not take this function key"):
        await asyncio.to_thread(Api(Deployment(served, "a test", {}, "wrong")).get, "messages")


def test_an_error_of_the_api_names_the_field(listener: Listener) -> None:
    error = {"error": {"code": "invalid", "message": "limit: must be a whole number", "field": "limit"}}
    listener.answers["/api/calls"] = Answer(json.dumps(error), 422, "application/json")

    with pytest.raises(OpsError, match="limit: must be a whole number"):
        Api(Deployment(listener.url, "a test", {}, KEY)).get("calls", limit=0)

    assert listener.requests[0].headers["x-functions-key"] == KEY


@pytest.mark.parametrize("body", ["<html>", "", "{}", "[]"])
def test_something_that_is_not_switchboard_is_said_to_be_so(listener: Listener, body: str) -> None:
    listener.answers["/api/calls"] = Answer(body, 404, "text/html")

    with pytest.raises(OpsError, match="/api/calls answers 404, and not as Switchboard does"):
        Api(Deployment(listener.url, "a test", {}, KEY)).get("calls")


def test_help_tells_the_exit_codes() -> None:
    for arguments in (["--help"], ["connect", "--help"], ["doctor", "--help"], ["deadletters", "--help"]):
        result = CliRunner().invoke(app, arguments)

        assert result.exit_code == 0
        assert "Exit codes: 0" in " ".join(result.output.split())


def test_wrong_usage_is_exit_code_2() -> None:
    assert CliRunner().invoke(app, ["connect"]).exit_code == 2
    assert CliRunner().invoke(app, ["nothing"]).exit_code == 2
