"""A pod as the scheduler sees it: parsed once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from prism_operator.api.meta import Json, ReadOnlyJson, controller_uid_of, uid_of
from simulator.controllers.objects import is_deleting, labels_of, unix_ns
from simulator.scheduling.requests import UNSAID, Amounts, pod_requests
from simulator.scheduling.selectors import (
    Labels,
    NodeTerm,
    Selector,
    compile_node_term,
    compile_selector,
    is_equal,
)

HOSTNAME: Final = "kubernetes.io/hostname"
ZONE: Final = "topology.kubernetes.io/zone"
REGION: Final = "topology.kubernetes.io/region"


@dataclass(frozen=True, slots=True)
class Namespaces:
    """The namespaces a term of (anti-)affinity looks into."""

    names: frozenset[str]
    selector: Selector

    def include(self, name: str, labels: Labels) -> bool:
        """Whether pods of a namespace are looked at."""
        return name in self.names or self.selector.matches(labels)


@dataclass(frozen=True, slots=True)
class PodTerm:
    """A term of pod affinity or anti-affinity."""

    key: str
    selector: Selector
    namespaces: Namespaces
    weight: int = 0

    def matches(self, pod: PodInfo, namespace_labels: Labels) -> bool:
        """Whether it means a pod, whose namespace has these labels."""
        return self.selector.matches(pod.labels) and self.namespaces.include(
            pod.namespace, namespace_labels
        )


@dataclass(frozen=True, slots=True)
class Spread:
    """A topology spread constraint."""

    key: str
    max_skew: int
    selector: Selector
    min_domains: int = 1
    honours_affinity: bool = True
    honours_taints: bool = False


@dataclass(frozen=True, slots=True)
class HostPort:
    """A port of the node itself that a pod takes."""

    address: str
    protocol: str
    port: int

    def conflicts(self, other: HostPort) -> bool:
        """Whether both cannot be on one node; 0.0.0.0 stands for every address."""
        if (self.protocol, self.port) != (other.protocol, other.port):
            return False
        return self.address == other.address or "0.0.0.0" in (self.address, other.address)  # noqa: S104


@dataclass(frozen=True, slots=True, eq=False)
class PodInfo:
    """All that the plugins ask of a pod. Compared by identity."""

    obj: Json
    name: str
    namespace: str
    uid: str
    labels: Labels
    priority: int
    started_ns: int | None
    is_deleting: bool
    may_preempt: bool
    owner: tuple[str, str] | None  # kind and name of the controller
    requests: Amounts
    scored_requests: tuple[int, int]  # cpu and memory, with defaults for what is not said
    ports: tuple[HostPort, ...]
    images: tuple[str, ...]
    tolerations: tuple[Json, ...]
    node_selector: tuple[tuple[str, str], ...]
    node_terms: tuple[NodeTerm, ...] | None  # required; None when there are none
    preferred_nodes: tuple[tuple[NodeTerm, int], ...] | None
    affinity: tuple[PodTerm, ...]
    anti_affinity: tuple[PodTerm, ...]
    preferred_affinity: tuple[PodTerm, ...]
    preferred_anti_affinity: tuple[PodTerm, ...]
    spread: tuple[Spread, ...]
    preferred_spread: tuple[Spread, ...]
    has_spread: bool
    node_name: str

    @property
    def has_affinity(self) -> bool:
        """Whether it has any term of pod affinity or anti-affinity."""
        return bool(
            self.affinity
            or self.anti_affinity
            or self.preferred_affinity
            or self.preferred_anti_affinity
        )


def parse_pod(pod: Json) -> PodInfo:
    """Reads a pod as the API has it."""
    spec, metadata = pod["spec"], pod["metadata"]
    affinity = spec.get("affinity") or {}
    node_affinity = affinity.get("nodeAffinity") or {}
    required = node_affinity.get("requiredDuringSchedulingIgnoredDuringExecution")
    preferred = node_affinity.get("preferredDuringSchedulingIgnoredDuringExecution")
    scored = pod_requests(pod, UNSAID)
    started = (pod.get("status") or {}).get("startTime")
    spreads = spec.get("topologySpreadConstraints") or ()
    return PodInfo(
        obj=pod,
        name=metadata["name"],
        namespace=metadata.get("namespace", ""),
        uid=uid_of(pod) or "",
        labels=labels_of(pod),
        priority=spec.get("priority") or 0,
        started_ns=None if started is None else unix_ns(started),
        is_deleting=is_deleting(pod),
        may_preempt=spec.get("preemptionPolicy") != "Never",
        owner=_owner(pod),
        requests=pod_requests(pod),
        scored_requests=(scored.get("cpu", 0), scored.get("memory", 0)),
        ports=_host_ports(spec),
        images=tuple(
            normalized_image(container.get("image", ""))
            for container in (*(spec.get("initContainers") or ()), *spec["containers"])
        ),
        tolerations=tuple(spec.get("tolerations") or ()),
        node_selector=tuple((spec.get("nodeSelector") or {}).items()),
        node_terms=None
        if required is None
        else tuple(compile_node_term(t) for t in required.get("nodeSelectorTerms") or ()),
        preferred_nodes=None
        if preferred is None
        else tuple((compile_node_term(t["preference"]), t["weight"]) for t in preferred),
        affinity=_required_terms(affinity.get("podAffinity"), pod),
        anti_affinity=_required_terms(affinity.get("podAntiAffinity"), pod),
        preferred_affinity=_preferred_terms(affinity.get("podAffinity"), pod),
        preferred_anti_affinity=_preferred_terms(affinity.get("podAntiAffinity"), pod),
        spread=_spreads(spreads, pod, "DoNotSchedule"),
        preferred_spread=_spreads(spreads, pod, "ScheduleAnyway"),
        has_spread=bool(spreads),
        node_name=spec.get("nodeName", ""),
    )


def normalized_image(name: str) -> str:
    """An image's name with its tag."""
    return name if name.rfind(":") > name.rfind("/") else f"{name}:latest"


def _owner(pod: ReadOnlyJson) -> tuple[str, str] | None:
    if controller_uid_of(pod) is None:
        return None
    for owner in pod["metadata"]["ownerReferences"]:
        if owner.get("controller"):
            return f"{owner['apiVersion']}/{owner['kind']}", owner["name"]
    return None


def _host_ports(spec: ReadOnlyJson) -> tuple[HostPort, ...]:
    sidecars = [c for c in spec.get("initContainers") or () if c.get("restartPolicy") == "Always"]
    return tuple(
        HostPort(port.get("hostIP") or "0.0.0.0", port.get("protocol") or "TCP", port["hostPort"])  # noqa: S104
        for container in (*sidecars, *spec["containers"])
        for port in container.get("ports") or ()
        if port.get("hostPort")
    )


def _required_terms(rules: ReadOnlyJson | None, pod: ReadOnlyJson) -> tuple[PodTerm, ...]:
    terms = (rules or {}).get("requiredDuringSchedulingIgnoredDuringExecution") or ()
    return tuple(_term(term, pod) for term in terms)


def _preferred_terms(rules: ReadOnlyJson | None, pod: ReadOnlyJson) -> tuple[PodTerm, ...]:
    terms = (rules or {}).get("preferredDuringSchedulingIgnoredDuringExecution") or ()
    return tuple(_term(term["podAffinityTerm"], pod, term["weight"]) for term in terms)


def _term(term: ReadOnlyJson, pod: ReadOnlyJson, weight: int = 0) -> PodTerm:
    names, selector = term.get("namespaces") or (), term.get("namespaceSelector")
    if not names and selector is None:
        names = [pod["metadata"].get("namespace", "")]
    # matchLabelKeys is merged into the selector when the API server stores the pod.
    return PodTerm(
        term["topologyKey"],
        compile_selector(term.get("labelSelector")),
        Namespaces(frozenset(names), compile_selector(selector)),
        weight,
    )


def _spreads(
    constraints: Sequence[ReadOnlyJson], pod: ReadOnlyJson, when: str
) -> tuple[Spread, ...]:
    return tuple(
        Spread(
            key=constraint["topologyKey"],
            max_skew=constraint["maxSkew"],
            selector=_spread_selector(constraint, labels_of(pod)),
            min_domains=constraint.get("minDomains", 1),
            honours_affinity=constraint.get("nodeAffinityPolicy", "Honor") == "Honor",
            honours_taints=constraint.get("nodeTaintsPolicy", "Ignore") == "Honor",
        )
        for constraint in constraints
        if constraint["whenUnsatisfiable"] == when
    )


def _spread_selector(constraint: ReadOnlyJson, labels: Mapping[str, str]) -> Selector:
    keys = [key for key in constraint.get("matchLabelKeys") or () if key in labels]
    return compile_selector(constraint.get("labelSelector")).plus(
        [is_equal(key, labels[key]) for key in keys]
    )
