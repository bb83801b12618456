"""What each placement strategy adds to a pod spec. It adds what the user has not set.

What counts as set: a spread constraint or a term of pod (anti-)affinity with the same topology key,
a node label that a nodeSelector or node affinity mentions, a toleration of the same key.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

from prism_operator.api.common import Strategy
from prism_operator.api.meta import Json, ReadOnlyJson
from prism_operator.planning.labels import Labels
from prism_operator.planning.selectors import selects

HOSTNAME: Final = "kubernetes.io/hostname"
ZONE: Final = "topology.kubernetes.io/zone"
REGION: Final = "topology.kubernetes.io/region"
REQUIRED: Final = "requiredDuringSchedulingIgnoredDuringExecution"
PREFERRED: Final = "preferredDuringSchedulingIgnoredDuringExecution"
HARD: Final = "DoNotSchedule"
_SOFT: Final = "ScheduleAnyway"

# How Karpenter, EKS, GKE, AKS and the memo's example mark spot nodes.
SPOT_LABELS: Final[Mapping[str, str]] = {
    "karpenter.sh/capacity-type": "spot",
    "eks.amazonaws.com/capacityType": "SPOT",
    "cloud.google.com/gke-spot": "true",
    "kubernetes.azure.com/scalesetpriority": "spot",
    "node-lifecycle": "spot",
}


@dataclass(frozen=True, slots=True, order=True)
class BackendPods:
    """The pods of a backend: those with label ``app`` in a namespace."""

    app: str
    namespace: str


@dataclass(frozen=True, slots=True)
class Subject:
    """Whose pods are placed: ``labels`` are the pods', of which ``selector`` is a part.

    ``role`` is the value of the taint of nodes dedicated to them, ``near`` are the backends they
    use, and ``apart_from`` selects the pods on the other side of control plane isolation.
    """

    role: str
    selector: Labels
    labels: Labels
    near: tuple[BackendPods, ...] = ()
    apart_from: Json | None = None


# From the placement fields of a pod spec, without empty ones, to the same with what is added.
_Strategy: TypeAlias = Callable[[Json, Subject], Json]


def apply_strategy(strategy: Strategy | None, given: Json, subject: Subject) -> Json:
    """The placement fields of a pod spec: ``given`` and what the strategy adds."""
    return given if strategy is None else _STRATEGIES[strategy](given, subject)


def _multi_zone(given: Json, subject: Subject) -> Json:
    return _spread(_spread(given, subject, ZONE, HARD), subject, HOSTNAME, _SOFT)


def _multi_region(given: Json, subject: Subject) -> Json:
    return _spread(_spread(given, subject, REGION, HARD), subject, ZONE, _SOFT)


def _dedicated_nodes(given: Json, subject: Subject) -> Json:
    dedicated = {"key": "dedicated", "operator": "Equal", "value": subject.role}
    term = {"labelSelector": {"matchLabels": dict(subject.selector)}, "topologyKey": HOSTNAME}
    fields = {"tolerations": [{**dedicated, "effect": "NoSchedule"}], **given}
    return _prefer_pods(fields, "podAntiAffinity", [_weighted(100, term)])


def _spot(given: Json, subject: Subject) -> Json:
    tolerated = given.get("tolerations") or []
    keys = {toleration.get("key") for toleration in tolerated}
    # A toleration without a key tolerates every taint.
    added = [] if None in keys or "" in keys else sorted(SPOT_LABELS.keys() - keys)
    tolerations = [
        *tolerated,
        *({"key": key, "operator": "Equal", "value": SPOT_LABELS[key]} for key in added),
    ]
    mentioned = set(given.get("nodeSelector") or ()) | set(_node_labels(given.get("affinity")))
    preferences = [
        {
            "weight": 100,
            "preference": {
                "matchExpressions": [{"key": key, "operator": "In", "values": [SPOT_LABELS[key]]}]
            },
        }
        for key in sorted(SPOT_LABELS.keys() - mentioned)
    ]
    fields = {**given, "tolerations": tolerations} if tolerations else given
    # Soft: spot nodes come and go, and a zone without any must not stop the others.
    return _spread(_extend(fields, "nodeAffinity", PREFERRED, preferences), subject, ZONE, _SOFT)


def _backend_proximity(given: Json, subject: Subject) -> Json:
    terms = [
        _weighted(
            weight,
            {
                "labelSelector": {"matchLabels": {"app": backend.app}},
                "namespaces": [backend.namespace],
                "topologyKey": topology,
            },
        )
        for backend in subject.near
        for topology, weight in ((HOSTNAME, 100), (ZONE, 50))
    ]
    return _prefer_pods(given, "podAffinity", terms)


def _control_plane_isolation(given: Json, subject: Subject) -> Json:
    if subject.apart_from is None:
        return given
    term = {"labelSelector": subject.apart_from, "topologyKey": HOSTNAME}
    present = ((given.get("affinity") or {}).get("podAntiAffinity") or {}).get(REQUIRED) or []
    return given if term in present else _extend(given, "podAntiAffinity", REQUIRED, [term])


_STRATEGIES: Final[Mapping[Strategy, _Strategy]] = {
    "MultiZone": _multi_zone,
    "MultiRegion": _multi_region,
    "DedicatedNodes": _dedicated_nodes,
    "Spot": _spot,
    "BackendProximity": _backend_proximity,
    "ControlPlaneIsolation": _control_plane_isolation,
}


def _spread(given: Json, subject: Subject, topology: str, unsatisfiable: str) -> Json:
    constraints = given.get("topologySpreadConstraints") or []
    if any(constraint["topologyKey"] == topology for constraint in constraints):
        return given
    ours: Json = {
        "maxSkew": 1,
        "topologyKey": topology,
        "whenUnsatisfiable": unsatisfiable,
        "labelSelector": {"matchLabels": dict(subject.selector)},
        # The old pods of a rollout do not count: they would leave the new ones lopsided.
        "matchLabelKeys": ["pod-template-hash"],
    }
    if unsatisfiable == HARD and repels_itself(given.get("affinity"), subject.labels):
        # Then each new pod takes the place of an old one, which keeps the spread. Counted without
        # the old ones, the zone of the only free node may be too full for it, and all would wait.
        del ours["matchLabelKeys"]
    return {**given, "topologySpreadConstraints": [*constraints, ours]}


def _weighted(weight: int, term: Json) -> Json:
    return {"weight": weight, "podAffinityTerm": term}


def _prefer_pods(given: Json, side: str, terms: list[Json]) -> Json:
    """Adds preferred terms of pod (anti-)affinity whose topology key the user has not used."""
    section = (given.get("affinity") or {}).get(side) or {}
    used = {term.get("topologyKey") for term in pod_terms(section)}
    added = [term for term in terms if term["podAffinityTerm"]["topologyKey"] not in used]
    return _extend(given, side, PREFERRED, added)


def pod_terms(section: ReadOnlyJson) -> Iterator[Json]:
    """The terms of a podAffinity or podAntiAffinity, required ones first."""
    yield from section.get(REQUIRED) or ()
    for weighted in section.get(PREFERRED) or ():
        yield weighted["podAffinityTerm"]


def repels_itself(affinity: ReadOnlyJson | None, pod_labels: Labels) -> bool:
    """Whether required anti-affinity lets no two of the pods on one node."""
    anti_affinity = (affinity or {}).get("podAntiAffinity") or {}
    return any(
        term.get("topologyKey") == HOSTNAME and selects(term.get("labelSelector"), pod_labels)
        for term in anti_affinity.get(REQUIRED) or ()
    )


def node_terms(affinity: ReadOnlyJson | None) -> list[Json]:
    """The alternatives of the required node affinity; empty when there is none."""
    section = (affinity or {}).get("nodeAffinity") or {}
    return list((section.get(REQUIRED) or {}).get("nodeSelectorTerms") or ())


def _node_labels(affinity: ReadOnlyJson | None) -> Iterator[str]:
    """The labels that node affinity mentions."""
    section = (affinity or {}).get("nodeAffinity") or {}
    preferred = [weighted["preference"] for weighted in section.get(PREFERRED) or ()]
    for term in (*node_terms(affinity), *preferred):
        yield from (requirement["key"] for requirement in term.get("matchExpressions") or ())


def _extend(given: Json, side: str, list_name: str, added: list[Json]) -> Json:
    """``given`` with more entries in one list of its affinity."""
    if not added:
        return given
    affinity = given.get("affinity") or {}
    section = affinity.get(side) or {}
    entries = [*(section.get(list_name) or ()), *added]
    return {**given, "affinity": {**affinity, side: {**section, list_name: entries}}}
