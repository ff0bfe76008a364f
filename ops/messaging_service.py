"""Whether a number's texts go to its own webhook or to a Messaging Service."""

from typing import Any

from ops.account import Account
from ops.signature import masked


def taken(account: Account, owned: Any, base: str) -> tuple[str, str] | None:
    """(what is wrong, what mends it) where a Messaging Service sends the number's texts elsewhere.

    None where the number has no texts or takes them itself, or the service sends them to this app. Raises
    OpsError.
    """
    service = account.takes_texts(owned.sid) if owned.capabilities.get("sms") else None
    if service is None:
        return None
    url = service.inbound_request_url or ""
    if url.partition("#")[0] == f"{base}/api/sms":
        return None
    name = f"the Messaging Service {service.friendly_name} ({service.sid})"
    where = f"takes its texts to {masked(url)}" if url else "drops its texts"
    return (
        f"sms_url of {owned.phone_number} is not used: {name} has it among its senders, and {where}",
        "in Twilio's console: Messaging, Services, the service, Integration: Defer to sender's webhook (over "
        "REST: UseInboundWebhookOnNumber=true); or take the number out of its Sender Pool",
    )
