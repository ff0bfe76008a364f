"""Parses XML to elements with their line and column, which Twilio's warnings name.

A DOCTYPE is refused. TwiML has none, and its entities could make a small document very large.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from xml.parsers import expat

DEEPEST = 64  # levels of elements; TwiML needs four, and SSML a few more


class ParseError(ValueError):
    """The text is not XML, or not XML that TwiML allows. The message names line and column."""


@dataclass(frozen=True, slots=True, eq=False)
class Element:
    """One XML element. `content` is its text and children in order."""

    name: str
    attributes: Mapping[str, str]
    line: int
    column: int
    content: list["str | Element"] = field(default_factory=list)

    @property
    def children(self) -> Iterator["Element"]:
        return (item for item in self.content if isinstance(item, Element))

    @property
    def text(self) -> str:
        """Its own text without that of its children; white space is folded."""
        return " ".join("".join(item for item in self.content if isinstance(item, str)).split())

    @property
    def spoken(self) -> str:
        """What a voice would say: its text with that of its SSML children; for a <sub>, the alias."""
        return " ".join("".join(self._spoken()).split())

    def _spoken(self) -> Iterator[str]:
        if self.name == "sub" and "alias" in self.attributes:
            yield self.attributes["alias"]
            return
        if self.name == "break":
            yield " "
        for item in self.content:
            if isinstance(item, str):
                yield item
            else:
                yield from item._spoken()
                if item.name in {"p", "s"}:
                    yield " "


def parse(body: bytes | str) -> Element:
    """The root element. Raises ParseError."""
    parser = expat.ParserCreate()
    parser.buffer_text = True
    root: list[Element] = []
    opened: list[Element] = []

    def start(name: str, attributes: dict[str, str]) -> None:
        if len(opened) >= DEEPEST:
            raise ParseError(f"line {parser.CurrentLineNumber}: elements are nested over {DEEPEST} deep")
        element = Element(name, attributes, parser.CurrentLineNumber, parser.CurrentColumnNumber + 1)
        (opened[-1].content if opened else root).append(element)
        opened.append(element)

    def end(_name: str) -> None:
        opened.pop()

    def text(data: str) -> None:
        opened[-1].content.append(data)

    def doctype(*_: object) -> None:
        raise ParseError(f"line {parser.CurrentLineNumber}: a DOCTYPE has no place in TwiML")

    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = text
    parser.StartDoctypeDeclHandler = doctype
    try:
        parser.Parse(body, True)
    except expat.ExpatError as exc:
        raise ParseError(
            f"line {exc.lineno}, column {exc.offset + 1}: {expat.errors.messages[exc.code]}"
        ) from exc
    except (ValueError, LookupError) as exc:
        if isinstance(exc, ParseError):
            raise
        raise ParseError(f"the document's encoding cannot be read: {exc}") from exc
    return root[0]
