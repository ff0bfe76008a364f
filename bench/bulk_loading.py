"""Loading a file: our check and load, over the same rows in the SDK's transactions; and the memory it takes.

Checking is part of ours, as is every checkpoint. The limit has its rows in memory when the clock starts.
"""

from bench import child
from bench.environment import Storage
from bench.results import Findings, Goal, Row, Side
from bench.stats import Spread, ratios
from bench.webhook_request import ENVIRON
from shared.bulk import loader
from shared.storage.rows import TRANSACTION_LIMIT

LONG = 6
"""How many times the text stands in a body of the files that memory is measured with."""
BOUND = 4.0
"""MB more for a file ten times as large, which is 20 MB larger: held whole even once, it misses by far (25
as the SDK fetches a blob by itself). What the allocator adds to one piece of rows is about 1.
"""


def measure(
    findings: Findings, storage: Storage, *, rounds: int, count: int, small: int, weighings: int
) -> None:
    """count: rows in a round, on each side. small: rows of the smaller file that memory is measured with."""
    environ = {**ENVIRON, "AzureWebJobsStorage": storage.fresh_account()}
    rate: dict[str, list[float]] = {"ours": [], "alone": []}
    cpu: dict[str, list[float]] = {"ours": [], "alone": []}
    with child.running("bench.bulk_child", environ=environ) as each:
        account = storage.fresh_account()
        job = each.ask("accept", storage=account, count=32)["id"]
        each.ask("ours", storage=account, job=job)  # the imports
        for _ in range(rounds):
            account = storage.fresh_account()
            job = each.ask("accept", storage=account, count=count)["id"]
            for name, found in (
                ("ours", each.ask("ours", storage=account, job=job)),
                ("alone", each.ask("alone", storage=storage.fresh_account(), count=count)),
            ):
                if found["count"] != count:
                    raise RuntimeError(f"{name} stored {found['count']} of {count} rows")
                rate[name].append(count / found["seconds"])
                cpu[name].append(found["cpu"] / count * 1e3)
    used = {name: Spread.of(values).median for name, values in cpu.items()}
    findings.add(
        Row(
            f"loading a file of {count:,} rows",
            "rows/s",
            Side("ours: checked, then stored", rate["ours"]),
            limit=Side("Azurite alone: the same rows, made before, in the same transactions", rate["alone"]),
            key="bulk_over_storage",
            ratio=ratios(rate["ours"], rate["alone"]),
            goal=Goal(0.7, at_least=True),
            note=f"{loader.AT_ONCE} transactions of up to {TRANSACTION_LIMIT} table rows at once; "
            f"CPU ms a row: ours {used['ours']:.2f}, azure-data-tables alone {used['alone']:.2f}",
        )
    )
    _weigh(findings, storage, environ, small=small, rounds=weighings)


def _weigh(findings: Findings, storage: Storage, environ: dict[str, str], *, small: int, rounds: int) -> None:
    """The most that a process holds while it loads a file, a fresh one for each."""
    held: dict[int, list[float]] = {small: [], small * 10: []}
    size: dict[int, float] = {}
    for _ in range(rounds):
        for count, most in held.items():
            account = storage.fresh_account()
            with child.running("bench.bulk_child", environ=environ) as each:
                taken = each.ask("accept", storage=account, count=count, length=LONG)
            with child.running("bench.bulk_child", environ=environ) as each:
                most.append(each.ask("ours", storage=account, job=taken["id"])["mb"])
            size[count] = taken["bytes"] / 1e6
    few, many = held.values()
    findings.add(
        Row(
            f"memory while a file of {small * 10:,} rows is loaded, over one of {small:,}",
            "MB",
            Side(f"{size[small * 10]:.0f} MB of file", many),
            limit=Side(f"{size[small]:.0f} MB of file", few),
            key="bulk_memory_mb",
            ratio=Spread.of([more - less for less, more in zip(few, many, strict=True)]),
            goal=Goal(BOUND),
            note="the most that a fresh process held (RSS, every 5 ms); the ratio is the difference",
        )
    )
