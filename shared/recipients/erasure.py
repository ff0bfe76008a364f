"""Erase one person everywhere: texts, calls, conversations, opt-out, counts, dead letters, rows in files.

What is kept of them afterwards is a keyed hash, which still suppresses. Twilio's own records are another
matter: they are deleted there, by SID.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from shared import errors
from shared.bulk import erasure as files
from shared.calls.call import Call
from shared.calls.dead_letters import DeadLetters
from shared.delivery.erasure import erase_all
from shared.delivery.store import Store, pseudonym
from shared.sms import opt_outs
from shared.sms.message import Message

if TYPE_CHECKING:
    from shared.bulk.jobs import BulkJobs
    from shared.storage.blobs import Blobs


@dataclass(frozen=True, slots=True)
class Places:
    """Everywhere that something about a person may be."""

    texts: Store[Message]
    calls: Store[Call]
    dead_letters: DeadLetters
    bulk_jobs: "BulkJobs"
    files: "Blobs"


async def erase(recipient: str, places: Places, erasure_key: str | None, *, now: datetime) -> dict[str, Any]:
    """Erase one person; safe to repeat, and to be repeated for what is `in_doubt` and for `bulk_loads`.

    What waits is canceled. A text or call whose fate is in doubt keeps its recipient until it is settled. A
    file that is not loaded yet loses the person's rows; the `bulk_loads` under way that name the person make
    no text to them from here on. Raises SettingsError without ERASURE_KEY.
    """
    if not erasure_key:
        raise errors.SettingsError(("ERASURE_KEY",))
    name = pseudonym(erasure_key, recipient)
    # The files first: no more texts are to come from them.
    bulk_loads = await files.erase(recipient, name, places.bulk_jobs, places.files, now=now)
    messages, texts_in_doubt = await erase_all(places.texts, recipient, name, now=now)
    calls, calls_in_doubt = await erase_all(places.calls, recipient, name, now=now)
    return {
        "messages": messages,
        "calls": calls,
        "in_doubt": texts_in_doubt + calls_in_doubt,
        "dead_letters": await places.dead_letters.erase(recipient),
        "opted_out": await opt_outs.erase(places.texts, recipient, name),
        "bulk_loads": bulk_loads,
    }
