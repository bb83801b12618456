"""Whether the operator works: a verdict with reasons, from facts. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

# Watches are asked to end after 4 to 5 minutes. One that told nothing, not even a bookmark, for
# twice as long hangs on a connection that is half open (kubernetes-client/python#1148, kopf#957).
SILENCE_MAX_S = 2 * 300.0
# Every call has a timeout, so a pass that takes this long hangs.
PASS_MAX_S = 300.0


@dataclass(frozen=True, slots=True)
class WatchFacts:
    """One mirrored collection: its name, whether it was listed, how long its watch is silent."""

    name: str
    synced: bool
    silent_s: float


@dataclass(frozen=True, slots=True)
class Verdict:
    """Healthy: need not be restarted. Ready: does its work, or stands by to. Reasons if not."""

    healthy: bool
    ready: bool
    reasons: tuple[str, ...]


def judge(
    *, watches: Iterable[WatchFacts], passes_began_s: Iterable[float], stopping: bool, now_s: float
) -> Verdict:
    """The verdict at ``now_s`` on the monotonic clock."""
    sick, unready = [], []
    for watch in watches:
        if watch.silent_s > SILENCE_MAX_S:
            sick.append(f"{watch.name}: nothing heard for {watch.silent_s:.0f} s")
        elif not watch.synced:
            unready.append(f"{watch.name}: not listed yet")
    hung_s = max((now_s - began_s for began_s in passes_began_s), default=0.0)
    if hung_s > PASS_MAX_S:
        sick.append(f"a reconcile takes {hung_s:.0f} s")
    if stopping:
        unready.append("stopping")
    return Verdict(not sick, not sick and not unready, (*sick, *unready))
