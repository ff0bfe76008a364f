"""The trigger metadata that a queue function gets, which the message's own body overwrites.

Sources: QueueTriggerBinding.CreateBindingData in the queue extension; in azure-functions-host
Utility.ApplyBindingData, which lays the top-level fields of a JSON body over it, and ToRpcInvocationRequest,
which hands it to the worker.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from local.host import newtonsoft_reader, newtonsoft_writer, protocol
from local.host.newtonsoft_reader import Token

type Value = str | int | datetime | dict[str, Token]


def metadata(body: str, own: Mapping[str, Value]) -> dict[str, Any]:
    """TypedData by name: what is `own` to the message, with the body's fields laid over it."""
    return {name: _typed(value) for name, value in laid_over(body, own).items()}


def laid_over(body: str, own: Mapping[str, Value]) -> dict[str, Value]:
    """Names are one whatever their case. An array, null, and a body that is no JSON object change nothing."""
    found = dict(own)
    spelled = {name.lower(): name for name in found}
    for name, value in _fields(body).items():
        found[spelled.setdefault(name.lower(), name)] = value
    return found


def _fields(body: str) -> dict[str, Value]:
    """The body's fields that count. With one like `new Date(1)`, which has no text, the host takes none."""
    if not newtonsoft_reader.is_json(body):
        return {}
    try:
        parsed = newtonsoft_reader.parse(body)
    except ValueError:
        return {}
    if not isinstance(parsed, dict) or any(
        isinstance(each, newtonsoft_reader.Constructor) for each in parsed.values()
    ):
        return {}
    return {
        name: value if isinstance(value, dict) else newtonsoft_writer.plain(value)
        for name, value in parsed.items()
        if value is not None and not isinstance(value, list | newtonsoft_reader.Undefined)
    }


def _typed(value: Value) -> Any:
    """ToRpc in azure-functions-host: a text as such, everything else as JSON."""
    typed = protocol.load().TypedData
    match value:
        case str():
            return typed(string=value)
        case datetime():
            return typed(json=f'"{value.isoformat()}"')
        case dict():
            return typed(json=newtonsoft_writer.compact(value))
        case _:
            return typed(json=str(value))
