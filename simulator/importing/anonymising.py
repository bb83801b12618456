"""Other names for everything that somebody named, the same everywhere.

New names are numbered in the order of the old ones, so that whatever is decided by order is decided
the same. What Kubernetes, KEDA and clouds named stays: kinds, types, quantities, their own labels.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Final

from prism_operator.api.backend import PROVIDERS
from prism_operator.api.meta import PRISM_STACK, Json
from prism_operator.diagnosis.redaction import WITHHELD
from prism_operator.planning.names import admin_name, proxy_name
from simulator.importing.selection import Selected

_LABELS: Final = ("labels", "matchLabels", "nodeSelector")
_KEPT: Final = frozenset(
    {
        "apiVersion",
        "kind",
        "type",
        "pattern",
        "provider",
        "scaler",
        "strategy",
        "metricType",
        "protocol",
        "timezone",
        "effect",
        "operator",
        "behavior",
        "apiGroup",
        "priorityClassName",
    }
)
_PUBLIC_KEY: Final = re.compile(
    r"([\w.-]*\.)?(kubernetes\.io|k8s\.io|karpenter\.sh|amazonaws\.com|google\.com|azure\.com|"
    r"prism\.io|keda\.sh)/[\w.-]+|app|component|stack|runner|pattern|backend"
)
_PUBLIC_VALUES: Final = frozenset({"prism", "prism-proxy", "prism-admin", *PROVIDERS, WITHHELD, ""})
# Their values are of a vocabulary that everybody has.
_PUBLIC_LABELS: Final = (
    "node.kubernetes.io/instance-type",
    "beta.kubernetes.io/instance-type",
    "kubernetes.io/arch",
    "kubernetes.io/os",
    "beta.kubernetes.io/arch",
    "beta.kubernetes.io/os",
    "karpenter.sh/capacity-type",
    "app.kubernetes.io/managed-by",
    "app.kubernetes.io/component",
)
# Quantities, durations, percentages and schedules; and enumerations, as Kubernetes writes them.
_PLAIN: Final = re.compile(r"[-+]?\d[\d.]*\s?[A-Za-z%/]{0,4}|[\d*/, -]+|[A-Z][A-Za-z]*|true|false")
_URL: Final = re.compile(r"([a-z][a-z0-9+.-]*)://([^/:?#\s]+)(:\d+)?\S*")
_HOST_PORT: Final = re.compile(r"([\w.-]+)(:\d{2,5})")
_PLACES: Final = {
    "kubernetes.io/hostname": "node",
    "topology.kubernetes.io/zone": "zone",
    "topology.kubernetes.io/region": "region",
    "failure-domain.beta.kubernetes.io/zone": "zone",
    "failure-domain.beta.kubernetes.io/region": "region",
    "pool": "pool",
}
_Lookup = Callable[[str, str], str]


def anonymise(selected: Selected) -> Selected:
    """The same under other names, whoever named it."""
    names: dict[str, str] = {}  # what sort of name each is

    def collect(sort: str, name: str) -> str:
        names.setdefault(name, sort)
        return name

    _renamed_all(selected, collect)
    new = _numbered(names)
    for obj in selected.manifests:
        if obj["kind"] == PRISM_STACK.kind:
            stack = obj["metadata"]["name"]
            for derived in (proxy_name, admin_name):
                new[derived(stack)] = derived(new[stack])
    return _renamed_all(selected, lambda _, name: new[name])


def _numbered(names: dict[str, str]) -> dict[str, str]:
    sorts: dict[str, list[str]] = {}
    for name, sort in names.items():
        sorts.setdefault(sort, []).append(name)
    new: dict[str, str] = {}
    for sort, of in sorts.items():
        digits = len(str(len(of)))
        for number, name in enumerate(sorted(of), 1):
            new[name] = f"{sort}-{number:0{digits}d}"
    return new


def _renamed_all(selected: Selected, lookup: _Lookup) -> Selected:
    # Nodes and objects first: another place that has the same name follows them.
    nodes = tuple(_node(node, lookup) for node in selected.nodes)
    for obj in selected.manifests:
        meta = obj["metadata"]
        lookup(_sort(obj["kind"]), meta["name"])
        if "namespace" in meta and meta["namespace"] != "default":
            lookup("namespace", meta["namespace"])
    return replace(
        selected,
        manifests=tuple(_below(obj, "", lookup) for obj in selected.manifests),
        nodes=nodes,
        expected=tuple(_expected(claim, lookup) for claim in selected.expected),
    )


def _node(node: Json, lookup: _Lookup) -> Json:
    """What pools are made of."""
    meta, spec, status = node["metadata"], node.get("spec") or {}, node.get("status") or {}
    offered = ("allocatable", "capacity", "conditions")
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": lookup("node", meta["name"]),
            "labels": _labels(meta.get("labels") or {}, lookup),
            **({"deletionTimestamp": "now"} if meta.get("deletionTimestamp") else {}),
        },
        "spec": {
            "taints": [_below(taint, "taints", lookup) for taint in spec.get("taints") or ()],
            "unschedulable": spec.get("unschedulable", False),
        },
        "status": {k: status[k] for k in offered if k in status},
    }


def _below(value: Any, key: str, lookup: _Lookup) -> Any:
    match value:
        case dict():
            if key in _LABELS or (key == "selector" and _is_plain(value)):
                return _labels(value, lookup)
            if key in ("requests", "limits", "data"):
                return value
            # A requirement, a taint or a toleration: a label with its values.
            label = value.get("key") if isinstance(value.get("key"), str) else None
            renamed = {k: _below(v, k, lookup) for k, v in value.items()}
            if label is not None:
                renamed["key"] = _label(label, lookup)
                if isinstance(value.get("values"), list):
                    renamed["values"] = [_value(label, v, lookup) for v in value["values"]]
                if isinstance(value.get("value"), str):
                    renamed["value"] = _value(label, value["value"], lookup)
            return renamed
        case list():
            return [_below(item, key, lookup) for item in value]
        case str():
            return _text(value, key, lookup)
    return value


def _is_plain(selector: Json) -> bool:
    return all(isinstance(v, str) for v in selector.values())


def _text(value: str, key: str, lookup: _Lookup) -> str:
    if key in _KEPT or value in _PUBLIC_VALUES or value == "default":
        return value
    if key in ("topologyKey", "key"):
        return _label(value, lookup)
    if key not in ("name", "namespace") and _PLAIN.fullmatch(value):
        return value
    if found := _URL.fullmatch(value):
        return f"{found[1]}://{lookup('host', found[2])}{found[3] or ''}"
    if key != "image" and (hosts := _hosts(value)):
        return ",".join(f"{lookup('host', host)}{port}" for host, port in hosts)
    return lookup(_sort(key), value)


def _hosts(value: str) -> list[tuple[str, str]]:
    found = [_HOST_PORT.fullmatch(part.strip()) for part in value.split(",")]
    return [(f[1], f[2]) for f in found if f] if all(found) else []


def _labels(labels: Json, lookup: _Lookup) -> Json:
    return {_label(k, lookup): _value(k, str(v), lookup) for k, v in labels.items()}


def _label(key: str, lookup: _Lookup) -> str:
    return key if _PUBLIC_KEY.fullmatch(key) or key == "pool" else lookup("label", key)


def _value(label: str, value: Any, lookup: _Lookup) -> Any:
    if not isinstance(value, str) or label in _PUBLIC_LABELS or value in _PUBLIC_VALUES:
        return value
    return lookup(_PLACES.get(label, "value"), value)


def _sort(key: str) -> str:
    """Of which sort a name under a key is: ``consumerGroup`` is a consumer-group."""
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", key).lower()
    return re.sub(r"[^a-z0-9-]+", "-", words).strip("-") or "name"


def _expected(claim: Sequence[str], lookup: _Lookup) -> tuple[str, ...]:
    kind, namespace, name = claim[:3]
    where = namespace if namespace == "default" else lookup("namespace", namespace)
    return (kind, where, lookup(_sort(kind), name), *claim[3:])
