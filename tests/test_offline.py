"""tests/offline.py: the tests cannot reach a real Twilio."""

import socket

import aiohttp
import pytest

from shared.config import Settings
from shared.errors import SettingsError


def test_a_connection_to_elsewhere_is_refused() -> None:
    # A documentation address (RFC 5737): nobody answers there.
    with socket.socket() as plain, pytest.raises(AssertionError, match="tests stay on this machine"):
        plain.connect(("203.0.113.1", 443))


async def test_the_same_goes_for_aiohttp() -> None:
    async with aiohttp.ClientSession() as session:
        with pytest.raises(AssertionError, match="tests stay on this machine"):
            await session.get("http://203.0.113.1/")


def test_a_twilio_that_is_not_loopback_is_refused() -> None:
    with pytest.raises(SettingsError, match="TWILIO_BASE_URL must be a loopback origin"):
        Settings.from_env({"TWILIO_BASE_URL": "https://api.twilio.com"})
