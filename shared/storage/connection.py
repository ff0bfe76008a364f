"""The storage account's connection string, checked before it is used."""

import base64
import re
from collections.abc import Mapping

from azure.core.utils import parse_connection_string

from shared.config import url_parts
from shared.errors import SwitchboardError

SUFFIX = "core.windows.net"
ENDPOINTS = ("BlobEndpoint", "QueueEndpoint", "TableEndpoint")


class Refused(SwitchboardError):
    """Storage does not let the app do what it has to, or cannot be reached as the setting says."""


def check_connection(connection: str | None) -> Mapping[str, str]:
    """The parts of a connection string, by their names in small letters; nothing where there is none.

    Raises Refused, which says what would be right. It repeats no part of the string, since any part may be
    the key.
    """
    if not connection:
        return {}
    try:
        known = parse_connection_string(connection)
    except ValueError as exc:
        raise _malformed("must be NAME=VALUE with ; between, each name once") from exc
    account, sas = known.get("accountname"), known.get("sharedaccesssignature")
    own = [name for name in ENDPOINTS if name.lower() in known]
    if account is None and not (sas and len(own) == len(ENDPOINTS)):
        raise _malformed("must have an AccountName")
    if account is not None and not re.fullmatch("[A-Za-z0-9-]{1,63}", account):
        raise _malformed("must have an AccountName of letters and digits")
    if sas is None:
        _check_key(known)
    for name in own:
        if not _is_address(known[name.lower()]):
            example = f"https://example.{name.removesuffix('Endpoint').lower()}.{SUFFIX}"
            raise _malformed(f"must have a URL as {name}, such as {example}")
    scheme, suffix = known.get("defaultendpointsprotocol", "https"), known.get("endpointsuffix", SUFFIX)
    if scheme not in {"http", "https"}:
        raise _malformed("must have http or https as DefaultEndpointsProtocol")
    if not _is_address(f"{scheme}://a.{suffix}"):
        raise _malformed(f"must have a host as EndpointSuffix, such as {SUFFIX}")
    return known


def _check_key(known: Mapping[str, str]) -> None:
    try:
        base64.b64decode(known["accountkey"], validate=True)
    except KeyError as exc:
        raise _malformed("must have an AccountKey or a SharedAccessSignature") from exc
    except ValueError as exc:
        raise _malformed("must have an AccountKey in base64, whole and without spaces") from exc


def _malformed(problem: str) -> Refused:
    return Refused(f"AzureWebJobsStorage {problem}: copy it from the storage account's Access keys")


def _is_address(url: str) -> bool:
    parts = url_parts(url)
    if parts.scheme not in {"http", "https"} or re.search(r"[\s\x00-\x1f\x7f]", url):
        return False
    host = parts.hostname or ""
    return ":" in host or bool(re.fullmatch(r"[A-Za-z0-9_-]{1,63}(\.[A-Za-z0-9_-]{1,63})*", host))
