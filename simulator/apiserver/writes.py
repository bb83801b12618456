"""Creates, updates, patches and applies: from the body of a request to the object to store.

What a body must say and how complaints about it read follow
``k8s.io/apiserver/pkg/endpoints/handlers``.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final

from prism_operator.api.meta import CUSTOM_RESOURCE_DEFINITION, Json
from simulator.apiserver import managedfields, scale
from simulator.apiserver.causes import INVALID, Cause, DecodeError, TypedError
from simulator.apiserver.extensions import Extensions
from simulator.apiserver.patches import APPLY_PATCH, JSON_PATCH, MERGE_PATCH, STRATEGIC_MERGE_PATCH
from simulator.apiserver.patches import patch as patched
from simulator.apiserver.registry import Registry
from simulator.apiserver.request import Request, Response, WriteOptions, write_options
from simulator.apiserver.statuses import (
    ApiError,
    apply_conflict,
    bad_request,
    conflict,
    failure,
    invalid,
    not_found,
    success,
    unsupported_media_type,
)
from simulator.apiserver.types import Decoded, Kind

BUILTIN_PATCHES: Final = (JSON_PATCH, MERGE_PATCH, STRATEGIC_MERGE_PATCH, APPLY_PATCH)
CUSTOM_PATCHES: Final = (JSON_PATCH, MERGE_PATCH, APPLY_PATCH)


@dataclass(frozen=True, slots=True)
class Target:
    """What a path names."""

    kind: Kind
    namespace: str
    name: str
    subresource: str


class Writes:
    """Turns requests into writes of the registry."""

    def __init__(self, registry: Registry, extensions: Extensions) -> None:
        self._registry = registry
        self._extensions = extensions

    def write(self, verb: str, target: Target, request: Request) -> Response:
        """Answers a create, an update or a patch."""
        kind = target.kind
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
        warn: list[str] = []
        try:
            obj, created = self._stored(verb, target, content_type, request, options, warn)
        except ApiError as error:
            # What the decoder warned of is said, whatever came of the write.
            return Response(error.code, error.status, tuple(dict.fromkeys(warn)))
        return Response(201 if created else 200, obj, tuple(dict.fromkeys(warn)))

    def _stored(
        self,
        verb: str,
        target: Target,
        content_type: str,
        request: Request,
        options: WriteOptions,
        warn: list[str],
    ) -> tuple[Json, bool]:
        """What was stored, and whether that created it."""
        body, created = request.body, False
        if target.subresource == "binding":
            return self._bind(target, body), True
        if target.subresource == "finalize":
            obj = self._finalize(target, body)
        elif target.subresource == "scale":
            obj = self._write_scale(target, content_type, body, options, warn)
        elif verb == "create":
            obj, created = self._create(target, body, options, warn), True
        elif verb == "update":
            obj, created = self._update(target, body, options, warn)
        elif content_type == APPLY_PATCH:
            obj, created = self._apply(target, body, options, warn)
        else:
            obj = self._patch(target, content_type, body, options, warn)
        self.after(target.kind, obj["metadata"]["name"], options.dry_run)
        return obj, created

    def _create(self, target: Target, body: Any, options: WriteOptions, warn: list[str]) -> Json:
        kind = target.kind
        obj = self._decode(kind, body, options, warn)
        self._extensions.check(obj)
        self._extensions.require_open(kind)
        return self._registry.create(kind, target.namespace, obj, options, warn)

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
                kind, live, obj, options.manager, self._registry.now(), target.subresource
            )

        return self._registry.update(
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
                kind, live, new, options.manager, self._registry.now(), target.subresource
            )

        obj, _ = self._registry.update(
            kind, target.namespace, name, change, options, warn, subresource=target.subresource
        )
        return obj

    def _apply(
        self, target: Target, body: Any, options: WriteOptions, warn: list[str]
    ) -> tuple[Json, bool]:
        kind, name = target.kind, target.name
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
                    time=self._registry.now(),
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

        return self._registry.update(
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
        live = self._registry.get(kind, target.namespace, target.name)
        wanted = scale.wanted(kind, live, content_type, body)
        replicas, version = (
            wanted["spec"].get("replicas") or 0,
            wanted["metadata"].get("resourceVersion"),
        )
        # A custom object is validated whole, with its own words.
        if replicas < 0 and not kind.custom:
            complaint = f"Invalid value: {replicas}: must be greater than or equal to 0"
            cause = Cause(INVALID, complaint, "spec.replicas")
            raise invalid("autoscaling", "Scale", target.name, [cause])

        def change(live: Json | None) -> Json:
            if live is None:
                raise not_found(kind.resource, target.name)
            applying = content_type == APPLY_PATCH
            new = managedfields.scale(
                kind,
                live,
                replicas,
                options.manager,
                self._registry.now(),
                "Apply" if applying else "Update",
                force=options.force,
            )
            if isinstance(new, managedfields.Conflicts):
                raise apply_conflict(new.message, new.causes)
            # Without a version the Scale of a custom object is written to whatever is there.
            ours = live["metadata"]["resourceVersion"] if kind.custom else ""
            return {**new, "metadata": {**new["metadata"], "resourceVersion": version or ours}}

        obj, _ = self._registry.update(
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
        pod = self._registry.get(target.kind, target.namespace, target.name)
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
            "lastTransitionTime": self._registry.now(),
        }
        status = {**status, "conditions": [*others, scheduled]}
        bound = {**pod, "spec": {**pod["spec"], "nodeName": node}, "status": status}
        self._registry.store(target.kind, target.namespace, bound)
        return success({})

    def _finalize(self, target: Target, body: Any) -> Json:
        """Sets a namespace's own finalizers, and lets it go when the last is gone."""
        if not isinstance(body, dict):
            raise bad_request(_undecodable(target.kind))
        obj = self._registry.get(target.kind, "", target.name)
        version = (body.get("metadata") or {}).get("resourceVersion")
        if version and version != obj["metadata"]["resourceVersion"]:
            raise conflict(target.kind.resource, target.name)
        finalizers = list((body.get("spec") or {}).get("finalizers") or ())
        spec = {key: value for key, value in obj["spec"].items() if key != "finalizers"}
        if finalizers:
            spec["finalizers"] = finalizers
        stored = self._registry.store(target.kind, "", {**obj, "spec": spec})
        return self._registry.let_go(target.kind, target.name) or stored

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
        return decoded.obj if kind.custom else _with_reset(decoded.obj, body)

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
        return decoded.obj if kind.custom else _with_reset(decoded.obj, body)

    def after(self, kind: Kind, name: str, dry_run: bool) -> None:
        """Does what the real server's own controllers do at once."""
        if not dry_run and kind.resource == CUSTOM_RESOURCE_DEFINITION:
            self._extensions.reconcile(kind, name)
        elif not dry_run and kind.custom:
            self._extensions.removed(kind)


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


def _with_reset(obj: Json, body: Any) -> Json:
    """``obj`` with the empty managedFields of ``body``: not left out, but a wish to reset them."""
    meta = body.get("metadata")
    if not isinstance(meta, dict) or meta.get("managedFields") != []:
        return obj
    return {**obj, "metadata": {**obj["metadata"], "managedFields": []}}


def _require_kind(kind: Kind, body: Json) -> None:
    """Refuses a body that says it is something else; one of a built-in kind need not say."""
    resource = kind.resource
    name, api_version = body.get("kind"), body.get("apiVersion")
    if kind.custom and not name:
        raise bad_request(
            f"Object 'Kind' is missing in '{json.dumps(body, separators=(',', ':'))}'"
        )
    if kind.custom and name != resource.kind:
        cause = Cause(INVALID, f'Invalid value: "{name}": must be {resource.kind}', "kind")
        raise invalid(
            resource.group, str(name), (body.get("metadata") or {}).get("name", ""), [cause]
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
