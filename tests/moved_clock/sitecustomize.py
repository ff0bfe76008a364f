"""Python imports this at its start, where tests/any_day.py has put the folder on its path.

With FAKETIME_DONT_FAKE_MONOTONIC, libfaketime 0.9.10 spoils `time.sleep`. Python names the moment at which
the sleep ends, on the monotonic clock; the library takes that for a moment on the moved clock, and the system
refuses it with EINVAL. It leaves the timeout of `select` alone.
"""

import select
import time
from typing import SupportsIndex

_sleep = time.sleep


def sleep(seconds: float | SupportsIndex, /) -> None:
    if float(seconds) > 0:
        select.select([], [], [], float(seconds))
    else:
        _sleep(seconds)


time.sleep = sleep
