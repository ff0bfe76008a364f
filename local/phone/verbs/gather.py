"""<Gather>: keys, speech or both, by the rules of "TwiML Voice: <Gather>"."""

from dataclasses import dataclass

from local.phone.engine.interpreter import Walk
from local.phone.twiml.attributes import flag, whole, word
from local.phone.twiml.markup import Element
from local.phone.verbs.speech import rest, sound, speak
from local.twilio.carrier.exchange.events import Waiting
from local.twilio.carrier.exchange.signals import Key, Signal, Speech, Wait
from local.twilio.carrier.exchange.web_requests import Params, Target

LONGEST_SPEECH = 60.0  # seconds of speech that are transcribed
SHORTEST_PAUSE = 1.0  # seconds of silence that end speech with speechTimeout="auto"
CONFIDENCE = "0.9"

_PROMPTS = {"Say": speak, "Play": sound, "Pause": rest}


@dataclass(frozen=True, slots=True)
class _Wanted:
    inputs: frozenset[str]
    timeout: float
    finish_on_key: str
    num_digits: int | None
    speech_timeout: float

    @property
    def signals(self) -> tuple[type[Signal], ...]:
        kinds: dict[str, type[Signal]] = {"dtmf": Key, "speech": Speech}
        return tuple(kinds[name] for name in sorted(self.inputs))


def _wanted(element: Element) -> _Wanted:
    timeout = float(whole(element, "timeout") or 5)
    auto = element.attributes.get("speechTimeout") == "auto"
    return _Wanted(
        inputs=frozenset(word(element, "input").split()),
        timeout=timeout,
        finish_on_key=word(element, "finishOnKey"),
        num_digits=whole(element, "numDigits"),
        speech_timeout=SHORTEST_PAUSE if auto else float(whole(element, "speechTimeout") or timeout),
    )


async def gather(walk: Walk, element: Element) -> Target | None:
    """Prompt, listen, and send the input to the action. Without input, go on with the next verb."""
    wanted = _wanted(element)
    first = await _prompt(walk, element, wanted)
    if first is None:
        walk.telephony.emit(
            Waiting(
                at=walk.telephony.now,
                call_sid=walk.call.sid,
                keys="dtmf" in wanted.inputs,
                speech="speech" in wanted.inputs,
                timeout=wanted.timeout,
                num_digits=wanted.num_digits,
                finish_on_key=wanted.finish_on_key,
                hints=element.attributes.get("hints", ""),
                language=element.attributes.get("language", "en-US"),
            )
        )
        first = await walk.wait_for(wanted.timeout, *wanted.signals)
    params: Params = ()
    if isinstance(first, Speech):
        params = await _speech(walk, element, wanted, first)
    elif isinstance(first, Key):
        params = await _digits(walk, wanted, first)
    if not params and not flag(element, "actionOnEmptyResult"):
        return None
    target = walk.own_url(element)
    return Target(target.url, target.method, params)


async def _prompt(walk: Walk, element: Element, wanted: _Wanted) -> Signal | None:
    """Carry out the nested verbs in order. The first input cuts them short and is returned."""
    interrupting = wanted.signals if flag(element, "bargeIn") else ()
    for child in element.children:
        prompt = _PROMPTS.get(child.name)
        if prompt is None:
            continue
        signal = await prompt(walk, child, *interrupting)
        if signal is not None:
            return signal
    return None


async def _digits(walk: Walk, wanted: _Wanted, first: Key) -> Params:
    """Collect keys until there are enough, the finishing key comes, or none comes for `timeout` seconds."""
    digits = ""
    key: Signal | None = first
    while isinstance(key, Key):
        if key.key == wanted.finish_on_key:
            break
        digits += key.key
        if wanted.num_digits is not None and len(digits) >= wanted.num_digits:
            break
        key = await walk.wait_for(wanted.timeout, Key)
    return (("Digits", digits),) if digits else ()


async def _speech(walk: Walk, element: Element, wanted: _Wanted, first: Speech) -> Params:
    """Collect speech until a pause of speechTimeout. Each part is sent to partialResultCallback."""
    parts: list[str] = []
    started = walk.telephony.now
    partial = walk.status_callback(element, "partialResultCallback", "", method="partialResultCallbackMethod")
    longest = min(float(whole(element, "maxSpeechTime") or LONGEST_SPEECH), LONGEST_SPEECH)
    speech: Signal | None = first
    while isinstance(speech, Speech):
        parts.append(speech.text)
        if partial:
            params = (("UnstableSpeechResult", " ".join(parts)), ("Stability", CONFIDENCE))
            walk.notify(Target(partial.url, partial.method), "Gather partial result", params)
        left = started + longest - walk.telephony.now
        pause = min(speech.seconds + wanted.speech_timeout, max(left, 0.0))
        speech = await walk.receive(walk.telephony.now + pause, Wait.SOUND, Speech)
    result = " ".join(part for part in parts if part)
    return (("SpeechResult", result), ("Confidence", CONFIDENCE)) if result else ()
