"""Every error that the triggers tell apart. What each means stands at its class.

SwitchboardError
├── SettingsError, InvalidRequest, NotFound, TooMany, Conflict, Forbidden, Contended, Malformed
├── StorageAway
│   └── OldStore
└── TwilioError
    ├── NotSent
    │   └── Throttled
    ├── Uncertain, BadCredentials, Misconfigured
    └── Refused
        └── OptedOut
"""


class SwitchboardError(Exception):
    """The base of every error that Switchboard itself raises."""


class SettingsError(SwitchboardError):
    """App settings are missing or malformed: all of them are named.

    missing: names, as in the README's table. invalid: (name, what would be right).
    """

    def __init__(self, missing: tuple[str, ...] = (), invalid: tuple[tuple[str, str], ...] = ()) -> None:
        self.missing = missing
        self.invalid = invalid
        parts = [f"missing app settings: {', '.join(missing)}"] if missing else []
        parts += [f"{name} {problem}" for name, problem in invalid]
        super().__init__("; ".join(parts))


class InvalidRequest(SwitchboardError):
    """One field of a request is wrong; `message` says what would be right. `status`: the HTTP answer."""

    def __init__(self, field: str | None, message: str, *, code: str = "invalid", status: int = 422) -> None:
        self.field = field
        self.message = message
        self.code = code
        self.status = status
        super().__init__(f"{field}: {message}" if field else message)


class NotFound(SwitchboardError):
    """There is no message, call, file or dead letter with that id."""


class TooMany(SwitchboardError):
    """Asked for too often. retry_after: seconds."""

    def __init__(self, message: str, *, retry_after: int) -> None:
        self.retry_after = retry_after
        super().__init__(message)


class Conflict(SwitchboardError):
    """The row's present state, named in `state`, no longer allows what was asked."""

    def __init__(self, message: str, *, state: str | None = None) -> None:
        self.state = state
        super().__init__(message)


class Forbidden(SwitchboardError):
    """A webhook without a valid signature of our account. The reason is for the log, never for the answer."""


class Contended(SwitchboardError):
    """Somebody else wrote the row first: it changed since it was read (412), or is there already (409)."""


class Malformed(SwitchboardError):
    """A row in storage cannot be read. id: of its message or call, or ""; column: the wrong one, or "".

    It has no cause, and quotes nothing from the row: it is logged, and a row may hold a number or a text.
    """

    def __init__(self, what: str, row_id: str, column: str = "") -> None:
        self.id = row_id
        self.column = column
        wrong = f"its column {column} is missing or wrong" if column else "its key is wrong"
        super().__init__(f"the row of {what} {row_id or '?'} cannot be read: {wrong}")


class StorageAway(SwitchboardError):
    """Storage did not answer, or answered 5xx. What was asked may or may not have been done."""


class OldStore(StorageAway):
    """Another version of this code made the tables. None is used until a person makes new ones."""


class TwilioError(SwitchboardError):
    """Twilio refused, or did not answer.

    code: Twilio's error code, as in its error and warning dictionary, or None where there was no answer.
    status: the HTTP status, or None.
    """

    def __init__(self, message: str, *, code: int | None = None, status: int | None = None) -> None:
        self.code = code
        self.status = status
        super().__init__(message)


class NotSent(TwilioError):
    """The request never reached Twilio; repeating it is safe."""


class Throttled(NotSent):
    """Twilio asked us to slow down (429, code 20429); nothing was accepted."""


class Uncertain(TwilioError):
    """The answer was lost, or was a 5xx: Twilio may have accepted. Never repeat it blindly."""


class BadCredentials(TwilioError):
    """Code 20003: every further request would fail the same way."""


class Misconfigured(TwilioError):
    """Our sender, permission or limit is wrong, not this recipient: hold the row for a person."""


class Refused(TwilioError):
    """Permanent for this message or call."""


class OptedOut(Refused):
    """Code 21610: the recipient replied STOP to this sender."""
