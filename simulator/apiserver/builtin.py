"""The built-in kinds: what each endpoint of them keeps, drops, counts and refuses.

From the strategies in ``pkg/registry`` of Kubernetes 1.37.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from prism_operator.api import meta
from prism_operator.api.meta import Json, ReadOnlyJson, Resource
from simulator.apiserver import validation, warnings
from simulator.apiserver.causes import Cause, DecodeError
from simulator.apiserver.codec import Codec
from simulator.apiserver.defaults import HOOKS
from simulator.apiserver.events import core_event, new_event
from simulator.apiserver.schema import published
from simulator.apiserver.types import Decoded, Kind, ScalePaths

_CODEC = Codec(HOOKS)
_PLAIN_CODEC = Codec({})
CORE_EVENT = Resource("", "v1", "Event", "events")
_POD_TOLERATIONS = (
    ("node.kubernetes.io/not-ready", 300),
    ("node.kubernetes.io/unreachable", 300),
)


def _never(new: Json, old: Json) -> bool:
    del new, old
    return False


def _spec_changed(new: Json, old: Json) -> bool:
    return bool(new.get("spec") != old.get("spec"))


def _spec_or_annotations_changed(new: Json, old: Json) -> bool:
    return _spec_changed(new, old) or (
        (new["metadata"].get("annotations") or {}) != (old["metadata"].get("annotations") or {})
    )


def _slice_changed(new: Json, old: Json) -> bool:
    def content(obj: Json) -> tuple[Json, Any]:
        labels = obj["metadata"].get("labels") or {}
        return {k: v for k, v in obj.items() if k != "metadata"}, labels

    return content(new) != content(old)


@dataclass(frozen=True)
class BuiltinKind(Kind):
    """A kind whose types are compiled into the API server."""

    go_type: str = ""
    # Whether a write changes what the generation counts; None: there is no generation.
    counts: Callable[[Json, Json], bool] | None = None
    # The status a create starts from; None: the writer's own is kept.
    first_status: Callable[[Json], Json] | None = None
    # What else of the old object a write to status keeps, as paths.
    status_keeps: tuple[tuple[str, ...], ...] = ()
    on_create: Callable[[Json], Json] | None = None
    on_update: Callable[[Json, Json], Json] | None = None
    on_admission: Callable[[Json], Json] | None = None
    stored_as: Resource | None = None
    unconditional_update: bool = True
    create_on_update: bool = False
    subresources: tuple[str, ...] = field(default=())

    @property
    def counts_generations(self) -> bool:
        """See ``Kind``."""
        return self.counts is not None

    @property
    def allows_unconditional_update(self) -> bool:
        """See ``Kind``."""
        return self.unconditional_update

    @property
    def allows_create_on_update(self) -> bool:
        """See ``Kind``."""
        return self.create_on_update

    @property
    def storage(self) -> Resource:
        """See ``Kind``."""
        return self.stored_as or self.resource

    def to_storage(self, obj: Json) -> Json:
        """See ``Kind``."""
        return core_event(obj) if self.stored_as else obj

    def from_storage(self, obj: Json) -> Json:
        """See ``Kind``."""
        return new_event(obj) if self.stored_as else obj

    def decode(self, body: ReadOnlyJson) -> Decoded:
        """See ``Kind``."""
        kind, version = self.resource.kind, self.resource.version
        named = body.get("kind", kind)
        try:
            if named != kind:
                raise DecodeError(
                    f'no kind "{named}" is registered for version "{self.resource.api_version}" in '
                    'scheme "pkg/api/legacyscheme/scheme.go:30"'
                )
            obj, unknown = _CODEC.decode(self.go_type, dict(body))
        except DecodeError as error:
            raise DecodeError(
                f'{named} in version "{version}" cannot be handled as a {kind}: {error}', str(error)
            ) from None
        obj["apiVersion"], obj["kind"] = self.resource.api_version, self.resource.kind
        return Decoded(obj, unknown)

    def blank(self) -> Json:
        """See ``Kind``."""
        obj, _ = _PLAIN_CODEC.decode(self.go_type, {})
        return {"apiVersion": self.resource.api_version, "kind": self.resource.kind, **obj}

    def read(self, stored: Json) -> Json:
        """See ``Kind``."""
        return stored

    def admit(self, obj: Json) -> Json:
        """See ``Kind``."""
        return self.on_admission(obj) if self.on_admission else obj

    def admit_update(self, obj: Json, old: Json) -> Json:
        """See ``Kind``."""
        return _admit_pod_update(obj, old) if self.resource == meta.POD else obj

    def prepare_create(self, obj: Json) -> Json:
        """See ``Kind``."""
        gone = ("deletionTimestamp", "deletionGracePeriodSeconds", "selfLink")
        metadata = {k: v for k, v in obj["metadata"].items() if k not in gone}
        if self.counts is not None:
            metadata["generation"] = 1
        new = {**obj, "metadata": metadata}
        if self.first_status is not None:
            new["status"] = self.first_status(new)
        return _as_stored(self.on_create(new) if self.on_create else new)

    def prepare_update(self, new: Json, old: Json, subresource: str = "") -> Json:
        """See ``Kind``."""
        metadata = dict(new["metadata"])
        was = old["metadata"]
        for name in ("generation", "creationTimestamp"):
            metadata.pop(name, None)
            if name in was:
                metadata[name] = was[name]
        metadata.setdefault("uid", was.get("uid", ""))
        for name in ("deletionTimestamp", "deletionGracePeriodSeconds"):
            if name in was:
                metadata[name] = was[name]
        out = {**new, "metadata": metadata}
        if subresource == "status":
            if "spec" in old:
                out["spec"] = old["spec"]
            for path in self.status_keeps:
                _keep(out, old, path)
        else:
            if self.has_status:
                out["status"] = old["status"]
            if self.on_update is not None:
                out = self.on_update(out, old)
            if self.counts is not None and self.counts(out, old):
                out["metadata"]["generation"] = was.get("generation", 0) + 1
        return _as_stored(out)

    def validate(self, new: Json, old: Json | None = None, subresource: str = "") -> list[Cause]:
        """See ``Kind``."""
        return validation.validate(self.resource, new, old, subresource)

    def warnings(self, new: Json, old: Json | None = None) -> tuple[str, ...]:
        """See ``Kind``."""
        return warnings.warnings(self.resource, new, old)

    def reset_fields(self, subresource: str) -> tuple[tuple[str, ...], ...]:
        """See ``Kind``."""
        if subresource == "status":
            return (("spec",), *self.status_keeps)
        return (("status",),) if self.has_status else ()


def _as_stored(obj: Json) -> Json:
    """``obj`` as protobuf, the storage's format, gives it back: it does not know empty lists."""
    if [] in obj.values():
        return {key: None if value == [] else value for key, value in obj.items()}
    return obj


def _keep(new: Json, old: Json, path: tuple[str, ...]) -> None:
    """Puts what ``old`` has at ``metadata.<name>`` into ``new``, whose metadata is its own."""
    _, name = path
    new["metadata"].pop(name, None)
    if name in old["metadata"]:
        new["metadata"][name] = old["metadata"][name]


# What creates and updates do beyond the common rules


def _empty_status(go_type: str) -> Callable[[Json], Json]:
    status = f"{go_type}Status"
    return lambda _obj: _PLAIN_CODEC.decode(status, {})[0]


def _first_pod_status(pod: Json) -> Json:
    status: Json = {"phase": "Pending"}
    if pod["spec"].get("schedulingGates"):
        status["conditions"] = [
            {
                "type": "PodScheduled",
                "status": "False",
                "lastProbeTime": None,
                "lastTransitionTime": None,
                "reason": "SchedulingGated",
                "message": "Scheduling is blocked due to non-empty scheduling gates",
            }
        ]
    status["qosClass"] = quality_of_service(pod)
    return status


def quality_of_service(pod: Json) -> str:
    """The QoS class of a pod, from cpu and memory of its containers."""
    containers = [
        *(pod["spec"].get("containers") or ()),
        *(pod["spec"].get("initContainers") or ()),
    ]
    seen, guaranteed = False, True
    for container in containers:
        resources = container.get("resources") or {}
        requests, limits = resources.get("requests") or {}, resources.get("limits") or {}
        for name in ("cpu", "memory"):
            seen = seen or requests.get(name, "0") != "0" or limits.get(name, "0") != "0"
            if limits.get(name, "0") == "0" or requests.get(name, limits[name]) != limits[name]:
                guaranteed = False
    if not seen:
        return "BestEffort"
    return "Guaranteed" if guaranteed else "Burstable"


def _admit_pod(pod: Json) -> Json:
    """ServiceAccount (without its token volume), DefaultTolerationSeconds and Priority."""
    spec = _tolerant(pod["spec"])
    spec.setdefault("serviceAccountName", "default")
    spec["serviceAccount"] = spec["serviceAccountName"]
    spec.setdefault("priority", _SYSTEM_PRIORITIES.get(spec.get("priorityClassName", ""), 0))
    spec.setdefault("preemptionPolicy", "PreemptLowerPriority")
    return {**pod, "spec": spec}


def _admit_pod_update(pod: Json, old: Json) -> Json:
    spec = _tolerant(pod["spec"])
    for name in ("priority", "preemptionPolicy"):
        if name in old["spec"]:
            spec.setdefault(name, old["spec"][name])
    return {**pod, "spec": spec}


def _tolerant(spec: Json) -> Json:
    """A copy of a pod's spec that tolerates the loss of its node for five minutes."""
    spec = dict(spec)
    tolerations = list(spec.get("tolerations") or ())
    for key, seconds in _POD_TOLERATIONS:
        if not any(
            t.get("key", "") in (key, "") and t.get("effect", "") in ("NoExecute", "")
            for t in tolerations
        ):
            tolerations.append(
                {
                    "key": key,
                    "operator": "Exists",
                    "effect": "NoExecute",
                    "tolerationSeconds": seconds,
                }
            )
    spec["tolerations"] = tolerations
    return spec


_SYSTEM_PRIORITIES = {
    "system-cluster-critical": 2_000_000_000,
    "system-node-critical": 2_000_001_000,
}


def _create_namespace(obj: Json) -> Json:
    finalizers = list(obj["spec"].get("finalizers") or ())
    if "kubernetes" not in finalizers:
        finalizers.append("kubernetes")
    return {**obj, "spec": {**obj["spec"], "finalizers": finalizers}}


def _update_namespace(new: Json, old: Json) -> Json:
    new["spec"] = {**new["spec"], "finalizers": old["spec"].get("finalizers")}
    return new


def _update_service(new: Json, old: Json) -> Json:
    """Keeps addresses and node ports that the writer left out, and drops those of another type."""
    spec, was = dict(new["spec"]), old["spec"]
    now_external, was_external = spec["type"] == "ExternalName", was["type"] == "ExternalName"
    if not now_external and not was_external:
        for name in ("clusterIP", "clusterIPs"):
            if name in was:
                spec.setdefault(name, was[name])
        if "clusterIP" in new["spec"] and "clusterIPs" not in new["spec"]:
            spec["clusterIPs"] = [spec["clusterIP"]]
        for name in ("ipFamilies", "ipFamilyPolicy"):
            if name in was:
                spec.setdefault(name, was[name])
        if _needs_node_port(spec) and _needs_node_port(was):
            spec["ports"] = _with_node_ports(spec.get("ports") or [], was.get("ports") or [])
        elif _needs_node_port(was):
            spec["ports"] = _without_old_node_ports(spec.get("ports") or [], was.get("ports") or [])
    if now_external and not was_external:
        for name in ("clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"):
            if spec.get(name) == was.get(name):
                spec.pop(name, None)
        if _needs_node_port(was):
            spec["ports"] = _without_old_node_ports(spec.get("ports") or [], was.get("ports") or [])
    if not spec.get("ports"):
        spec.pop("ports", None)
    external = spec["type"] in ("NodePort", "LoadBalancer") or spec.get("externalIPs")
    same_policy = spec.get("externalTrafficPolicy") == was.get("externalTrafficPolicy")
    if not external and same_policy:
        spec.pop("externalTrafficPolicy", None)
    if spec["type"] != "LoadBalancer":
        new["status"] = {**new["status"], "loadBalancer": {}}
    if spec["type"] != "LoadBalancer" and was["type"] == "LoadBalancer":
        for name in ("allocateLoadBalancerNodePorts", "loadBalancerClass"):
            if spec.get(name) == was.get(name):
                spec.pop(name, None)
    return {**new, "spec": spec}


def _needs_node_port(spec: Json) -> bool:
    if spec["type"] == "LoadBalancer":
        return bool(spec.get("allocateLoadBalancerNodePorts", True))
    return bool(spec["type"] == "NodePort")


def _with_node_ports(new: list[Json], old: list[Json]) -> list[Json]:
    known = {(p.get("protocol"), p.get("port")): p.get("nodePort") for p in old}
    used = {p.get("nodePort") for p in new}
    out = []
    for port in new:
        previous = known.get((port.get("protocol"), port.get("port")))
        if not port.get("nodePort") and previous and previous not in used:
            port = {**port, "nodePort": previous}
            used.add(previous)
        out.append(port)
    return out


def _without_old_node_ports(new: list[Json], old: list[Json]) -> list[Json]:
    if [p.get("nodePort") for p in new] != [p.get("nodePort") for p in old]:
        return new
    return [{k: v for k, v in port.items() if k != "nodePort"} for port in new]


def _update_secret(new: Json, old: Json) -> Json:
    del old
    return new


def _crd_status(obj: Json) -> Json:
    stored = [v["name"] for v in obj["spec"].get("versions") or () if v.get("storage")]
    return {
        "conditions": None,
        "acceptedNames": {"plural": "", "kind": ""},
        "storedVersions": stored[:1] or None,
    }


# The table


def builtin_kinds() -> Iterator[Kind]:
    """Every built-in kind, with its rules."""
    core, apps = "io.k8s.api.core.v1.", "io.k8s.api.apps.v1."
    replicas = ScalePaths(("spec", "replicas"), ("status", "replicas"), ("spec", "selector"))
    yield _kind(
        meta.POD,
        core,
        ("po",),
        all_=True,
        first_status=_first_pod_status,
        counts=_spec_changed,
        status_keeps=(("metadata", "deletionTimestamp"), ("metadata", "ownerReferences")),
        on_admission=_admit_pod,
    )
    yield _kind(
        meta.SERVICE,
        core,
        ("svc",),
        all_=True,
        first_status=_empty_status(f"{core}Service"),
        on_update=_update_service,
        create_on_update=True,
    )
    yield _kind(meta.SERVICE_ACCOUNT, core, ("sa",))
    yield _kind(meta.CONFIG_MAP, core, ("cm",))
    yield _kind(meta.SECRET, core)
    yield _kind(meta.NODE, core, ("no",), has_status=True)
    yield _kind(
        meta.NAMESPACE,
        core,
        ("ns",),
        first_status=lambda _obj: {"phase": "Active"},
        on_create=_create_namespace,
        on_update=_update_namespace,
    )
    yield _kind(CORE_EVENT, core, ("ev",), create_on_update=True)
    yield _kind(Resource("", "v1", "Endpoints", "endpoints"), core, ("ep",), create_on_update=True)
    yield _kind(
        meta.DEPLOYMENT,
        apps,
        ("deploy",),
        all_=True,
        first_status=_empty_status(f"{apps}Deployment"),
        counts=_spec_or_annotations_changed,
        status_keeps=(("metadata", "labels"),),
        scale=replicas,
    )
    yield _kind(
        meta.REPLICA_SET,
        apps,
        ("rs",),
        all_=True,
        first_status=_empty_status(f"{apps}ReplicaSet"),
        counts=_spec_changed,
        scale=replicas,
    )
    yield _kind(
        meta.HORIZONTAL_POD_AUTOSCALER,
        "io.k8s.api.autoscaling.v2.",
        ("hpa",),
        all_=True,
        first_status=_empty_status("io.k8s.api.autoscaling.v2.HorizontalPodAutoscaler"),
        counts=_spec_changed,
    )
    yield _kind(
        meta.POD_DISRUPTION_BUDGET,
        "io.k8s.api.policy.v1.",
        ("pdb",),
        first_status=_empty_status("io.k8s.api.policy.v1.PodDisruptionBudget"),
        counts=_spec_changed,
        unconditional_update=False,
    )
    yield _kind(
        meta.LEASE,
        "io.k8s.api.coordination.v1.",
        unconditional_update=False,
        create_on_update=True,
        on_create=_plain_lease,
    )
    for resource in (
        meta.ROLE,
        meta.ROLE_BINDING,
        Resource(meta.ROLE.group, "v1", "ClusterRole", "clusterroles", namespaced=False),
        Resource(
            meta.ROLE.group, "v1", "ClusterRoleBinding", "clusterrolebindings", namespaced=False
        ),
    ):
        yield _kind(resource, "io.k8s.api.rbac.v1.", create_on_update=True)
    yield _kind(
        meta.EVENT,
        "io.k8s.api.events.v1.",
        ("ev",),
        stored_as=CORE_EVENT,
        create_on_update=True,
    )
    yield _kind(
        Resource("discovery.k8s.io", "v1", "EndpointSlice", "endpointslices"),
        "io.k8s.api.discovery.v1.",
        counts=_slice_changed,
    )
    yield _kind(
        meta.CUSTOM_RESOURCE_DEFINITION,
        "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.",
        ("crd", "crds"),
        categories=("api-extensions",),
        first_status=_crd_status,
        counts=_spec_changed,
        unconditional_update=False,
    )


def _plain_lease(obj: Json) -> Json:
    spec = {k: v for k, v in obj["spec"].items() if k not in ("strategy", "preferredHolder")}
    return {**obj, "spec": spec}


def _kind(
    resource: Resource,
    package: str,
    short_names: tuple[str, ...] = (),
    *,
    all_: bool = False,
    categories: tuple[str, ...] = (),
    has_status: bool = False,
    first_status: Callable[[Json], Json] | None = None,
    **rules: Any,
) -> BuiltinKind:
    go_type = f"{package}{resource.kind}"
    return BuiltinKind(
        resource=resource,
        singular=resource.kind.lower(),
        list_kind=f"{resource.kind}List",
        schema=published(go_type),
        short_names=short_names,
        categories=("all",) if all_ else categories,
        has_status=has_status or first_status is not None,
        first_status=first_status,
        go_type=go_type,
        **rules,
    )
