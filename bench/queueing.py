"""From a queue message to a placed call, against what storage alone takes for the rows of a ledger."""

from typing import Any

from bench import child
from bench.environment import LATENCY_MS, control, running_storage
from bench.results import Findings, Goal, Row, Side
from bench.stats import Spread, ratios
from bench.webhook_request import ENVIRON


def measure(findings: Findings, twilio: str, *, rounds: int, count: int) -> None:
    """count: messages in a round, on each side.

    Each side of each round has an Azurite of its own. In memory, Azurite keeps each queue message as an
    extent. Once a minute its garbage collector removes those of deleted messages, one by one from a list that
    it searches each time: after 6,000 messages it answers nobody for 45 seconds.
    """
    rate: dict[str, list[float]] = {"ours": [], "alone": []}
    cpu: dict[str, list[float]] = {"ours": [], "alone": []}
    for _ in range(rounds):
        for name in rate:
            found = _drained(twilio, name, count)
            rate[name].append(count / found["seconds"])
            cpu[name].append(found["cpu"] / count * 1e3)
    used = {name: Spread.of(values).median for name, values in cpu.items()}
    findings.add(
        Row(
            f"queue to placed call, {count:,} messages",
            "calls/s",
            Side("ours", rate["ours"]),
            limit=Side("Azurite alone: receive, transactions of four and three rows, delete", rate["alone"]),
            key="queue_over_ledger",
            ratio=ratios(rate["ours"], rate["alone"]),
            goal=Goal(0.7, at_least=True),
            note=(
                "both write four rows and then three for each call; the limit's have few columns, and ours "
                "share transactions; 24 to 36 at once, as host.json has it; in between, ours waits 100 ms "
                "for Twilio, the limit does not; CPU ms a call: "
                f"ours {used['ours']:.1f}, the limit {used['alone']:.1f}"
            ),
        )
    )


def _drained(twilio: str, command: str, count: int) -> dict[str, Any]:
    """One turn of one side, after a short one for the imports.

    Raises RuntimeError where Twilio does not have as many calls as were queued; of the limit, none.
    """
    with running_storage() as storage:
        environ = {**ENVIRON, "AzureWebJobsStorage": storage.fresh_account(), "TWILIO_BASE_URL": twilio}
        with child.running("bench.queue_child", environ=environ) as each:
            each.ask(command, count=32)
            control(twilio, "POST", "reset")
            control(twilio, "PUT", "faults", {"latency_ms": LATENCY_MS})
            found = each.ask(command, count=count)
    placed = control(twilio, "GET", "ledger")["calls"]
    assert isinstance(placed, list)
    if len(placed) != (count if command == "ours" else 0):
        raise RuntimeError(f"{count} calls were queued and Twilio has {len(placed)}")
    return found
