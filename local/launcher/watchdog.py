"""Run a command that ends when the process that started it ends, even if that process is killed.

`python watchdog.py COMMAND...`: the watchdog reads standard input, a pipe from the process that started it.
When the pipe closes, the command gets SIGTERM, and SIGKILL if it does not end. When anything is written to
the pipe, the command gets SIGKILL at once. SIGTERM to the watchdog is passed on to the command. Only the
standard library is imported, so that starting it is cheap. A pipe works on Linux and on macOS; neither has a
better way that the other has too.
"""

import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress

_SECONDS_TO_END = 15.0


def main(command: list[str]) -> int:
    try:
        # The command gets a process group of its own, so that all that it starts can be killed with it.
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, process_group=0)
    except OSError as exc:
        print(f"{command[0]}: {exc.strerror}", file=sys.stderr)
        return 127
    signal.signal(signal.SIGTERM, lambda *_: process.terminate())
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_the_pipe, args=(process,), daemon=True).start()
    code = process.wait()
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    return code if code >= 0 else 128 - code


def _end_with_the_pipe(process: subprocess.Popen[bytes]) -> None:
    if not os.read(0, 1):
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(_SECONDS_TO_END)
            return
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
