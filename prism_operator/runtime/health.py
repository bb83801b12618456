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
    """One mirrored collection: its name, and whether it was listed.

    ``silent_s``: how long its watch is open and told nothing. ``deaf_s``: how long nothing was
    heard at all, over however many watches and lists.
    """

    name: str
    synced: bool
    silent_s: float
    deaf_s: float


@dataclass(frozen=True, slots=True)
class Verdict:
    """Healthy: need not be restarted. Ready: does its work, or stands by to. Reasons if not.

    Who is not fit to lead leaves the Lease to others, but a restart would not help it: the API
    server does not answer, say.
    """

    healthy: bool
    ready: bool
    fit_to_lead: bool
    reasons: tuple[str, ...]


def judge(
    *,
    watches: Iterable[WatchFacts],
    passes_began_s: Iterable[float],
    stopping: bool,
    now_s: float,
    sees_anything: bool = True,
    silence_max_s: float = SILENCE_MAX_S,
) -> Verdict:
    """The verdict at ``now_s`` on the monotonic clock."""
    sick, deaf, unready = [], [], []
    for watch in watches:
        if watch.silent_s > silence_max_s:
            sick.append(f"{watch.name}: nothing heard for {watch.silent_s:.0f} s")
        elif watch.deaf_s > silence_max_s:
            deaf.append(f"{watch.name}: no answer for {watch.deaf_s:.0f} s")
        elif not watch.synced:
            unready.append(f"{watch.name}: not listed yet")
    hung_s = max((now_s - began_s for began_s in passes_began_s), default=0.0)
    if hung_s > PASS_MAX_S:
        sick.append(f"a reconcile takes {hung_s:.0f} s")
    if not sees_anything:
        unready.append("no permission to read our own kinds in any namespace to watch")
    if stopping:
        unready.append("stopping")
    reasons = (*sick, *deaf, *unready)
    return Verdict(not sick, not reasons, not sick and not deaf, reasons)
