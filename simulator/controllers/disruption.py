"""The disruption controller: how many pods of a PodDisruptionBudget may go.

Source: pkg/controller/disruption of Kubernetes 1.37. Pods and budgets wake it, scaling alone does
not, so the expected count can be stale as in a real cluster.
"""

from __future__ import annotations

from collections.abc import Sequence

from prism_operator.api.meta import (
    DEPLOYMENT,
    POD,
    POD_DISRUPTION_BUDGET,
    REPLICA_SET,
    Json,
    Ref,
    ref_of,
    uid_of,
)
from simulator.controllers.objects import (
    condition,
    int_or_percent,
    is_deleting,
    is_ready,
    labels_of,
    matches,
    owner_ref,
    replace_condition,
    timestamp,
    with_status,
)
from simulator.controllers.workqueue import WorkQueue
from simulator.controllers.world import Change, RefusedError, World


class ControllerGoneError(Exception):
    """A selected pod's controller cannot be found, so nobody knows how many pods to expect."""


def disruptions_allowed(expected: int, desired: int, healthy: int) -> int:
    """How many pods may go at once."""
    return max(0, healthy - desired) if expected > 0 else 0


class DisruptionController:
    """Keeps the status of every PodDisruptionBudget."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.queue: WorkQueue[Ref] = WorkQueue(world.unix_us, lambda ref: ref)

    def changed(self, change: Change) -> None:
        """Queues the budgets that a change concerns."""
        if change.ref.resource == POD_DISRUPTION_BUDGET:
            self.queue.add(change.ref)
        elif change.ref.resource == POD:
            budget = self._budget_of(change.latest)
            if budget is not None:
                self.queue.add(ref_of(budget))

    def sync_next(self) -> bool:
        """Syncs the next queued budget; False when none is ready."""
        ref = self.queue.take()
        if ref is None:
            return False
        budget = self._world.get(ref)
        try:
            if budget is not None:
                self._sync(budget)
        except RefusedError:
            self.queue.retry(ref)
        else:
            self.queue.forget(ref)
        return True

    def _budget_of(self, pod: Json) -> Json | None:
        for budget in self._world.list(POD_DISRUPTION_BUDGET, pod["metadata"]["namespace"]):
            selector = budget["spec"].get("selector")
            if selector and matches(selector, labels_of(pod)):
                return budget
        return None

    def _sync(self, budget: Json) -> None:
        selector = budget["spec"].get("selector")
        pods = [
            pod
            for pod in self._world.pods_with(
                budget["metadata"]["namespace"], (selector or {}).get("matchLabels") or {}
            )
            if matches(selector, labels_of(pod))
        ]
        status = budget.get("status") or {}
        try:
            expected, desired = self._expected_and_desired(budget["spec"], pods)
        except ControllerGoneError as gone:
            # Fail safe: with unknown numbers nothing may be disrupted.
            after = {**status, "disruptionsAllowed": 0}
            after = self._with_condition(after, "SyncFailed", str(gone), observed=status)
        else:
            healthy = sum(is_ready(p) and not is_deleting(p) for p in pods)
            allowed = disruptions_allowed(expected, desired, healthy)
            after = {
                **status,
                "currentHealthy": healthy,
                "desiredHealthy": desired,
                "expectedPods": expected,
                "disruptionsAllowed": allowed,
                "observedGeneration": budget["metadata"]["generation"],
            }
            reason = "SufficientPods" if allowed > 0 else "InsufficientPods"
            after = self._with_condition(after, reason, "", observed=after)
        if after != status:
            self._world.update(with_status(budget, after), "status")

    def _expected_and_desired(self, spec: Json, pods: Sequence[Json]) -> tuple[int, int]:
        """How many pods there should be, and how many of them healthy.

        Raises:
            ControllerGoneError: That depends on a controller that is not there.
        """
        if spec.get("maxUnavailable") is not None:
            expected = self._scale_of_controllers(pods)
            gone = int_or_percent(spec["maxUnavailable"], expected, round_up=True)
            return expected, max(0, expected - gone)
        minimum = spec.get("minAvailable")
        if isinstance(minimum, int):
            return len(pods), minimum
        if minimum is None:
            return 0, 0
        expected = self._scale_of_controllers(pods)
        return expected, int_or_percent(minimum, expected, round_up=True)

    def _scale_of_controllers(self, pods: Sequence[Json]) -> int:
        scales: dict[str, int] = {}
        for pod in pods:
            parent = owner_ref(pod, REPLICA_SET)
            if parent is None:
                continue  # unmanaged: the real one tells about it in an Event and goes on
            rs = self._world.get(parent[0])
            if rs is None or uid_of(rs) != parent[1]:
                raise ControllerGoneError(
                    f'found no controllers for pod "{pod["metadata"]["name"]}"'
                )
            grandparent = owner_ref(rs, DEPLOYMENT)
            owner = self._world.get(grandparent[0]) if grandparent else None
            if grandparent and owner is not None and uid_of(owner) == grandparent[1]:
                rs = owner
            scales[uid_of(rs)] = rs["spec"]["replicas"]
        return sum(scales.values())

    def _with_condition(self, status: Json, reason: str, message: str, *, observed: Json) -> Json:
        truth = "True" if reason == "SufficientPods" else "False"
        generation = observed.get("observedGeneration", 0)
        before = condition({"status": status}, "DisruptionAllowed")
        same = before is not None and before["status"] == truth
        now = timestamp(self._world.unix_us())
        new = {
            "type": "DisruptionAllowed",
            "status": truth,
            "reason": reason,
            "message": message,
            "observedGeneration": generation,
            "lastTransitionTime": before["lastTransitionTime"] if before and same else now,
        }
        if new == before:
            return status
        return {**status, "conditions": replace_condition(status.get("conditions") or (), new)}
