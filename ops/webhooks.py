"""What a number and the softphone's TwiML app are configured with at Twilio, and what differs from it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit

from ops.signature import masked

# Connection overrides (Twilio docs: Webhook connection overrides). Twilio neither sends nor signs them. A
# caller waits for an answer, so Twilio tries again early where none comes; a status can take its time.
CALLER_WAITS = "#ct=2000&rt=7000&rc=2&rp=ct,rt,5xx"
CAN_WAIT = "#rc=3&rp=ct,rt,5xx"
APOLOGY = "We are sorry, this did not work. Please call again in a minute."


@dataclass(frozen=True, slots=True)
class Change:
    """One value that has to change. what: number or application. An empty value is not set."""

    what: str
    name: str
    before: str
    after: str

    def view(self, ours: frozenset[str]) -> dict[str, str]:
        """For people and programs. A webhook that is not in `ours` may hold a secret, so it is masked."""

        def shown(value: str) -> str:
            secret = self.name.endswith(("_url", "_callback")) and value not in ours
            return masked(value) if secret else value

        return {
            "what": self.what,
            "name": self.name,
            "before": shown(self.before),
            "after": shown(self.after),
        }


def number_values(base: str) -> dict[str, str]:
    """What a number is configured with, by twilio-python's names."""
    return {
        "voice_url": f"{base}/api/voice{CALLER_WAITS}",
        "voice_method": "POST",
        "voice_fallback_url": f"{base}/api/twimlets/message?Message={quote(APOLOGY)}",
        "voice_fallback_method": "POST",
        "voice_application_sid": "",
        "sms_url": f"{base}/api/sms{CALLER_WAITS}",
        "sms_method": "POST",
        "sms_fallback_url": f"{base}/api/sms",
        "sms_fallback_method": "POST",
        "sms_application_sid": "",
        "status_callback": f"{base}/api/voice/status{CAN_WAIT}",
        "status_callback_method": "POST",
    }


def application_values(base: str) -> dict[str, str]:
    """What the softphone's TwiML app is configured with."""
    return {
        "friendly_name": f"Switchboard at {urlsplit(base).netloc}",
        "voice_url": f"{base}/api/voice/client{CALLER_WAITS}",
        "voice_method": "POST",
        "voice_fallback_url": f"{base}/api/twimlets/message?Message={quote(APOLOGY)}",
        "voice_fallback_method": "POST",
        "status_callback": f"{base}/api/voice/status{CAN_WAIT}",
        "status_callback_method": "POST",
    }


def wanted_for(owned: Any, base: str) -> dict[str, str]:
    """What one number of the account is configured with. One without SMS has nothing to set for texts."""
    values = number_values(base)
    if owned.capabilities.get("sms"):
        return values
    return {name: value for name, value in values.items() if not name.startswith("sms_")}


def differences(what: str, present: Any | None, wanted: Mapping[str, str]) -> list[Change]:
    """What has to change on a number or an app. present: as Twilio has it; None where there is none."""
    changes = [Change(what, name, text(present, name), value) for name, value in wanted.items()]
    return [change for change in changes if change.before != change.after]


def values_of(changes: list[Change]) -> dict[str, str]:
    """The new values, as an update of the resource takes them."""
    return {change.name: change.after for change in changes}


def text(resource: Any | None, name: str) -> str:
    """One value of a resource; empty where there is no resource, or no value."""
    return str(getattr(resource, name, None) or "")
