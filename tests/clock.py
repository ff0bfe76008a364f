"""The time that a test passes in. The machine's clock is `datetime.now(UTC)`; a test takes one of the two.

What is compared with the time of Azurite, of the Twilio emulator or of the running app takes the machine's.
Everything else takes NOW, or a moment of its own.
"""

from datetime import UTC, datetime

NOW = datetime(2009, 11, 23, 12, tzinfo=UTC)
"""A Monday, years ago: a test that mixes NOW with the machine's clock fails on the day when it is written.

With a moment of this week it would pass until some limit of the app, of days or months, lies between the two.
"""
