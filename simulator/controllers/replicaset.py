"""The ReplicaSet controller.

Source: pkg/controller/replicaset and the pod ranking in pkg/controller/controller_utils.go of
Kubernetes 1.37. It needs no expectations: its cache is never behind its own writes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from prism_operator.api.meta import (
    DEPLOYMENT,
    POD,
    REPLICA_SET,
    Json,
    ReadOnlyJson,
    Ref,
    controller_uid_of,
    ref_of,
    uid_of,
)
from prism_operator.ports import Reason
from simulator.controllers.objects import (
    SECOND_NS,
    annotations_of,
    condition,
    created_ns,
    is_active,
    is_deleting,
    is_ready,
    is_terminating,
    labels_of,
    matches,
    node_of,
    owner_ref,
    owner_reference,
    phase,
    ready_since_ns,
    replace_condition,
    timestamp,
    with_status,
    without_zeros,
)
from simulator.controllers.ownership import claim
from simulator.controllers.workqueue import WorkQueue
from simulator.controllers.world import Change, RefusedError, World

BURST_REPLICAS = 500
STATUS_RETRIES = 1
DELETION_COST = "controller.kubernetes.io/pod-deletion-cost"
_PHASES = {"Pending": 0, "Unknown": 1, "Running": 2}


class ReplicaSetController:
    """Keeps as many pods as every ReplicaSet's spec says."""

    def __init__(self, world: World, order: Mapping[Ref, object] | None = None) -> None:
        self._world = world
        self.queue: WorkQueue[Ref] = WorkQueue(
            world.unix_us, lambda ref: (order or {}).get(ref, ref)
        )

    def changed(self, change: Change) -> None:
        """Queues the ReplicaSets that a change concerns."""
        if change.ref.resource == REPLICA_SET:
            self.queue.add(change.ref)
        elif change.ref.resource == POD:
            self._pod_changed(change)

    def sync_next(self) -> bool:
        """Syncs the next queued ReplicaSet; False when none is ready."""
        ref = self.queue.take()
        if ref is None:
            return False
        try:
            self._sync(ref)
        except RefusedError:
            self.queue.retry(ref)
        else:
            self.queue.forget(ref)
        return True

    def _pod_changed(self, change: Change) -> None:
        owners = {
            owner
            for pod in (change.old, change.new)
            if pod and (owner := owner_ref(pod, REPLICA_SET))
        }
        for ref, uid in sorted(owners):
            rs = self._world.get(ref)
            if rs is None or uid_of(rs) != uid:
                continue
            self.queue.add(ref)
            min_ready_s = rs["spec"].get("minReadySeconds", 0)
            if min_ready_s and _became_ready(change):
                self.queue.add_after(ref, min_ready_s * SECOND_NS // 1000)
        if change.new is not None and controller_uid_of(change.new) is None:
            for rs in self._world.list(REPLICA_SET, change.ref.namespace):
                if matches(rs["spec"]["selector"], labels_of(change.new)):
                    self.queue.add(ref_of(rs))

    def _sync(self, ref: Ref) -> None:
        rs = self._world.get(ref)
        if rs is None:
            return
        orphans = self._world.orphans(POD, ref.namespace)
        pods = [*self._world.controlled_by(uid_of(rs), POD), *orphans]
        mine = claim(self._world, rs, [p for p in pods if is_active(p)])
        ending = [
            p
            for p in pods
            if is_terminating(p)
            and controller_uid_of(p) == uid_of(rs)
            and matches(rs["spec"]["selector"], labels_of(p))
        ]
        failure = None if is_deleting(rs) else self._manage(rs, mine)
        now_us = self._world.unix_us()
        written = self._write_status(rs, pod_counts(rs, mine, ending, failure, now_us))
        if failure is not None:
            raise failure
        min_ready_s = rs["spec"].get("minReadySeconds", 0)
        counts = written.get("status") or {}
        if min_ready_s and counts.get("readyReplicas", 0) != counts.get("availableReplicas", 0):
            self.queue.add_after(ref, next_availability_us(mine, min_ready_s, now_us))

    def _manage(self, rs: Json, pods: Sequence[Json]) -> RefusedError | None:
        """Creates what is missing or deletes what is too much; answers the first failure."""
        surplus = len(pods) - rs["spec"]["replicas"]
        if surplus < 0:
            return self._create_pods(rs, min(-surplus, BURST_REPLICAS))
        failure = None
        if surplus > 0:
            victims = pods_to_delete(
                pods, self._related_pods(rs), min(surplus, BURST_REPLICAS), self._world.unix_us()
            )
            for pod in victims:
                failure = failure or self._delete_pod(rs, pod)
        return failure

    def _create_pods(self, rs: Json, count: int) -> RefusedError | None:
        """In batches of 1, 2, 4, …, so that what would be refused is not asked for often."""
        batch = 1
        while count > 0:
            failure = None
            for _ in range(min(batch, count)):
                failure = failure or self._create_pod(rs)
            if failure is not None:
                return failure
            count -= batch
            batch *= 2
        return None

    def _create_pod(self, rs: Json) -> RefusedError | None:
        template = rs["spec"]["template"]
        metadata = template.get("metadata") or {}
        pod = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                "generateName": rs["metadata"]["name"] + "-",
                "namespace": rs["metadata"]["namespace"],
                "ownerReferences": [owner_reference(rs)],
                **{k: metadata[k] for k in ("labels", "annotations") if metadata.get(k)},
            },
            "spec": template["spec"],
        }
        try:
            created = self._world.create(pod)
        except RefusedError as refused:
            self._world.event(rs, "Warning", "FailedCreate", f"Error creating: {refused}")
            return refused
        name = created["metadata"]["name"]
        self._world.event(rs, "Normal", "SuccessfulCreate", f"Created pod: {name}")
        return None

    def _delete_pod(self, rs: Json, pod: Json) -> RefusedError | None:
        name = pod["metadata"]["name"]
        try:
            self._world.delete(ref_of(pod), uid_of(pod))
        except RefusedError as refused:
            if refused.reason is Reason.NOT_FOUND:
                return None
            self._world.event(rs, "Warning", "FailedDelete", f"Error deleting: {refused}")
            return refused
        self._world.event(rs, "Normal", "SuccessfulDelete", f"Deleted pod: {name}")
        return None

    def _related_pods(self, rs: Json) -> list[Json]:
        """The pods of all ReplicaSets of the same Deployment."""
        if owner_ref(rs, DEPLOYMENT) is None:
            return []
        siblings = self._world.controlled_by(str(controller_uid_of(rs)), REPLICA_SET)
        return [p for s in siblings for p in self._world.controlled_by(uid_of(s), POD)]

    def _write_status(self, rs: Json, counts: Json) -> Json:
        before = rs.get("status") or {}
        if {**before, "observedGeneration": 0} == {**counts, "observedGeneration": 0} and (
            before.get("observedGeneration", 0) == rs["metadata"]["generation"]
        ):
            return rs
        status = {**counts, "observedGeneration": rs["metadata"]["generation"]}
        for _ in range(STATUS_RETRIES):
            try:
                return self._world.update(with_status(rs, status), "status")
            except RefusedError:
                fresh = self._world.get(ref_of(rs))
                if fresh is None:
                    raise
                rs = fresh
        return self._world.update(with_status(rs, status), "status")


def _became_ready(change: Change) -> bool:
    old, new = change.old, change.new
    if old is None or new is None or is_deleting(new):
        return False
    return is_ready(new) and not is_ready(old)


def pod_counts(
    rs: Json,
    active: Sequence[Json],
    terminating: Sequence[Json],
    failure: RefusedError | None,
    unix_us: int,
) -> Json:
    """A ReplicaSet's status, without observedGeneration."""
    template_labels = (rs["spec"]["template"].get("metadata") or {}).get("labels") or {}
    min_ready_s = rs["spec"].get("minReadySeconds", 0)
    return without_zeros(
        {
            "fullyLabeledReplicas": sum(
                matches({"matchLabels": template_labels}, labels_of(p)) for p in active
            ),
            "readyReplicas": sum(map(is_ready, active)),
            "availableReplicas": sum(is_available(p, min_ready_s, unix_us) for p in active),
            "conditions": _conditions(rs, len(active), failure, unix_us),
        }
    ) | {"replicas": len(active), "terminatingReplicas": len(terminating)}


def _conditions(rs: Json, active: int, failure: RefusedError | None, unix_us: int) -> list[Json]:
    conditions = list((rs.get("status") or {}).get("conditions") or ())
    if failure is None:
        return [c for c in conditions if c["type"] != "ReplicaFailure"]
    if condition(rs, "ReplicaFailure") is not None:
        return conditions
    new = {
        "type": "ReplicaFailure",
        "status": "True",
        "reason": "FailedCreate" if active < rs["spec"]["replicas"] else "FailedDelete",
        "message": str(failure),
        "lastTransitionTime": timestamp(unix_us),
    }
    return replace_condition(conditions, new)


def is_available(pod: ReadOnlyJson, min_ready_s: int, unix_us: int) -> bool:
    """Whether a pod has been ready for long enough."""
    if not is_ready(pod):
        return False
    since = ready_since_ns(pod)
    return min_ready_s == 0 or (
        since is not None and since + min_ready_s * SECOND_NS <= unix_us * 1000
    )


def next_availability_us(pods: Sequence[Json], min_ready_s: int, unix_us: int) -> int:
    """How long until the next of the ready pods becomes available."""
    waits = []
    for pod in pods:
        since = ready_since_ns(pod)
        if since is not None and since + min_ready_s * SECOND_NS > unix_us * 1000:
            waits.append((since + min_ready_s * SECOND_NS) // 1000 - unix_us)
    return min(waits, default=min_ready_s * SECOND_NS // 1000)


# Which pods go first


def pods_to_delete(
    pods: Sequence[Json], related: Sequence[Json], count: int, unix_us: int
) -> list[Json]:
    """The ``count`` pods that are dispensed with first."""
    if count >= len(pods):
        return list(pods)
    on_node: dict[str, int] = {}
    for pod in related:
        if is_active(pod):
            on_node[node_of(pod)] = on_node.get(node_of(pod), 0) + 1
    # The rules are no transitive order, so the way of sorting shows in the result: this is the
    # insertion sort that Go uses for few elements.
    ranked: list[_Ranked] = []
    for pod in pods:
        new = _Ranked(pod, on_node.get(node_of(pod), 0))
        at = len(ranked)
        while at > 0 and new.goes_before(ranked[at - 1], unix_us * 1000):
            at -= 1
        ranked.insert(at, new)
    return [r.pod for r in ranked[:count]]


class _Ranked:
    """A pod with what its rank depends on, read once."""

    __slots__ = ("cost", "created", "key", "pod", "ready_since", "restarts", "sharing", "uid")

    def __init__(self, pod: Json, sharing: int) -> None:
        self.pod, self.uid, self.sharing = pod, uid_of(pod), sharing
        self.ready_since = ready_since_ns(pod)
        self.cost = _deletion_cost(pod)
        # Not bound, then pending, then not ready: these go first.
        self.key = (node_of(pod) != "", _PHASES.get(phase(pod), 0), is_ready(pod))
        statuses = (pod.get("status") or {}).get("containerStatuses") or ()
        self.restarts = max((s.get("restartCount", 0) for s in statuses), default=0)
        self.created = created_ns(pod)

    def goes_before(self, other: _Ranked, now_ns: int) -> bool:
        if self.key != other.key:
            return self.key < other.key
        if self.cost != other.cost:
            return self.cost < other.cost
        if self.sharing != other.sharing:
            return self.sharing > other.sharing
        if self.ready_since != other.ready_since:
            return self._younger(self.ready_since, other.ready_since, other, now_ns)
        if self.restarts != other.restarts:
            return self.restarts > other.restarts
        if self.created != other.created:
            return self._younger(self.created, other.created, other, now_ns)
        return False

    def _younger(self, mine: int | None, theirs: int | None, other: _Ranked, now_ns: int) -> bool:
        if mine is None or theirs is None:
            return mine is None
        # By powers of two of the age, so that pods of about one age go in random order.
        difference = _log2(now_ns - mine) - _log2(now_ns - theirs)
        return difference < 0 if difference else self.uid < other.uid


def _log2(age_ns: int) -> int:
    return age_ns.bit_length() - 1 if age_ns > 0 else -1


def _deletion_cost(pod: Json) -> int:
    text = annotations_of(pod).get(DELETION_COST, "0")
    try:
        return int(text)
    except ValueError:
        return 0
