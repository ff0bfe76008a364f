"""Where a command finds a secret app setting of what azd deployed."""

import getpass
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING

from ops import azd, azure_sign_in
from ops.errors import OpsError
from shared.config import Settings

if TYPE_CHECKING:
    from azure.core.credentials import TokenCredential


class AzdSecrets:
    """The secrets of what azd deployed: from its vault, with the person's sign-in, else as azd knows them.

    If neither gives the auth token, the person is asked for it on a terminal, without echo. No secret is
    printed, and none is kept longer than the command runs.
    """

    def __init__(
        self,
        deployed: azd.Environment,
        settings: Mapping[str, str],
        credential: "TokenCredential | None" = None,
        *,
        origin: str | None = None,
    ) -> None:
        self._deployed = deployed
        self._settings = settings
        self._credential = credential
        self._origin = origin
        self._known: dict[str, str | None] = {}

    def __call__(self, setting: str) -> str | None:
        if setting not in Settings.secret_names():
            return None
        if setting not in self._known:
            self._known[setting] = self._find(setting)
        return self._known[setting]

    def _find(self, setting: str) -> str | None:
        problem = f"the vault has no {setting}"
        try:
            found = azure_sign_in.vault_secret(self._settings, setting, self._credential, origin=self._origin)
            if found:
                return found
        except OpsError as exc:
            problem = str(exc)
        found = self._deployed.secret_answer(setting)
        if found or setting != "TWILIO_AUTH_TOKEN":
            return found
        if sys.stdin.isatty() and sys.stderr.isatty():
            found = getpass.getpass(f"{setting} ({problem}): ").strip()
        if not found:
            raise OpsError(
                f"{setting} must be known here, and {problem}. Or set {setting} in the environment, or run "
                "this on a terminal, where it is asked for"
            )
        return found
