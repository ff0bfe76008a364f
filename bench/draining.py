"""Sending what is due: our drain, the plain loop, and twilio-python's async client with no storage.

And our drain in several processes at once, on one Azurite.
"""

import time
from collections.abc import Sequence
from contextlib import ExitStack

from bench import child
from bench.child import Child
from bench.environment import LATENCY_MS, Storage, control
from bench.results import Findings, Goal, Row, Side
from bench.stats import Spread, ratios
from bench.webhook_request import ENVIRON

CONCURRENCY = 64
PROCESSES = (1, 2, 4)


def measure(findings: Findings, storage: Storage, twilio: str, *, rounds: int, count: int, loop: int) -> None:
    """count: messages that are due. loop: how many the plain loop sends, at its steady pace of one by one."""
    rate: dict[str, list[float]] = {"ours": [], "loop": [], "bare": []}
    cpu: dict[str, list[float]] = {"ours": [], "loop": [], "bare": []}
    with child.running("bench.drain_child", environ=_environ(storage, twilio)) as each:
        each.ask("bare", count=CONCURRENCY)  # the imports
        for _ in range(rounds):
            account = storage.fresh_account()
            each.ask("fill", storage=account, count=count)
            for name, arguments, expected in (
                ("ours", {"storage": account}, count),
                ("loop", {"count": loop}, loop),
                ("bare", {"count": count}, count),
            ):
                _begin(twilio)
                found = each.ask(name, **arguments)
                _check(twilio, name, found["count"], expected)
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


def measure_at_once(findings: Findings, storage: Storage, twilio: str, *, rounds: int, count: int) -> None:
    """The same backlog, drained by one process, and by several that share its shards."""
    rate: dict[int, list[float]] = {number: [] for number in PROCESSES}
    environ = _environ(storage, twilio)
    with ExitStack() as stack:
        drains = [
            stack.enter_context(child.running("bench.drain_child", environ=environ))
            for _ in range(PROCESSES[-1])
        ]
        for each in drains:  # the imports
            _drained([each], storage, twilio, CONCURRENCY)
        for _ in range(rounds):
            for number, found in rate.items():
                found.append(count / _drained(drains[:number], storage, twilio, count))
    for number in PROCESSES[1:]:
        findings.add(
            Row(
                f"draining {count:,} due SMS in {number} processes at once",
                "messages/s",
                Side(f"{number} processes", rate[number]),
                limit=Side("one process", rate[1]),
                ratio=ratios(rate[number], rate[1]),
                note=(
                    f"{CONCURRENCY} requests at once in each process, and each has its part of the shards; "
                    "they share one Azurite, one Twilio and the cores of this machine"
                ),
            )
        )


def _drained(drains: Sequence[Child], storage: Storage, twilio: str, count: int) -> float:
    """The seconds that these processes take together for a backlog of `count`."""
    account = storage.fresh_account()
    drains[0].ask("fill", storage=account, count=count)
    _begin(twilio)
    began = time.perf_counter()
    for part, each in enumerate(drains):
        each.tell("ours", storage=account, part=part, parts=len(drains))
    sent = sum(each.answer()["count"] for each in drains)
    seconds = time.perf_counter() - began
    _check(twilio, f"{len(drains)} processes", sent, count)
    return seconds


def _environ(storage: Storage, twilio: str) -> dict[str, str]:
    return {
        **ENVIRON,
        "AzureWebJobsStorage": storage.fresh_account(),
        "TWILIO_BASE_URL": twilio,
        "SEND_CONCURRENCY": str(CONCURRENCY),
    }


def _begin(twilio: str) -> None:
    """Empty Twilio's ledger, and have Twilio take its time."""
    control(twilio, "POST", "reset")
    control(twilio, "PUT", "faults", {"latency_ms": LATENCY_MS})


def _check(twilio: str, name: str, sent: int, expected: int) -> None:
    """Raises RuntimeError where Twilio's ledger does not have each text exactly once."""
    accepted = control(twilio, "GET", "ledger")["messages"]
    assert isinstance(accepted, list)
    texts = {each["body"] for each in accepted}  # each message has its own
    if not sent == len(accepted) == len(texts) == expected:
        raise RuntimeError(f"{name} sent {sent}; Twilio has {len(accepted)}, of {len(texts)} texts")
