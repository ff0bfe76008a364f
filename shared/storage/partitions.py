"""How rows are spread over partitions: Azure Table storage scales by them, and a transaction stays in one."""

from hashlib import sha256

SHARDS = 16
"""Partitions that the texts are spread over, by recipient.

Azure takes 2,000 rows a second in a partition, and 20,000 in a storage account (Microsoft, "Scalability and
performance targets for Table storage"). A text takes three to four rows. Spread over 16 partitions, texts
reach what the account takes. More partitions would gain nothing, and a tick can read 16 of them in passing.
"""
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
