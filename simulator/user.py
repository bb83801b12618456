"""Somebody with kubectl: what a scenario's timeline does to the API server."""

from __future__ import annotations

from prism_operator.api.meta import Json, Ref
from simulator.apiserver.patches import APPLY_PATCH, JSON_PATCH, MERGE_PATCH
from simulator.apiserver.request import Request
from simulator.apiserver.server import ApiServer
from simulator.cluster.api import resource_of
from simulator.controllers.objects import timestamp
from simulator.inputs import BadInputError
from simulator.scenario import Manifest

KUBECTL = "kubectl"
RESTARTED_AT = "kubectl.kubernetes.io/restartedAt"


class User:
    """Writes as a person would; what the server refuses is the scenario's mistake.

    Every method raises ``BadInputError`` when the server refuses.
    """

    def __init__(self, server: ApiServer) -> None:
        self._server = server

    def apply(self, manifest: Manifest) -> None:
        """``kubectl apply --server-side`` with strict validation."""
        meta = manifest.obj["metadata"]
        resource = resource_of(manifest.obj)
        namespace = (meta.get("namespace") or "default") if resource.namespaced else ""
        path = resource.path(namespace, meta["name"])
        query = {"fieldManager": KUBECTL, "force": "true", "fieldValidation": "Strict"}
        headers = {"Content-Type": APPLY_PATCH}
        request = Request("PATCH", path, query, headers, manifest.obj)
        self._send(request, manifest.place)

    def patch(self, target: Ref, patch: Json | list[Json], subresource: str = "") -> None:
        """``kubectl patch --type=merge``, or ``--type=json`` for a list of operations."""
        path = target.resource.path(target.namespace, target.name, subresource)
        headers = {"Content-Type": JSON_PATCH if isinstance(patch, list) else MERGE_PATCH}
        query = {"fieldManager": KUBECTL}
        self._send(Request("PATCH", path, query, headers, patch), f"patch of {target}")

    def scale(self, target: Ref, replicas: int) -> None:
        """``kubectl scale``."""
        self.patch(target, {"spec": {"replicas": replicas}}, "scale")

    def rollout_restart(self, target: Ref, unix_us: int) -> None:
        """``kubectl rollout restart``."""
        annotations = {RESTARTED_AT: timestamp(unix_us)}
        template = {"metadata": {"annotations": annotations}}
        self.patch(target, {"spec": {"template": template}})

    def delete(self, target: Ref, cascade: str) -> None:
        """``kubectl delete``."""
        path = target.resource.path(target.namespace, target.name)
        body = {"propagationPolicy": cascade.capitalize()}
        self._send(Request("DELETE", path, body=body), f"deletion of {target}")

    def _send(self, request: Request, what: str) -> None:
        response = self._server.handle(request)
        if response.status >= 400:
            body = response.body
            message = body.get("message") if isinstance(body, dict) else body
            raise BadInputError([f"{what}: the API server answers {response.status}: {message}"])
