"""Which pods have to go so that a more important one fits, and from which node.

After ``framework/preemption`` and ``plugins/defaultpreemption``, with one worker.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from prism_operator.api.meta import Json
from simulator.controllers.objects import labels_of
from simulator.scheduling.filters import Filters, Rejection
from simulator.scheduling.nodes import Cluster, NodeInfo
from simulator.scheduling.pods import PodInfo
from simulator.scheduling.selectors import compile_selector

# So that several victims of negative priority weigh more than one (MaxInt32 + 1).
_PRIORITY_OFFSET: Final = 2**31
_CANDIDATES_MIN: Final = 100
LATEST: Final = 2**63 - 1  # when a pod started that has not


@dataclass(frozen=True, slots=True)
class Candidate:
    """A node, and the pods that would have to leave it, most important first."""

    node: NodeInfo
    victims: tuple[PodInfo, ...]
    broken: tuple[tuple[PodInfo, Json], ...]  # victims, with the budget that each would break

    @property
    def violations(self) -> int:
        """How many evictions would break a PodDisruptionBudget."""
        return len(self.broken)


def preempt(
    pod: PodInfo,
    cluster: Cluster,
    filters: Filters,
    rejections: Mapping[str, Rejection],
    *,
    draw: Callable[[int], int] = lambda _: 0,
) -> Candidate | None:
    """The best node to make room on; None when that helps nowhere or the pod may not.

    The search begins at a drawn node of those that can be helped, and ends once enough could do.
    """
    if not pod.may_preempt:
        return None
    helped = [
        node
        for node in cluster.nodes
        if (why := rejections.get(node.name)) is not None and why.can_be_helped
    ]
    if not helped:
        return None
    first = draw(len(helped))
    enough = min(max(_CANDIDATES_MIN, len(helped) // 10), len(helped))
    candidates, violating = list[Candidate](), list[Candidate]()
    for node in (*helped[first:], *helped[:first]):
        candidate = room_on(pod, node, filters, cluster.budgets)
        if candidate is None:
            continue
        if not candidate.violations:
            candidates.append(candidate)
        elif len(violating) < enough:
            violating.append(candidate)
        if candidates and len(candidates) + len(violating) >= enough:
            break
    return min((*candidates, *violating), key=_order, default=None)


def room_on(
    pod: PodInfo, original: NodeInfo, filters: Filters, budgets: Sequence[Json]
) -> Candidate | None:
    """The fewest and least important victims on a node: all leave, then as many as fit return."""
    lower = [other for other in original.pods if other.priority < pod.priority]
    if not lower:
        return None
    node, trial = original.copy(), filters.copy()
    for other in lower:
        node.remove(other)
        trial.change(other, node, -1)
    if trial.check(node) is not None:
        return None
    lower.sort(key=_importance)
    protected, others = _by_budget(lower, budgets)
    victims = []
    for other in (*protected, *others):
        node.add(other)
        trial.change(other, node, +1)
        if trial.check(node) is not None:
            node.remove(other)
            trial.change(other, node, -1)
            victims.append(other)
    victims.sort(key=_importance)
    broken = tuple((other, protected[other]) for other in victims if other in protected)
    return Candidate(original, tuple(victims), broken)


def _by_budget(
    pods: Sequence[PodInfo], budgets: Sequence[Json]
) -> tuple[dict[PodInfo, Json], list[PodInfo]]:
    """Those whose eviction would break a budget, with it, and the others; each uses one up."""
    allowed = [*map(disruptions_allowed, budgets)]
    protected: dict[PodInfo, Json] = {}
    others: list[PodInfo] = []
    for pod in pods:
        for index, budget in enumerate(budgets):
            if is_covered(budget, pod, pod.name):
                allowed[index] -= 1
                if allowed[index] < 0:
                    protected[pod] = budget
                    break
        else:
            others.append(pod)
    return protected, others


def disruptions_allowed(budget: Json) -> int:
    """How many evictions a budget allows, as its status says."""
    return int((budget.get("status") or {}).get("disruptionsAllowed", 0))


def is_covered(budget: Json, pod: PodInfo, name: str) -> bool:
    """Whether the eviction of a pod would be charged; an empty selector matches nothing here."""
    if budget["metadata"].get("namespace", "") != pod.namespace or not labels_of(pod.obj):
        return False
    selector = compile_selector(budget["spec"].get("selector"))
    if selector.is_empty or not selector.matches(pod.labels):
        return False
    return name not in ((budget.get("status") or {}).get("disruptedPods") or {})


def _importance(pod: PodInfo) -> tuple[int, int, str]:
    """Sort key: the most important first, then who started first."""
    return -pod.priority, _started(pod), pod.name


def _started(pod: PodInfo) -> int:
    return LATEST if pod.started_ns is None else pod.started_ns


def _order(candidate: Candidate) -> tuple[int, int, int, int, int, str]:
    """Sort key: the best node first. Where the real scheduler takes any, the lowest name."""
    victims = candidate.victims
    highest = victims[0].priority
    earliest = min(_started(pod) for pod in victims if pod.priority == highest)
    return (
        candidate.violations,
        highest,
        sum(pod.priority + _PRIORITY_OFFSET for pod in victims),
        len(victims),
        -earliest,
        candidate.node.name,
    )
