"""The name of the running function, for the log, without importing the worker library.

A thread of the worker's pool does not inherit the caller's context; it knows only the invocation's id.
"""

from contextvars import ContextVar

running: ContextVar[str] = ContextVar("running", default="")
names: dict[str, str] = {}
_invocation_ids: list[ContextVar[str | None]] = []


def knows_invocation(variable: "ContextVar[str | None]") -> None:
    """Remember the variable in which the worker library keeps the invocation id of a thread."""
    if variable not in _invocation_ids:
        _invocation_ids.append(variable)


def function() -> str:
    """The name of the function that calls this, or an empty text."""
    return running.get() or next((names.get(each.get() or "", "") for each in _invocation_ids), "")
