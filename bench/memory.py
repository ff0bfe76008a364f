"""Does a worker grow? Ten rounds of all that it does, in one process."""

from bench import child
from bench.environment import Storage, control
from bench.results import Findings, Goal, Row, Side
from bench.stats import Spread
from bench.webhook_request import ENVIRON

ENDS = 3
"""Rounds at the beginning, and at the end, that are compared."""
TOLERANCE = 2.0
"""MB between the first rounds and the last that are no growth: an allocator's pages come and go."""


def measure(
    findings: Findings,
    storage: Storage,
    twilio: str,
    *,
    rounds: int,
    webhooks: int,
    messages: int,
    calls: int,
) -> None:
    """What the last three rounds hold above the first three, once a round has paid every lazy cost."""
    environ = {**ENVIRON, "AzureWebJobsStorage": storage.fresh_account(), "TWILIO_BASE_URL": twilio}
    sizes = []
    with child.running("bench.memory_child", environ=environ) as each:
        for turn in range(rounds + 1):
            control(twilio, "POST", "reset")
            found = each.ask("work", webhooks=webhooks, messages=messages, calls=calls)
            ledger = control(twilio, "GET", "ledger")
            done = {name: len(ledger[name]) for name in ("messages", "calls")}  # type: ignore[arg-type]
            if done != {"messages": messages, "calls": calls}:
                raise RuntimeError(f"of {messages} messages and {calls} calls in a round Twilio has {done}")
            if turn:
                sizes.append(found["mb"])
    first, last = sizes[:ENDS], sizes[-ENDS:]
    growth = [late - early for early, late in zip(sorted(first), sorted(last), strict=True)]
    findings.add(
        Row(
            f"memory of a worker, grown over {rounds} rounds",
            "MB",
            Side("the last rounds", last),
            limit=Side("the first rounds", first),
            key="memory_growth_mb",
            ratio=Spread.of(growth),
            goal=Goal(TOLERANCE) if rounds >= 2 * ENDS else None,
            note=f"a round: {webhooks:,} webhooks, {messages:,} SMS, {calls:,} calls",
        )
    )
