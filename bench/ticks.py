"""What a tick costs with one message due: with nothing else stored, and with very many that wait."""

from bench import child
from bench.environment import Storage
from bench.results import Findings, Goal, Row, Side
from bench.stats import Spread, ratios
from bench.webhook_request import ENVIRON


def measure(findings: Findings, storage: Storage, twilio: str, *, rounds: int, waiting: int) -> None:
    """waiting: messages due next month, by their places among what is due: all that a tick could meet."""
    empty, full = storage.fresh_account(), storage.fresh_account()
    found: dict[str, list[dict[str, float]]] = {empty: [], full: []}
    with child.running("bench.tick_child", environ={**ENVIRON, "TWILIO_BASE_URL": twilio}) as each:
        each.ask("fill", storage=full, waiting=waiting)
        for account in (empty, full):
            each.ask("tick", storage=account)  # the imports
        for _ in range(rounds):
            for account in (empty, full):
                found[account].append(each.ask("tick", storage=account))
    for what in ("requests", "rows"):
        one, other = ({tick[what] for tick in found[account]} for account in (empty, full))
        if one != other:
            raise RuntimeError(f"with {waiting:,} waiting, {what} of a tick are {other}, not {one}")

    def column(account: str, name: str, factor: float = 1e3) -> list[float]:
        return [tick[name] * factor for tick in found[account]]

    requests, rows = found[full][0]["requests"], found[full][0]["rows"]
    azurite = [Spread.of(column(account, "storage_seconds", 1)).median for account in (empty, full)]
    findings.add(
        Row(
            f"a tick with one due and {waiting:,} waiting, our CPU",
            "ms",
            Side(f"{waiting:,} waiting", column(full, "cpu")),
            limit=Side("none waiting", column(empty, "cpu")),
            key="tick_ratio",
            ratio=ratios(column(full, "cpu"), column(empty, "cpu")),
            goal=Goal(1.3),
            note=(
                f"both: {requests:g} storage requests, {rows:g} rows read. Azurite itself, which scans: "
                f"{azurite[0]:.2f} s of its time with none, {azurite[1]:.1f} s with {waiting:,}"
            ),
        )
    )
