"""Voluntary evictions keep to disruption budgets."""

from __future__ import annotations

from collections.abc import Iterable

from prism_operator.api.meta import POD, POD_DISRUPTION_BUDGET, ReadOnlyJson, Ref
from simulator.checkers.selecting import matches_labels
from simulator.cluster.api import Cache
from simulator.controllers.world import Change
from simulator.kernel import SECOND_US, Us


class BudgetKept:
    """An eviction that a budget is charged with leaves as many healthy pods as the budget wants.

    The eviction API goes by what the disruption controller last said, so a pod that was lost a
    moment ago still counts.
    """

    name = "pdb-violated-by-eviction"
    MOMENT_US = SECOND_US

    def __init__(self, cache: Cache) -> None:
        self._cache = cache
        self._lost: dict[Ref, tuple[Us, ReadOnlyJson]] = {}  # pods that were healthy until then

    def changed(self, change: Change, now_us: Us) -> Iterable[str]:
        """See ``Checker``."""
        old, new = change.old, change.new
        if change.ref.resource == POD:
            if old is not None and _is_healthy(old) and (new is None or not _is_healthy(new)):
                self._lost[change.ref] = (now_us, old)
            return
        if change.ref.resource != POD_DISRUPTION_BUDGET or new is None:
            return
        charged = sorted(set(_disrupted(new)) - set(_disrupted(old)))
        if not charged:
            return
        wanted = (new.get("status") or {}).get("desiredHealthy", 0)
        left = len(self._healthy(new, now_us) - set(_disrupted(new)))
        if left < wanted:
            pods = ", ".join(charged)
            yield f"{change.ref}: evicting {pods} leaves {left} healthy pods of {wanted} wanted"

    def rested(self, now_us: Us) -> Iterable[str]:
        """See ``Checker``."""
        if self._lost:
            since_us = now_us - self.MOMENT_US
            self._lost = {ref: lost for ref, lost in self._lost.items() if lost[0] >= since_us}
        return ()

    def _healthy(self, budget: ReadOnlyJson, now_us: Us) -> set[str]:
        namespace, selector = budget["metadata"]["namespace"], budget["spec"].get("selector") or {}
        there: list[ReadOnlyJson] = [
            pod for pod in self._cache.list(POD, namespace) if _is_healthy(pod)
        ]
        there += [
            pod
            for ref, (lost_us, pod) in sorted(self._lost.items())
            if ref.namespace == namespace and now_us - lost_us <= self.MOMENT_US
        ]
        return {
            pod["metadata"]["name"]
            for pod in there
            if matches_labels(selector, pod["metadata"].get("labels") or {})
        }


def _disrupted(budget: ReadOnlyJson | None) -> Iterable[str]:
    names: Iterable[str] = ((budget or {}).get("status") or {}).get("disruptedPods") or ()
    return names


def _is_healthy(pod: ReadOnlyJson) -> bool:
    if "deletionTimestamp" in pod["metadata"]:
        return False
    conditions = (pod.get("status") or {}).get("conditions") or ()
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)
