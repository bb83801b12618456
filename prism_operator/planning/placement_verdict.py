"""Whether the nodes there are let pods be placed as asked, and let a strategy do what it promises.

Judged is what can never schedule on these nodes, whatever else runs on them. A nodeSelector that
matches no node at all is just a wait, since a cluster autoscaler may bring one: it is said, but not
as trouble. Sources: ``pkg/scheduler/framework/plugins`` of Kubernetes 1.37.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from prism_operator.api.meta import NODE, Json, ReadOnlyJson
from prism_operator.planning.conditions import (
    PLACEMENT_INEFFECTIVE,
    PLACEMENT_UNSATISFIABLE,
    Condition,
)
from prism_operator.planning.memo import remembered
from prism_operator.planning.nodes import (
    NODE_NAME,
    Amounts,
    NodeGroup,
    Survey,
    Taint,
    amount_of,
    largest,
    survey,
)
from prism_operator.planning.observed import Snapshot
from prism_operator.planning.placement_strategies import (
    HARD,
    HOSTNAME,
    REGION,
    REQUIRED,
    SPOT_LABELS,
    ZONE,
    node_terms,
)
from prism_operator.planning.resources.pod_template import DEFAULT_RESOURCES
from prism_operator.planning.selectors import meets, selects

_SPREADS: Final = {"MultiZone": ZONE, "MultiRegion": REGION}
_SHOWN_MAX: Final = 3


@dataclass(frozen=True, slots=True)
class Placed:
    """A component as it is to be placed, by the path of its field.

    ``replicas`` is the least number there may be. ``has_backend`` says whether there is a backend
    to be near to.
    """

    path: str
    deployment: Json
    strategy: str | None
    replicas: int
    has_backend: bool = True


@dataclass(frozen=True, slots=True)
class _Finding:
    """What is wrong with one component's placement; empty lists when nothing is."""

    unsatisfiable: list[str] = field(default_factory=list)
    ineffective: list[str] = field(default_factory=list)
    waiting: list[str] = field(default_factory=list)


def placement_conditions(placed: Sequence[Placed], cluster: Snapshot) -> list[Condition]:
    """PlacementUnsatisfiable and PlacementIneffective, as far as there is something to say."""
    asking = [p for p in placed if _asks_of_nodes(p)]
    findings = [(p.path, _without_nodes(p)) for p in placed]
    readable = not asking or cluster.can_read(NODE)
    if asking and readable:
        nodes = cluster.list(NODE)
        if nodes:
            seen = survey(nodes)
            findings += [
                (p.path, _judge(p.deployment, p.strategy, p.replicas, seen)) for p in asking
            ]
    conditions = []
    for kind, texts in (
        (PLACEMENT_UNSATISFIABLE, [f"{p}: {t}" for p, f in findings for t in f.unsatisfiable]),
        (PLACEMENT_INEFFECTIVE, [f"{p}: {t}" for p, f in findings for t in f.ineffective]),
    ):
        if texts:
            conditions.append(Condition(kind, "True", kind, "; ".join(texts)))
        elif not readable:
            told = "nodes cannot be read: let the operator get, list and watch nodes"
            conditions.append(Condition(kind, "Unknown", "NoPermission", told))
    waiting = [f"{p}: {t}" for p, f in findings for t in f.waiting]
    if waiting and all(c.type != PLACEMENT_UNSATISFIABLE for c in conditions):
        told = "; ".join(waiting)
        conditions.append(Condition(PLACEMENT_UNSATISFIABLE, "False", "NoNodeMatches", told))
    return conditions


def _asks_of_nodes(placed: Placed) -> bool:
    """Whether nodes matter: to pods that ask for nothing but the default room, any node will do."""
    spec = placed.deployment["spec"]["template"]["spec"]
    if spec.get("nodeName") or placed.replicas == 0:  # past the scheduler, or nothing to schedule
        return False
    constrained = ("nodeSelector", "affinity", "topologySpreadConstraints")
    return bool(
        placed.strategy
        or any(spec.get(name) for name in constrained)
        or _resources(spec) != DEFAULT_RESOURCES
    )


def _without_nodes(placed: Placed) -> _Finding:
    finding = _Finding()
    if placed.strategy == "BackendProximity" and not placed.has_backend:
        finding.ineffective.append(
            "strategy BackendProximity has no backend in this cluster to be near to: name one "
            "whose URL is that of a Service, or write the pod affinity yourself"
        )
    return finding


@remembered(entries=512)
def _judge(deployment: Json, strategy: str | None, replicas: int, seen: Survey) -> _Finding:
    template = deployment["spec"]["template"]
    spec = template["spec"]
    requests = _requests(spec)
    finding = _Finding()
    # Hostnames are only counted, unless they are asked for: every node has its own.
    groups = seen.groups(frozenset(_keys(spec, strategy)), requests)
    matching = [group for group in groups if _matches(spec, group)]
    if not matching:
        asked = _selection(spec)
        finding.waiting.append(f"none of the {_nodes(groups)} has {asked}: its pods wait for one")
        return finding
    usable = [g for g in matching if not g.cordoned and not _untolerated(spec, g)]
    if not usable:
        _explain_unusable(spec, matching, finding)
        return finding
    eligible = [group for group in usable if group.fits]
    if not eligible:
        finding.unsatisfiable.append(_too_large(requests, usable))
        return finding
    for constraint in spec.get("topologySpreadConstraints") or ():
        if constraint["whenUnsatisfiable"] == HARD:
            told = _too_hard(constraint, matching, eligible, template, replicas)
            finding.unsatisfiable.extend(told)
    namespace = deployment["metadata"]["namespace"]
    finding.unsatisfiable.extend(_too_many(template, namespace, eligible, replicas))
    finding.ineffective.extend(_ineffective(strategy, eligible, finding))
    return finding


def _explain_unusable(spec: Json, matching: Sequence[NodeGroup], finding: _Finding) -> None:
    taints = sorted({taint for group in matching for taint in _untolerated(spec, group)})
    if all(_untolerated(spec, group) for group in matching):
        finding.unsatisfiable.append(
            f"all of the {_nodes(matching)} that match have taints the pods do not tolerate "
            f"({_shown([str(taint) for taint in taints])}): add tolerations"
        )
    else:
        finding.waiting.append(
            f"all of the {_nodes(matching)} that match are cordoned or tainted: "
            "its pods wait for one to be uncordoned"
        )


def _too_large(requests: Amounts, usable: Sequence[NodeGroup]) -> str:
    most = largest(requests, (group.largest for group in usable))
    over = [
        f"{name} {amount}, of which the largest has {most[name]}"
        for name, amount in requests
        if amount_of(amount) > amount_of(most[name])
    ]
    if over:
        told = f"requests more than any of the {_nodes(usable)} it may use has: {_shown(over)}"
    else:
        asked = ", ".join(f"{name} {amount}" for name, amount in requests)
        told = f"none of the {_nodes(usable)} it may use has all of {asked} together"
    return f"{told}; lower the requests or add larger nodes"


def _too_hard(
    constraint: Json,
    matching: Sequence[NodeGroup],
    eligible: Sequence[NodeGroup],
    template: Json,
    replicas: int,
) -> Iterator[str]:
    """Why a DoNotSchedule spread constraint cannot be met.

    A domain that counts but takes no pod holds the least number of pods at 0, and so do too few
    domains: then no domain takes more than maxSkew.
    """
    key, skew = constraint["topologyKey"], constraint["maxSkew"]
    carrying = [group for group in eligible if key in group.labels]
    if not carrying:
        yield (
            f"none of the {_nodes(eligible)} it may use has the label {key}, which a spread "
            f"constraint with {HARD} needs: label the nodes, or spread with ScheduleAnyway"
        )
        return
    if not selects(constraint.get("labelSelector"), template["metadata"]["labels"]):
        return
    reachable = {group.labels[key] for group in carrying}
    spec = template["spec"]
    counted = {
        group.labels[key]
        for group in matching
        if key in group.labels
        and not (constraint.get("nodeTaintsPolicy") == "Honor" and _untolerated(spec, group))
    }
    if constraint.get("nodeAffinityPolicy") == "Ignore":
        counted |= reachable  # and more, which only makes it harder
    least = constraint.get("minDomains") or 1
    if replicas <= len(reachable) * skew:
        return
    room = f"at most {len(reachable) * skew} of {replicas} replicas can be placed"
    if len(counted) < least:
        yield (
            f"{room}: minDomains is {least}, but the {_nodes(eligible)} it may use are in "
            f"{_domains(len(reachable), key)}; lower minDomains or add nodes elsewhere"
        )
    elif lost := sorted(counted - reachable):
        yield (
            f"{room}: {key} {_shown(lost)} counts for the spread with maxSkew {skew}, but has no "
            "node that takes the pods (tainted, cordoned or too small); tolerate its taints, or "
            "write the constraint with nodeTaintsPolicy: Honor"
        )


def _too_many(
    template: Json, namespace: str, eligible: Sequence[NodeGroup], replicas: int
) -> Iterator[str]:
    section = (template["spec"].get("affinity") or {}).get("podAntiAffinity") or {}
    keys = {
        term["topologyKey"]
        for term in section.get(REQUIRED) or ()
        if selects(term.get("labelSelector"), template["metadata"]["labels"])
        and _is_about(term, namespace)
    }
    for key in sorted(keys):
        if key == HOSTNAME:
            room = sum(group.count for group in eligible)
        elif all(key in group.labels for group in eligible):
            room = len({group.labels[key] for group in eligible})
        else:
            continue  # a node without the label takes as many as it likes
        if replicas > room:
            where = "node" if key == HOSTNAME else f"value of {key}"
            yield (
                f"{replicas} replicas repel each other by required anti-affinity, one for each "
                f"{where}, but the {_nodes(eligible)} it may use give room for {room}: "
                "add nodes, lower replicas, or prefer instead of require"
            )


def _is_about(term: ReadOnlyJson, namespace: str) -> bool:
    """Whether a term of pod affinity is about pods of their own namespace, as far as it tells."""
    namespaces, selector = term.get("namespaces"), term.get("namespaceSelector")
    if selector is not None and not selector:
        return True
    if selector:
        return namespace in (namespaces or ())
    return not namespaces or namespace in namespaces


def _ineffective(
    strategy: str | None, eligible: Sequence[NodeGroup], finding: _Finding
) -> Iterator[str]:
    key = _SPREADS.get(strategy or "")
    if key is not None and not any(key in told for told in finding.unsatisfiable):
        values = sorted({group.labels[key] for group in eligible if key in group.labels})
        if len(values) < 2:
            where = f"in {key} {values[0]}" if values else f"without the label {key}"
            yield (
                f"strategy {strategy} cannot spread: all of the {_nodes(eligible)} it may use are "
                f"{where}; widen the nodeSelector or add nodes elsewhere"
            )
    if strategy == "Spot" and not any(
        group.labels.get(label) == value
        for group in eligible
        for label, value in SPOT_LABELS.items()
    ):
        yield (
            f"strategy Spot finds no spot node: none of the {_nodes(eligible)} it may use has one "
            f"of the labels {', '.join(sorted(SPOT_LABELS))}"
        )


def _keys(spec: Json, strategy: str | None) -> Iterator[str]:
    """The node labels that matter to a pod."""
    yield from spec.get("nodeSelector") or ()
    for term in node_terms(spec.get("affinity")):
        for requirement in term.get("matchExpressions") or ():
            yield requirement["key"]
        if term.get("matchFields"):
            yield NODE_NAME
    for constraint in spec.get("topologySpreadConstraints") or ():
        if constraint["whenUnsatisfiable"] == HARD:
            yield constraint["topologyKey"]
    section = (spec.get("affinity") or {}).get("podAntiAffinity") or {}
    for term in section.get(REQUIRED) or ():
        if term["topologyKey"] != HOSTNAME:
            yield term["topologyKey"]
    if strategy in _SPREADS:
        yield _SPREADS[strategy]
    if strategy == "Spot":
        yield from SPOT_LABELS


def _resources(spec: Json) -> Json:
    found: Json = spec["containers"][0].get("resources") or {}
    return found


def _requests(spec: Json) -> Amounts:
    resources = _resources(spec)
    # A limit without a request is the request, too.
    amounts = {**(resources.get("limits") or {}), **(resources.get("requests") or {})}
    return tuple(sorted((name, str(amount)) for name, amount in amounts.items()))


def _matches(spec: Json, group: NodeGroup) -> bool:
    wanted = spec.get("nodeSelector") or {}
    terms = node_terms(spec.get("affinity"))
    return all(group.labels.get(key) == value for key, value in wanted.items()) and (
        not terms or any(_term_matches(term, group) for term in terms)
    )


def _term_matches(term: ReadOnlyJson, group: NodeGroup) -> bool:
    requirements = [*(term.get("matchExpressions") or ()), *(term.get("matchFields") or ())]
    return bool(requirements) and all(meets(r, group.labels) for r in requirements)


def _untolerated(spec: Json, group: NodeGroup) -> tuple[Taint, ...]:
    tolerations = spec.get("tolerations") or ()
    return tuple(
        taint for taint in group.taints if not any(_tolerates(t, taint) for t in tolerations)
    )


def _tolerates(toleration: ReadOnlyJson, taint: Taint) -> bool:
    if toleration.get("effect") not in (None, "", taint.effect):
        return False
    if toleration.get("key") not in (None, "", taint.key):
        return False
    if toleration.get("operator", "Equal") == "Exists":
        return True
    return bool(toleration.get("key")) and (toleration.get("value") or "") == taint.value


def _selection(spec: Json) -> str:
    wanted = [f"{key}={value}" for key, value in sorted((spec.get("nodeSelector") or {}).items())]
    by_labels = f"the labels {_shown(wanted)} of its nodeSelector" if wanted else ""
    by_affinity = "what its node affinity requires" if node_terms(spec.get("affinity")) else ""
    return " and ".join(filter(None, (by_labels, by_affinity)))


def _nodes(groups: Sequence[NodeGroup]) -> str:
    count = sum(group.count for group in groups)
    return f"{count} node{'' if count == 1 else 's'}"


def _domains(count: int, key: str) -> str:
    return f"{count} value{'' if count == 1 else 's'} of {key}"


def _shown(texts: Sequence[str]) -> str:
    more = f" and {len(texts) - _SHOWN_MAX} more" if len(texts) > _SHOWN_MAX else ""
    return ", ".join(texts[:_SHOWN_MAX]) + more
