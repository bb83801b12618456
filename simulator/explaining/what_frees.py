"""Small changes after which a pod might be evicted, or an autoscaler would remove a node.

``refusal_of`` and ``why_kept`` are asked again with one thing changed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from prism_operator.api.meta import Json
from simulator.cluster.autoscaler import ClusterAutoscaler, Karpenter, Keep
from simulator.cluster.eviction import Refusal, refusal_of
from simulator.controllers.disruption import disruptions_allowed
from simulator.controllers.objects import with_status
from simulator.explaining.answers import WhatIf, smallest
from simulator.explaining.instants import told
from simulator.scheduling.nodes import Cluster, NodeInfo

_PODS_MAX: Final = 1000  # so many more healthy ones are tried
_BY_PODS: Final = ("pods", "room", "utilization")  # rules that fewer pods could end


def would_let_go(pod: Json, refusal: Refusal) -> Iterator[WhatIf]:
    """What would let the eviction API evict a pod that a budget keeps."""
    outcome = f"{pod['metadata']['namespace']}/{pod['metadata']['name']} may be evicted"
    first, *others = refusal.budgets
    name = budget_name(first)
    if others:
        if refusal_of(pod, (first,)) is None:
            yield WhatIf(f"no PodDisruptionBudget beside {name}", outcome)
        return
    more = smallest(lambda n: refusal_of(pod, (_healthier(first, n),)) is None, _PODS_MAX)
    if more is not None:
        healthy, desired = (first["status"][key] for key in ("currentHealthy", "desiredHealthy"))
        yield WhatIf(
            f"{more} more healthy pod{'s' if more > 1 else ''} of PodDisruptionBudget {name} "
            f"({healthy} are, {desired} have to stay)",
            outcome,
        )
    always = {**first, "spec": {**first["spec"], "unhealthyPodEvictionPolicy": "AlwaysAllow"}}
    if refusal_of(pod, (always,)) is None:
        yield WhatIf(f"unhealthyPodEvictionPolicy: AlwaysAllow in {name}", outcome)


def would_go(
    scaler: ClusterAutoscaler | Karpenter, node: NodeInfo, cluster: Cluster, kept: Keep
) -> Iterator[WhatIf]:
    """What would have an autoscaler of nodes remove one that it keeps."""
    if kept.rule == "utilization" and isinstance(scaler, ClusterAutoscaler):
        yield from _at_another_threshold(scaler, node)
    if kept.rule not in _BY_PODS:
        return
    for pod in node.pods:
        without = node.copy()
        without.remove(pod)
        nodes = [without if other is node else other for other in cluster.nodes]
        then = scaler.why_kept(node.name, cluster=replace(cluster, nodes=nodes))
        if then is None or then.rule not in _BY_PODS:
            yield WhatIf(f"{pod.namespace}/{pod.name} not on it", _outcome(then))
            return


def keep_text(kept: Keep) -> str:
    """Why a node stays, in words."""
    until = "" if kept.until_us is None else f", until {told(kept.until_us)}"
    return f"{kept.said}{until}"


def budget_name(budget: Json) -> str:
    """A budget with its namespace."""
    return f"{budget['metadata']['namespace']}/{budget['metadata']['name']}"


def _at_another_threshold(scaler: ClusterAutoscaler, node: NodeInfo) -> Iterator[WhatIf]:
    had = round(scaler.settings.utilization * 100)

    def kept_at(percent: int) -> Keep | None:
        settings = replace(scaler.settings, utilization=percent / 100)
        return scaler.why_kept(node.name, settings=settings)

    def gives_way(more: int) -> bool:
        then = kept_at(had + more)
        return then is None or then.rule != "utilization"

    more = smallest(gives_way, 100 - had)
    if more is not None:
        yield WhatIf(
            f"a utilization threshold of {had + more} % instead of {had} %",
            _outcome(kept_at(had + more)),
        )


def _outcome(then: Keep | None) -> str:
    return "removed at the next look" if then is None else f"then kept: {keep_text(then)}"


def _healthier(budget: Json, more: int) -> Json:
    """A budget when more of its pods are healthy."""
    status = budget.get("status") or {}
    expected, desired = status.get("expectedPods", 0), status.get("desiredHealthy", 0)
    healthy = status.get("currentHealthy", 0) + more
    allowed = disruptions_allowed(expected, desired, healthy)
    return with_status(budget, {**status, "currentHealthy": healthy, "disruptionsAllowed": allowed})
