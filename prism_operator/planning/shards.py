"""Which of several operators looks after an object: the one that its label names.

The label says who shall, ``status.shard`` who does. An object changes hands when who does writes
down who shall: from then on it plans no more, and only then does the other one begin.
"""

from __future__ import annotations

from typing import Final

from prism_operator.api.meta import Json, ReadOnlyJson

SHARD_LABEL: Final = "prism.io/shard"
"""On one of our kinds: its shard. Objects without it belong to the default one. Its children get
it too, their pods do not: a move rolls nothing."""
DEFAULT_SHARD: Final = ""


def shard_of(obj: ReadOnlyJson) -> str:
    """The shard that shall look after the object."""
    return str((obj["metadata"].get("labels") or {}).get(SHARD_LABEL, DEFAULT_SHARD))


def holder_of(obj: ReadOnlyJson) -> str | None:
    """The shard that does; None for an object that none has taken up yet."""
    status = obj.get("status") or {}
    return str(status.get("shard", DEFAULT_SHARD)) if status else None


def held_by(status: ReadOnlyJson, shard: str) -> Json:
    """The status with ``shard`` as the one that looks after the object."""
    kept = {key: value for key, value in status.items() if key != "shard"}
    return {**kept, "shard": shard} if shard != DEFAULT_SHARD else kept
