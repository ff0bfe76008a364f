"""The errors of the host.

HostError
├── NotIndexed          the app cannot be loaded, or breaks a rule of the real host
└── InvocationFailed    the function raised, or its result has no binding
"""


class HostError(Exception):
    """The base of all errors that the host raises."""


class NotIndexed(HostError):
    """The host does not run the app. problems: one sentence each."""

    def __init__(self, *problems: str) -> None:
        self.problems = problems
        super().__init__("\n".join(problems))


class InvocationFailed(HostError):
    """One invocation failed. trace: the stack trace that the worker library returned."""

    def __init__(self, function: str, message: str, trace: str) -> None:
        self.function = function
        self.trace = trace
        super().__init__(message)
