"""A cluster in a few lines: each builder shows only what matters."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from prism_operator.api.meta import Json
from prism_operator.diagnosis.facts import Facts, Seen, Unread, key_of

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)


def ago(seconds: float) -> str:
    return (NOW - timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")


def a_condition(
    type_: str,
    status: str = "True",
    reason: str = "Because",
    message: str = "",
    since_s: float = 60,
) -> Json:
    return {
        "type": type_,
        "status": status,
        "reason": reason,
        "message": message,
        "lastTransitionTime": ago(since_s),
    }


def an_object(
    kind: str, name: str, *, owner: Json | None = None, namespace: str = "default", **fields: Any
) -> Json:
    metadata: Json = {
        "name": name,
        "namespace": namespace,
        "uid": f"uid-of-{kind}-{name}",
        "generation": 1,
        "creationTimestamp": ago(120),
        **fields.pop("metadata", {}),
    }
    if owner is not None:
        metadata["ownerReferences"] = [
            {
                "kind": owner["kind"],
                "name": owner["metadata"]["name"],
                "uid": owner["metadata"]["uid"],
                "controller": True,
            }
        ]
    return {"apiVersion": "v1", "kind": kind, "metadata": metadata, "spec": {}, **fields}


def a_prism(
    kind: str = "PrismStack",
    name: str = "shop",
    *conditions: Json,
    ready: str = "False",
    reason: str = "RolloutInProgress",
    message: str = "proxy: 0 of 3 replicas are available",
    **more: Any,
) -> Json:
    """A Prism object that an operator has looked at."""
    status = {
        "observedGeneration": 1,
        "phase": "Pending",
        "conditions": [a_condition("Ready", ready, reason, message), *conditions],
    }
    return an_object(kind, name, status=status, **more)


def a_deployment(
    owner: Json | None,
    name: str = "shop-proxy",
    *conditions: Json,
    replicas: int = 3,
    **status: int,
) -> Json:
    component = {"shop-proxy": "prism-proxy", "shop-admin": "prism-admin"}.get(name)
    counts = {"observedGeneration": 1, "updatedReplicas": replicas, "replicas": replicas, **status}
    return an_object(
        "Deployment",
        name,
        owner=owner,
        metadata={"labels": {"component": component} if component else {}},
        spec={"replicas": replicas},
        status={**counts, "conditions": list(conditions)},
    )


def a_replica_set(deployment: Json, *conditions: Json, revision: int = 1, **status: int) -> Json:
    return an_object(
        "ReplicaSet",
        f"{deployment['metadata']['name']}-{revision}",
        owner=deployment,
        metadata={"annotations": {"deployment.kubernetes.io/revision": str(revision)}},
        status={"replicas": 3, **status, "conditions": list(conditions)},
    )


def a_pod(
    replica_set: Json,
    name: str = "a",
    *conditions: Json,
    node: str = "node-a",
    ready: bool = False,
    containers: list[Json] | None = None,
    spec: Json | None = None,
    **status: Any,
) -> Json:
    given = [a_condition("Ready", str(ready)), *conditions]
    return an_object(
        "Pod",
        f"{replica_set['metadata']['name']}-{name}",
        owner=replica_set,
        metadata={"creationTimestamp": ago(90)},
        spec={
            "nodeName": node,
            "containers": [{"name": "proxy", "image": "proxy:1"}],
            **(spec or {}),
        },
        status={
            "phase": "Pending",
            "conditions": given,
            "containerStatuses": containers or [],
            **status,
        },
    )


def a_container(
    name: str = "proxy", *, ready: bool = False, restarts: int = 0, **state: Any
) -> Json:
    last = state.pop("last", {})
    return {
        "name": name,
        "image": "proxy:1",
        "ready": ready,
        "started": ready,
        "restartCount": restarts,
        "state": state,
        "lastState": last,
    }


def a_node(
    name: str = "node-a", *, ready: str = "True", reason: str = "KubeletReady", **spec: Any
) -> Json:
    told = a_condition("Ready", ready, reason, "kubelet stopped posting" if ready != "True" else "")
    node = an_object("Node", name, spec=spec, status={"conditions": [told]})
    return {**node, "metadata": {k: v for k, v in node["metadata"].items() if k != "namespace"}}


def an_event(about: Json, reason: str, message: str, *, age_s: float = 30, count: int = 1) -> Json:
    name = about["metadata"]["name"]
    return {
        "kind": "Event",
        "metadata": {"name": f"{name}.{reason}", "namespace": "default"},
        "involvedObject": {"kind": about["kind"], "name": name, "uid": about["metadata"]["uid"]},
        "type": "Warning",
        "reason": reason,
        "message": message,
        "lastTimestamp": ago(age_s),
        "count": count,
    }


def a_lease(
    holder: str = "operator-0", *, renewed_s: float = 3, namespace: str = "prism-system"
) -> Json:
    spec = {"holderIdentity": holder, "leaseDurationSeconds": 15, "renewTime": ago(renewed_s)}
    return an_object("Lease", "prism-operator-leader", namespace=namespace, spec=spec)


def facts_of(
    subject: Json,
    *objects: Json,
    events: tuple[Json, ...] = (),
    unread: tuple[Unread, ...] = (),
    lease: Json | None = None,
) -> Facts:
    """Facts with a running operator, unless ``lease`` says otherwise."""
    found = [subject, *objects]
    if lease is not None or not any(o["kind"] == "Lease" for o in found):
        found.append(lease or a_lease())
    seen = Seen(now=NOW, objects=found, events=events, unread=unread)
    return Facts(seen.by_key[key_of(subject)], seen)


def a_rollout(*pods: Json, **facts: Any) -> Facts:
    """A stack whose proxy has these pods; build them with ``a_pod(RS, …)``."""
    return facts_of(STACK, PROXY, RS, a_node(), *pods, **facts)


STACK = a_prism()
PROXY = a_deployment(STACK)
RS = a_replica_set(PROXY)
