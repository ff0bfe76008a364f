"""Everything that callers hear, in English and in Korean: one file a language, in languages/.

A file names the language's voice (Twilio's "Text-to-Speech: available voices"), the countries (ISO 3166) and
calling codes where the language is spoken, and its prompts. To add a language, add its file, and its code to
VOICE_LANGUAGE in config.py. A prompt that a file lacks is said in English.
"""

import json
import os
import re
from typing import Any

from shared.config import Settings

ENGLISH = "en-US"
KOREAN = "ko-KR"


def _read() -> dict[str, dict[str, Any]]:
    """Every language's file, by the code of the language."""
    folder = os.path.join(os.path.dirname(__file__), "languages")
    read = {}
    for name in filter(lambda name: name.endswith(".json"), os.listdir(folder)):
        with open(os.path.join(folder, name), "rb") as file:
            read[name.removesuffix(".json")] = json.load(file)
    return read


LANGUAGES = _read()
VOICES: dict[str, str] = {code: each["voice"] for code, each in LANGUAGES.items()}
CATALOGUES: dict[str, dict[str, str]] = {code: each["prompts"] for code, each in LANGUAGES.items()}
COUNTRIES = {country: code for code, each in LANGUAGES.items() for country in each["countries"]}
CALLING_CODES = {prefix: code for code, each in LANGUAGES.items() for prefix in each["calling_codes"]}

# <Say> takes 4,096 characters.
LONGEST = 4_096
INVALID_IN_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")


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
