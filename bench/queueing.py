"""From a queue message to a placed call, against what storage alone takes for the least of its part."""

from bench import child
from bench.environment import LATENCY_MS, Storage, control
from bench.results import Findings, Goal, Row, Side
from bench.stats import Spread, ratios
from bench.webhook_request import ENVIRON


def measure(findings: Findings, storage: Storage, twilio: str, *, rounds: int, count: int) -> None:
    """count: messages in a round, on each side."""
    turns: dict[str, dict[str, int]] = {"ours": {}, "alone": {"rows": 3}, "least": {"rows": 1}}
    rate: dict[str, list[float]] = {name: [] for name in turns}
    cpu: dict[str, list[float]] = {name: [] for name in turns}
    environ = {**ENVIRON, "AzureWebJobsStorage": storage.fresh_account(), "TWILIO_BASE_URL": twilio}
    with child.running("bench.queue_child", environ=environ) as each:
        each.ask("ours", count=32)  # the imports
        for _ in range(rounds):
            for name, options in turns.items():
                control(twilio, "POST", "reset")
                control(twilio, "PUT", "faults", {"latency_ms": LATENCY_MS})
                found = each.ask("ours" if name == "ours" else "alone", count=count, **options)
                placed = control(twilio, "GET", "ledger")["calls"]
                assert isinstance(placed, list)
                if len(placed) != (count if name == "ours" else 0):
                    raise RuntimeError(f"{count} calls were queued and Twilio has {len(placed)}")
                rate[name].append(count / found["seconds"])
                cpu[name].append(found["cpu"] / count * 1e3)
    used = {name: Spread.of(values).median for name, values in cpu.items()}
    findings.add(
        Row(
            f"queue to placed call, {count:,} messages",
            "calls/s",
            Side("ours", rate["ours"]),
            limit=Side("Azurite alone: receive, two writes of a row, delete", rate["least"]),
            key="queue_over_storage",
            ratio=ratios(rate["ours"], rate["least"]),
            goal=Goal(0.7, at_least=True),
            note=(
                f"24 to 36 in hand, as host.json has it; in between, ours waits 100 ms for Twilio, the limit "
                f"does not; CPU ms a call: ours {used['ours']:.1f}, the limit {used['least']:.1f}"
            ),
        )
    )
    findings.add(
        Row(
            "the same, over the rows that a ledger takes",
            "calls/s",
            Side("ours, whose calls share transactions", rate["ours"]),
            limit=Side("Azurite alone: receive, two transactions of three rows, delete", rate["alone"]),
            ratio=ratios(rate["ours"], rate["alone"]),
            note=f"ours writes four rows twice, so that calls are listed and reconciled; CPU ms a call: "
            f"{used['alone']:.1f}",
        )
    )
