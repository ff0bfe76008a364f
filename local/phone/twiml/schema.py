"""The verbs, nouns and attributes of TwiML, and a check of a document against them.

Names come from twilio-python's builders: each is called once, and its element is looked at. So the phone
knows what that library can write. Allowed values, defaults and codes come from the verb's page in Twilio's
documentation, "TwiML Voice".
"""

import inspect
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

from twilio.twiml import TwiML
from twilio.twiml.voice_response import VoiceResponse

from local.phone.twiml.attributes import ATTRIBUTES
from local.phone.twiml.markup import Element
from local.twilio.model.errors import Notice

# On the verb's page, but not (yet) in twilio-python's builders.
DOCUMENTED = {"Dial": {"callReason"}, "Client": {"clientNotificationUrl"}}


@dataclass(frozen=True, slots=True)
class Known:
    """What one element may have: attributes, children by name, and text."""

    name: str
    attributes: frozenset[str]
    children: dict[str, "Known"]
    takes_text: bool


def _learn(name: str, builder: type[TwiML], seen: dict[tuple[str, type[TwiML]], Known]) -> Known:
    """What `builder`'s methods can nest in an element. seen: those learnt; SSML tags nest in each other."""
    known = Known(name, frozenset(), {}, takes_text=False)
    seen[name, builder] = known
    for method in vars(builder).values():
        if not inspect.isfunction(method) or method.__name__.startswith("_"):
            continue
        parent = object.__new__(builder)  # its own constructor would need arguments
        TwiML.__init__(parent)
        names = [p.name for p in inspect.signature(method).parameters.values() if p.kind is not p.VAR_KEYWORD]
        child = method(parent, **dict.fromkeys(names[1:], "en-US"))
        if (child.name, type(child)) not in seen:
            _learn(child.name, type(child), seen)
        learnt = seen[child.name, type(child)]
        attributes = frozenset(child.attrs) | DOCUMENTED.get(child.name, set())
        known.children[child.name] = Known(
            child.name, attributes, learnt.children, takes_text=child.value is not None
        )
    return known


@cache
def grammar() -> Known:
    """The <Response> of a voice call, with all that may be in it."""
    return _learn("Response", VoiceResponse, {})


def check(root: Element) -> list[Notice]:
    """A notice for each departure from the schema, in order: 12200 for a name, a verb's code for a value."""
    return list(_check(root, grammar()))


def _check(element: Element, known: Known) -> Iterator[Notice]:
    def notice(code: int, detail: str, at: Element) -> Notice:
        return Notice(code, detail, at.line, at.column)

    for name, value in element.attributes.items():
        if name not in known.attributes:
            detail = f"Attribute '{name}' is not allowed to appear in element '{element.name}'."
            yield notice(12200, detail + _nearest(name, known.attributes), element)
        elif (attribute := ATTRIBUTES.get((element.name, name))) and (problem := attribute.problem(value)):
            yield notice(attribute.code, f"{name}={value[:50]!r} {problem}", element)
    if not known.takes_text and element.text:
        yield notice(12200, f"Element '{element.name}' cannot have text: {element.text[:50]!r}.", element)
    for child in element.children:
        if child.name in known.children:
            yield from _check(child, known.children[child.name])
        elif element.name == "Gather" and child.name in grammar().children:
            yield notice(13320, f"<{child.name}> cannot be nested in <Gather>", child)
        else:
            detail = f"Element '{child.name}' is not allowed in element '{element.name}'."
            yield notice(12200, detail + _nearest(child.name, frozenset(known.children)), child)


def _nearest(name: str, names: frozenset[str]) -> str:
    """A hint to a name that differs only in case. TwiML is case-sensitive, so this is a common mistake."""
    return "".join(f" Did you mean '{each}'?" for each in names if each.lower() == name.lower())
