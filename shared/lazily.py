"""The modules that most invocations do without: each is loaded when something in it is first used.

A cold start is silence that a caller hears, and importing all of shared/ would nearly double it.
"""

from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from shared import api as api
    from shared import bulk as bulk
    from shared import calls as calls
    from shared import client_token as client_token
    from shared import diagnosis as diagnosis
    from shared import drain as drain
    from shared import erasure as erasure
    from shared import messaging as messaging
    from shared import pages as pages
    from shared import recipients as recipients
    from shared import schedule as schedule
    from shared import timeline as timeline
    from shared import twimlets as twimlets
    from shared import voice as voice
    from shared import voice_client as voice_client
    from shared import voice_conference as voice_conference
    from shared import voice_dial as voice_dial
    from shared import voice_mail as voice_mail
    from shared import voice_outbound as voice_outbound
    from shared import voice_queue as voice_queue
    from shared import webhook as webhook


class Deferred:
    """Stands for a module until something in it is asked for.

    importlib's LazyLoader will not do: looking at the __class__ of its modules loads them, and the worker
    library looks at that of everything in function_app when it searches for the app.
    """

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, name: str) -> Any:
        return getattr(import_module(self._name), name)


def __getattr__(name: str) -> Deferred:
    """`from shared.lazily import bulk` gives shared.bulk, not yet loaded."""
    full = f"shared.{name}"
    if name.startswith("_") or find_spec(full) is None:
        raise AttributeError(f"there is no module {full}")
    return Deferred(full)
