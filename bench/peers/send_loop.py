"""The plain send loop, as every tutorial has it: no record of what was sent, no retry, one at a time."""

from collections.abc import Sequence

from twilio.rest import Client


def send_all(client: Client, messages: Sequence[tuple[str, str]], sender: str) -> int:
    """Send each (to, body); how many were sent."""
    count = 0
    for to, body in messages:
        message = client.messages.create(to=to, from_=sender, body=body)
        count += message.sid is not None
    return count
