"""An API server in memory: real paths in, real answers out, on any clock.

Everything goes through ``handle``, so what the simulator sees through the ports and what an HTTP
client sees over the in-process transport is the same.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from prism_operator.api.meta import CUSTOM_RESOURCE_DEFINITION, NAMESPACE, POD, Json, Resource
from prism_operator.ports import Clock
from prism_operator.runtime.randomness import Streams
from simulator.apiserver import managedfields, scale
from simulator.apiserver.causes import DecodeError, TypedError
from simulator.apiserver.discovery import discover
from simulator.apiserver.extensions import Extensions
from simulator.apiserver.patches import APPLY_PATCH, JSON_PATCH, MERGE_PATCH, STRATEGIC_MERGE_PATCH
from simulator.apiserver.patches import patch as patched
from simulator.apiserver.registry import Registry
from simulator.apiserver.request import (
    Request,
    Response,
    WriteOptions,
    delete_options,
    flag,
    write_options,
)
from simulator.apiserver.statuses import (
    ApiError,
    apply_conflict,
    bad_request,
    conflict,
    failure,
    forbidden,
    method_not_allowed,
    not_found,
    success,
    unsupported_media_type,
)
from simulator.apiserver.storage import Change, Storage
from simulator.apiserver.types import Catalog, Decoded, Kind

BUILTIN_PATCHES: Final = (JSON_PATCH, MERGE_PATCH, STRATEGIC_MERGE_PATCH, APPLY_PATCH)
CUSTOM_PATCHES: Final = (JSON_PATCH, MERGE_PATCH, APPLY_PATCH)
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


@dataclass(frozen=True, slots=True)
class Target:
    """What a path names."""

    kind: Kind
    namespace: str
    name: str
    subresource: str


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
        for name in NAMESPACES_AT_START:
            body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
            self.handle(Request("POST", NAMESPACE.path(), body=body))

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
            answer = registry.delete(kind, target.namespace, target.name, options)
            self._after_write(kind, target.name, options.dry_run)
            accepted = options.orphan_dependents is False and answer["kind"] != "Status"
            return Response(202 if accepted else 200, answer)
        if verb == "deletecollection":
            options = delete_options(request)
            listed = registry.delete_collection(kind, target.namespace, request.query, options)
            for obj in listed["items"]:
                self._after_write(kind, obj["metadata"]["name"], options.dry_run)
            return Response(200, _bare(kind, listed))
        return self._write(verb, target, request)

    def _write(self, verb: str, target: Target, request: Request) -> Response:
        """Create, update and patch."""
        kind, warn = target.kind, list[str]()
        content_type = ""
        if verb == "patch":
            content_type = _content_type(request)
            accepted = CUSTOM_PATCHES if kind.custom else BUILTIN_PATCHES
            if content_type not in accepted:
                # Built-in kinds are routed by media type, and the router answers for them.
                raise unsupported_media_type(accepted if kind.custom else ())
        options_kind = {"create": "CreateOptions", "update": "UpdateOptions"}.get(verb)
        applying = content_type == APPLY_PATCH
        options = write_options(request, options_kind or "PatchOptions", apply=applying)
        if isinstance(request.body, bytes):
            raise bad_request("invalid JSON patch" if verb == "patch" else _undecodable(kind))
        created = False
        if target.subresource == "binding":
            return Response(201, self._bind(target, request.body))
        if target.subresource == "finalize":
            obj = self._finalize(target, request.body)
        elif target.subresource == "scale":
            obj = self._write_scale(target, content_type, request.body, options, warn)
        elif verb == "create":
            obj, created = self._create(target, request.body, options, warn), True
        elif verb == "update":
            obj, created = self._update(target, request.body, options, warn)
        elif applying:
            obj, created = self._apply(target, request, options, warn)
        else:
            obj = self._patch(target, content_type, request.body, options, warn)
        self._after_write(kind, obj["metadata"]["name"], options.dry_run)
        return Response(201 if created else 200, obj, tuple(dict.fromkeys(warn)))

    def _create(self, target: Target, body: Any, options: WriteOptions, warn: list[str]) -> Json:
        kind = target.kind
        obj = self._decode(kind, body, options, warn)
        self._extensions.check(obj)
        self._extensions.require_open(kind)
        return self.registry.create(kind, target.namespace, obj, options, warn)

    def _update(
        self, target: Target, body: Any, options: WriteOptions, warn: list[str]
    ) -> tuple[Json, bool]:
        kind, name = target.kind, target.name
        obj = self._decode(kind, body, options, warn)
        _require_name(obj, name)
        _require_namespace(obj, target)
        self._extensions.check(obj)

        def change(live: Json | None) -> Json:
            return managedfields.update(
                kind, live, obj, options.manager, self.registry.now(), target.subresource
            )

        return self.registry.update(
            kind,
            target.namespace,
            name,
            change,
            options,
            warn,
            subresource=target.subresource,
            uid=obj["metadata"].get("uid", ""),
        )

    def _patch(
        self, target: Target, content_type: str, body: Any, options: WriteOptions, warn: list[str]
    ) -> Json:
        kind, name = target.kind, target.name

        def change(live: Json | None) -> Json:
            if live is None:
                raise not_found(kind.resource, name)
            new = self._decode_patched(
                kind, patched(content_type, live, body, kind.schema), options, warn
            )
            _require_namespace(new, target)
            _require_name(new, name)
            self._extensions.check(new)
            return managedfields.update(
                kind, live, new, options.manager, self.registry.now(), target.subresource
            )

        obj, _ = self.registry.update(
            kind, target.namespace, name, change, options, warn, subresource=target.subresource
        )
        return obj

    def _apply(
        self, target: Target, request: Request, options: WriteOptions, warn: list[str]
    ) -> tuple[Json, bool]:
        kind, name, body = target.kind, target.name, request.body
        if not isinstance(body, dict):
            raise bad_request("error decoding patch: the body is not an object")

        def change(live: Json | None) -> Json:
            if live is None:
                self._extensions.require_open(kind)
            try:
                new = managedfields.apply(
                    kind,
                    live,
                    body,
                    options.manager,
                    force=options.force,
                    time=self.registry.now(),
                    subresource=target.subresource,
                )
            except TypedError as error:
                raise failure(500, "", str(error)) from None
            except DecodeError as error:
                raise bad_request(str(error)) from None
            if isinstance(new, managedfields.Conflicts):
                raise apply_conflict(new.message, new.causes)
            uid = new["metadata"].get("uid")
            if live is None and uid:
                raise conflict(
                    kind.resource,
                    name,
                    f"uid mismatch: the provided object specified uid {uid}, and no existing"
                    " object was found",
                )
            _require_namespace(new, target)
            _require_name(new, name)
            self._extensions.check(new)
            return new

        return self.registry.update(
            kind,
            target.namespace,
            name,
            change,
            options,
            warn,
            subresource=target.subresource,
            creates=not target.subresource,
        )

    def _write_scale(
        self, target: Target, content_type: str, body: Any, options: WriteOptions, warn: list[str]
    ) -> Json:
        kind = target.kind
        live = self.registry.get(kind, target.namespace, target.name)
        wanted = scale.wanted(kind, live, content_type, body)

        def change(live: Json | None) -> Json:
            if live is None:
                raise not_found(kind.resource, target.name)
            replicas = wanted["spec"].get("replicas", 0)
            applying = content_type == APPLY_PATCH
            new = managedfields.scale(
                kind,
                live,
                replicas,
                options.manager,
                self.registry.now(),
                "Apply" if applying else "Update",
                force=options.force,
            )
            if isinstance(new, managedfields.Conflicts):
                raise apply_conflict(new.message, new.causes)
            return new

        obj, _ = self.registry.update(
            kind,
            target.namespace,
            target.name,
            change,
            options,
            warn,
            subresource="scale",
            uid=wanted["metadata"].get("uid", ""),
        )
        return scale.of(kind, obj)

    def _bind(self, target: Target, body: Any) -> Json:
        """Gives a pod its node, once (registry/core/pod/storage, BindingREST)."""
        node = body.get("target", {}).get("name") if isinstance(body, dict) else None
        if not node:
            raise bad_request(_undecodable(target.kind))
        pod = self.registry.get(target.kind, target.namespace, target.name)
        meta, resource = pod["metadata"], target.kind.resource
        uid = (body.get("metadata") or {}).get("uid")
        if uid and uid != meta["uid"]:
            raise conflict(resource, target.name, f"pod {target.name} has another uid")
        if "deletionTimestamp" in meta:
            raise conflict(resource, target.name, f"pod {target.name} is being deleted")
        if pod["spec"].get("nodeName"):
            taken = f'pod {target.name} is already assigned to node "{pod["spec"]["nodeName"]}"'
            raise conflict(resource, target.name, taken)
        status = pod.get("status") or {}
        others = [c for c in status.get("conditions") or () if c["type"] != "PodScheduled"]
        scheduled = {
            "type": "PodScheduled",
            "status": "True",
            "lastProbeTime": None,
            "lastTransitionTime": self.registry.now(),
        }
        status = {**status, "conditions": [*others, scheduled]}
        bound = {**pod, "spec": {**pod["spec"], "nodeName": node}, "status": status}
        self.registry.store(target.kind, target.namespace, bound)
        return success({})

    def _finalize(self, target: Target, body: Any) -> Json:
        """Sets a namespace's own finalizers, and lets it go when the last is gone."""
        if not isinstance(body, dict):
            raise bad_request(_undecodable(target.kind))
        obj = self.registry.get(target.kind, "", target.name)
        version = (body.get("metadata") or {}).get("resourceVersion")
        if version and version != obj["metadata"]["resourceVersion"]:
            raise conflict(target.kind.resource, target.name)
        finalizers = list((body.get("spec") or {}).get("finalizers") or ())
        spec = {key: value for key, value in obj["spec"].items() if key != "finalizers"}
        if finalizers:
            spec["finalizers"] = finalizers
        stored = self.registry.store(target.kind, "", {**obj, "spec": spec})
        return self.registry.let_go(target.kind, target.name) or stored

    def _decode(self, kind: Kind, body: Any, options: WriteOptions, warn: list[str]) -> Json:
        decoded = _decoded(kind, body)
        if decoded.unknown and options.field_validation == "Strict":
            resource = kind.resource
            raise bad_request(
                f'{resource.kind} in version "{resource.version}" cannot be handled as a'
                f" {resource.kind}: strict decoding error: {', '.join(decoded.unknown)}"
            )
        if options.field_validation == "Warn":
            warn.extend(decoded.unknown)
        return decoded.obj

    def _decode_patched(
        self, kind: Kind, body: Json, options: WriteOptions, warn: list[str]
    ) -> Json:
        """Like ``_decode``, for what a patch made: complaints are of the patch, and 422."""
        try:
            decoded = kind.decode(body)
        except DecodeError as error:
            raise _invalid_patch(error.detail) from None
        if decoded.unknown and options.field_validation == "Strict":
            raise _invalid_patch(f"strict decoding error: {', '.join(decoded.unknown)}")
        if options.field_validation == "Warn":
            warn.extend(decoded.unknown)
        return decoded.obj

    def _after_write(self, kind: Kind, name: str, dry_run: bool) -> None:
        """Does what the real server's own controllers do at once."""
        if not dry_run and kind.resource == CUSTOM_RESOURCE_DEFINITION:
            self._extensions.reconcile(kind, name)
        elif not dry_run and kind.custom:
            self._extensions.removed(kind)

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


def _content_type(request: Request) -> str:
    headers = request.headers
    value = headers.get("Content-Type") or headers.get("content-type") or ""
    return value.split(";")[0].strip()


def _decoded(kind: Kind, body: Any) -> Decoded:
    if not isinstance(body, dict):
        raise bad_request(_undecodable(kind))
    _require_kind(kind, body)
    try:
        return kind.decode(body)
    except DecodeError as error:
        raise bad_request(str(error)) from None


def _require_kind(kind: Kind, body: Json) -> None:
    """Refuses a body that says it is something else; one of a built-in kind need not say."""
    resource = kind.resource
    name, api_version = body.get("kind"), body.get("apiVersion")
    if kind.custom and not name:
        raise bad_request(
            f"Object 'Kind' is missing in '{json.dumps(body, separators=(',', ':'))}'"
        )
    if (name or resource.kind) == resource.kind:
        if (api_version or resource.api_version) == resource.api_version:
            return
        if kind.custom:
            raise bad_request(
                f"the API version in the data ({api_version}) does not match the expected API"
                f" version ({resource.api_version})"
            )
    version = str(api_version or resource.api_version)
    raise bad_request(
        f'{name or resource.kind} in version "{version.split("/")[-1]}" cannot be handled as a'
        f' {resource.kind}: no kind "{name or resource.kind}" is registered for version "{version}"'
    )


def _undecodable(kind: Kind) -> str:
    return f"the object provided is unrecognized (must be of type {kind.resource.kind})"


def _invalid_patch(message: str) -> ApiError:
    text = f' "" is invalid: patch: Invalid value: "{{}}": {message}'
    cause = {
        "reason": "FieldValueInvalid",
        "message": f'Invalid value: "{{}}": {message}',
        "field": "patch",
    }
    return failure(422, "Invalid", text, {"causes": [cause]})


def _require_name(obj: Json, name: str) -> None:
    own = obj["metadata"].get("name", "")
    if not own:
        raise bad_request(
            f"the name of the object ({name} based on URL) was undeterminable: name must be"
            " provided"
        )
    if own != name:
        raise bad_request(
            f"the name of the object ({own}) does not match the name on the URL ({name})"
        )


def _require_namespace(obj: Json, target: Target) -> None:
    own = obj["metadata"].get("namespace", "")
    if own and target.namespace and own != target.namespace:
        raise bad_request(
            "the namespace of the provided object does not match the namespace sent on the request"
        )
