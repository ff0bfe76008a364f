"""Every trigger of Switchboard. Each adapts, makes one call into shared/, and logs."""

import logging
import typing
from functools import partial

import azure.functions as func

from shared.errors import SettingsError
from shared.lazily import (
    api,
    bulk,
    calls,
    client_token,
    diagnosis,
    drain,
    erasure,
    messaging,
    pages,
    schedule,
    timeline,
    twimlets,
    voice,
    webhook,
)
from shared.services import Services, utcnow

if typing.TYPE_CHECKING:
    from shared.sms.message import Message

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

# Webhooks: anonymous, and nothing happens without a valid X-Twilio-Signature.


@app.route("voice", methods=WEBHOOK, auth_level=ANONYMOUS)
async def voice_incoming(req: func.HttpRequest) -> func.HttpResponse:
    """Twilio: a call came in."""
    return await webhook.reply(req, services, voice.greeting)


@app.route("voice/step/{step}", methods=WEBHOOK, auth_level=ANONYMOUS)
@app.queue_output(arg_name="ring", queue_name=CALLS, connection=STORAGE)
async def voice_step(req: func.HttpRequest, ring: Queued) -> func.HttpResponse:
    """Twilio: a call takes a further step; its caller may ask to be called back."""
    return await webhook.reply(req, services, partial(calls.step, req.route_params["step"], services), ring)


@app.route("voice/client", methods=WEBHOOK, auth_level=ANONYMOUS)
async def voice_client(req: func.HttpRequest) -> func.HttpResponse:
    """Twilio: the softphone places a call."""
    return await webhook.reply(req, services, voice.client)


@app.route("voice/status", methods=WEBHOOK, auth_level=ANONYMOUS)
async def voice_status(req: func.HttpRequest) -> func.HttpResponse:
    """Twilio: a call's state changed."""
    return await webhook.record(req, services, lambda request: calls.reported(request, services.calls))


@app.route("sms", methods=WEBHOOK, auth_level=ANONYMOUS)
async def sms_incoming(req: func.HttpRequest) -> func.HttpResponse:
    """Twilio: a text came in."""
    return await webhook.reply(
        req, services, lambda request, known: messaging.inbound(request, known, services.messages)
    )


@app.route("sms/status", methods=WEBHOOK, auth_level=ANONYMOUS)
async def sms_status(req: func.HttpRequest) -> func.HttpResponse:
    """Twilio: a message's state changed."""
    return await webhook.record(req, services, lambda request: schedule.reported(request, services.messages))


@app.route("twimlets/{name}", methods=WEBHOOK, auth_level=ANONYMOUS)
async def twimlet(req: func.HttpRequest) -> func.HttpResponse:
    """Twilio: a call asks for one of the Twimlets."""
    return await webhook.reply(req, services, partial(twimlets.twimlet, req.route_params["name"]))


# Scheduled SMS.


@app.timer_trigger(arg_name="timer", schedule="%SMS_SCHEDULE%")
@app.queue_output(arg_name="shards", queue_name=DRAIN, connection=STORAGE)
async def send_due_sms(timer: func.TimerRequest, shards: Queued) -> None:
    """Send the SMS whose time has come, and settle what is in doubt."""
    if timer.past_due:
        log.warning("the timer is late: what fell due meanwhile is sent now")
    report = await drain.tick(services, now=utcnow())
    log.info("drained: %s", report)
    if report.to_do:
        shards.set(report.to_do)


@app.queue_trigger(arg_name="message", queue_name=DRAIN, connection=STORAGE)
@app.queue_output(arg_name="shards", queue_name=DRAIN, connection=STORAGE)
async def drain_sms(message: func.QueueMessage, shards: Queued) -> None:
    """Send what is due in one shard: more than a tick could, or a message that is to leave at once."""
    report = await drain.one_shard(message.get_body(), services, now=utcnow())
    log.info("drained a shard: %s", report)
    if report.to_do:
        shards.set(report.to_do)


@app.route("messages", methods=["POST"])
@app.queue_output(arg_name="shards", queue_name=DRAIN, connection=STORAGE)
async def message_create(req: func.HttpRequest, shards: Queued) -> func.HttpResponse:
    """Send an SMS now, or schedule it."""

    async def create() -> "Message":
        message = await schedule.create(api.body(req), services.messages, services.settings, now=utcnow())
        if drain.leaves_now(message, services.settings, now=utcnow()):
            shards.set([message.partition])
        return message

    return await api.respond(create, 201)


@app.route("messages", methods=["GET"])
async def message_list(req: func.HttpRequest) -> func.HttpResponse:
    """List messages by state and time."""
    return await api.respond(
        lambda: schedule.listed(req.params, services.messages, token=api.token(req), limit=api.limit(req))
    )


@app.route("messages/{id}", methods=["GET"])
async def message_get(req: func.HttpRequest) -> func.HttpResponse:
    """Show one message."""
    message_id = req.route_params["id"]
    return await api.respond(lambda: schedule.show(message_id, services, now=utcnow()))


@app.route("messages/{id}", methods=["PATCH"])
async def message_edit(req: func.HttpRequest) -> func.HttpResponse:
    """Edit a message that still waits."""
    message_id = req.route_params["id"]
    return await api.respond(lambda: schedule.edit(message_id, api.body(req), services, now=utcnow()))


@app.route("messages/{id}", methods=["DELETE"])
async def message_cancel(req: func.HttpRequest) -> func.HttpResponse:
    """Cancel a message that still waits."""
    message_id = req.route_params["id"]
    return await api.respond(lambda: schedule.cancel(message_id, services.messages, now=utcnow()))


@app.route("messages/{id}/resend", methods=["POST"])
async def message_resend(req: func.HttpRequest) -> func.HttpResponse:
    """Send a message again whose fate nobody can say: a person's decision alone."""
    message_id = req.route_params["id"]
    return await api.respond(lambda: schedule.resend(message_id, services.messages, now=utcnow()))


# One person; the number comes in the body, so that no request log has it.


@app.route("recipients/messages", methods=["POST"])
async def recipient_messages(req: func.HttpRequest) -> func.HttpResponse:
    """List the messages to one recipient."""
    return await api.respond(lambda: timeline.messages(api.address(req), api.body(req), services))


@app.route("recipients/timeline", methods=["POST"])
async def recipient_timeline(req: func.HttpRequest) -> func.HttpResponse:
    """Show all that is known of one number: texts, calls, callbacks, opt-out and price."""
    return await api.respond(lambda: timeline.view(api.address(req), api.body(req), services, now=utcnow()))


@app.route("recipients/erase", methods=["POST"])
async def recipient_erase(req: func.HttpRequest) -> func.HttpResponse:
    """Erase a recipient."""
    return await api.respond(lambda: erasure.erase(api.address(req), services, now=utcnow()))


# Many messages from a file.


@app.route("bulk", methods=["POST"])
@app.queue_output(arg_name="load", queue_name=BULK, connection=STORAGE)
async def bulk_create(req: func.HttpRequest, load: Queued) -> func.HttpResponse:
    """Take a file of messages."""

    async def accept() -> dict[str, str]:
        kind = req.headers.get("Content-Type", "")
        job_id = await bulk.accept(api.sent(req), kind, dict(req.params), services, now=utcnow())
        load.set([bulk.queue_message(job_id)])
        return {"id": job_id}

    return await api.respond(accept, 202)


@app.route("bulk", methods=["GET"])
async def bulk_list(req: func.HttpRequest) -> func.HttpResponse:  # noqa: ARG001 - the trigger needs it
    """List the files whose load has not ended."""
    return await api.respond(lambda: bulk.unfinished(services))


@app.route("bulk/{id}", methods=["GET"])
async def bulk_get(req: func.HttpRequest) -> func.HttpResponse:
    """Show how far a file has been loaded, and what is wrong with its rows."""
    return await api.respond(lambda: bulk.progress(req.route_params["id"], services))


@app.route("bulk/{id}/resume", methods=["POST"])
@app.queue_output(arg_name="load", queue_name=BULK, connection=STORAGE)
async def bulk_resume(req: func.HttpRequest, load: Queued) -> func.HttpResponse:
    """Let a load that has not ended go on."""

    async def resume() -> dict[str, str]:
        job_id = await bulk.resume(req.route_params["id"], services)
        load.set([bulk.queue_message(job_id)])
        return {"id": job_id}

    return await api.respond(resume, 202)


@app.route("bulk/{id}/discard", methods=["POST"])
async def bulk_discard(req: func.HttpRequest) -> func.HttpResponse:
    """Give up a load that has not ended, and its file."""
    return await api.respond(lambda: bulk.discard(req.route_params["id"], services))


@app.queue_trigger(arg_name="message", queue_name=BULK, connection=STORAGE)
async def bulk_load(message: func.QueueMessage) -> None:
    """Check and load a file; raising keeps the message, and has it go on from where it was."""
    await bulk.load(bulk.job_in(message.get_body()), services)


@app.queue_trigger(arg_name="message", queue_name=f"{BULK}-poison", connection=STORAGE)
async def bulk_give_up(message: func.QueueMessage) -> None:
    """Say of a load that it has stopped."""
    await bulk.give_up(bulk.job_in(message.get_body()), services)


# Outbound calls.


@app.queue_trigger(arg_name="message", queue_name=CALLS, connection=STORAGE)
async def place_outbound_call(message: func.QueueMessage) -> None:
    """Ring the number in one queued request; raising puts it back on the queue."""
    await calls.place(message.get_body(), message.id or "", services, now=utcnow())


@app.queue_trigger(arg_name="message", queue_name=f"{CALLS}-poison", connection=STORAGE)
async def bury_outbound_call(message: func.QueueMessage) -> None:
    """Keep what the host gave up, with its reason."""
    await calls.bury(message.get_body(), message.id or "", services, now=utcnow())


@app.route("calls", methods=["POST"])
@app.queue_output(arg_name="ring", queue_name=CALLS, connection=STORAGE)
async def call_create(req: func.HttpRequest, ring: Queued) -> func.HttpResponse:
    """Put a call on the queue."""

    async def accept() -> dict[str, str]:
        request = await calls.accept(api.body(req), services, now=utcnow())
        ring.set([request.to_json()])
        return {"id": request.id}

    return await api.respond(accept, 202)


@app.route("calls", methods=["GET"])
async def call_list(req: func.HttpRequest) -> func.HttpResponse:
    """List calls as they came."""
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
    """Fetch a voicemail from Twilio, for whoever has a key."""
    return await api.sound(lambda: calls.recording(req.route_params["sid"], services))


@app.route("line", methods=["GET"])
async def line_get(req: func.HttpRequest) -> func.HttpResponse:  # noqa: ARG001 - the trigger needs it
    """Show who waits in the call queue."""
    return await api.respond(lambda: calls.line(services))


# What was given up.


@app.route("deadletters", methods=["GET"])
async def dead_letter_list(req: func.HttpRequest) -> func.HttpResponse:
    """List what was given up, newest first."""
    return await api.respond(lambda: services.dead_letters.page(token=api.token(req), limit=api.limit(req)))


@app.route("deadletters/{id}/replay", methods=["POST"])
@app.queue_output(arg_name="ring", queue_name=CALLS, connection=STORAGE)
async def dead_letter_replay(req: func.HttpRequest, ring: Queued) -> func.HttpResponse:
    """Put a call back on the queue, unless it may have left."""

    async def replay() -> dict[str, str]:
        letter_id = req.route_params["id"]
        ring.set([await calls.replay(letter_id, services, now=utcnow())])
        return {"id": letter_id}

    return await api.respond(replay, 202)


@app.route("deadletters/{id}/discard", methods=["POST"])
async def dead_letter_discard(req: func.HttpRequest) -> func.HttpResponse:
    """Forget one."""
    return await api.respond(lambda: services.dead_letters.discard(req.route_params["id"]))


# In the browser: the pages are static and anonymous, what they show comes through the routes with a key.


@app.route("stats", methods=["GET"])
async def stats_get(req: func.HttpRequest) -> func.HttpResponse:  # noqa: ARG001 - the trigger needs it
    """Count messages by state and hour."""
    return await api.respond(lambda: services.stats.view(now=utcnow()))


@app.route("token", methods=["POST"])
async def token_mint(req: func.HttpRequest) -> func.HttpResponse:
    """Mint an access token for the softphone."""
    principal = req.headers.get("X-MS-CLIENT-PRINCIPAL-NAME", "")
    return await api.respond(lambda: client_token.mint(principal, services, now=utcnow()))


@app.route("softphone", methods=["GET"], auth_level=ANONYMOUS)
async def softphone_page(req: func.HttpRequest) -> func.HttpResponse:
    """A telephone in the browser."""
    return api.page(pages.page("softphone", req.headers, services))


@app.route("console", methods=["GET"], auth_level=ANONYMOUS)
async def console_page(req: func.HttpRequest) -> func.HttpResponse:
    """What is due, sent, given up; schedule, edit, upload."""
    return api.page(pages.page("console", req.headers, services))


@app.route("assets/{name}", methods=["GET"], auth_level=ANONYMOUS)
async def asset_get(req: func.HttpRequest) -> func.HttpResponse:
    """A script or a style sheet of the pages."""
    return api.page(pages.asset(req.route_params["name"], req.headers))


# Health.


@app.route("diagnosis", methods=["GET"])
async def diagnosis_get(req: func.HttpRequest) -> func.HttpResponse:  # noqa: ARG001 - the trigger needs it
    """Try storage and Twilio, and say when the timer last ran."""
    return await api.respond(lambda: diagnosis.diagnose(services, now=utcnow()))


@app.route("health", methods=["GET"], auth_level=ANONYMOUS)
async def health(req: func.HttpRequest) -> func.HttpResponse:  # noqa: ARG001 - the trigger needs it
    """200, which names a setting that cannot take effect; 503 naming those that are missing or wrong."""
    try:
        unusable = services.settings.unusable
    except SettingsError as exc:
        wrong = [f"{name} {problem}" for name, problem in exc.invalid]
        return api.answer({"status": "unhealthy", "missing": list(exc.missing), "invalid": wrong}, 503)
    if unusable:
        wrong = [f"{name} {problem}" for name, problem in unusable]
        return api.answer({"status": "degraded", "missing": [], "invalid": wrong})
    return api.answer({"status": "healthy"})
