"""The part of host.json that this host obeys.

Names, defaults and ranges are those of Microsoft's "host.json reference for Azure Functions 2.x and later"
and of the HTTP and queue storage extensions' own pages.
"""

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal

from local.host.errors import NotIndexed

# Azure's front end closes a connection after this time without an answer.
RESPONSE_LIMIT = timedelta(seconds=230)
_TIME_SPAN = re.compile(r"(?:(\d+)\.)?(\d{1,2}):(\d{2}):(\d{2})(?:\.(\d{1,7}))?")
_ENCODINGS = ("base64", "none")


@dataclass(frozen=True, slots=True)
class QueueSettings:
    """extensions.queues"""

    batch_size: int = 16
    new_batch_threshold: int = 8
    max_dequeue_count: int = 5
    visibility_timeout: timedelta = timedelta(0)
    max_polling_interval: timedelta = timedelta(minutes=1)
    message_encoding: Literal["base64", "none"] = "base64"


@dataclass(frozen=True, slots=True)
class HttpSettings:
    """extensions.http; None means no limit.

    max_body: bytes, from FUNCTIONS_REQUEST_BODY_SIZE_LIMIT. homepage: whether `/` shows a page, which
    AzureWebJobsDisableHomepage switches off.
    """

    route_prefix: str = "api"
    max_outstanding: int | None = None
    max_concurrent: int | None = None
    max_body: int = 104_857_600
    homepage: bool = True


@dataclass(frozen=True, slots=True)
class HostSettings:
    """The settings in host.json; where it has none, the real host's defaults."""

    http: HttpSettings = field(default_factory=HttpSettings)
    queues: QueueSettings = field(default_factory=QueueSettings)


def read(app_dir: Path, environ: Mapping[str, str] = os.environ) -> HostSettings:
    """Read host.json. Raises NotIndexed with the name of the wrong property and what would be right."""
    path = app_dir / "host.json"
    try:
        document = json.loads(path.read_text())
    except FileNotFoundError:
        raise NotIndexed(f"there is no host.json in {app_dir}") from None
    except ValueError as exc:
        raise NotIndexed(f"host.json is not JSON: {exc}") from exc
    if not isinstance(document, dict) or document.get("version") != "2.0":
        raise NotIndexed('host.json: version must be "2.0"')
    values = _Section(document, "")
    return HostSettings(
        _http(values.section("extensions").section("http"), environ),
        _queues(values.section("extensions").section("queues")),
    )


def _http(section: "_Section", environ: Mapping[str, str]) -> HttpSettings:
    default = HttpSettings()
    limit = environ.get("FUNCTIONS_REQUEST_BODY_SIZE_LIMIT", "")
    return HttpSettings(
        section.text("routePrefix", default.route_prefix).strip("/"),
        section.limit("maxOutstandingRequests"),
        section.limit("maxConcurrentRequests"),
        int(limit) if limit.isdecimal() else default.max_body,
        environ.get("AzureWebJobsDisableHomepage", "").lower() != "true",
    )


def _queues(section: "_Section") -> QueueSettings:
    default = QueueSettings()
    batch_size = section.number("batchSize", default.batch_size, 1, 32)
    encoding = section.text("messageEncoding", default.message_encoding).lower()
    if encoding not in _ENCODINGS:
        raise section.wrong("messageEncoding", "must be base64 or none")
    return QueueSettings(
        batch_size,
        section.number("newBatchThreshold", batch_size // 2, 0, 1000),
        section.number("maxDequeueCount", default.max_dequeue_count, 1, 1000),
        section.duration("visibilityTimeout", default.visibility_timeout),
        section.duration("maxPollingInterval", default.max_polling_interval),
        "none" if encoding == "none" else "base64",
    )


class _Section:
    """One object of host.json, whose errors name the whole path. Names match in any case."""

    def __init__(self, values: Mapping[str, Any], path: str) -> None:
        self._values = {name.lower(): value for name, value in values.items()}
        self._path = path

    def wrong(self, name: str, problem: str) -> NotIndexed:
        return NotIndexed(f"host.json: {self._path}{name} {problem}, is {self._get(name)!r}")

    def _get(self, name: str) -> Any:
        return self._values.get(name.lower())

    def section(self, name: str) -> "_Section":
        value = self._get(name)
        if value is not None and not isinstance(value, dict):
            raise self.wrong(name, "must be an object")
        return _Section(value or {}, f"{self._path}{name}.")

    def text(self, name: str, default: str) -> str:
        value = self._get(name)
        if value is None:
            return default
        if not isinstance(value, str):
            raise self.wrong(name, "must be a text")
        return value

    def number(self, name: str, default: int, lowest: int, highest: int) -> int:
        value = self._get(name)
        if value is None:
            return default
        if not isinstance(value, int) or isinstance(value, bool) or not lowest <= value <= highest:
            raise self.wrong(name, f"must be a whole number from {lowest} to {highest}")
        return value

    def limit(self, name: str) -> int | None:
        """A count, or None for no limit, which is written as -1 and is the default."""
        value = self.number(name, -1, -1, 1_000_000)
        return None if value == -1 else value

    def duration(self, name: str, default: timedelta) -> timedelta:
        value = self._get(name)
        if value is None:
            return default
        match = _TIME_SPAN.fullmatch(value) if isinstance(value, str) else None
        if not match:
            raise self.wrong(name, "must be a time span such as 00:01:00")
        days, hours, minutes, seconds, fraction = match.groups()
        return timedelta(
            days=int(days or 0),
            hours=int(hours),
            minutes=int(minutes),
            seconds=float(f"{seconds}.{fraction or 0}"),
        )
