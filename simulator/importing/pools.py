"""The nodes of a cluster as pools of a scenario: those that are alike are one."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from prism_operator.api.meta import Json
from simulator.cluster.nodes import HOSTNAME_LABEL, REGION_LABEL, ZONE_LABEL, Pool
from simulator.controllers.objects import is_true
from simulator.inputs import BadInputError

# Where the name of a pool stands, ours first, then those of clouds and of Karpenter.
_POOL_LABELS = (
    "pool",
    "karpenter.sh/nodepool",
    "eks.amazonaws.com/nodegroup",
    "cloud.google.com/gke-nodepool",
    "kubernetes.azure.com/agentpool",
    "agentpool",
    "node.kubernetes.io/instance-type",
)
_TYPE = "node.kubernetes.io/instance-type"
_LIFECYCLE = "karpenter.sh/capacity-type"
# What every simulated node says of itself.
_GIVEN = {"kubernetes.io/arch": "amd64", "kubernetes.io/os": "linux"}
_OF_PLACE = (HOSTNAME_LABEL, ZONE_LABEL, REGION_LABEL)
# Taints that the node controllers give and take by themselves.
_PASSING = ("node.kubernetes.io/", "node.cloudprovider.kubernetes.io/")


@dataclass(slots=True)
class Pools:
    """Part of a scenario's ``cluster``; ``cordoned`` are nodes that take no new pods."""

    cluster: Json
    cordoned: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(slots=True)
class _Group:
    name: str
    labels: Json
    taints: list[Json]
    allocatable: dict[str, str]
    by_zone: dict[str, list[str]] = field(default_factory=dict)


def pools_of(
    nodes: Sequence[Json], used_labels: Collection[str], zones_before: Sequence[str] = ()
) -> Pools:
    """Zones, regions and pools of nodes that are ready.

    Labels of which each node has a value of its own are left out, unless they are in
    ``used_labels``. Zones are in the order of ``zones_before`` when these are the same.

    Raises:
        BadInputError: There is no node that is ready.
    """
    ready = [node for node in nodes if _is_ready(node)]
    notes = [
        f"Node {_name(node)}: not ready, and left out" for node in nodes if not _is_ready(node)
    ]
    if not ready:
        raise BadInputError([*notes, "expected a Node that is ready, got none: kubectl get nodes"])
    own = _own_labels(ready) - set(used_labels)
    if own:
        notes.append(
            f"labels of which each node has its own, and left out: {', '.join(sorted(own))}"
        )
    groups: dict[str, _Group] = {}
    regions: dict[str, list[str]] = {}
    for node in ready:
        labels, zone = _labels(node), _labels(node).get(ZONE_LABEL, "")
        of_region = regions.setdefault(labels.get(REGION_LABEL, ""), [])
        if zone not in of_region:
            of_region.append(zone)
        if labels.get(HOSTNAME_LABEL, _name(node)) != _name(node):
            notes.append(f"Node {_name(node)}: its hostname label is taken to be its name")
        group = _group_of(node, own)
        key = json.dumps(
            [group.name, group.labels, group.taints, group.allocatable], sort_keys=True
        )
        groups.setdefault(key, group).by_zone.setdefault(zone, []).append(_name(node))
    zones = sorted({zone for of in regions.values() for zone in of})
    if sorted(zones_before) == zones:
        zones = list(zones_before)
    cluster: Json = {"zones": zones, "pools": {}}
    if len(regions) == 1:
        cluster = {"region": next(iter(regions)), **cluster}
    else:
        cluster = {"regions": {r: sorted(of) for r, of in sorted(regions.items())}, **cluster}
    for name, group in _named(groups.values()):
        cluster["pools"][name] = _pool(name, group, zones)
    cordoned = tuple(sorted(_name(n) for n in ready if (n.get("spec") or {}).get("unschedulable")))
    return Pools(cluster, cordoned, tuple(notes))


def _is_ready(node: Json) -> bool:
    """Of a node that was never alive nothing is said; it is meant to be."""
    conditions = (node.get("status") or {}).get("conditions")
    if node["metadata"].get("deletionTimestamp"):
        return False
    return not conditions or is_true(node, "Ready")


def _own_labels(nodes: Sequence[Json]) -> set[str]:
    values: dict[str, Counter[str]] = {}
    for node in nodes:
        for key, value in _labels(node).items():
            if key not in _OF_PLACE:
                values.setdefault(key, Counter())[value] += 1
    return {
        key
        for key, found in values.items()
        if 1 < len(nodes) == len(found) and key not in _POOL_LABELS
    }


def _group_of(node: Json, left_out: Collection[str]) -> _Group:
    labels = {
        key: value
        for key, value in sorted(_labels(node).items())
        if key not in _OF_PLACE and key not in left_out and _GIVEN.get(key) != value
    }
    taints = [
        {k: taint[k] for k in ("key", "value", "effect") if taint.get(k)}
        for taint in (node.get("spec") or {}).get("taints") or ()
        if not str(taint.get("key")).startswith(_PASSING)
    ]
    status = node.get("status") or {}
    offered = status.get("allocatable") or status.get("capacity") or {}
    allocatable = {k: str(v) for k, v in sorted(offered.items()) if str(v) != "0"}
    name = next((labels[key] for key in _POOL_LABELS if labels.get(key)), "nodes")
    return _Group(name, labels, taints, allocatable)


def _named(groups: Iterable[_Group]) -> list[tuple[str, _Group]]:
    """Groups by a name of their own: of those that share one, the others are numbered."""
    found: dict[str, _Group] = {}
    for group in sorted(groups, key=lambda g: (g.name, min(min(of) for of in g.by_zone.values()))):
        name, number = group.name, 2
        while name in found:
            name, number = f"{group.name}-{number}", number + 1
        found[name] = group
    return sorted(found.items())


def _pool(name: str, group: _Group, zones: Sequence[str]) -> Json:
    labels = dict(group.labels)
    pool: Json = {"count": sum(map(len, group.by_zone.values()))}
    if _TYPE in labels:
        pool["type"] = labels.pop(_TYPE)
    if labels.get(_LIFECYCLE) in ("spot", "on-demand"):
        pool["lifecycle"] = labels.pop(_LIFECYCLE)
    if labels.get("pool") == name:
        del labels["pool"]
    there = [zone for zone in zones if zone in group.by_zone]
    if there != list(zones):
        pool["zones"] = there
    usual = Pool(name, there, pool["count"], {})
    called: dict[str, set[str]] = {}
    for zone, number in usual.places():
        called.setdefault(zone, set()).add(usual.name_of(zone, number))
    if called != {zone: set(of) for zone, of in group.by_zone.items()}:
        pool["names"] = {zone: sorted(group.by_zone[zone]) for zone in there}
    pool["allocatable"] = group.allocatable
    if labels:
        pool["labels"] = labels
    if group.taints:
        pool["taints"] = group.taints
    return pool


def _labels(node: Json) -> dict[str, str]:
    return {str(k): str(v) for k, v in (node["metadata"].get("labels") or {}).items()}


def _name(node: Json) -> str:
    return str(node["metadata"]["name"])


def texts_in(value: Any) -> set[str]:
    """All keys and texts in a value: what of a node's labels may be asked for."""
    if isinstance(value, dict):
        return {str(k) for k in value}.union(*map(texts_in, value.values()))
    if isinstance(value, list):
        return set().union(*map(texts_in, value))
    return {value} if isinstance(value, str) else set()
