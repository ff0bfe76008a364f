"""How rows are spread over partitions: Azure Table storage scales by them, and a transaction stays in one."""

from hashlib import sha256

SHARDS = 16
"""Partitions that the texts are spread over, by recipient: bench/scale.py says why so many."""
CALL_SHARDS = 4
"""The same for calls, by their id: Twilio lets an account place a call or a few a second."""


def shard(key: str, count: int = SHARDS) -> str:
    """The partition of a key, as two hexadecimal digits."""
    return f"{sha256(key.encode()).digest()[0] % count:02x}"


def shard_names(count: int) -> tuple[str, ...]:
    """All partitions, in order."""
    return tuple(f"{number:02x}" for number in range(count))


PARTITIONS = shard_names(SHARDS)
CALL_PARTITIONS = shard_names(CALL_SHARDS)
