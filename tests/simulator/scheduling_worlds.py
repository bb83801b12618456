"""Nodes and pod templates of every kind the scheduler tells apart, drawn from a seed."""

from __future__ import annotations

import random
from typing import Any

from simulator.scheduling.pods import HOSTNAME, REGION, ZONE
from simulator.scheduling.selectors import Selector, compile_selector

APPS, ZONES, DISKS = ("a", "b", "c", "d"), ("z1", "z2", "z3"), ("ssd", "hdd")
IMAGES = {"big:1": 900 * 2**20, "small:2": 40 * 2**20, "side:latest": 300 * 2**20}
TAINTS = [
    {"key": "dedicated", "value": "x", "effect": "NoSchedule"},
    {"key": "slow", "value": "y", "effect": "PreferNoSchedule"},
    {"key": "old", "value": "", "effect": "PreferNoSchedule"},
    {"key": "lost", "value": "", "effect": "NoExecute"},
]
NAMESPACES = {"prism": {"team": "red"}, "other": {"team": "blue"}}


def services() -> dict[str, list[dict[str, str]]]:
    """Services of one namespace; the system's default spread takes their selectors."""
    return {"prism": [{"app": "a"}, {"app": "b", "tier": "1"}]}


def owners() -> dict[tuple[str, str, str], Selector]:
    """The selectors of the ReplicaSets that some templates are owned by."""
    return {
        ("prism", "apps/v1/ReplicaSet", app): compile_selector({"matchLabels": {"app": app}})
        for app in APPS
    }


def a_node(rng: random.Random, name: str) -> dict[str, Any]:
    """A node with some labels missing, some taints, some images."""
    labels = {HOSTNAME: name, ZONE: rng.choice(ZONES), REGION: "r", "disk": rng.choice(DISKS)}
    labels["size"] = str(rng.randint(1, 4))
    for key, chance in ((ZONE, 0.1), ("disk", 0.3), (HOSTNAME, 0.03)):
        if rng.random() < chance:
            del labels[key]
    images = [image for image in sorted(IMAGES) if rng.random() < 0.4]
    spec: dict[str, Any] = {}
    taints = [taint for taint in TAINTS if rng.random() < 0.12]
    if taints:
        spec["taints"] = taints
    if rng.random() < 0.05:
        spec["unschedulable"] = True
    room = {
        "cpu": str(rng.choice((2, 4, 8))),
        "memory": f"{rng.choice((4, 8, 16))}Gi",
        "pods": str(rng.choice((5, 10, 30))),
    }
    if rng.random() < 0.2:
        room["example.com/gpu"] = "2"
    return {
        "metadata": {"name": name, "labels": labels},
        "spec": spec,
        "status": {
            "allocatable": room,
            "images": [{"names": [image], "sizeBytes": IMAGES[image]} for image in images],
        },
    }


def a_template(rng: random.Random, number: int) -> dict[str, Any]:
    """A pod with what its kind asks for, and now and then with more."""
    app = rng.choice(APPS)
    kinds = {rng.choice(_KINDS) for _ in range(rng.choice((1, 1, 1, 2, 3)))}
    requests = {}
    if rng.random() < 0.9:
        requests["cpu"] = rng.choice(("0", "50m", "100m", "250m", "1"))
    if rng.random() < 0.8:
        requests["memory"] = rng.choice(("64Mi", "256Mi", "1Gi"))
    if rng.random() < 0.05:
        requests["example.com/gpu"] = "1"
    container: dict[str, Any] = {
        "name": "c",
        "image": rng.choice(("big:1", "small:2", "side", "unknown")),
        "resources": {"requests": requests},
    }
    pod: dict[str, Any] = {
        "metadata": {
            "name": f"t{number}",
            "namespace": rng.choice(("prism", "prism", "prism", "other")),
            "labels": {"app": app, "tier": rng.choice(("1", "2"))},
        },
        "spec": {"containers": [container], "priority": rng.choice((0, 0, 10, 100))},
    }
    if rng.random() < 0.5:
        owner = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": app, "controller": True}
        pod["metadata"]["ownerReferences"] = [{**owner, "uid": app}]
    for kind in sorted(kinds):
        _ADD[kind](rng, pod)
    return pod


def _selector(rng: random.Random) -> dict[str, Any]:
    return rng.choice(
        [
            {"matchLabels": {"app": rng.choice(APPS)}},
            {"matchExpressions": [{"key": "app", "operator": "In", "values": ["a", "b"]}]},
            {"matchExpressions": [{"key": "tier", "operator": "Exists"}]},
            {},
        ]
    )


def _spread(rng: random.Random, pod: dict[str, Any], when: str) -> None:
    app = pod["metadata"]["labels"]["app"]
    constraint = {
        "maxSkew": rng.choice((1, 2, 5)),
        "topologyKey": rng.choice((ZONE, ZONE, HOSTNAME, "disk")),
        "whenUnsatisfiable": when,
        "labelSelector": rng.choice([{"matchLabels": {"app": app}}, _selector(rng)]),
    }
    if when == "DoNotSchedule" and rng.random() < 0.3:
        constraint["minDomains"] = rng.choice((2, 3, 4))
    if rng.random() < 0.3:
        constraint["nodeAffinityPolicy"] = "Ignore"
    if rng.random() < 0.3:
        constraint["nodeTaintsPolicy"] = "Honor"
    pod["spec"].setdefault("topologySpreadConstraints", []).append(constraint)


def _term(rng: random.Random) -> dict[str, Any]:
    term: dict[str, Any] = {
        "topologyKey": rng.choice((ZONE, HOSTNAME, HOSTNAME, "disk")),
        "labelSelector": _selector(rng),
    }
    if rng.random() < 0.3:
        term["namespaceSelector"] = rng.choice([{}, {"matchLabels": {"team": "red"}}])
    return term


def _between_pods(rng: random.Random, pod: dict[str, Any], rule: str, *, required: bool) -> None:
    rules = pod["spec"].setdefault("affinity", {}).setdefault(rule, {})
    if required:
        rules.setdefault("requiredDuringSchedulingIgnoredDuringExecution", []).append(_term(rng))
    else:
        rules.setdefault("preferredDuringSchedulingIgnoredDuringExecution", []).append(
            {"weight": rng.choice((1, 20, 100)), "podAffinityTerm": _term(rng)}
        )


def _node_affinity(rng: random.Random, pod: dict[str, Any]) -> None:
    disk = {"key": "disk", "operator": "In", "values": [rng.choice(DISKS)]}
    size = {"key": "size", "operator": "Gt", "values": [str(rng.randint(0, 3))]}
    named = {"key": "metadata.name", "operator": "In", "values": ["n0", "n1", "n7"]}
    affinity = pod["spec"].setdefault("affinity", {}).setdefault("nodeAffinity", {})
    if rng.random() < 0.5:
        terms: list[dict[str, Any]] = [{"matchExpressions": [rng.choice((disk, size))]}]
        if rng.random() < 0.2:
            terms = [{"matchFields": [named]}]
        affinity["requiredDuringSchedulingIgnoredDuringExecution"] = {"nodeSelectorTerms": terms}
    else:
        affinity["preferredDuringSchedulingIgnoredDuringExecution"] = [
            {"weight": rng.choice((1, 50)), "preference": {"matchExpressions": [part]}}
            for part in (disk, size)
        ]


def _tolerations(rng: random.Random, pod: dict[str, Any]) -> None:
    pod["spec"]["tolerations"] = [
        {"key": taint["key"], "operator": "Exists"} for taint in TAINTS if rng.random() < 0.5
    ]


def _host_port(rng: random.Random, pod: dict[str, Any]) -> None:
    port = {"hostPort": rng.choice((80, 443)), "containerPort": 80}
    if rng.random() < 0.4:
        port["hostIP"] = rng.choice(("127.0.0.1", "10.0.0.1"))
    pod["spec"]["containers"][0]["ports"] = [port]


_ADD: dict[str, Any] = {
    "plain": lambda rng, pod: None,
    "hard spread": lambda rng, pod: _spread(rng, pod, "DoNotSchedule"),
    "soft spread": lambda rng, pod: _spread(rng, pod, "ScheduleAnyway"),
    "affinity": lambda rng, pod: _between_pods(rng, pod, "podAffinity", required=True),
    "anti-affinity": lambda rng, pod: _between_pods(rng, pod, "podAntiAffinity", required=True),
    "liked": lambda rng, pod: _between_pods(rng, pod, "podAffinity", required=False),
    "disliked": lambda rng, pod: _between_pods(rng, pod, "podAntiAffinity", required=False),
    "node affinity": _node_affinity,
    "tolerations": _tolerations,
    "host port": _host_port,
}
_KINDS = tuple(_ADD)
