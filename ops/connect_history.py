"""What each number had before it was connected, for `connect --undo`: a file that only its owner can read."""

import json
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from ops.errors import OpsError

FILE = "connect.json"

type Entry = dict[str, Any]
"""at: when. number: its values. application: the TwiML app's `sid`, and its values in `before`.

`before` is None for a TwiML app that `connect` made.
"""


class ConnectHistory:
    """The numbers of one account that were connected from this folder, the first one first.

    Numbers may share a TwiML app. What the app had before is in the entry of the first of them.
    """

    def __init__(self, path: Path, account_sid: str) -> None:
        self.path = path
        self._account = account_sid

    def entry(self, number: str) -> Entry:
        """Raises OpsError where nothing is remembered of this number."""
        entry = self._read().get(self._key(number))
        if entry is None:
            raise OpsError(
                f"nothing is remembered of {number} in {self.path}: it was not connected from here"
            )
        found: Entry = entry
        return found

    def remember(
        self,
        number: str,
        values: Mapping[str, str],
        app_sid: str,
        app_values: Mapping[str, str] | None,
        *,
        now: datetime,
    ) -> bool:
        """Remember a number the first time only: later its values are our own. Returns whether it was new."""
        entries = self._read()
        if self._key(number) in entries:
            return False
        entries[self._key(number)] = {
            "at": now.isoformat(timespec="seconds"),
            "number": dict(values),
            "application": {"sid": app_sid, "before": dict(app_values) if app_values else None},
        }
        self._write(entries)
        return True

    def made_application(self, number: str, sid: str) -> None:
        """Note a TwiML app that `connect` made, so that the last --undo removes it.

        Every number that shared an app which has gone since is noted with the new one.
        """
        entries = self._read()
        gone = entries[self._key(number)]["application"]["sid"]
        for key, entry in entries.items():
            if key == self._key(number) or (gone and entry["application"]["sid"] == gone):
                entry["application"] = {"sid": sid, "before": None}
        self._write(entries)

    def found_application(self, number: str, sid: str, before: Mapping[str, str] | None) -> None:
        """Note an existing TwiML app for a number that was remembered without one."""
        entries = self._read()
        entry = entries.get(self._key(number))
        if entry and not entry["application"]["sid"]:
            entry["application"] = {"sid": sid, "before": dict(before) if before else None}
            self._write(entries)

    def sharing(self, number: str) -> list[str]:
        """The other numbers that were connected with the same TwiML app."""
        entries = self._read()
        sid = entries[self._key(number)]["application"]["sid"]
        return [
            key.partition("/")[2]
            for key, entry in entries.items()
            if sid and key != self._key(number) and entry["application"]["sid"] == sid
        ]

    def forget(self, number: str) -> None:
        """Remove a number. What its TwiML app had before moves to the next number that shares the app."""
        shared = self.sharing(number)
        entries = self._read()
        order = list(entries)
        entry = entries.pop(self._key(number))
        if shared and order.index(self._key(number)) < order.index(self._key(shared[0])):
            entries[self._key(shared[0])]["application"]["before"] = entry["application"]["before"]
        self._write(entries)

    def _key(self, number: str) -> str:
        return f"{self._account}/{number}"

    def _read(self) -> dict[str, Entry]:
        try:
            entries: dict[str, Entry] = json.loads(self.path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as exc:
            raise OpsError(f"{self.path} cannot be read: move it away") from exc
        if not (isinstance(entries, dict) and all(_is_entry(entry) for entry in entries.values())):
            raise OpsError(f"{self.path} is not as this command writes it: move it away")
        return entries

    def _write(self, entries: Mapping[str, Entry]) -> None:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            beside = self.path.with_suffix(".new")
            beside.unlink(missing_ok=True)
            beside.touch(mode=0o600)  # an earlier webhook may hold a password in its URL
            beside.write_text(json.dumps(entries, indent=1), encoding="utf-8")
            beside.replace(self.path)
        except OSError as exc:
            raise OpsError(f"{self.path} cannot be written: {exc.strerror}") from exc


def _is_entry(value: Any) -> bool:
    match value:
        case {"at": str(), "number": dict(), "application": {"sid": str(), "before": dict() | None}}:
            return True
    return False
