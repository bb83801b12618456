"""The eviction subresource: pods that go by request, as far as their budgets allow.

Source: ``pkg/registry/core/pod/rest/eviction.go`` of Kubernetes 1.37.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

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


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a pod may not be evicted now, and the budgets that say so."""

    message: str
    budgets: tuple[Json, ...]


def budgets_of(world: ApiWorld, pod: Json) -> list[Json]:
    """The budgets that select a pod."""
    return [
        budget
        for budget in world.list(POD_DISRUPTION_BUDGET, pod["metadata"]["namespace"])
        if budget["spec"].get("selector") and matches(budget["spec"]["selector"], labels_of(pod))
    ]


def refusal_of(pod: Json, budgets: Sequence[Json]) -> Refusal | None:
    """Why the budgets that select a pod forbid its eviction now; None when they do not."""
    if is_deleting(pod):
        return None
    if len(budgets) > 1:
        return Refusal(
            "This pod has more than one PodDisruptionBudget, which the eviction API refuses.",
            tuple(budgets),
        )
    budget = _charged(pod, budgets)
    if budget is None:
        return None
    status = budget.get("status") or {}
    if status.get("observedGeneration", 0) < budget["metadata"]["generation"]:
        message = "The disruption budget is still being processed by the server."
    elif status.get("disruptionsAllowed", 0) <= 0:
        message = "Cannot evict pod as it would violate the pod's disruption budget."
    else:
        return None
    return Refusal(message, (budget,))


def evict(world: ApiWorld, pod: Json) -> str | None:
    """Evicts a pod; answers why not, when its budget forbids it now."""
    if is_deleting(pod):
        return None
    budgets = budgets_of(world, pod)
    refusal = refusal_of(pod, budgets)
    if refusal is not None:
        return refusal.message
    budget = _charged(pod, budgets)
    if budget is not None:
        _use_up(world, budget, pod)
    try:
        world.delete(ref_of(pod), uid_of(pod))
    except RefusedError as refused:
        if refused.reason is not Reason.NOT_FOUND:
            raise
    return None


def _charged(pod: Json, budgets: Sequence[Json]) -> Json | None:
    """The budget that an eviction uses up; None when it may go without."""
    if not budgets or is_terminal(pod) or phase(pod) == "Pending":
        return None
    budget, *_ = budgets
    if not is_ready(pod):
        status = budget.get("status") or {}
        policy = budget["spec"].get("unhealthyPodEvictionPolicy", "IfHealthyBudget")
        healthy, desired = status.get("currentHealthy", 0), status.get("desiredHealthy", 0)
        if policy == "AlwaysAllow" or (healthy >= desired and desired > 0):
            return None
    return budget


def _use_up(world: ApiWorld, budget: Json, pod: Json) -> None:
    status = budget.get("status") or {}
    gone = {**(status.get("disruptedPods") or {})}
    gone[pod["metadata"]["name"]] = timestamp(world.unix_us())
    after = {
        **status,
        "disruptionsAllowed": status["disruptionsAllowed"] - 1,
        "disruptedPods": gone,
    }
    world.update(with_status(budget, after), "status")
