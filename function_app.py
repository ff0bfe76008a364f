"""Every trigger of Switchboard. Each adapts, makes one call into shared/, and logs."""

import logging
import typing
from functools import partial

import azure.functions as func

from shared.services import Services, utcnow
from shared.web import api

if typing.TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from shared.config import Settings
    from shared.sms.message import Message
    from shared.twiml.reply import Effect
    from shared.twiml.request import TwilioRequest
    from shared.web.webhook import Flow, Note

log = logging.getLogger("switchboard")

STORAGE = "AzureWebJobsStorage"
CALLS, DRAIN, BULK = "outbound-calls", "sms-drain", "bulk-load"
ANONYMOUS = func.AuthLevel.ANONYMOUS
WEBHOOK = ["GET", "POST"]

# Queue messages that keep their text. The host would read a single text as JSON and write it again, with
# other dates. The worker library knows typing's List, and not list.
Queued = func.Out[typing.List[str]]  # noqa: UP006

app = func.FunctionApp(http_auth_level=func.AuthLevel.FUNCTION)
services = Services()


def settings() -> "Settings":
    """The app settings. SettingsError becomes a 503 in webhook and api."""
    return services.settings


# Webhooks: anonymous, and nothing happens without a valid X-Twilio-Signature.


async def carry_out(wanted: "Iterable[Effect]", now: "datetime") -> list[str]:
    """Do what a flow wants done besides its TwiML; the calls to place, as messages for the queue."""
    from shared.web import effects

    return await effects.carry_out(wanted, services.messages, services.settings, now=now)


async def answer(req: func.HttpRequest, flow: "Flow", **options: typing.Any) -> func.HttpResponse:
    """Check the signature, and answer with what the flow gives. options: as of webhook.reply."""
    from shared.web import webhook

    return await webhook.reply(req, settings, flow, carry_out, now=utcnow(), **options)


async def note(req: func.HttpRequest, noted: "Note") -> func.HttpResponse:
    """Check the signature, and note what a status callback says."""
    from shared.web import webhook

    return await webhook.record(req, settings, noted, now=utcnow())


@app.route("voice", methods=WEBHOOK, auth_level=ANONYMOUS)
async def voice_incoming(req: func.HttpRequest) -> func.HttpResponse:
    """Twilio: a call came in."""
    from shared.voice import menu

    return await answer(req, menu.greeting)


@app.route("voice/step/{step}", methods=WEBHOOK, auth_level=ANONYMOUS)
@app.queue_output(arg_name="ring", queue_name=CALLS, connection=STORAGE)
async def voice_step(req: func.HttpRequest, ring: Queued) -> func.HttpResponse:
    """Twilio: a call takes a further step; its caller may ask to be called back."""
    step = req.route_params["step"]
    if step == "outbound":
        from shared.voice.outbound import outbound

        async def words(request: "TwilioRequest") -> str:
            return (await services.calls.get(request.state("id"))).say

        return await answer(req, outbound, read=words)
    from shared.voice import steps

    return await answer(req, partial(steps.step, step), ring=ring)


@app.route("voice/client", methods=WEBHOOK, auth_level=ANONYMOUS)
async def voice_client(req: func.HttpRequest) -> func.HttpResponse:
    """Twilio: the softphone places a call."""
    from shared.voice import softphone

    return await answer(req, softphone.client)


@app.route("voice/status", methods=WEBHOOK, auth_level=ANONYMOUS)
async def voice_status(req: func.HttpRequest) -> func.HttpResponse:
    """Twilio: a call's state changed."""
    from shared.calls import status

    return await note(req, lambda request: status.reported(request, services.call_outbox))


@app.route("sms", methods=WEBHOOK, auth_level=ANONYMOUS)
async def sms_incoming(req: func.HttpRequest) -> func.HttpResponse:
    """Twilio: a text came in."""
    from shared.sms import replies

    read = partial(replies.asked_about, store=lambda: services.messages)
    return await answer(req, replies.inbound, read=read)


@app.route("sms/status", methods=WEBHOOK, auth_level=ANONYMOUS)
async def sms_status(req: func.HttpRequest) -> func.HttpResponse:
    """Twilio: a message's state changed."""
    from shared.sms import status

    return await note(req, lambda request: status.reported(request, services.text_outbox))


@app.route("twimlets/{name}", methods=WEBHOOK, auth_level=ANONYMOUS)
async def twimlet(req: func.HttpRequest) -> func.HttpResponse:
    """Twilio: a call asks for one of the Twimlets."""
    from shared.voice import twimlets

    return await answer(req, partial(twimlets.twimlet, req.route_params["name"]))


def check_action(action: str, known: str) -> None:
    """Raise NotFound for an action that there is not."""
    from shared.errors import NotFound

    if action != known:
        raise NotFound(f"{action} is no action")


# Scheduled SMS.


@app.timer_trigger(arg_name="timer", schedule="%SMS_SCHEDULE%")
@app.queue_output(arg_name="shards", queue_name=DRAIN, connection=STORAGE)
async def send_due_sms(timer: func.TimerRequest, shards: Queued) -> None:
    """Send the SMS whose time has come, and settle what is in doubt."""
    from shared import timer as ticking

    if timer.past_due:
        log.warning("the timer is late: what fell due meanwhile is sent now")
    now = utcnow()
    report = await ticking.tick(services.text_outbox, services.call_outbox, now=now)
    log.info("drained: %s", report)
    if report.to_do:
        shards.set(report.to_do)
    await services.given_up.keep(now=now)


@app.queue_trigger(arg_name="message", queue_name=DRAIN, connection=STORAGE)
@app.queue_output(arg_name="shards", queue_name=DRAIN, connection=STORAGE)
async def drain_sms(message: func.QueueMessage, shards: Queued) -> None:
    """Send what is due in one shard: more than a tick could, or a message that is to leave at once."""
    from shared import timer

    report = await timer.one_shard(message.get_body(), services.text_outbox, now=utcnow())
    log.info("drained a shard: %s", report)
    if report.to_do:
        shards.set(report.to_do)


@app.route("messages", methods=["POST"])
@app.queue_output(arg_name="shards", queue_name=DRAIN, connection=STORAGE)
async def message_create(req: func.HttpRequest, shards: Queued) -> func.HttpResponse:
    """Send an SMS now, or schedule it."""
    from shared.sms import schedule

    async def create() -> "Message":
        now = utcnow()
        message = await schedule.create(api.body(req), services.messages, services.settings, now=now)
        if await schedule.wants_drain(message, services.messages, services.settings, now=now):
            shards.set([message.partition])
        return message

    return await api.respond(create, 201)


@app.route("messages", methods=["GET"])
async def message_list(req: func.HttpRequest) -> func.HttpResponse:
    """List messages by state and time."""
    from shared.sms import schedule

    return await api.respond(
        lambda: schedule.listed(req.params, services.messages, token=api.token(req), limit=api.limit(req))
    )


@app.route("messages/{id}", methods=["GET"])
async def message_get(req: func.HttpRequest) -> func.HttpResponse:
    """Show one message."""
    from shared.sms import schedule

    return await api.respond(
        lambda: schedule.show(req.route_params["id"], services.messages, services.twilio, now=utcnow())
    )


@app.route("messages/{id}", methods=["PATCH"])
async def message_edit(req: func.HttpRequest) -> func.HttpResponse:
    """Edit a message that still waits."""
    from shared.sms import schedule

    return await api.respond(
        lambda: schedule.edit(
            req.route_params["id"], api.body(req), services.messages, services.settings, now=utcnow()
        )
    )


@app.route("messages/{id}", methods=["DELETE"])
async def message_cancel(req: func.HttpRequest) -> func.HttpResponse:
    """Cancel a message that still waits."""
    from shared.sms import schedule

    return await api.respond(lambda: schedule.cancel(req.route_params["id"], services.messages, now=utcnow()))


@app.route("messages/{id}/resend", methods=["POST"])
async def message_resend(req: func.HttpRequest) -> func.HttpResponse:
    """Send a message again whose fate nobody can say: a person's decision alone."""
    from shared.sms import schedule

    return await api.respond(lambda: schedule.resend(req.route_params["id"], services.messages, now=utcnow()))


# One person; the number comes in the body, so that no request log has it.


@app.route("recipients/messages", methods=["POST"])
async def recipient_messages(req: func.HttpRequest) -> func.HttpResponse:
    """List the messages to one recipient."""
    from shared.recipients import timeline

    return await api.respond(lambda: timeline.messages(api.address(req), api.body(req), services.messages))


@app.route("recipients/timeline", methods=["POST"])
async def recipient_timeline(req: func.HttpRequest) -> func.HttpResponse:
    """Show all that is known of one number: texts, calls, callbacks, opt-out and price."""
    return await api.respond(lambda: services.timeline.view(api.address(req), api.body(req), now=utcnow()))


@app.route("recipients/erase", methods=["POST"])
async def recipient_erase(req: func.HttpRequest) -> func.HttpResponse:
    """Erase a recipient."""
    from shared.recipients import erasure

    return await api.respond(
        lambda: erasure.erase(api.address(req), services.places, services.settings.erasure_key, now=utcnow())
    )


# Many messages from a file.


@app.route("bulk", methods=["POST"])
@app.queue_output(arg_name="load", queue_name=BULK, connection=STORAGE)
async def bulk_create(req: func.HttpRequest, load: Queued) -> func.HttpResponse:
    """Take a file of messages."""
    from shared.bulk import intake

    async def accept() -> dict[str, str]:
        kind = req.headers.get("Content-Type", "")
        data, params, jobs, files = api.sent(req), dict(req.params), services.bulk_jobs, services.files
        job_id = await intake.accept(data, kind, params, jobs, files, now=utcnow())
        load.set([intake.queue_message(job_id)])
        return {"id": job_id}

    return await api.respond(accept, 202)


@app.route("bulk", methods=["GET"])
async def bulk_list(req: func.HttpRequest) -> func.HttpResponse:  # noqa: ARG001 - the trigger needs it
    """List the files whose load has not ended."""
    from shared.bulk import intake

    return await api.respond(lambda: intake.unfinished(services.bulk_jobs))


@app.route("bulk/{id}", methods=["GET"])
async def bulk_get(req: func.HttpRequest) -> func.HttpResponse:
    """Show how far a file has been loaded, and what is wrong with its rows."""
    from shared.bulk import intake

    return await api.respond(lambda: intake.progress(req.route_params["id"], services.bulk_jobs))


@app.route("bulk/{id}/{action}", methods=["POST"])
@app.queue_output(arg_name="load", queue_name=BULK, connection=STORAGE)
async def bulk_action(req: func.HttpRequest, load: Queued) -> func.HttpResponse:
    """Let a load that has not ended go on (resume), or give it up with its file (discard)."""
    from shared.bulk import intake

    job_id, action = req.route_params["id"], req.route_params["action"]

    async def act() -> object:
        if action == "discard":
            return await intake.discard(job_id, services.bulk_jobs, services.files)
        check_action(action, "resume")
        load.set([intake.queue_message(await intake.resume(job_id, services.bulk_jobs))])
        return {"id": job_id}

    return await api.respond(act, 202 if action == "resume" else 200)


@app.queue_trigger(arg_name="message", queue_name=BULK, connection=STORAGE)
async def bulk_load(message: func.QueueMessage) -> None:
    """Check and load a file. Raising keeps the message: the load then goes on from its last checkpoint."""
    from shared.bulk import intake

    await services.bulk_loader.load(intake.job_in(message.get_body()))


# Outbound calls.


@app.queue_trigger(arg_name="message", queue_name=CALLS, connection=STORAGE)
async def place_outbound_call(message: func.QueueMessage) -> None:
    """Ring the number in one queued request; raising puts it back on the queue."""
    from shared.calls import placing

    await placing.place(
        message.get_body(), message.id or "", services.call_outbox, services.dead_letters, now=utcnow()
    )


@app.route("calls", methods=["POST"])
@app.queue_output(arg_name="ring", queue_name=CALLS, connection=STORAGE)
async def call_create(req: func.HttpRequest, ring: Queued) -> func.HttpResponse:
    """Put a call on the queue."""
    from shared.calls import placing

    async def accept() -> dict[str, str]:
        request = await placing.accept(api.body(req), services.calls, services.settings, now=utcnow())
        ring.set([request.to_json()])
        return {"id": request.id}

    return await api.respond(accept, 202)


@app.route("calls", methods=["GET"])
async def call_list(req: func.HttpRequest) -> func.HttpResponse:
    """List calls, the last accepted first."""
    return await api.respond(
        lambda: services.calls.page(
            after=api.moment(req, "after"), token=api.token(req), limit=api.limit(req)
        )
    )


@app.route("calls/{id}", methods=["GET"])
async def call_get(req: func.HttpRequest) -> func.HttpResponse:
    """Show one call: its SID and state."""
    return await api.respond(lambda: services.calls.get(req.route_params["id"]))


@app.route("recordings/{sid}", methods=["GET"])
async def recording(req: func.HttpRequest) -> func.HttpResponse:
    """Fetch a voicemail from Twilio."""
    return await api.sound(lambda: services.twilio.recording(req.route_params["sid"]))


@app.route("line", methods=["GET"])
async def line_get(req: func.HttpRequest) -> func.HttpResponse:  # noqa: ARG001 - the trigger needs it
    """Show who waits in the call queue."""
    from shared.config import CALL_QUEUE

    return await api.respond(lambda: services.twilio.waiting(CALL_QUEUE))


# What was given up.


@app.route("deadletters", methods=["GET"])
async def dead_letter_list(req: func.HttpRequest) -> func.HttpResponse:
    """List what was given up, newest first."""
    return await api.respond(lambda: services.dead_letters.page(token=api.token(req), limit=api.limit(req)))


@app.route("deadletters/{id}/{action}", methods=["POST"])
@app.queue_output(arg_name="ring", queue_name=CALLS, connection=STORAGE)
async def dead_letter_action(req: func.HttpRequest, ring: Queued) -> func.HttpResponse:
    """Put a call back on the queue, unless it may have left (replay), or forget it (discard)."""
    from shared.calls import replay

    letter_id, action = req.route_params["id"], req.route_params["action"]

    async def act() -> object:
        if action == "discard":
            await services.dead_letters.discard(letter_id)
            return None
        check_action(action, "replay")
        ring.set([await replay.replay(letter_id, services.calls, services.dead_letters, now=utcnow())])
        return {"id": letter_id}

    return await api.respond(act, 202 if action == "replay" else 200)


# In the browser: the pages are static and anonymous; they get their data through the routes with a key.


@app.route("stats", methods=["GET"])
async def stats_get(req: func.HttpRequest) -> func.HttpResponse:  # noqa: ARG001 - the trigger needs it
    """Count messages by state and hour."""
    return await api.respond(lambda: services.stats.view(now=utcnow()))


@app.route("token", methods=["POST"])
async def token_mint(req: func.HttpRequest) -> func.HttpResponse:
    """Mint an access token for the softphone."""
    from shared.web import access_token

    principal, now = req.headers.get("X-MS-CLIENT-PRINCIPAL-NAME", ""), utcnow()
    return await api.respond(
        lambda: access_token.mint(principal, services.settings, services.twilio, services.limits, now=now)
    )


@app.route("softphone", methods=["GET"], auth_level=ANONYMOUS)
async def softphone_page(req: func.HttpRequest) -> func.HttpResponse:
    """A telephone in the browser."""
    from shared.web import pages

    return pages.page("softphone", req.headers, settings)


@app.route("console", methods=["GET"], auth_level=ANONYMOUS)
async def console_page(req: func.HttpRequest) -> func.HttpResponse:
    """The console: see, schedule and edit messages, upload files, handle dead letters."""
    from shared.web import pages

    return pages.page("console", req.headers, settings)


@app.route("assets/{name}", methods=["GET"], auth_level=ANONYMOUS)
async def asset_get(req: func.HttpRequest) -> func.HttpResponse:
    """A script or a style sheet of the pages."""
    from shared.web import pages

    return pages.asset(req.route_params["name"], req.headers)


# Health.


@app.route("diagnosis", methods=["GET"])
async def diagnosis_get(req: func.HttpRequest) -> func.HttpResponse:  # noqa: ARG001 - the trigger needs it
    """Try storage and Twilio, and show when the timer last ran."""
    from shared.web import diagnosis

    now = utcnow()
    return await api.respond(
        lambda: diagnosis.diagnose(
            services.settings,
            lambda: services.messages.table,
            lambda: services.files,
            services.twilio,
            now=now,
        )
    )


@app.route("health", methods=["GET"], auth_level=ANONYMOUS)
async def health(req: func.HttpRequest) -> func.HttpResponse:  # noqa: ARG001 - the trigger needs it
    """200, also when a setting cannot take effect; 503 when one is missing or wrong. It names each."""
    from shared.errors import SettingsError
    from shared.storage.layout import problem_of

    try:
        unusable = services.settings.unusable
    except SettingsError as exc:
        wrong = [f"{name} {problem}" for name, problem in exc.invalid]
        return api.answer({"status": "unhealthy", "missing": list(exc.missing), "invalid": wrong}, 503)
    if problem := await problem_of(lambda: services.tables.layout):
        return api.answer({"status": "unhealthy", "missing": [], "invalid": [problem]}, 503)
    if unusable:
        wrong = [f"{name} {problem}" for name, problem in unusable]
        return api.answer({"status": "degraded", "missing": [], "invalid": wrong})
    return api.answer({"status": "healthy"})
