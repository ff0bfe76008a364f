"""Walking documents on one call: fetch, check, then verb by verb, until there is no more TwiML."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from local.phone.twiml.attributes import word
from local.phone.twiml.document import Document, read, read_twiml
from local.phone.twiml.markup import Element
from local.phone.twiml.notices import DocumentFailed, Notice
from local.phone.twiml.schema import grammar
from local.twilio.carrier.exchange.engine import World
from local.twilio.carrier.exchange.events import Answered, NotWalked, Said
from local.twilio.carrier.exchange.leg import Call, StatusCallback
from local.twilio.carrier.exchange.signals import CallOver, Receive, Signal, Wait
from local.twilio.carrier.exchange.web_requests import Params, Target, WebRequest, resolve

# Twilio ends a loop of documents by the call's time limit only; a phone that takes no time needs one sooner.
MOST_DOCUMENTS = 1000
MOST_IN_A_ROW = 50

APPLICATION_ERROR = "We're sorry. An application error has occurred. Goodbye."


@dataclass(frozen=True, slots=True)
class Place:
    """Where TwiML runs: on the call itself, or where only some verbs may be used.

    refusal: the code of the notice for any other verb; ends: such a verb ends the TwiML, rather than being
    skipped. params: sent with every request from there.
    """

    name: str
    allowed: frozenset[str] | None = None
    refusal: int = 12200
    ends: bool = False
    wait: Wait = Wait.SOUND
    params: Callable[[], Params] = field(default=tuple)


CALL = Place("call")

type Handler = Callable[["Walk", Element], Awaitable[Target | None]]


class Walk:
    """The interpreter for one call in one place. `handlers` are the verbs it can carry out."""

    def __init__(
        self, world: World, call: Call, handlers: Mapping[str, Handler], place: Place = CALL
    ) -> None:
        self.world = world
        self.call = call
        self.handlers = handlers
        self.place = place
        self.document = Document(Element("Response", {}, 1, 1), None)

    def at(self, place: Place) -> "Walk":
        """The same call's interpreter in another place, with this document's URL to begin with."""
        other = Walk(self.world, self.call, self.handlers, place)
        other.document = self.document
        return other

    async def follow(self, target: Target | None) -> None:
        """From one document to the next, until one ends. Raises DocumentFailed."""
        while target is not None:
            self.document = await self.retrieve(target)
            target = await self.perform(self.document)

    async def follow_or_apologise(self, target: Target) -> None:
        """As follow, but what fails goes to the fallback URL if there is one, else the caller hears so.

        From "Availability and Reliability": the fallback is told ErrorCode and ErrorUrl.
        """
        try:
            await self.follow(target)
        except DocumentFailed as exc:
            fallback = self.call.fallback
            if fallback is None:
                await self._apologise()
                return
            params = (("ErrorCode", str(exc.notice.code)), ("ErrorUrl", exc.url or ""))
            try:
                await self.follow(Target(fallback.url, fallback.method, params))
            except DocumentFailed:
                await self._apologise()

    async def _apologise(self) -> None:
        self.answer()
        seconds = 4.0
        said = Said(
            at=self.world.now,
            call_sid=self.call.sid,
            text=APPLICATION_ERROR,
            voice="woman",
            language="en-US",
            times=1,
            seconds=seconds,
        )
        self.world.emit(said)
        await self.pass_time(seconds)

    async def retrieve(self, target: Target) -> Document:
        """The document at `target`. Raises DocumentFailed, after it was noted."""
        call = self.call
        call.documents += 1
        call.documents_in_a_row += 1
        try:
            if call.documents > MOST_DOCUMENTS or call.documents_in_a_row > MOST_IN_A_ROW:
                count = min(call.documents, MOST_DOCUMENTS + 1)
                detail = f"{count} documents, {call.documents_in_a_row} of them with nothing in between"
                raise DocumentFailed(Notice(14106, detail), target.url)
            if target.url is None:
                document = read_twiml(target.twiml or "", None)
        except DocumentFailed as exc:
            self.world.note(call, exc.notice)
            raise
        if target.url is None:
            for notice in document.notices:
                self.world.note(call, notice)
            return document
        params = call.parameters((*self.place.params(), *target.params))
        request = self.world.request(call, target, f"{self.place.name} document", params, wants_twiml=True)
        return await self._fetch(request, target.url)

    async def _fetch(self, request: WebRequest, url: str) -> Document:
        answer = await self.world.fetch(request)
        failed: DocumentFailed | None = None
        notices: tuple[Notice, ...]
        try:
            document = read(answer, url)
            notices = document.notices
        except DocumentFailed as exc:
            failed, notices = exc, (exc.notice,)
        self.world.emit(
            Answered(
                at=self.world.now, call_sid=self.call.sid, request=request, answer=answer, notices=notices
            )
        )
        if failed is not None:
            raise failed
        return document

    async def perform(self, document: Document) -> Target | None:
        """Verb by verb; the first that hands the call on to another document says where."""
        known = False
        for element in document.root.children:
            if not self._may_perform(element):
                continue
            known = True
            handler = self.handlers.get(element.name)
            if handler is None:
                self.answer()
                self.world.emit(NotWalked(at=self.world.now, call_sid=self.call.sid, verb=element.name))
                continue
            if element.name not in {"Reject", "Pause", "Dial"}:
                self.answer()
            if element.name != "Enqueue":
                self.fail_if_wrong(element)
            target = await handler(self, element)
            if target is not None:
                return target
        if not known:
            self.answer()
        return None

    def _may_perform(self, element: Element) -> bool:
        if element.name not in grammar().children:
            return False
        if self.place.allowed is None or element.name in self.place.allowed:
            return True
        detail = f"<{element.name}> cannot be used in the TwiML of a {self.place.name}"
        code = 13201 if self.place.name == "whisper" and element.name == "Dial" else self.place.refusal
        failure = self.fail(code, detail, element)
        if failure.notice.is_error or self.place.ends:
            raise failure
        return False

    def fail_if_wrong(self, element: Element) -> None:
        """Raises DocumentFailed if an attribute is wrong in a way that Twilio calls an error."""
        notice = self.document.error_in(element)
        if notice is not None:
            raise DocumentFailed(notice, self.document.url)

    def fail(self, code: int, detail: str, element: Element) -> DocumentFailed:
        """Note what is wrong with a verb, for raising."""
        notice = Notice(code, detail, element.line, element.column)
        self.world.note(self.call, notice)
        return DocumentFailed(notice, self.document.url)

    def answer(self) -> None:
        """Pick up an inbound call that is still ringing."""
        if self.call.direction == "inbound" and not self.call.is_answered:
            self.world.transition(self.call, "in-progress")

    # Time, and what comes in meanwhile

    async def pass_time(self, seconds: float, *wanted: type[Signal]) -> Signal | None:
        """Let time pass while something is heard; a wanted signal cuts it short and is given."""
        until = self.world.now + seconds * self.world.tempo
        return await self.receive(until, self.place.wait, *wanted)

    async def wait_for(self, seconds: float | None, *wanted: type[Signal]) -> Signal | None:
        """Wait for one of these signals, `seconds` at most; None when they did not come."""
        until = None if seconds is None else self.world.now + seconds
        why = Wait.PATIENCE if self.place.wait is Wait.SOUND else self.place.wait
        return await self.receive(until, why, *wanted)

    async def receive(self, until: float | None, why: Wait, *wanted: type[Signal]) -> Signal | None:
        while True:
            signal = await Receive(until, why)
            if signal is None or isinstance(signal, wanted):
                return signal

    # URLs of attributes

    def target(self, element: Element, attribute: str = "action", *, method: str = "method") -> Target | None:
        """Where an attribute's URL leads, if it is there. Raises DocumentFailed (11100, 15004)."""
        reference = element.attributes.get(attribute)
        if reference is None:
            return None
        return Target(self.url(element, reference), word(element, method))

    def own_url(self, element: Element, *, method: str = "method") -> Target:
        """The current document's URL, which is the default action of <Gather> and <Record>."""
        return Target(self.url(element, element.attributes.get("action", "")), word(element, method))

    def url(self, element: Element, reference: str) -> str:
        try:
            return resolve(self.document.url, reference)
        except ValueError as exc:
            code = 15004 if self.document.url is None and "relative" in str(exc) else 11100
            raise self.fail(code, f"<{element.name}>: {exc}", element) from exc

    def status_callback(
        self, element: Element, attribute: str, events: str, *, method: str
    ) -> StatusCallback | None:
        """A callback that an element asks for, with the events it wants."""
        reference = element.attributes.get(attribute)
        if reference is None:
            return None
        names = frozenset(word(element, events).split()) if events else frozenset({"completed"})
        return StatusCallback(self.url(element, reference), word(element, method), names)

    def hang_up(self, by: str = "TwiML") -> CallOver:
        """End the call from its own script, for raising."""
        self.world.end(self.call, "completed", by=by)
        return CallOver()

    def notify(self, target: Target, purpose: str, params: Params) -> None:
        """Tell the application something in passing, with the call's standard parameters."""
        request = self.world.request(
            self.call, target, purpose, self.call.parameters(params), wants_twiml=False
        )
        self.world.notify(request)
