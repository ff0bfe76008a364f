"""The host's log: one readable line for each event, coloured on a terminal."""

import logging
import os
import re
import sys
import time
from pathlib import Path

from local.host import invocation_context

log = logging.getLogger("host")

_RESET, _DIM, _CYAN = "\x1b[0m", "\x1b[2m", "\x1b[36m"
_LEVELS = {
    logging.DEBUG: _DIM,
    logging.WARNING: "\x1b[33m",
    logging.ERROR: "\x1b[31m",
    logging.CRITICAL: "\x1b[31m",
}
# At INFO these libraries log at least a line for each request.
_QUIET = ("azure", "aiohttp", "asyncio", "watchfiles", "urllib3")

_NOT_THE_APP = re.compile(r"[\\/](?:azure_functions_runtime|concurrent[\\/]futures|importlib)[\\/]")


class LineFormatter(logging.Formatter):
    """`14:03:22 voice_incoming      POST /api/voice 200, 12 ms`"""

    def __init__(self, *, colour: bool) -> None:
        super().__init__()
        self._colour = colour

    def format(self, record: logging.LogRecord) -> str:
        clock = time.strftime("%H:%M:%S", time.localtime(record.created))
        source = (
            getattr(record, "function", "") or invocation_context.function() or record.name.partition(".")[0]
        )
        message = record.getMessage().rstrip()
        if record.levelno >= logging.WARNING:
            message = f"{record.levelname.lower()}: {message}"
        trace = getattr(record, "trace", "")
        if record.exc_info and not trace:
            trace = self.formatException(record.exc_info)
        if not self._colour:
            return f"{clock} {source:<22} {message}" + (f"\n{trace}" if trace else "")
        tint = _LEVELS.get(record.levelno, "")
        line = f"{_DIM}{clock}{_RESET} {_CYAN}{source:<22}{_RESET} {tint}{message}{_RESET if tint else ''}"
        return line + (f"\n{_DIM}{trace}{_RESET}" if trace else "")


def wants_colour(stream: object) -> bool:
    """Whether to colour: NO_COLOR and FORCE_COLOR decide (no-color.org, force-color.org), else a terminal."""
    if os.environ.get("NO_COLOR"):
        return False
    return bool(os.environ.get("FORCE_COLOR")) or bool(getattr(stream, "isatty", lambda: False)())


def set_up(*, verbose: bool = False) -> None:
    """Send every log record of this process to stderr; the app's own from INFO on."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(LineFormatter(colour=wants_colour(sys.stderr)))
    logging.basicConfig(level=logging.DEBUG if verbose else logging.INFO, handlers=[handler], force=True)
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.INFO if verbose else logging.WARNING)
    # The worker library logs each failure that it also returns; the host logs it in a shorter form.
    logging.getLogger("azure.functions").setLevel(logging.INFO if verbose else logging.CRITICAL)
    logging.captureWarnings(capture=True)


def shortened(trace: str) -> str:
    """A stack trace without the frames of the worker library, which say nothing about the app."""
    kept: list[str] = []
    skipping = False
    for line in trace.rstrip().splitlines():
        if line.startswith('  File "'):
            skipping = bool(_NOT_THE_APP.search(line))
        elif not line.startswith("    "):
            skipping = False
        if not skipping:
            kept.append(line.replace(f"{Path.cwd()}{os.sep}", ""))
    return "\n".join(kept)
