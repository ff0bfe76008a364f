"""What a flow is given: one request of Twilio's, with a valid signature."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class TwilioRequest:
    """One verified request of Twilio's.

    form: Twilio's own fields, the first value of each: from the body of a POST, or from the query of a GET.
    query: the parameters of the URL itself, in order, blank and repeated ones included.
    fields: all posted pairs, in order. url: as signed, at PUBLIC_BASE_URL. now: aware, UTC.
    """

    form: Mapping[str, str]
    query: Sequence[tuple[str, str]]
    fields: Sequence[tuple[str, str]]
    method: str
    url: str
    now: datetime

    def get(self, name: str) -> str:
        """One of Twilio's own fields, or the empty string."""
        return self.form.get(name, "")

    def state(self, name: str) -> str:
        """A value that an earlier step put into the (signed) URL of this step, or the empty string."""
        return next((value for key, value in self.query if key == name), "")

    @property
    def dial_answered(self) -> bool:
        """Whether somebody talked in the <Dial> that has just ended.

        Twilio calls a <Dial> answered but not bridged when someone picks up and does not pass the whisper.
        """
        if self.get("DialBridged") == "false":
            return False
        return self.get("DialCallStatus") in {"completed", "answered"} or self.get("DialStatus") == "answered"
