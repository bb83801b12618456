"""An API server in memory: real paths in, real answers out, on any clock.

Everything goes through ``handle``, so what the simulator sees through the ports and what an HTTP
client sees over the in-process transport is the same.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

from prism_operator.api.meta import NAMESPACE, POD, Json, Resource
from prism_operator.ports import Clock
from prism_operator.runtime.randomness import Streams
from simulator.apiserver import scale
from simulator.apiserver.discovery import discover
from simulator.apiserver.extensions import Extensions
from simulator.apiserver.registry import Registry
from simulator.apiserver.request import (
    Request,
    Response,
    delete_options,
    flag,
)
from simulator.apiserver.statuses import (
    ApiError,
    forbidden,
    method_not_allowed,
)
from simulator.apiserver.storage import Change, Storage
from simulator.apiserver.types import Catalog, Kind
from simulator.apiserver.writes import Target, Writes

NAMESPACES_AT_START: Final = ("default", "kube-node-lease", "kube-public", "kube-system")
_ACCESS_REVIEW: Final = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
_NOT_SERVED: Final = Response(404, "404 page not found\n")


@dataclass(frozen=True, slots=True)
class Access:
    """What a request wants to do, as an authorizer is asked."""

    user: str
    verb: str
    resource: Resource
    subresource: str = ""
    namespace: str = ""
    name: str = ""


# Says why not, or None to allow.
Authorizer: TypeAlias = Callable[[Access], str | None]
# Called before a request with None, and after it with its response; an answer replaces the
# server's. A fault before leaves the request undone, one after is a reply that was lost.
Faults: TypeAlias = Callable[[Request, Response | None], Response | None]


class ApiServer:
    """A Kubernetes API server in memory. Single-threaded; it never waits.

    ``seed`` fixes uids and generated names. ``authorizer`` and ``faults`` may be set at any time.
    """

    def __init__(self, clock: Clock, catalog: Catalog | None = None, *, seed: int = 0) -> None:
        self.catalog = catalog or Catalog.builtin()
        self.storage = Storage(clock)
        self.registry = Registry(self.storage, clock, Streams(seed))
        self.authorizer: Authorizer | None = None
        self.faults: Faults | None = None
        self._extensions = Extensions(self.registry, self.catalog)
        self._writes = Writes(self.registry, self._extensions)
        for name in NAMESPACES_AT_START:
            body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
            self.handle(Request("POST", NAMESPACE.path(), body=body))

    def fork(self, clock: Clock) -> ApiServer:
        """Another server that holds the same and goes its own way from here on.

        It shares every stored object, since none is ever changed in place, so it costs no more than
        a list of them. Watches, listeners and ``faults`` stay with this one.
        """
        twin = copy.copy(self)
        twin.faults = None
        twin.catalog = self.catalog.fork()
        twin.storage = self.storage.fork(clock)
        twin.registry = self.registry.fork(twin.storage, clock)
        twin._extensions = self._extensions.fork(twin.registry, twin.catalog)
        twin._writes = Writes(twin.registry, twin._extensions)
        return twin

    def on_change(self, callback: Callable[[Resource, Change], None]) -> None:
        """Calls back after every write, within the request that wrote."""
        self.storage.on_change(callback)

    def handle(self, request: Request) -> Response:
        """Answers a request. Never raises for what a client can send."""
        if self.faults is not None:
            fault = self.faults(request, None)
            if fault is not None:
                return fault
        try:
            response = self._handle(request)
        except ApiError as error:
            response = Response(error.code, error.status)
        if self.faults is not None:
            return self.faults(request, response) or response
        return response

    def target_of(self, path: str) -> Target | None:
        """The resource a path names; None when nothing is served there."""
        parts = path.strip("/").split("/")
        if parts[0] == "api" and len(parts) > 2:
            group, version, rest = "", parts[1], parts[2:]
        elif parts[0] == "apis" and len(parts) > 3:
            group, version, rest = parts[1], parts[2], parts[3:]
        else:
            return None
        namespace = ""
        # A namespace's own path ends after its name or with one of its subresources.
        if (
            rest[0] == "namespaces"
            and len(rest) > 2
            and not (len(rest) == 3 and rest[2] in ("status", "finalize"))
        ):
            namespace, rest = rest[1], rest[2:]
        kind = self.catalog.get(group, version, rest[0])
        if kind is None or len(rest) > 3 or (namespace and not kind.resource.namespaced):
            return None
        name = rest[1] if len(rest) > 1 else ""
        subresource = rest[2] if len(rest) > 2 else ""
        if name and kind.resource.namespaced and not namespace:
            return None
        if not _serves(kind, subresource):
            return None
        return Target(kind, namespace, name, subresource)

    def _handle(self, request: Request) -> Response:
        target = self.target_of(request.path)
        if target is None:
            return self._without_target(request)
        verb = _verb(request, target)
        self._authorize(request.user, verb, target)
        registry, kind = self.registry, target.kind
        if verb == "get":
            obj = registry.get(kind, target.namespace, target.name)
            return Response(200, scale.of(kind, obj) if target.subresource == "scale" else obj)
        if verb == "list":
            return Response(
                200, _bare(kind, registry.reads.list_page(kind, target.namespace, request.query))
            )
        if verb == "watch":
            return Response(200, registry.reads.watch(kind, target.namespace, request.query))
        if verb == "delete":
            options = delete_options(request)
            answer, gone = registry.delete(kind, target.namespace, target.name, options)
            self._writes.after(kind, target.name, options.dry_run)
            accepted = options.orphan_dependents is False and not gone
            return Response(202 if accepted else 200, answer)
        if verb == "deletecollection":
            options = delete_options(request)
            listed = registry.delete_collection(kind, target.namespace, request.query, options)
            for obj in listed["items"]:
                self._writes.after(kind, obj["metadata"]["name"], options.dry_run)
            return Response(200, _bare(kind, listed))
        return self._writes.write(verb, target, request)

    def _authorize(self, user: str, verb: str, target: Target) -> None:
        if self.authorizer is None:
            return
        resource = target.kind.resource
        access = Access(user, verb, resource, target.subresource, target.namespace, target.name)
        why = self.authorizer(access)
        if why is None:
            return
        what = f"{resource.plural}/{target.subresource}".rstrip("/")
        where = (
            f'in the namespace "{target.namespace}"' if target.namespace else "at the cluster scope"
        )
        raise forbidden(
            resource,
            target.name,
            f'User "{user}" cannot {verb} resource "{what}" in API group "{resource.group}"'
            f" {where}" + (f": {why}" if why else ""),
        )

    def _without_target(self, request: Request) -> Response:
        if request.path == _ACCESS_REVIEW and request.method == "POST":
            return Response(201, self._review(request))
        if request.method == "GET":
            found = discover(self.catalog, request.path)
            if found is not None:
                return Response(200, found)
        return _NOT_SERVED

    def _review(self, request: Request) -> Json:
        """Answers a SelfSubjectAccessReview."""
        body: Json = request.body
        wanted: Mapping[str, str] = body["spec"].get("resourceAttributes") or {}
        resource = Resource(
            wanted.get("group", ""), wanted.get("version", ""), "", wanted.get("resource", "")
        )
        access = Access(
            request.user,
            wanted.get("verb", ""),
            resource,
            wanted.get("subresource", ""),
            wanted.get("namespace", ""),
            wanted.get("name", ""),
        )
        why = self.authorizer(access) if self.authorizer else None
        status: Json = {"allowed": why is None}
        if why:
            status["reason"] = why
        return {**body, "metadata": {}, "status": status}


def _verb(request: Request, target: Target) -> str:
    method = request.method
    if target.name:
        verbs = {"GET": "get", "PUT": "update", "PATCH": "patch"}
        if not target.subresource:
            verbs["DELETE"] = "delete"
        if target.subresource == "binding":
            verbs = {"POST": "create"}
    else:
        verbs = {"GET": "list", "DELETE": "deletecollection"}
        if target.namespace or not target.kind.resource.namespaced:
            verbs["POST"] = "create"
        if method == "GET" and flag(request.query, "watch"):
            return "watch"
    if method not in verbs:
        raise method_not_allowed(target.kind.resource, method.lower())
    return verbs[method]


def _serves(kind: Kind, subresource: str) -> bool:
    if not subresource:
        return True
    if subresource == "status":
        return kind.has_status
    if subresource == "scale":
        return kind.scale is not None
    if subresource == "binding":
        return kind.resource == POD
    return subresource == "finalize" and kind.resource == NAMESPACE


def _bare(kind: Kind, listed: Json) -> Json:
    """A list as it is sent: items of built-in kinds do not repeat their kind."""
    if kind.custom:
        return listed
    items = [
        {key: value for key, value in item.items() if key not in ("kind", "apiVersion")}
        for item in listed["items"]
    ]
    return {**listed, "items": items}
