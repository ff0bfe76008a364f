"""Before `azd provision`: gather the plain app settings into one variable, SWITCHBOARD_SETTINGS.

azd puts the text of `${NAME}` into main.parameters.json as it is, inside the quotes of JSON. A quote, a
backslash or an end of line in a setting breaks the file, or is changed without a word. Only where an object
parameter's whole value is one `${NAME}` does azd take the text for JSON (since 1.23.4; loadParameters in its
source). So all plain settings go into one such variable, whatever they hold. Secrets stay out of it: each is
a parameter of its own, and `azd env set-secret` keeps its value in a vault.

azd runs this as a hook, with the values of `azd env set` in the environment. It needs Python, and no package.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from ops.azd import parsed
from shared.config import Settings

ROOT = Path(__file__).resolve().parent.parent
VARIABLE = "SWITCHBOARD_SETTINGS"
OWN_PARAMETERS = ("ALERT_EMAIL", "ALWAYS_READY", "TWILIO_ACCOUNT_SID", "TWILIO_FROM_NUMBER")
"""Plain values that are parameters of infra/main.bicep by themselves. None of them can hold a quote."""
SET_BY_BICEP = (
    "AzureWebJobsStorage",
    "AzureWebJobsStorage__accountName",
    "AzureWebJobsStorage__clientId",
    "PUBLIC_BASE_URL",
    "SMS_SCHEDULE",
    *OWN_PARAMETERS,
)
NOT_IN_AZURE = ("PHONE_URL", "TWILIO_BASE_URL")
"""Where the laptop edition's own parts are."""
FOR_ONE_NUMBER = re.compile(r"([A-Z_]*[A-Z])__([0-9]{7,15})")
"""COMPANY_NAME__12025550123: a setting for one of our numbers."""
BREAKS_JSON = re.compile(r'["\\\x00-\x1f]')


class NotPassedOn(Exception):
    """A setting that azd would break or change; the text names it and says what to do."""


def plain_settings(environ: Mapping[str, str]) -> dict[str, str]:
    """The app settings that are set, no secret among them. An empty one counts as not set."""
    names = set(Settings.names()) - Settings.secret_names() - {*SET_BY_BICEP, *NOT_IN_AZURE}

    def is_ours(name: str) -> bool:
        one = FOR_ONE_NUMBER.fullmatch(name)
        return (one[1] if one else name) in names

    return {name: value for name, value in sorted(environ.items()) if value and is_ours(name)}


def as_text(settings: Mapping[str, str]) -> str:
    """JSON in ASCII, for every shell. A dollar sign is written as its code: azd would look for a command."""
    return json.dumps(settings).replace("$", "\\u0024")


def check(environ: Mapping[str, str], root: Path = ROOT) -> None:
    """Raises NotPassedOn for a value that azd would break.

    Either azd puts it inside the quotes of JSON and it breaks them, or it ends with a quotation mark: azd's
    library reads a backslash there, and cannot read the file any more once azd has written that (godotenv
    1.5.1, extractVarValue).
    """
    for name in sorted({*Settings.secret_names(), *OWN_PARAMETERS}):
        if BREAKS_JSON.search(environ.get(name, "")):
            mend = "set it anew without one" if name in OWN_PARAMETERS else f"use `azd env set-secret {name}`"
            raise NotPassedOn(
                f"{name} holds a quotation mark, a backslash or a control character, which azd cannot pass "
                f"on from `azd env set`: {mend}"
            )
    try:
        written = parsed((root / ".azure" / environ.get("AZURE_ENV_NAME", "") / ".env").read_text("utf-8"))
    except OSError:
        return
    for name, value in plain_settings(environ).items():
        if value.endswith("\\") and written.get(name, "").endswith('"'):
            raise NotPassedOn(
                f"{name} ends with a quotation mark, which azd cannot keep: set it anew with another "
                "character at the end, such as a full stop"
            )


def main(environ: Mapping[str, str] = os.environ) -> None:
    """Set the variable with `azd env set`, where it is not so already."""
    try:
        check(environ)
    except NotPassedOn as exc:
        sys.exit(f"Error: {exc}")
    text, azd = as_text(plain_settings(environ)), shutil.which("azd")
    if environ.get(VARIABLE) == text:
        return
    if azd is None or not environ.get("AZURE_ENV_NAME"):
        sys.exit("Error: this is a hook of azd: run `azd provision`")
    command = [azd, "env", "set", VARIABLE, text, "--environment", environ["AZURE_ENV_NAME"]]
    sys.exit(subprocess.run(command, check=False).returncode)


if __name__ == "__main__":
    main()
