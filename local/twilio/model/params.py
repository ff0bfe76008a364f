"""Request parameters as Twilio reads them: forms, query filters, dates, and pages of a list."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from itertools import islice
from typing import Any, Protocol
from urllib.parse import parse_qsl, urlencode, urlsplit

from local.twilio.model.errors import ApiError


@dataclass(slots=True)
class Form:
    """Decoded parameters. An empty value counts as absent unless asked for with `given`."""

    values: dict[str, list[str]] = field(default_factory=dict)

    @classmethod
    def parse(cls, text: str) -> "Form":
        values: dict[str, list[str]] = {}
        for name, value in parse_qsl(text, keep_blank_values=True):
            values.setdefault(name, []).append(value)
        return cls(values)

    def get(self, name: str) -> str:
        values = self.values.get(name)
        return values[-1] if values else ""

    def all(self, name: str) -> list[str]:
        return [value for value in self.values.get(name, []) if value]

    def given(self, name: str) -> bool:
        return name in self.values

    def flag(self, name: str) -> bool:
        return self.get(name).lower() == "true"

    def method(self, name: str, code: int, default: str = "POST") -> str:
        """GET or POST. Raises ApiError with `code` for anything else."""
        value = (self.get(name) or default).upper()
        if value not in {"GET", "POST"}:
            raise ApiError(code, f"{name} must be GET or POST")
        return value

    def url(self, name: str, code: int) -> str | None:
        """An http or https URL, or None if absent. Raises ApiError with `code` for anything else."""
        value = self.get(name)
        if not value:
            return None
        if not is_url(value):
            raise ApiError(code, f"{name} is not a valid URL")
        return value

    def whole(self, name: str, code: int, default: int, low: int, high: int) -> int:
        """A whole number from low to high, or `default` if absent. Raises ApiError with `code`."""
        value = self.get(name)
        if not value:
            return default
        if not (value.isascii() and value.isdecimal()) or not low <= int(value) <= high:
            raise ApiError(code, f"{name} must be a whole number from {low} to {high}")
        return int(value)


def is_url(value: str) -> bool:
    try:
        parts = urlsplit(value)
        return (
            parts.scheme in {"http", "https"} and bool(parts.hostname) and not any(c.isspace() for c in value)
        )
    except ValueError:
        return False


@dataclass(frozen=True, slots=True)
class Between:
    """A date filter: `DateSent=2026-01-31`, `DateSent>=...`, `DateSent<=...`. A date is a whole UTC day."""

    since: datetime | None = None
    until: datetime | None = None

    @classmethod
    def parse(cls, name: str, query: Form) -> "Between":
        since, until = None, None
        if query.get(name):
            # Equality compares days; twilio-python always sends a time too, which is ignored.
            since, until = _span(query.get(name)[:10], name)
        if query.get(f"{name}>"):
            since = _span(query.get(f"{name}>"), name)[0]
        if query.get(f"{name}<"):
            until = _span(query.get(f"{name}<"), name)[1]
        return cls(since, until)

    def __bool__(self) -> bool:
        return self.since is not None or self.until is not None

    def holds(self, moment: datetime | None) -> bool:
        """Whether this moment passes. As at Twilio, a resource without a date passes no date filter."""
        if not self:
            return True
        if moment is None:
            return False
        moment = moment.replace(microsecond=0)
        return (self.since is None or moment >= self.since) and (self.until is None or moment <= self.until)


def _span(text: str, name: str) -> tuple[datetime, datetime]:
    """The first and the last second of a day; for a moment, that second twice."""
    try:
        if len(text) == 10:
            start = datetime.combine(date.fromisoformat(text), datetime.min.time(), UTC)
            return start, start + timedelta(days=1, seconds=-1)
        moment = datetime.fromisoformat(text.replace(" ", "+"))
    except ValueError as exc:
        raise ApiError(20001, f"{name} must be a date, such as 2026-01-31") from exc
    moment = moment.replace(tzinfo=moment.tzinfo or UTC, microsecond=0)
    return moment, moment


class ListItem(Protocol):
    @property
    def sequence(self) -> int: ...

    def body(self) -> dict[str, Any]: ...


def page[T: ListItem](path: str, key: str, found: Iterable[T], query: Form) -> dict[str, Any]:
    """One page of a list, as Twilio writes it. found: newest first, so that its sequence numbers fall."""
    size = min(query.whole("PageSize", 20001, 50, 1, 10**9), 1000)
    number = query.whole("Page", 20001, 0, 0, 10**9)
    token = query.get("PageToken")
    side, edge = _token(token)
    if side == "PB":
        shown = [each for each in found if each.sequence > edge][-size:]
        more = True
    else:
        shown = list(islice((each for each in found if side != "PA" or each.sequence < edge), size + 1))
        more = len(shown) > size
        del shown[size:]
    filters = [
        (name, value)
        for name, values in query.values.items()
        if name not in {"PageSize", "Page", "PageToken"}
        for value in values
        if value
    ]

    def uri(index: int, page_token: str = "") -> str:
        extra = [("PageSize", str(size)), ("Page", str(index))]
        return f"{path}?{urlencode(filters + extra + ([('PageToken', page_token)] if page_token else []))}"

    start = number * size
    return {
        key: [each.body() for each in shown],
        "page": number,
        "page_size": size,
        "start": start,
        "end": start + max(len(shown) - 1, 0),
        "first_page_uri": uri(0),
        "uri": uri(number, token),
        "previous_page_uri": uri(number - 1, f"PB{shown[0].sequence}") if number and shown else None,
        "next_page_uri": uri(number + 1, f"PA{shown[-1].sequence}") if more else None,
    }


def meta_page[T: ListItem](url: str, key: str, found: Iterable[T], query: Form) -> dict[str, Any]:
    """One page of a list, as Twilio's newer APIs write it, with absolute URLs. url: of the list."""
    listed = page(url, key, found, query)
    return {
        key: listed[key],
        "meta": {
            "page": listed["page"],
            "page_size": listed["page_size"],
            "first_page_url": listed["first_page_uri"],
            "previous_page_url": listed["previous_page_uri"],
            "url": listed["uri"],
            "next_page_url": listed["next_page_uri"],
            "key": key,
        },
    }


def _token(text: str) -> tuple[str, int]:
    """Read a page token: PA and a sequence number for what follows it, PB for the page before it."""
    if not text:
        return "", 0
    if text[:2] not in {"PA", "PB"} or not (text[2:].isascii() and text[2:].isdecimal()):
        raise ApiError(21481)
    return text[:2], int(text[2:])
