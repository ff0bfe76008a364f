"""shared/voice/prompts.py: every prompt exists in every language, and none breaks XML."""

import re
from string import Formatter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twilio.twiml.voice_response import VoiceResponse

from shared.voice import prompts
from tests.flows import parse, settings

LANGUAGES = sorted(prompts.CATALOGUES)


def fields(prompt: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(prompt) if name}


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_language_lacks_a_prompt(language: str) -> None:
    english = prompts.CATALOGUES[prompts.ENGLISH]
    assert prompts.CATALOGUES[language].keys() == english.keys()
    assert all(text.strip() for text in prompts.CATALOGUES[language].values())
    assert language in prompts.VOICES


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_translation_takes_the_same_values(language: str) -> None:
    for name, english in prompts.CATALOGUES[prompts.ENGLISH].items():
        assert fields(prompts.CATALOGUES[language][name]) == fields(english), name


def test_korean_is_written_in_korean() -> None:
    bare = {
        name for name, text in prompts.CATALOGUES[prompts.KOREAN].items() if not re.search("[가-힣]", text)
    }
    assert bare == {"address_text"}


def test_a_prompt_that_a_language_lacks_is_said_in_english(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(prompts.CATALOGUES, "xx-XX", {"goodbye": "..."})
    assert prompts.text("closed", "xx-XX") == "We are closed at the moment."


def test_an_unknown_prompt_is_a_programming_error() -> None:
    with pytest.raises(KeyError):
        prompts.text("no such prompt", prompts.ENGLISH)


def test_voices_are_neural_and_of_their_language() -> None:
    assert prompts.VOICES == {"en-US": "Polly.Joanna-Neural", "ko-KR": "Polly.Seoyeon-Neural"}


def test_the_language_is_the_settings_or_the_callers() -> None:
    assert prompts.for_caller("KR", settings()) == "ko-KR"
    assert prompts.for_caller("FR", settings()) == "en-US"
    assert prompts.for_caller("KR", settings(VOICE_LANGUAGE="en-US")) == "en-US"
    assert prompts.for_team(settings(TWILIO_FROM_NUMBER="+82212345678")) == "ko-KR"
    assert prompts.for_team(settings()) == "en-US"
    assert prompts.of_text("안녕하세요", settings()) == "ko-KR"
    assert prompts.of_text("Hello", settings(VOICE_LANGUAGE="ko-KR")) == "ko-KR"


@given(st.text(st.characters()) | st.text(st.characters(categories=["Cs", "Cc", "Cn"])))
def test_any_text_can_be_said(words: str) -> None:
    response = VoiceResponse()
    prompts.say(response, words, prompts.ENGLISH)
    said = parse(str(response)).find("Say")
    kept = prompts.clean(words)
    # Parsers read every line ending as \n.
    assert (said is None and not kept.strip()) or (
        said is not None and said.text == re.sub("\r\n?", "\n", kept)
    )


def test_a_text_longer_than_say_takes_is_cut() -> None:
    assert len(prompts.clean("x" * 10_000)) == 4_096


def test_a_number_is_said_digit_by_digit() -> None:
    assert prompts.spelled("+12025550101") == "1 2 0 2 5 5 5 0 1 0 1"
