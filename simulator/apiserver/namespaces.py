"""The namespace controller: empties namespaces that are being deleted, then lets them go.

Source: ``kubernetes/pkg/controller/namespace/deletion``.
"""

from __future__ import annotations

from typing import Final

from prism_operator.api.meta import NAMESPACE, Json, Resource
from simulator.apiserver.request import Request
from simulator.apiserver.server import ApiServer
from simulator.apiserver.storage import Change

USER: Final = "system:serviceaccount:kube-system:namespace-controller"


class NamespaceController:
    """Deletes what is in terminating namespaces, one ``step`` at a time."""

    def __init__(self, server: ApiServer) -> None:
        self._server = server
        self._terminating: dict[str, None] = {}
        namespaces = server.storage.collection(NAMESPACE).objects
        for name, namespace in sorted(namespaces.items()):
            self._notice(NAMESPACE, Change(0, name, None, namespace))
        server.on_change(self._notice)

    def step(self) -> bool:
        """One pass over the terminating namespaces; False when there was nothing to do."""
        acted = [self._empty(name) for name in list(self._terminating)]
        return any(acted)

    def _notice(self, resource: Resource, change: Change) -> None:
        if resource != NAMESPACE:
            return
        if change.new is None:
            self._terminating.pop(change.key, None)
        elif "deletionTimestamp" in change.new["metadata"]:
            self._terminating[change.key] = None

    def _empty(self, name: str) -> bool:
        """Whether anything was deleted or let go."""
        acted = left = False
        for kind in self._server.catalog:
            if not kind.resource.namespaced or kind.storage != kind.resource:
                continue
            objects = list(self._server.registry.objects(kind, name))
            if not objects:
                continue
            if any("deletionTimestamp" not in obj["metadata"] for obj in objects):
                path = kind.resource.path(name)
                body = {"propagationPolicy": "Background"}
                self._server.handle(Request("DELETE", path, body=body, user=USER))
                acted = True
            left = left or bool(list(self._server.registry.objects(kind, name)))
        return acted if left else self._finalize(name)

    def _finalize(self, name: str) -> bool:
        namespace: Json = self._server.storage.collection(NAMESPACE).objects[name]
        finalizers = namespace["spec"].get("finalizers") or []
        if "kubernetes" not in finalizers:
            return False
        kept = [finalizer for finalizer in finalizers if finalizer != "kubernetes"]
        body = {**namespace, "spec": {**namespace["spec"], "finalizers": kept}}
        path = NAMESPACE.path(name=name, subresource="finalize")
        return self._server.handle(Request("PUT", path, body=body, user=USER)).status < 400
