"""End the processes that this one started, when this one has ended: by SIGTERM, by SIGKILL or by itself.

Put `with adopted(process.pid):` around the time in which the process runs. The first call starts one helper,
`python orphans.py`, which reads from a pipe that only this process holds. When the pipe ends, the helper
sends SIGTERM to every process that is still adopted, and SIGKILL to those that do not heed it. A process that
leads a group (`start_new_session=True`) goes with its whole group.

watchdog.py does the same for one command, and stands between the two processes. Here nothing stands between:
the process keeps its id, its signals and its standard input. Standard library only; Linux and macOS.
"""

import atexit
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache

_PATIENCE = 5.0
_lock = threading.Lock()


@contextmanager
def adopted(pid: int) -> Iterator[None]:
    """Until the block ends, this child does not outlive us."""
    _tell(f"+{pid}")
    try:
        yield
    finally:
        _tell(f"-{pid}")


def _tell(line: str) -> None:
    with _lock:
        os.write(_pipe(), f"{line}\n".encode())


@cache
def _pipe() -> int:
    """The end of the pipe that we hold, once the helper runs. No child of ours inherits it."""
    theirs, ours = os.pipe()
    helper = subprocess.Popen(
        [sys.executable, "-I", "-S", __file__],
        stdin=theirs,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd="/",
        start_new_session=True,  # Ctrl-C in the terminal is not for it
    )
    os.close(theirs)

    def dismiss() -> None:
        os.close(ours)
        helper.wait()

    atexit.register(dismiss)
    return ours


def main() -> None:
    """The helper: keep the list until the pipe ends, then end what is on it."""
    left: set[int] = set()
    for line in sys.stdin:
        pid = int(line[1:])
        (left.add if line[0] == "+" else left.discard)(pid)
    for pid in left:
        _send(pid, signal.SIGTERM)
    until = time.monotonic() + _PATIENCE
    while left and time.monotonic() < until:
        select.select([], [], [], 0.05)  # as time.sleep, which fails where libfaketime moves the clock
        left = {pid for pid in left if _send(pid, 0)}
    for pid in left:
        _send(pid, signal.SIGKILL)


def _send(pid: int, number: int) -> bool:
    """To the group that it leads, or to it alone. False where there is nobody any more."""
    for send in (os.killpg, os.kill):
        with suppress(ProcessLookupError, PermissionError):
            send(pid, number)
            return True
    return False


if __name__ == "__main__":
    main()
