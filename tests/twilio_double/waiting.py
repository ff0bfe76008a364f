"""Waiting for something to come true, rather than sleeping and hoping."""

import time
from collections.abc import Callable

from tests.waiting import PATIENCE


def until[T](condition: Callable[[], T], timeout: float = PATIENCE) -> T:
    """Ask again and again until the answer is truthy; that answer. Raises TimeoutError."""
    deadline = time.monotonic() + timeout
    while not (answer := condition()):
        if time.monotonic() > deadline:
            raise TimeoutError("it never came true")
        time.sleep(0.005)
    return answer
