"""Run a command that must not outlive the process that started it, however that ends.

`python leash.py COMMAND...`: standard input is the leash. When it ends, because its other end was closed or
its holder was killed, the command gets SIGTERM, and SIGKILL if it does not heed it. Anything written to it
is SIGKILL at once. SIGTERM is passed on. Standard library only, so that it costs next to nothing; it works on
Linux and macOS, which have nothing better in common.
"""

import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress

_PATIENCE = 15.0


def main(command: list[str]) -> int:
    try:
        # A group of its own: what the command starts goes with it.
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, process_group=0)
    except OSError as exc:
        print(f"{command[0]}: {exc.strerror}", file=sys.stderr)
        return 127
    signal.signal(signal.SIGTERM, lambda *_: process.terminate())
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_the_leash, args=(process,), daemon=True).start()
    code = process.wait()
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    return code if code >= 0 else 128 - code


def _end_with_the_leash(process: subprocess.Popen[bytes]) -> None:
    if not os.read(0, 1):
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(_PATIENCE)
            return
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
