"""Thousands of mixed decisions of the columnar scheduler, each counted anew from all pods.

``make test-deep`` takes 20,000 decisions on 5,000 nodes. Each is held against a recomputation in
numpy (``scheduling_recomputed``), and one in 2,000 against the scheduler over objects as well,
which takes seconds for one.
"""

from __future__ import annotations

import os
import random
from dataclasses import replace

import numpy as np

from simulator.scheduling.columnar import ColumnarScheduler
from simulator.scheduling.decision import Sampler
from simulator.scheduling.nodes import Cluster, NodeInfo
from simulator.scheduling.pods import parse_pod
from tests.simulator.scheduling_recomputed import Recomputed
from tests.simulator.scheduling_worlds import NAMESPACES, a_node, a_template, owners, services

DEEP = bool(os.environ.get("PRISM_DEEP"))
NODES, DECISIONS, TEMPLATES = (5_000, 20_000, 60) if DEEP else (250, 150, 30)
EVERY_BY_OBJECTS = 2_000 if DEEP else 50
TAINT_SCORE = 300


class Lockstep:
    """One cluster three times: over columns compiled and in numpy, and to be recomputed."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.context = {"namespaces": NAMESPACES, "services": services(), "owners": owners()}
        self.schedulers = [ColumnarScheduler(compiled=c, **self.context) for c in (True, False)]
        self.recomputed = Recomputed(NODES + 500, TEMPLATES + 100, **self.context)
        self.bound: list[tuple[int, str]] = []
        self.nodes_made = 0
        for _ in range(NODES):
            self.add_node()
        for _ in range(TEMPLATES):
            self.register()

    def order(self) -> list[str]:
        cluster = self.schedulers[0].cluster
        found = [cluster.nodes[slot] for slot in cluster.order]
        return [node.name for node in found if node is not None]

    def add_node(self) -> None:
        node = a_node(self.rng, f"n{self.nodes_made}")
        self.nodes_made += 1
        for scheduler in self.schedulers:
            scheduler.add_node(node)
        self.recomputed.put_node(NodeInfo.parse(node))

    def remove_node(self) -> None:
        name = self.rng.choice(sorted(self.recomputed.columns))
        for scheduler in self.schedulers:
            scheduler.remove_node(scheduler.node_of(name))
        self.recomputed.remove_node(name)
        self.bound = [pod for pod in self.bound if pod[1] != name]

    def update_node(self) -> None:
        name = self.rng.choice(sorted(self.recomputed.columns))
        node = a_node(self.rng, name)
        for scheduler in self.schedulers:
            scheduler.update_node(scheduler.node_of(name), node)
        self.recomputed.put_node(NodeInfo.parse(node))

    def register(self) -> None:
        template = a_template(self.rng, len(self.recomputed.pods))
        for scheduler in self.schedulers:
            scheduler.register(template)
        self.recomputed.register(parse_pod(template))

    def bind(self, pod: int, name: str) -> None:
        for scheduler in self.schedulers:
            scheduler.bind(pod, scheduler.node_of(name))
        self.recomputed.bound[pod, self.recomputed.columns[name]] += 1
        self.bound.append((pod, name))

    def unbind(self) -> None:
        if self.bound:
            pod, name = self.bound.pop(self.rng.randrange(len(self.bound)))
            leaves = self.rng.random() < 0.3
            for scheduler in self.schedulers:
                if leaves:
                    scheduler.mark_leaving(pod, scheduler.node_of(name))
                scheduler.unbind(pod, scheduler.node_of(name), leaving=leaves)
            self.recomputed.bound[pod, self.recomputed.columns[name]] -= 1

    def by_objects(self, pod: int, order: list[str], start: int) -> tuple[dict[str, int], int]:
        """The decision of the scheduler over objects, with the cluster parsed anew."""
        infos = []
        for name in order:
            column = self.recomputed.columns[name]
            node = self.recomputed.nodes[column]
            assert node is not None
            counts = self.recomputed.bound[:, column]
            pods = [
                replace(self.recomputed.pods[number])
                for number in np.flatnonzero(counts)
                for _ in range(counts[number])
            ]
            infos.append(NodeInfo.parse(node.obj, pods))
        sampler = Sampler(start)
        evaluation = sampler.evaluate(self.recomputed.pods[pod], Cluster(infos, **self.context))
        totals = zip(evaluation.feasible, evaluation.totals, strict=True)
        return {node.name: total for node, total in totals}, evaluation.evaluated


def test_every_decision_is_that_of_full_recomputation() -> None:
    world = Lockstep(seed=5)
    changes = [world.unbind] * 12 + [world.add_node, world.remove_node, world.update_node]
    placed = 0
    order = world.order()

    for number in range(DECISIONS):
        pod = world.rng.randrange(len(world.recomputed.pods))
        start = world.recomputed.start
        totals, looked_at = world.recomputed.decide(pod, order)
        best = min(totals, key=lambda name: (-totals[name], name), default=None)
        if number % EVERY_BY_OBJECTS == 0:
            assert (totals, looked_at) == world.by_objects(pod, order, start)
        for scheduler in world.schedulers:
            decision = scheduler.decide(pod)
            names = [scheduler.cluster.nodes[slot] for slot in decision.feasible]
            ours = dict(zip([n.name for n in names if n], decision.totals.tolist(), strict=True))
            assert {name: total + TAINT_SCORE for name, total in ours.items()} == totals
            assert decision.evaluated == looked_at
            assert decision.node == (None if best is None else scheduler.node_of(best))
        if best is not None:
            world.bind(pod, best)
            placed += 1
        if world.rng.random() < 0.4:
            world.rng.choice(changes)()
            order = world.order()

    assert placed > DECISIONS // 4
