"""JSON and plain text as Newtonsoft.Json writes what it has read.

Sources: JToken.ToString, JsonTextWriter, JavaScriptUtils.WriteEscapedJavaScriptString and
JsonConvert.ToString in JamesNK/Newtonsoft.Json 13; for numbers, Number.FormatDouble in dotnet/runtime.
"""

import math
import re
from collections.abc import Iterable

from local.host.newtonsoft_dates import Date
from local.host.newtonsoft_reader import Constructor, Token, Undefined

_DOUBLE_PRECISION = 15
_ESCAPED = re.compile('[\x00-\x1f"\\\\\x85\u2028\u2029]')
_SHORT = {"\t": "\\t", "\n": "\\n", "\r": "\\r", "\f": "\\f", "\b": "\\b", "\\": "\\\\", '"': '\\"'}


def indented(token: Token) -> str:
    """As JToken.ToString() writes an object or an array: two blanks a level."""
    return _written(token, "\n")


def compact(token: Token) -> str:
    """As JToken.ToString(Formatting.None) does: no white space at all."""
    return _written(token, "")


def plain(token: Token) -> str:
    """As ToString() of the .NET value itself: no quotes, `True`, nothing for null, a date without its zone.

    An object or an array is indented JSON.
    """
    match token:
        case None | Undefined():
            return ""
        case str():
            return token
        case bool():
            return str(token)
        case Date():
            return token.plain()
        case float():
            return _double(token)
        case _:
            return indented(token)


def _written(token: Token, line: str) -> str:
    match token:
        case dict():
            space = " " if line else ""
            members = (
                f"{_quoted(name)}:{space}{_written(value, line and line + '  ')}"
                for name, value in token.items()
            )
            return _enclosed("{", members, "}", line)
        case list():
            return _enclosed("[", (_written(each, line and line + "  ") for each in token), "]", line)
        case Constructor():
            # Newtonsoft.Json breaks the line in `new Date()` too: AutoCompleteClose spares {} and [] alone.
            arguments = _enclosed(
                "", (_written(each, line and line + "  ") for each in token.arguments), "", line
            )
            return f"new {token.name}({arguments or line})"
        case _:
            return _scalar(token)


def _enclosed(opening: str, members: Iterable[str], closing: str, line: str) -> str:
    inner = line and line + "  "
    text = ",".join(f"{inner}{each}" for each in members)
    return f"{opening}{text}{line}{closing}" if text else f"{opening}{closing}"


def _scalar(token: Token) -> str:
    match token:
        case None:
            return "null"
        case Undefined():
            return "undefined"
        case bool():
            return str(token).lower()
        case str():
            return _quoted(token)
        case Date():
            return f'"{token.iso()}"'
        case float():
            return _float(token)
        case _:
            return str(token)


def _quoted(text: str) -> str:
    return '"' + _ESCAPED.sub(lambda found: _SHORT.get(found[0], f"\\u{ord(found[0]):04x}"), text) + '"'


def _float(value: float) -> str:
    text = _double(value)
    if not math.isfinite(value):
        return f'"{text}"'
    return text if "." in text or "E" in text else f"{text}.0"


def _double(value: float) -> str:
    """The shortest text that reads back as this number; with an exponent from 1E+15 and below 0.0001."""
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    sign = "-" if math.copysign(1, value) < 0 else ""
    if value == 0:
        return f"{sign}0"
    mantissa, exponent = f"{abs(value)!r}e0".split("e")[:2]
    whole, _, fraction = mantissa.partition(".")
    digits = (whole + fraction).lstrip("0")
    # How many digits stand before the point.
    scale = len(whole) + int(exponent) - (len(whole + fraction) - len(digits))
    digits = digits.rstrip("0")
    if scale > max(len(digits), _DOUBLE_PRECISION) or scale < -3:
        point = f".{digits[1:]}" if len(digits) > 1 else ""
        power = scale - 1
        return f"{sign}{digits[0]}{point}E{'+' if power >= 0 else '-'}{abs(power):02}"
    if scale <= 0:
        return f"{sign}0.{'0' * -scale}{digits}"
    padded = digits.ljust(scale, "0")
    return f"{sign}{padded[:scale]}" + (f".{padded[scale:]}" if len(padded) > scale else "")
