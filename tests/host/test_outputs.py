"""local/host/outputs.py: what the host's output path makes of a value.

SEEN and REFUSED were seen on Microsoft's own host (4.1037, queue extension 5.3.10) with `Out[str]`; READ and
BROKEN were read in Newtonsoft.Json's source.
"""

import json
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local.host import newtonsoft_dates, newtonsoft_reader, newtonsoft_writer, outputs, protocol
from local.host.newtonsoft_reader import Token

SEEN = [
    ('{"id": "2026-11-28T10:00:00-05:00"}', ['{\n  "id": "2026-11-28T15:00:00+00:00"\n}']),
    ('{"id": "2026-11-28T09:00:00Z"}', ['{\n  "id": "2026-11-28T09:00:00Z"\n}']),
    ('{"id":"2026-11-28T09:00:00"}', ['{\n  "id": "2026-11-28T09:00:00"\n}']),
    ('{"id":"2026-11-28 09:00:00"}', ['{\n  "id": "2026-11-28 09:00:00"\n}']),
    ('{"id":"2026-11-28T09:00"}', ['{\n  "id": "2026-11-28T09:00"\n}']),
    ('{"id":"2026-11-28T09:00:00.123456789Z"}', ['{\n  "id": "2026-11-28T09:00:00.123456789Z"\n}']),
    ('{"id":"/Date(1700000000000)/"}', ['{\n  "id": "2023-11-14T22:13:20Z"\n}']),
    ('{"say":"It is at 2026-11-28T09:00:00Z"}', ['{\n  "say": "It is at 2026-11-28T09:00:00Z"\n}']),
    (
        '{"a":1.0,"b":1e3,"c":100000000000000000000,"d":0.1,"e":-0,"f":1e400}',
        [
            '{\n  "a": 1.0,\n  "b": 1000.0,\n  "c": 100000000000000000000,\n  "d": 0.1,\n  "e": 0,\n'
            '  "f": "Infinity"\n}'
        ],
    ),
    (r'{"a":"\u00e9\u2028<&>"}', ['{\n  "a": "é\\u2028<&>"\n}']),
    ('{"a":"é 😀"}', ['{\n  "a": "é 😀"\n}']),
    ("{a:1}", ['{\n  "a": 1\n}']),
    ('{"a":1,}', ['{\n  "a": 1\n}']),
    ('["a","b"]', ["a", "b"]),
    ("[]", []),
    ("[[1,2],[3]]", ["[\n  1,\n  2\n]", "[\n  3\n]"]),
    ('"text"', ['"text"']),
    ("", [""]),
    ("   ", ["   "]),
    ('{"a":NaN}', ['{\n  "a": "NaN"\n}']),
    ('{"a":undefined}', ['{\n  "a": undefined\n}']),
    ('{"a":/*c*/1}', ['{\n  "a": 1\n}']),
    ("{bad", ["{bad"]),
    (
        '{"a":{"b":[1,{"c":2}]}}',
        ['{\n  "a": {\n    "b": [\n      1,\n      {\n        "c": 2\n      }\n    ]\n  }\n}'],
    ),
    ('{"a":true}', ['{\n  "a": true\n}']),
    ('{"a":0x1F}', ['{\n  "a": 31\n}']),
    ('{"a":"2026-11-28T24:00:00Z"}', ['{\n  "a": "2026-11-29T00:00:00Z"\n}']),
    (
        '{"send_at":"2026-11-28T09:00:00+05:30","say":"Hi"}',
        ['{\n  "send_at": "2026-11-28T03:30:00+00:00",\n  "say": "Hi"\n}'],
    ),
    ("{}", ["{}"]),
    ('["2026-11-28T09:00:00Z"]', ["11/28/2026 09:00:00"]),
    ('{"a":"0001-01-01T00:00:00Z"}', ['{\n  "a": "0001-01-01T00:00:00Z"\n}']),
    ("null", ["null"]),
    ("12", ["12"]),
]
REFUSED = [
    (
        '{"a":"b"}x}',
        "Additional text encountered after finished reading JSON content: x. Path '', line 1, position 9.",
    ),
    (
        '{"a":1}\n{"b":2}',
        "Additional text encountered after finished reading JSON content: {. Path '', line 2, position 0.",
    ),
    (
        '{"a":' + "[" * 70 + "]" * 70 + "}",
        f"The reader's MaxDepth of 64 has been exceeded. Path 'a{'[0]' * 63}', line 1, position 69.",
    ),
]
READ = [
    ("[1,,2,]", ["1", "", "2"]),
    (
        "['a' , null, true, 1.0, 1e15, 0.00001, -Infinity]",
        ["a", "", "True", "1", "1E+15", "1E-05", "-Infinity"],
    ),
    ('{"a":,"a b":\'it\\\'s\'}', ['{\n  "a": undefined,\n  "a b": "it\'s"\n}']),
    ('{"b":1,"a":2,"b":3}', ['{\n  "b": 3,\n  "a": 2\n}']),
    ("{a:[ ],b:{ },c:new Date(1)}", ['{\n  "a": [],\n  "b": {},\n  "c": new Date(\n    1\n  )\n}']),
    (r'{"a":"\ud83d\ude00 \ud83d"}', ['{\n  "a": "😀 \ufffd"\n}']),
    ('{"a":"\x01\t\x7f\\/"}', ['{\n  "a": "\\u0001\\t\x7f/"\n}']),
    ("{a:017,b:0xFFFFFFFFFFFFFFFF,c:.5,d:1.}", ['{\n  "a": 15,\n  "b": -1,\n  "c": 0.5,\n  "d": 1.0\n}']),
    ('{"a":1}//}', ['{\n  "a": 1\n}']),
    ('{"a":"2026-11-28T09:00:00.5000z"}', ['{\n  "a": "2026-11-28T09:00:00.5Z"\n}']),
    ('{"a":"2026-11-28T09:00:00+0530"}', ['{\n  "a": "2026-11-28T03:30:00+00:00"\n}']),
    ('{"a":"2026-11-28T09:00:00.123456789"}', ['{\n  "a": "2026-11-28T09:00:00.1234567"\n}']),
    ('{"a":"2026-02-29T09:00:00Z"}', ['{\n  "a": "2026-02-29T09:00:00Z"\n}']),
    ('{"a":"/Date(0+0100)/"}', ['{\n  "a": "1970-01-01T00:00:00+00:00"\n}']),
    ('{"2026-11-28T10:00:00-05:00":1}', ['{\n  "2026-11-28T10:00:00-05:00": 1\n}']),
]
BROKEN = [
    ("{,}", "Invalid property identifier character: ,."),
    ('{"a" 1}', "Invalid character after parsing property name. Expected ':' but got: 1."),
    ('{"a":[1}', "JsonToken EndObject is not valid for closing JsonType Array."),
    ('{"a":]}', "JsonToken EndArray is not valid for closing JsonType Object."),
    ('{"a":{}', "Unexpected end of content while loading JObject. Path 'a', line 1, position 7."),
    ('{"a":truest}', "Error parsing boolean value. Path 'a', line 1, position 5."),
    ("[1 2]", "After parsing a value an unexpected character was encountered: 2. Path '[0]'"),
    (r'["\x"]', r"Bad JSON escape sequence: \x."),
    ('["a]', 'Unterminated string. Expected delimiter: ".'),
    ("[1/*]", "Unexpected end while parsing comment."),
    ("[089]", "Input string '089' is not a valid number."),
    ('["9999-12-31T24:00:00"]', "is no date that .NET can hold"),
]


def sent(text: str) -> list[str]:
    return list(outputs.messages(protocol.load().TypedData(string=text)))


@pytest.mark.parametrize(("text", "expected"), SEEN + READ)
def test_a_text_becomes_what_the_host_writes(text: str, expected: list[str]) -> None:
    assert sent(text) == expected


@pytest.mark.parametrize(("text", "problem"), REFUSED + BROKEN)
def test_what_newtonsoft_does_not_read_fails_with_its_words(text: str, problem: str) -> None:
    if not newtonsoft_reader.is_json(text):
        # The host looks at the first and the last character alone, and sends such a text as it is.
        assert sent(text) == [text]
    with pytest.raises(ValueError, match=r"Path|hold") as caught:
        newtonsoft_reader.parse(text)
    assert problem in str(caught.value)


def test_a_list_of_texts_stays_as_it_is() -> None:
    data = protocol.load().TypedData(json='["{\\"id\\": \\"2026-11-28T10:00:00-05:00\\"}", "[1]"]')
    assert outputs.messages(data) == ('{"id": "2026-11-28T10:00:00-05:00"}', "[1]")


def test_bytes_stay_as_they_are() -> None:
    data = protocol.load().TypedData(bytes=b'{"id": "2026-11-28T10:00:00-05:00"}')
    assert outputs.messages(data) == ('{"id": "2026-11-28T10:00:00-05:00"}',)


def test_an_object_is_indented_and_its_dates_are_left_alone() -> None:
    data = protocol.load().TypedData(json='{"id": null, "body": "2026-11-28T10:00:00-05:00"}')
    assert outputs.messages(data) == ('{\n  "id": null,\n  "body": "2026-11-28T10:00:00-05:00"\n}',)


def test_nothing_is_sent_where_nothing_was_set() -> None:
    typed = protocol.load().TypedData
    assert outputs.messages(typed()) == outputs.messages(typed(json="null")) == ()


texts = st.text(st.characters(exclude_categories=["Cs"])).filter(
    lambda text: newtonsoft_dates.parse(text) is None
)
values: st.SearchStrategy[Token] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner) | st.dictionaries(texts, inner),
    max_leaves=20,
)


@given(st.lists(values) | st.dictionaries(texts, values))
def test_plain_json_without_dates_keeps_its_meaning(value: Token) -> None:
    assert newtonsoft_reader.parse(json.dumps(value)) == value
    assert newtonsoft_reader.parse(json.dumps(value, ensure_ascii=False, indent=1)) == value
    for written in (newtonsoft_writer.compact(value), newtonsoft_writer.indented(value)):
        assert json.loads(written) == value
        assert newtonsoft_reader.parse(written) == value


@given(st.datetimes())
def test_a_date_without_a_zone_is_written_as_it_was_read(moment: datetime) -> None:
    text = moment.isoformat()
    read = newtonsoft_dates.parse(text)
    assert read is not None
    whole, _, fraction = text.partition(".")
    expected = f"{whole}.{fraction.rstrip('0')}" if fraction else whole
    assert read.iso() == expected
