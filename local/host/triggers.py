"""The triggers and outputs of an indexed app, checked, with their %SETTING%s resolved.

The real host checks more than the worker library does. This module makes those checks; without them an app
would fail only in Azure.
Sources: Microsoft's "binding expressions" page; in azure-functions-host FunctionMetadata (names),
ScriptHost.ValidateHttpFunction (reserved routes) and WebJobsRouter (ordering).
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from local.host.errors import NotIndexed
from local.host.routes import Template
from local.host.schedule import Schedule
from local.host.worker import Binding, Function

BINDING_NAME = re.compile(r"([a-zA-Z][a-zA-Z0-9]{0,127}|\$return)")
FUNCTION_NAME = re.compile(r"[a-zA-Z][a-zA-Z0-9_-]{0,127}")
QUEUE_NAME = re.compile(r"[a-z0-9](?:-?[a-z0-9]){2,62}")
_RESERVED = ("admin", "runtime")
_KNOWN_TYPES = {"httpTrigger", "queueTrigger", "timerTrigger", "http", "queue"}


@dataclass(frozen=True, slots=True)
class HttpTrigger:
    """level: anonymous, function or admin. methods: in upper case; empty for every method."""

    function: Function
    template: Template
    methods: frozenset[str]
    level: str

    def takes(self, method: str) -> bool:
        return not self.methods or method in self.methods


@dataclass(frozen=True, slots=True)
class QueueTrigger:
    """connection: the name of the setting that holds the connection string."""

    function: Function
    queue: str
    connection: str


@dataclass(frozen=True, slots=True)
class TimerTrigger:
    """is_monitored: whether a run that was missed while the host was down is made up for."""

    function: Function
    schedule: Schedule
    is_monitored: bool


@dataclass(frozen=True, slots=True)
class QueueOutput:
    """The queue that an output binding writes to."""

    queue: str
    connection: str


@dataclass(frozen=True, slots=True)
class App:
    """What the host runs. errors: the functions that it leaves out, as the real host does, and why."""

    http: tuple[HttpTrigger, ...]
    queues: tuple[QueueTrigger, ...]
    timers: tuple[TimerTrigger, ...]
    outputs: Mapping[str, Mapping[str, QueueOutput]]
    errors: tuple[str, ...]

    @property
    def functions(self) -> tuple[Function, ...]:
        return (
            *(each.function for each in self.http),
            *(each.function for each in self.queues),
            *(each.function for each in self.timers),
        )


def describe(functions: Sequence[Function], route_prefix: str, environ: Mapping[str, str]) -> App:
    """Check the app and resolve its %SETTING%s. Raises NotIndexed with all problems."""
    problems = list(_broken_rules(functions))
    http: list[HttpTrigger] = []
    queues: list[QueueTrigger] = []
    timers: list[TimerTrigger] = []
    outputs: dict[str, dict[str, QueueOutput]] = {}
    errors: list[str] = []
    for function in functions:
        try:
            outputs[function.name] = {each.name: _output(each, environ) for each in function.outputs}
            match function.trigger.type:
                case "httpTrigger":
                    http.append(_http(function, route_prefix))
                case "queueTrigger":
                    target = _output(function.trigger, environ)
                    queues.append(QueueTrigger(function, target.queue, target.connection))
                case "timerTrigger":
                    timers.append(_timer(function, environ))
        except _Unresolved as exc:
            errors.append(f"{function.name} is left out: {exc}")
        except (NotIndexed, ValueError) as exc:
            message = str(exc)
            problems.append(message if message.startswith(function.name) else f"{function.name}: {message}")
    problems += _ambiguous(http)
    if problems:
        raise NotIndexed(*problems)
    return App(tuple(http), tuple(queues), tuple(timers), outputs, tuple(errors))


class _Unresolved(Exception):
    """A %SETTING% has no value."""


def _broken_rules(functions: Sequence[Function]) -> Iterator[str]:
    seen: dict[str, str] = {}
    for function in functions:
        if not FUNCTION_NAME.fullmatch(function.name):
            yield (
                f"{function.name}: a function name is a letter, "
                "then up to 127 letters, digits, hyphens or underscores"
            )
        if other := seen.get(function.name.lower()):
            yield f"{function.name}: function names must differ in more than case, and there is {other}"
        seen[function.name.lower()] = function.name
        for binding in function.bindings:
            if not BINDING_NAME.fullmatch(binding.name):
                yield (
                    f"{function.name}: binding name {binding.name!r} must be letters and digits "
                    "starting with a letter (no underscore), or $return"
                )
            if binding.type not in _KNOWN_TYPES:
                yield (
                    f"{function.name}: this host has no {binding.type} binding; "
                    f"it has {', '.join(sorted(_KNOWN_TYPES))}. Use `func start` for the others"
                )


def _http(function: Function, route_prefix: str) -> HttpTrigger:
    properties = function.trigger.properties
    route = (properties.get("route") or function.name).strip("/")
    if route.lower().startswith(_RESERVED):
        raise NotIndexed(f"{function.name}: route {route!r} must start with neither admin nor runtime")
    return HttpTrigger(
        function,
        Template.parse(f"{route_prefix}/{route}".strip("/")),
        frozenset(str(method).upper() for method in properties.get("methods") or ()),
        str(properties.get("authLevel", "function")).lower(),
    )


def _timer(function: Function, environ: Mapping[str, str]) -> TimerTrigger:
    properties = function.trigger.properties
    text = _resolve(str(properties["schedule"]), environ)
    if properties.get("runOnStartup"):
        raise NotIndexed(f"{function.name}: run_on_startup would run on every scale-out; leave it off")
    try:
        schedule = Schedule(text)
    except ValueError as exc:
        raise NotIndexed(f"{function.name}: schedule {text!r} {exc}") from exc
    is_monitored = schedule.has_monitor and properties.get("useMonitor") is not False
    return TimerTrigger(function, schedule, is_monitored)


def _output(binding: Binding, environ: Mapping[str, str]) -> QueueOutput:
    queue = _resolve(str(binding.properties["queueName"]), environ).lower()
    if not QUEUE_NAME.fullmatch(queue):
        raise ValueError(
            f"queue name {queue!r} must be 3 to 63 lower-case letters, digits and single hyphens"
        )
    return QueueOutput(queue, str(binding.properties.get("connection") or "AzureWebJobsStorage"))


def _resolve(text: str, environ: Mapping[str, str]) -> str:
    def value(match: re.Match[str]) -> str:
        if not (found := environ.get(match[1], "")):
            raise _Unresolved(f"'%{match[1]}%' does not resolve to a value; set the app setting {match[1]}")
        return found

    return re.sub("%([^%]+)%", value, text)


def _ambiguous(triggers: Sequence[HttpTrigger]) -> Iterator[str]:
    for one, other in combinations(triggers, 2):
        shared = (
            one.methods & other.methods if one.methods and other.methods else one.methods or other.methods
        )
        if one.methods and other.methods and not shared:
            continue
        if one.template.overlaps(other.template):
            yield (
                f"{one.function.name} and {other.function.name}: routes {one.template.text!r} and "
                f"{other.template.text!r} can match one path, "
                "and the real host would choose by function name; make them differ"
            )
