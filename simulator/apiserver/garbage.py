"""The garbage collector: what becomes of objects whose owners are deleted.

It decides as ``kubernetes/pkg/controller/garbagecollector`` does, in steps instead of threads.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from prism_operator.api.meta import Json, ReadOnlyJson, Resource
from simulator.apiserver.deletion import FOREGROUND, ORPHAN
from simulator.apiserver.patches import MERGE_PATCH
from simulator.apiserver.request import Request, Response
from simulator.apiserver.server import ApiServer
from simulator.apiserver.storage import Change
from simulator.apiserver.types import Kind

USER: Final = "system:serviceaccount:kube-system:generic-garbage-collector"
_IGNORED: Final = frozenset({("", "events"), ("events.k8s.io", "events")})


@dataclass(slots=True)
class Node:
    """An object in the graph of owners, as it was last seen."""

    resource: Resource
    namespace: str
    name: str
    uid: str
    owners: Sequence[Json] = ()
    finalizers: Sequence[str] = ()
    is_deleting: bool = False
    # The uids of what names this object as owner; a dict for its order.
    dependents: dict[str, None] = field(default_factory=dict)

    @property
    def deletes_dependents(self) -> bool:
        """Whether it is being deleted in the foreground."""
        return self.is_deleting and FOREGROUND in self.finalizers


class GarbageCollector:
    """Deletes, orphans and unblocks by owner references, one ``step`` at a time."""

    def __init__(self, server: ApiServer) -> None:
        self._server = server
        self._nodes: dict[str, Node] = {}
        # Dependents of owners that were never seen, by the owner's uid.
        self._orphans: dict[str, dict[str, None]] = {}
        self._seen: deque[tuple[Resource, Change]] = deque()
        self._to_delete: dict[str, None] = {}
        self._to_orphan: dict[str, None] = {}
        for kind in server.catalog:
            for obj in server.registry.objects(kind):
                self._notice(kind.resource, Change(0, "", None, obj))
        server.on_change(self._notice)

    def step(self) -> bool:
        """Does once what is due by all that was noticed; False when nothing was.

        What fails is tried again in the next step.
        """
        while self._seen:
            self._observe(*self._seen.popleft())
        if not self._to_delete and not self._to_orphan:
            return False
        orphan, self._to_orphan = self._to_orphan, {}
        delete, self._to_delete = self._to_delete, {}
        for uid in orphan:
            if uid in self._nodes and not self._orphan_dependents(self._nodes[uid]):
                self._to_orphan[uid] = None
        for uid in delete:
            if uid in self._nodes and not self._attempt_to_delete(self._nodes[uid]):
                self._to_delete[uid] = None
        return True

    @property
    def is_idle(self) -> bool:
        """Whether a step would do nothing."""
        return not (self._seen or self._to_delete or self._to_orphan)

    # What was noticed

    def _notice(self, resource: Resource, change: Change) -> None:
        if (resource.group, resource.plural) not in _IGNORED:
            self._seen.append((resource, change))

    def _observe(self, resource: Resource, change: Change) -> None:
        if change.new is None:
            if change.old is not None:
                self._forget(change.old["metadata"]["uid"])
            return
        meta = change.new["metadata"]
        uid = meta["uid"]
        node = self._nodes.get(uid)
        if node is None:
            node = Node(resource, meta.get("namespace", ""), meta["name"], uid)
            node.dependents = self._orphans.pop(uid, {})
            self._nodes[uid] = node
        was_deleting, was_foreground = node.is_deleting, node.deletes_dependents
        self._set_owners(node, meta.get("ownerReferences") or ())
        node.finalizers = meta.get("finalizers") or ()
        node.is_deleting = "deletionTimestamp" in meta
        if node.deletes_dependents and not was_foreground:
            self._to_delete[uid] = None
            self._to_delete.update(node.dependents)
        if node.is_deleting and ORPHAN in node.finalizers and not was_deleting:
            self._to_orphan[uid] = None

    def _set_owners(self, node: Node, owners: Sequence[Json]) -> None:
        if list(owners) == list(node.owners):
            return
        for owner in node.owners:
            known = self._nodes.get(owner["uid"])
            if known is None:
                self._orphans.get(owner["uid"], {}).pop(node.uid, None)
            else:
                known.dependents.pop(node.uid, None)
                # It may have waited for this dependent alone.
                if known.deletes_dependents:
                    self._to_delete[known.uid] = None
        node.owners = owners
        for owner in owners:
            known = self._nodes.get(owner["uid"])
            if known is None:
                self._orphans.setdefault(owner["uid"], {})[node.uid] = None
                self._to_delete[node.uid] = None
                continue
            known.dependents[node.uid] = None
            if known.deletes_dependents or not self._is_identity_of(owner, known, node):
                self._to_delete[node.uid] = None

    def _is_identity_of(self, owner: ReadOnlyJson, known: Node, dependent: Node) -> bool:
        resource = known.resource
        return (
            owner["name"] == known.name
            and owner["kind"] == resource.kind
            and owner["apiVersion"].split("/")[0] == resource.api_version.split("/")[0]
            and known.namespace in ("", dependent.namespace)
        )

    def _forget(self, uid: str) -> None:
        node = self._nodes.get(uid)
        if node is None:
            return
        self._set_owners(node, ())
        del self._nodes[uid]
        if node.dependents:
            self._orphans[uid] = node.dependents
            self._to_delete.update(node.dependents)

    # What is done about it. Each answers whether it is done with, for now.

    def _attempt_to_delete(self, node: Node) -> bool:
        if node.is_deleting and not node.deletes_dependents:
            return True
        if node.deletes_dependents:
            return self._delete_dependents_of(node)
        response = self._call("GET", node)
        live = response.body
        if response.status == 404 or not isinstance(live, dict):
            return response.status == 404
        if live["metadata"]["uid"] != node.uid:
            return True
        owners = live["metadata"].get("ownerReferences") or ()
        if not owners:
            return True
        solid, gone, waiting = list[Json](), list[Json](), list[Json]()
        for owner in owners:
            found = self._find_owner(owner, node)
            if found is None:
                return False
            if found == "unresolvable":
                return True
            if isinstance(found, str):
                gone.append(owner)
            elif _is_foreground(found):
                waiting.append(owner)
            else:
                solid.append(owner)
        if solid:
            return not (gone or waiting) or self._set_references(node, live, solid)
        if waiting and node.dependents:
            dependents = [self._nodes[uid] for uid in node.dependents if uid in self._nodes]
            if any(dependent.deletes_dependents for dependent in dependents):
                unblocked = [{**owner, "blockOwnerDeletion": False} for owner in owners]
                if not self._set_references(node, live, unblocked):
                    return False
            return self._delete(node, "Foreground")
        finalizers = live["metadata"].get("finalizers") or ()
        if ORPHAN in finalizers:
            return self._delete(node, "Orphan")
        return self._delete(node, "Foreground" if FOREGROUND in finalizers else "Background")

    def _delete_dependents_of(self, node: Node) -> bool:
        dependents = [self._nodes[uid] for uid in node.dependents if uid in self._nodes]
        blocking = [dependent for dependent in dependents if _blocks(dependent, node.uid)]
        if not blocking:
            return self._remove_finalizer(node, FOREGROUND)
        for dependent in blocking:
            if not dependent.deletes_dependents:
                self._to_delete[dependent.uid] = None
        return True

    def _orphan_dependents(self, owner: Node) -> bool:
        done = True
        for uid in list(owner.dependents):
            dependent = self._nodes.get(uid)
            if dependent is None:
                continue
            response = self._call("GET", dependent)
            live = response.body
            if response.status == 404 or not isinstance(live, dict):
                done = done and response.status == 404
                continue
            references = live["metadata"].get("ownerReferences") or ()
            kept = [reference for reference in references if reference["uid"] != owner.uid]
            done = self._set_references(dependent, live, kept) and done
        return done and self._remove_finalizer(owner, ORPHAN)

    def _find_owner(self, owner: ReadOnlyJson, node: Node) -> Json | str | None:
        """The live owner, ``absent``, ``unresolvable``, or None when the server would not say."""
        kind = self._server.catalog.of(owner)
        if kind is None:
            # Nobody knows whether an object of an unknown kind exists.
            return "unresolvable"
        if kind.resource.namespaced and not node.namespace:
            return "unresolvable"
        response = self._get_owner(kind, node.namespace, owner["name"])
        if response.status == 404:
            return "absent"
        found = response.body
        if response.status >= 400 or not isinstance(found, dict):
            return None
        return found if found["metadata"]["uid"] == owner["uid"] else "absent"

    def _get_owner(self, kind: Kind, namespace: str, name: str) -> Response:
        path = kind.resource.path(namespace, name)
        return self._server.handle(Request("GET", path, user=USER))

    def _set_references(self, node: Node, live: Json, references: Sequence[Json]) -> bool:
        meta = {
            "uid": node.uid,
            "resourceVersion": live["metadata"]["resourceVersion"],
            "ownerReferences": list(references) or None,
        }
        return self._patch_metadata(node, meta)

    def _remove_finalizer(self, node: Node, finalizer: str) -> bool:
        response = self._call("GET", node)
        live = response.body
        if response.status == 404 or not isinstance(live, dict):
            return response.status == 404
        meta = live["metadata"]
        kept = [name for name in meta.get("finalizers") or () if name != finalizer]
        if meta["uid"] != node.uid or kept == meta.get("finalizers"):
            return True
        version = meta["resourceVersion"]
        return self._patch_metadata(node, {"resourceVersion": version, "finalizers": kept})

    def _patch_metadata(self, node: Node, meta: Json) -> bool:
        headers = {"Content-Type": MERGE_PATCH}
        response = self._call("PATCH", node, {"metadata": meta}, headers)
        return response.status < 400 or response.status == 404

    def _delete(self, node: Node, propagation: str) -> bool:
        body = {"preconditions": {"uid": node.uid}, "propagationPolicy": propagation}
        response = self._call("DELETE", node, body)
        return response.status < 400 or response.status == 404

    def _call(
        self, method: str, node: Node, body: Any = None, headers: dict[str, str] | None = None
    ) -> Response:
        path = node.resource.path(node.namespace, node.name)
        return self._server.handle(Request(method, path, {}, headers or {}, body, USER))


def _blocks(dependent: Node, owner_uid: str) -> bool:
    return any(o["uid"] == owner_uid and o.get("blockOwnerDeletion") for o in dependent.owners)


def _is_foreground(owner: ReadOnlyJson) -> bool:
    meta = owner["metadata"]
    return "deletionTimestamp" in meta and FOREGROUND in (meta.get("finalizers") or ())
