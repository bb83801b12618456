"""Preemption over columns chooses the node and the victims that the one over objects chooses."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import pytest

from simulator.scheduling.columnar import ColumnarPreemption, ColumnarScheduler
from simulator.scheduling.decision import Sampler
from simulator.scheduling.nodes import Cluster, NodeInfo
from simulator.scheduling.pods import PodInfo, parse_pod
from simulator.scheduling.preemption import Candidate, preempt
from tests.simulator.scheduling_worlds import (
    APPS,
    NAMESPACES,
    a_node,
    a_template,
    owners,
    services,
)


def a_budget(rng: random.Random, number: int) -> dict[str, Any]:
    selector = rng.choice([{"matchLabels": {"app": rng.choice(APPS)}}, {"matchLabels": {}}])
    return {
        "metadata": {"namespace": "prism", "name": f"b{number}"},
        "spec": {"selector": selector},
        "status": {
            "disruptionsAllowed": rng.choice((0, 0, 1, 3)),
            "disruptedPods": {f"p{rng.randrange(100)}": "2026-01-01T00:00:00Z"},
        },
    }


class World:
    """Single pods on the same nodes, over columns and over objects."""

    def __init__(self, seed: int, nodes: int, *, compiled: bool) -> None:
        self.rng = random.Random(seed)
        self.context = {"namespaces": NAMESPACES, "services": services(), "owners": owners()}
        self.scheduler = ColumnarScheduler(compiled=compiled, **self.context)
        self.preemption = ColumnarPreemption(self.scheduler, compiled=compiled)
        self.sampler = Sampler()
        self.templates = [a_template(self.rng, number) for number in range(14)]
        for template in self.templates:
            template["spec"].pop("topologySpreadConstraints", None)
            if self.rng.random() < 0.1:
                template["spec"]["preemptionPolicy"] = "Never"
        for template in (self.templates[3], self.templates[5]):
            template["spec"]["topologySpreadConstraints"] = [
                {
                    "maxSkew": 1,
                    "topologyKey": "topology.kubernetes.io/zone",
                    "whenUnsatisfiable": "DoNotSchedule",
                    "labelSelector": {"matchLabels": {"app": "a"}},
                }
            ]
        self.parsed = [parse_pod(template) for template in self.templates]
        self.infos: dict[str, NodeInfo] = {}
        for number in range(nodes):
            node = a_node(self.rng, f"n{number}")
            self.scheduler.add_node(node)
            self.infos[node["metadata"]["name"]] = NodeInfo.parse(node)
        for template in self.templates:
            self.scheduler.register(template)
        self.budgets = [a_budget(self.rng, number) for number in range(4)]
        self.preemption.set_budgets(self.budgets)
        self.pods: dict[int, tuple[PodInfo, str]] = {}
        self.promises: dict[int, tuple[PodInfo, str]] = {}
        self.made = 0

    def new(self, kind: int) -> PodInfo:
        self.made += 1
        started = None if self.rng.random() < 0.2 else self.rng.randrange(5)
        name = f"p{self.made}"
        return replace(self.parsed[kind], name=name, uid=name, started_ns=started)

    def add(self, kind: int, pod: PodInfo, node: str) -> None:
        slot = self.scheduler.node_of(node)
        number = self.preemption.add_pod(kind, slot, pod.name, started_ns=pod.started_ns)
        self.pods[number] = pod, node
        self.infos[node].add(pod)

    def remove(self, number: int) -> None:
        pod, node = self.pods.pop(number)
        self.infos[node].remove(pod)

    def mark_leaving(self) -> None:
        number = self.rng.choice(sorted(self.pods))
        pod, node = self.pods[number]
        self.preemption.mark_leaving(number)
        self.infos[node].remove(pod)
        self.pods[number] = replace(pod, is_deleting=True), node
        self.infos[node].add(self.pods[number][0])

    def promise(self, kind: int, pod: PodInfo, node: str) -> None:
        nomination = self.scheduler.nominate(kind, self.scheduler.node_of(node))
        self.promises[nomination] = pod, node

    def cluster(self) -> Cluster:
        slots = self.scheduler.cluster.nodes
        ordered = [slots[slot] for slot in self.scheduler.cluster.order]
        nominated: dict[str, list[PodInfo]] = {}
        for pod, node in self.promises.values():
            nominated.setdefault(node, []).append(pod)
        return Cluster(
            [self.infos[node.name] for node in ordered if node is not None],
            budgets=self.budgets,
            nominated=nominated,
            **self.context,
        )

    def step(self) -> bool:
        """One more pod: placed, or room is made for it. Whether anybody had to go."""
        kind = self.rng.randrange(len(self.templates))
        pod, nomination = self.new(kind), -1
        if self.promises and self.rng.random() < 0.4:
            nomination = self.rng.choice(sorted(self.promises))
            pod = self.promises[nomination][0]
            kind = next(k for k, parsed in enumerate(self.parsed) if parsed.obj is pod.obj)
        cluster = self.cluster()
        evaluation = self.sampler.evaluate(pod, cluster)
        decision = self.scheduler.decide(kind, nomination=nomination)
        best = evaluation.best
        assert decision.node == (None if best is None else self.scheduler.node_of(best.name))
        assert decision.evaluated == evaluation.evaluated
        if best is not None:
            if nomination >= 0:
                self.scheduler.withdraw(nomination)
                del self.promises[nomination]
            self.add(kind, pod, best.name)
            return False
        drawn = self.rng.randrange(1000)
        expected = preempt(
            pod, cluster, evaluation.filters, evaluation.rejections, draw=lambda n: drawn % n
        )
        if nomination >= 0 and self._waits(pod, self.promises[nomination][1]):
            expected = None
        room = self.preemption.preempt(kind, draw=drawn, nomination=nomination)
        if expected is None:
            assert room is None
            return False
        self._compare(room, expected)
        assert room is not None
        self.preemption.evict(room)
        for victim in room.victims:
            self.remove(victim)
        self._charge(expected)
        if nomination < 0:
            self.promise(kind, pod, expected.node.name)
        return True

    def _waits(self, pod: PodInfo, node: str) -> bool:
        return any(o.is_deleting and o.priority < pod.priority for o in self.infos[node].pods)

    def _compare(self, room: Any, expected: Candidate) -> None:
        assert room is not None, expected
        assert room.node == self.scheduler.node_of(expected.node.name)
        names = [self.pods[victim][0].name for victim in room.victims]
        assert names == [victim.name for victim in expected.victims]
        assert room.violations == expected.violations

    def _charge(self, expected: Candidate) -> None:
        for index, budget in enumerate(self.budgets):
            allowed = self.preemption.disruptions_allowed(index)
            status = {**budget["status"], "disruptionsAllowed": allowed}
            self.budgets[index] = {**budget, "status": status}


@pytest.mark.parametrize("compiled", [True, False], ids=["compiled", "plain"])
@pytest.mark.parametrize(
    ("seed", "nodes", "steps"), [(seed, 3 + seed, 300) for seed in range(8)] + [(8, 120, 1200)]
)
def test_node_and_victims_are_those_of_full_recomputation(
    seed: int, nodes: int, steps: int, *, compiled: bool
) -> None:
    world = World(seed, nodes, compiled=compiled)

    made_room = 0
    for _ in range(steps):
        made_room += world.step()
        if world.pods and world.rng.random() < 0.05:
            world.mark_leaving()
        if world.rng.random() < 0.02:
            world.budgets = [a_budget(world.rng, number) for number in range(4)]
            world.preemption.set_budgets(world.budgets)

    assert made_room > 4
