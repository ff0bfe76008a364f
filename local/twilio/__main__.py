"""`python -m local.twilio`: the emulator as a process of its own."""

import asyncio
import logging
import os
import signal
import sys
from typing import Annotated

import typer

from local.phone.server import Screen
from local.twilio.carrier.live_calls import Office
from local.twilio.model.options import (
    ACCOUNT_SID,
    AUTH_TOKEN,
    NUMBER,
    MessagingService,
    Number,
    Options,
    Pace,
)
from local.twilio.rest.server import Server
from local.twilio.simulator import Core


def main(
    port: Annotated[int, typer.Option(help="Where it listens, on 127.0.0.1; 0 takes a free one.")] = 4000,
    phone_port: Annotated[
        int | None,
        typer.Option(help="Where the phone is on the screen, which walks calls; 0 takes a free one."),
    ] = None,
    account_sid: Annotated[str, typer.Option(envvar="TWILIO_ACCOUNT_SID")] = ACCOUNT_SID,
    number: Annotated[
        list[str] | None, typer.Option(help="A number the account owns; repeat for more.")
    ] = None,
    voice_url: Annotated[str, typer.Option(help="Where calls to the numbers go.")] = "",
    voice_fallback_url: Annotated[str, typer.Option()] = "",
    sms_url: Annotated[str, typer.Option(help="Where texts to the numbers go.")] = "",
    sms_fallback_url: Annotated[str, typer.Option()] = "",
    status_callback: Annotated[str, typer.Option(help="Where inbound calls report their end.")] = "",
    messaging_service: Annotated[
        list[str] | None, typer.Option(help="A Messaging Service SID; it sends from every number.")
    ] = None,
    twiml_app: Annotated[
        list[str] | None, typer.Option(help="The SID of an application that exists.")
    ] = None,
    allow_host: Annotated[
        list[str] | None, typer.Option(help="A host beyond this machine that webhooks may go to.")
    ] = None,
    step: Annotated[float, typer.Option(help="Seconds from one status to the next.")] = Pace().step,
    talk: Annotated[
        float, typer.Option(help="Seconds a call lasts when nobody walks its TwiML.")
    ] = Pace().talk,
    seed: Annotated[int, typer.Option(help="For the faults that are drawn.")] = 1,
    automatic_replies: Annotated[
        bool, typer.Option(help="Answer STOP, START and HELP as Twilio does.")
    ] = True,
) -> None:
    """Our emulator of Twilio. Secrets come from TWILIO_AUTH_TOKEN, TWILIO_API_KEY and TWILIO_API_SECRET."""
    key, secret = os.environ.get("TWILIO_API_KEY", ""), os.environ.get("TWILIO_API_SECRET", "")
    options = Options(
        account_sid=account_sid,
        auth_token=os.environ.get("TWILIO_AUTH_TOKEN") or AUTH_TOKEN,
        api_keys={key: secret} if key and secret else {},
        numbers=tuple(
            Number(
                phone_number=each,
                voice_url=voice_url,
                voice_fallback_url=voice_fallback_url,
                sms_url=sms_url,
                sms_fallback_url=sms_fallback_url,
                status_callback=status_callback,
            )
            for each in number or [NUMBER]
        ),
        messaging_services=tuple(MessagingService(sid=each) for each in messaging_service or []),
        application_sids=tuple(twiml_app or []),
        port=port,
        allowed_hosts=frozenset(allow_host or []),
        pace=Pace(step=step, talk=talk),
        automatic_replies=automatic_replies,
        seed=seed,
    )
    logging.basicConfig(
        stream=sys.stderr, level=logging.WARNING, format="%(asctime)s %(message)s", datefmt="%H:%M:%S"
    )
    logging.getLogger("local.twilio").setLevel(logging.INFO)
    try:
        asyncio.run(_serve(options, phone_port))
    except OSError as exc:
        asked = f"port {port}" if phone_port is None else f"port {port} or {phone_port}"
        print(f"the Twilio emulator cannot listen on {asked}: {exc.strerror}", file=sys.stderr)
        raise typer.Exit(1) from exc


async def _serve(options: Options, phone_port: int | None) -> None:
    stopped = asyncio.Event()
    for each in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(each, stopped.set)
    log = logging.getLogger("local.twilio")
    server = Server(Core(options, carrier=None if phone_port is None else Office))
    await server.start()
    try:
        screen = None if phone_port is None else Screen(server.core, phone_port)
        if screen is not None:
            await screen.start()
            log.info("its phone is at %s", screen.url)
        log.info("the Twilio emulator is ready at %s", server.url)
        await stopped.wait()
        if screen is not None:
            await screen.stop()
    finally:
        await server.stop()


if __name__ == "__main__":
    typer.run(main)
