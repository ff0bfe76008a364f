"""A signed voice webhook: through the worker against a constant, and in the function against Flask."""

from contextlib import ExitStack

from bench import child, webhook_request
from bench.child import ROOT, Child
from bench.results import Findings, Goal, Row, Side
from bench.stats import Spread, percentile, ratios

TURN = 10
"""Webhooks in one turn."""
PEERS = ROOT / "bench" / "peers"
APPS = {
    "ours": (ROOT, "voice_incoming"),
    "constant": (PEERS / "constant", "voice"),
    "constant_async": (PEERS / "constant_async", "voice"),
}


def measure(findings: Findings, *, rounds: int, count: int) -> None:
    """rounds: turns that each app gets. count: webhooks in a round."""
    p50: dict[str, list[float]] = {name: [] for name in APPS}
    p99: dict[str, list[float]] = {name: [] for name in APPS}
    with ExitStack() as stack:
        children: dict[str, Child] = {
            name: stack.enter_context(
                child.running("bench.worker_child", str(app), function, environ=webhook_request.ENVIRON)
            )
            for name, (app, function) in APPS.items()
        }
        for each in children.values():
            each.ask("webhooks", count=200)
        for _ in range(rounds):
            times: dict[str, list[float]] = {name: [] for name in APPS}
            # Turns of a few milliseconds: a burst of noise hits all, and the scheduler holds against none of
            # them that it has run for long.
            for _ in range(count // TURN):
                for name, each in children.items():
                    times[name] += each.ask("webhooks", count=TURN)["times"]
            for name in APPS:
                p50[name].append(percentile(times[name], 50) * 1e3)
                p99[name].append(percentile(times[name], 99) * 1e3)
    for label, values in (("p50", p50), ("p99", p99)):
        findings.add(
            Row(
                f"a signed voice webhook, {label}",
                "ms",
                Side("ours", values["ours"]),
                limit=Side("a constant, `def` as samples have it", values["constant"]),
                key=f"webhook_{label}_ratio",
                ratio=ratios(values["ours"], values["constant"]),
                goal=Goal(2.0),
            )
        )
        findings.add(
            Row(
                f"the same, {label}, over a constant `async def`",
                "ms",
                Side("ours", values["ours"]),
                limit=Side("a constant, `async def`", values["constant_async"]),
                ratio=ratios(values["ours"], values["constant_async"]),
            )
        )


def measure_flask(findings: Findings, *, rounds: int, count: int) -> None:
    """The CPU of one webhook in the function itself, and of the Flask app called as WSGI."""
    with child.running("bench.flask_child", environ=webhook_request.ENVIRON) as each:
        each.ask("both", count=100)
        found = [each.ask("both", count=count) for _ in range(rounds)]
    ours, flask = [one["ours"] * 1e3 for one in found], [one["flask"] * 1e3 for one in found]
    findings.add(
        Row(
            "the CPU of that webhook, in the function alone",
            "ms",
            Side("ours", ours),
            peer=Side("Flask app, as WSGI", flask),
            key="flask_ratio",
            ratio=Spread.of([theirs / own for own, theirs in zip(ours, flask, strict=True)]),
            goal=Goal(1.3, at_least=True),
        )
    )
