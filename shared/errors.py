"""Every error that the triggers tell apart.

SwitchboardError
├── SettingsError           app settings are missing or wrong, all of them by name
├── InvalidRequest          what a caller sent is wrong: names the field and what would be right
├── NotFound                no such message, call or dead letter
├── TooMany                 asked for too often: try again a little later
├── Conflict                it is there, but no longer in a state that allows this
├── Forbidden               a webhook that is not signed by our Twilio account
├── Contended               someone else changed the row first (ETag), so read it again
├── Malformed               a row in storage is not as we write them: names its column
├── StorageAway             storage does not answer: nothing is known of the request, try again later
│   └── OldStore            other code laid the tables out: a person must begin anew
└── TwilioError             what Twilio answered, or that it did not
    ├── NotSent             the request never left, or was refused for now: may be repeated
    │   └── Throttled       429 or 20429: repeat later, slower
    ├── Uncertain           it may have been accepted: never repeat blindly
    ├── BadCredentials      20003: stop everything, keep the rows
    ├── Misconfigured       our number, region or limit is wrong: hold the rows
    └── Refused             permanent for this one
        └── OptedOut        21610: the recipient said STOP
"""


class SwitchboardError(Exception):
    """Whatever Switchboard raises on purpose."""


class SettingsError(SwitchboardError):
    """App settings are missing or malformed.

    missing: setting names, as in the README's table. invalid: (name, what would be right).
    """

    def __init__(self, missing: tuple[str, ...] = (), invalid: tuple[tuple[str, str], ...] = ()) -> None:
        self.missing = missing
        self.invalid = invalid
        parts = [f"missing app settings: {', '.join(missing)}"] if missing else []
        parts += [f"{name} {problem}" for name, problem in invalid]
        super().__init__("; ".join(parts))


class InvalidRequest(SwitchboardError):
    """One field of a request is wrong. `status` is the HTTP answer: 400, 413 or 422."""

    def __init__(self, field: str | None, message: str, *, code: str = "invalid", status: int = 422) -> None:
        self.field = field
        self.message = message
        self.code = code
        self.status = status
        super().__init__(f"{field}: {message}" if field else message)


class NotFound(SwitchboardError):
    """There is nothing by that id."""


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
    """The row changed since it was read (412), or is there already (409)."""


class Malformed(SwitchboardError):
    """A row in storage cannot be read. id: the message's or call's, or ""; column: which one, or "".

    Without its cause and without what stands in the row: that may be a number or a text, and this is logged.
    """

    def __init__(self, what: str, row_id: str, column: str = "") -> None:
        self.id = row_id
        self.column = column
        wrong = f"its column {column} is missing or wrong" if column else "its key is wrong"
        super().__init__(f"the row of {what} {row_id or '?'} cannot be read: {wrong}")


class StorageAway(SwitchboardError):
    """Storage did not answer, or answered 5xx. What was asked may or may not have been done."""


class OldStore(StorageAway):
    """The stored layout has another version than this code. No table is used until a person begins anew."""


class TwilioError(SwitchboardError):
    """Twilio refused, or did not answer.

    code: Twilio's error code, as in its error and warning dictionary, or None where there was no answer.
    status: the HTTP status, or None.
    """

    def __init__(
        self,
        message: str,
        *,
        code: int | None = None,
        status: int | None = None,
    ) -> None:
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
