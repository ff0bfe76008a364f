"""The Twilio account behind a deployment, for people's commands: its numbers and TwiML apps."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import requests
from twilio.base.exceptions import TwilioException, TwilioRestException
from twilio.http.http_client import TwilioHttpClient
from twilio.rest import Client

from ops.client import Deployment
from ops.errors import OpsError
from ops.signature import masked
from shared.config import is_loopback
from shared.twilio_errors import meaning


class Unanswered(OpsError):
    """Twilio gave no answer, or one that cannot be read. It may have done what it was asked to do."""


class Account:
    """The account's REST API. Every method raises OpsError."""

    def __init__(self, deployment: Deployment) -> None:
        settings = deployment.settings
        self.sid, token = deployment.setting("TWILIO_ACCOUNT_SID", "TWILIO_AUTH_TOKEN")
        user, password = self.sid, token
        if settings.get("TWILIO_API_KEY") and settings.get("TWILIO_API_SECRET"):
            user, password = settings["TWILIO_API_KEY"], settings["TWILIO_API_SECRET"]
        self._client = Client(user, password, self.sid, http_client=TwilioHttpClient(timeout=15))
        emulator = settings.get("TWILIO_BASE_URL")
        if emulator:
            if not is_loopback(emulator):
                raise OpsError("TWILIO_BASE_URL must be a loopback origin: it is for the emulator alone")
            self._client.api.base_url = self._client.messaging.base_url = emulator

    def number(self, phone_number: str) -> Any:
        """One of the account's numbers, in E.164."""
        with _explained():
            found = self._client.incoming_phone_numbers.list(phone_number=phone_number, limit=20)
            exact = [each for each in found if each.phone_number == phone_number]
            if exact:
                return exact[0]
            others = self._client.incoming_phone_numbers.list(limit=10)
        names = ", ".join(str(each.phone_number) for each in others) or "none"
        raise OpsError(f"{phone_number} is not a number of the account {self.sid}. It has: {names}")

    def configure_number(self, sid: str, values: dict[str, str]) -> None:
        """Set the values that are given. An empty text clears one."""
        if not values:
            return
        with _explained():
            self._client.incoming_phone_numbers(sid).update(**values)

    def takes_texts(self, number_sid: str) -> Any | None:
        """The Messaging Service that takes a number's texts, or None where the number's own webhook does.

        A number is in the sender pool of at most one service. The service may leave texts to the number
        (Twilio docs: Services resource, use_inbound_webhook_on_number).
        """
        with _explained():
            for service in self._client.messaging.v1.services.stream(page_size=100):
                if service.use_inbound_webhook_on_number:
                    continue
                pool = self._client.messaging.v1.services(str(service.sid)).phone_numbers
                if any(each.sid == number_sid for each in pool.stream(page_size=1000)):
                    return service
        return None

    def application(self, sid: str | None, name: str) -> Any | None:
        """A TwiML app by its SID, else by its name; None where there is none."""
        with _explained():
            if sid:
                try:
                    return self._client.applications(sid).fetch()
                except TwilioRestException as exc:
                    if exc.status != 404:
                        raise
            return next(iter(self._client.applications.list(friendly_name=name, limit=1)), None)

    def create_application(self, values: dict[str, str]) -> str:
        """Make a TwiML app; returns its SID."""
        with _explained():
            return str(self._client.applications.create(**values).sid)

    def configure_application(self, sid: str, values: dict[str, str]) -> None:
        """Set the values that are given."""
        if not values:
            return
        with _explained():
            self._client.applications(sid).update(**values)

    def delete_application(self, sid: str) -> None:
        """Remove a TwiML app."""
        with _explained():
            self._client.applications(sid).delete()


@contextmanager
def _explained() -> Iterator[None]:
    try:
        yield
    except TwilioRestException as exc:
        if exc.status >= 500:
            raise Unanswered(f"Twilio answers {exc.status}") from exc
        raise _refused(exc.code, str(exc.msg)) from exc
    except TwilioException as exc:
        # twilio-python raises a bare exception, with the response in it, for a list that was refused.
        try:
            answer = json.loads(exc.args[1].text)
            code, message = answer["code"], answer["message"]
        except (IndexError, AttributeError, ValueError, KeyError, TypeError):
            raise Unanswered(f"Twilio's answer could not be read: {exc}") from exc
        raise _refused(code, str(message)) from exc
    except requests.RequestException as exc:
        raise Unanswered(f"Twilio cannot be reached: {type(exc).__name__}") from exc


def _refused(code: int | None, message: str) -> OpsError:
    """Twilio may repeat an earlier webhook, whose URL may hold a secret: mask every URL."""
    message = re.sub(r"https?://\S+", lambda url: masked(url[0]), message)
    return OpsError(f"Twilio refuses it: {meaning(code, message)} (error {code})")
