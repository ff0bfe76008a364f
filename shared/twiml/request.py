"""What a call flow is given: one request of Twilio's whose signature was good."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class TwilioRequest:
    """One verified request of Twilio's.

    form: Twilio's own fields (from the body of a POST, from the query of a GET, never mixed; first value).
    query: what the URL itself carries, in order, blanks and repeats kept. fields: all posted pairs.
    url: as signed, at PUBLIC_BASE_URL. now: aware, UTC.
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
        """What an earlier step put into this step's (signed) URL, or the empty string."""
        return next((value for key, value in self.query if key == name), "")
