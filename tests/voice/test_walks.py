"""Handsets call the app through the worker library: every verb, every flow, every Twimlet."""

import asyncio
from collections.abc import Iterator
from urllib.parse import quote

import pytest

from local.host.worker import Worker
from local.phone.testing import Phone
from local.twilio import Emulator
from local.twilio.carrier.exchange.leg import MachineDetection
from tests.azurite import Azurite
from tests.walking import ANNA, BEN, CALLER, COMPANY, ORIGIN, OTHER, OURS, OWNER, Company, known_as

MUSIC = "com.twilio.music.classical"


@pytest.fixture
def company(
    worker: Worker, loop: asyncio.AbstractEventLoop, azurite: Azurite, emulator: Emulator
) -> Iterator[Company]:
    """The app of a company that has set every setting, with a storage account of its own."""
    with known_as(loop, **COMPANY, AzureWebJobsStorage=azurite.fresh_account(), TWILIO_BASE_URL=emulator.url):
        yield Company(worker, loop)


@pytest.fixture
def phone(company: Company) -> Phone:
    return company.phone


# The call flows.


def test_say_gather_and_pause_greet_and_offer_the_menu(phone: Phone) -> None:
    call = phone.dial(OURS).hears("Thank you for calling Example & Sons.").hears("한국어는 8번을 누르세요.")
    call.hears("To talk to someone, press 1.").press("8").hears("직원과 통화하시려면 1번을 누르세요.")
    assert " pauses 1 s" in phone.transcript()
    assert not phone.notices


def test_a_choice_may_be_spoken(phone: Phone) -> None:
    phone.dial(OURS).hears("press 1").says("I would like to leave a message").hears("after the beep")


def test_redirect_asks_again_and_hangup_ends_politely_after_three_silences(phone: Phone) -> None:
    call = phone.dial(OURS)
    for _ in range(2):
        call.silence().hears("I did not hear anything").hears("press 1")
    call.press("9").hears("not one of the choices").hears("Goodbye.").is_over()
    assert not phone.notices


def test_dial_rings_the_team_in_turn_until_a_human_takes_the_call(phone: Phone) -> None:
    call = phone.dial(OURS).press("1").hears("Please hold")
    phone.rings(ANNA).answer_as_machine()
    phone.wait(15)
    phone.rings(BEN).answer().hears("1 2 0 2 5 5 5 0 1 0 1").press("1").is_connected_to(CALLER)
    call.hang_up()
    assert not phone.notices


def test_dial_ends_in_voicemail_when_nobody_takes_the_call(phone: Phone) -> None:
    call = phone.dial(OURS).press("1")
    phone.rings(ANNA).decline()
    phone.rings(BEN).answer().hears("press 1").hang_up()
    call.hears("nobody can take your call").hears("leave a message")


def test_dial_ends_a_talk_at_the_time_limit_of_calls(phone: Phone) -> None:
    call = phone.dial(OURS).press("1")
    anna = phone.rings(ANNA).answer().press("1").is_connected_to(CALLER)
    call.wait(1_790).is_connected_to(ANNA)
    call.wait(20).is_over()
    anna.is_over()
    assert not phone.notices


def test_queue_ends_a_talk_at_the_time_limit_of_calls(phone: Phone) -> None:
    call = phone.dial(OURS).press("2")
    agent = phone.dial(OURS, from_=ANNA).press("1").is_connected_to(CALLER)
    agent.wait(1_770).is_connected_to(CALLER)
    agent.wait(60).hears("next caller in line, press 1")
    call.hears("Goodbye.").is_over()


def test_record_takes_a_message_and_the_owner_is_told(phone: Phone, company: Company) -> None:
    call = phone.dial(OURS, from_=OTHER).press("3").hears("after the beep")
    words = "Please call me back about the table for four on Friday evening"
    call.says(words).wait(2).press("#").hears("We have your message").is_over()
    phone.wait(10)
    (recording,) = phone.recordings
    notice, transcript = (body for body in sorted(company.texts(), reverse=True) if OTHER in body)
    assert notice.startswith(f"Voicemail from {OTHER}, ")
    assert notice.endswith(f"{ORIGIN}/api/console#recording={recording.sid}")
    assert transcript == f"{OTHER} said: {words}"
    assert not phone.notices


def test_enqueue_plays_music_and_queue_connects_an_agent(phone: Phone) -> None:
    first, second = phone.dial(OURS).press("2"), phone.dial(OURS, from_=OTHER).press("2")
    first.hears("You are next in line").hears("less than a minute").hears(MUSIC)
    second.hears("You are number 2 in line")
    agent = phone.dial(OURS, from_=ANNA).hears("next caller in line, press 1").press("1")
    first.hears("We are connecting you now")
    agent.is_connected_to(CALLER)
    first.hang_up()
    agent.hears("next caller in line, press 1").press("1").is_connected_to(OTHER)
    agent.hang_up()
    second.hears("Goodbye.").is_over()
    assert not phone.notices


def test_queue_tells_an_agent_that_nobody_waits(phone: Phone) -> None:
    agent = phone.dial(OURS, from_=ANNA).press("1").hears("connected to the next caller")
    agent.hears("Nobody is waiting in line").hears("next caller in line, press 1").hang_up()


def test_leave_asks_to_be_called_back_and_the_call_comes(phone: Phone, company: Company) -> None:
    call = phone.dial(OURS).press("2").hears("To be called back instead, press 1").press("1")
    call.hears("We will call you back").wait(10).is_over()
    (message,) = company.queued
    assert message["to"] == CALLER
    assert any(body.startswith(f"{CALLER} asked to be called back") for body in company.texts())
    back = phone.place(message["to"], url=message["url"]).answer()
    back.hears("You asked to be called back").press("1")
    phone.rings(ANNA).answer().hears("You have a call").press("1").is_connected_to(CALLER)
    assert not phone.notices


def test_conference_waits_for_its_moderator(phone: Phone) -> None:
    guest = phone.dial(OURS).press("5").hears("PIN").press("1111#").hears("not a PIN").press("4321#")
    guest.hears("You are joining standup").hears("when the moderator arrives").hears(MUSIC)
    host = phone.dial(OURS, from_=BEN).press("2").press("5").press("4321#").hears("You are the moderator")
    guest.hears("started")
    host.wait(5).hang_up()
    guest.hears("You have left the conference").is_over()
    assert not phone.notices


def test_sms_sends_the_address_during_the_call(phone: Phone) -> None:
    phone.dial(OURS).press("4").hears("sent you our address").hears("press 1")
    (text,) = phone.texts
    assert (text.to, text.sender, text.body) == (CALLER, OURS, "Example & Sons: 1 Main Street")


def test_reject_turns_blocked_callers_away(phone: Phone, loop: asyncio.AbstractEventLoop) -> None:
    with known_as(loop, BLOCKED_NUMBERS=OTHER, BLOCKED_REASON="busy"):
        phone.dial(OURS, from_=OTHER).is_over("busy")
        phone.dial(OURS).hears("Thank you for calling")


def test_the_softphone_dials_a_number_a_client_and_the_queue(phone: Phone) -> None:
    url = f"{ORIGIN}/api/voice/client"
    call = phone.dial_application(url, from_="client:alice", to=OTHER)
    phone.rings(OTHER).answer()
    call.is_connected_to(OTHER).hang_up()
    call = phone.dial_application(url, from_="client:alice", to="bob")
    phone.rings("client:bob").decline()
    call.hears("The line is busy").is_over()
    phone.dial(OURS).press("2").hears(MUSIC)
    phone.dial_application(url, from_="client:alice", to="queue").is_connected_to(CALLER)
    assert not phone.notices


def test_an_outbound_call_is_said_repeated_and_stopped(
    phone: Phone, company: Company, emulator: Emulator
) -> None:
    company.ring(to=OTHER, say="Your table is ready.", id="walk-1")
    (placed,) = emulator.ledger()["calls"]
    assert placed["to"] == OTHER
    call = phone.place(OTHER, url=f"{ORIGIN}/api/voice/step/outbound?id=walk-1").answer()
    call.hears("This is a message from Example & Sons.").hears("Your table is ready.").press("1")
    call.hears("Your table is ready.").hears("press 9").press("9").hears("not be called again").is_over()
    company.ring(to=OTHER, say="Once more.", id="walk-2")
    assert len(emulator.ledger()["calls"]) == 1
    assert not phone.notices


def test_an_answering_machine_gets_the_message_after_its_beep(
    phone: Phone, company: Company, emulator: Emulator
) -> None:
    company.ring(to=ANNA, say="Your table is ready.", id="walk-3")
    assert len(emulator.ledger()["calls"]) == 1
    call = phone.place(
        ANNA,
        url=f"{ORIGIN}/api/voice/step/outbound?id=walk-3",
        detection=MachineDetection("DetectMessageEnd"),
    )
    call.answer_as_machine().wait(60).is_over()
    assert call.left_on_machine == ["This is a message from Example & Sons.", "Your table is ready."]


# The Twimlets.


def test_twimlet_message(company: Company) -> None:
    call = company.twimlet("message", "Message[0]=Hello&Message[1]=https://media.example.com/a.mp3")
    call.hears("Hello").hears("https://media.example.com/a.mp3").is_over()


def test_twimlet_menu(company: Company) -> None:
    target = quote(f"{ORIGIN}/api/twimlets/message?Message=Sales", safe="")
    call = company.twimlet("menu", f"Message=Press+one&Options[1]={target}").hears("Press one")
    call.press("7").hears("not one of the choices").hears("Press one").silence().hears("Press one").press("1")
    call.hears("Sales").is_over()


def test_twimlet_forward(company: Company, phone: Phone) -> None:
    failed = quote(f"{ORIGIN}/api/twimlets/message?Message=Nobody", safe="")
    call = company.twimlet(
        "forward", f"PhoneNumber={quote(ANNA)}&FailUrl={failed}&AllowedCallers[0]={quote(CALLER)}"
    )
    phone.rings(ANNA).decline()
    call.hears("Nobody").is_over()
    call = company.twimlet("forward", f"PhoneNumber={quote(ANNA)}&AllowedCallers[0]={quote(BEN)}")
    call.hears("not accepted").is_over()
    company.twimlet("forward", "PhoneNumber=%2B442079460123").hears("cannot be completed").is_over()


def test_twimlet_callme_and_whisper(company: Company, phone: Phone) -> None:
    call = company.twimlet("callme", f"PhoneNumber={quote(ANNA)}&Message=From+the+shop")
    phone.rings(ANNA).answer().hears("From the shop").wait(6)
    call.is_connected_to(ANNA)


def test_twimlet_simulring(company: Company, phone: Phone) -> None:
    call = company.twimlet("simulring", f"PhoneNumbers[0]={quote(ANNA)}&PhoneNumbers[1]={quote(BEN)}")
    assert phone.is_ringing(ANNA)
    phone.rings(BEN).answer().hears("press any key").press("3")
    call.is_connected_to(BEN)
    assert not phone.is_ringing(ANNA)


def test_twimlet_findme(company: Company, phone: Phone) -> None:
    call = company.twimlet("findme", f"PhoneNumbers[0]={quote(ANNA)}&PhoneNumbers[1]={quote(BEN)}")
    assert not phone.is_ringing(BEN)
    phone.rings(ANNA).answer_as_machine()
    phone.wait(20)
    phone.rings(BEN).answer().hears("press any key").press("3")
    call.is_connected_to(BEN)


def test_twimlet_conference_and_holdmusic(company: Company) -> None:
    query = f"Name=weekly&Password=77&Moderators[0]={quote(ANNA)}&Music=rock&Message=Welcome"
    guest = company.twimlet("conference", query).hears("password").press("1#").hears("not the password")
    guest.press("77#").hears("Welcome").hears("com.twilio.music.rock")
    company.twimlet("conference", query, caller=ANNA).press("77#")
    guest.hears("started")


def test_twimlet_voicemail(company: Company) -> None:
    call = company.twimlet("voicemail", "Message=Speak+now&Transcribe=false", caller=BEN).hears("Speak now")
    call.says("Hello").wait(4).press("#").hears("We have your message").is_over()
    assert any(body.startswith(f"Voicemail from {BEN}") for body in company.texts())


def test_twimlet_echo(company: Company) -> None:
    company.twimlet("echo", f"Twiml={quote('<Response><Say>A &amp; B</Say></Response>')}").hears(
        "A & B"
    ).is_over()
    forbidden = quote("<Response><Dial>+19005550100</Dial></Response>")
    company.twimlet("echo", f"Twiml={forbidden}").hears("cannot be completed").is_over()


def test_the_owner_is_never_billed_for_nothing(phone: Phone) -> None:
    phone.dial(OURS, from_=OWNER).hears("next caller in line").hang_up()
    assert phone.recordings == []
