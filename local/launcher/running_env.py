"""The file running.env: the settings of the running laptop edition, for the commands and for ops."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from dotenv import dotenv_values

from local.launcher.plan import LaunchPlan

URL, KEY, MASTER_KEY = "SWITCHBOARD_URL", "SWITCHBOARD_KEY", "SWITCHBOARD_MASTER_KEY"


class NotRunning(Exception):
    """There is no running.env: no laptop edition runs with this data folder."""


@dataclass(frozen=True, slots=True)
class Running:
    """The running edition. url: of the host. key: the function key, None if keys are off."""

    url: str
    key: str | None = field(repr=False)
    settings: Mapping[str, str] = field(repr=False)

    @classmethod
    def read(cls, data: Path) -> "Running":
        """Read the file of this data folder. Raises NotRunning."""
        path = data / "running.env"
        if not path.exists():
            raise NotRunning(f"the laptop edition is not running (no {path}): start it with `make start`")
        values = {name: value or "" for name, value in dotenv_values(path, interpolate=False).items()}
        return cls(values[URL], values.get(KEY), values)


def write(plan: LaunchPlan) -> None:
    """Write the file. Only the owner can read it, since it has secrets."""
    values = {URL: plan.url, **plan.settings}
    if plan.keys:
        values |= {KEY: plan.keys.default, MASTER_KEY: plan.keys.master}
    path = plan.running_file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        for name, value in sorted(values.items()):
            quoted = value.replace("\\", "\\\\").replace("'", "\\'")
            file.write(f"{name}='{quoted}'\n")


def forget(plan: LaunchPlan) -> None:
    plan.running_file.unlink(missing_ok=True)
