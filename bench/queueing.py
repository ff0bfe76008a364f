"""From a queue message to a placed call, against what the storage emulator alone takes for its part of it."""

from bench import child
from bench.environment import Storage, control
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
                control(twilio, "PUT", "faults", {"latency_ms": 100})
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
            limit=Side("Azurite alone: receive, two transactions of three rows, delete", rate["alone"]),
            key="queue_over_storage",
            ratio=ratios(rate["ours"], rate["alone"]),
            goal=Goal(0.7, at_least=True),
            note=(
                f"24 to 36 at once as host.json has it, Twilio answers in 100 ms; CPU ms a call: "
                f"ours {used['ours']:.1f}, storage alone {used['alone']:.1f}"
            ),
        )
    )
    findings.add(
        Row(
            "the same, over two writes of a single row each",
            "calls/s",
            Side("ours", rate["ours"]),
            limit=Side("Azurite alone: receive, two single writes, delete", rate["least"]),
            ratio=ratios(rate["ours"], rate["least"]),
            note=f"CPU ms a call: {used['least']:.1f}; no ledger that is listed and reconciled does with it",
        )
    )
