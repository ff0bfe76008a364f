"""twilio-python against the emulator."""

import pytest
from twilio.rest import Client

from local.twilio import ACCOUNT_SID, AUTH_TOKEN, Emulator


@pytest.fixture
def client(emulator: Emulator) -> Client:
    """twilio-python's client, which asks the emulator."""
    client = Client(ACCOUNT_SID, AUTH_TOKEN)
    client.api.base_url = emulator.url
    return client
