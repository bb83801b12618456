"""The Deployment controller: which writes a sync makes, in which order.

Source: pkg/controller/deployment of Kubernetes 1.37. The rules are in ``rollout``. Writes carry
resource versions, so a sync that writes the Deployment's status twice fails with a conflict and is
done again, as the real one.
"""

from __future__ import annotations

from contextlib import suppress

from prism_operator.api.meta import DEPLOYMENT, POD, REPLICA_SET, Json, Ref, ref_of, uid_of
from prism_operator.ports import Reason
from simulator.controllers import rollout
from simulator.controllers.objects import (
    annotations_of,
    by_age,
    condition,
    is_controlled_by,
    is_deleting,
    is_terminal,
    labels_of,
    matches,
    owner_ref,
    owner_reference,
    total,
    with_metadata,
    with_status,
)
from simulator.controllers.ownership import claim
from simulator.controllers.rollout import replicas
from simulator.controllers.workqueue import WorkQueue
from simulator.controllers.world import Change, RefusedError, World

RETRIES_MAX = 15
SECOND_US = 1_000_000


class DeploymentController:
    """Keeps every Deployment's ReplicaSets as its spec says."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.queue: WorkQueue[Ref] = WorkQueue(world.unix_us, lambda ref: ref)
        self._retries: dict[Ref, int] = {}

    def changed(self, change: Change) -> None:
        """Queues the Deployments that a change concerns."""
        if change.ref.resource == DEPLOYMENT:
            self.queue.add(change.ref)
        elif change.ref.resource == REPLICA_SET:
            self._replica_set_changed(change)
        elif change.ref.resource == POD and change.new is None:
            self._pod_gone(change.latest)

    def sync_next(self) -> bool:
        """Syncs the next queued Deployment; False when none is ready."""
        ref = self.queue.take()
        if ref is None:
            return False
        try:
            deployment = self._world.get(ref)
            if deployment is not None:
                _Sync(self._world, self.queue, deployment).run()
        except RefusedError:
            self._retries[ref] = self._retries.get(ref, 0) + 1
            if self._retries[ref] <= RETRIES_MAX:
                self.queue.retry(ref)
                return True
        self._retries.pop(ref, None)
        self.queue.forget(ref)
        return True

    def _replica_set_changed(self, change: Change) -> None:
        owners = {
            owner for rs in (change.old, change.new) if rs and (owner := owner_ref(rs, DEPLOYMENT))
        }
        for ref, uid in sorted(owners):
            deployment = self._world.get(ref)
            if deployment is not None and uid_of(deployment) == uid:
                self.queue.add(ref)
        if change.new is not None and owner_ref(change.new, DEPLOYMENT) is None:
            for candidate in self._world.list(DEPLOYMENT, change.ref.namespace):
                selector = candidate["spec"]["selector"]
                if selector and matches(selector, labels_of(change.new)):
                    self.queue.add(ref_of(candidate))

    def _pod_gone(self, pod: Json) -> None:
        parent = owner_ref(pod, REPLICA_SET)
        rs = self._world.get(parent[0]) if parent else None
        if rs is None or parent is None or uid_of(rs) != parent[1]:
            return
        grandparent = owner_ref(rs, DEPLOYMENT)
        deployment = self._world.get(grandparent[0]) if grandparent else None
        if deployment is not None and not rollout.is_rolling(deployment):
            self.queue.add(ref_of(deployment))


class _Sync:
    """One pass over one Deployment. ``deployment`` is a working copy; writes may change it."""

    def __init__(self, world: World, queue: WorkQueue[Ref], deployment: Json) -> None:
        self._world, self._queue = world, queue
        self._deployment = deployment
        self._replica_sets: list[Json] = []

    @property
    def _status(self) -> Json:
        return self._deployment.get("status") or {}

    def run(self) -> None:
        mine = [
            *self._world.controlled_by(uid_of(self._deployment), REPLICA_SET),
            *self._world.orphans(REPLICA_SET, self._deployment["metadata"]["namespace"]),
        ]
        self._replica_sets = sorted(claim(self._world, self._deployment, mine), key=by_age)
        if is_deleting(self._deployment):
            new, old = self._new_and_old(create=False)
            self._write_counted_status(new, old)
            return
        self._note_pause()
        if self._deployment["spec"].get("paused"):
            self._sync_size()
            return
        new, old = self._new_and_old(create=False)
        if rollout.is_scaling_event(self._deployment, [*old, *_present(new)]):
            self._sync_size()
        elif rollout.is_rolling(self._deployment):
            self._roll()
        else:
            self._recreate()

    # Pausing and scaling

    def _note_pause(self) -> None:
        if not rollout.has_deadline(self._deployment):
            return
        progressing = condition(self._deployment, "Progressing")
        reason = progressing["reason"] if progressing else ""
        paused = bool(self._deployment["spec"].get("paused"))
        if reason == "ProgressDeadlineExceeded" or paused == (reason == "DeploymentPaused"):
            return
        state = "Paused" if paused else "Resumed"
        self._set_progressing("Unknown", f"Deployment{state}", f"Deployment is {state.lower()}")
        self._write_status()

    def _sync_size(self) -> None:
        new, old = self._new_and_old(create=False)
        self._scale(new, old)
        if self._deployment["spec"].get("paused"):
            self._clean_up(old)
        self._write_counted_status(new, old)

    def _scale(self, new: Json | None, old: list[Json]) -> None:
        desired = replicas(self._deployment)
        only = rollout.only_active_or_latest(new, old)
        if only is not None:
            self._resize(only, desired)
        elif rollout.is_saturated(self._deployment, new):
            for rs in rollout.active(old):
                self._resize(rs, 0)
        elif rollout.is_rolling(self._deployment):
            running = rollout.active([*sorted(old, key=by_age, reverse=True), *_present(new)])
            for rs, size in rollout.proportional_sizes(self._deployment, running):
                self._resize(rs, size, annotate=True)

    def _resize(self, rs: Json, size: int, *, annotate: bool = False) -> tuple[bool, Json]:
        """Writes a ReplicaSet's size, its annotations along with it or, if asked, alone."""
        before = replicas(rs)
        annotations = {**annotations_of(rs), **rollout.replica_annotations(self._deployment)}
        stale = annotate and annotations != annotations_of(rs)
        if before == size and not stale:
            return False, rs
        resized = with_metadata(rs, annotations=annotations)
        resized["spec"] = {**rs["spec"], "replicas": size}
        written = self._world.update(resized)
        if before == size:
            return False, written
        self._tell_scaled(written, before, size)
        return True, written

    def _tell_scaled(self, rs: Json, before: int, after: int) -> None:
        direction = "up" if before < after else "down"
        name = rs["metadata"]["name"]
        message = f"Scaled {direction} replica set {name} from {before} to {after}"
        self._world.event(self._deployment, "Normal", "ScalingReplicaSet", message)

    # Rolling out

    def _roll(self) -> None:
        new, old = self._new_and_old(create=True)
        assert new is not None, "the new ReplicaSet was just found or created"  # noqa: S101
        resized = self._grow_new(new, old) or self._shrink_old(new, rollout.active(old))
        if not resized and rollout.is_complete(self._deployment, self._status):
            self._clean_up(old)
        self._write_rollout_status(new, old)

    def _grow_new(self, new: Json, old: list[Json]) -> bool:
        desired, size = replicas(self._deployment), replicas(new)
        if size == desired:
            return False
        if size < desired:
            desired = rollout.new_replica_set_size(self._deployment, old, size)
        return self._resize(new, desired)[0]

    def _shrink_old(self, new: Json, old: list[Json]) -> bool:
        allowance = rollout.scale_down_allowance(self._deployment, old, new)
        if not old or allowance <= 0:
            return False
        try:
            cuts, observed = rollout.unhealthy_cuts(old, allowance)
            kept = {uid_of(rs): rs for rs in sorted(old, key=by_age)}
            for rs, size in cuts:
                kept[uid_of(rs)] = self._resize(rs, size)[1]
            if not observed:
                return False
            left = list(kept.values())
            available = total([*left, new], "status", "availableReplicas")
            healthy = rollout.healthy_cuts(self._deployment, left, available)
            for rs, size in healthy:
                self._resize(rs, size)
        except RefusedError:
            return False  # the real one swallows it too
        return bool(cuts or healthy)

    def _recreate(self) -> None:
        new, old = self._new_and_old(create=False)
        cut = [self._resize(rs, 0)[0] for rs in rollout.active(old)]
        if not any(cut) and not self._old_pods_run(new, old):
            if new is None:
                new, old = self._new_and_old(create=True)
                assert new is not None, "the new ReplicaSet was just created"  # noqa: S101
            self._resize(new, replicas(self._deployment))
            if rollout.is_complete(self._deployment, self._status):
                self._clean_up(old)
        self._write_rollout_status(new, old)

    def _old_pods_run(self, new: Json | None, old: list[Json]) -> bool:
        if total(old, "status", "replicas"):
            return True
        others = rollout.without(self._replica_sets, new)
        return any(
            not is_terminal(pod)
            for rs in others
            for pod in self._world.controlled_by(uid_of(rs), POD)
        )

    def _clean_up(self, old: list[Json]) -> None:
        for rs in rollout.surplus_revisions(self._deployment, old):
            try:
                self._world.delete(ref_of(rs), uid_of(rs))
            except RefusedError as refused:
                if refused.reason is not Reason.NOT_FOUND:
                    raise

    # The new ReplicaSet

    def _new_and_old(self, *, create: bool) -> tuple[Json | None, list[Json]]:
        """The new ReplicaSet with its revision brought up to date, and all others."""
        new = rollout.find_new(self._deployment, self._replica_sets)
        old = rollout.without(self._replica_sets, new)
        next_revision = max(map(rollout.revision, old), default=0) + 1
        if new is not None:
            return self._revise(new, next_revision), old
        return (self._create(old, next_revision) if create else None), old

    def _revise(self, new: Json, next_revision: int) -> Json:
        before = annotations_of(new)
        after = rollout.revised_annotations(self._deployment, before, next_revision)
        min_ready_s = self._deployment["spec"].get("minReadySeconds", 0)
        if after != before or new["spec"].get("minReadySeconds", 0) != min_ready_s:
            revised = with_metadata(new, annotations=after)
            revised["spec"] = {**new["spec"], "minReadySeconds": min_ready_s}
            return self._world.update(revised)
        write = self._set_revision(after.get(rollout.REVISION, ""))
        if rollout.has_deadline(self._deployment) and not condition(
            self._deployment, "Progressing"
        ):
            name = new["metadata"]["name"]
            self._set_progressing("True", "FoundNewReplicaSet", f'Found new replica set "{name}"')
            write = True
        if write:
            self._write_status()
        return new

    def _create(self, old: list[Json], next_revision: int) -> Json:
        rs = self._build(old, next_revision)
        size, name = replicas(rs), rs["metadata"]["name"]
        created = True
        try:
            stored = self._world.create(rs)
        except RefusedError as refused:
            if refused.reason is not Reason.ALREADY_EXISTS:
                self._note_failed_creation(name, str(refused))
                raise
            stored, created = self._existing_or_collision(rs, refused), False
        if created and size > 0:
            self._tell_scaled(stored, 0, size)
        write = self._set_revision(str(next_revision))
        if created and rollout.has_deadline(self._deployment):
            message = f'Created new replica set "{name}"'
            self._set_progressing("True", "NewReplicaSetCreated", message)
            write = True
        if write:
            self._write_status()
        return stored

    def _build(self, old: list[Json], next_revision: int) -> Json:
        metadata, spec = self._deployment["metadata"], self._deployment["spec"]
        hash_label = {rollout.TEMPLATE_HASH: rollout.template_hash(self._deployment)}
        template, selector = spec["template"], spec["selector"]
        template_metadata = template.get("metadata") or {}
        labels = {**(template_metadata.get("labels") or {}), **hash_label}
        # A name has at most 253 characters; the hash must not be what is cut off.
        suffix = "-" + hash_label[rollout.TEMPLATE_HASH]
        return {
            "apiVersion": "apps/v1",
            "kind": "ReplicaSet",
            "metadata": {
                "name": metadata["name"][: 253 - len(suffix)] + suffix,
                "namespace": metadata["namespace"],
                "labels": labels,
                "annotations": rollout.revised_annotations(self._deployment, None, next_revision),
                "ownerReferences": [owner_reference(self._deployment)],
            },
            "spec": {
                "replicas": rollout.new_replica_set_size(self._deployment, old, 0),
                "minReadySeconds": spec.get("minReadySeconds", 0),
                "selector": {
                    **selector,
                    "matchLabels": {**(selector.get("matchLabels") or {}), **hash_label},
                },
                "template": {**template, "metadata": {**template_metadata, "labels": labels}},
            },
        }

    def _existing_or_collision(self, rs: Json, refused: RefusedError) -> Json:
        existing = self._world.get(ref_of(rs))
        if existing is None:
            raise refused
        same = rollout.template_without_hash(existing["spec"]["template"])
        if is_controlled_by(existing, self._deployment) and same == rollout.template_without_hash(
            self._deployment["spec"]["template"]
        ):
            return existing
        collisions = self._status.get("collisionCount", 0) + 1
        self._deployment = with_status(
            self._deployment, {**self._status, "collisionCount": collisions}
        )
        self._write_status()
        raise refused

    def _note_failed_creation(self, name: str, why: str) -> None:
        message = f'Failed to create new replica set "{name}": {why}'
        if rollout.has_deadline(self._deployment):
            self._set_progressing("False", "ReplicaSetCreateError", message)
            with suppress(RefusedError):  # the failed creation is the error that counts
                self._write_status()
        self._world.event(self._deployment, "Warning", "ReplicaSetCreateError", message)

    # Status

    def _set_revision(self, revision: str) -> bool:
        annotations = annotations_of(self._deployment)
        if annotations.get(rollout.REVISION) == revision:
            return False
        self._deployment = with_metadata(
            self._deployment, annotations={**annotations, rollout.REVISION: revision}
        )
        return True

    def _set_progressing(self, truth: str, reason: str, message: str) -> None:
        now = self._world.unix_us()
        status = rollout.with_condition(self._status, "Progressing", truth, reason, message, now)
        self._deployment = with_status(self._deployment, status)

    def _write_status(self) -> None:
        # The working copy keeps its resourceVersion, so that a second write conflicts.
        self._world.update(self._deployment, "status")

    def _write_counted_status(self, new: Json | None, old: list[Json]) -> None:
        after = rollout.counted_status(
            self._deployment, self._status, [*old, *_present(new)], new, self._world.unix_us()
        )
        if after != self._status:
            self._deployment = with_status(self._deployment, after)
            self._write_status()

    def _write_rollout_status(self, new: Json | None, old: list[Json]) -> None:
        after = rollout.rollout_status(
            self._deployment, self._status, [*old, *_present(new)], new, self._world.unix_us()
        )
        if after == self._status:
            self._look_again_at_deadline(after)
            return
        self._deployment = with_status(self._deployment, after)
        self._write_status()

    def _look_again_at_deadline(self, status: Json) -> None:
        progressing = condition(self._deployment, "Progressing")
        if (
            progressing is None
            or not rollout.has_deadline(self._deployment)
            or rollout.is_complete(self._deployment, status)
            or progressing["reason"] == "ProgressDeadlineExceeded"
        ):
            return
        ref = ref_of(self._deployment)
        now_ns = self._world.unix_us() * 1000
        left_us = (rollout.deadline_ns(self._deployment, progressing) - now_ns) // 1000
        if left_us < SECOND_US:
            self._queue.retry(ref)
        else:
            self._queue.add_after(ref, left_us + SECOND_US)


def _present(rs: Json | None) -> list[Json]:
    return [rs] if rs is not None else []
