"""The modules that most invocations do without: each is loaded when something in it is first used.

A cold start is silence that a caller hears, and importing all of shared/ would nearly double it.
"""

import sys
from importlib.util import LazyLoader, find_spec, module_from_spec
from types import ModuleType
from typing import TYPE_CHECKING

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
    from shared import webhook as webhook


def __getattr__(name: str) -> ModuleType:
    """`from shared.lazily import bulk` gives shared.bulk, not yet loaded."""
    full = f"shared.{name}"
    if full in sys.modules:
        return sys.modules[full]
    spec = None if name.startswith("_") else find_spec(full)
    if spec is None or spec.loader is None:
        raise AttributeError(f"there is no module {full}")
    spec.loader = LazyLoader(spec.loader)
    module = sys.modules[full] = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
