"""shared/bulk/file.py: when a row is taken out of a file, every other row keeps its bytes and its number."""

import csv
import io
import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from shared.bulk.file import CSV, NDJSON, FileRow, rows, without
from shared.errors import InvalidRequest

NAME = "-" + "0" * 40
CELLS = st.text(alphabet="ab ,;\t\"'\r\n{}\ufeffé😀", max_size=8)
TO = st.sampled_from(["+12025550101", " +12025550101 ", "+12025550102", "", "x"])
WHO = b"+12025550101"
PIECES = st.lists(
    st.sampled_from(
        [WHO, b",", b'"', b"\n", b"\r", b"a", b"\0", b"\xff", b"\xc3", b"\xa9", b"\xf0\x9f", b"\xed\xa0\x80"]
    )
    | st.binary(max_size=3)
)
ROWS = st.sampled_from(
    [b'{"to": "+12025550101"}', b'{"to": "+12025550102"}', b'{"to": "+12025550102", "body": "\xe9"}', b""]
)
TABLES = st.lists(st.tuples(CELLS, TO, CELLS).map(list) | st.lists(CELLS, max_size=5), max_size=12)


def theirs(row: FileRow, _text: str) -> bool:
    return row.values.get("to") == "+12025550101"


def taken_out(data: bytes, kind: str) -> tuple[bytes, int]:
    pieces = list(without(io.BytesIO(data), kind, theirs, NAME))
    return b"".join(piece for piece, _ in pieces), sum(is_theirs for _, is_theirs in pieces)


def check(data: bytes, kind: str) -> None:
    before = list(rows(io.BytesIO(data), kind))
    left, count = taken_out(data, kind)
    after = list(rows(io.BytesIO(left), kind))
    assert [row.number for row in after] == [row.number for row in before]
    assert count == sum(theirs(row, "") for row in before)
    for was, is_now in zip(before, after, strict=True):
        if theirs(was, ""):
            assert is_now.values["to"] == NAME
            assert not any(value for name, value in is_now.values.items() if name != "to")
        else:
            assert is_now == was
    if not count:
        assert left == data.removeprefix(b"\xef\xbb\xbf" if kind == CSV else b"")


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


@given(PIECES, st.booleans())
@example(pieces=[b"\xff", b"\n", WHO], mark=False)
@example(pieces=[b"\xf0\x9f", b",", b"\r", WHO, b',"\xe9"\n'], mark=True)
def test_a_csv_file_of_any_bytes_keeps_those_of_every_other_row(pieces: list[bytes], mark: bool) -> None:
    data = b"name,To,body\n" + b"".join(pieces)
    check((b"\xef\xbb\xbf" if mark else b"") + data, CSV)
    left, _ = taken_out(data, CSV)
    assert all(piece in data for piece in left.splitlines(keepends=True) if NAME.encode() not in piece)


@given(st.lists(ROWS | st.binary(max_size=12).filter(lambda line: b"\n" not in line)))
@example([b'{"to": "+12025550101"}', b'{"to": "+12025550102", "body": "Gr\xfc\xdfe"}'])
def test_an_ndjson_file_of_any_bytes_keeps_those_of_every_other_row(lines: list[bytes]) -> None:
    data = b"\n".join(lines)
    check(data, NDJSON)
    left = taken_out(data, NDJSON)[0].split(b"\n")
    for was, is_now in zip(lines, left, strict=False):
        assert is_now == (json.dumps({"to": NAME}).encode() if b'"+12025550101"' in was else was)


@pytest.mark.parametrize(
    ("data", "kind", "left"),
    [
        (b'to,body\n"+12025550101","a\nb"\n+12025550102,c', CSV, f"to,body\n{NAME},\n+12025550102,c"),
        (b"to\n+12025550101", CSV, f"to\n{NAME}\n"),
        (b'{"to": "+12025550101", "body": "a"}\nnonsense', NDJSON, f'{{"to": "{NAME}"}}\nnonsense'),
    ],
)
def test_a_row_that_is_taken_out_leaves_only_its_place(data: bytes, kind: str, left: str) -> None:
    assert taken_out(data, kind) == (left.encode(), 1)


@pytest.mark.parametrize(
    ("data", "kind", "problem"),
    [
        (b"to,body\n+12025550101,a\n+12025550102,Gr\xfc\xdfe\n", CSV, "is not UTF-8"),
        (b"to,body\n+12025550101,a\n+12025550102,\xef\xbf\xbd\n", CSV, "is not UTF-8"),
        (
            b'{"to": "+12025550101"}\n{"to": "+12025550102", "body": "Gr\xfc\xdfe"}\n',
            NDJSON,
            "is not a JSON object",
        ),
    ],
)
def test_a_row_that_is_not_utf_8_keeps_its_bytes_and_problem(data: bytes, kind: str, problem: str) -> None:
    left, count = taken_out(data, kind)
    assert count == 1
    assert left.splitlines()[-1] == data.splitlines()[-1]
    problems: list[Any] = [row.problem for row in rows(io.BytesIO(left), kind)]
    assert problems == ["", problem]


@pytest.mark.parametrize(
    ("header", "reason"),
    [(b"to,\xff,\xfe", "is the name of two columns"), (b'to,"' + b"x" * 140_000, "is not CSV")],
    ids=["not UTF-8", "no end"],
)
def test_the_error_of_a_wrong_header_is_a_text_that_can_be_stored(header: bytes, reason: str) -> None:
    with pytest.raises(InvalidRequest, match=reason) as caught:
        list(rows(io.BytesIO(header + b"\n+12025550101,a,b\n"), CSV))
    assert str(caught.value).encode()
