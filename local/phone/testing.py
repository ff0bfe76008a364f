"""The phone for tests: a real application, handsets in Python, and a clock that takes no time.

    phone = Phone(send, {"+12025550100": VoiceNumber(Target("http://127.0.0.1:7071/api/voice"))})
    call = phone.dial("+12025550100")
    call.hears("Welcome")
    call.press("1")

While something is said, the clock runs by itself. While a call waits for somebody, it runs only when the test
says so (`silence`, `wait`). A failed expectation prints the transcript of every call.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from local.phone.walker import walk_twiml
from local.twilio.carrier.exchange.events import (
    Answered,
    Event,
    Heard,
    InConference,
    Music,
    Noted,
    Played,
    Requested,
    Said,
    Texted,
)
from local.twilio.carrier.exchange.exchange import Exchange, IncomingCall
from local.twilio.carrier.exchange.leg import Leg, MachineDetection, RecordingRequest, StatusCallback
from local.twilio.carrier.exchange.recordings import CallRecording
from local.twilio.carrier.exchange.ringing import OutgoingCall
from local.twilio.carrier.exchange.signals import Pickup, Wait
from local.twilio.carrier.exchange.web_requests import Answer, Target, WebRequest
from local.twilio.model.errors import Notice
from local.twilio.model.options import ACCOUNT_SID, AUTH_TOKEN

MOST_STEPS = 20_000  # steps of a clock that runs by itself; more of them mean that a call never ends

type Send = Callable[[WebRequest, Mapping[str, str]], Answer]


@dataclass(frozen=True, slots=True)
class VoiceNumber:
    """The voice settings of a phone number of the account, as of an IncomingPhoneNumber."""

    voice: Target
    fallback: Target | None = None
    callback: StatusCallback | None = None


class Phone:
    """Handsets, and the exchange between them.

    send: makes one request with these headers, which have X-Twilio-Signature, and returns the answer.
    numbers: the account's numbers. A call to one of them goes to its application; any other number is a
    handset's. events: everything that has happened, in order.
    """

    def __init__(
        self,
        send: Send,
        numbers: Mapping[str, VoiceNumber] | None = None,
        *,
        auth_token: str = AUTH_TOKEN,
        account_sid: str = ACCOUNT_SID,
    ) -> None:
        self.send = send
        self.numbers = dict(numbers or {})
        self.auth_token = auth_token
        self.exchange = Exchange(walk_twiml, account_sid=account_sid, numbers=self.numbers)
        self.events: list[Event] = []
        self.exchange.listeners.append(self.events.append)
        self._lines: dict[str, Line] = {}

    # Calls

    def dial(self, to: str, *, from_: str = "+12025550101", forwarded_from: str | None = None) -> "Line":
        """Call one of the account's numbers."""
        number = self.numbers.get(to)
        if number is None:
            raise LookupError(
                f"{to} is not a number of this phone; it has {', '.join(self.numbers) or 'none'}"
            )
        call = IncomingCall(
            from_=from_,
            to=to,
            application=number.voice,
            fallback=number.fallback,
            callback=number.callback,
            forwarded_from=forwarded_from,
        )
        return self._line(self.exchange.call_in(call))

    def dial_application(
        self, url: str, *, method: str = "POST", from_: str = "client:tester", to: str = "", **extra: str
    ) -> "Line":
        """Call a TwiML application by its URL, as a softphone does; `extra` are its own parameters."""
        call = IncomingCall(from_=from_, to=to, application=Target(url, method), extra=extra)
        return self._line(self.exchange.call_in(call))

    def place(
        self,
        to: str,
        *,
        url: str | None = None,
        twiml: str | None = None,
        from_: str = "+12025550100",
        callback: StatusCallback | None = None,
        detection: MachineDetection | None = None,
        recorded: RecordingRequest | None = None,
        timeout: float = 60,
    ) -> "Line":
        """REST creates a call: the handset `to` rings."""
        call = OutgoingCall(
            from_=from_,
            to=to,
            application=Target(url, twiml=twiml),
            callback=callback,
            detection=detection,
            recorded=recorded,
            timeout=timeout,
        )
        return self._line(self.exchange.call_out(call))

    def rings(self, address: str) -> "Line":
        """The call that rings at this handset: a number, client:NAME or a SIP address."""
        for call in self.exchange.legs.values():
            if call.party == address and call.direction != "inbound" and call.status == "ringing":
                return self._line(call)
        raise self.problem(f"{address} does not ring")

    def is_ringing(self, address: str) -> bool:
        return any(
            call.party == address and call.direction != "inbound" and call.status == "ringing"
            for call in self.exchange.legs.values()
        )

    def _line(self, call: Leg) -> "Line":
        line = self._lines.setdefault(call.sid, Line(self, call))
        self.settle()
        return line

    # Time

    def settle(self) -> None:
        """Make the requests that are due and let time pass for speech, until somebody has to act."""
        for _ in range(MOST_STEPS):
            self._make_requests()
            due = self.exchange.next_timer(Wait.SOUND)
            if due is None:
                return
            self.exchange.advance(due)
        raise self.problem("the calls go on and on by themselves")

    def wait(self, seconds: float) -> None:
        """Let this many seconds pass, with all that falls due in them."""
        until = self.exchange.now + seconds
        for _ in range(MOST_STEPS):
            self._make_requests()
            due = self.exchange.next_timer()
            if due is None or due > until:
                break
            self.exchange.advance(due)
        self.exchange.advance(until)
        self.settle()

    def step(self, until: float) -> bool:
        """Let time pass until something is heard, hold music included; False if nothing is heard by then."""
        self._make_requests()
        due = self.exchange.next_timer(Wait.SOUND, Wait.BACKGROUND)
        if due is None or due > until:
            return False
        self.exchange.advance(due)
        self._make_requests()
        return True

    def _make_requests(self) -> None:
        while self.exchange.outbox:
            request = next(iter(self.exchange.outbox.values()))
            self.exchange.answered(request.id, self.send(request, request.headers(self.auth_token)))

    # What there is to see

    @property
    def requests(self) -> list[WebRequest]:
        """Every request made so far."""
        return [each.request for each in self.events if isinstance(each, Requested)]

    @property
    def texts(self) -> list[Texted]:
        """Every message that an <Sms> sent."""
        return [each for each in self.events if isinstance(each, Texted)]

    @property
    def recordings(self) -> list[CallRecording]:
        return list(self.exchange.recordings.values())

    @property
    def notices(self) -> list[Notice]:
        """Every warning and error so far. A good application causes none."""
        return [notice for event in self.events for notice in _notices(event)]

    def transcript(self) -> str:
        """All calls, in the order things happened."""
        names = {sid: f"{call.party:<14}" for sid, call in self.exchange.legs.items()}
        lines = []
        for event in self.events:
            text = str(event)
            if text:
                lines += [f"{event.at:8.1f}  {names[event.call_sid]} {line}" for line in text.splitlines()]
        return "\n".join(lines)

    def problem(self, what: str) -> AssertionError:
        """A failed expectation, with the transcript that led to it."""
        return AssertionError(f"{what}\n\n{self.transcript() or '(no call yet)'}")


class Line:
    """One call at one handset. Actions return the line, so that they can be chained."""

    def __init__(self, phone: Phone, call: Leg) -> None:
        self.phone = phone
        self.call = call
        self._heard = 0

    # What the person does

    def press(self, keys: str) -> "Line":
        """Press keys, one after the other, at once."""
        self._must_be_on()
        self.phone.exchange.press(self.call, keys)
        return self._settle()

    def says(self, text: str) -> "Line":
        """Say something to the application, or to the people on the line."""
        self._must_be_on()
        self.phone.exchange.speak(self.call, text)
        return self._settle()

    def silence(self) -> "Line":
        """Do nothing until the <Gather>, the recording or the ringing that waits for this caller gives up."""
        until = self.phone.exchange.waits_until(self.call)
        if until is None:
            raise self.phone.problem("this call waits for nobody, or without end")
        self.phone.wait(max(until - self.phone.exchange.now, 0.0))
        return self

    def wait(self, seconds: float) -> "Line":
        self.phone.wait(seconds)
        return self

    def hang_up(self) -> "Line":
        self._must_be_on()
        self.phone.exchange.hang_up(self.call)
        return self._settle()

    def answer(self) -> "Line":
        """Pick up, as a person."""
        return self._pick_up(Pickup())

    def answer_as_machine(self, greeting: float = 6.0) -> "Line":
        """An answering machine picks up: it talks for `greeting` seconds, then beeps and records."""
        return self._pick_up(Pickup(machine=True, greeting=greeting))

    def _pick_up(self, pickup: Pickup) -> "Line":
        if self.call.status != "ringing":
            raise self.phone.problem(f"{self.call.party} does not ring, its call is {self.call.status}")
        self.phone.exchange.pick_up(self.call, pickup)
        return self._settle()

    def decline(self) -> "Line":
        """Refuse the ringing call: busy."""
        self.phone.exchange.turn_down(self.call, "busy")
        return self._settle()

    def cannot_be_reached(self) -> "Line":
        """The network cannot connect the call: failed."""
        self.phone.exchange.turn_down(self.call, "failed")
        return self._settle()

    def _must_be_on(self) -> None:
        if self.call.is_over:
            raise self.phone.problem(f"the call of {self.call.party} is over ({self.call.status})")

    def _settle(self) -> "Line":
        self.phone.settle()
        return self

    # What the person notices

    def hears(self, text: str, *, within: float = 300.0) -> "Line":
        """Something with this text is said or played, after the text that was looked for before.

        Upper and lower case are the same. Hold music goes on for up to `within` seconds.
        """
        until = self.phone.exchange.now + within
        while True:
            found = self._find(text)
            if found is not None:
                self._heard = found + 1
                return self
            if not self.phone.step(until):
                raise self.phone.problem(f"{self.call.party} does not hear {text!r}")

    def does_not_hear(self, text: str) -> "Line":
        """Nothing with this text has been said or played so far, in the whole call."""
        if any(_matches(each, text) for each in self._events()):
            raise self.phone.problem(f"{self.call.party} hears {text!r}")
        return self

    def _find(self, text: str) -> int | None:
        events = self._events()
        return next((i for i in range(self._heard, len(events)) if _matches(events[i], text)), None)

    def _events(self) -> list[Event]:
        return [each for each in self.phone.events if each.call_sid == self.call.sid]

    def is_over(self, status: str = "completed") -> "Line":
        """The call has ended with this status."""
        if self.call.status != status:
            raise self.phone.problem(f"the call of {self.call.party} is {self.call.status}, not {status}")
        return self

    def is_connected_to(self, address: str) -> "Line":
        peer = self.call.peer
        if peer is None or peer.party != address:
            with_whom = peer.party if peer else "nobody"
            raise self.phone.problem(f"{self.call.party} is connected to {with_whom}, not to {address}")
        return self

    @property
    def status(self) -> str:
        """CallStatus."""
        return self.call.status

    @property
    def said(self) -> list[str]:
        """Every text that was said to this caller."""
        return [each.text for each in self._events() if isinstance(each, Said)]

    @property
    def left_on_machine(self) -> list[str]:
        """What the answering machine recorded: the texts that began after its beep."""
        beep = self.call.beep_at
        if beep is None:
            raise self.phone.problem(f"no machine answered at {self.call.party}")
        return [each.text for each in self._events() if isinstance(each, Said) and each.at >= beep]

    @property
    def requests(self) -> list[WebRequest]:
        """The requests made for this call."""
        return [each for each in self.phone.requests if each.call_sid == self.call.sid]


def _matches(event: Event, text: str) -> bool:
    match event:
        case Said() | Heard():
            heard = event.text
        case Played():
            heard = f"{event.url} {event.digits}"
        case Music():
            heard = f"hold music {event.url}"
        case InConference():
            heard = event.happening
        case _:
            return False
    return " ".join(text.lower().split()) in " ".join(heard.lower().split())


def _notices(event: Event) -> tuple[Notice, ...]:
    if isinstance(event, Answered):
        return event.notices
    return (event.notice,) if isinstance(event, Noted) else ()
