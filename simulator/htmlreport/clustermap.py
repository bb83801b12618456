"""Zones, nodes in them and pods on those, over time: the data of the cluster map."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from simulator.htmlreport.recording import Life, NodeLife, Recording
from simulator.kernel import SECOND_US

PODS_MAX = 40_000  # what a page can hold and a browser can play


def cluster_map(recording: Recording) -> Mapping[str, Any] | None:
    """The map for the page; None where there are more pods than it can hold.

    A node has a place in its zone, which it leaves to another when it is gone. States are those
    of ``recording``, each after the second from which on it holds.
    """
    if len(recording.pods) > PODS_MAX:
        return None
    nodes = sorted(recording.nodes, key=lambda n: (n.zone, n.began_us, n.pool, _natural(n.name)))
    index = {node.name: i for i, node in enumerate(nodes)}
    owners = sorted({pod.owner for pod in recording.pods})
    number = {owner: i for i, owner in enumerate(owners)}
    return {
        "zones": sorted({node.zone for node in nodes}),
        "owners": owners,
        "nodes": [
            {
                "name": node.name,
                "zone": node.zone,
                "pool": node.pool,
                "spot": node.is_spot,
                "place": place,
                **_times(node),
            }
            for node, place in zip(nodes, _places(nodes), strict=True)
        ],
        # Owner, node, name, end, states: bare lists, there may be many.
        "pods": [
            [number[pod.owner], index.get(pod.node, -1), _short(pod.name, pod.owner), *_bare(pod)]
            for pod in recording.pods
        ],
    }


def _places(nodes: Sequence[NodeLife]) -> list[int]:
    """The lowest place in its zone that is free all the time a node is there."""
    free_from: dict[str, list[float]] = {}
    places = []
    for node in nodes:
        taken = free_from.setdefault(node.zone, [])
        place = next((i for i, free in enumerate(taken) if free <= node.began_us), len(taken))
        ends = float("inf") if node.ended_us is None else node.ended_us
        taken[place : place + 1] = [ends]
        places.append(place)
    return places


def _times(life: Life) -> dict[str, Any]:
    end, states = _bare(life)
    return {"end": end, "states": states}


def _bare(life: Life) -> tuple[float | None, list[float]]:
    """When it ended, and its states, each after its second."""
    end = None if life.ended_us is None else _seconds(life.ended_us)
    return end, [x for at, state in life.states for x in (_seconds(at), int(state))]


def _seconds(at_us: int) -> float:
    value = round(at_us / SECOND_US, 1)
    return int(value) if value == int(value) else value


def _short(name: str, owner: str) -> str:
    """The name without that of its owner, which the page puts in front again."""
    return name.removeprefix(owner)


def _natural(name: str) -> list[tuple[int, str]]:
    """Sort key in which base-10 comes after base-9."""
    return [(int(t), "") if t.isdigit() else (0, t) for t in re.split(r"(\d+)", name)]
