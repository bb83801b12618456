"""What of a cluster's objects somebody wrote, without what controllers make of it.

What a modelled controller will make again is left out; of pods whose controller is not modelled the
room they take is kept. Whatever is left out is said.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from prism_operator.api.meta import (
    DEPLOYMENT,
    HORIZONTAL_POD_AUTOSCALER,
    NAMESPACE,
    NODE,
    POD,
    POD_DISRUPTION_BUDGET,
    PRISM_BACKEND,
    PRISM_NAMESPACE,
    PRISM_PATTERN,
    PRISM_RESOURCES,
    PRISM_STACK,
    REPLICA_SET,
    SCALED_OBJECT,
    SECRET,
    SERVICE,
    TRIGGER_AUTHENTICATION,
    Json,
    Resource,
    find_resource,
)
from prism_operator.documents import Location, location_of
from simulator.autoscaling.keda.triggers import MODELLED
from simulator.controllers.objects import is_true
from simulator.importing.secrecy import without_secrets
from simulator.scenario.unmodelled import unmodelled

KEPT = (
    NAMESPACE,
    SECRET,
    TRIGGER_AUTHENTICATION,
    PRISM_BACKEND,
    PRISM_STACK,
    PRISM_NAMESPACE,
    PRISM_PATTERN,
    DEPLOYMENT,
    REPLICA_SET,
    SERVICE,
    POD_DISRUPTION_BUDGET,
    HORIZONTAL_POD_AUTOSCALER,
    SCALED_OBJECT,
    POD,
)
# Their controllers are in every scenario and make what they own anew.
_MAKERS = (*PRISM_RESOURCES, DEPLOYMENT, REPLICA_SET, SCALED_OBJECT)
_POD_FIELDS = (
    "nodeName",
    "nodeSelector",
    "affinity",
    "tolerations",
    "topologySpreadConstraints",
    "priorityClassName",
    "schedulerName",
    "runtimeClassName",
    "resourceClaims",
    "schedulingGates",
    "hostNetwork",
    "restartPolicy",
    "terminationGracePeriodSeconds",
)
_CONTAINER_FIELDS = ("name", "image", "resources", "ports")
_PORT_FIELDS = ("name", "port", "targetPort", "protocol", "appProtocol")
_SYSTEM_PRIORITIES = ("system-cluster-critical", "system-node-critical")
_ENDED = ("Succeeded", "Failed")
# Every namespace has them; nobody wrote them.
_OF_KUBERNETES = ("default", "kube-system", "kube-public", "kube-node-lease")
_AUTHORITY = "kubernetes.io/metadata.name"


@dataclass(frozen=True, slots=True)
class Selected:
    """Manifests, nodes, and a line for each thing that was left out.

    ``expected``: kind, namespace and name of what was as it should be, with a Deployment's number
    of ready replicas.
    """

    manifests: tuple[Json, ...]
    nodes: tuple[Json, ...]
    notes: tuple[str, ...]
    expected: tuple[tuple[str, ...], ...] = ()

    @property
    def keda(self) -> bool:
        """Whether something in it is scaled by KEDA."""
        return any(obj["kind"] == SCALED_OBJECT.kind or _asks_keda(obj) for obj in self.manifests)


def select(objects: Iterable[Json]) -> Selected:
    """Sorts out what was read of a cluster, in the order in which it was made."""
    read, unknown = _once(objects)
    notes = _Notes()
    for kind, count in sorted(unknown.items()):
        notes.add("not modelled, and left out", kind, count)
    nodes = tuple(obj for obj in read if obj["kind"] == NODE.kind)
    offered = {
        name for node in nodes for name in (node.get("status") or {}).get("allocatable") or {}
    }
    made = _Makers(read)
    manifests: list[Json] = []
    expected: list[tuple[str, ...]] = []
    for obj in sorted(read, key=_age):
        resource = find_resource(obj["apiVersion"], obj["kind"])
        if resource not in KEPT or made.again(obj) or _is_no_matter(obj, notes):
            continue
        kept = _playable(_cleaned(obj, resource, notes), offered, notes)
        if kept is not None:
            manifests.append(kept)
            expected += _as_it_should_be(obj)
    manifests.sort(key=lambda obj: obj["kind"] != NAMESPACE.kind)  # the others are in them
    return Selected(tuple(manifests), nodes, notes.lines(), tuple(expected))


def _as_it_should_be(obj: Json) -> Iterator[tuple[str, ...]]:
    meta, status = obj["metadata"], obj.get("status") or {}
    named = (obj["kind"], str(meta.get("namespace") or "default"), meta["name"])
    if obj["kind"] in (PRISM_STACK.kind, PRISM_PATTERN.kind) and is_true(obj, "Ready"):
        yield named
    if obj["kind"] == DEPLOYMENT.kind:
        wanted = (obj.get("spec") or {}).get("replicas", 1)
        if wanted and status.get("readyReplicas") == wanted:
            yield (*named, str(wanted))


def _age(obj: Json) -> str:
    return str(obj["metadata"].get("creationTimestamp") or "")


def _once(objects: Iterable[Json]) -> tuple[list[Json], Counter[str]]:
    """Each object once, as it was read last, and of which kinds there are others."""
    found: dict[tuple[str, str, str], Json] = {}
    unknown: Counter[str] = Counter()
    for obj in objects:
        kind, meta = str(obj.get("kind")), obj.get("metadata")
        resource = find_resource(str(obj.get("apiVersion")), kind)
        if (resource not in KEPT and resource != NODE) or not isinstance(meta, dict):
            unknown[kind] += 1
        elif isinstance(meta.get("name"), str):
            found[kind, str(meta.get("namespace") or ""), meta["name"]] = obj
    return list(found.values()), unknown


class _Makers:
    """Who makes what anew, of what was read."""

    def __init__(self, objects: Sequence[Json]) -> None:
        kinds = {resource.kind for resource in _MAKERS}
        self._names = {
            (obj["kind"], str(obj["metadata"].get("namespace") or ""), obj["metadata"]["name"])
            for obj in objects
            if obj["kind"] in kinds
        }

    def again(self, obj: Json) -> bool:
        """Whether a controller whose object was read makes this one anew."""
        meta = obj["metadata"]
        namespace = str(meta.get("namespace") or "")
        for owner in meta.get("ownerReferences") or ():
            if not owner.get("controller"):
                continue
            kind, name = str(owner.get("kind")), str(owner.get("name"))
            if (kind, namespace, name) in self._names:
                return True
            # The ReplicaSet between a Deployment and its pods need not have been read.
            template = (meta.get("labels") or {}).get("pod-template-hash")
            if kind == REPLICA_SET.kind and template:
                deployment = name.removesuffix(f"-{template}")
                return (DEPLOYMENT.kind, namespace, deployment) in self._names
        return False


def _is_no_matter(obj: Json, notes: _Notes) -> bool:
    meta, kind = obj["metadata"], obj["kind"]
    if meta.get("deletionTimestamp"):
        notes.add("being deleted, and left out", kind)
        return True
    if kind == POD.kind and (obj.get("status") or {}).get("phase") in _ENDED:
        notes.add("ended, and left out", kind)
        return True
    return bool(
        (kind == NAMESPACE.kind and meta["name"] in _OF_KUBERNETES)
        # One without a selector, such as that of the API server, spreads no pods.
        or (kind == SERVICE.kind and not (obj.get("spec") or {}).get("selector"))
        or (kind == SECRET.kind and obj.get("type") == "kubernetes.io/service-account-token")
    )


class _Notes:
    """What is left out, counted by what it is of."""

    def __init__(self) -> None:
        self._found: dict[str, Counter[str]] = {}

    def add(self, why: str, of: str, count: int = 1) -> None:
        self._found.setdefault(why, Counter())[of] += count

    def lines(self) -> tuple[str, ...]:
        return tuple(
            f"{', '.join(f'{count} {of}' for of, count in sorted(found.items()))}: {why}"
            for why, found in sorted(self._found.items())
        )


def _cleaned(obj: Json, resource: Resource, notes: _Notes) -> Json:
    """The object as somebody would write it, without secrets."""
    meta = obj["metadata"]
    labels = {k: v for k, v in (meta.get("labels") or {}).items() if k != _AUTHORITY}
    spec = obj.get("spec")
    match resource.kind:
        case POD.kind:
            if meta.get("ownerReferences"):
                owner = meta["ownerReferences"][0].get("kind")
                notes.add(
                    "kept where they are: what they belong to is not there", f"pods of {owner}"
                )
            spec = _pod(spec or {}, notes)
        case DEPLOYMENT.kind | REPLICA_SET.kind:
            spec = _templated(spec or {}, notes)
        case SERVICE.kind:
            spec = _service(spec or {})
        case NAMESPACE.kind:
            spec = None  # finalizers, which are the API server's
    kept = {k: v for k, v in obj.items() if k not in ("metadata", "spec", "status")}
    named = {
        "name": meta["name"],
        **({"namespace": meta.get("namespace") or "default"} if resource.namespaced else {}),
        **({"labels": labels} if labels else {}),
    }
    if annotations := meta.get("annotations"):
        named["annotations"] = annotations
    whole = {**kept, "metadata": named, **({} if spec is None else {"spec": spec})}
    clean = without_secrets(whole)
    if not clean["metadata"].get("annotations"):
        clean["metadata"].pop("annotations", None)
    head = {"apiVersion": resource.api_version, "kind": resource.kind}
    return {**head, **{k: v for k, v in clean.items() if k not in head}}


def _templated(spec: Json, notes: _Notes) -> Json:
    template = spec.get("template") or {}
    labels = (template.get("metadata") or {}).get("labels") or {}
    pod = _pod(template.get("spec") or {}, notes)
    return {**spec, "template": {"metadata": {"labels": labels}, "spec": pod}}


def _pod(spec: Json, notes: _Notes) -> Json:
    """What of a pod matters to where it is and what room it takes."""
    kept = {k: v for k in _POD_FIELDS if (v := spec.get(k)) not in (None, "", [], {})}
    if kept.get("priorityClassName") not in (None, *_SYSTEM_PRIORITIES):
        notes.add("its priority is left out", f"priority class {kept.pop('priorityClassName')}")
    if kept.get("schedulerName") == "default-scheduler":
        del kept["schedulerName"]
    if spec.get("initContainers"):
        notes.add("init containers and sidecars are left out, with what room they take", "pod spec")
    if any("persistentVolumeClaim" in volume for volume in spec.get("volumes") or ()):
        notes.add("persistent volumes, and where they can be, are left out", "pod spec")
    kept["containers"] = [
        {k: c[k] for k in _CONTAINER_FIELDS if c.get(k)} for c in spec.get("containers") or ()
    ]
    # Kubernetes adds these to every pod itself.
    added = ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")
    tolerations = [
        t
        for t in kept.pop("tolerations", ())
        if not (t.get("key") in added and t.get("tolerationSeconds") == 300)
    ]
    return {**kept, "tolerations": tolerations} if tolerations else kept


def _service(spec: Json) -> Json:
    ports = [{k: p[k] for k in _PORT_FIELDS if k in p} for p in spec.get("ports") or ()]
    kept: Json = {k: spec[k] for k in ("selector",) if k in spec}
    if spec.get("clusterIP") == "None":
        kept["clusterIP"] = "None"
    return {**kept, **({"ports": ports} if ports else {})}


def _playable(obj: Json, offered: Iterable[str], notes: _Notes) -> Json | None:
    """The object without what no scenario can play; None if nothing of use is left."""
    found = list(unmodelled(obj, frozenset(offered)))
    for _, message in found:
        path = message.partition(":")[0]
        notes.add(f"left out: {message.partition(': ')[2]}", f"{obj['kind']} {_last(path)}")
    for where, _ in reversed(found):
        _remove(obj, where)
    return _without_triggers(obj, notes)


def _without_triggers(obj: Json, notes: _Notes) -> Json | None:
    """The object without triggers that are not modelled, and without what had no others."""
    if obj["kind"] == SCALED_OBJECT.kind:
        return obj if _has_triggers(obj.get("spec") or {}, notes) else None
    for above in _dicts(obj):
        scaling = above.get("autoscaling")
        if isinstance(scaling, dict) and not _has_triggers(scaling, notes):
            del above["autoscaling"]
    return obj


def _has_triggers(scaling: Json, notes: _Notes) -> bool:
    """Takes out those that are not modelled; False if there were no others."""
    before = scaling.get("triggers")
    if not isinstance(before, list) or not before:
        return True
    for trigger in before:
        if trigger.get("type") not in MODELLED:
            notes.add("no scenario can play it; left out", f"{trigger.get('type')} trigger")
    scaling["triggers"] = [t for t in before if t.get("type") in MODELLED]
    return bool(scaling["triggers"])


def _dicts(value: Any) -> Iterator[Json]:
    if isinstance(value, dict):
        yield value
    if isinstance(value, dict | list):
        for below in value.values() if isinstance(value, dict) else value:
            yield from _dicts(below)


def _last(path: str) -> str:
    steps = [step for step in location_of(path) if isinstance(step, str)]
    return steps[-1] if steps else path


def _remove(obj: Any, where: Location) -> None:
    *above, last = where
    for step in above:
        obj = obj[step]
    del obj[last]


def _asks_keda(obj: Json) -> bool:
    scalings = [d["autoscaling"] for d in _dicts(obj) if isinstance(d.get("autoscaling"), dict)]
    return any(s.get("scaler") == "keda" or s.get("triggers") for s in scalings)
