"""The emulator inside another process, on a thread and event loop of its own: for sync and async code."""

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self

from local.twilio.carrier.inbound_sms import Inbound, receive_message
from local.twilio.carrier.legs import CallRunner, Carrier
from local.twilio.carrier.live import Live
from local.twilio.model.faults import Planned
from local.twilio.model.options import Options
from local.twilio.model.store import Clock
from local.twilio.rest.server import Server
from local.twilio.simulator import Core, Exchange, utcnow

_START_TIMEOUT = 30


class Emulator:
    """A running emulator: `with Emulator() as emulator: ... emulator.url`.

    Methods may be called from any thread. Those that wait for webhooks have an `_async` twin: an async test
    whose own loop serves the webhooks must use it. `clock` is what it dates by: a test may set it off.
    """

    def __init__(
        self,
        options: Options | None = None,
        runner: CallRunner | None = None,
        clock: Clock = utcnow,
        carrier: Callable[[Core], Carrier] | None = None,
    ) -> None:
        self.options = options or Options()
        self._runner = runner
        self._clock = clock
        self._carrier = carrier
        self._ready = threading.Event()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="twilio-emulator", daemon=True)

    # Its life

    def start(self) -> Self:
        """Start it and wait until it answers. Raises OSError when its port is taken."""
        self._thread.start()
        if not self._ready.wait(_START_TIMEOUT):
            raise TimeoutError("the Twilio emulator did not start")
        if self._error is not None:
            raise self._error
        return self

    def stop(self) -> None:
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join(_START_TIMEOUT)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _run(self) -> None:
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        self._core = Core(self.options, self._runner, self._clock, carrier=self._carrier)
        self._server = Server(self._core)
        try:
            await self._server.start()
        except OSError as exc:
            self._error = exc
            self._ready.set()
            return
        self._ready.set()
        await self._stop.wait()
        await self._server.stop()

    def _do[T](self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    async def _do_async[T](self, work: Coroutine[Any, Any, T]) -> T:
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, self._loop))

    def _read[T](self, reading: Callable[[Core], T]) -> T:
        async def read() -> T:
            return reading(self._core)

        return self._do(read())

    # Where it is

    @property
    def url(self) -> str:
        """Its origin, for TWILIO_BASE_URL."""
        return self._server.url

    @property
    def port(self) -> int:
        return self._server.port

    # What it knows

    def ledger(self) -> dict[str, Any]:
        """What was really accepted: {messages: [...], calls: [...], evicted}."""
        return self._read(lambda core: core.ledger.body())

    def messages(self, to: str | None = None) -> list[dict[str, Any]]:
        """Message resources as the REST API shows them, newest first."""
        return self._read(lambda core: [each.body() for each in core.messages.newest(to)])

    def calls(self, to: str | None = None) -> list[dict[str, Any]]:
        """Call resources as the REST API shows them, newest first, each with its `documents`."""
        return self._read(
            lambda core: [
                {**each.body(), "documents": [(one.url, one.twiml) for one in each.documents]}
                for each in core.calls.newest(to)
            ]
        )

    def deliveries(self, sid: str | None = None, kind: str | None = None) -> list[dict[str, Any]]:
        """Webhook requests made, oldest first."""
        return self._read(
            lambda core: [
                each.as_json()
                for each in core.webhooks.deliveries
                if sid in {None, each.sid} and kind in {None, each.kind}
            ]
        )

    def alerts(self) -> list[dict[str, Any]]:
        return self._read(lambda core: [each.as_json() for each in core.alerts])

    def exchanges(self) -> list[Exchange]:
        """REST requests and answers, oldest first, the last `exchanges_kept` of them."""
        return self._read(lambda core: list(core.exchanges))

    def on_exchange(self, hook: Callable[[Exchange], None] | None) -> None:
        """Have every REST exchange handed over as it happens, on the emulator's thread."""

        def set_hook(core: Core) -> None:
            core.on_exchange = hook

        self._read(set_hook)

    # What it does

    def inbound_message(
        self, sender: str, to: str, body: str, media_urls: list[str] | None = None
    ) -> Inbound:
        """A person texts one of our numbers. Returns when the webhook has answered."""
        return self._do(self._inbound(sender, to, body, media_urls))

    async def inbound_message_async(
        self, sender: str, to: str, body: str, media_urls: list[str] | None = None
    ) -> Inbound:
        return await self._do_async(self._inbound(sender, to, body, media_urls))

    async def _inbound(self, sender: str, to: str, body: str, media_urls: list[str] | None) -> Inbound:
        return await receive_message(self._core, sender, to, body, media_urls or [])

    def inbound_call(self, sender: str, to: str) -> Inbound:
        """A person calls one of our numbers. Returns when the voice webhook has answered."""
        return self._do(self._call(sender, to))

    async def inbound_call_async(self, sender: str, to: str) -> Inbound:
        return await self._do_async(self._call(sender, to))

    async def _call(self, sender: str, to: str) -> Inbound:
        return await self._core.calling.receive(sender, to)

    def configure_number(self, phone_number: str | None = None, **urls: str) -> None:
        """Set sms_url, voice_url, status_callback... of a number, by default of the first."""

        def configure(core: Core) -> None:
            numbers = core.account.numbers.values()
            number = next(each for each in numbers if phone_number in {None, each.phone_number})
            unknown = set(urls) - set(number.settings)
            if unknown:
                raise ValueError(f"a number has no {', '.join(sorted(unknown))}")
            number.settings.update(urls)

        self._read(configure)

    def faults(self, **values: float | bool) -> dict[str, Any]:
        """Change faults (see Faults); what is in force then, and `injected` so far."""

        def change(core: Core) -> dict[str, Any]:
            core.dice.set(values)
            return {**core.dice.faults.body(), "injected": dict(core.dice.counts)}

        return self._read(change)

    def plan(self, **values: Any) -> None:
        """A fault for the next creates that match (see Planned)."""
        planned = Planned.parse(values)
        self._read(lambda core: core.dice.plan(planned))

    def pace(self, **values: float) -> None:
        """Seconds: step from one status to the next, talk on a call."""
        self._read(lambda core: core.set_pace(values))

    def settle(self, timeout: float = 10) -> None:
        """Wait until nothing is under way. Raises TimeoutError."""
        self._do(self._settle(timeout))

    async def settle_async(self, timeout: float = 10) -> None:
        await self._do_async(self._settle(timeout))

    async def _settle(self, timeout: float) -> None:
        await self._core.work.settled(timeout)

    def reset(self, options: Options | None = None) -> None:
        """Back to the start, with other options when given (the port stays)."""
        self._do(self._reset(options))

    async def _reset(self, options: Options | None) -> None:
        await self._core.reset(options)

    @contextmanager
    def away(self) -> Iterator[None]:
        """Refuse connections while in here."""
        self._do(self._server.leave())
        try:
            yield
        finally:
            self._do(self._server.listen())

    def use_runner(self, runner: CallRunner) -> None:
        """Put another CallRunner at the other end of calls from now on."""

        def use(core: Core) -> None:
            if isinstance(core.live, Live):
                core.live.runner = runner
            else:
                core.live = Live(core, runner)

        self._read(use)
