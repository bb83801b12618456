"""The eviction subresource: pods that go by request, as far as their budgets allow.

Source: ``pkg/registry/core/pod/rest/eviction.go`` of Kubernetes 1.37.
"""

from __future__ import annotations

from prism_operator.api.meta import POD_DISRUPTION_BUDGET, Json, ref_of, uid_of
from prism_operator.ports import Reason
from simulator.cluster.api import ApiWorld
from simulator.controllers.objects import (
    is_deleting,
    is_ready,
    is_terminal,
    labels_of,
    matches,
    phase,
    timestamp,
    with_status,
)
from simulator.controllers.world import RefusedError


def budgets_of(world: ApiWorld, pod: Json) -> list[Json]:
    """The budgets that select a pod."""
    return [
        budget
        for budget in world.list(POD_DISRUPTION_BUDGET, pod["metadata"]["namespace"])
        if budget["spec"].get("selector") and matches(budget["spec"]["selector"], labels_of(pod))
    ]


def evict(world: ApiWorld, pod: Json) -> str | None:
    """Evicts a pod; answers why not, when its budget forbids it now."""
    if is_deleting(pod):
        return None
    budgets = budgets_of(world, pod)
    if len(budgets) > 1:
        return "This pod has more than one PodDisruptionBudget, which the eviction API refuses."
    if budgets and not is_terminal(pod) and phase(pod) != "Pending":
        refusal = _use_up(world, budgets[0], pod)
        if refusal is not None:
            return refusal
    try:
        world.delete(ref_of(pod), uid_of(pod))
    except RefusedError as refused:
        if refused.reason is not Reason.NOT_FOUND:
            raise
    return None


def _use_up(world: ApiWorld, budget: Json, pod: Json) -> str | None:
    status = budget.get("status") or {}
    if not is_ready(pod):
        policy = budget["spec"].get("unhealthyPodEvictionPolicy", "IfHealthyBudget")
        healthy, desired = status.get("currentHealthy", 0), status.get("desiredHealthy", 0)
        if policy == "AlwaysAllow" or (healthy >= desired and desired > 0):
            return None
    if status.get("observedGeneration", 0) < budget["metadata"]["generation"]:
        return "The disruption budget is still being processed by the server."
    if status.get("disruptionsAllowed", 0) <= 0:
        return "Cannot evict pod as it would violate the pod's disruption budget."
    gone = {**(status.get("disruptedPods") or {})}
    gone[pod["metadata"]["name"]] = timestamp(world.unix_us())
    after = {
        **status,
        "disruptionsAllowed": status["disruptionsAllowed"] - 1,
        "disruptedPods": gone,
    }
    world.update(with_status(budget, after), "status")
    return None
