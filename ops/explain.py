"""`explain`: why a signature that was caught does not fit."""

import os
from typing import Annotated

import typer
from rich.text import Text

from ops import signature
from ops.client import AsJson
from ops.console import console, print_json
from ops.errors import OpsError
from ops.probe import TOKENS
from shared.config import url_parts


def explain(
    given: Annotated[str, typer.Argument(metavar="SIGNATURE", help="The X-Twilio-Signature header.")],
    url: Annotated[str, typer.Argument(help="What the app checks: PUBLIC_BASE_URL, path and query.")],
    fields: Annotated[
        list[str] | None, typer.Argument(metavar="[FIELD=VALUE]...", help="Every form field that was posted.")
    ] = None,
    base: Annotated[list[str] | None, typer.Option(help="An origin that Twilio may have called.")] = None,
    as_json: AsJson = False,
) -> None:
    """Say why a signature does not fit, by the tokens in the environment: TWILIO_AUTH_TOKEN and others.

    A request that was refused is on the emulator's page; Twilio's debugger has all of it but the signature.
    """
    tokens = {name: os.environ[name] for name in TOKENS if os.environ.get(name)}
    if not tokens:
        raise OpsError("TWILIO_AUTH_TOKEN must be in the environment")
    form = dict(_pair(each) for each in fields or [])
    for name, text in (("URL", url), *(("--base", each) for each in base or ())):
        if url_parts(text).scheme not in {"http", "https"} or not url_parts(text).hostname:
            example = "https://example.azurewebsites.net"
            raise OpsError(
                f"{name} must begin with an origin, such as {example}; it is {signature.masked(text)}"
            )
    found = signature.explain(given, url, form, tokens, tuple(base or ()))
    if as_json:
        mistakes = list(found.mistakes) if found else None
        print_json({"mistakes": mistakes, "signed_url": found.signed if found else None})
    elif found is None:
        console.print("No likely mistake fits: the token is another one, or the posted fields were changed.")
    elif not found.mistakes:
        console.print(Text("It fits.", style="green"))
    else:
        console.print(Text(f"Because of the {' and the '.join(found.mistakes)}: {found}"))
        console.print(Text(found.mend, style="cyan"))
    if found is None or found.mistakes:
        raise typer.Exit(1)


def _pair(text: str) -> tuple[str, str]:
    name, is_pair, value = text.partition("=")
    if not is_pair or not name:
        raise typer.BadParameter(f"{text!r} must be FIELD=VALUE, such as Digits=1")
    return name, value
