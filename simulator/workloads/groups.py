"""A Kafka consumer group: who reads which partition, and how long a change of that takes.

Three protocols. ``eager`` and ``cooperative`` are the classic one: a change makes every member
rejoin at its next heartbeat, and the assignment comes when all have (GroupCoordinator in
kafka/coordinator/group). An eager member gives up everything before it rejoins; a cooperative one
keeps what stays with it, and what moves is given up after the first round and taken in a second
(KIP-429). ``kip848`` is the new one: the broker decides at once, an owner gives up a partition at
its next heartbeat, and the new owner takes it at its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

Protocols = Literal["eager", "cooperative", "kip848"]
Time = float  # microseconds of simulated time; a queue runs empty between two whole ones
NEVER = float("inf")


@dataclass(frozen=True, slots=True)
class GroupTimings:
    """Kafka's defaults: ``session.timeout.ms``, ``heartbeat.interval.ms`` (of KIP-848 the broker's
    ``group.consumer.heartbeat.interval.ms``) and ``group.initial.rebalance.delay.ms``.
    """

    session_timeout_us: int = 45_000_000
    heartbeat_us: int = 3_000_000
    initial_delay_us: int = 3_000_000


class Moves(Protocol):
    """Who is told that a partition changes hands."""

    def taken(self, partition: int, uid: str, now: Time) -> None:
        """A member reads it from now on, from the committed offset."""

    def given_up(self, partition: int, now: Time, *, commits: bool) -> None:
        """Nobody reads it any more; ``commits``: its owner committed what it had done."""


@dataclass(slots=True)
class _Member:
    joined: Time
    expires: Time = NEVER  # when the broker gives up on it; NEVER while it lives
    rejoins: Time = NEVER  # in a rebalance: when it comes back; NEVER for the dead
    is_back: bool = False

    @property
    def lives(self) -> bool:
        return self.expires == NEVER


class Group:
    """The members of one group and the partitions they have."""

    def __init__(
        self, partitions: int, protocol: Protocols, timings: GroupTimings, moves: Moves
    ) -> None:
        self._protocol, self._timings, self._moves = protocol, timings, moves
        self.owners: list[str | None] = [None] * partitions
        self._members: dict[str, _Member] = {}  # by uid, in the order they joined
        self._rebalancing = False
        self._waits_until: Time = NEVER  # of the first members, for more to come
        self._someone_came = False
        self._target: list[str | None] = [None] * partitions
        self._wanted_by: list[str] = []
        self._changes: dict[int, Time] = {}  # kip848: when a partition changes hands next
        self.rebalances = 0

    # Members

    def joined(self, uid: str, now: Time) -> None:
        """A consumer asks to be a member."""
        was_empty = not self._members
        self._members[uid] = _Member(now, rejoins=now)
        if self._protocol == "kip848":
            self._reconcile(now)
        elif was_empty:
            self._waits_until = now + self._timings.initial_delay_us
        elif self._waits_until < NEVER:
            self._someone_came = True
        else:
            self._rebalance(now)

    def left(self, uid: str, now: Time) -> None:
        """A member says that it leaves; it has committed."""
        if self._members.pop(uid, None) is not None:
            self._gone(uid, now, commits=True)

    def died(self, uid: str, now: Time) -> None:
        """A member is gone without a word; its partitions stand still until its session ends."""
        member = self._members.get(uid)
        if member is not None and member.lives:
            # The broker counts from the last heartbeat it saw.
            last = self._next_heartbeat(member, now) - self._timings.heartbeat_us
            last = now if last > now else max(last, member.joined)
            member.expires = max(now, last + self._timings.session_timeout_us)
            if not member.is_back:
                member.rejoins = NEVER

    def is_dead(self, uid: str) -> bool:
        """Whether a member is gone that the broker still counts."""
        member = self._members.get(uid)
        return member is not None and not member.lives

    # Time

    @property
    def due(self) -> Time:
        """When something happens next by itself."""
        dues = [member.expires for member in self._members.values()]
        dues += [self._waits_until, *self._changes.values()]
        if self._rebalancing:
            dues += [m.rejoins for m in self._members.values() if not m.is_back]
        return min(dues, default=NEVER)

    def step(self, now: Time) -> None:
        """Does what is due."""
        for uid in [u for u, m in self._members.items() if m.expires <= now]:
            del self._members[uid]
            self._gone(uid, now, commits=False)
        if self._waits_until <= now:
            again, self._someone_came = self._someone_came, False
            self._waits_until = now + self._timings.initial_delay_us if again else NEVER
            if not again:
                self._rebalance(now, back=list(self._members))
        if self._rebalancing:
            self._rejoin(now)
        for partition in [p for p, at in self._changes.items() if at <= now]:
            self._change(partition, now)

    def paused(self, from_: Time, to: Time) -> None:
        """No broker answered in between: a coordinator that loads the group starts it afresh.

        Each member has a whole session timeout from then on (onGroupLoaded in GroupCoordinator).
        """
        for member in self._members.values():
            if not member.lives:
                member.expires = to + self._timings.session_timeout_us
            if member.rejoins < NEVER and member.rejoins >= from_:
                member.rejoins = self._next_heartbeat(member, to)
        if self._waits_until < NEVER:
            self._waits_until += to - from_
        if self._changes:
            self._reconcile(to)

    def _gone(self, uid: str, now: Time, *, commits: bool) -> None:
        self._give_up_all(uid, now, commits=commits)
        if self._protocol == "kip848":
            self._reconcile(now)
        elif self._members and self._waits_until == NEVER:
            self._rebalance(now)
        elif not self._members:
            self._rebalancing, self._waits_until = False, NEVER

    def _next_heartbeat(self, member: _Member, now: Time) -> Time:
        interval = self._timings.heartbeat_us
        return member.joined + -(-(now - member.joined) // interval) * interval

    # The classic protocol

    def _rebalance(self, now: Time, back: Iterable[str] = ()) -> None:
        """Everybody rejoins; those in ``back`` have already."""
        if not self._rebalancing:
            self._rebalancing = True
            self.rebalances += 1
            for uid, member in self._members.items():
                member.is_back = False
                if not member.lives:
                    member.rejoins = NEVER
                elif uid in back or member.joined == now:
                    member.rejoins = now
                else:
                    member.rejoins = self._next_heartbeat(member, now)
        self._rejoin(now)

    def _rejoin(self, now: Time) -> None:
        for uid, member in self._members.items():
            if member.is_back or member.rejoins > now:
                continue
            member.is_back = True
            if self._protocol == "eager":
                self._give_up_all(uid, now, commits=True)
        if all(member.is_back for member in self._members.values()):
            self._rebalancing = False
            self._assign(now)

    def _assign(self, now: Time) -> None:
        moved = set[str]()
        for partition, target in enumerate(self._wanted()):
            owner = self.owners[partition]
            if owner is None and target is not None:
                self._take(partition, target, now)
            elif owner is not None and owner != target:
                self._give_up(partition, now, commits=True)
                moved.add(owner)
        if moved:
            self._rebalance(now, back=moved)

    # KIP-848

    def _reconcile(self, now: Time) -> None:
        """The broker's new target assignment, and when each partition next changes hands."""
        self._changes = {}
        for partition, target in enumerate(self._wanted()):
            owner = self.owners[partition]
            if owner == target or (owner is not None and not self._members[owner].lives):
                continue
            teller = owner or target  # who has to learn of it next
            if teller is not None:
                self._changes[partition] = self._next_heartbeat(self._members[teller], now)
        self.rebalances += bool(self._changes)
        for partition in [p for p, at in self._changes.items() if at <= now]:
            self._change(partition, now)

    def _change(self, partition: int, now: Time) -> None:
        del self._changes[partition]
        target = self._wanted()[partition]
        if self.owners[partition] is not None:
            self._give_up(partition, now, commits=True)
            if target is not None:
                heard = self._next_heartbeat(self._members[target], now)
                self._changes[partition] = heard
        elif target is not None:
            self._take(partition, target, now)

    def _wanted(self) -> list[str | None]:
        """The assignment for the present members; it stays while they do."""
        members = list(self._members)
        if members != self._wanted_by:
            eager = self._protocol == "eager"
            count = len(self.owners)
            self._target = in_ranges(members, count) if eager else sticky(members, self.owners)
            self._wanted_by = members
        return self._target

    def _give_up_all(self, uid: str, now: Time, *, commits: bool) -> None:
        for partition, owner in enumerate(self.owners):
            if owner == uid:
                self._give_up(partition, now, commits=commits)

    def _take(self, partition: int, uid: str, now: Time) -> None:
        self.owners[partition] = uid
        self._moves.taken(partition, uid, now)

    def _give_up(self, partition: int, now: Time, *, commits: bool) -> None:
        self.owners[partition] = None
        self._moves.given_up(partition, now, commits=commits)


def in_ranges(members: Sequence[str], partitions: int) -> list[str | None]:
    """Kafka's range assignor for one topic: runs of partitions, the first members get one more."""
    if not members:
        return [None] * partitions
    least, more = divmod(partitions, len(members))
    wanted: list[str | None] = []
    for i, uid in enumerate(members):
        wanted += [uid] * (least + (i < more))
    return wanted


def sticky(members: Sequence[str], owners: Sequence[str | None]) -> list[str | None]:
    """Even shares with the fewest moves: everybody keeps what is not too much, in that order."""
    if not members:
        return [None] * len(owners)
    held: Mapping[str, list[int]] = {uid: [] for uid in members}
    for partition, owner in enumerate(owners):
        if owner is not None and owner in held:
            held[owner].append(partition)
    least, more = divmod(len(owners), len(members))
    by_most = sorted(members, key=lambda uid: -len(held[uid]))
    quota = {uid: least + (i < more) for i, uid in enumerate(by_most)}
    wanted: list[str | None] = [None] * len(owners)
    for uid in members:
        for partition in held[uid][: quota[uid]]:
            wanted[partition] = uid
    needy = [uid for uid in members for _ in range(quota[uid] - len(held[uid]))]
    for partition in range(len(owners)):
        if wanted[partition] is None:
            wanted[partition] = needy.pop(0)
    return wanted
