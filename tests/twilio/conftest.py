"""twilio-python against the double."""

import pytest
from twilio.rest import Client

from local.twilio import ACCOUNT_SID, AUTH_TOKEN, Double


@pytest.fixture
def client(double: Double) -> Client:
    """twilio-python's own client, pointed at the double."""
    client = Client(ACCOUNT_SID, AUTH_TOKEN)
    client.api.base_url = double.url
    return client
