"""Everything that callers hear, in English and in Korean.

To add a language, add its voice, its catalogue and the countries where it is spoken below, and its code to
VOICE_LANGUAGE in config.py. A prompt that is missing in a catalogue is said in English.
"""

import re
from typing import Any

from shared.config import Settings

ENGLISH = "en-US"
KOREAN = "ko-KR"

# Neural voices as in Twilio's "Text-to-Speech: available voices".
VOICES = {ENGLISH: "Polly.Joanna-Neural", KOREAN: "Polly.Seoyeon-Neural"}
COUNTRIES = {"KR": KOREAN}
CALLING_CODES = {"+82": KOREAN}

# <Say> takes 4,096 characters.
LONGEST = 4_096
INVALID_IN_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")

CATALOGUES = {
    ENGLISH: {
        "us": "us",
        "welcome": "Thank you for calling {company}.",
        "closed": "We are closed at the moment.",
        "option_team": "To talk to someone, press {key}.",
        "option_queue": "To wait in line for the next free agent, press {key}.",
        "option_voicemail": "To leave a message, press {key}.",
        "option_address": "To get our address by text message, press {key}.",
        "option_conference": "To join a conference, press {key}.",
        "option_language": "For English, press {key}.",
        "option_repeat": "To hear this again, press {key}.",
        "words_team": "someone, somebody, person, people, operator, representative, talk",
        "words_queue": "agent, line, queue, wait, support",
        "words_voicemail": "message, voicemail, voice mail",
        "words_address": "address, where, directions",
        "words_conference": "conference, meeting",
        "words_language": "english, 영어",
        "words_repeat": "again, repeat, what",
        "not_heard": "Sorry, I did not hear anything.",
        "not_understood": "Sorry, that is not one of the choices.",
        "goodbye": "Goodbye.",
        "address_sent": "We have sent you our address by text message.",
        "address_unknown": "Sorry, we cannot send text messages to your number.",
        "address_text": "{company}: {address}",
        "connecting": "Please hold while we connect you.",
        "nobody": "Sorry, nobody can take your call right now.",
        "whisper": "You have a call from {caller}. To take it, press 1.",
        "whisper_withheld": "You have a call. To take it, press 1.",
        "voicemail": "Please leave a message after the beep. When you are done, press the pound key.",
        "voicemail_saved": "Thank you. We have your message. Goodbye.",
        "voicemail_empty": "We did not hear a message. Goodbye.",
        "voicemail_text": "Voicemail from {caller}, {when}, {length}: {link}",
        "voicemail_transcript": "{caller} said: {words}",
        "queue_next": "You are next in line.",
        "queue_position": "You are number {position} in line.",
        "queue_short_wait": "The wait is less than a minute.",
        "queue_wait": "The wait is about {minutes} minutes.",
        "queue_offer_callback": "To be called back instead, press 1.",
        "queue_offer_voicemail": "To leave a message instead, press 1.",
        "queue_callback": "We will call you back at the number you are calling from. Goodbye.",
        "queue_connect": "We are connecting you now.",
        "callback": "This is a call from {company}. You asked to be called back. To be connected, press 1.",
        "callback_from_us": "Hello. You asked to be called back. To be connected, press 1.",
        "callback_text": "{caller} asked to be called back, {when}.",
        "agent_menu": "To take the next caller in line, press 1. For the main menu, press 2.",
        "agent_waiting": "You will be connected to the next caller.",
        "agent_nobody": "Nobody is waiting in line.",
        "agent_refused": "Sorry, this is for our team only. Goodbye.",
        "conference_pin": "Please enter your PIN, and then press the pound key.",
        "conference_wrong": "Sorry, that is not a PIN that we know.",
        "conference_joining": "You are joining {room}.",
        "conference_starting": "You are the moderator. The conference starts now.",
        "conference_waiting": "The conference starts when the moderator arrives. Please hold.",
        "conference_left": "You have left the conference. Goodbye.",
        "outbound_from": "This is a message from {company}.",
        "outbound_keys": "To hear this again, press 1. To stop being called, press 9.",
        "outbound_stopped": "You will not be called again. Goodbye.",
        "client_refused": "Sorry, that number cannot be called from here.",
        "client_busy": "The line is busy.",
        "client_no_answer": "Nobody answered.",
        "client_failed": "The call did not go through.",
        "apology": "Sorry, this call cannot be completed. Goodbye.",
        "twimlet_forward_refused": "Sorry, calls from your number are not accepted. Goodbye.",
        "twimlet_whisper": "You have a call from {caller}. To take it, press any key.",
        "twimlet_conference_password": "Please enter your password, and then press the pound key.",
        "twimlet_conference_wrong": "Sorry, that is not the password.",
        "twimlet_voicemail": "Please leave a message after the beep.",
    },
    KOREAN: {
        "us": "저희 회사",
        "welcome": "{company}에 전화해 주셔서 감사합니다.",
        "closed": "지금은 영업 시간이 아닙니다.",
        "option_team": "직원과 통화하시려면 {key}번을 누르세요.",
        "option_queue": "상담원 연결을 기다리시려면 {key}번을 누르세요.",
        "option_voicemail": "메시지를 남기시려면 {key}번을 누르세요.",
        "option_address": "주소를 문자로 받으시려면 {key}번을 누르세요.",
        "option_conference": "회의에 참가하시려면 {key}번을 누르세요.",
        "option_language": "한국어는 {key}번을 누르세요.",
        "option_repeat": "다시 들으시려면 {key}번을 누르세요.",
        "words_team": "직원, 사람, 통화, 담당자",
        "words_queue": "상담원, 상담, 대기, 기다",
        "words_voicemail": "메시지, 음성, 녹음",
        "words_address": "주소, 위치, 어디",
        "words_conference": "회의, 컨퍼런스",
        "words_language": "한국어, 한국말, korean",
        "words_repeat": "다시, 반복",
        "not_heard": "죄송합니다. 말씀을 듣지 못했습니다.",
        "not_understood": "죄송합니다. 안내해 드린 번호가 아닙니다.",
        "goodbye": "안녕히 계세요.",
        "address_sent": "주소를 문자로 보내 드렸습니다.",
        "address_unknown": "죄송합니다. 지금 거신 번호로는 문자를 보낼 수 없습니다.",
        "address_text": "{company}: {address}",
        "connecting": "연결해 드리겠습니다. 잠시만 기다려 주세요.",
        "nobody": "죄송합니다. 지금은 전화를 받을 수 있는 사람이 없습니다.",
        "whisper": "{caller}에서 온 전화입니다. 받으시려면 1번을 누르세요.",
        "whisper_withheld": "전화가 왔습니다. 받으시려면 1번을 누르세요.",
        "voicemail": "삐 소리가 나면 메시지를 남겨 주세요. 다 남기신 후에는 우물 정자를 누르세요.",
        "voicemail_saved": "감사합니다. 메시지를 잘 받았습니다. 안녕히 계세요.",
        "voicemail_empty": "메시지가 녹음되지 않았습니다. 안녕히 계세요.",
        "voicemail_text": "{caller} 음성 메시지, {when}, {length}: {link}",
        "voicemail_transcript": "{caller} 메시지 내용: {words}",
        "queue_next": "다음 차례입니다.",
        "queue_position": "현재 대기 순서는 {position}번째입니다.",
        "queue_short_wait": "대기 시간은 1분 미만입니다.",
        "queue_wait": "예상 대기 시간은 약 {minutes}분입니다.",
        "queue_offer_callback": "기다리지 않고 전화를 다시 받으시려면 1번을 누르세요.",
        "queue_offer_voicemail": "기다리지 않고 메시지를 남기시려면 1번을 누르세요.",
        "queue_callback": "지금 거신 번호로 다시 전화드리겠습니다. 안녕히 계세요.",
        "queue_connect": "지금 연결해 드리겠습니다.",
        "callback": "{company}입니다. 요청하신 전화를 드립니다. 연결하시려면 1번을 누르세요.",
        "callback_from_us": "안녕하세요. 요청하신 전화를 드립니다. 연결하시려면 1번을 누르세요.",
        "callback_text": "{caller} 고객이 {when}에 다시 전화해 달라고 요청했습니다.",
        "agent_menu": "다음 대기 고객을 받으시려면 1번, 주 메뉴는 2번을 누르세요.",
        "agent_waiting": "다음 대기 고객과 연결됩니다.",
        "agent_nobody": "대기 중인 고객이 없습니다.",
        "agent_refused": "죄송합니다. 직원만 이용할 수 있습니다. 안녕히 계세요.",
        "conference_pin": "비밀번호를 입력하시고 우물 정자를 누르세요.",
        "conference_wrong": "죄송합니다. 등록되지 않은 비밀번호입니다.",
        "conference_joining": "{room} 회의에 참가합니다.",
        "conference_starting": "진행자로 입장합니다. 회의가 시작됩니다.",
        "conference_waiting": "진행자가 들어오면 회의가 시작됩니다. 잠시만 기다려 주세요.",
        "conference_left": "회의에서 나오셨습니다. 안녕히 계세요.",
        "outbound_from": "{company}에서 알려 드립니다.",
        "outbound_keys": "다시 들으시려면 1번, 더 이상 전화를 받지 않으시려면 9번을 누르세요.",
        "outbound_stopped": "앞으로 전화드리지 않겠습니다. 안녕히 계세요.",
        "client_refused": "죄송합니다. 이 번호로는 전화하실 수 없습니다.",
        "client_busy": "통화 중입니다.",
        "client_no_answer": "전화를 받지 않습니다.",
        "client_failed": "전화가 연결되지 않았습니다.",
        "apology": "죄송합니다. 전화를 연결할 수 없습니다. 안녕히 계세요.",
        "twimlet_forward_refused": "죄송합니다. 이 번호에서 온 전화는 받지 않습니다. 안녕히 계세요.",
        "twimlet_whisper": "{caller}에서 온 전화입니다. 받으시려면 아무 번호나 누르세요.",
        "twimlet_conference_password": "비밀번호를 입력하시고 우물 정자를 누르세요.",
        "twimlet_conference_wrong": "죄송합니다. 비밀번호가 맞지 않습니다.",
        "twimlet_voicemail": "삐 소리가 나면 메시지를 남겨 주세요.",
    },
}


def for_caller(country: str, settings: Settings) -> str:
    """The language of a caller from `country` (ISO 3166): VOICE_LANGUAGE, else the language spoken there."""
    return settings.language or COUNTRIES.get(country, ENGLISH)


def for_team(settings: Settings) -> str:
    """The language of the company: VOICE_LANGUAGE, else the language of the country of its number."""
    by_number = (code for prefix, code in CALLING_CODES.items() if settings.from_number.startswith(prefix))
    return settings.language or next(by_number, ENGLISH)


def of_text(text: str, settings: Settings) -> str:
    """The language of a text from outside, judged by its letters."""
    return KOREAN if re.search("[\uac00-\ud7a3]", text) else settings.language or ENGLISH


def text(name: str, language: str, **values: object) -> str:
    """One prompt with its values filled in. Raises KeyError if no catalogue has that name."""
    prompt = CATALOGUES.get(language, {}).get(name) or CATALOGUES[ENGLISH][name]
    return prompt.format(**values)


def clean(words: str, longest: int = LONGEST) -> str:
    """`words` without the characters that XML 1.0 forbids, cut to `longest` characters."""
    return INVALID_IN_XML.sub("", words)[:longest]


def say(verb: Any, words: str, language: str) -> None:
    """Let `verb` (a Response or a Gather) say `words`, unless they are blank."""
    spoken = clean(words)
    if spoken.strip():
        verb.say(spoken, voice=VOICES[language], language=language)


def spelled(number: str) -> str:
    """A phone number with spaces between its digits, so that each digit is said."""
    return " ".join(re.sub("[^0-9]", "", number))
