"""Runs a workload with one fault, and says what differs from the run without."""

from __future__ import annotations

import functools
import json
import random
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from prism_operator.api.meta import EVENT, LEASE, Json, Ref

from .cluster import Call, Cluster
from .kinds import CALL_FAULTS, EVENT_FAULTS, applies
from .workloads import BY_NAME, Workload

ROUNDS = 5
ROUND_S = 5.0
# Longer than a Retry-After, and than a Lease of a leader that is gone.
LATE_ROUNDS = 3
LATE_ROUND_S = 30.0
# Longer than between two looks at a Secret.
REST_S = 65.0


@dataclass(frozen=True, order=True)
class Case:
    """One fault in one workload, or two: the second number counts from where the first hit."""

    workload: str
    upsets: tuple[tuple[int, str], ...]

    def __str__(self) -> str:
        return ":".join([self.workload, *(f"{n}:{fault}" for n, fault in self.upsets)])

    @classmethod
    def parse(cls, text: str) -> Case:
        workload, *rest = text.split(":")
        return cls(workload, tuple((int(n), f) for n, f in zip(rest[::2], rest[1::2], strict=True)))


@dataclass(frozen=True)
class Run:
    """What a run came to."""

    state: Mapping[str, Json]
    created: Counter[str]
    deleted: Counter[str]
    templates: Mapping[str, list[Json]]
    calls: tuple[str, ...]
    events: tuple[str, ...]
    violations: tuple[str, ...]
    written_at_rest: tuple[str, ...]
    upset: tuple[str, ...]
    writes: int


@functools.cache
def _begun(name: str) -> Cluster:
    """The settled beginning of a workload; every case forks it."""
    cluster = Cluster()
    BY_NAME[name].begin(cluster)
    cluster.start()
    _settle(cluster)
    _settle(cluster)
    cluster.running["operator"].close()
    return cluster


@functools.cache
def undisturbed(name: str, *, standby: bool = False) -> Run:
    """The run that nothing happens to: it names the calls and events that something can."""
    return _run(BY_NAME[name], (), standby=standby)


def cases(name: str) -> Iterator[Case]:
    """Every call with every fault, and every event with every fault of a watch."""
    plain, led = undisturbed(name), undisturbed(name, standby=True)
    for fault, kind in CALL_FAULTS.items():
        for number, call in enumerate((led if kind.needs_standby else plain).calls, 1):
            if applies(kind, call):
                yield Case(name, ((number, fault),))
    for fault in sorted(EVENT_FAULTS.keys() - BY_NAME[name].hiding):
        for number in range(1, len(plain.events) + 1):
            yield Case(name, ((number, fault),))


def judge(case: Case) -> list[str]:
    """What is wrong after this case; nothing, if all is as it should be."""
    standby = any(f in CALL_FAULTS and CALL_FAULTS[f].needs_standby for _, f in case.upsets)
    expected = undisturbed(case.workload)
    run = _run(BY_NAME[case.workload], case.upsets, standby=standby)
    return list(_complaints(case, expected, run, led=undisturbed(case.workload, standby=standby)))


def _complaints(case: Case, expected: Run, run: Run, led: Run) -> Iterator[str]:
    number, fault = case.upsets[0]
    there = led.events if fault in EVENT_FAULTS else led.calls
    if number > len(there):
        yield f"there is no number {number}: without the fault there are {len(there)}"
        return
    named = there[number - 1]
    if len(case.upsets) == 1 and run.upset != (named,):
        yield f"the fault was to hit {named}, and hit {run.upset}"
    yield from run.violations
    for name in sorted({*expected.state, *run.state}):
        one, other = expected.state.get(name), run.state.get(name)
        if one != other:
            yield f"{name} is {_first_difference(other, one)}"
    for what, counted, wanted in (
        ("created", run.created, expected.created),
        ("deleted", run.deleted, expected.deleted),
    ):
        for name in sorted({*counted, *wanted}):
            if counted[name] != wanted[name]:
                yield f"{name} was {what} {counted[name]} times instead of {wanted[name]}"
    for name, templates in expected.templates.items():
        if run.templates.get(name) != templates:
            count = len(run.templates.get(name, ()))
            yield f"{name} was rolled out {count} times, or with another configuration"
    if run.written_at_rest:
        yield f"written at rest: {run.written_at_rest}"


def _run(workload: Workload, upsets: tuple[tuple[int, str], ...], *, standby: bool) -> Run:
    cluster = _begun(workload.name).fork()
    cluster.elect = standby
    if not workload.restarts:
        _start(cluster, standby=standby)
    cluster.record([Call(number, fault) for number, fault in upsets])
    for step in workload.steps:
        step(cluster)
        if not cluster.running:
            _start(cluster, standby=standby)
        cluster.advance(workload.seconds)
        _settle(cluster)
    calls, events = tuple(cluster.calls), tuple(cluster.events)
    cluster.stop_recording()
    for _ in range(LATE_ROUNDS):
        cluster.advance(LATE_ROUND_S)
        cluster.act()
    writes = len(cluster.writes_of("operator")) + len(cluster.writes_of("standby"))
    return Run(
        state=_state(cluster),
        created=cluster.checkers.created,
        deleted=cluster.checkers.deleted,
        templates=_plain(cluster.checkers.templates),
        calls=calls,
        events=events,
        violations=tuple(cluster.checkers.violations),
        upset=tuple(cluster.upset),
        written_at_rest=_written_at_rest(cluster),
        writes=writes,
    )


def _start(cluster: Cluster, *, standby: bool) -> None:
    cluster.start()
    cluster.advance(0.0)
    if standby:
        cluster.start("standby")
        cluster.advance(0.0)


def _settle(cluster: Cluster) -> None:
    for _ in range(ROUNDS):
        cluster.advance(ROUND_S)
        cluster.act()


def _written_at_rest(cluster: Cluster) -> tuple[str, ...]:
    """What is written although all is as it should be: by the operators, and by a fresh one."""
    users = tuple(cluster.running)
    before = {user: len(cluster.writes_of(user)) for user in users}
    cluster.advance(REST_S)
    for operator in cluster.running.values():
        operator.stop()
    cluster.running.clear()
    cluster.start()
    cluster.advance(REST_S)
    return tuple(w for user in users for w in cluster.writes_of(user)[before[user] :])


def _state(cluster: Cluster) -> Mapping[str, Json]:
    """All objects by name, less what may differ.

    Events are a courtesy, and a Lease tells who led when. Of the others: resourceVersions count all
    writes, times are later after a fault that was waited out, and a cluster IP is the next one that
    is free when its Service comes.
    """
    objects = {
        str(ref): obj
        for ref, obj in _objects(cluster)
        if ref.resource.plural not in (EVENT.plural, LEASE.plural)
    }
    return _plain(objects)


def _objects(cluster: Cluster) -> Iterator[tuple[Ref, Json]]:
    for kind in cluster.server.catalog:
        for obj in cluster.server.registry.objects(kind):
            metadata = obj["metadata"]
            yield Ref(kind.resource, metadata.get("namespace", ""), metadata["name"]), obj


_MAY_DIFFER = frozenset(
    {
        "resourceVersion",
        "creationTimestamp",
        "lastTransitionTime",
        "time",
        "clusterIP",
        "clusterIPs",
    }
)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(v) for key, v in value.items() if key not in _MAY_DIFFER}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value


def _first_difference(one: Any, other: Any, at: str = "") -> str:
    if isinstance(one, dict) and isinstance(other, dict):
        for key in sorted({*one, *other}):
            if one.get(key) != other.get(key):
                return _first_difference(one.get(key), other.get(key), f"{at}.{key}")
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        for position, (mine, theirs) in enumerate(zip(one, other, strict=True)):
            if mine != theirs:
                return _first_difference(mine, theirs, f"{at}[{position}]")
    return f"{at or 'as a whole'}: {json.dumps(one)[:300]} instead of {json.dumps(other)[:300]}"


def pairs(name: str, count: int, seed: int) -> list[Case]:
    """Random pairs of faults: the second hits a call soon after the first."""
    rng = random.Random(f"{seed} {name}")
    plain = undisturbed(name).calls
    faults = [fault for fault, kind in CALL_FAULTS.items() if not kind.needs_standby]
    made = set[Case]()
    for _ in range(count):
        if plain:
            first = (rng.randint(1, len(plain)), rng.choice(faults))
            second = (rng.randint(1, 20), rng.choice(faults))
            made.add(Case(name, (first, second)))
    return sorted(made)
