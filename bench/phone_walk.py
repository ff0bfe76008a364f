"""`python -m bench.phone_walk`: the CPU that a call of ten steps takes the phone, with the app in memory."""

from collections.abc import Mapping
from statistics import median
from time import process_time

from local.phone.testing import Phone, VoiceNumber
from local.twilio.carrier.exchange.web_requests import Answer, Target, WebRequest, WebResponse

STEPS = 10
ROUNDS = 51
OURS = "+12025550100"
ASKS = '<Response><Gather numDigits="1"><Say>Press a key</Say></Gather></Response>'
GOODBYE = "<Response><Say>Goodbye</Say><Hangup/></Response>"


def walk() -> float:
    """One call: a menu at each step, a key, and goodbye; its CPU in milliseconds, signatures included."""
    documents = iter([ASKS] * (STEPS - 1) + [GOODBYE])

    def send(_: WebRequest, __: Mapping[str, str]) -> Answer:
        return WebResponse(200, "text/xml", next(documents).encode())

    phone = Phone(send, {OURS: VoiceNumber(Target("https://app.example.com/voice"))})
    started = process_time()
    call = phone.dial(OURS)
    for _ in range(STEPS - 1):
        call.hears("Press a key").press("1")
    call.hears("Goodbye").is_over()
    return (process_time() - started) * 1000


if __name__ == "__main__":
    walk()  # what the first one alone pays for
    print(f"a call of {STEPS} steps: {median(walk() for _ in range(ROUNDS)):.1f} ms of CPU")
