"""What azd keeps of an environment on this machine, in the folder .azure.

.azure/config.json names the default environment. .azure/NAME/.env has what `azd env set` was given and what
infra/main.bicep outputs. .azure/NAME/config.json has the answers to azd's prompts. A secret answer is written
there as vault://..., and its value into a file of azd's own. Source: Azure/azure-dev, cli/azd/pkg/environment
(local_file_data_store.go), cli/azd/pkg/infra/provisioning/bicep (ensureParameters, mustSetParamAsConfig).
"""

import json
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

REFERENCES = ("akvs://", "vault://")
"""How azd writes a secret that it keeps elsewhere: `azd env set-secret`, and an answer to a prompt."""
PARAMETERS = {
    "TWILIO_ACCOUNT_SID": "twilioAccountSid",
    "TWILIO_AUTH_TOKEN": "twilioAuthToken",
    "TWILIO_FROM_NUMBER": "twilioFromNumber",
}
"""What azd asks for: app setting -> the parameter of infra/main.bicep under which azd keeps the answer."""
LINE = re.compile(r'([A-Za-z_][\w.-]*)=(?:"((?:[^"\\]|\\.)*)"|(.*))')
ESCAPED = re.compile(r"\\(.)")
SECONDS = 30


@dataclass(frozen=True, slots=True)
class Environment:
    """One environment. values: app settings and AZURE_... by name; no reference to a secret is among them."""

    folder: Path
    name: str
    values: Mapping[str, str] = field(repr=False)

    def secret_answer(self, setting: str) -> str | None:
        """A secret that somebody typed at azd's prompt; None where there is none, or azd does not say."""
        azd = shutil.which("azd")
        if azd is None or setting not in PARAMETERS:
            return None
        path = f"infra.parameters.{PARAMETERS[setting]}"
        command = [azd, "env", "config", "get", path, "--environment", self.name, "--output", "json"]
        try:
            run = subprocess.run(
                command, cwd=self.folder, capture_output=True, text=True, timeout=SECONDS, check=False
            )
            answer = json.loads(run.stdout) if run.returncode == 0 else None
        except (OSError, ValueError, subprocess.TimeoutExpired):
            return None
        return answer if isinstance(answer, str) and answer and not answer.startswith(REFERENCES) else None


def environment(folder: Path, environ: Mapping[str, str]) -> Environment | None:
    """The one that AZURE_ENV_NAME names, else the default one. None where azd has none here."""
    name = environ.get("AZURE_ENV_NAME") or _json(folder / ".azure" / "config.json").get("defaultEnvironment")
    if not isinstance(name, str) or not name:
        return None
    path = folder / ".azure" / name
    try:
        values = parsed((path / ".env").read_text(encoding="utf-8"))
    except OSError:
        return None
    answers = _json(path / "config.json").get("infra", {})
    answers = answers.get("parameters", {}) if isinstance(answers, dict) else {}
    for setting, parameter in PARAMETERS.items():
        answer = answers.get(parameter) if isinstance(answers, dict) else None
        if isinstance(answer, str) and not values.get(setting):
            values[setting] = answer
    known = {key: value for key, value in values.items() if not value.startswith(REFERENCES)}
    return Environment(folder, name, known)


def parsed(text: str) -> dict[str, str]:
    """The values of a .env as azd writes it: a backslash stands before what its library escapes.

    joho/godotenv, doubleQuoteEscape: a backslash, a quote, !, $, ` and, as n and r, ends of line.
    """
    found = {}
    for line in text.splitlines():
        match = LINE.fullmatch(line.strip())
        if match:
            name, quoted, plain = match.groups()
            found[name] = plain if quoted is None else ESCAPED.sub(_unescaped, quoted)
    return found


def _unescaped(match: re.Match[str]) -> str:
    return {"n": "\n", "r": "\r"}.get(match[1], match[1])


def _json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
