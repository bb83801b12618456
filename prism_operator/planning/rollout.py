"""How far a Deployment is, judged as ``kubectl rollout status`` does.

Source: ``k8s.io/kubectl/pkg/polymorphichelpers/rollout_status.go``.
"""

from __future__ import annotations

from typing import Final

from prism_operator.api.meta import Json
from prism_operator.planning.verdict import Verdict, failed, progressing, ready, unavailable

IN_PROGRESS: Final = "RolloutInProgress"
_COUNTS: Final = ("replicas", "updatedReplicas", "readyReplicas", "availableReplicas")


def judge_rollout(
    subject: str, deployment: Json | None, *, settled: bool, replicas: int
) -> Verdict:
    """The verdict on a Deployment that ``settled`` says holds the newest spec.

    ``replicas`` is the number to name while there is no Deployment.
    """
    if deployment is None:
        return progressing(subject, IN_PROGRESS, f"0 of {replicas} replicas are available")
    spec, status = deployment["spec"], deployment.get("status") or {}
    wanted = spec.get("replicas", 1)
    available = status.get("availableReplicas", 0)
    updated = status.get("updatedReplicas", 0)
    conditions = {c["type"]: c for c in status.get("conditions") or ()}
    counts = f"{available} of {wanted} replicas are available"
    seen = status.get("observedGeneration", 0) >= deployment["metadata"].get("generation", 0)

    if not settled or not seen:
        return progressing(subject, IN_PROGRESS, counts)
    failure = conditions.get("ReplicaFailure")
    if failure is not None and failure["status"] == "True":
        return failed(subject, failure.get("reason") or "ReplicaFailure", failure["message"])
    progress = conditions.get("Progressing", {})
    if progress.get("reason") == "ProgressDeadlineExceeded":
        return failed(subject, "ProgressDeadlineExceeded", f"{counts}, and no progress is made")
    if updated < wanted:
        return progressing(
            subject, IN_PROGRESS, f"{updated} of {wanted} replicas are of the newest version"
        )
    if status.get("replicas", 0) > updated:
        return progressing(
            subject, IN_PROGRESS, f"{status['replicas'] - updated} old replicas are still there"
        )
    if available < wanted:
        # The rollout was complete before, so this is a loss and no progress.
        if progress.get("reason") == "NewReplicaSetAvailable":
            return unavailable(subject, "ReplicasUnavailable", counts)
        return progressing(subject, IN_PROGRESS, counts)
    return ready(subject, counts)


def workload_status(deployment: Json | None) -> Json:
    """The counts of a Deployment's pods, as our statuses show them."""
    status = (deployment or {}).get("status") or {}
    return {count: status.get(count, 0) for count in _COUNTS}
