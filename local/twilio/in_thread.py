"""The emulator in the process of a test, on a thread and an event loop of its own."""

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self

from local.twilio.carrier.backend import RestRequest, utcnow
from local.twilio.carrier.exchange.ringing import TwimlScript
from local.twilio.model.faults import Planned
from local.twilio.model.options import Options
from local.twilio.model.resources import Inbound
from local.twilio.model.store import Clock
from local.twilio.rest.server import EmulatorServer
from local.twilio.simulator import Simulator

_START_TIMEOUT = 30


class Emulator:
    """A running emulator: `with Emulator() as emulator: ... emulator.url`.

    Methods may be called from any thread. Those that wait for webhooks have an `_async` twin, which an async
    test must use if its own loop serves the webhooks. clock: what the emulator takes dates from; a test may
    set it wrong. twiml: carries out the TwiML of calls; without it, TwiML is fetched and kept.
    """

    def __init__(
        self,
        options: Options | None = None,
        *,
        clock: Clock = utcnow,
        twiml: TwimlScript | None = None,
    ) -> None:
        self.options = options or Options()
        self._clock = clock
        self._twiml = twiml
        self._ready = threading.Event()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="twilio-emulator", daemon=True)

    # Start and stop

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
        self._simulator = Simulator(self.options, self._clock, twiml=self._twiml)
        self._server = EmulatorServer(self._simulator)
        try:
            await self._server.start()
        except OSError as exc:
            self._error = exc
            self._ready.set()
            return
        self._ready.set()
        await self._stop.wait()
        await self._server.stop()

    def _wait_for[T](self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    async def _wait_for_async[T](self, work: Coroutine[Any, Any, T]) -> T:
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, self._loop))

    def do[T](self, action: Callable[[Simulator], T]) -> T:
        """Read or change something of the simulator, on its own loop."""

        async def act() -> T:
            return action(self._simulator)

        return self._wait_for(act())

    # Its address

    @property
    def url(self) -> str:
        """Its origin, for TWILIO_BASE_URL."""
        return self._server.url

    @property
    def port(self) -> int:
        return self._server.port

    # What it has recorded

    def ledger(self) -> dict[str, Any]:
        """What was really accepted: {messages: [...], calls: [...], evicted}."""
        return self.do(lambda simulator: simulator.ledger.body())

    def messages(self, to: str | None = None) -> list[dict[str, Any]]:
        """Message resources as the REST API shows them, newest first."""
        return self.do(lambda simulator: [each.body() for each in simulator.messages.newest(to)])

    def calls(self, to: str | None = None) -> list[dict[str, Any]]:
        """Call resources as the REST API shows them, newest first, each with its `documents`."""
        return self.do(
            lambda simulator: [
                {**each.body(), "documents": [(one.url, one.twiml) for one in each.documents]}
                for each in simulator.calls.newest(to)
            ]
        )

    def deliveries(self, sid: str | None = None, kind: str | None = None) -> list[dict[str, Any]]:
        """Webhook requests made, oldest first."""
        return self.do(
            lambda simulator: [
                each.as_json()
                for each in simulator.webhooks.deliveries
                if sid in {None, each.sid} and kind in {None, each.kind}
            ]
        )

    def alerts(self) -> list[dict[str, Any]]:
        return self.do(lambda simulator: [each.as_json() for each in simulator.alerts])

    def rest_requests(self) -> list[RestRequest]:
        """REST requests and their answers, oldest first, the last `rest_requests_kept` of them."""
        return self.do(lambda simulator: list(simulator.rest_requests))

    def on_rest_request(self, hook: Callable[[RestRequest], None] | None) -> None:
        """Give every REST request and its answer to `hook` as it happens, on the emulator's thread."""

        def set_hook(simulator: Simulator) -> None:
            simulator.on_rest_request = hook

        self.do(set_hook)

    # What it is to do

    def inbound_message(
        self, sender: str, to: str, body: str, media_urls: list[str] | None = None
    ) -> Inbound:
        """A person texts one of our numbers. Returns when the webhook has answered."""
        return self._wait_for(self._inbound(sender, to, body, media_urls))

    async def inbound_message_async(
        self, sender: str, to: str, body: str, media_urls: list[str] | None = None
    ) -> Inbound:
        return await self._wait_for_async(self._inbound(sender, to, body, media_urls))

    async def _inbound(self, sender: str, to: str, body: str, media_urls: list[str] | None) -> Inbound:
        return await self._simulator.receive_message(sender, to, body, media_urls or [])

    def inbound_call(self, sender: str, to: str) -> Inbound:
        """A person calls one of our numbers. Returns when the voice webhook has answered."""
        return self._wait_for(self._call(sender, to))

    async def inbound_call_async(self, sender: str, to: str) -> Inbound:
        return await self._wait_for_async(self._call(sender, to))

    async def _call(self, sender: str, to: str) -> Inbound:
        return await self._simulator.calling.receive(sender, to)

    def open_handsets(self, *addresses: str) -> None:
        """A person is at each of these addresses, and does nothing; no robot answers there."""
        self.do(lambda simulator: simulator.live_calls.handsets.update(addresses))

    def close_handsets(self) -> None:
        """Robots answer everywhere again."""
        self.do(lambda simulator: simulator.live_calls.handsets.clear())

    def configure_number(self, phone_number: str | None = None, **urls: str) -> None:
        """Set sms_url, voice_url, status_callback... of a number, by default of the first one."""

        def configure(simulator: Simulator) -> None:
            numbers = simulator.account.numbers.values()
            number = next(each for each in numbers if phone_number in {None, each.phone_number})
            unknown = set(urls) - set(number.settings)
            if unknown:
                raise ValueError(f"a number has no {', '.join(sorted(unknown))}")
            number.settings.update(urls)

        self.do(configure)

    def faults(self, **values: float | bool) -> dict[str, Any]:
        """Change faults (see Faults). Returns all faults, and `injected`: how many so far."""

        def change(simulator: Simulator) -> dict[str, Any]:
            simulator.dice.set(values)
            return {**simulator.dice.faults.body(), "injected": dict(simulator.dice.counts)}

        return self.do(change)

    def plan(self, **values: Any) -> None:
        """Plan a fault for the next creates that match (see Planned)."""
        planned = Planned.parse(values)
        self.do(lambda simulator: simulator.dice.plan(planned))

    def pace(self, **values: float) -> None:
        """Change step or talk, in seconds (see Pace)."""
        self.do(lambda simulator: simulator.set_pace(values))

    def settle(self, timeout: float = 10) -> None:
        """Wait until nothing is under way. Raises TimeoutError."""
        self._wait_for(self._settle(timeout))

    async def settle_async(self, timeout: float = 10) -> None:
        await self._wait_for_async(self._settle(timeout))

    async def _settle(self, timeout: float) -> None:
        await self._simulator.background.settled(timeout)

    def reset(self, options: Options | None = None) -> None:
        """Back to the start, with these options if given. The port stays."""
        self._wait_for(self._reset(options))

    async def _reset(self, options: Options | None) -> None:
        await self._simulator.reset(options)

    @contextmanager
    def away(self) -> Iterator[None]:
        """Refuse connections inside this block."""
        self._wait_for(self._server.leave())
        try:
            yield
        finally:
            self._wait_for(self._server.listen())
