"""The interpreter: it fetches and checks a document, carries out its verbs, and goes on to the next."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from local.phone.twiml.attributes import word
from local.phone.twiml.document import Document, DocumentFailed, read, read_twiml
from local.phone.twiml.markup import Element
from local.phone.twiml.schema import grammar
from local.twilio.carrier.exchange.events import Answered, NotWalked, Said, TwimlGiven
from local.twilio.carrier.exchange.leg import Leg, StatusCallback
from local.twilio.carrier.exchange.signals import CallOver, Diverted, Fetch, Receive, Signal, Wait
from local.twilio.carrier.exchange.telephony import Telephony
from local.twilio.carrier.exchange.web_requests import Params, Target, WebRequest, resolve
from local.twilio.model.errors import Notice

# At Twilio, only the call's time limit ends a loop of documents. A phone on a test's clock takes no time for
# a document, so it needs a limit of its own.
MOST_DOCUMENTS = 1000
MOST_IN_A_ROW = 50

APPLICATION_ERROR = "We're sorry. An application error has occurred. Goodbye."


@dataclass(frozen=True, slots=True)
class Place:
    """Where TwiML runs: on the call itself, or in a place where only some verbs are allowed.

    refusal: the code of the notice for any other verb. ends: such a verb ends the TwiML; otherwise it is
    skipped. params: what is sent with every request from there.
    """

    name: str
    allowed: frozenset[str] | None = None
    refusal: int = 12200
    ends: bool = False
    wait: Wait = Wait.SOUND
    params: Callable[[], Params] = field(default=tuple)


CALL = Place("call")

type VerbHandler = Callable[["Walk", Element], Awaitable[Target | None]]
"""Carries out one verb. Returns the target of the next document, if the verb hands the call on to one."""
type VerbHandlers = Mapping[str, VerbHandler]


class Walk:
    """The interpreter for one call in one place. `handlers` are the verbs it can carry out."""

    def __init__(self, telephony: Telephony, call: Leg, handlers: VerbHandlers, place: Place = CALL) -> None:
        self.telephony = telephony
        self.call = call
        self.handlers = handlers
        self.place = place
        self.document = Document(Element("Response", {}, 1, 1), None)

    def at(self, place: Place) -> "Walk":
        """An interpreter for the same call in another place. Relative URLs are relative to this document."""
        other = Walk(self.telephony, self.call, self.handlers, place)
        other.document = self.document
        return other

    async def follow(self, target: Target | None) -> None:
        """Carry out the document at `target` and those that follow it. Raises DocumentFailed."""
        while target is not None:
            self.document = await self.retrieve(target)
            target = await self.perform(self.document)

    async def follow_or_apologise(self, target: Target) -> None:
        """Like follow. If a document fails, ask the fallback URL; if that fails too, the caller hears of it.

        From "Availability and Reliability": the fallback gets ErrorCode and ErrorUrl.
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
            at=self.telephony.now,
            call_sid=self.call.sid,
            text=APPLICATION_ERROR,
            voice="woman",
            language="en-US",
            times=1,
            seconds=seconds,
        )
        self.telephony.emit(said)
        await self.pass_time(seconds)

    async def retrieve(self, target: Target) -> Document:
        """The document at `target`. A failure is noted, and DocumentFailed is raised."""
        call = self.call
        call.documents += 1
        call.documents_in_a_row += 1
        try:
            if call.documents > MOST_DOCUMENTS or call.documents_in_a_row > MOST_IN_A_ROW:
                count = min(call.documents, MOST_DOCUMENTS + 1)
                detail = f"{count} documents, {call.documents_in_a_row} of them with nothing in between"
                raise DocumentFailed(Notice(14106, detail), target.url)
            if target.url is None:
                given = target.twiml or ""
                self.telephony.emit(TwimlGiven(at=self.telephony.now, call_sid=call.sid, twiml=given))
                document = read_twiml(given, None)
        except DocumentFailed as exc:
            self.telephony.note(call, exc.notice)
            raise
        if target.url is None:
            for notice in document.notices:
                self.telephony.note(call, notice)
            return document
        params = call.parameters((*self.place.params(), *target.params))
        request = self.telephony.request(
            call, target, f"{self.place.name} document", params, wants_twiml=True
        )
        return await self._fetch(request, target.url)

    async def _fetch(self, request: WebRequest, url: str) -> Document:
        answer = await Fetch(request)
        failed: DocumentFailed | None = None
        notices: tuple[Notice, ...]
        try:
            document = read(answer, url)
            notices = document.notices
        except DocumentFailed as exc:
            failed, notices = exc, (exc.notice,)
        self.telephony.emit(
            Answered(
                at=self.telephony.now, call_sid=self.call.sid, request=request, answer=answer, notices=notices
            )
        )
        if failed is not None:
            raise failed
        return document

    async def perform(self, document: Document) -> Target | None:
        """Carry out verb after verb, until one hands the call on to another document: its target."""
        known = False
        for element in document.root.children:
            if not self._may_perform(element):
                continue
            known = True
            handler = self.handlers.get(element.name)
            if handler is None:
                self.answer()
                self.telephony.emit(
                    NotWalked(at=self.telephony.now, call_sid=self.call.sid, verb=element.name)
                )
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
        """Note what is wrong with a verb. Returns the exception to raise."""
        notice = Notice(code, detail, element.line, element.column)
        self.telephony.note(self.call, notice)
        return DocumentFailed(notice, self.document.url)

    def answer(self) -> None:
        """Pick up an inbound call that is still ringing."""
        if self.call.direction == "inbound" and not self.call.is_answered:
            self.telephony.transition(self.call, "in-progress")

    # Time, and signals

    async def pass_time(self, seconds: float, *wanted: type[Signal]) -> Signal | None:
        """Let time pass while something is heard. A wanted signal cuts it short and is returned."""
        until = self.telephony.now + seconds * self.telephony.tempo
        return await self.receive(until, self.place.wait, *wanted)

    async def wait_for(self, seconds: float | None, *wanted: type[Signal]) -> Signal | None:
        """Wait for one of these signals, `seconds` at most. Returns None if none came."""
        until = None if seconds is None else self.telephony.now + seconds
        why = Wait.DEADLINE if self.place.wait is Wait.SOUND else self.place.wait
        return await self.receive(until, why, *wanted)

    async def receive(self, until: float | None, why: Wait, *wanted: type[Signal]) -> Signal | None:
        while True:
            signal = await Receive(until, why)
            if signal is None or isinstance(signal, wanted):
                return signal

    # URLs of attributes

    def target(self, element: Element, attribute: str = "action", *, method: str = "method") -> Target | None:
        """The target that an attribute names, if it is there. Raises DocumentFailed (11100, 15004)."""
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
        """End the call from its own script. Returns the exception to raise."""
        self.telephony.end(self.call, "completed", by=by)
        return CallOver()

    def notify(self, target: Target, purpose: str, params: Params) -> None:
        """Send the application something, with the call's standard parameters; its answer changes nothing."""
        request = self.telephony.request(
            self.call, target, purpose, self.call.parameters(params), wants_twiml=False
        )
        self.telephony.send(request)


async def walk_to_the_end(telephony: Telephony, call: Leg, handlers: VerbHandlers, target: Target) -> None:
    """Carry out a call's TwiML, also the TwiML that REST gives it meanwhile; then hang up."""
    while True:
        try:
            await Walk(telephony, call, handlers).follow_or_apologise(target)
        except Diverted as exc:
            target = exc.target
            continue
        telephony.end(call, "completed" if call.is_answered else "canceled", by="TwiML")
        return
