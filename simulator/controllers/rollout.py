"""The rules of a Deployment's rollout, as pure functions.

Source: pkg/controller/deployment (sync.go, rolling.go, progress.go, util/deployment_util.go) of
Kubernetes 1.37.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from prism_operator.api.meta import Json, ReadOnlyJson, uid_of
from simulator.controllers.objects import (
    SECOND_NS,
    annotations_of,
    by_age,
    condition,
    int_or_percent,
    replace_condition,
    timestamp,
    total,
    unix_ns,
    without_zeros,
)

REVISION = "deployment.kubernetes.io/revision"
REVISION_HISTORY = "deployment.kubernetes.io/revision-history"
DESIRED_REPLICAS = "deployment.kubernetes.io/desired-replicas"
MAX_REPLICAS = "deployment.kubernetes.io/max-replicas"
TEMPLATE_HASH = "pod-template-hash"
REVISION_HISTORY_CHARS_MAX = 2000
_NOT_COPIED = frozenset(
    {
        "kubectl.kubernetes.io/last-applied-configuration",
        "deprecated.deployment.rollback.to",
        REVISION,
        REVISION_HISTORY,
        DESIRED_REPLICAS,
        MAX_REPLICAS,
    }
)
_MAX_INT32 = 2**31 - 1


# Sizes


def replicas(obj: ReadOnlyJson) -> int:
    """``spec.replicas``; the API server has defaulted it."""
    return int(obj["spec"]["replicas"])


def is_rolling(deployment: ReadOnlyJson) -> bool:
    """Whether pods are replaced step by step."""
    return deployment["spec"]["strategy"]["type"] == "RollingUpdate"  # type: ignore[no-any-return]


@dataclass(frozen=True, slots=True)
class Fenceposts:
    """How far the number of pods may stray from the desired one during a rollout."""

    surge: int
    unavailable: int


def fenceposts(deployment: ReadOnlyJson) -> Fenceposts:
    """maxSurge rounded up and maxUnavailable rounded down; both zero means one unavailable."""
    if not is_rolling(deployment):
        return Fenceposts(0, 0)
    rolling, desired = (
        deployment["spec"]["strategy"].get("rollingUpdate") or {},
        replicas(deployment),
    )
    surge = int_or_percent(rolling.get("maxSurge", 0), desired, round_up=True)
    unavailable = int_or_percent(rolling.get("maxUnavailable", 0), desired, round_up=False)
    if surge == 0 and unavailable == 0:
        unavailable = 1
    return Fenceposts(surge, min(unavailable, desired))


def active(replica_sets: Iterable[Json]) -> list[Json]:
    """The ReplicaSets that ought to have pods."""
    return [rs for rs in replica_sets if replicas(rs) > 0]


def new_replica_set_size(deployment: Json, others: Sequence[Json], current: int) -> int:
    """How many replicas the new ReplicaSet may have now; ``others`` are all the other ones."""
    desired = replicas(deployment)
    if not is_rolling(deployment):
        return desired
    room = desired + fenceposts(deployment).surge - total(others, "spec", "replicas") - current
    return current if room <= 0 else current + min(room, desired - current)


def scale_down_allowance(deployment: Json, old: Sequence[Json], new: Json) -> int:
    """How many old pods may go without more being unavailable than allowed.

    Pods of the new ReplicaSet that are not available yet count as lost already: otherwise a broken
    template would eat up the old pods.
    """
    minimum = replicas(deployment) - fenceposts(deployment).unavailable
    new_unavailable = replicas(new) - total([new], "status", "availableReplicas")
    return total([*old, new], "spec", "replicas") - minimum - new_unavailable


def unhealthy_cuts(old: Sequence[Json], allowance: int) -> tuple[list[tuple[Json, int]], bool]:
    """Old ReplicaSets with the size each gets when unavailable pods go first, oldest set first.

    The flag is False when a ReplicaSet still shows more available pods than its spec wants: its
    last scaling was not observed yet, and nothing more may be scaled down in this sync.
    """
    cuts: list[tuple[Json, int]] = []
    for rs in sorted(old, key=by_age):
        if allowance <= 0:
            break
        unhealthy = replicas(rs) - total([rs], "status", "availableReplicas")
        if replicas(rs) == 0 or unhealthy == 0:
            continue
        if unhealthy < 0:
            return cuts, False
        cut = min(allowance, unhealthy)
        cuts.append((rs, replicas(rs) - cut))
        allowance -= cut
    return cuts, True


def healthy_cuts(deployment: Json, old: Sequence[Json], available: int) -> list[tuple[Json, int]]:
    """Old ReplicaSets with the size each gets while enough pods stay available, oldest first."""
    surplus = available - (replicas(deployment) - fenceposts(deployment).unavailable)
    cuts = []
    for rs in sorted(old, key=by_age):
        if surplus <= 0:
            break
        if replicas(rs) == 0:
            continue
        cut = min(replicas(rs), surplus)
        cuts.append((rs, replicas(rs) - cut))
        surplus -= cut
    return cuts


def only_active_or_latest(new: Json | None, old: Sequence[Json]) -> Json | None:
    """The one ReplicaSet to scale when at most one is active; None when several are."""
    everything = [*sorted(old, key=by_age, reverse=True), *([new] if new is not None else [])]
    running = active(everything)
    if len(running) > 1 or not everything:
        return None
    if running:
        return running[0]
    return new if new is not None else everything[0]


def is_saturated(deployment: Json, new: Json | None) -> bool:
    """Whether the new ReplicaSet has all the replicas, believes so, and all are available."""
    desired = replicas(deployment)
    return (
        new is not None
        and replicas(new) == desired
        and annotations_of(new).get(DESIRED_REPLICAS) == str(desired)
        and total([new], "status", "availableReplicas") == desired
    )


def proportional_sizes(deployment: Json, replica_sets: Sequence[Json]) -> list[tuple[Json, int]]:
    """The sizes of active ReplicaSets after a scaling in mid-rollout, in the order of writing.

    Each gets its share of what is added or removed, the largest first; of equal ones the newer is
    first on the way up, the older on the way down; what rounding left goes to the first.
    """
    if not replica_sets:
        return []
    desired = replicas(deployment)
    limit = desired + fenceposts(deployment).surge if desired > 0 else 0
    to_add = limit - total(replica_sets, "spec", "replicas")
    if to_add > 0:
        order = sorted(sorted(replica_sets, key=by_age, reverse=True), key=replicas, reverse=True)
    elif to_add < 0:
        order = sorted(sorted(replica_sets, key=by_age), key=replicas, reverse=True)
    else:
        return [(rs, replicas(rs)) for rs in replica_sets]
    sizes, added = [], 0
    for rs in order:
        share = 0
        if to_add != added:
            share = _fraction(deployment, rs)
            left = to_add - added
            share = min(share, left) if to_add > 0 else max(share, left)
        sizes.append(replicas(rs) + share)
        added += share
    sizes[0] = max(0, sizes[0] + to_add - added)
    return list(zip(order, sizes, strict=True))


def _fraction(deployment: Json, rs: Json) -> int:
    desired, size = replicas(deployment), replicas(rs)
    if desired == 0:
        return -size
    before = _count(rs, MAX_REPLICAS) or total([deployment], "status", "replicas")
    if before == 0:
        return 0
    after = desired + fenceposts(deployment).surge
    # Rounds half away from zero; everything is positive here.
    return (2 * size * after + before) // (2 * before) - size


def _count(rs: Json, annotation: str) -> int | None:
    text = annotations_of(rs).get(annotation, "")
    return int(text) if text.isdigit() and int(text) <= _MAX_INT32 else None


def is_scaling_event(deployment: Json, replica_sets: Iterable[Json]) -> bool:
    """Whether spec.replicas was edited since the active ReplicaSets were last scaled."""
    wanted = (_count(rs, DESIRED_REPLICAS) for rs in active(replica_sets))
    return any(n is not None and n != replicas(deployment) for n in wanted)


# Templates and revisions


def template_without_hash(template: ReadOnlyJson) -> Json:
    """A pod template as the user wrote it."""
    metadata = dict(template.get("metadata") or {})
    labels = {k: v for k, v in (metadata.get("labels") or {}).items() if k != TEMPLATE_HASH}
    metadata.pop("creationTimestamp", None)
    return {**template, "metadata": {**metadata, "labels": labels}}


def template_hash(deployment: ReadOnlyJson) -> str:
    """The pod-template-hash label: a function of template and collision count.

    The real one hashes Go's print-out of the struct, which nothing can depend on; its alphabet
    (no vowels, so no words) and length are kept.
    """
    collisions = (deployment.get("status") or {}).get("collisionCount", 0)
    text = json.dumps([deployment["spec"]["template"], collisions], sort_keys=True)
    number = int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big")
    return "".join("bcdfghjklmnpqrstvwxz2456789"[ord(c) % 27] for c in str(number))


def find_new(deployment: Json, replica_sets: Iterable[Json]) -> Json | None:
    """The oldest ReplicaSet that has the Deployment's template."""
    wanted = template_without_hash(deployment["spec"]["template"])
    for rs in sorted(replica_sets, key=by_age):
        if template_without_hash(rs["spec"]["template"]) == wanted:
            return rs
    return None


def without(replica_sets: Iterable[Json], new: Json | None) -> list[Json]:
    """All ReplicaSets but the new one, oldest first."""
    return sorted(
        (rs for rs in replica_sets if new is None or uid_of(rs) != uid_of(new)), key=by_age
    )


def revision(obj: ReadOnlyJson) -> int:
    """The revision annotation, 0 without one."""
    text = annotations_of(obj).get(REVISION, "0")
    return int(text) if text.isdigit() else 0


def replica_annotations(deployment: Json) -> dict[str, str]:
    """What a ReplicaSet remembers of the Deployment's size when it is created or scaled."""
    desired = replicas(deployment)
    return {
        DESIRED_REPLICAS: str(desired),
        MAX_REPLICAS: str(desired + fenceposts(deployment).surge),
    }


def revised_annotations(
    deployment: Json, existing: Mapping[str, str] | None, new_revision: int
) -> dict[str, str]:
    """The annotations of the new ReplicaSet; ``existing`` is None while it is to be created."""
    annotations = dict(existing or {})
    for key, value in annotations_of(deployment).items():
        if key not in _NOT_COPIED:
            annotations[key] = value
    before = annotations.get(REVISION, "")
    if before and not before.isdigit():
        return annotations
    if int(before or 0) < new_revision:
        annotations[REVISION] = str(new_revision)
        if before:  # a roll-back: the revisions it had are history
            annotations[REVISION_HISTORY] = _history(annotations.get(REVISION_HISTORY, ""), before)
    if existing is None:
        annotations |= replica_annotations(deployment)
    return annotations


def _history(history: str, before: str) -> str:
    if not history:
        return before
    revisions = history.split(",")
    while revisions and len(",".join([*revisions, before])) > REVISION_HISTORY_CHARS_MAX:
        revisions.pop(0)
    return ",".join([*revisions, before])


def surplus_revisions(deployment: Json, old: Iterable[Json]) -> list[Json]:
    """The old ReplicaSets beyond the history limit that may be deleted, lowest revision first."""
    limit = deployment["spec"].get("revisionHistoryLimit")
    if limit is None or limit == _MAX_INT32:
        return []
    alive = [rs for rs in old if "deletionTimestamp" not in rs["metadata"]]
    surplus = len(alive) - limit
    alive.sort(key=lambda rs: (revision(rs), *by_age(rs)))
    return [
        rs
        for rs in alive[: max(surplus, 0)]
        if replicas(rs) == 0
        and not total([rs], "status", "replicas")
        and rs["metadata"]["generation"] <= total([rs], "status", "observedGeneration")
    ]


# Status


def has_deadline(deployment: ReadOnlyJson) -> bool:
    """Whether lack of progress is to be reported."""
    return deployment["spec"].get("progressDeadlineSeconds") not in (None, _MAX_INT32)


def with_condition(
    status: Json, type_: str, truth: str, reason: str, message: str, unix_us: int
) -> Json:
    """The status with a condition set; the same status and reason leave everything as it is."""
    before = condition({"status": status}, type_)
    if before is not None and (before["status"], before["reason"]) == (truth, reason):
        return status
    now = timestamp(unix_us)
    same = before is not None and before["status"] == truth
    new = {
        "type": type_,
        "status": truth,
        "reason": reason,
        "message": message,
        "lastUpdateTime": now,
        "lastTransitionTime": before["lastTransitionTime"] if before and same else now,
    }
    return {**status, "conditions": replace_condition(status.get("conditions") or (), new)}


def without_condition(status: Json, type_: str) -> Json:
    """The status without conditions of a type."""
    kept = [c for c in status.get("conditions") or () if c["type"] != type_]
    return without_zeros({**status, "conditions": kept}) | _terminating(status)


def _terminating(status: ReadOnlyJson) -> Json:
    # A pointer in the API: 0 is written.
    return {k: status[k] for k in ("terminatingReplicas", "collisionCount") if k in status}


def counted_status(
    deployment: Json, status: Json, replica_sets: Sequence[Json], new: Json | None, unix_us: int
) -> Json:
    """Numbers and the Available condition, from the ReplicaSets as the sync found them."""
    available = total(replica_sets, "status", "availableReplicas")
    counts = without_zeros(
        {
            "observedGeneration": deployment["metadata"]["generation"],
            "replicas": total(replica_sets, "status", "replicas"),
            "updatedReplicas": total([new] if new is not None else [], "status", "replicas"),
            "readyReplicas": total(replica_sets, "status", "readyReplicas"),
            "availableReplicas": available,
            "unavailableReplicas": max(0, total(replica_sets, "spec", "replicas") - available),
            "conditions": status.get("conditions"),
        }
    )
    if "collisionCount" in status:
        counts["collisionCount"] = status["collisionCount"]
    counts["terminatingReplicas"] = total(replica_sets, "status", "terminatingReplicas")
    if available >= replicas(deployment) - fenceposts(deployment).unavailable:
        return with_condition(
            counts,
            "Available",
            "True",
            "MinimumReplicasAvailable",
            "Deployment has minimum availability.",
            unix_us,
        )
    return with_condition(
        counts,
        "Available",
        "False",
        "MinimumReplicasUnavailable",
        "Deployment does not have minimum availability.",
        unix_us,
    )


def is_complete(deployment: Json, status: ReadOnlyJson) -> bool:
    """Whether all replicas are of the new template and available, and no others are left."""
    desired = replicas(deployment)
    counts = (status.get(n, 0) for n in ("updatedReplicas", "replicas", "availableReplicas"))
    observed: int = status.get("observedGeneration", 0)
    return set(counts) == {desired} and observed >= deployment["metadata"]["generation"]


def made_progress(before: ReadOnlyJson, after: ReadOnlyJson) -> bool:
    """Whether more pods are updated, ready or available, or fewer old ones are left."""

    def old(status: ReadOnlyJson) -> int:
        return int(status.get("replicas", 0) - status.get("updatedReplicas", 0))

    return old(after) < old(before) or any(
        after.get(n, 0) > before.get(n, 0)
        for n in ("updatedReplicas", "readyReplicas", "availableReplicas")
    )


def deadline_ns(deployment: Json, progressing: ReadOnlyJson) -> int:
    """When lack of progress becomes a failure, in nanoseconds since 1970."""
    last = unix_ns(progressing["lastUpdateTime"])
    return int(last + deployment["spec"]["progressDeadlineSeconds"] * SECOND_NS)


def has_timed_out(deployment: Json, status: Json, unix_us: int) -> bool:
    """Whether the last progress is longer ago than the deadline."""
    progressing = condition({"status": status}, "Progressing")
    if progressing is None or progressing["reason"] == "NewReplicaSetAvailable":
        return False
    if progressing["reason"] == "ProgressDeadlineExceeded":
        return True
    return deadline_ns(deployment, progressing) < unix_us * 1000


def rollout_status(
    deployment: Json, status: Json, replica_sets: Sequence[Json], new: Json | None, unix_us: int
) -> Json:
    """The whole status in mid-rollout; ``status`` is the one the sync has so far."""
    after = counted_status(deployment, status, replica_sets, new, unix_us)
    progressing = condition({"status": status}, "Progressing")
    if not has_deadline(deployment):
        after = without_condition(after, "Progressing")
    elif not (
        progressing is not None
        and progressing["reason"] == "NewReplicaSetAvailable"
        and after.get("replicas", 0) == after.get("updatedReplicas", 0)
    ):
        after = _with_progress(deployment, status, after, new, unix_us)
    failure = _replica_failure(replica_sets, new)
    if failure is None:
        return without_condition(after, "ReplicaFailure")
    before = condition({"status": after}, "ReplicaFailure")
    if before is not None and (before["status"], before["reason"]) == (
        failure["status"],
        failure["reason"],
    ):
        return after
    if before is not None and before["status"] == failure["status"]:
        failure = {**failure, "lastTransitionTime": before["lastTransitionTime"]}
    return {**after, "conditions": replace_condition(after.get("conditions") or (), failure)}


def _with_progress(
    deployment: Json, before: Json, after: Json, new: Json | None, unix_us: int
) -> Json:
    subject = (
        f'ReplicaSet "{new["metadata"]["name"]}"'
        if new is not None
        else f'Deployment "{deployment["metadata"]["name"]}"'
    )
    if is_complete(deployment, after):
        message = f"{subject} has successfully progressed."
        return with_condition(
            after, "Progressing", "True", "NewReplicaSetAvailable", message, unix_us
        )
    if made_progress(before, after):
        # Unlike other conditions this one is renewed even when its reason stays: its
        # lastUpdateTime is what the deadline counts from.
        current = condition({"status": before}, "Progressing")
        renewed = with_condition(
            without_condition(after, "Progressing"),
            "Progressing",
            "True",
            "ReplicaSetUpdated",
            f"{subject} is progressing.",
            unix_us,
        )
        if current is not None and current["status"] == "True":
            renewed["conditions"][-1]["lastTransitionTime"] = current["lastTransitionTime"]
        return renewed
    if has_timed_out(deployment, after, unix_us):
        message = f"{subject} has timed out progressing."
        return with_condition(
            after, "Progressing", "False", "ProgressDeadlineExceeded", message, unix_us
        )
    return after


def _replica_failure(replica_sets: Sequence[Json], new: Json | None) -> Json | None:
    for rs in [*([new] if new is not None else []), *replica_sets]:
        failure = condition(rs, "ReplicaFailure")
        if failure is not None:
            return {**failure, "lastUpdateTime": failure["lastTransitionTime"]}
    return None
