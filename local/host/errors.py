"""What the host tells apart.

HostError
├── NotIndexed          the app cannot be loaded, or breaks a rule of the real host
└── InvocationFailed    the function raised, or its result has no binding
"""


class HostError(Exception):
    """Whatever the host raises on purpose."""


class NotIndexed(HostError):
    """The app is refused as a whole. problems: one sentence each."""

    def __init__(self, *problems: str) -> None:
        self.problems = problems
        super().__init__("\n".join(problems))


class InvocationFailed(HostError):
    """One invocation ended in an exception. trace: the worker's own stack trace."""

    def __init__(self, function: str, message: str, trace: str) -> None:
        self.function = function
        self.trace = trace
        super().__init__(message)
