"""Where nodes come from and where they go: launches, spot interruptions, and what it costs.

An instance costs money from its launch to its end; its Node appears when it has booted. Fixed pools
and groups of a cluster autoscaler replace what they lose, as clouds' instance groups do. Draws are
keyed by pool, zone and ordinal, so that fleets of different size meet the same fate.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from prism_operator.api.meta import NODE, Ref, ref_of, uid_of
from prism_operator.ports import Reason
from simulator.cluster.api import ApiWorld
from simulator.cluster.drain import Drains
from simulator.cluster.nodes import HEARTBEAT_PERIOD_US, Machine, Pool, build_node
from simulator.controllers.objects import is_true
from simulator.controllers.world import RefusedError
from simulator.kernel import HOUR_US, SECOND_US, Kernel, Phase, Us
from simulator.randomness import Span, Streams, exponential_us
from simulator.series import Recorder

# pkg/controller/podgc: pods of a node that is gone are deleted after 40 s, looked for every 20 s.
ORPHANS_CHECKED_EVERY_US = 20 * SECOND_US
ORPHANS_KEPT_US = 40 * SECOND_US


@dataclass(frozen=True, slots=True)
class Interruptions:
    """How spot nodes of a pool are taken back. ``hazard`` is an hour, for one node.

    The share ``zone_shock`` of it comes as shocks, each of which takes every node of the pool in a
    zone with probability ``shock_reach``. ``missed``: the probability that no notice is seen.
    """

    hazard_per_h: float
    zone_shock: float = 0.0
    shock_reach: float = 0.5
    notice_us: Us = 120 * SECOND_US
    missed: float = 0.0
    drought_us: Us = 0


@dataclass(frozen=True, slots=True)
class Offer:
    """A pool with what the cloud asks for its nodes, and how soon they are there."""

    pool: Pool
    price_per_h: float
    boot: Span
    is_spot: bool = False
    interruptions: Interruptions | None = None
    count_max: int | None = None
    count_min: int = 0
    replaces: bool = True


@dataclass(slots=True)
class Instance:
    """One machine that is paid for."""

    name: str
    pool: str
    zone: str
    slot: int
    generation: int  # how many were in its place before
    launched_us: Us
    registered: bool = False
    ended_us: Us | None = None
    is_going: bool = False  # it was told to, or is being drained to be removed


@dataclass(slots=True)
class _State:
    offer: Offer
    slots: dict[str, set[int]] = field(default_factory=dict)  # taken, by zone
    generations: dict[tuple[str, int], int] = field(default_factory=dict)
    drought_until: dict[str, Us] = field(default_factory=dict)  # by zone


class Supply:
    """All instances of all pools."""

    def __init__(
        self,
        kernel: Kernel,
        world: ApiWorld,
        machines: dict[str, Machine],
        offers: Mapping[str, Offer],
        streams: Streams,
        recorder: Recorder,
        drains: Drains,
        *,
        on_lost: Callable[[str], None],
        tell: Callable[[str, str], None],
    ) -> None:
        self._kernel, self._world, self._machines = kernel, world, machines
        self._streams, self._drains = streams, drains
        self._on_lost, self._tell = on_lost, tell
        self._pools = {name: _State(offer) for name, offer in sorted(offers.items())}
        self.instances: dict[str, Instance] = {}  # by name, those that have not ended
        self.on_launched: Callable[[str, str], None] = lambda *_: None
        self.on_ended: Callable[[str], None] = lambda _: None
        self._recorder = recorder

    def begin(self) -> None:
        """The nodes that are there from the start."""
        for name, state in self._pools.items():
            for zone, slot in state.offer.pool.places():
                self._register(self._take(name, zone, slot))
        for name, state in self._pools.items():
            for zone in state.offer.pool.zones:
                self._plan_shock(name, zone, 0)
        self._record()

    # Launching

    @property
    def offers(self) -> Mapping[str, Offer]:
        """All pools."""
        return {name: state.offer for name, state in self._pools.items()}

    def count(self, pool: str) -> int:
        """Instances of a pool, those that boot included."""
        return sum(len(slots) for slots in self._pools[pool].slots.values())

    def has_room(self, pool: str) -> bool:
        """Whether a pool may grow."""
        most = self._pools[pool].offer.count_max
        return most is not None and self.count(pool) < most

    def in_drought(self, pool: str, zone: str) -> bool:
        """Whether the cloud has no such machines in a zone now."""
        return self._pools[pool].drought_until.get(zone, 0) > self._kernel.now_us

    def launch(self, pool: str, zone: str) -> str | None:
        """Asks for one more machine; None when there are none to be had."""
        if self.in_drought(pool, zone):
            self._tell("no capacity", f"{pool} in {zone}")
            return None
        slots = self._pools[pool].slots.setdefault(zone, set())
        slot = next(i for i in range(len(slots) + 1) if i not in slots)
        return self._launch(pool, zone, slot).name

    def _launch(self, pool: str, zone: str, slot: int) -> Instance:
        instance = self._take(pool, zone, slot)
        boot = self._pools[pool].offer.boot.draw(self._stream("boot", instance))
        self._tell("launched", f"Node {instance.name}")
        self._kernel.at(
            self._kernel.now_us + boot,
            Phase.NODE,
            instance.name,
            lambda: self._register(instance),
        )
        self._record()
        return instance

    def _take(self, pool: str, zone: str, slot: int) -> Instance:
        state = self._pools[pool]
        state.slots.setdefault(zone, set()).add(slot)
        generation = state.generations.get((zone, slot), -1) + 1
        state.generations[zone, slot] = generation
        name = state.offer.pool.name_of(zone, slot) + (f"-r{generation}" if generation else "")
        instance = Instance(name, pool, zone, slot, generation, self._kernel.now_us)
        self.instances[name] = instance
        self.on_launched(name, pool)
        return instance

    def _register(self, instance: Instance) -> None:
        if instance.ended_us is not None:
            return
        name, zone, offer = instance.name, instance.zone, self._pools[instance.pool].offer
        offset = self._streams.stream("heartbeat", name).randrange(HEARTBEAT_PERIOD_US)
        ordinal = len(self._machines)
        self._machines[name] = Machine(name, zone, offset, ordinal=ordinal)
        node = build_node(offer.pool, name, zone, ordinal + 1, self._world.unix_us())
        created = self._world.create(node)
        if "status" not in created or not is_true(created, "Ready"):
            self._world.update({**created, "status": node["status"]}, "status")
        instance.registered = True
        self._plan_interruption(instance)
        self._record()

    # Ending

    def remove(self, name: str) -> None:
        """Ends a machine that is not needed; it is not replaced."""
        self._end(name, replaced=False)

    def _end(self, name: str, *, replaced: bool) -> None:
        instance = self.instances.pop(name, None)
        if instance is None:
            return
        instance.ended_us = self._kernel.now_us
        self.on_ended(name)
        state = self._pools[instance.pool]
        state.slots[instance.zone].discard(instance.slot)
        self._drains.stop(name)
        self._tell("terminated", f"Node {name}")
        if instance.registered:
            self._on_lost(name)
            node = self._world.get(Ref(NODE, "", name))
            if node is not None:
                self._world.delete(ref_of(node), uid_of(node))
            self._plan_orphans(name)
        self._record()
        if replaced and state.offer.replaces:
            self._replace(instance)

    def _replace(self, instance: Instance) -> None:
        pool, zone = instance.pool, instance.zone
        until = self._pools[pool].drought_until.get(zone, 0)
        if until <= self._kernel.now_us:
            self._launch(pool, zone, instance.slot)
        else:
            self._kernel.at(until, Phase.SCENARIO, instance.name, lambda: self._replace(instance))

    def _plan_orphans(self, name: str) -> None:
        seen = self._kernel.now_us // ORPHANS_CHECKED_EVERY_US + 1
        due = seen * ORPHANS_CHECKED_EVERY_US + ORPHANS_KEPT_US
        self._kernel.at(due, Phase.CONTROLLER, f"podgc {name}", lambda: self._collect(name))

    def _collect(self, name: str) -> None:
        for pod in self._world.cache.pods_on(name):
            try:
                self._world.delete_within(ref_of(pod), uid_of(pod), grace_s=0)
            except RefusedError as refused:
                if refused.reason is not Reason.NOT_FOUND:
                    raise

    # Interruptions

    def interrupt(self, names: list[str], notice_us: Us, *, seen: bool) -> None:
        """The cloud takes machines back after a notice; who sees it drains them meanwhile."""
        for name in names:
            instance = self.instances.get(name)
            if instance is None or instance.is_going:
                continue
            instance.is_going = True
            self._tell("interrupted" if seen else "interrupted unseen", f"Node {name}")
            if seen and instance.registered and notice_us:
                self._drains.start(name, within_us=notice_us)
            self._kernel.at(
                self._kernel.now_us + notice_us,
                Phase.NODE,
                name,
                lambda name=name: self._end(name, replaced=True),  # type: ignore[misc]
            )

    def drought(self, pool: str, zone: str, lasts_us: Us) -> None:
        """For a while there are no such machines in a zone."""
        until = self._pools[pool].drought_until
        until[zone] = max(until.get(zone, 0), self._kernel.now_us + lasts_us)

    def _plan_interruption(self, instance: Instance) -> None:
        how = self._pools[instance.pool].offer.interruptions
        own = how.hazard_per_h * (1 - how.zone_shock) if how else 0.0
        if how is None or own <= 0:
            return
        due = self._kernel.now_us + exponential_us(self._stream("hazard", instance), HOUR_US / own)
        self._kernel.at(
            due, Phase.SCENARIO, instance.name, lambda: self._interrupt([instance], how)
        )

    def _plan_shock(self, pool: str, zone: str, number: int) -> None:
        how = self._pools[pool].offer.interruptions
        if how is None or how.hazard_per_h * how.zone_shock <= 0:
            return
        per_h = how.hazard_per_h * how.zone_shock / how.shock_reach
        stream = self._streams.stream("shock", pool, zone, str(number))
        due = self._kernel.now_us + exponential_us(stream, HOUR_US / per_h)
        self._kernel.at(
            due, Phase.SCENARIO, f"shock {pool} {zone}", lambda: self._shock(pool, zone, number)
        )

    def _shock(self, pool: str, zone: str, number: int) -> None:
        how = self._pools[pool].offer.interruptions
        assert how is not None, "planned for a pool with interruptions"  # noqa: S101
        hit = []
        for instance in sorted(self.instances.values(), key=lambda i: i.name):
            if (instance.pool, instance.zone) == (pool, zone):
                key = ("shock", pool, zone, str(number), str(instance.slot))
                if self._streams.stream(*key).random() < how.shock_reach:
                    hit.append(instance)
        self._tell("spot shock", f"{pool} in {zone}: {len(hit)} nodes")
        self._interrupt(hit, how)
        self._plan_shock(pool, zone, number + 1)

    def _interrupt(self, instances: list[Instance], how: Interruptions) -> None:
        for instance in instances:
            seen = self._stream("notice", instance).random() >= how.missed
            self.interrupt([instance.name], how.notice_us, seen=seen)
            if how.drought_us:
                self.drought(instance.pool, instance.zone, how.notice_us + how.drought_us)

    # Money

    def _record(self) -> None:
        now, recorder = self._kernel.now_us, self._recorder
        rate, spot = 0.0, 0
        for name, state in self._pools.items():
            paid = [i for i in self.instances.values() if i.pool == name]
            there = sum(instance.registered for instance in paid)
            rate += len(paid) * state.offer.price_per_h
            spot += there if state.offer.is_spot else 0
            recorder.series(f"nodes.{name}", "nodes").set(now, there)
        recorder.series("nodes.spot", "nodes").set(now, spot)
        recorder.series("cost.rate", "per hour").set(now, rate)

    def _stream(self, what: str, instance: Instance) -> random.Random:
        keys = (instance.pool, instance.zone, str(instance.slot), str(instance.generation))
        return self._streams.stream(what, *keys)
