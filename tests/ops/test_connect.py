"""`ops connect` against the Twilio emulator and the real app."""

import json
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from twilio.rest import Client

from local.twilio import ACCOUNT_SID, AUTH_TOKEN, NUMBER, Emulator, Options, Pace
from local.twilio.model.options import Number
from ops.connect_history import FILE
from ops.webhooks import application_values, number_values
from tests.ops.conftest import LOST, OTHER, SERVICE, Ahead, Answer, Run, in_a_service
from tests.ops.terminal import on_a_terminal

pytestmark = pytest.mark.usefixtures("public")


def rest(emulator: Emulator) -> Any:
    client = Client(ACCOUNT_SID, AUTH_TOKEN)
    client.api.base_url = client.messaging.base_url = emulator.url
    return client


def number(emulator: Emulator, phone_number: str = NUMBER) -> Any:
    return rest(emulator).incoming_phone_numbers.list(phone_number=phone_number)[0]


def state(emulator: Emulator, phone_number: str = NUMBER) -> dict[str, str]:
    """What the number has, of what connect sets."""
    owned = number(emulator, phone_number)
    return {name: str(getattr(owned, name) or "") for name in number_values("")}


async def test_a_dry_run_changes_nothing(ops: Run, public: str, emulator: Emulator) -> None:
    before = state(emulator)

    result = await ops("connect", NUMBER, "--dry-run")

    assert result.exit_code == 0, result.output
    assert f"{public}/api/voice#ct=2000" in result.output
    assert "Nothing was changed" in result.output
    assert state(emulator) == before
    assert rest(emulator).applications.list() == []


async def test_it_sets_the_number_and_makes_the_twiml_app(ops: Run, public: str, emulator: Emulator) -> None:
    result = await ops("connect", NUMBER)

    assert result.exit_code == 0, result.output
    assert state(emulator) == number_values(public)
    (app,) = rest(emulator).applications.list()
    assert {name: getattr(app, name) for name in application_values(public)} == application_values(public)
    assert "TWILIO_TWIML_APP_SID in .env" in result.output
    assert app.sid in result.output


async def test_connecting_again_finds_nothing_to_do(ops: Run, emulator: Emulator) -> None:
    await ops("connect", NUMBER)
    requests = len(emulator.rest_requests())

    result = await ops("connect", NUMBER)

    assert "Nothing to change" in result.output
    assert {each.method for each in emulator.rest_requests()[requests:]} == {"GET"}


async def test_undo_restores_what_was_there_before_the_first_time(ops: Run, emulator: Emulator) -> None:
    rest(emulator).incoming_phone_numbers(number(emulator).sid).update(
        voice_url="https://old.example.com/voice", voice_method="GET", sms_url="", status_callback=""
    )
    before = state(emulator)
    await ops("connect", NUMBER)
    rest(emulator).incoming_phone_numbers(number(emulator).sid).update(
        sms_url="https://elsewhere.example.com"
    )
    await ops("connect", NUMBER)

    result = await ops("connect", NUMBER, "--undo")

    assert result.exit_code == 0, result.output
    assert state(emulator) == before
    assert rest(emulator).applications.list() == []
    again = await ops("connect", NUMBER, "--undo")
    assert again.exit_code == 1
    assert "nothing is remembered" in again.stderr


async def test_undo_can_be_tried_dry(ops: Run, public: str, emulator: Emulator) -> None:
    await ops("connect", NUMBER)

    result = await ops("connect", NUMBER, "--undo", "--dry-run")

    assert "Nothing was changed" in result.output
    assert state(emulator) == number_values(public)
    assert len(rest(emulator).applications.list()) == 1


async def test_a_known_twiml_app_is_updated_and_restored(ops: Run, public: str, emulator: Emulator) -> None:
    sid = rest(emulator).applications.create(friendly_name="mine", voice_url="https://old.example.com/").sid

    result = await ops("connect", NUMBER, TWILIO_TWIML_APP_SID=sid)

    (app,) = rest(emulator).applications.list()
    assert (app.sid, app.voice_url) == (sid, application_values(public)["voice_url"])
    assert "For the softphone" not in result.output
    await ops("connect", NUMBER, "--undo", TWILIO_TWIML_APP_SID=sid)
    (app,) = rest(emulator).applications.list()
    assert (app.friendly_name, app.voice_url) == ("mine", "https://old.example.com/")


async def test_twilio_then_reaches_the_app(ops: Run, emulator: Emulator) -> None:
    await ops("connect", NUMBER)

    text = await emulator.inbound_message_async("+12025550101", NUMBER, "HELP")
    call = await emulator.inbound_call_async("+12025550101", NUMBER)

    assert (text.status, call.status) == (200, 200)
    assert "<Message>" in text.twiml
    assert "<Gather" in call.twiml


async def test_json_is_for_programs(ops: Run, public: str) -> None:
    result = await ops("connect", NUMBER, "--json")

    report = json.loads(result.stdout)
    assert report["number"] == NUMBER
    assert report["done"] is True
    assert {
        "what": "number",
        "name": "sms_url",
        "before": "",
        "after": number_values(public)["sms_url"],
    } in report["changes"]


async def test_a_number_of_somebody_else_is_refused_naming_ours(ops: Run) -> None:
    result = await ops("connect", "+12025550150")

    assert result.exit_code == 1
    assert f"+12025550150 is not a number of the account {ACCOUNT_SID}. It has: {NUMBER}" in result.stderr


async def test_a_text_that_is_no_number_is_refused(ops: Run) -> None:
    result = await ops("connect", "12345")

    assert result.exit_code == 1
    assert "NUMBER" in result.stderr
    assert "E.164" in result.stderr


@pytest.mark.parametrize(
    ("url", "fault"),
    [
        ("http://example.com", "must be https"),
        ("https://example.com/api", "must be an origin"),
        ("example.com", "must be an origin"),
        ("http://[", "must be an origin, such as https://example.azurewebsites.net; it is http://["),
        ("https://example.com:99999", "must be an origin"),
        ("https://hook.eu1.make.com/hunter2", "it is https://hook.eu1.make.com/..."),
        ("https://user:hunter2@example.com", "without a user or a password; it is https://...@example.com"),
        ("http://localhost:9", "cannot be reached"),
    ],
)
async def test_a_url_that_twilio_could_not_use_is_refused(
    ops: Run, emulator: Emulator, url: str, fault: str
) -> None:
    before = state(emulator)

    result = await ops("connect", NUMBER, "--url", url)

    assert result.exit_code == 1
    assert fault in result.stderr
    assert "hunter2" not in result.output
    assert state(emulator) == before


@pytest.mark.usefixtures("without_from_number")
async def test_an_app_without_its_settings_is_not_connected(ops: Run, emulator: Emulator) -> None:
    result = await ops("connect", NUMBER)

    assert result.exit_code == 1
    assert "TWILIO_FROM_NUMBER" in result.stderr
    assert "Nothing was changed" in result.stderr
    assert number(emulator).voice_url == ""


async def test_wrong_credentials_are_said_in_words(ops: Run) -> None:
    result = await ops("connect", NUMBER, TWILIO_AUTH_TOKEN="wrong")

    assert result.exit_code == 1
    assert "the credentials are wrong (error 20003)" in result.stderr


async def test_missing_credentials_are_named(ops: Run) -> None:
    result = await ops("connect", NUMBER, TWILIO_AUTH_TOKEN="")

    assert result.exit_code == 1
    assert "TWILIO_AUTH_TOKEN must be known here" in result.stderr


async def test_an_api_key_is_used_where_there_is_one(ops: Run) -> None:
    result = await ops("connect", NUMBER, TWILIO_API_KEY="SK" + "0" * 32, TWILIO_API_SECRET="wrong")

    assert "error 20003" in result.stderr


async def test_what_would_take_the_calls_instead_is_cleared(ops: Run, emulator: Emulator) -> None:
    # Twilio's OpenAPI description has no empty SID, yet its documentation clears one that way: no judge here.
    emulator.on_rest_request(None)
    app = rest(emulator).applications.create(friendly_name="other").sid
    rest(emulator).incoming_phone_numbers(number(emulator).sid).update(voice_application_sid=app)

    await ops("connect", NUMBER)

    assert number(emulator).voice_application_sid is None


# Shown first, then done.

ERROR = {
    "code": 20001,
    "message": "no",
    "more_info": "https://www.twilio.com/docs/errors/20001",
    "status": 400,
}


def refusing(path: str) -> Answer:
    """Twilio refuses what is written there."""

    def answer(request: web.Request) -> web.Response | None:
        hit = request.method == "POST" and path in request.path
        return web.json_response(ERROR, status=400) if hit else None

    return answer


def losing(path: str) -> Answer:
    """Twilio does what is written there, and its answer is lost."""

    def answer(request: web.Request) -> web.Response | None:
        return web.Response(status=LOST) if request.method == "POST" and path in request.path else None

    return answer


async def test_an_error_on_the_way_leaves_the_difference_and_says_what_was_done(
    ops: Run, public: str, emulator: Emulator, ahead: Ahead
) -> None:
    before = state(emulator)

    result = await ops("connect", NUMBER, TWILIO_BASE_URL=ahead(refusing("/Applications")))

    assert result.exit_code == 1
    assert f"{public}/api/voice#ct=2000" in result.stdout
    assert "Done." not in result.stdout
    assert "20001" in result.stderr
    assert "Done before that: the number." in result.stderr
    assert f"python -m ops connect {NUMBER} --undo --url {public}" in result.stderr
    assert state(emulator) == number_values(public)
    assert (await ops("connect", NUMBER, "--undo", "--url", public)).exit_code == 0
    assert state(emulator) == before


async def test_after_an_error_it_can_be_run_again_and_undone(
    ops: Run, emulator: Emulator, ahead: Ahead
) -> None:
    before = state(emulator)
    await ops("connect", NUMBER, TWILIO_BASE_URL=ahead(losing("/Applications")))
    assert len(rest(emulator).applications.list()) == 1

    assert (await ops("connect", NUMBER)).exit_code == 0
    assert (await ops("connect", NUMBER, "--undo")).exit_code == 0

    assert state(emulator) == before
    assert rest(emulator).applications.list() == []


async def test_a_refused_change_changes_nothing_and_is_not_remembered(
    ops: Run, emulator: Emulator, ahead: Ahead
) -> None:
    before = state(emulator)

    result = await ops("connect", NUMBER, TWILIO_BASE_URL=ahead(refusing("/IncomingPhoneNumbers")))

    assert "Nothing was changed" in result.stderr
    assert state(emulator) == before
    assert "nothing is remembered" in (await ops("connect", NUMBER, "--undo")).stderr


async def test_a_lost_answer_is_called_neither_done_nor_not_done(
    ops: Run, public: str, emulator: Emulator, ahead: Ahead
) -> None:
    before = state(emulator)

    result = await ops("connect", NUMBER, TWILIO_BASE_URL=ahead(losing("/IncomingPhoneNumbers")))

    assert "whether the number was, is not known" in result.stderr
    assert state(emulator) == number_values(public)
    await ops("connect", NUMBER, "--undo")
    assert state(emulator) == before


async def test_json_has_the_difference_and_the_error(ops: Run, public: str, ahead: Ahead) -> None:
    result = await ops("connect", NUMBER, "--json", TWILIO_BASE_URL=ahead(refusing("/Applications")))

    report = json.loads(result.stdout)
    assert result.exit_code == 1
    assert report["done"] is False
    assert "Done before that: the number" in report["error"]
    assert number_values(public)["sms_url"] in {each["after"] for each in report["changes"]}


async def test_an_undo_that_breaks_off_can_be_run_again(ops: Run, emulator: Emulator, ahead: Ahead) -> None:
    before = state(emulator)
    await ops("connect", NUMBER)

    broken = await ops("connect", NUMBER, "--undo", TWILIO_BASE_URL=ahead(losing("/IncomingPhoneNumbers")))

    assert "run this again" in broken.stderr
    assert (await ops("connect", NUMBER, "--undo")).exit_code == 0
    assert state(emulator) == before
    assert rest(emulator).applications.list() == []


@pytest.mark.parametrize(
    ("typed", "arguments", "is_done", "code"),
    [("n\n", [], False, 1), ("y\n", [], True, 0), ("", ["--yes"], True, 0)],
)
async def test_on_a_terminal_it_asks(
    public: str,
    emulator: Emulator,
    tmp_path: Path,
    typed: str,
    arguments: list[str],
    is_done: bool,
    code: int,
) -> None:
    environ = {
        "SWITCHBOARD_URL": public,
        "SWITCHBOARD_DATA": str(tmp_path),
        "TWILIO_ACCOUNT_SID": ACCOUNT_SID,
        "TWILIO_AUTH_TOKEN": AUTH_TOKEN,
        "TWILIO_BASE_URL": emulator.url,
    }
    async with on_a_terminal("connect", NUMBER, *arguments, root=tmp_path, environ=environ) as terminal:
        await terminal.until("Make these changes?")
        assert f"{public}/api/voice" in terminal.shown
        if typed:
            assert state(emulator)["voice_url"] == ""  # nothing yet
            terminal.type(typed)
        assert await terminal.code() == code
    shown = terminal.shown
    assert ("Make these changes?" in shown) is bool(typed)
    assert ("Done." in shown) is is_done
    assert ("Nothing was changed." in shown) is not is_done
    assert (state(emulator) == number_values(public)) is is_done


# Secrets.

SECRETS = "https://user:hunter2@old.example.com:8443/hooks/T0SECRET/pa55?code=s3cret&line=7&t0ken#rc=2&rp=5xx"
MASKED = "https://...@old.example.com:8443/...?code=...&line=...&...#rc=2&rp=5xx"


@pytest.mark.parametrize("arguments", [[], ["--json"], ["--dry-run"], ["--dry-run", "--json"]])
async def test_what_old_webhooks_carry_is_not_shown(
    ops: Run, emulator: Emulator, arguments: list[str]
) -> None:
    rest(emulator).incoming_phone_numbers(number(emulator).sid).update(sms_url=SECRETS, voice_url=SECRETS)

    shown = (await ops("connect", NUMBER, *arguments, COLUMNS="400")).output
    if "--dry-run" in arguments:
        await ops("connect", NUMBER)
    undone = (await ops("connect", NUMBER, "--undo", *arguments, COLUMNS="400")).output

    for output in (shown, undone):
        for secret in ("user", "hunter2", "T0SECRET", "pa55", "s3cret", "t0ken", "line=7"):
            assert secret not in output
        assert "/api/twimlets/message?Message=We%20are" in output
        assert "old.example.com:8443/...?code=..." in output
        if "--json" in arguments:
            assert MASKED in output


async def test_undo_restores_what_is_not_shown(ops: Run, emulator: Emulator, tmp_path: Path) -> None:
    rest(emulator).incoming_phone_numbers(number(emulator).sid).update(sms_url=SECRETS)
    await ops("connect", NUMBER)
    assert (tmp_path / ".switchboard" / FILE).stat().st_mode & 0o777 == 0o600

    await ops("connect", NUMBER, "--undo")

    assert number(emulator).sms_url == SECRETS


async def test_what_twilio_refuses_to_have_back_is_not_shown(
    ops: Run, emulator: Emulator, ahead: Ahead
) -> None:
    rest(emulator).incoming_phone_numbers(number(emulator).sid).update(sms_url=SECRETS)
    await ops("connect", NUMBER)

    def answer(request: web.Request) -> web.Response | None:
        refused = {**ERROR, "code": 21402, "message": f"SmsUrl is not valid: {SECRETS}"}
        return web.json_response(refused, status=400) if request.method == "POST" else None

    result = await ops("connect", NUMBER, "--undo", TWILIO_BASE_URL=ahead(answer))

    assert f"SmsUrl is not valid: {MASKED} (error 21402)" in result.stderr
    assert "hunter2" not in result.output


@pytest.mark.parametrize(
    "text", ["5", "[]", "{", '{"AC/+12025550100": {}}', '{"a": {"at": "", "number": {}, "application": {}}}']
)
async def test_what_was_remembered_and_is_broken_is_said(ops: Run, tmp_path: Path, text: str) -> None:
    path = tmp_path / ".switchboard" / FILE
    path.parent.mkdir()
    path.write_text(text)

    for arguments in ([], ["--undo"]):
        result = await ops("connect", NUMBER, *arguments)

        assert result.exit_code == 1
        assert f"{path} " in result.stderr.replace("\n", " ")
        assert "move it away" in result.stderr
    assert path.read_text() == text


# Two numbers and one TwiML app.


@pytest.fixture
def two(emulator: Emulator) -> None:
    emulator.reset(Options(numbers=(Number(), Number(phone_number=OTHER)), pace=Pace(step=0.01)))


@pytest.mark.usefixtures("two")
@pytest.mark.parametrize(("first", "last"), [(NUMBER, OTHER), (OTHER, NUMBER)])
async def test_the_last_undo_removes_a_shared_app(
    ops: Run, public: str, emulator: Emulator, first: str, last: str
) -> None:
    await ops("connect", NUMBER)
    await ops("connect", OTHER)
    (app,) = rest(emulator).applications.list()

    result = await ops("connect", first, "--undo")

    assert f"{app.sid} stays: {last} was connected with it too" in result.output
    (still,) = rest(emulator).applications.list()
    assert still.voice_url == application_values(public)["voice_url"]
    assert state(emulator, last) == number_values(public)
    assert (await ops("connect", last, "--undo")).exit_code == 0
    assert rest(emulator).applications.list() == []


@pytest.mark.usefixtures("two")
@pytest.mark.parametrize(("first", "last"), [(NUMBER, OTHER), (OTHER, NUMBER)])
async def test_the_last_undo_restores_a_shared_app_of_somebodys(
    ops: Run, public: str, emulator: Emulator, first: str, last: str
) -> None:
    sid = rest(emulator).applications.create(friendly_name="mine", voice_url="https://old.example.com/").sid
    for each in (NUMBER, OTHER):
        await ops("connect", each, TWILIO_TWIML_APP_SID=sid)

    await ops("connect", first, "--undo", TWILIO_TWIML_APP_SID=sid)
    between = rest(emulator).applications(sid).fetch().voice_url
    await ops("connect", last, "--undo", TWILIO_TWIML_APP_SID=sid)

    assert between == application_values(public)["voice_url"]
    app = rest(emulator).applications(sid).fetch()
    assert (app.friendly_name, app.voice_url) == ("mine", "https://old.example.com/")


@pytest.mark.usefixtures("two")
async def test_an_app_that_was_made_anew_is_shared_too(ops: Run, emulator: Emulator) -> None:
    await ops("connect", NUMBER)
    await ops("connect", OTHER)
    rest(emulator).applications.list()[0].delete()
    await ops("connect", NUMBER)

    await ops("connect", NUMBER, "--undo")
    assert len(rest(emulator).applications.list()) == 1
    await ops("connect", OTHER, "--undo")
    assert rest(emulator).applications.list() == []


# A Messaging Service that takes the texts.


@pytest.mark.parametrize(
    ("url", "says"),
    [
        (
            "https://shop.example.com/sms?key=s3cret",
            "takes its texts to https://shop.example.com/sms?key=...",
        ),
        ("", "drops its texts"),
    ],
)
@pytest.mark.parametrize("arguments", [[], ["--dry-run"]])
async def test_a_messaging_service_that_takes_the_texts_is_named_with_what_mends_it(
    ops: Run, emulator: Emulator, url: str, says: str, arguments: list[str]
) -> None:
    in_a_service(emulator, use_inbound_webhook_on_number=False, inbound_request_url=url)

    result = await ops("connect", NUMBER, *arguments)

    output = result.output.replace("\n", " ")
    assert result.exit_code == 0, output
    assert f"sms_url of {NUMBER} is not used: the Messaging Service Shop ({SERVICE})" in output
    assert says in output
    assert "Defer to sender's webhook" in output
    assert "s3cret" not in output


async def test_the_mend_of_a_messaging_service_mends_it(ops: Run, emulator: Emulator) -> None:
    in_a_service(emulator, use_inbound_webhook_on_number=False, inbound_request_url="http://localhost:9/sms")
    await ops("connect", NUMBER)
    lost = await emulator.inbound_message_async("+12025550101", NUMBER, "HELP")

    rest(emulator).messaging.v1.services(SERVICE).update(use_inbound_webhook_on_number=True)

    assert lost.status is None
    assert (await emulator.inbound_message_async("+12025550101", NUMBER, "HELP")).status == 200
    assert json.loads((await ops("connect", NUMBER, "--json")).stdout)["warnings"] == []


async def test_a_messaging_service_that_leaves_or_brings_the_texts_is_none_to_warn_of(
    ops: Run, public: str, emulator: Emulator
) -> None:
    leaves: dict[str, Any] = {"inbound_request_url": "https://shop.example.com/"}
    brings = {"inbound_request_url": f"{public}/api/sms", "use_inbound_webhook_on_number": False}
    for values in (leaves, brings):
        in_a_service(emulator, **values)

        assert json.loads((await ops("connect", NUMBER, "--json")).stdout)["warnings"] == []


async def test_services_that_may_not_be_read_do_not_keep_a_number_from_being_connected(
    ops: Run, public: str, emulator: Emulator, ahead: Ahead
) -> None:
    def answer(request: web.Request) -> web.Response | None:
        return web.json_response(ERROR, status=400) if request.path.startswith("/v1/Services") else None

    result = await ops("connect", NUMBER, TWILIO_BASE_URL=ahead(answer))

    assert result.exit_code == 0
    assert "whether a Messaging Service takes the number's texts could not be seen" in result.output
    assert state(emulator) == number_values(public)
