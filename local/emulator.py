"""`python -m local.emulator`: the Twilio emulator as a process of its own, with or without its phone."""

import argparse
import asyncio
import logging
import os
import signal
import sys

from local.phone.server import PhoneServer
from local.phone.walker import walk_twiml
from local.twilio.model.options import (
    ACCOUNT_SID,
    AUTH_TOKEN,
    NUMBER,
    MessagingService,
    Number,
    Options,
    Pace,
)
from local.twilio.rest.server import EmulatorServer
from local.twilio.simulator import Simulator

log = logging.getLogger("local.twilio")


def main() -> int:
    asked = _command_line().parse_args()
    logging.basicConfig(
        stream=sys.stderr, level=logging.WARNING, format="%(asctime)s %(message)s", datefmt="%H:%M:%S"
    )
    log.setLevel(logging.INFO)
    try:
        asyncio.run(_serve(_options(asked), asked.phone_port))
    except OSError as exc:
        ports = f"port {asked.port}" + ("" if asked.phone_port is None else f" or {asked.phone_port}")
        print(f"the Twilio emulator cannot listen on {ports}: {exc.strerror}", file=sys.stderr)
        return 1
    return 0


def _command_line() -> argparse.ArgumentParser:
    line = argparse.ArgumentParser(
        prog="python -m local.emulator",
        description="Our emulator of Twilio. Secrets come from TWILIO_AUTH_TOKEN, TWILIO_API_KEY and"
        " TWILIO_API_SECRET.",
    )
    line.add_argument("--port", type=int, default=4000, help="its port on 127.0.0.1; 0 takes a free one")
    line.add_argument(
        "--phone-port",
        type=int,
        help="the port of the phone on the screen, which walks calls; 0 takes a free one",
    )
    line.add_argument("--account-sid", default=os.environ.get("TWILIO_ACCOUNT_SID") or ACCOUNT_SID)
    line.add_argument(
        "--number", action="append", help="a number that the account owns; repeat it for more numbers"
    )
    line.add_argument("--voice-url", default="", help="where calls to the numbers go")
    line.add_argument("--voice-fallback-url", default="")
    line.add_argument("--sms-url", default="", help="where texts to the numbers go")
    line.add_argument("--sms-fallback-url", default="")
    line.add_argument("--status-callback", default="", help="where the end of inbound calls is reported")
    line.add_argument(
        "--messaging-service",
        action="append",
        default=[],
        help="the SID of a Messaging Service, which sends from every number",
    )
    line.add_argument("--twiml-app", action="append", default=[], help="the SID of an application")
    line.add_argument(
        "--allow-host",
        action="append",
        default=[],
        help="a host other than this machine that webhooks may go to",
    )
    line.add_argument("--step", type=float, default=Pace().step, help="seconds from one status to the next")
    line.add_argument(
        "--talk", type=float, default=Pace().talk, help="seconds until a robot hangs up when it is waited for"
    )
    line.add_argument("--seed", type=int, default=1, help="the seed of the faults that are drawn")
    line.add_argument(
        "--automatic-replies",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="answer STOP, START and HELP as Twilio does",
    )
    return line


def _options(asked: argparse.Namespace) -> Options:
    key, secret = os.environ.get("TWILIO_API_KEY", ""), os.environ.get("TWILIO_API_SECRET", "")
    return Options(
        account_sid=asked.account_sid,
        auth_token=os.environ.get("TWILIO_AUTH_TOKEN") or AUTH_TOKEN,
        api_keys={key: secret} if key and secret else {},
        numbers=tuple(
            Number(
                phone_number=each,
                voice_url=asked.voice_url,
                voice_fallback_url=asked.voice_fallback_url,
                sms_url=asked.sms_url,
                sms_fallback_url=asked.sms_fallback_url,
                status_callback=asked.status_callback,
            )
            for each in asked.number or [NUMBER]
        ),
        messaging_services=tuple(MessagingService(sid=each) for each in asked.messaging_service),
        application_sids=tuple(asked.twiml_app),
        port=asked.port,
        allowed_hosts=frozenset(asked.allow_host),
        pace=Pace(step=asked.step, talk=asked.talk),
        automatic_replies=asked.automatic_replies,
        seed=asked.seed,
    )


async def _serve(options: Options, phone_port: int | None) -> None:
    stopped = asyncio.Event()
    for each in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(each, stopped.set)
    server = EmulatorServer(Simulator(options, twiml=None if phone_port is None else walk_twiml))
    await server.start()
    try:
        phone = None if phone_port is None else PhoneServer(server.simulator, phone_port)
        if phone is not None:
            await phone.start()
            log.info("its phone is at %s", phone.url)
        log.info("the Twilio emulator is ready at %s", server.url)
        await stopped.wait()
        if phone is not None:
            await phone.stop()
    finally:
        await server.stop()


if __name__ == "__main__":
    raise SystemExit(main())
