"""shared/bulk_file.py: a row is taken out of a file, and every other stays what it was, under its number."""

import csv
import io
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared import bulk_file
from shared.bulk_file import CSV, NDJSON, FileRow

NAME = "-" + "0" * 40
CELLS = st.text(alphabet="ab ,;\t\"'\r\n{}\ufeffé😀", max_size=8)
TO = st.sampled_from(["+12025550101", " +12025550101 ", "+12025550102", "", "x"])
TABLES = st.lists(st.tuples(CELLS, TO, CELLS).map(list) | st.lists(CELLS, max_size=5), max_size=12)


def theirs(row: FileRow, _text: str) -> bool:
    return row.values.get("to") == "+12025550101"


def taken_out(data: bytes, kind: str) -> tuple[bytes, int]:
    pieces = list(bulk_file.without(io.BytesIO(data), kind, theirs, NAME))
    return b"".join(piece for piece, _ in pieces), sum(is_theirs for _, is_theirs in pieces)


def check(data: bytes, kind: str) -> None:
    before = list(bulk_file.rows(io.BytesIO(data), kind))
    left, count = taken_out(data, kind)
    after = list(bulk_file.rows(io.BytesIO(left), kind))
    assert [row.number for row in after] == [row.number for row in before]
    assert count == sum(theirs(row, "") for row in before)
    for was, is_now in zip(before, after, strict=True):
        if theirs(was, ""):
            assert is_now.values["to"] == NAME
            assert not any(value for name, value in is_now.values.items() if name != "to")
        else:
            assert is_now == was
    if not count:
        assert left == data.removeprefix(b"\xef\xbb\xbf")


@given(TABLES, st.sampled_from(",;\t"), st.sampled_from(["\n", "\r\n", "\r"]), st.booleans())
def test_a_csv_file_keeps_every_other_row(
    table: list[list[str]], delimiter: str, end: str, mark: bool
) -> None:
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter, lineterminator=end).writerows([["name", "To", "body"], *table])
    check((("\ufeff" if mark else "") + text.getvalue()).encode(), CSV)


@given(st.lists(st.tuples(TO, CELLS)), st.booleans())
def test_an_ndjson_file_keeps_every_other_row(rows: list[tuple[str, str]], blank: bool) -> None:
    lines = [json.dumps({"to": to.strip(), "body": body}) for to, body in rows]
    check(("\n\n" if blank else "\n").join(lines).encode(), NDJSON)


@pytest.mark.parametrize(
    ("data", "kind", "left"),
    [
        (b'to,body\n"+12025550101","a\nb"\n+12025550102,c', CSV, f"to,body\n{NAME},\n+12025550102,c"),
        (b"to\n+12025550101", CSV, f"to\n{NAME}\n"),
        (b'{"to": "+12025550101", "body": "a"}\nnonsense', NDJSON, f'{{"to": "{NAME}"}}\nnonsense'),
    ],
)
def test_of_a_row_nothing_is_left_but_its_place(data: bytes, kind: str, left: str) -> None:
    assert taken_out(data, kind) == (left.encode(), 1)


def test_bytes_that_are_not_utf_8_stay_wrong() -> None:
    data = b"to,body\n+12025550101,a\n+12025550102,\xff\n"
    left, _ = taken_out(data, CSV)
    problems: list[Any] = [row.problem for row in bulk_file.rows(io.BytesIO(left), CSV)]
    assert problems == ["", "is not UTF-8"]
