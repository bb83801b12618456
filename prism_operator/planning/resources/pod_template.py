"""The pod template of a component: one container, its settings, and where the pods go."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from prism_operator.api.common import Component, Probes
from prism_operator.api.meta import Json
from prism_operator.planning.labels import Labels
from prism_operator.planning.placement import pod_placement
from prism_operator.planning.placement_strategies import BackendPods, Subject
from prism_operator.planning.resources.security_context import (
    container_security_context,
    pod_security_context,
)

PORT_NAME = "grpc"
METRICS_PORT_NAME = "metrics"
METRICS_PORT_VARIABLE = "PRISM_METRICS_PORT"
DEFAULT_RESOURCES: Json = {"requests": {"cpu": "100m", "memory": "128Mi"}}


@dataclass(frozen=True, slots=True)
class Workload:
    """What a Deployment is built from. ``resources`` and ``affinity`` have all defaults applied.

    ``role``, ``near`` and ``apart_from`` are what placement strategies need (``Subject``).
    """

    name: str
    namespace: str
    labels: Labels
    selector: Labels
    component: Component
    container: str
    image: str
    port: int
    resources: Json | None
    affinity: Json | None
    replicas: int
    role: str
    near: tuple[BackendPods, ...] = ()
    apart_from: Json | None = None
    metrics_port: int | None = None
    args: Sequence[str] = ()
    env: Sequence[Json] = ()
    image_pull_secrets: Sequence[Json] = ()
    service_account: str | None = None
    needs_api_access: bool = False
    template_annotations: Labels = field(default_factory=dict)
    volumes: Sequence[Json] = ()
    volume_mounts: Sequence[Json] = ()


def build_pod_template(workload: Workload) -> Json:
    """The template; its labels hold the selector, and its hash annotations only what was asked."""
    component = workload.component
    labels = {**component.pod_labels, **workload.labels}
    subject = Subject(workload.role, workload.selector, labels, workload.near, workload.apart_from)
    spec: Json = {
        "containers": [_container(workload)],
        "automountServiceAccountToken": workload.needs_api_access,
        "securityContext": pod_security_context(component.pod_security_context),
        **pod_placement(component, workload.affinity, subject),
    }
    if workload.service_account:
        spec["serviceAccountName"] = workload.service_account
    if workload.image_pull_secrets:
        spec["imagePullSecrets"] = list(workload.image_pull_secrets)
    if component.termination_grace_period_seconds is not None:
        spec["terminationGracePeriodSeconds"] = component.termination_grace_period_seconds
    if workload.volumes:
        spec["volumes"] = list(workload.volumes)
    metadata: Json = {"labels": labels}
    annotations = {**component.pod_annotations, **workload.template_annotations}
    if annotations:
        metadata["annotations"] = annotations
    return {"metadata": metadata, "spec": spec}


def _container(workload: Workload) -> Json:
    component = workload.component
    ports = [{"name": PORT_NAME, "containerPort": workload.port, "protocol": "TCP"}]
    if workload.metrics_port not in (None, workload.port):
        ports.append(
            {"name": METRICS_PORT_NAME, "containerPort": workload.metrics_port, "protocol": "TCP"}
        )
    container: Json = {
        "name": workload.container,
        "image": workload.image,
        "ports": ports,
        "resources": workload.resources or DEFAULT_RESOURCES,
        "securityContext": container_security_context(component.security_context),
        **_probes(component.probes),
    }
    if component.image_pull_policy:
        container["imagePullPolicy"] = component.image_pull_policy
    if workload.args:
        container["args"] = list(workload.args)
    if env := merged_env(workload.env, component.env):
        container["env"] = env
    if component.lifecycle:
        container["lifecycle"] = component.lifecycle
    if workload.volume_mounts:
        container["volumeMounts"] = list(workload.volume_mounts)
    return container


def _probes(given: Probes) -> Json:
    # A TCP check tells no more than that the port is open, which is what Ready has to mean. The
    # startup probe gives five minutes for that before the liveness probe may restart the container.
    check = {"tcpSocket": {"port": PORT_NAME}}
    return {
        "startupProbe": given.startup or {**check, "periodSeconds": 2, "failureThreshold": 150},
        "readinessProbe": given.readiness or check,
        "livenessProbe": given.liveness or check,
    }


def merged_env(ours: Sequence[Json], users: Sequence[Json]) -> list[Json]:
    """Our variables, then the user's; of two with one name the user's counts."""
    return list({entry["name"]: entry for entry in (*ours, *users)}.values())


def metrics_port_in(env: Sequence[Json]) -> int | None:
    """The port that ``PRISM_METRICS_PORT`` tells the container to serve metrics on."""
    for entry in env:
        if entry["name"] == METRICS_PORT_VARIABLE:
            value = entry.get("value", "")
            if value.isascii() and value.isdigit() and 1 <= int(value) <= 65535:
                return int(value)
    return None
