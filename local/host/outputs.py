"""What the host makes of the values that a function set on its queue outputs.

Sources, in azure-functions-host: GrpcMessageConversionExtensions.ToObject (what the worker sent),
FunctionBinding.ReadAsEnumerable and BindAsyncCollectorAsync (which messages it becomes).
"""

import json
from typing import Any

from local.host import newtonsoft_reader, newtonsoft_writer
from local.host.newtonsoft_reader import Token


def messages(data: Any) -> tuple[str, ...]:
    """The queue messages in one output value (a TypedData). Raises ValueError where the host fails too.

    `Out[bytes]` and the texts of `Out[List[str]]` stay as they are. `Out[str]` does not: the host reads a
    text in braces or brackets as JSON and writes it again. Dates change; an array becomes several messages.
    """
    match data.WhichOneof("data"):
        case "bytes":
            return (data.bytes.decode(errors="replace"),)
        case "string":
            return _of_text(data.string)
        case "json":
            # Here alone the host does not look for dates.
            return _of(json.loads(data.json))
        case _:
            return ()


def _of(value: Token) -> tuple[str, ...]:
    if value is None:
        return ()
    return _of_text(value) if isinstance(value, str) else _each(value)


def _of_text(text: str) -> tuple[str, ...]:
    return _each(newtonsoft_reader.parse(text)) if newtonsoft_reader.is_json(text) else (text,)


def _each(value: Token) -> tuple[str, ...]:
    items = value if isinstance(value, list) else [value]
    return tuple(newtonsoft_writer.plain(each) for each in items)
