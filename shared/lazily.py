"""The modules that most invocations do without: each is loaded when something in it is first used.

A cold start is silence that a caller hears, and importing all of shared/ would nearly double it.
"""

from importlib import import_module
from importlib.util import find_spec
from typing import Any

MODULES = {
    "api": "web.api",
    "bulk": "bulk.loader",
    "calls": "calls.placing",
    "client_token": "web.access_token",
    "diagnosis": "web.diagnosis",
    "drain": "delivery.drain",
    "erasure": "recipients.erasure",
    "messaging": "sms.replies",
    "pages": "web.pages",
    "recipients": "sms.opt_outs",
    "schedule": "sms.schedule",
    "timeline": "recipients.timeline",
    "twimlets": "voice.twimlets",
    "voice": "voice.menu",
    "voice_client": "voice.softphone",
    "voice_conference": "voice.conference",
    "voice_dial": "voice.dial",
    "voice_mail": "voice.voicemail",
    "voice_outbound": "voice.outbound",
    "voice_queue": "voice.queue",
    "webhook": "web.webhook",
}


class Deferred:
    """Stands for a module until something in it is asked for.

    importlib's LazyLoader will not do: looking at the __class__ of its modules loads them, and the worker
    library looks at that of everything in function_app when it searches for the app.
    """

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, name: str) -> Any:
        return getattr(import_module(self._name), name)


def __getattr__(name: str) -> Any:
    """`from shared.lazily import bulk` gives shared.bulk, not yet loaded."""
    full = f"shared.{MODULES.get(name, name)}"
    if name.startswith("_") or find_spec(full) is None:
        raise AttributeError(f"there is no module {full}")
    return Deferred(full)
