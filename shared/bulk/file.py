"""The rows of an uploaded file, CSV or NDJSON, as requests for messages. Nothing in a cell is evaluated.

In the text of a CSV row, half a surrogate pair stands for a byte that is not UTF-8 (PEP 383), so that the row
can be written again byte by byte. Such a row has a problem, and becomes no message.
"""

import csv
import io
import json
import re
from collections.abc import Callable, Generator, Iterable, Mapping
from dataclasses import dataclass
from itertools import count
from typing import IO, Any

from shared.errors import InvalidRequest
from shared.sms.request import FIELDS

MOST_ROWS = 100_000
COLUMNS = FIELDS - {"idempotency_key"}
CSV, NDJSON = "text/csv", "application/x-ndjson"
_NOT_UTF_8 = re.compile("[\ufffd\udc80-\udcff]")
_PLACEHOLDER = re.compile(r"\{\{|\}\}|\{([^{}]*)\}")


@dataclass(frozen=True, slots=True)
class FileRow:
    """One row. number: from 1 on, as a spreadsheet counts: the header of a CSV file is row 1."""

    number: int
    values: Mapping[str, Any]
    problem: str = ""

    def request(self) -> dict[str, Any]:
        """The request for this row's message. `{name}` in the body stands for the column of that name.

        Raises InvalidRequest.
        """
        if self.problem:
            raise InvalidRequest(None, self.problem)
        given = self.values.items()
        request = {name: value for name, value in given if name in COLUMNS and value is not None}
        if isinstance(request.get("body"), str):
            request["body"] = _filled(request["body"], self.values)
        return request


def rows(file: IO[bytes], content_type: str) -> Generator[FileRow]:
    """Every row that is not blank. Raises InvalidRequest where the first row of a CSV file is wrong."""
    for row, _, _ in _parts(file, content_type, ""):
        if row:
            yield row


def without(
    file: IO[bytes], content_type: str, theirs: Callable[[FileRow, str], bool], name: str
) -> Generator[tuple[bytes, bool]]:
    """The file piece by piece, and whether each piece replaces a row that is `theirs`.

    Such a row is replaced by one that has only `name` as its `to`, so the rows after it keep their numbers.
    Every other row keeps its bytes. theirs: gets each row, and its text. Raises InvalidRequest, as above.
    """
    for row, text, instead in _parts(file, content_type, name):
        is_theirs = row is not None and theirs(row, text)
        yield (instead if is_theirs else text).encode(errors="surrogateescape"), is_theirs


def _parts(file: IO[bytes], content_type: str, name: str) -> Generator[tuple[FileRow | None, str, str]]:
    """Each row, its text, and the text that replaces it. The row is None for a header and a blank row."""
    return _csv(file, name) if content_type == CSV else _ndjson(file, name)


def _csv(file: IO[bytes], name: str) -> Generator[tuple[FileRow | None, str, str]]:
    text, read = io.TextIOWrapper(file, "utf-8-sig", errors="surrogateescape", newline=""), list[str]()

    def lines() -> Generator[str]:
        for line in text:
            read.append(line)
            yield line

    try:
        first, delimiter, header = _header(text)
        yield None, first, first
        instead = delimiter.join(name if column == "to" else "" for column in header) + "\n"
        for row in _records(lines(), delimiter, header):
            yield row, "".join(read), instead
            read.clear()
    finally:
        text.detach()


def _header(text: io.TextIOWrapper) -> tuple[str, str, list[str]]:
    """The first line, the delimiter, and the columns' names."""
    first = text.readline()
    delimiter = max(",;\t", key=first.count)
    # The names are shown to people, so they must be text that can be written.
    readable = first.encode(errors="surrogateescape").decode(errors="replace")
    try:
        names = next(csv.reader([readable], delimiter=delimiter), [])
    except csv.Error as exc:
        raise InvalidRequest(None, f"the first row is not CSV: {exc}") from exc
    header = [name.strip().lower() for name in names]
    if "to" not in header:
        raise InvalidRequest("to", "the first row must name the columns, with `to` among them")
    twice = {name for name in header if name and header.count(name) > 1}
    if twice:
        raise InvalidRequest(min(twice), "is the name of two columns")
    return first, delimiter, header


def _records(lines: Iterable[str], delimiter: str, header: list[str]) -> Generator[FileRow | None]:
    """Each row after the header."""
    reader = csv.reader(lines, delimiter=delimiter)
    for number in count(2):
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as exc:
            yield FileRow(number, {}, f"is not CSV: {exc}")
            continue
        yield _csv_row(number, header, cells) if any(map(str.strip, cells)) else None


def _csv_row(number: int, header: list[str], cells: list[str]) -> FileRow:
    if len(cells) > len(header):
        return FileRow(number, {}, f"has {len(cells)} cells, and the first row {len(header)}")
    values: dict[str, Any] = {name: cell for name, cell in zip(header, cells, strict=False) if name}
    for name in COLUMNS & values.keys():
        values[name] = values[name].strip() if name != "body" else values[name]
        if not values[name]:
            values[name] = None  # an empty cell means that the column is not given
    if values.get("media_urls"):
        values["media_urls"] = values["media_urls"].split()
    if (values.get("expires_after") or "").isdecimal():
        values["expires_after"] = int(values["expires_after"])
    problem = "is not UTF-8" if any(map(_NOT_UTF_8.search, cells)) else ""
    return FileRow(number, values, problem)


def _ndjson(file: IO[bytes], name: str) -> Generator[tuple[FileRow | None, str, str]]:
    instead = json.dumps({"to": name}) + "\n"
    for number, line in enumerate(file, 1):
        row = _ndjson_row(number, line) if line.strip() else None
        yield row, line.decode(errors="surrogateescape"), instead


def _ndjson_row(number: int, line: bytes) -> FileRow:
    try:
        value = json.loads(line)
        json.dumps(value, ensure_ascii=False).encode()  # half a surrogate pair fails: it cannot be stored
    except (ValueError, RecursionError):
        value = None
    if isinstance(value, dict):
        return FileRow(number, value)
    return FileRow(number, {}, "is not a JSON object")


def _filled(body: str, values: Mapping[str, Any]) -> str:
    def fill(match: re.Match[str]) -> str:
        if match[1] is None:
            return match[0][0]  # {{ and }} stand for the braces themselves
        value = values.get(match[1].strip().lower(), values.get(match[1]))
        if value is None or isinstance(value, dict | list):
            raise InvalidRequest("body", f"names {{{match[1]}}}, which is not a column with a value")
        return str(value)

    return _PLACEHOLDER.sub(fill, body)
