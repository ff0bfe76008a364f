"""JSON as Newtonsoft.Json reads it, which takes much that the standard refuses.

Single quotes, names without quotes, comments, a comma at the end, `undefined`, `NaN`, hexadecimal numbers,
`new Date(1)`; and a text that looks like a date becomes one. Source: JsonTextReader, JsonReader and
JToken.Parse in JamesNK/Newtonsoft.Json 13, with their default settings (64 levels at most).
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from local.host import newtonsoft_dates
from local.host.newtonsoft_dates import Date

MAX_DEPTH = 64
# char.IsWhiteSpace in .NET.
WHITE = (
    " \t\n\v\f\r\x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000"
)
_SKIPPED = WHITE + "\0"
_MOST_INTEGER_CHARACTERS = 380
_CLOSING = {"Object": "}", "Array": "]", "Constructor": ")"}
_TOKENS = {"}": "EndObject", "]": "EndArray", ")": "EndConstructor"}
_ESCAPES = {"b": "\b", "t": "\t", "n": "\n", "f": "\f", "r": "\r", **{each: each for each in "\\\"'/"}}
_UNESCAPED = {each: re.compile(rf"[^\\{each}]+") for each in "\"'"}
_NUMBER = re.compile(r"[-+a-fA-FxX.0-9]+")
_INTEGER = re.compile(r"-?[0-9]+")
_DECIMAL = re.compile(r"-?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_BASED = re.compile(r"0[xX](?P<hexadecimal>[0-9a-fA-F]+)|(?P<octal>[0-7]+)")
_END_OF_COMMENT = {"*": re.compile(r"\*/"), "/": re.compile(r"(?=[\r\n])|\Z")}
_NEW_LINE = re.compile(r"\r\n|\r|\n")
_SPECIAL_IN_PATH = set(". '/\"[]()\t\n\r\f\b\\\x85\u2028\u2029")


class Undefined:
    """JavaScript's `undefined`, and a value that is missing between two commas."""


UNDEFINED: Final = Undefined()


@dataclass(frozen=True, slots=True)
class Constructor:
    """`new Name(argument, ...)`"""

    name: str
    arguments: "list[Token]"


type Token = dict[str, Token] | list[Token] | Constructor | str | bool | int | float | Date | Undefined | None


class JsonReaderException(ValueError):
    """What Newtonsoft.Json says of a text that even it does not read."""


def is_json(text: str) -> bool:
    """Whether the host takes a text for JSON at all: it stands in braces or in brackets.

    Source: Utility.IsJson in azure-functions-host.
    """
    inner = text.strip(WHITE)
    return len(inner) > 1 and inner[0] + inner[-1] in ("{}", "[]")


def parse(text: str) -> Token:
    """Read a text that is_json. Raises JsonReaderException or DateOutOfRange."""
    return _Reader(text).whole()


@dataclass(slots=True)
class _Open:
    """A container that is being read. part: the name or the index in it, None before the first."""

    kind: str
    part: str | int | None = None

    def next_item(self) -> None:
        if self.kind != "Object":
            self.part = self.part + 1 if isinstance(self.part, int) else 0


class _Reader:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._open: list[_Open] = []
        self._reading: dict[str, Callable[[], Token]] = {
            "{": self._object,
            "[": lambda: self._items("Array"),
            **dict.fromkeys("\"'", self._text_or_date),
            **dict.fromkeys("-.0123456789", self._number),
            "t": lambda: self._word("true", True, "boolean"),
            "f": lambda: self._word("false", False, "boolean"),
            "u": lambda: self._word("undefined", UNDEFINED, "undefined"),
            "N": lambda: self._word("NaN", float("nan"), "NaN"),
            "I": lambda: self._word("Infinity", float("inf"), "Infinity"),
            "n": self._null_or_constructor,
        }

    def whole(self) -> Token:
        self._skip()
        value = self._value()
        self._skip()
        if self._char:
            raise self._wrong(
                f"Additional text encountered after finished reading JSON content: {self._char}."
            )
        return value

    @property
    def _char(self) -> str:
        """The next character; nothing at the end."""
        return self._text[self._at : self._at + 1]

    def _wrong(self, message: str) -> JsonReaderException:
        breaks = list(_NEW_LINE.finditer(self._text, 0, self._at))
        position = self._at - (breaks[-1].end() if breaks else 0)
        return JsonReaderException(
            f"{message} Path '{self._path()}', line {len(breaks) + 1}, position {position}."
        )

    def _path(self) -> str:
        shown = ""
        for part in (each.part for each in self._open):
            if isinstance(part, int):
                shown += f"[{part}]"
            elif part is not None and _SPECIAL_IN_PATH & set(part):
                shown += f"['{part}']"
            elif part is not None:
                shown += f".{part}" if shown else part
        return shown

    def _skip(self) -> None:
        """Pass over white space and comments."""
        while True:
            self._skip_white()
            if self._char != "/":
                return
            self._comment()

    def _skip_white(self) -> None:
        while self._char and self._char in _SKIPPED:
            self._at += 1

    def _comment(self) -> None:
        self._at += 1
        kind = self._char
        if self._at + 1 >= len(self._text):
            raise self._wrong("Unexpected end while parsing comment.")
        if kind not in _END_OF_COMMENT:
            raise self._wrong(f"Error parsing comment. Expected: *, got {kind}.")
        end = _END_OF_COMMENT[kind].search(self._text, self._at + 1)
        if end is None:
            self._at = len(self._text)
            raise self._wrong("Unexpected end while parsing comment.")
        self._at = end.end()

    def _value(self) -> Token:
        if not self._char:
            raise self._ended()
        if self._char in "])":
            raise self._mismatch()
        read = self._reading.get(self._char)
        if read is None:
            raise self._unexpected()
        return read()

    def _value_or_nothing(self) -> Token:
        """`undefined` where the comma comes at once, which stays where it is."""
        self._skip()
        if self._char == ",":
            self._open[-1].next_item()
            return UNDEFINED
        return self._value()

    def _unexpected(self) -> JsonReaderException:
        return self._wrong(f"Unexpected character encountered while parsing value: {self._char}.")

    def _ended(self) -> JsonReaderException:
        top = "JObject" if self._open[0].kind == "Object" else "JArray"
        return self._wrong(f"Unexpected end of content while loading {top}.")

    def _mismatch(self) -> JsonReaderException:
        kind = self._open.pop().kind
        return self._wrong(f"JsonToken {_TOKENS[self._char]} is not valid for closing JsonType {kind}.")

    def _begin(self, kind: str) -> None:
        self._at += 1
        if self._open:
            self._open[-1].next_item()
        self._open.append(_Open(kind))
        if len(self._open) > MAX_DEPTH:
            raise self._wrong(f"The reader's MaxDepth of {MAX_DEPTH} has been exceeded.")

    def _closes(self) -> bool:
        """Whether the container ends here; then it is left."""
        if self._char != _CLOSING[self._open[-1].kind]:
            return False
        self._at += 1
        self._open.pop()
        return True

    def _ends_after_value(self) -> bool:
        """Whether the container ends behind the value just read, rather than going on with a comma."""
        self._skip()
        if self._closes():
            return True
        if not self._char:
            raise self._ended()
        if self._char in _TOKENS:
            raise self._mismatch()
        if self._char != ",":
            raise self._wrong(f"After parsing a value an unexpected character was encountered: {self._char}.")
        self._at += 1
        return False

    def _items(self, kind: str) -> "list[Token]":
        self._begin(kind)
        found: list[Token] = []
        while True:
            self._skip()
            if self._closes():
                return found
            found.append(self._value_or_nothing())
            if self._ends_after_value():
                return found

    def _object(self) -> "dict[str, Token]":
        """The last of several equal names counts, and stands where the first one stood."""
        self._begin("Object")
        found: dict[str, Token] = {}
        while True:
            self._skip()
            if self._closes():
                return found
            if not self._char:
                raise self._ended()
            name = self._name()
            self._open[-1].part = name
            found[name] = self._value_or_nothing()
            if self._ends_after_value():
                return found

    def _name(self) -> str:
        if self._char in "\"'":
            name = self._quoted()
        elif _is_in_a_name(self._char):
            name = self._bare_name()
        else:
            raise self._wrong(f"Invalid property identifier character: {self._char}.")
        self._skip_white()
        if self._char != ":":
            got = self._char or "\0"
            raise self._wrong(f"Invalid character after parsing property name. Expected ':' but got: {got}.")
        self._at += 1
        return name

    def _bare_name(self) -> str:
        began = self._at
        while self._char and _is_in_a_name(self._char):
            self._at += 1
        if not self._char:
            raise self._wrong("Unexpected end while parsing unquoted property name.")
        if self._char not in _SKIPPED + ":":
            raise self._wrong(f"Invalid JavaScript property identifier character: {self._char}.")
        return self._text[began : self._at]

    def _text_or_date(self) -> str | Date:
        text = self._quoted()
        self._open[-1].next_item()
        return newtonsoft_dates.parse(text) or text

    def _quoted(self) -> str:
        quote = self._char
        self._at += 1
        found: list[str] = []
        while self._char != quote:
            if not self._char:
                raise self._wrong(f"Unterminated string. Expected delimiter: {quote}.")
            if self._char == "\\":
                found.append(self._escaped(quote))
            else:
                run = _UNESCAPED[quote].match(self._text, self._at)
                found.append(run[0] if run else "")
                self._at += len(found[-1])
        self._at += 1
        # Half a surrogate pair becomes U+FFFD.
        return "".join(found).encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")

    def _escaped(self, quote: str) -> str:
        """What an escape stands for."""
        self._at += 1
        if not self._char:
            raise self._wrong(f"Unterminated string. Expected delimiter: {quote}.")
        if self._char != "u":
            if self._char not in _ESCAPES:
                raise self._wrong(f"Bad JSON escape sequence: \\{self._char}.")
            self._at += 1
            return _ESCAPES[self._text[self._at - 1]]
        digits = self._text[self._at + 1 : self._at + 5]
        if len(digits) < 4:
            raise self._wrong("Unexpected end while parsing Unicode escape sequence.")
        if not re.fullmatch("[0-9a-fA-F]{4}", digits):
            raise self._wrong(f"Invalid Unicode escape sequence: \\u{digits}.")
        self._at += 5
        return chr(int(digits, 16))

    def _word(self, word: str, value: Any, what: str) -> Token:
        if not self._text.startswith(word, self._at) or not self._separates(self._at + len(word)):
            raise self._wrong(f"Error parsing {what} value.")
        self._at += len(word)
        self._open[-1].next_item()
        token: Token = value
        return token

    def _separates(self, at: int) -> bool:
        following = self._text[at : at + 1]
        if following == "/":
            return self._text[at + 1 : at + 2] in ("*", "/")
        if following == ")":
            return self._open[-1].kind == "Constructor"
        return following in _SKIPPED + "}],"

    def _null_or_constructor(self) -> Token:
        match self._text[self._at + 1 : self._at + 2]:
            case "u":
                return self._word("null", None, "null")
            case "e":
                return self._constructor()
            case _:
                raise self._unexpected()

    def _constructor(self) -> Constructor:
        match = re.compile(rf"new[{_SKIPPED}]+(\w+)[{_SKIPPED}]*\(").match(self._text, self._at)
        if not match:
            raise self._wrong("Unexpected content while parsing JSON.")
        self._at = match.end() - 1
        return Constructor(match[1], self._items("Constructor"))

    def _number(self) -> int | float:
        if self._text.startswith("-I", self._at):
            self._word("-Infinity", None, "-Infinity")
            return float("-inf")
        match = _NUMBER.match(self._text, self._at)
        text = match[0] if match else ""
        self._at += len(text)
        if self._char and self._char not in _SKIPPED + ",}])/":
            raise self._wrong(f"Unexpected character encountered while parsing number: {self._char}.")
        self._open[-1].next_item()
        try:
            return _number_in(text)
        except ValueError as exc:
            raise self._wrong(str(exc)) from None


def _is_in_a_name(char: str) -> bool:
    return char.isalnum() or char in "_$"


def _number_in(text: str) -> int | float:
    """Raises ValueError with Newtonsoft.Json's words."""
    if len(text) > 1 and text[0] == "0" and text[1] not in ".eE":
        based = _BASED.fullmatch(text)
        digits, base = (based["hexadecimal"], 16) if based and based["hexadecimal"] else (text, 8)
        if based and (value := int(digits, base)) < 2**64:
            return value - 2**64 if value >= 2**63 else value
    elif _INTEGER.fullmatch(text):
        if len(text) > _MOST_INTEGER_CHARACTERS:
            raise ValueError(f"JSON integer {text} is too large to parse.")
        return int(text)
    elif _DECIMAL.fullmatch(text):
        return float(text)
    raise ValueError(f"Input string '{text}' is not a valid number.")
