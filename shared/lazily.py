"""The modules that most invocations do without: each is loaded when something in it is first used.

A cold start is silence that a caller hears, and importing all of shared/ would nearly double it.
"""

from importlib import import_module
from typing import Any

MODULES = {
    "api": "web.api",
    "bulk": "bulk.loader",
    "calls": "calls.placing",
    "drain": "delivery.drain",
    "erasure": "recipients.erasure",
    "schedule": "sms.schedule",
    "timeline": "recipients.timeline",
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
    if name not in MODULES:
        raise AttributeError(f"there is no module {name}")
    return Deferred(f"shared.{MODULES[name]}")
