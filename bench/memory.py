"""Does a worker grow? Ten rounds of all that it does, in one process."""

from bench import child
from bench.environment import Storage, control
from bench.results import Findings, Goal, Row, Side
from bench.stats import Spread
from bench.webhook_request import ENVIRON

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
            if turn:
                sizes.append(found["mb"])
    first, last = sizes[:3], sizes[-3:]
    growth = [late - early for early, late in zip(sorted(first), sorted(last), strict=True)]
    findings.add(
        Row(
            f"memory of a worker, grown over {rounds} rounds",
            "MB",
            Side("the last rounds", last),
            limit=Side("the first rounds", first),
            key="memory_growth_mb",
            ratio=Spread.of(growth),
            goal=Goal(TOLERANCE),
            note=f"a round: {webhooks:,} webhooks, {messages:,} SMS, {calls:,} calls",
        )
    )
