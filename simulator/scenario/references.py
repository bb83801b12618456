"""What in a scenario refers to another part of it that is not there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TypeAlias

from pydantic.alias_generators import to_camel

from prism_operator.documents import Location
from simulator.cluster.nodes import Pool
from simulator.scenario.claims import Expectation
from simulator.scenario.cluster import ClusterSpec
from simulator.scenario.complaints import among
from simulator.scenario.model import Scenario
from simulator.scenario.timeline import Event, NodeLossAction, NodesChoice
from simulator.scenario.values import shown
from simulator.scenario.workloads import LoadAction, WorkloadSpec

Problem: TypeAlias = tuple[Location, str]


def dangling(scenario: Scenario) -> Iterator[Problem]:
    """Every reference to what is not there, with its place."""
    yield from _in_cluster(scenario.cluster)
    for i, event in enumerate(scenario.timeline):
        for where, message in _in_event(event, scenario):
            yield ("timeline", i, *where), message
    events = [event.name for event in scenario.timeline if event.name]
    for i, expectation in enumerate(scenario.expect):
        if expectation.after is not None:
            yield from _named(expectation.after, events, "event", ("expect", i, "after"))
        for where, message in _in_count(expectation, scenario.cluster):
            yield ("expect", i, *where), message
    for variant, values in scenario.variants.items():
        for name in values:
            yield from _named(name, scenario.params, "param", ("variants", variant, name))
    for name in scenario.sweep.vary if scenario.sweep else ():
        yield from _named(name, scenario.params, "param", ("sweep", "vary", name))
    if scenario.compare is not None and scenario.compare.baseline is not None:
        where = ("compare", "baseline")
        yield from _named(scenario.compare.baseline, scenario.variants, "variant", where)


def _named(name: str, known: Iterable[str], what: str, where: Location) -> Iterator[Problem]:
    known = list(known)
    if name not in known:
        article = "an" if what[0] in "aeiou" else "a"
        yield where, f"{shown(name)} is not {article} {what} {among(name, known)}"


def _in_cluster(cluster: ClusterSpec) -> Iterator[Problem]:
    for name, pool in cluster.pools.items():
        where: Location = ("cluster", "pools", name)
        for i, zone in enumerate(pool.zones or ()):
            yield from _named(zone, cluster.zones, "zone", (*where, "zones", i))
        for zone in pool.names:
            yield from _named(zone, pool.zones or cluster.zones, "zone", (*where, "names", zone))
        if pool.max is not None and cluster.nodes.provisioner == "fixed":
            message = "nobody adds nodes: say nodes: clusterAutoscaler or nodes: karpenter"
            yield (*where, "max"), message
    for i, pool_name in enumerate(cluster.nodes.priorities):
        where = ("cluster", "nodes", "priorities", i)
        yield from _named(pool_name, cluster.pools, "pool", where)
    listed = sorted(zone for zones in cluster.regions.values() for zone in zones)
    if cluster.regions and listed != sorted(cluster.zones):
        yield (
            ("cluster", "regions"),
            f"expected each of {', '.join(cluster.zones)} once, got {', '.join(listed)}",
        )

    yield from _named_twice(cluster)


def _named_twice(cluster: ClusterSpec) -> Iterator[Problem]:
    seen: set[str] = set()
    for pool, spec in cluster.pools.items():
        for zone, names in spec.names.items():
            for i, name in enumerate(names):
                if name in seen:
                    where = ("cluster", "pools", pool, "names", zone, i)
                    yield where, f"{shown(name)} is the name of another node too"
                seen.add(name)


def _in_event(event: Event, scenario: Scenario) -> Iterator[Problem]:
    cluster = scenario.cluster
    if event.load is not None:
        yield from _in_load(event.load, scenario.workloads)
    if event.prometheus is not None and cluster.autoscaling.prometheus is None:
        yield ("prometheus",), "there is no cluster.autoscaling.prometheus"
    if event.keda is not None and not cluster.autoscaling.keda:
        yield ("keda",), "it is not installed: say cluster.autoscaling.keda: true"
    if event.node_loss is not None:
        yield from _in_loss(event.node_loss, cluster)
    if event.drought is not None:
        where = ("drought", "pool")
        yield from _named(event.drought.pool, cluster.pools, "pool", where)
        if event.drought.zone is not None:
            yield from _named(event.drought.zone, cluster.zones, "zone", ("drought", "zone"))
    choices: Mapping[str, NodesChoice | None] = {
        "cordon": event.cordon,
        "uncordon": event.uncordon,
        "drain": event.drain,
        "spotInterruption": event.spot_interruption,
    }
    for action, choice in choices.items():
        if choice is not None:
            yield from _in_choice(choice, action, cluster)
    replicas = scenario.operator.replicas
    strikes = {
        "operatorCrash": event.operator_crash,
        "operatorRestart": event.operator_restart,
        "apiServer": event.api_server,
    }
    for action, strike in strikes.items():
        replica = None if strike is None else strike.replica
        if replica is not None and replica >= replicas:
            there = f"operator.replicas is {replicas}, they count from 0"
            yield (action, "replica"), f"there is no {replica}: {there}"


def _in_load(load: LoadAction, workloads: Mapping[str, WorkloadSpec]) -> Iterator[Problem]:
    workload = workloads.get(load.of)
    if workload is None:
        yield from _named(load.of, workloads, "workload", ("load", "of"))
    elif workload.kind != load.kind:
        yield ("load",), f'this is for {load.kind}, "{load.of}" is {workload.kind}'
    if any(course.noise != "none" for course in load.courses):
        yield ("load",), "noise is said in the workload, for all of its courses"


def _in_loss(loss: NodeLossAction, cluster: ClusterSpec) -> Iterator[Problem]:
    if loss.node is not None:
        yield from _node(loss.node, cluster, ("nodeLoss", "node"))
    if loss.zone is not None:
        yield from _named(loss.zone, cluster.zones, "zone", ("nodeLoss", "zone"))
    if loss.region is not None:
        yield from _named(loss.region, _regions(cluster), "region", ("nodeLoss", "region"))


def _in_choice(choice: NodesChoice, action: str, cluster: ClusterSpec) -> Iterator[Problem]:
    zones = cluster.zones
    if choice.node is not None:
        yield from _node(choice.node, cluster, (action, "node"))
    if choice.pool is not None:
        yield from _named(choice.pool, cluster.pools, "pool", (action, "pool"))
        pool = cluster.pools.get(choice.pool)
        zones = (pool and pool.zones) or zones
    if choice.zone is not None:
        yield from _named(choice.zone, zones, "zone", (action, "zone"))


def _in_count(expectation: Expectation, cluster: ClusterSpec) -> Iterator[Problem]:
    count, where = expectation.claim.count, (to_camel(expectation.mode), "count")
    if count is None:
        return
    if count.node is not None:
        yield from _node(count.node, cluster, (*where, "node"))
    if count.zone is not None:
        yield from _named(count.zone, cluster.zones, "zone", (*where, "zone"))
    if count.region is not None:
        yield from _named(count.region, _regions(cluster), "region", (*where, "region"))


def _regions(cluster: ClusterSpec) -> Iterable[str]:
    return cluster.regions or (cluster.region,)


def _node(name: str, cluster: ClusterSpec, where: Location) -> Iterator[Problem]:
    there = list(_first_nodes(cluster))
    # Later ones are called alike: with a higher number, or with -r1 where one was replaced.
    if name not in there and not any(name.startswith(n.rpartition("-")[0] + "-") for n in there):
        yield where, f"{shown(name)} is not a node {among(name, there)}"


def _first_nodes(cluster: ClusterSpec) -> Iterator[str]:
    for name, spec in cluster.pools.items():
        zones = spec.zones or cluster.zones
        count = max(spec.count, len(zones) if spec.max else 0)
        pool = Pool(name, zones, count, {}, names=spec.names)
        yield from (pool.name_of(zone, number) for zone, number in pool.places())
