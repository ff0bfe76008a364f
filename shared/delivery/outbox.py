"""What the engine works with: a store, what is particular to texts or to calls, settings, and slots."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from shared.config import Settings
from shared.delivery.record import Delivery
from shared.delivery.states import State
from shared.delivery.store import Store
from shared.delivery.throttle import Slots


class Listed(Protocol):
    """One entry of Twilio's list of what was sent to a person. `created` is aware, UTC, to the second."""

    @property
    def sid(self) -> str: ...
    @property
    def status(self) -> str: ...
    @property
    def body(self) -> str: ...
    @property
    def created(self) -> datetime | None: ...


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of one that has left. changes: further fields of its record, by name."""

    state: State | None
    code: int = 0
    reason: str = ""
    changes: Mapping[str, Any] = field(default_factory=dict)


class Kind[T: Delivery](Protocol):
    """What differs between texts and calls. Whatever asks Twilio raises TwilioError."""

    @property
    def daily_limit(self) -> int | None:
        """How many a person gets in a day (UTC), or no limit."""

    @property
    def limit_name(self) -> str:
        """The app setting that says so."""

    async def post(self, item: T) -> str:
        """POST it once; its SID. The class of the TwilioError says whether it may be repeated."""

    async def listed(self, to: str, *, since: datetime) -> Sequence[Listed]:
        """What Twilio lists for a recipient, back to `since`."""

    def could_be(self, item: T, listed: Listed) -> bool:
        """Could this entry be this item, apart from the time?"""

    def are_alike(self, one: T, other: T) -> bool:
        """Could an entry of the list be either?"""

    async def fetch(self, sid: str) -> Known | None:
        """What Twilio knows of one by its SID; None where it has it no more."""

    async def opted_out(self, item: T) -> bool:
        """Has its recipient opted out of it?"""

    def put_off(self, item: T, until: datetime) -> T:
        """It as it waits until then for quiet hours, a hold or a limit."""

    async def before_end(self, item: T, *, now: datetime) -> None:
        """Called before the end of one that was not sent is written: failed, expired or suppressed."""


@dataclass(frozen=True, slots=True)
class Outbox[T: Delivery]:
    """Texts or calls on their way out."""

    store: Store[T]
    kind: Kind[T]
    settings: Settings
    slots: Slots
