"""The columnar scheduler decides as the one over objects does, compiled and in plain numpy."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import pytest

from simulator.scheduling.columnar import ColumnarScheduler, Decision
from simulator.scheduling.decision import Evaluation, Sampler
from simulator.scheduling.nodes import Cluster, NodeInfo, zone_order
from simulator.scheduling.pods import PodInfo, parse_pod
from tests.simulator.scheduling_recomputed import Recomputed
from tests.simulator.scheduling_worlds import (
    NAMESPACES,
    a_node,
    a_template,
    owners,
    services,
)

TAINT_SCORE = 300  # what all nodes get that have no taint to dislike; columns leave it out


class Both:
    """The same cluster over columns and over objects, changed alike."""

    def __init__(self, seed: int, nodes: int, templates: int, *, compiled: bool) -> None:
        self.rng = random.Random(seed)
        context = {"namespaces": NAMESPACES, "services": services(), "owners": owners()}
        self.columns = ColumnarScheduler(compiled=compiled, **context)
        self.sampler = Sampler()
        self.context = context
        self.infos: dict[str, NodeInfo] = {}
        self.pods: list[PodInfo] = []
        self.leaving: list[PodInfo] = []
        self.bound: list[tuple[int, str, bool]] = []
        self.nodes_made = 0
        for _ in range(nodes):
            self.add_node()
        for _ in range(templates):
            self.register()

    def add_node(self) -> None:
        node = a_node(self.rng, f"n{self.nodes_made}")
        self.nodes_made += 1
        self.columns.add_node(node)
        self.infos[node["metadata"]["name"]] = NodeInfo.parse(node)

    def remove_node(self) -> None:
        if len(self.infos) > 2:
            name = self.rng.choice(sorted(self.infos))
            self.columns.remove_node(self.columns.node_of(name))
            del self.infos[name]
            self.bound = [pod for pod in self.bound if pod[1] != name]

    def update_node(self) -> None:
        name = self.rng.choice(sorted(self.infos))
        node = a_node(self.rng, name)
        self.columns.update_node(self.columns.node_of(name), node)
        self.infos[name] = NodeInfo.parse(node, self.infos[name].pods)

    def register(self) -> None:
        template = a_template(self.rng, len(self.pods))
        assert self.columns.register(template) == len(self.pods)
        self.pods.append(parse_pod(template))
        self.leaving.append(replace(self.pods[-1], is_deleting=True))

    def unbind(self) -> None:
        if self.bound:
            pod, name, leaves = self.bound.pop(self.rng.randrange(len(self.bound)))
            self.columns.unbind(pod, self.columns.node_of(name), leaving=leaves)
            self.infos[name].remove((self.leaving if leaves else self.pods)[pod])

    def mark_leaving(self) -> None:
        index = self.rng.randrange(len(self.bound)) if self.bound else -1
        if index >= 0 and not self.bound[index][2]:
            pod, name, _ = self.bound[index]
            self.columns.mark_leaving(pod, self.columns.node_of(name))
            self.infos[name].remove(self.pods[pod])
            self.infos[name].add(self.leaving[pod])
            self.bound[index] = pod, name, True

    def decide(self) -> tuple[int, Decision, Evaluation]:
        pod = self.rng.randrange(len(self.pods))
        decision = self.columns.decide(pod)
        return pod, decision, self.sampler.evaluate(self.pods[pod], self.cluster())

    def bind(self, pod: int, name: str) -> None:
        self.columns.bind(pod, self.columns.node_of(name))
        self.infos[name].add(self.pods[pod])
        self.bound.append((pod, name, False))

    def cluster(self) -> Cluster:
        return Cluster([self.infos[self.name(slot)] for slot in self.order()], **self.context)

    def order(self) -> list[int]:
        return self.columns.cluster.order.tolist()

    def name(self, slot: int) -> str:
        node = self.columns.cluster.nodes[slot]
        assert node is not None
        return node.name


def assert_alike(world: Both, pod: int, decision: Decision, evaluation: Evaluation) -> None:
    spec = world.pods[pod].obj
    totals = {node.name: t for node, t in zip(evaluation.feasible, evaluation.totals, strict=True)}
    ours = {
        world.name(slot): total + TAINT_SCORE
        for slot, total in zip(decision.feasible.tolist(), decision.totals.tolist(), strict=True)
    }
    assert ours == totals, spec
    assert decision.evaluated == evaluation.evaluated, spec
    assert (None if decision.node is None else world.name(decision.node)) == (
        None if evaluation.best is None else evaluation.best.name
    )
    assert world.columns.start == world.sampler.start


def live(world: Both, decisions: int) -> int:
    """Decides so often, with other changes in between; how many pods found a node."""
    placed = 0
    changes: list[Any] = [
        world.unbind, world.unbind, world.mark_leaving,
        world.add_node, world.remove_node, world.update_node, world.register,
    ]  # fmt: skip
    for _ in range(decisions):
        pod, decision, evaluation = world.decide()
        assert_alike(world, pod, decision, evaluation)
        if evaluation.best is not None:
            world.bind(pod, evaluation.best.name)
            placed += 1
        if world.rng.random() < 0.3:
            world.rng.choice(changes)()
    return placed


@pytest.mark.parametrize("compiled", [True, False], ids=["compiled", "numpy"])
@pytest.mark.parametrize("seed", range(12))
def test_decisions_are_those_of_full_recomputation(seed: int, *, compiled: bool) -> None:
    world = Both(seed, nodes=4 + 2 * seed, templates=12, compiled=compiled)

    assert live(world, 250) > 60


@pytest.mark.parametrize("compiled", [True, False], ids=["compiled", "numpy"])
def test_decisions_are_those_of_full_recomputation_where_not_all_nodes_are_looked_at(
    *, compiled: bool
) -> None:
    world = Both(99, nodes=160, templates=12, compiled=compiled)

    assert live(world, 40) > 20


@pytest.mark.parametrize("seed", range(4))
def test_recomputation_in_numpy_is_that_over_objects(seed: int) -> None:
    world = Both(seed, nodes=6 + 30 * seed, templates=12, compiled=False)
    recomputed = Recomputed(200, 20, **world.context)
    for info in world.infos.values():
        recomputed.put_node(info)
    for pod in world.pods:
        recomputed.register(pod)

    for _ in range(80):
        number, _, evaluation = world.decide()
        order = [world.name(slot) for slot in world.order()]
        totals = zip(evaluation.feasible, evaluation.totals, strict=True)
        expected = {node.name: total for node, total in totals}, evaluation.evaluated
        assert recomputed.decide(number, order) == expected
        if evaluation.best is not None:
            world.bind(number, evaluation.best.name)
            recomputed.bound[number, recomputed.columns[evaluation.best.name]] += 1


def test_many_at_once_go_where_one_after_another_goes() -> None:
    one, many = (Both(7, nodes=130, templates=10, compiled=True).columns for _ in range(2))
    pods = [random.Random(5).randrange(10) for _ in range(300)]

    singly = [one.schedule(pod) for pod in pods]

    assert many.schedule_many(pods).tolist() == [-1 if n is None else n for n in singly]
    assert one.start == many.start


def test_nodes_are_looked_at_zone_by_zone_in_turn() -> None:
    world = Both(3, nodes=40, templates=0, compiled=False)

    ordered = [world.name(slot) for slot in world.order()]

    assert ordered == [node.name for node in zone_order(list(world.infos.values()))]


def test_what_is_not_there_is_refused() -> None:
    world = Both(1, nodes=2, templates=1, compiled=False)

    with pytest.raises(ValueError, match="no pod of class 0 is on the node in slot 1"):
        world.columns.unbind(0, 1)
    with pytest.raises(ValueError, match="there is no node in slot 9"):
        world.columns.remove_node(9)
    with pytest.raises(ValueError, match="n0 is there already"):
        world.columns.add_node({"metadata": {"name": "n0"}, "spec": {}})
