"""The scenario that comes of a cluster: alone, or in the place of another scenario's cluster."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from prism_operator.api.meta import Json
from simulator.importing.pools import pools_of, texts_in
from simulator.importing.selection import Selected

DURATION = "10m"
# What nodes say of their pool; all else about it somebody has to know.
_SEEN = ("count", "zones", "names", "allocatable", "labels", "taints", "type", "lifecycle")


@dataclass(frozen=True, slots=True)
class Imported:
    """A scenario, the manifests that go beside it, and what was left out or has to be known."""

    scenario: Json
    manifests: tuple[Json, ...]
    notes: tuple[str, ...]


def compose(
    selected: Selected, source: str, manifests: str, base: Json | None, *, keda: bool = True
) -> Imported:
    """A scenario that names its manifests ``manifests``; with what nodes do not tell from ``base``.

    Raises:
        BadInputError: There is no node that is ready.
    """
    keda = keda and selected.keda
    before = (base or {}).get("cluster") or {}
    used = texts_in([obj.get("spec") for obj in selected.manifests])
    found = pools_of(selected.nodes, used, before.get("zones") or ())
    notes = [*selected.notes, *found.notes]
    cordons: list[Json] = [{"at": "0s", "cordon": {"node": name}} for name in found.cordoned]
    if base is None:
        return Imported(
            _alone(selected, source, manifests, found.cluster, cordons, keda=keda),
            selected.manifests,
            tuple(notes),
        )
    scenario = copy.deepcopy(base)
    scenario["cluster"] = _merged(before, found.cluster, notes)
    if keda:
        scenario["cluster"].setdefault("autoscaling", {})["keda"] = True
    scenario["manifests"] = [manifests]
    told = scenario.get("timeline") or []
    new = [event for event in cordons if event not in told]
    if new or told:
        scenario["timeline"] = [*new, *told]
    return Imported(scenario, selected.manifests, tuple(notes))


def _alone(
    selected: Selected,
    source: str,
    manifests: str,
    cluster: Json,
    cordons: Sequence[Json],
    *,
    keda: bool,
) -> Json:
    scenario: Json = {
        "question": f"Does what was read from {source} come up, and stay?",
        "seed": 1,
        "duration": DURATION,
        "cluster": {**cluster, **({"autoscaling": {"keda": True}} if keda else {})},
        "manifests": [manifests],
    }
    if cordons:
        scenario["timeline"] = list(cordons)
    nodes = sum(pool["count"] for pool in cluster["pools"].values())
    scenario["expect"] = [
        *({"atEnd": _claim(claim)} for claim in selected.expected),
        {"always": {"count": {"of": "Node", "equals": nodes}}},
    ]
    return scenario


def _claim(claim: Sequence[str]) -> Json:
    kind, namespace, name, *replicas = claim
    target = f"{kind}/{namespace}/{name}"
    if replicas:
        return {"field": {"of": target, "path": "status.readyReplicas", "equals": int(replicas[0])}}
    return {"condition": {"of": target}}


def _merged(before: Mapping[str, Any], found: Json, notes: list[str]) -> Json:
    """A cluster as it was read, with what the scenario before it says of its pools and times."""
    pools: Json = {}
    for name, pool in (before.get("pools") or {}).items():
        known = {key: value for key, value in pool.items() if key not in _SEEN}
        if name in found["pools"]:
            pools[name] = {**known, **found["pools"][name]}
        else:
            pools[name] = {**pool, "count": 0, **({"min": 0} if pool.get("min") else {})}
    for name, pool in found["pools"].items():
        if name not in pools:
            pools[name] = pool
            notes.append(f"pool {name}: new; its price, boot time and interruptions are not known")
    rest = {k: v for k, v in before.items() if k not in ("zones", "region", "regions", "pools")}
    zones = list(found["zones"])
    # Zones in which there is no node now may have some again.
    zones += [zone for zone in before.get("zones") or () if zone not in zones]
    return {
        **{k: v for k, v in found.items() if k not in ("zones", "pools")},
        "zones": zones,
        "pools": pools,
        **rest,
    }
