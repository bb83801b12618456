"""What would come of applying manifests: the operator's own planners, round after round, in memory.

As in the operator's loop, what a write changes is planned again by whoever looked at it, until no
plan has anything left to write.
"""

from __future__ import annotations

import base64
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final

from prism_operator.api.meta import (
    DEPLOYMENT,
    NAMESPACE,
    PRISM_NAMESPACE,
    PRISM_RESOURCES,
    SECRET,
    Json,
    Ref,
    Resource,
    find_resource,
    ref_of,
)
from prism_operator.manifests import Finding, Manifest
from prism_operator.planning import PLANNERS
from prism_operator.planning.conditions import (
    BACKEND_RESOLVED,
    BAD_WHEN_TRUE,
    DEGRADED,
    PAUSED,
    SCALER_READY,
    STALLED,
)
from prism_operator.planning.names import POD_HASHES
from prism_operator.planning.observed import Observed
from prism_operator.planning.plan import Apply, Plan
from prism_operator.planning.settings import Settings
from prism_operator.ports import Reader
from prism_operator.preview.cluster import PreviewCluster
from prism_operator.preview.merge import applied_by_user
from prism_operator.preview.showing import shown_pair
from prism_operator.runtime.dependencies import Dependencies, RecordingSnapshot

USER: Final = "these files"
# More than the longest change takes, from KEDA at zero to an HPA; a plan still busy has no end.
_PASSES_MAX: Final = 40
_GENERAL: Final = (DEGRADED, STALLED)


class Action(StrEnum):
    """What happens to an object."""

    CREATE = "create"
    CHANGE = "change"
    DELETE = "delete"


@dataclass(frozen=True, slots=True)
class Change:
    """One object before and after, without secrets and what the server only keeps books with.

    ``by`` is who makes the change: the files, or the object that the operator acts for.
    """

    action: Action
    ref: Ref
    by: str
    reasons: tuple[str, ...]
    before: Json | None
    after: Json | None


@dataclass(frozen=True, slots=True)
class Remark:
    """A condition that an object would show, and that somebody should look at."""

    ref: Ref
    type: str
    status: str
    reason: str
    message: str


@dataclass(slots=True)
class Preview:
    """The outcome. ``refused`` is what the API server would not take, with its place in a file.

    ``unknown`` says what could not be looked at, and so may be missing from ``changes``.
    """

    changes: list[Change] = field(default_factory=list)
    remarks: list[Remark] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    refused: list[Finding] = field(default_factory=list)

    def count(self, action: Action) -> int:
        """How many objects it happens to."""
        return sum(change.action is action for change in self.changes)


def preview(
    manifests: Sequence[Manifest],
    reader: Reader | None,
    *,
    serves: Callable[[Resource], bool | None],
    settings: Settings,
    now: datetime,
) -> Preview:
    """What applying ``manifests`` to the cluster behind ``reader`` (None: an empty one) changes.

    Raises UnreadableError when the cluster does not answer.
    """
    return _Run(reader, serves, settings, now).run(manifests)


class _Run:
    """One preview: who has to be planned again, and who wrote what for which reason."""

    def __init__(
        self,
        reader: Reader | None,
        serves: Callable[[Resource], bool | None],
        settings: Settings,
        now: datetime,
    ) -> None:
        self._has_cluster = reader is not None
        self._settings = settings
        self._now = now
        self._cluster = PreviewCluster(reader, serves, self._on_change)
        self._dependencies = Dependencies()
        self._queue: deque[Ref] = deque()
        self._passes: dict[Ref, int] = {}
        self._authors: dict[Ref, dict[str, list[str]]] = {}
        self._absent: set[str] = set()
        self._out = Preview()

    def run(self, manifests: Sequence[Manifest]) -> Preview:
        for namespace in self._namespaces(manifests):
            self._get_acquainted(namespace)
        for manifest in manifests:
            self._apply(manifest)
        while self._queue:
            self._pass(self._queue.popleft())
        # What the files say, as they say it; then what comes of it.
        theirs = [ref for ref, authors in self._authors.items() if USER in authors]
        others = sorted(self._authors.keys() - set(theirs), key=_importance)
        for ref in (*theirs, *others):
            self._tell(ref)
        self._out.remarks = [w for ref in sorted(self._passes) for w in self._remarks(ref)]
        if absent := [r.plural for r in PRISM_RESOURCES if self._cluster.serves(r) is False]:
            told = f"the server does not serve {', '.join(absent)}: install the CRDs first"
            self._out.unknown.append(told)
        self._out.unknown += [
            f"namespace {name} does not exist: create it first"
            for name in sorted(self._absent)
            if self._cluster.get(Ref(NAMESPACE, "", name)) is None
        ]
        self._out.unknown += [
            f"{resource.plural}{f' in namespace {name}' if name else ''} cannot be read"
            for resource, name in sorted(self._cluster.forbidden)
            if resource != NAMESPACE
        ]
        return self._out

    def _namespaces(self, manifests: Sequence[Manifest]) -> list[str]:
        """Those in which something may depend on what is applied."""
        found: set[str] = set()
        for manifest in manifests:
            found.add(manifest.key[2])
            if manifest.is_prism:
                live = self._cluster.live(ref_of(manifest.obj))
                found.update(_allowed(manifest.obj), _allowed(live or {}))
        return sorted(found - {""})

    def _get_acquainted(self, namespace: str) -> None:
        """Notes on what the plans of the Prism objects there depend, without carrying them out."""
        is_there = self._cluster.get(Ref(NAMESPACE, "", namespace)) is not None
        if self._has_cluster and not is_there and (NAMESPACE, "") not in self._cluster.forbidden:
            self._absent.add(namespace)
        for resource in PRISM_RESOURCES:
            for obj in self._cluster.list(resource, namespace):
                self._take_over_hashes(self._plan(ref_of(obj), obj))

    def _take_over_hashes(self, plan: Plan) -> None:
        """Notes for what the hashes on the pods stand that another key made than ours."""
        for write in plan.writes:
            live = self._cluster.live(write.ref)
            if not isinstance(write, Apply) or write.ref.resource != DEPLOYMENT or live is None:
                continue
            wanted = write.obj["metadata"].get("annotations") or {}
            notes = {name: wanted[name] for name in POD_HASHES if name in wanted}
            if notes:
                annotations = {**(live["metadata"].get("annotations") or {}), **notes}
                metadata = {**live["metadata"], "annotations": annotations}
                self._cluster.note({**live, "metadata": metadata})

    def _apply(self, manifest: Manifest) -> None:
        resource = find_resource(manifest.obj["apiVersion"], manifest.obj["kind"])
        if resource is None:
            told = f"{manifest} at {manifest.place}: its kind is not known, so it is not compared"
            self._out.unknown.append(told)
            return
        obj = {k: v for k, v in manifest.obj.items() if k != "status"}
        ref = ref_of(obj)
        live = self._cluster.live(ref)
        before = self._cluster.now(ref)
        new = _as_stored(obj) if before is None else applied_by_user(before, _as_stored(obj))
        if live is not None and (why := _refused_change(live, new)):
            path, message = why
            self._out.refused.append(manifest.find(path, message))
            return
        self._authors.setdefault(ref, {}).setdefault(USER, [])
        self._cluster.put(new)
        self._enqueue(ref)

    def _pass(self, ref: Ref) -> None:
        obj = self._cluster.get(ref)
        if obj is None:
            self._dependencies.note(ref, set())
            return
        self._passes[ref] = self._passes.get(ref, 0) + 1
        if self._passes[ref] > _PASSES_MAX:
            self._out.unknown.append(f"{ref}: its plan has no end; what is shown is unfinished")
            return
        plan = self._plan(ref, obj)
        for write in plan.writes:
            self._wrote(write.ref, str(ref), write.reason)
            for gone, why in self._cluster.carry_out(write):
                self._wrote(gone, "garbage collection", why)
        if plan.status is not None and (current := self._cluster.now(ref)) is not None:
            self._cluster.put({**current, "status": plan.status}, status=True)
        if plan.writes:
            self._enqueue(ref)

    def _plan(self, ref: Ref, obj: Json) -> Plan:
        snapshot = RecordingSnapshot(self._cluster)
        plan = PLANNERS[ref.resource](Observed(obj, snapshot), self._settings, self._now)
        self._dependencies.note(ref, snapshot.asked)
        return plan

    def _wrote(self, ref: Ref, author: str, reason: str) -> None:
        reasons = self._authors.setdefault(ref, {}).setdefault(author, [])
        if reason not in reasons:
            reasons.append(reason)

    def _on_change(self, ref: Ref, old: Json | None, new: Json | None) -> None:
        if ref.resource in PLANNERS and old is None:
            self._enqueue(ref)
        for concerned in self._dependencies.concerned(ref, old, new):
            self._enqueue(concerned)

    def _enqueue(self, ref: Ref) -> None:
        if ref.resource in PLANNERS and ref not in self._queue:
            self._queue.append(ref)

    def _tell(self, ref: Ref) -> None:
        before, after = shown_pair(self._cluster.live(ref), self._cluster.now(ref))
        if before == after:
            return
        action = Action.CHANGE
        if before is None:
            action = Action.CREATE
        elif after is None:
            action = Action.DELETE
        authors = self._authors[ref]
        by = next(iter(authors)) if len(authors) == 1 else " and ".join(authors)
        reasons = tuple(reason for told in authors.values() for reason in told)
        self._out.changes.append(Change(action, ref, by, reasons, before, after))

    def _remarks(self, ref: Ref) -> Iterable[Remark]:
        obj = self._cluster.get(ref) or {}
        conditions = (obj.get("status") or {}).get("conditions") or ()
        bad = [condition for condition in conditions if _is_bad(condition)]
        specific = [c for c in bad if c["type"] not in _GENERAL]
        for c in specific or bad[-1:]:
            yield Remark(ref, c["type"], c["status"], c["reason"], c["message"])


def _importance(ref: Ref) -> tuple[bool, Ref]:
    return ref.resource not in PRISM_RESOURCES, ref


def _is_bad(condition: Json) -> bool:
    name, status = condition["type"], condition["status"]
    if name in (BACKEND_RESOLVED, SCALER_READY):
        return bool(status != "True" and condition["reason"] != "NotEnabled")
    return bool(status == "True" and name in (*BAD_WHEN_TRUE, PAUSED))


def _allowed(obj: Json) -> set[str]:
    """The other namespaces that an object, or a backend of a stack, opens itself to."""
    spec = obj.get("spec") or {}
    sections = [spec, *(entry for entry in spec.get("backends") or () if isinstance(entry, dict))]
    return {name for section in sections for name in section.get("allowedNamespaces") or ()}


def _as_stored(obj: Json) -> Json:
    if ref_of(obj).resource != SECRET or "stringData" not in obj:
        return obj
    encoded = {
        key: base64.b64encode(str(value).encode()).decode()
        for key, value in (obj["stringData"] or {}).items()
    }
    data = {**(obj.get("data") or {}), **encoded}
    return {**{k: v for k, v in obj.items() if k != "stringData"}, "data": data}


def _refused_change(live: Json, new: Json) -> tuple[str, str] | None:
    """What the API server does not let change, as its rule says it."""
    if ref_of(live).resource == PRISM_NAMESPACE:
        before, after = live["spec"]["namespaceId"], new["spec"]["namespaceId"]
        if before != after:
            told = "namespaceId cannot change: delete this PrismNamespace and create another"
            return "spec.namespaceId", told
    return None
