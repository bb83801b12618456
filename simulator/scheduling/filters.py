"""Which nodes a pod can go to, and why not to the others. Pure.

Source: pkg/scheduler/framework/plugins of Kubernetes 1.37; reasons in its words. A subset of its
filters: name, cordon, taints, node affinity, resources, required pod (anti-)affinity, hard spread.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import ROUND_CEILING
from functools import lru_cache

from prism_operator.api.meta import Json, ReadOnlyJson
from prism_operator.api.quantities import parse_quantity
from simulator.controllers.nodelifecycle import tolerates
from simulator.controllers.objects import is_deleting, labels_of, matches


@dataclass(slots=True)
class NodeInfo:
    """A node with the pods on it, and what they request. CPU in millicores, memory in bytes."""

    node: Json
    pods: list[Json] = field(default_factory=list)
    requested: dict[str, int] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The node's name."""
        return str(self.node["metadata"]["name"])

    def allocatable(self, resource: str) -> int:
        """How much the node has for pods."""
        return _amount(
            resource, str((self.node["status"].get("allocatable") or {}).get(resource, 0))
        )

    def add(self, pod: Json) -> None:
        """Counts a pod in."""
        self.pods.append(pod)
        for resource, amount in requests(pod).items():
            self.requested[resource] = self.requested.get(resource, 0) + amount


@lru_cache(maxsize=4096)
def _amount(resource: str, text: str) -> int:
    scale = 1000 if resource == "cpu" else 1
    return int((parse_quantity(text) * scale).to_integral_value(ROUND_CEILING))


def requests(pod: ReadOnlyJson) -> dict[str, int]:
    """What a pod requests: its containers together, or more if one init container needs it."""
    spec = pod["spec"]
    result: dict[str, int] = {}
    for container in spec.get("containers") or ():
        for resource, text in _requests_of(container).items():
            result[resource] = result.get(resource, 0) + _amount(resource, str(text))
    for container in spec.get("initContainers") or ():
        for resource, text in _requests_of(container).items():
            result[resource] = max(result.get(resource, 0), _amount(resource, str(text)))
    for resource, text in (spec.get("overhead") or {}).items():
        result[resource] = result.get(resource, 0) + _amount(resource, str(text))
    return result


def _requests_of(container: ReadOnlyJson) -> Mapping[str, object]:
    return (container.get("resources") or {}).get("requests") or {}


def rejection(pod: Json, info: NodeInfo, cluster: Cluster) -> tuple[str, ...]:
    """Why a pod cannot go to a node; empty when it can. The first filter that objects says so."""
    for check in _CHECKS:
        reasons = check(pod, info, cluster)
        if reasons:
            return reasons
    return ()


class Cluster:
    """All nodes, for the filters that look beyond one of them."""

    def __init__(self, nodes: Sequence[NodeInfo]) -> None:
        self.nodes = nodes
        # Every required anti-affinity of a pod that runs, with its node: few pods have one.
        self.repelling: list[tuple[NodeInfo, Json, Json]] = []
        for info in nodes:
            for pod in info.pods:
                self._note_repelling(info, pod)

    def place(self, pod: Json, info: NodeInfo) -> None:
        """Counts a pod in that was bound."""
        info.add(pod)
        self._note_repelling(info, pod)

    def _note_repelling(self, info: NodeInfo, pod: Json) -> None:
        self.repelling += [(info, pod, term) for term in _terms(pod, "podAntiAffinity")]


def _cordoned(pod: Json, info: NodeInfo, _: Cluster) -> tuple[str, ...]:
    if not info.node["spec"].get("unschedulable"):
        return ()
    cordon = {"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}
    if any(tolerates(t, cordon) for t in pod["spec"].get("tolerations") or ()):
        return ()
    return ("node(s) were unschedulable",)


def _named_otherwise(pod: Json, info: NodeInfo, _: Cluster) -> tuple[str, ...]:
    wanted = pod["spec"].get("nodeName")
    if wanted and wanted != info.name:
        return ("node(s) didn't match the requested node name",)
    return ()


def _tainted(pod: Json, info: NodeInfo, _: Cluster) -> tuple[str, ...]:
    tolerations = pod["spec"].get("tolerations") or ()
    for taint in info.node["spec"].get("taints") or ():
        if taint["effect"] == "PreferNoSchedule":
            continue
        if not any(tolerates(t, taint) for t in tolerations):
            return ("node(s) had untolerated taint(s)",)
    return ()


def fits_node_affinity(pod: ReadOnlyJson, node: ReadOnlyJson) -> bool:
    """Whether a node has what nodeSelector and required node affinity ask for."""
    labels, spec = labels_of(node), pod["spec"]
    if any(labels.get(k) != v for k, v in (spec.get("nodeSelector") or {}).items()):
        return False
    affinity = (spec.get("affinity") or {}).get("nodeAffinity") or {}
    required = affinity.get("requiredDuringSchedulingIgnoredDuringExecution")
    if required is None:
        return True
    return any(_term_fits(term, node) for term in required.get("nodeSelectorTerms") or ())


def _term_fits(term: ReadOnlyJson, node: ReadOnlyJson) -> bool:
    expressions, fields = term.get("matchExpressions") or (), term.get("matchFields") or ()
    name = {"metadata.name": node["metadata"]["name"]}
    return bool(expressions or fields) and (
        all(_node_requirement_met(r, labels_of(node)) for r in expressions)
        and all(_node_requirement_met(r, name) for r in fields)
    )


def _node_requirement_met(requirement: ReadOnlyJson, labels: Mapping[str, str]) -> bool:
    operator = requirement["operator"]
    if operator not in ("Gt", "Lt"):
        return matches({"matchExpressions": [requirement]}, labels)
    text, bound = labels.get(requirement["key"], ""), requirement["values"][0]
    if not text.lstrip("-").isdigit() or not bound.lstrip("-").isdigit():
        return False
    return int(text) > int(bound) if operator == "Gt" else int(text) < int(bound)


def _wrong_node(pod: Json, info: NodeInfo, _: Cluster) -> tuple[str, ...]:
    if fits_node_affinity(pod, info.node):
        return ()
    return ("node(s) didn't match Pod's node affinity/selector",)


def _full(pod: Json, info: NodeInfo, _: Cluster) -> tuple[str, ...]:
    reasons = []
    if len(info.pods) + 1 > info.allocatable("pods"):
        reasons.append("Too many pods")
    for resource, amount in sorted(requests(pod).items()):
        if amount > 0 and amount > info.allocatable(resource) - info.requested.get(resource, 0):
            reasons.append(f"Insufficient {resource}")
    return tuple(reasons)


def _too_skewed(pod: Json, info: NodeInfo, cluster: Cluster) -> tuple[str, ...]:
    for constraint in pod["spec"].get("topologySpreadConstraints") or ():
        if constraint["whenUnsatisfiable"] != "DoNotSchedule":
            continue
        key = constraint["topologyKey"]
        domain = labels_of(info.node).get(key)
        reason = "node(s) didn't match pod topology spread constraints"
        if domain is None:
            return (f"{reason} (missing required label)",)
        counts = spread_counts(pod, constraint, cluster)
        fewest = min(counts.values(), default=0)
        if len(counts) < constraint.get("minDomains", 1):
            fewest = 0
        selector = _spread_selector(pod, constraint)
        itself = matches(selector, labels_of(pod))
        if counts.get(domain, 0) + itself - fewest > constraint["maxSkew"]:
            return (reason,)
    return ()


def spread_counts(pod: Json, constraint: Json, cluster: Cluster) -> dict[str, int]:
    """The pods in each domain that counts: those of nodes the pod could go to by its affinity."""
    key, selector = constraint["topologyKey"], _spread_selector(pod, constraint)
    counts: dict[str, int] = {}
    for info in cluster.nodes:
        domain = labels_of(info.node).get(key)
        if domain is None or not _counts_for_spread(pod, constraint, info, cluster):
            continue
        counts[domain] = counts.get(domain, 0) + sum(
            not is_deleting(other)
            and other["metadata"]["namespace"] == pod["metadata"]["namespace"]
            and matches(selector, labels_of(other))
            for other in info.pods
        )
    return counts


def _counts_for_spread(pod: Json, constraint: Json, info: NodeInfo, cluster: Cluster) -> bool:
    if constraint.get("nodeAffinityPolicy", "Honor") == "Honor" and not fits_node_affinity(
        pod, info.node
    ):
        return False
    honours_taints = constraint.get("nodeTaintsPolicy", "Ignore") == "Honor"
    return not (honours_taints and _tainted(pod, info, cluster))


def _spread_selector(pod: Json, constraint: Json) -> Json | None:
    selector = constraint.get("labelSelector")
    keys = [k for k in constraint.get("matchLabelKeys") or () if k in labels_of(pod)]
    if selector is None or not keys:
        return selector
    own = [{"key": k, "operator": "In", "values": [labels_of(pod)[k]]} for k in keys]
    return {**selector, "matchExpressions": [*(selector.get("matchExpressions") or ()), *own]}


def _unfriendly(pod: Json, info: NodeInfo, cluster: Cluster) -> tuple[str, ...]:
    affinity = _terms(pod, "podAffinity")
    if affinity and not all(_affinity_met(t, pod, affinity, info, cluster) for t in affinity):
        return ("node(s) didn't match pod affinity rules",)
    for term in _terms(pod, "podAntiAffinity"):
        if any(_selects(term, pod, other) for other in _in_domain(term, info, cluster)):
            return ("node(s) didn't match pod anti-affinity rules",)
    for other_info, other, term in cluster.repelling:
        if _same_domain(term, info, other_info) and _selects(term, other, pod):
            return ("node(s) didn't satisfy existing pods anti-affinity rules",)
    return ()


def _affinity_met(
    term: Json, pod: Json, terms: Iterable[Json], info: NodeInfo, cluster: Cluster
) -> bool:
    if term["topologyKey"] not in labels_of(info.node):
        return False
    if any(_selects(term, pod, other) for other in _in_domain(term, info, cluster)):
        return True
    # The first of a group that wants to be together may go anywhere.
    everyone = [other for i in cluster.nodes for other in i.pods]
    nobody = not any(_selects(t, pod, other) for t in terms for other in everyone)
    return nobody and all(_selects(t, pod, pod) for t in terms)


def _terms(pod: ReadOnlyJson, kind: str) -> list[Json]:
    rules = (pod["spec"].get("affinity") or {}).get(kind) or {}
    return list(rules.get("requiredDuringSchedulingIgnoredDuringExecution") or ())


def _selects(term: ReadOnlyJson, owner: ReadOnlyJson, other: ReadOnlyJson) -> bool:
    namespaces = term.get("namespaces") or [owner["metadata"]["namespace"]]
    if term.get("namespaceSelector") == {}:
        namespaces = [other["metadata"]["namespace"]]
    return other["metadata"]["namespace"] in namespaces and matches(
        term.get("labelSelector"), labels_of(other)
    )


def _in_domain(term: ReadOnlyJson, info: NodeInfo, cluster: Cluster) -> Iterable[Json]:
    return (other for i in cluster.nodes if _same_domain(term, info, i) for other in i.pods)


def _same_domain(term: ReadOnlyJson, one: NodeInfo, other: NodeInfo) -> bool:
    key = term["topologyKey"]
    domain = labels_of(one.node).get(key)
    return domain is not None and domain == labels_of(other.node).get(key)


_CHECKS: Sequence[Callable[[Json, NodeInfo, Cluster], tuple[str, ...]]] = (
    _cordoned,
    _named_otherwise,
    _tainted,
    _wrong_node,
    _full,
    _too_skewed,
    _unfriendly,
)
