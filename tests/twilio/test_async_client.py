"""twilio-python's async client against the emulator."""

import asyncio

from twilio.http.async_http_client import AsyncTwilioHttpClient
from twilio.rest import Client

from local.twilio import ACCOUNT_SID, AUTH_TOKEN, NUMBER, Emulator
from tests.listener import Listener


async def test_the_async_client_sends_lists_and_calls(emulator: Emulator, listener: Listener) -> None:
    async with AsyncTwilioHttpClient() as http:
        client = Client(ACCOUNT_SID, AUTH_TOKEN, http_client=http)
        client.api.base_url = emulator.url
        people = [f"+120255501{n:02}" for n in range(1, 21)]
        sent = await asyncio.gather(
            *(client.messages.create_async(to=each, from_=NUMBER, body=each) for each in people)
        )
        call = await client.calls.create_async(to=people[0], from_=NUMBER, twiml="<Response/>")
        await emulator.settle_async()
        listed = await client.messages.list_async(page_size=7)
        assert {each.sid for each in listed} == {each.sid for each in sent}
        assert {each.status for each in listed} == {"delivered"}
        assert (await client.calls(str(call.sid)).fetch_async()).status == "completed"
        assert await client.messages(str(sent[0].sid)).delete_async()
    assert {each["body"] for each in emulator.ledger()["messages"]} == set(people)
    assert listener.requests == []
