"""Waits until a condition is true, instead of sleeping for a fixed time."""

import time
from collections.abc import Callable

from tests.waiting import PATIENCE


def until[T](condition: Callable[[], T], timeout: float = PATIENCE) -> T:
    """Call `condition` again and again until it is truthy, and return that. Raises TimeoutError."""
    deadline = time.monotonic() + timeout
    while not (answer := condition()):
        if time.monotonic() > deadline:
            raise TimeoutError("it never came true")
        time.sleep(0.005)
    return answer
