"""Sending what is due: our drain, the plain loop, and twilio-python's async client with no storage."""

from bench import child
from bench.environment import LATENCY_MS, Storage, control
from bench.results import Findings, Goal, Row, Side
from bench.stats import Spread, ratios
from bench.webhook_request import ENVIRON

CONCURRENCY = 64


def measure(findings: Findings, storage: Storage, twilio: str, *, rounds: int, count: int, loop: int) -> None:
    """count: messages that are due. loop: how many the plain loop sends, at its steady pace of one by one."""
    rate: dict[str, list[float]] = {"ours": [], "loop": [], "bare": []}
    cpu: dict[str, list[float]] = {"ours": [], "loop": [], "bare": []}
    environ = {
        **ENVIRON,
        "AzureWebJobsStorage": storage.fresh_account(),
        "TWILIO_BASE_URL": twilio,
        "SEND_CONCURRENCY": str(CONCURRENCY),
    }
    with child.running("bench.drain_child", environ=environ) as each:
        each.ask("bare", count=CONCURRENCY)  # the imports
        for _ in range(rounds):
            account = storage.fresh_account()
            each.ask("fill", storage=account, count=count)
            for name, arguments, expected in (
                ("ours", {"storage": account}, count),
                ("loop", {"count": loop}, loop),
                ("bare", {"count": count}, count),
            ):
                control(twilio, "POST", "reset")
                control(twilio, "PUT", "faults", {"latency_ms": LATENCY_MS})
                found = each.ask(name, **arguments)
                accepted = control(twilio, "GET", "ledger")["messages"]
                assert isinstance(accepted, list)
                texts = {each["body"] for each in accepted}  # each message has its own
                if not found["count"] == len(accepted) == len(texts) == expected:
                    raise RuntimeError(
                        f"{name} sent {found['count']}; Twilio has {len(accepted)}, of {len(texts)} texts"
                    )
                rate[name].append(found["count"] / found["seconds"])
                cpu[name].append(found["cpu"] / found["count"] * 1e3)
    ours, bare = Side("ours", rate["ours"]), Side("async client, no storage", rate["bare"])
    loop_side = Side("plain loop", rate["loop"])
    used = ", ".join(
        f"{name} {Spread.of(cpu[key]).median:.2f}"
        for name, key in (("ours", "ours"), ("loop", "loop"), ("async client", "bare"))
    )
    findings.add(
        Row(
            f"draining {count:,} due SMS, over the plain loop",
            "messages/s",
            ours,
            peer=loop_side,
            key="drain_over_loop",
            ratio=ratios(rate["ours"], rate["loop"]),
            goal=Goal(40, at_least=True),
            note=f"the loop's pace is that of {loop} messages, one after the other; CPU ms a message: {used}",
        )
    )
    findings.add(
        Row(
            "the same, over the async client without storage",
            "messages/s",
            ours,
            limit=bare,
            key="drain_over_limit",
            ratio=ratios(rate["ours"], rate["bare"]),
            goal=Goal(0.65, at_least=True),
            note=f"{CONCURRENCY} requests at once, Twilio answers in 100 ms",
        )
    )
