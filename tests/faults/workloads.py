"""What users do to a cluster, each as a beginning that has settled and the steps from there."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from prism_operator.api.meta import (
    CUSTOM_RESOURCE_DEFINITION,
    DEPLOYMENT,
    HORIZONTAL_POD_AUTOSCALER,
    PRISM_BACKEND,
    PRISM_PATTERN,
    PRISM_STACK,
    SCALED_OBJECT,
    SECRET,
    SERVICE,
    Json,
    Ref,
    Resource,
)
from simulator.autoscaling.keda.crds import free_form_crd
from tests.runtime import keda

from .cluster import Cluster
from .kinds import EVENT_FAULTS

Step = Callable[[Cluster], object]
NAMESPACE: Final = "default"
STACK = Ref(PRISM_STACK, NAMESPACE, "dev")
PATTERN = Ref(PRISM_PATTERN, NAMESPACE, "orders")
KAFKA: Final = {
    "type": "kafka",
    "metadata": {"bootstrapServers": "kafka:9092", "consumerGroup": "g", "topic": "t"},
}
# In a merge patch, null is what removes.
SCALINGS: Final[Mapping[str, Json | None]] = {
    "none": None,
    "hpa": {
        "scaler": "hpa",
        "minReplicas": 2,
        "maxReplicas": 6,
        "targetCPUUtilizationPercentage": 70,
        "triggers": None,
    },
    "keda": {
        "scaler": "keda",
        "minReplicas": 2,
        "maxReplicas": 6,
        "targetCPUUtilizationPercentage": None,
        "triggers": [{**KAFKA, "authenticationRef": {"name": "credentials"}}],
    },
}
# The other number of replicas than that which the scaler's demand leads to.
DEMAND: Final = 5


@dataclass(frozen=True)
class Workload:
    """``begin`` settles unrecorded; every step after it is followed by a time to settle.

    ``restarts``: the operator starts within the recording, with what a step may have set.
    """

    name: str
    begin: Step
    steps: tuple[Step, ...]
    restarts: bool = False
    # Faults of a watch that hide what must be known to do as the undisturbed run does: who is not
    # told that an owner is gone makes its objects once more, and the garbage collector takes them.
    hiding: frozenset[str] = frozenset()
    # A step's own time, where it takes longer than seconds to be noticed.
    seconds: float = 0.0


def a_stack(**spec: Any) -> Json:
    return {
        "apiVersion": PRISM_STACK.api_version,
        "kind": PRISM_STACK.kind,
        "metadata": {"name": STACK.name, "namespace": NAMESPACE},
        "spec": {
            "proxy": {"replicas": 2},
            "admin": {"replicas": 1},
            "patterns": [
                {"name": "orders", "type": "consumer", "backend": "nats", "config": {"a": "b"}}
            ],
            "backends": [
                {"name": "nats", "type": "messaging", "connectionString": "nats://nats:4222"}
            ],
            **spec,
        },
    }


def a_pattern(scaling: Json | None = None, **spec: Any) -> Json:
    given = {key: value for key, value in (scaling or {}).items() if value is not None}
    return {
        "apiVersion": PRISM_PATTERN.api_version,
        "kind": PRISM_PATTERN.kind,
        "metadata": {"name": PATTERN.name, "namespace": NAMESPACE},
        "spec": {
            "pattern": "consumer",
            "backend": "kafka",
            "replicas": 3,
            "config": {"retries": 3},
            "service": {"port": 9000},
            **({"autoscaling": given} if given else {}),
            **spec,
        },
    }


def a_backend(**connection: Any) -> Json:
    return {
        "apiVersion": PRISM_BACKEND.api_version,
        "kind": PRISM_BACKEND.kind,
        "metadata": {"name": "broker", "namespace": NAMESPACE},
        "spec": {"type": "queue", "provider": "kafka", "connection": connection},
    }


def a_secret(**data: str) -> Json:
    data = {"url": "a2Fma2E6Ly9r", "username": "dQ==", "password": "cA==", **data}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "credentials", "namespace": NAMESPACE},
        "data": data,
    }


def create(*objects: Json) -> Step:
    def step(cluster: Cluster) -> None:
        for obj in objects:
            cluster.create(obj)

    return step


def spec(ref: Ref, **fields: Any) -> Step:
    return lambda cluster: cluster.edit(ref, {"spec": fields})


def annotate(ref: Ref, **annotations: str | None) -> Step:
    named = {f"prism.io/{key}": value for key, value in annotations.items()}
    return lambda cluster: cluster.edit(ref, {"metadata": {"annotations": named}})


def delete(*refs: Ref) -> Step:
    def step(cluster: Cluster) -> None:
        for ref in refs:
            cluster.delete(ref)

    return step


def both(*steps: Step) -> Step:
    def step(cluster: Cluster) -> None:
        for one in steps:
            one(cluster)

    return step


def with_keda(*steps: Step) -> Step:
    return both(keda.install, *steps)


def scaled(name: str) -> Step:
    return with_keda(_demand, create(a_secret(), a_pattern(SCALINGS[name])))


def _changed(before: str, after: str) -> Json | None:
    scaling = SCALINGS[after]
    return scaling if scaling is None or before != after else {**scaling, "maxReplicas": 8}


def with_credentials(cluster: Cluster) -> None:
    create(a_secret(), a_backend(secretRef={"name": "credentials"}))(cluster)
    create(a_pattern(backendConfig={"name": "broker"}))(cluster)


def _demand(cluster: Cluster) -> None:
    cluster.demand = DEMAND


def _newer_images(cluster: Cluster) -> None:
    cluster.settings = replace(
        cluster.settings, proxy_image="proxy:v2", runner_image="{pattern}-runner:v2"
    )


def _uninstall_keda(cluster: Cluster) -> None:
    """KEDA's operator first, as its Helm chart does, so that no finalizer holds."""
    for scaled_object in cluster.objects(SCALED_OBJECT):
        name = scaled_object["metadata"]["name"]
        cluster.edit(Ref(SCALED_OBJECT, NAMESPACE, name), {"metadata": {"finalizers": []}})
    cluster.delete(_crd(SCALED_OBJECT))


def _reinstall_keda(cluster: Cluster) -> None:
    cluster.create(free_form_crd(SCALED_OBJECT))


def _crd(resource: Resource) -> Ref:
    return Ref(CUSTOM_RESOURCE_DEFINITION, "", f"{resource.plural}.{resource.group}")


def _foreign_service(cluster: Cluster) -> None:
    cluster.create(
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "dev-proxy", "namespace": NAMESPACE},
            "spec": {"ports": [{"port": 9090}], "selector": {"app": "theirs"}},
        }
    )


PROXY_SERVICE = Ref(SERVICE, NAMESPACE, "dev-proxy")
PROXY = Ref(DEPLOYMENT, NAMESPACE, "dev-proxy")
RUNNER = Ref(DEPLOYMENT, NAMESPACE, "orders")
THEIRS = Ref(HORIZONTAL_POD_AUTOSCALER, NAMESPACE, "theirs")
PLAIN = create(a_stack())
SILENCE: Final = frozenset({"watch-silent"})
PROBED_S: Final = 40.0  # a missing CRD is asked for again within 37.5 s
LOOKED_S: Final = 65.0  # a Secret is looked at every 60 s

_TRANSITIONS = tuple(
    Workload(
        f"{before}-to-{after}",
        scaled(before),
        (spec(PATTERN, replicas=4, autoscaling=_changed(before, after)),),
    )
    for before, after in itertools.product(SCALINGS, SCALINGS)
)

ALL: Final = (
    Workload("create-stack", both(), (PLAIN,)),
    Workload(
        "create-pattern",
        create(a_secret(), a_backend(secretRef={"name": "credentials"})),
        (create(a_pattern(backendConfig={"name": "broker"})),),
    ),
    Workload("start", both(), (PLAIN,), restarts=True),
    Workload("restart", PLAIN, (both(),), restarts=True),
    Workload("upgrade", PLAIN, (_newer_images,), restarts=True),
    Workload("restart-with-secret", with_credentials, (both(),), restarts=True),
    Workload("scale", PLAIN, (spec(STACK, proxy={"replicas": 4}),)),
    Workload("image", PLAIN, (spec(STACK, proxy={"image": "proxy:2"}),)),
    Workload("images-twice", PLAIN, tuple(spec(STACK, proxy={"image": i}) for i in "ab")),
    Workload("config", create(a_pattern()), (spec(PATTERN, config={"retries": 5}),)),
    Workload(
        "field-leaves",
        create(a_pattern(env=[{"name": "A", "value": "b"}])),
        (spec(PATTERN, env=None),),
    ),
    *_TRANSITIONS,
    Workload("pattern-leaves", PLAIN, (spec(STACK, patterns=[]),)),
    Workload(
        "admin-goes-and-comes",
        PLAIN,
        (
            spec(STACK, admin={"enabled": False}),
            spec(STACK, admin={"enabled": True, "replicas": 3}),
        ),
    ),
    Workload(
        "backend-changes",
        create(
            a_secret(),
            a_backend(url="kafka://kafka:9092"),
            a_pattern(backendConfig={"name": "broker"}),
        ),
        (
            spec(
                Ref(PRISM_BACKEND, NAMESPACE, "broker"),
                connection={"url": None, "secretRef": {"name": "credentials"}},
            ),
        ),
    ),
    Workload(
        "secret-changes",
        create(
            a_secret(),
            a_backend(secretRef={"name": "credentials"}),
            a_pattern(backendConfig={"name": "broker"}),
        ),
        (
            lambda cluster: cluster.edit(
                Ref(SECRET, NAMESPACE, "credentials"), {"data": {"password": "cHc="}}
            ),
        ),
        seconds=LOOKED_S,
    ),
    Workload("adopt", both(_foreign_service, PLAIN), (annotate(PROXY_SERVICE, adopt="true"),)),
    Workload("foreign-goes", both(_foreign_service, PLAIN), (delete(PROXY_SERVICE),)),
    Workload(
        "pause",
        PLAIN,
        (
            annotate(STACK, paused="true"),
            spec(STACK, proxy={"image": "proxy:2"}, patterns=[]),
            annotate(STACK, paused=None),
        ),
    ),
    Workload("drift", PLAIN, (both(delete(PROXY, PROXY_SERVICE), spec(RUNNER, replicas=7)),)),
    Workload("scaled-drift", scaled("hpa"), (delete(RUNNER),)),
    Workload("delete-pattern", scaled("keda"), (delete(PATTERN),), hiding=SILENCE),
    Workload("delete-stack", PLAIN, (delete(STACK),), hiding=SILENCE),
    Workload(
        "recreate-stack", PLAIN, (both(delete(STACK), PLAIN),), hiding=frozenset(EVENT_FAULTS)
    ),
    Workload(
        "keda-appears",
        both(_demand, create(a_secret(), a_pattern(SCALINGS["keda"]))),
        (keda.install,),
        seconds=PROBED_S,
    ),
    Workload(
        "keda-appears-after-hpa",
        both(_demand, create(a_secret(), a_pattern(SCALINGS["hpa"]))),
        (spec(PATTERN, autoscaling=SCALINGS["keda"]), keda.install),
        seconds=PROBED_S,
    ),
    Workload("keda-goes", scaled("keda"), (_uninstall_keda, _reinstall_keda), seconds=PROBED_S),
    Workload(
        "foreign-scaler",
        scaled("hpa"),
        (
            both(
                spec(PATTERN, autoscaling=SCALINGS["keda"]), create(keda.an_hpa("theirs", "orders"))
            ),
            delete(THEIRS),
        ),
        hiding=frozenset({"watch-ends", "watch-gone", "watch-silent"}),
    ),
)
BY_NAME: Final = {workload.name: workload for workload in ALL}
