"""Twilio's own OpenAPI description as a judge of what the emulator is asked and what it answers.

The description is in the npm package @twilio-alpha/mcp. A request that is refused with 4xx need not fit it;
every other request and every answer must.
"""

import functools
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import requests
from jsonschema import FormatChecker
from openapi_schema_validator import OAS30ReadValidator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT4

from local.twilio.carrier.backend import RestRequest

SPECS = Path(__file__).parent.parent / "node_modules/@twilio-alpha/mcp/twilio-oai/spec/json"
_BASE = "urn:twilio"
_ERROR = frozenset({"code", "message", "more_info", "status"})
# What Twilio answers and its description leaves out.
_UNDESCRIBED = frozenset({"annotation", "sending_windows", "subresource_uris"})

_formats = FormatChecker(formats=())


@_formats.checks("date-time-rfc-2822")
def _is_rfc2822(value: object) -> bool:
    return not isinstance(value, str) or bool(
        re.fullmatch(r"(Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d \+0000", value)
    )


@_formats.checks("date-time")
def _is_iso8601(value: object) -> bool:
    return not isinstance(value, str) or bool(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", value))


@_formats.checks("phone-number")
def _is_address(value: object) -> bool:
    return not isinstance(value, str) or bool(re.fullmatch(r"(\w+:)?\+?[\w ]{1,64}", value))


@_formats.checks("http-method")
def _is_method(value: object) -> bool:
    return not isinstance(value, str) or value in {"GET", "POST"}


@_formats.checks("currency")
def _is_currency(value: object) -> bool:
    return not isinstance(value, str) or bool(re.fullmatch(r"[A-Za-z]{3}", value))


@_formats.checks("uri")
def _is_uri(value: object) -> bool:
    return not isinstance(value, str) or not re.search(r"[\s<>\"{}]", value)


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one path: what it takes and what it answers."""

    name: str
    query: Mapping[str, Any]
    form: Mapping[str, Any]
    required: frozenset[str]
    answers: Mapping[str, Any]


class Description:
    """The parsed description, with one validator for each schema that is used."""

    def __init__(self, name: str) -> None:
        self._spec = json.loads((SPECS / name).read_text("utf-8"))
        resource: Resource[Any] = DRAFT4.create_resource(self._spec)
        self._registry: Registry[Any] = Registry().with_resource(_BASE, resource)
        self._validators: dict[str, Any] = {}
        self._paths: list[tuple[re.Pattern[str], dict[str, Any]]] = []
        for template, item in self._spec["paths"].items():
            pattern = re.sub(
                r"\{\w+\}", r"([^/]+?)", re.escape(template).replace(r"\{", "{").replace(r"\}", "}")
            )
            self._paths.append((re.compile(pattern), item))
        self._matched: dict[tuple[str, str], Operation | None] = {}

    def problems(self, exchange: RestRequest) -> list[str]:
        """What is wrong with one exchange, as sentences; none when it fits."""
        operation = self._operation(exchange.method, exchange.path)
        if operation is None:
            refused = exchange.status in {404, 405}
            return [] if refused else [f"{exchange.method} {exchange.path}: not in the description"]
        found = list(self._answer(operation, exchange))
        if exchange.status is None or not 400 <= exchange.status < 500:
            found += self._request(operation, exchange)
        return [f"{operation.name}: {problem}" for problem in found]

    def _operation(self, method: str, path: str) -> Operation | None:
        shape = re.sub(r"\b([A-Z]{2})[0-9a-fA-F]{32}\b", r"\g<1>", path)
        if (method, shape) not in self._matched:
            self._matched[method, shape] = self._find(method, path)
        return self._matched[method, shape]

    def _find(self, method: str, path: str) -> Operation | None:
        for pattern, item in self._paths:
            if pattern.fullmatch(path) and method.lower() in item:
                found = item[method.lower()]
                content = found.get("requestBody", {}).get("content", {})
                form = content.get("application/x-www-form-urlencoded", {}).get("schema", {})
                return Operation(
                    name=found["operationId"],
                    query={
                        each["name"]: each["schema"]
                        for each in found.get("parameters", [])
                        if each["in"] == "query"
                    },
                    form=form.get("properties", {}),
                    required=frozenset(form.get("required", [])),
                    answers=found["responses"],
                )
        return None

    def _request(self, operation: Operation, exchange: RestRequest) -> Iterable[str]:
        yield from self._parameters("query", operation.query, exchange.query)
        if exchange.method != "POST":
            return
        if exchange.form and exchange.content_type != "application/x-www-form-urlencoded":
            yield f"the request is {exchange.content_type}, not form encoded"
            return
        yield from self._parameters("form", operation.form, exchange.form)
        given = {name for name, _ in parse_qsl(exchange.form, keep_blank_values=True)}
        yield from (f"form: {name} is required" for name in operation.required - given)

    def _parameters(self, where: str, schemas: Mapping[str, Any], text: str) -> Iterable[str]:
        values: dict[str, list[str]] = {}
        for name, value in parse_qsl(text, keep_blank_values=True):
            values.setdefault(name, []).append(value)
        for name, given in values.items():
            if name not in schemas:
                yield f"{where}: there is no parameter {name}"
                continue
            schema = schemas[name]
            if schema.get("format") == "date-time":
                continue  # Twilio takes a date alone as well
            if schema.get("type") == "array":
                cast = [_cast(each, schema["items"]) for each in given]
                yield from self._errors(f"{where}: {name}", schema, cast)
                continue
            if len(given) > 1:
                yield f"{where}: {name} is given {len(given)} times"
            yield from self._errors(f"{where}: {name}", schema, _cast(given[-1], schema))

    def _answer(self, operation: Operation, exchange: RestRequest) -> Iterable[str]:
        status = exchange.status
        if status is None:
            return
        if status >= 400:
            body = json.loads(exchange.answer)
            if set(body) != _ERROR or body["status"] != status:
                yield f"the error body is {exchange.answer}"
            return
        if str(status) not in operation.answers:
            yield f"{status} is not one of {', '.join(operation.answers)}"
            return
        content = operation.answers[str(status)].get("content", {}).get("application/json")
        if content is None:
            if exchange.answer:
                yield f"{status} has no body"
            return
        body = json.loads(exchange.answer)
        yield from self._errors("answer", content["schema"], body)
        yield from self._complete("answer", content["schema"], body)

    def _complete(self, where: str, schema: Mapping[str, Any], body: Any) -> Iterable[str]:
        """Twilio leaves no field out and adds none, whatever the schema would allow."""
        schema = self._resolved(schema)
        if schema.get("type") == "array":
            for index, each in enumerate(body):
                yield from self._complete(f"{where}[{index}]", schema["items"], each)
        elif schema.get("properties") and isinstance(body, dict):
            yield from (f"{where}: {name} is missing" for name in set(schema["properties"]) - set(body))
            extra = set(body) - set(schema["properties"]) - _UNDESCRIBED
            yield from (f"{where}: {name} is not described" for name in extra)
            for name, value in body.items():
                if value is not None and name in schema["properties"]:
                    yield from self._complete(f"{where}.{name}", schema["properties"][name], value)

    def _resolved(self, schema: Mapping[str, Any]) -> Mapping[str, Any]:
        reference = schema.get("$ref")
        if reference is None:
            return schema
        found: Mapping[str, Any] = self._spec["components"]["schemas"][reference.rpartition("/")[2]]
        return found

    def _errors(self, where: str, schema: Mapping[str, Any], value: Any) -> Iterable[str]:
        key = json.dumps(schema, sort_keys=True)
        if key not in self._validators:
            absolute = json.loads(key.replace('"$ref": "#/', f'"$ref": "{_BASE}#/'))
            self._validators[key] = OAS30ReadValidator(
                absolute, registry=self._registry, format_checker=_formats
            )
        for error in self._validators[key].iter_errors(value):
            place = ".".join(str(part) for part in error.absolute_path)
            yield f"{where}{'.' if place else ''}{place}: {error.message}"


def _cast(text: str, schema: Mapping[str, Any]) -> Any:
    """A form's or query's text as the type that the schema names, or as it is when it cannot be."""
    match schema.get("type"):
        case "integer" if re.fullmatch(r"-?\d+", text):
            return int(text)
        case "number" if re.fullmatch(r"-?\d+(\.\d+)?", text):
            return float(text)
        case "boolean" if text.lower() in {"true", "false"}:
            return text.lower() == "true"
    return text


def exchanges_at(url: str) -> list[RestRequest]:
    """The last REST requests to an emulator that runs as a process of its own."""
    answer = requests.get(f"{url}/emulator/exchanges", timeout=60)
    return [
        RestRequest(**{**each, "at": datetime.fromisoformat(each["at"])})
        for each in answer.json()["exchanges"]
    ]


_NEWER = {"/v1/Keys": "twilio_iam_v1.json", "/v1/Services": "twilio_messaging_v1.json"}
"""What the emulator has besides api.twilio.com's, by the start of its path."""

_described = functools.cache(Description)


def description(path: str) -> Description:
    """The description that this path belongs to: api.twilio.com's, iam's or messaging's."""
    return _described(
        next((name for start, name in _NEWER.items() if path.startswith(start)), "twilio_api_v2010.json")
    )


def problems(exchanges: Iterable[RestRequest]) -> list[str]:
    """What is wrong with any of these exchanges."""
    return [problem for exchange in exchanges for problem in description(exchange.path).problems(exchange)]
