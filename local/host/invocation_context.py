"""Which function is running here: for the log, which must not need the worker library to know.

A thread of the worker's pool does not inherit the caller's context; it only knows the invocation's id.
"""

from contextvars import ContextVar

running: ContextVar[str] = ContextVar("running", default="")
names: dict[str, str] = {}
_invocation_ids: list[ContextVar[str | None]] = []


def knows_invocation(variable: "ContextVar[str | None]") -> None:
    """Where the worker library keeps the id of the invocation that a thread works for."""
    if variable not in _invocation_ids:
        _invocation_ids.append(variable)


def function() -> str:
    """The name of the function whose code asks, or nothing."""
    return running.get() or next((names.get(each.get() or "", "") for each in _invocation_ids), "")
