"""What the object depends on: backends, scalers, namespaces, endpoints."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from prism_operator.api.meta import Json
from prism_operator.diagnosis.facts import (
    Facts,
    condition_of,
    named,
    prism_objects,
    since_of,
    told_as,
)
from prism_operator.diagnosis.findings import Evidence, Finding, Remedy
from prism_operator.diagnosis.workloads import edit_command, is_pod_ready, ready_link, workloads
from prism_operator.planning.conditions import (
    BACKEND_RESOLVED,
    CHECK_PENDING,
    FOREIGN_SCALER,
    INVALID_SPEC,
    NOT_CHECKED,
    PAUSED,
    SCALER_READY,
    TRIGGER_INVALID,
)

_CHECKED: Final = ("PrismBackend", "PrismNamespace")
# Told elsewhere, or over in a moment.
_OTHERWISE_TOLD: Final = frozenset({INVALID_SPEC, PAUSED, "NameConflict", CHECK_PENDING})


def find_own_health(facts: Facts) -> Iterator[Finding]:
    """A PrismBackend or PrismNamespace that says itself what is wrong with it."""
    obj = facts.subject
    ready = condition_of(obj, "Ready")
    if obj["kind"] not in _CHECKED or ready is None or ready["status"] == "True":
        return
    if ready["reason"] in _OTHERWISE_TOLD:
        return
    noun = "backend" if obj["kind"] == "PrismBackend" else "namespace"
    command = f"kubectl describe {obj['kind'].lower()} {obj['metadata']['name']}"
    yield Finding(
        ready["reason"],
        f"the {noun} is not checked: {ready.get('message', '')}"
        if ready["reason"] == NOT_CHECKED
        else f"the {noun} is not healthy ({ready['reason']}): {ready.get('message', '')}",
        (ready_link(obj),),
        Remedy(
            "Nothing has to be done: what uses it does not wait for this"
            if ready["reason"] == NOT_CHECKED
            else f"Look at what it refers to, and at the {noun} itself",
            (f"{command} -n {obj['metadata']['namespace']}",),
        ),
    )


def find_unresolved_backend(facts: Facts) -> Iterator[Finding]:
    """A pattern runs without the settings of its backend."""
    for obj in prism_objects(facts):
        condition = condition_of(obj, BACKEND_RESOLVED)
        if condition is None or condition["status"] == "True":
            continue
        yield Finding(
            str(condition["reason"]),
            f"{told_as(facts, obj)} has no connection to its backend: {condition['message']}",
            (_link(obj, condition),),
            Remedy(
                "Create the PrismBackend, or correct the reference",
                (
                    f"kubectl get prismbackends -n {obj['metadata']['namespace']}",
                    edit_command(obj),
                ),
            ),
            blocks=False,
        )


def find_scaler_trouble(facts: Facts) -> Iterator[Finding]:
    """Nothing scales, or somebody else does."""
    for obj in prism_objects(facts):
        namespace = obj["metadata"]["namespace"]
        for type_, bad in (
            (FOREIGN_SCALER, "True"),
            (TRIGGER_INVALID, "True"),
            (SCALER_READY, "False"),
        ):
            condition = condition_of(obj, type_)
            if condition is None or condition["status"] != bad:
                continue
            if type_ == SCALER_READY and condition["reason"] in (
                FOREIGN_SCALER,
                TRIGGER_INVALID,
                "NotEnabled",
            ):
                continue  # told already, or nothing to tell
            yield Finding(
                str(condition["reason"]),
                f"{told_as(facts, obj)} is not scaled as its spec says: {condition['message']}",
                (_link(obj, condition), *_scalers(facts, obj)),
                _scaler_remedy(str(condition["reason"]), obj, namespace),
                blocks=False,
            )
            break
    yield from _at_limits(facts)


def find_unhealthy_children(facts: Facts) -> Iterator[Finding]:
    """Backends and namespaces of a stack whose health Ready does not wait for."""
    for obj in prism_objects(facts):
        ready = condition_of(obj, "Ready")
        if obj is facts.subject or obj["kind"] not in _CHECKED or ready is None:
            continue
        if ready["status"] == "False" and ready["reason"] not in _OTHERWISE_TOLD:
            meta = obj["metadata"]
            command = f"kubectl prism explain {obj['kind']}/{meta['name']} -n {meta['namespace']}"
            yield Finding(
                str(ready["reason"]),
                f"{named(obj['kind'], obj)} is not healthy: {ready.get('message', '')}",
                (ready_link(obj),),
                Remedy("Look at it", (command,)),
                blocks=False,
            )


def find_services_without_endpoints(facts: Facts) -> Iterator[Finding]:
    """Pods are ready, and their Service does not lead to them."""
    if facts.could_not_read("EndpointSlice"):
        return
    reached = {
        (s["metadata"].get("labels") or {}).get("kubernetes.io/service-name")
        for s in facts.of_kind("EndpointSlice")
        if any((e.get("conditions") or {}).get("ready") for e in s.get("endpoints") or ())
    }
    for workload in workloads(facts):
        name, ready = workload.name, sum(is_pod_ready(pod) for pod in workload.pods)
        service = facts.get("Service", workload.namespace, name)
        if service is None or not ready or name in reached or not facts.of_kind("EndpointSlice"):
            continue
        yield Finding(
            "NoEndpoints",
            f"Service {name} leads to no pod, although {ready} of Deployment {name} are ready",
            (Evidence(f"Service {name}", "has no ready endpoint"),),
            Remedy(
                "Compare its selector with the labels of the pods",
                (
                    f"kubectl get endpointslices -n {workload.namespace} "
                    f"-l kubernetes.io/service-name={name}",
                ),
            ),
            blocks=False,
        )


def _at_limits(facts: Facts) -> Iterator[Finding]:
    for hpa in facts.of_kind("HorizontalPodAutoscaler"):
        limited = condition_of(hpa, "ScalingLimited")
        if limited is None or limited["status"] != "True" or limited["reason"] != "TooManyReplicas":
            continue
        name, most = hpa["metadata"]["name"], hpa["spec"]["maxReplicas"]
        yield Finding(
            "AtMaxReplicas",
            f"HorizontalPodAutoscaler {name} would scale beyond its maxReplicas of {most}",
            (
                Evidence(
                    named("HorizontalPodAutoscaler", hpa), limited["message"], since_of(limited)
                ),
            ),
            Remedy("Raise maxReplicas, if more replicas would help"),
            blocks=False,
        )


def _scalers(facts: Facts, obj: Json) -> Iterator[Evidence]:
    for kind in ("HorizontalPodAutoscaler", "ScaledObject"):
        for scaler in facts.owned_by(obj, kind):
            for condition in (scaler.get("status") or {}).get("conditions") or ():
                if condition["status"] == "False":
                    what = f"{condition['type']} is False ({condition.get('reason', '')})"
                    message = condition.get("message")
                    told = f"{what}: {message}" if message else what
                    yield Evidence(named(kind, scaler), told, since_of(condition))


def _scaler_remedy(reason: str, obj: Json, namespace: str) -> Remedy:
    match reason:
        case "KedaNotInstalled":
            return Remedy(
                "Install KEDA, or choose scaler: hpa", ("kubectl get crd scaledobjects.keda.sh",)
            )
        case "AuthenticationNotFound":
            return Remedy(
                "Create the Secret or TriggerAuthentication, or correct authenticationRef",
                (f"kubectl get secrets,triggerauthentications -n {namespace}", edit_command(obj)),
            )
        case "ForeignScaler":
            scalers = "horizontalpodautoscalers"
            return Remedy(
                "Delete the other scaler, or the autoscaling section",
                (f"kubectl get {scalers} -n {namespace}",),
            )
        case "TriggerInvalid":
            return Remedy("Correct the trigger", (edit_command(obj),))
        case "WaitingForOldScaler":
            return Remedy(
                "Wait until it is gone; KEDA has to remove its finalizer",
                (f"kubectl get scaledobjects,horizontalpodautoscalers -n {namespace}",),
            )
    return Remedy(
        "See what the scaler says", (f"kubectl describe horizontalpodautoscalers -n {namespace}",)
    )


def _link(obj: Json, condition: Json) -> Evidence:
    what = f"{condition['type']} is {condition['status']} ({condition['reason']})"
    return Evidence(named(obj["kind"], obj), what, since_of(condition))
