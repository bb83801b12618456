"""The kinds under test: a valid object of each, changes that it takes, and changes it refuses."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

from prism_operator.api.meta import (
    CONFIG_MAP,
    DEPLOYMENT,
    EVENT,
    HORIZONTAL_POD_AUTOSCALER,
    LEASE,
    POD,
    POD_DISRUPTION_BUDGET,
    PRISM_PATTERN,
    PRISM_STACK,
    REPLICA_SET,
    ROLE,
    ROLE_BINDING,
    SECRET,
    SERVICE,
    SERVICE_ACCOUNT,
    Json,
    Resource,
)

CORE_EVENT = Resource("", "v1", "Event", "events")
# Changes are merge patches; None removes a field.
Change = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Subject:
    """One kind: ``build`` makes the body of a valid object without metadata."""

    resource: Resource
    build: Callable[[Random], Json]
    allowed: Sequence[Change]
    refused: Sequence[Change]
    status: Sequence[Change] = ()
    scales: bool = False
    # Changes that an update refuses, because the field is immutable.
    immutable: Sequence[Change] = field(default=())

    @property
    def key(self) -> str:
        """What tells this subject from all others: core and new Events share a plural."""
        core_event = self.resource == CORE_EVENT
        return "core-events" if core_event else self.resource.plural

    def new(self, rng: Random, name: str) -> Json:
        """A valid object."""
        resource = self.resource
        meta: Json = {"name": name}
        if rng.random() < 0.5:
            meta["labels"] = {"track": rng.choice(("on", "off"))}
        if rng.random() < 0.15:
            meta["annotations"] = {"note": rng.choice(("one", "two"))}
        if rng.random() < 0.1:
            meta["finalizers"] = ["conformance.prism.io/hold"]
        return {
            "apiVersion": resource.api_version,
            "kind": resource.kind,
            "metadata": meta,
            **self.build(rng),
        }


def _pod_spec(rng: Random) -> Json:
    container: Json = {"name": "main", "image": rng.choice(("prism:1", "prism", "r.io/p:latest"))}
    if rng.random() < 0.4:
        container["ports"] = [{"containerPort": 8980, "name": "grpc"}]
    if rng.random() < 0.4:
        container["resources"] = {
            "requests": {"cpu": rng.choice(("100m", "0.5", 1)), "memory": "1024Mi"},
            "limits": {"memory": "2Gi"},
        }
    if rng.random() < 0.3:
        container["env"] = [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]
    if rng.random() < 0.2:
        container["readinessProbe"] = {"httpGet": {"path": "/ready", "port": 8980}}
    return {"containers": [container], "automountServiceAccountToken": False}


def _template(rng: Random) -> Json:
    return {"metadata": {"labels": {"app": "prism"}}, "spec": _pod_spec(rng)}


def _deployment(rng: Random) -> Json:
    spec: Json = {
        "selector": {"matchLabels": {"app": "prism"}},
        "template": _template(rng),
    }
    if rng.random() < 0.6:
        spec["replicas"] = rng.randrange(4)
    if rng.random() < 0.2:
        spec["strategy"] = {"type": "Recreate"}
    return {"spec": spec}


def _service(rng: Random) -> Json:
    spec: Json = {
        "selector": {"app": "prism"},
        "ports": [{"name": "grpc", "port": 8980, "targetPort": rng.choice(("grpc", 8980))}],
    }
    kind = rng.choice(("", "ClusterIP", "NodePort", "LoadBalancer", "headless"))
    if kind == "headless":
        spec["clusterIP"] = "None"
    elif kind:
        spec["type"] = kind
    if rng.random() < 0.3:
        spec["ports"].append({"name": "metrics", "port": 9090, "protocol": "TCP"})
    return {"spec": spec}


def _pattern(rng: Random) -> Json:
    spec: Json = {
        "pattern": rng.choice(("keyvalue", "consumer")),
        "backend": "redis",
        "image": "ghcr.io/prism/runner:1",
    }
    if rng.random() < 0.5:
        spec["replicas"] = rng.randrange(1, 4)
    return {"spec": spec}


def _stack(rng: Random) -> Json:
    spec: Json = {"proxy": {"image": "prism-proxy:1", "replicas": rng.randrange(1, 4)}}
    if rng.random() < 0.5:
        spec["admin"] = {"enabled": True, "replicas": 3}
    return {"spec": spec}


def _event(rng: Random) -> Json:
    return {
        "eventTime": "2026-01-02T03:04:05.000006Z",
        "action": rng.choice(("Create", "Scale")),
        "reason": "Created",
        "type": "Normal",
        "note": "something happened",
        "reportingController": "prism.io/operator",
        "reportingInstance": "prism-0",
        "regarding": {"apiVersion": "v1", "kind": "Pod", "name": "a", "namespace": "$namespace"},
    }


def _core_event(rng: Random) -> Json:
    return {
        "reason": rng.choice(("Started", "Killing")),
        "message": "something happened",
        "type": "Normal",
        "involvedObject": {"kind": "Pod", "name": "a", "namespace": "$namespace"},
        "source": {"component": "kubelet"},
        "firstTimestamp": "2026-01-02T03:04:05Z",
        "lastTimestamp": "2026-01-02T03:04:05Z",
        "count": 1,
    }


def _hpa(rng: Random) -> Json:
    spec: Json = {
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "a"},
        "maxReplicas": rng.randrange(2, 9),
    }
    if rng.random() < 0.5:
        target = {"type": "Utilization", "averageUtilization": 70}
        spec["metrics"] = [{"type": "Resource", "resource": {"name": "cpu", "target": target}}]
    if rng.random() < 0.3:
        spec["behavior"] = {"scaleDown": {"stabilizationWindowSeconds": 120}}
    return {"spec": spec}


def _budget(rng: Random) -> Json:
    spec: Json = {"selector": {"matchLabels": {"app": "prism"}}}
    spec[rng.choice(("minAvailable", "maxUnavailable"))] = rng.choice((1, "50%"))
    return {"spec": spec}


def _role(rng: Random) -> Json:
    verbs = rng.sample(("get", "list", "watch", "create"), 2)
    return {"rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": verbs}]}


def _role_binding(rng: Random) -> Json:
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": rng.choice("ab")}
    return {"roleRef": role, "subjects": [{"kind": "ServiceAccount", "name": "default"}]}


def _lease(rng: Random) -> Json:
    return {
        "spec": {
            "holderIdentity": rng.choice(("one", "two")),
            "leaseDurationSeconds": 15,
            "renewTime": "2026-01-02T03:04:05.000006Z",
        }
    }


_BAD_LABEL: Change = {"metadata": {"labels": {"not a label": "x"}}}
_BAD_LABEL_VALUE: Change = {"metadata": {"labels": {"track": "no value!"}}}
_BAD_ANNOTATION: Change = {"metadata": {"annotations": {"not an annotation!": "x"}}}
_BAD_FINALIZER: Change = {"metadata": {"finalizers": ["no-slash"]}}
_BAD_OWNER: Change = {
    "metadata": {"ownerReferences": [{"apiVersion": "v1", "kind": "Pod", "name": "a", "uid": ""}]}
}
META_REFUSED = (_BAD_LABEL, _BAD_LABEL_VALUE, _BAD_ANNOTATION, _BAD_FINALIZER, _BAD_OWNER)

META_ALLOWED: Sequence[Change] = (
    {"metadata": {"labels": {"track": "on"}}},
    {"metadata": {"labels": {"track": "off"}}},
    {"metadata": {"annotations": {"note": "three"}}},
    {"metadata": {"annotations": {"note": None}}},
    {"metadata": {"finalizers": None}},
    {"metadata": {"finalizers": ["conformance.prism.io/hold"]}},
    {
        "metadata": {
            "ownerReferences": [
                {"apiVersion": "v1", "kind": "ConfigMap", "name": "a", "uid": "$uid:configmaps/a"}
            ]
        }
    },
)


def _containers(**fields: Any) -> Json:
    return {"containers": [{"name": "main", "image": "prism:2", **fields}]}


_POD_REFUSED: Sequence[Json] = (
    {"containers": []},
    {"containers": None},
    {"containers": [{"name": "main"}]},
    {"containers": [{"image": "prism:2"}]},
    {"containers": [{"name": "Not_A_Name", "image": "prism:2"}]},
    {"containers": [{"name": "main", "image": "p"}, {"name": "main", "image": "p"}]},
    _containers(ports=[{"containerPort": 0}]),
    _containers(ports=[{"containerPort": 70000}]),
    _containers(ports=[{"containerPort": 80, "protocol": "SMTP"}]),
    _containers(resources={"requests": {"cpu": "banana"}}),
    _containers(resources={"requests": {"cpu": "2"}, "limits": {"cpu": "1"}}),
    _containers(resources={"requests": {"cpu": "-1"}}),
    _containers(env=[{"name": "A", "value": "1", "valueFrom": {"fieldRef": {"fieldPath": "x"}}}]),
    _containers(env=[{"value": "1"}]),
    _containers(imagePullPolicy="Sometimes"),
    _containers(livenessProbe={"periodSeconds": -1, "httpGet": {"port": 80}}),
    _containers(livenessProbe={}),
    _containers(volumeMounts=[{"name": "absent", "mountPath": "/x"}]),
    {"restartPolicy": "Perhaps"},
    {"dnsPolicy": "Perhaps"},
    {"terminationGracePeriodSeconds": -5},
    {"tolerations": [{"key": "a", "operator": "Maybe"}]},
    {"nodeSelector": {"bad key!": "x"}},
    {"topologySpreadConstraints": [{"maxSkew": 0, "topologyKey": "", "whenUnsatisfiable": "x"}]},
    {"unknownField": True},
    {"containers": "many"},
    {"hostNetwork": "yes"},
)
_POD_ALLOWED: Sequence[Json] = (
    _containers(),
    _containers(env=[{"name": "A", "value": "3"}]),
    {"containers": [{"name": "main", "image": "p:1"}, {"name": "side", "image": "s:1"}]},
    {"nodeSelector": {"zone": "a"}},
    {"terminationGracePeriodSeconds": 5},
    {"tolerations": [{"key": "spot", "operator": "Exists"}]},
    {
        "topologySpreadConstraints": [
            {
                "maxSkew": 1,
                "topologyKey": "topology.kubernetes.io/zone",
                "whenUnsatisfiable": "ScheduleAnyway",
                "labelSelector": {"matchLabels": {"app": "prism"}},
            }
        ]
    },
    {"priorityClassName": "system-cluster-critical"},
    {"volumes": [{"name": "tmp", "emptyDir": {}}]},
    {"securityContext": {"runAsNonRoot": True}},
)


def _in_template(spec: Json) -> Json:
    return {"spec": {"template": {"spec": spec}}}


def _in_spec(**fields: Any) -> Json:
    return {"spec": fields}


SUBJECTS: Sequence[Subject] = (
    Subject(
        CONFIG_MAP,
        lambda rng: {"data": {"key": rng.choice(("one", "two")), "other": "x"}},
        allowed=(
            {"data": {"key": "three"}},
            {"data": {"other": None}},
            {"data": {"more": "y"}},
            {"binaryData": {"blob": "AAEC"}},
            {"data": None},
            {"immutable": True},
        ),
        refused=(
            {"data": {"bad key!": "x"}},
            {"data": {"key": 7}},
            {"data": "text"},
            {"binaryData": {"key": "AAEC"}},
            {"unknownField": 1},
            {"immutable": "yes"},
        ),
    ),
    Subject(
        SECRET,
        lambda rng: {"stringData": {"password": rng.choice(("a", "b"))}},
        allowed=({"stringData": {"password": "c"}}, {"data": {"more": "AAEC"}}),
        refused=({"data": {"bad key!": "AAEC"}}, {"data": {"k": "%%%"}}, {"unknownField": 1}),
        immutable=({"type": "kubernetes.io/tls"},),
    ),
    Subject(
        SERVICE_ACCOUNT,
        lambda rng: {},
        allowed=(
            {"automountServiceAccountToken": False},
            {"imagePullSecrets": [{"name": "one"}]},
        ),
        refused=({"unknownField": 1}, {"automountServiceAccountToken": "no"}),
    ),
    Subject(
        ROLE,
        _role,
        allowed=(
            {"rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]},
            {"rules": None},
        ),
        refused=(
            {"rules": [{"apiGroups": [""], "resources": ["pods"]}]},
            {"rules": [{"resources": ["pods"], "verbs": ["get"]}]},
            {"rules": [{"nonResourceURLs": ["/x"], "verbs": ["get"]}]},
            {"rules": "all"},
            {"unknownField": 1},
        ),
    ),
    Subject(
        ROLE_BINDING,
        _role_binding,
        allowed=(
            {"subjects": [{"kind": "ServiceAccount", "name": "other", "namespace": "kube-system"}]},
            {"subjects": [{"kind": "User", "name": "jane"}]},
            {"subjects": None},
        ),
        refused=(
            {"subjects": [{"kind": "ServiceAccount"}]},
            {"subjects": [{"kind": "Robot", "name": "r2"}]},
            {"roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Robot", "name": "x"}},
            {"roleRef": {"name": ""}},
            {"unknownField": 1},
        ),
        immutable=({"roleRef": {"name": "z"}},),
    ),
    Subject(
        LEASE,
        _lease,
        allowed=(
            _in_spec(holderIdentity="three"),
            _in_spec(leaseTransitions=3),
            _in_spec(renewTime="2026-01-02T03:05:05.000006Z"),
            _in_spec(holderIdentity=None),
        ),
        refused=(
            _in_spec(leaseDurationSeconds=0),
            _in_spec(leaseDurationSeconds=-1),
            _in_spec(leaseTransitions=-1),
            _in_spec(leaseDurationSeconds="15"),
            _in_spec(renewTime="yesterday"),
            _in_spec(unknownField=1),
        ),
    ),
    Subject(
        DEPLOYMENT,
        _deployment,
        allowed=(
            _in_spec(replicas=5),
            _in_spec(replicas=None),
            _in_spec(paused=True),
            _in_spec(minReadySeconds=5),
            _in_spec(strategy={"type": "Recreate", "rollingUpdate": None}),
            _in_spec(strategy={"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}}),
            {"spec": {"template": {"metadata": {"labels": {"version": "2"}}}}},
            *map(_in_template, _POD_ALLOWED),
        ),
        refused=(
            _in_spec(replicas=-1),
            _in_spec(replicas="three"),
            _in_spec(replicas=1.5),
            _in_spec(selector=None),
            _in_spec(selector={"matchLabels": {"app": None}}),
            _in_spec(selector={"matchLabels": {"bad key!": "x"}}),
            _in_spec(selector={"matchExpressions": [{"key": "a", "operator": "In"}]}),
            _in_spec(template=None),
            {"spec": {"template": {"metadata": {"labels": {"app": "other"}}}}},
            _in_spec(strategy={"type": "Weird"}),
            _in_spec(strategy={"type": "Recreate", "rollingUpdate": {"maxSurge": 1}}),
            _in_spec(strategy={"rollingUpdate": {"maxSurge": 0, "maxUnavailable": 0}}),
            _in_spec(strategy={"rollingUpdate": {"maxSurge": "x%"}}),
            _in_spec(minReadySeconds=-1),
            _in_spec(progressDeadlineSeconds=0),
            _in_spec(revisionHistoryLimit=-1),
            _in_spec(unknownField=1),
            _in_template({"restartPolicy": "Never"}),
            *map(_in_template, _POD_REFUSED),
        ),
        immutable=(
            {
                "spec": {
                    "selector": {"matchLabels": {"tier": "x"}},
                    "template": {"metadata": {"labels": {"tier": "x"}}},
                }
            },
        ),
        status=(
            {"status": {"replicas": 3, "readyReplicas": 2, "observedGeneration": 1}},
            {"status": {"replicas": 1, "updatedReplicas": 1, "availableReplicas": 1}},
            {"status": {"replicas": -1}},
            {"status": {"readyReplicas": 9, "replicas": 1}},
            {
                "status": {
                    "conditions": [
                        {"type": "Available", "status": "True", "reason": "r", "message": "m"}
                    ]
                }
            },
            {"status": None},
            {"spec": {"replicas": 9}},
            {"metadata": {"labels": {"by": "status"}}},
        ),
        scales=True,
    ),
    Subject(
        REPLICA_SET,
        lambda rng: {
            "spec": {
                "replicas": rng.randrange(3),
                "selector": {"matchLabels": {"app": "prism"}},
                "template": _template(rng),
            }
        },
        allowed=(_in_spec(replicas=4), _in_spec(minReadySeconds=3), _in_template(_containers())),
        refused=(
            _in_spec(replicas=-1),
            _in_spec(selector=None),
            {"spec": {"template": {"metadata": {"labels": {"app": "other"}}}}},
            _in_template({"containers": []}),
        ),
        status=({"status": {"replicas": 2, "readyReplicas": 1}}, {"status": {"replicas": -2}}),
        scales=True,
    ),
    Subject(
        SERVICE,
        _service,
        allowed=(
            _in_spec(selector={"app": "other"}),
            _in_spec(ports=[{"name": "grpc", "port": 8981, "targetPort": 8980}]),
            _in_spec(sessionAffinity="ClientIP"),
            _in_spec(type="NodePort"),
            _in_spec(type="ClusterIP"),
            _in_spec(internalTrafficPolicy="Local"),
            _in_spec(publishNotReadyAddresses=True),
        ),
        refused=(
            _in_spec(ports=None),
            _in_spec(ports=[{"port": 0}]),
            _in_spec(ports=[{"port": 1}, {"port": 2}]),
            _in_spec(ports=[{"name": "a", "port": 1}, {"name": "a", "port": 2}]),
            _in_spec(ports=[{"port": 80, "protocol": "SMTP"}]),
            _in_spec(ports=[{"port": 80, "targetPort": "Not A Port"}]),
            _in_spec(type="Weird"),
            _in_spec(sessionAffinity="Strong"),
            _in_spec(clusterIP="1.2.3.4"),
            _in_spec(clusterIP="nonsense"),
            _in_spec(selector={"bad key!": "x"}),
            _in_spec(type="ExternalName"),
            _in_spec(unknownField=1),
            _in_spec(ports="many"),
        ),
        status=({"status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}]}}},),
    ),
    Subject(
        POD,
        lambda rng: {"spec": _pod_spec(rng)},
        allowed=(
            {"metadata": {"labels": {"app": "prism"}}},
            _in_spec(activeDeadlineSeconds=100),
            {"spec": {**_containers(), "automountServiceAccountToken": False}},
        ),
        refused=(
            *({"spec": bad} for bad in _POD_REFUSED),
            {"spec": None},
        ),
        immutable=(
            _in_spec(nodeSelector={"zone": "b"}),
            _in_spec(restartPolicy="Never"),
            _in_spec(terminationGracePeriodSeconds=7),
        ),
        status=(
            {"status": {"phase": "Running"}},
            {
                "status": {
                    "phase": "Running",
                    "podIP": "10.1.2.3",
                    "conditions": [{"type": "Ready", "status": "True"}],
                }
            },
            {"status": {"phase": "Succeeded"}},
            {"status": {"conditions": [{"type": "Ready", "status": "Maybe"}]}},
        ),
    ),
    Subject(
        HORIZONTAL_POD_AUTOSCALER,
        _hpa,
        allowed=(
            _in_spec(maxReplicas=9),
            _in_spec(minReplicas=2),
            _in_spec(behavior={"scaleUp": {"stabilizationWindowSeconds": 10}}),
            _in_spec(behavior=None),
            _in_spec(metrics=None),
        ),
        refused=(
            _in_spec(maxReplicas=0),
            _in_spec(maxReplicas=None),
            _in_spec(minReplicas=0),
            _in_spec(minReplicas=50),
            _in_spec(scaleTargetRef=None),
            _in_spec(scaleTargetRef={"name": ""}),
            _in_spec(metrics=[{"type": "Weird"}]),
            _in_spec(metrics=[{"type": "Resource"}]),
            _in_spec(behavior={"scaleUp": {"stabilizationWindowSeconds": -1}}),
            _in_spec(behavior={"scaleDown": {"selectPolicy": "Middle"}}),
            _in_spec(unknownField=1),
        ),
        status=(
            {"status": {"currentReplicas": 2, "desiredReplicas": 3}},
            {"status": {"currentReplicas": -1, "desiredReplicas": 3}},
        ),
    ),
    Subject(
        POD_DISRUPTION_BUDGET,
        _budget,
        allowed=(
            _in_spec(minAvailable=2, maxUnavailable=None),
            _in_spec(maxUnavailable="25%", minAvailable=None),
            _in_spec(unhealthyPodEvictionPolicy="AlwaysAllow"),
        ),
        refused=(
            _in_spec(minAvailable=1, maxUnavailable=1),
            _in_spec(minAvailable=-1, maxUnavailable=None),
            _in_spec(minAvailable="120%", maxUnavailable=None),
            _in_spec(minAvailable="x", maxUnavailable=None),
            _in_spec(selector={"matchLabels": {"bad key!": "x"}}),
            _in_spec(unhealthyPodEvictionPolicy="Sometimes"),
            _in_spec(unknownField=1),
        ),
        status=(
            {
                "status": {
                    "observedGeneration": 1,
                    "disruptionsAllowed": 1,
                    "currentHealthy": 2,
                    "desiredHealthy": 1,
                    "expectedPods": 2,
                }
            },
        ),
    ),
    Subject(
        EVENT,
        _event,
        allowed=(
            {"note": "it happened again"},
            {"series": {"count": 2, "lastObservedTime": "2026-01-02T03:05:05.000006Z"}},
        ),
        refused=(
            {"eventTime": None},
            {"action": ""},
            {"reason": ""},
            {"reportingController": ""},
            {"reportingController": "not a name!"},
            {"reportingInstance": ""},
            {"type": ""},
            {"type": "Odd"},
            {"note": "x" * 1025},
            {"regarding": {"namespace": "elsewhere"}},
            {"unknownField": 1},
        ),
        immutable=({"reason": "Other"}, {"action": "Other"}),
    ),
    Subject(
        CORE_EVENT,
        _core_event,
        allowed=({"message": "it happened again"}, {"count": 2}, {"reason": "Other"}),
        refused=(
            {"involvedObject": {"namespace": "elsewhere"}},
            {"involvedObject": None},
            {"unknownField": 1},
            {"count": "two"},
        ),
    ),
    Subject(
        PRISM_PATTERN,
        _pattern,
        allowed=(
            _in_spec(replicas=3),
            _in_spec(replicas=None),
            _in_spec(config={"ttl": "300s"}),
            _in_spec(resources={"requests": {"cpu": "1"}}),
        ),
        refused=(
            _in_spec(replicas=-1),
            _in_spec(replicas="two"),
            _in_spec(pattern=None),
            _in_spec(pattern=7),
            _in_spec(backendConfig={"namespace": "elsewhere"}),
            _in_spec(resources={"requests": {"cpu": "banana"}}),
            _in_spec(unknownField=1),
            {"spec": None},
            {"spec": "text"},
        ),
        status=(
            {"status": {"phase": "Ready", "observedGeneration": 1}},
            {
                "status": {
                    "conditions": [
                        {
                            "type": "Ready",
                            "status": "True",
                            "reason": "AllReady",
                            "message": "",
                            "lastTransitionTime": "2026-01-02T03:04:05Z",
                        }
                    ]
                }
            },
            {"status": {"conditions": [{"type": "Ready"}]}},
            {"status": None},
        ),
        scales=True,
    ),
    Subject(
        PRISM_STACK,
        _stack,
        allowed=(
            _in_spec(proxy={"replicas": 4}),
            _in_spec(proxy={"image": "prism-proxy:2"}),
            _in_spec(patterns=[{"name": "kv", "type": "keyvalue", "backend": "redis"}]),
            _in_spec(admin={"enabled": False}),
        ),
        refused=(
            _in_spec(proxy={"replicas": -1}),
            _in_spec(proxy={"replicas": "two"}),
            _in_spec(patterns=[{"type": "keyvalue"}]),
            _in_spec(patterns=[{"name": "kv"}, {"name": "kv"}]),
            _in_spec(unknownField=1),
            {"spec": 5},
        ),
        status=({"status": {"phase": "Ready", "observedGeneration": 1}},),
    ),
)
BY_KEY = {subject.key: subject for subject in SUBJECTS}
