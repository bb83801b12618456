"""Defaults of the built-in kinds, one function for each Go type that has them.

From ``pkg/apis/*/v*/defaults.go`` of Kubernetes 1.37; what is declared with ``+default`` comes with
the OpenAPI schema. Each runs on a struct whose parts are complete and whose empty fields are gone.
"""

from __future__ import annotations

import base64
import re
from typing import Any

from prism_operator.api.meta import Json
from simulator.apiserver.codec import Hook

_DOMAIN = r"(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])"
_PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_IMAGE = re.compile(
    rf"(?:(?:{_DOMAIN}(?:\.{_DOMAIN})*|\[[a-fA-F0-9:]+\])(?::[0-9]+)?/)?{_PART}(?:/{_PART})*"
    r"(?::(?P<tag>\w[\w.-]{0,127}))?"
    r"(?P<digest>@[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,})?",
    re.ASCII,
)


def pull_policy(image: str) -> str:
    """Always for an image whose tag is latest or left out, IfNotPresent for any other."""
    match = _IMAGE.fullmatch(image)
    if match is None:
        return "IfNotPresent"
    tag = match["tag"] or ("" if match["digest"] else "latest")
    return "Always" if tag == "latest" else "IfNotPresent"


def _set(obj: Json, **values: Any) -> None:
    for key, value in values.items():
        obj.setdefault(key, value)


def _container(obj: Json) -> None:
    if "imagePullPolicy" not in obj:
        obj["imagePullPolicy"] = pull_policy(obj.get("image", ""))
    _set(obj, terminationMessagePath="/dev/termination-log", terminationMessagePolicy="File")


def _volume(obj: Json) -> None:
    if len(obj) == 1:
        obj["emptyDir"] = {}
    image = obj.get("image")
    if image is not None and "pullPolicy" not in image:
        image["pullPolicy"] = pull_policy(image.get("reference", ""))


def _probe(obj: Json) -> None:
    _set(obj, timeoutSeconds=1, periodSeconds=10, successThreshold=1, failureThreshold=3)


def _pod_spec(obj: Json) -> None:
    account = obj.get("serviceAccountName") or obj.get("serviceAccount")
    if account:
        obj["serviceAccountName"] = obj["serviceAccount"] = account
    else:
        obj.pop("serviceAccount", None)
    _set(
        obj,
        dnsPolicy="ClusterFirst",
        restartPolicy="Always",
        securityContext={},
        terminationGracePeriodSeconds=30,
        schedulerName="default-scheduler",
    )
    if obj.get("hostNetwork"):
        for containers in ("containers", "initContainers"):
            for container in obj.get(containers) or ():
                for port in container.get("ports") or ():
                    port.setdefault("hostPort", port.get("containerPort", 0))


def _pod(obj: Json) -> None:
    spec = obj["spec"]
    if spec["terminationGracePeriodSeconds"] < 0:
        spec["terminationGracePeriodSeconds"] = 1
    spec.setdefault("enableServiceLinks", True)
    for containers in ("containers", "initContainers"):
        for container in spec.get(containers) or ():
            limits = container["resources"].get("limits")
            if limits:
                requests = container["resources"].get("requests") or {}
                container["resources"]["requests"] = {**limits, **requests}


def _pod_status(obj: Json) -> None:
    if obj.get("podIP"):
        if not obj.get("podIPs") or obj["podIPs"][0].get("ip") != obj["podIP"]:
            obj["podIPs"] = [{"ip": obj["podIP"]}]
    elif obj.get("podIPs"):
        obj["podIP"] = obj["podIPs"][0].get("ip", "")


def _service(obj: Json) -> None:
    spec = obj["spec"]
    _set(spec, sessionAffinity="None", type="ClusterIP")
    if spec["sessionAffinity"] == "None":
        spec.pop("sessionAffinityConfig", None)
    if spec["sessionAffinity"] == "ClientIP":
        config = spec.get("sessionAffinityConfig") or {}
        if (config.get("clientIP") or {}).get("timeoutSeconds") is None:
            spec["sessionAffinityConfig"] = {"clientIP": {"timeoutSeconds": 10800}}
    for port in spec.get("ports") or ():
        port.setdefault("protocol", "TCP")
        if port["targetPort"] in (0, ""):
            port["targetPort"] = port.get("port", 0)
    kind = spec["type"]
    external = kind in ("NodePort", "LoadBalancer") or (
        kind == "ClusterIP" and spec.get("externalIPs")
    )
    if external:
        _set(spec, externalTrafficPolicy="Cluster")
    if kind in ("ClusterIP", "NodePort", "LoadBalancer"):
        _set(spec, internalTrafficPolicy="Cluster")
    if kind == "LoadBalancer":
        _set(spec, allocateLoadBalancerNodePorts=True)
        for ingress in obj["status"]["loadBalancer"].get("ingress") or ():
            if ingress.get("ip"):
                ingress.setdefault("ipMode", "VIP")


def _secret(obj: Json) -> None:
    _set(obj, type="Opaque")
    # stringData is for writing only: it goes over what data says.
    written = obj.pop("stringData", None)
    if written:
        encoded = {k: base64.b64encode(v.encode()).decode() for k, v in written.items()}
        obj["data"] = {**(obj.get("data") or {}), **encoded}


def _namespace(obj: Json) -> None:
    name = obj["metadata"].get("name")
    if name:
        labels = obj["metadata"].get("labels") or {}
        obj["metadata"]["labels"] = {**labels, "kubernetes.io/metadata.name": name}


def _node_status(obj: Json) -> None:
    if "allocatable" not in obj and "capacity" in obj:
        obj["allocatable"] = dict(obj["capacity"])


def _deployment(obj: Json) -> None:
    spec = obj["spec"]
    _set(spec, replicas=1, revisionHistoryLimit=10, progressDeadlineSeconds=600)
    strategy = spec["strategy"]
    _set(strategy, type="RollingUpdate")
    if strategy["type"] == "RollingUpdate":
        _set(strategy.setdefault("rollingUpdate", {}), maxUnavailable="25%", maxSurge="25%")


def _replica_set(obj: Json) -> None:
    _set(obj["spec"], replicas=1)


def _autoscaler(obj: Json) -> None:
    spec = obj["spec"]
    _set(spec, minReplicas=1)
    if not spec.get("metrics"):
        target = {"type": "Utilization", "averageUtilization": 80}
        spec["metrics"] = [{"type": "Resource", "resource": {"name": "cpu", "target": target}}]
    behavior = spec.get("behavior")
    if behavior is not None:
        up = behavior.setdefault("scaleUp", {})
        _set(up, stabilizationWindowSeconds=0, selectPolicy="Max")
        percent = {"type": "Percent", "value": 100, "periodSeconds": 15}
        if not up.get("policies"):
            up["policies"] = [{"type": "Pods", "value": 4, "periodSeconds": 15}, percent]
        down = behavior.setdefault("scaleDown", {})
        _set(down, selectPolicy="Max")
        if not down.get("policies"):
            down["policies"] = [dict(percent)]


def _role_binding(obj: Json) -> None:
    if not obj["roleRef"].get("apiGroup"):
        obj["roleRef"]["apiGroup"] = "rbac.authorization.k8s.io"


def _subject(obj: Json) -> None:
    if obj.get("kind") in ("User", "Group"):
        _set(obj, apiGroup="rbac.authorization.k8s.io")


def _crd(obj: Json) -> None:
    spec = obj["spec"]
    names = spec["names"]
    if not names.get("singular"):
        names["singular"] = names.get("kind", "").lower()
    if not names.get("listKind") and names.get("kind"):
        names["listKind"] = f"{names['kind']}List"
    _set(spec, conversion={"strategy": "None"})
    if not obj["status"].get("storedVersions"):
        stored = [v["name"] for v in spec.get("versions") or () if v.get("storage")]
        obj["status"]["storedVersions"] = stored[:1] or None


def _mode(obj: Json) -> None:
    _set(obj, defaultMode=0o644)


_CORE = "io.k8s.api.core.v1."
HOOKS: dict[str, Hook] = {
    _CORE + "Container": _container,
    _CORE + "EphemeralContainer": _container,
    _CORE + "Volume": _volume,
    _CORE + "Probe": _probe,
    _CORE + "HTTPGetAction": lambda obj: _set(obj, path="/", scheme="HTTP"),
    _CORE + "ObjectFieldSelector": lambda obj: _set(obj, apiVersion="v1"),
    _CORE + "SecretVolumeSource": _mode,
    _CORE + "ConfigMapVolumeSource": _mode,
    _CORE + "DownwardAPIVolumeSource": _mode,
    _CORE + "ProjectedVolumeSource": _mode,
    _CORE + "ServiceAccountTokenProjection": lambda obj: _set(obj, expirationSeconds=3600),
    _CORE + "HostPathVolumeSource": lambda obj: _set(obj, type=""),
    _CORE + "PersistentVolumeClaimSpec": lambda obj: _set(obj, volumeMode="Filesystem"),
    _CORE + "PodSpec": _pod_spec,
    _CORE + "Pod": _pod,
    _CORE + "PodStatus": _pod_status,
    _CORE + "Service": _service,
    _CORE + "Secret": _secret,
    _CORE + "Namespace": _namespace,
    _CORE + "NamespaceStatus": lambda obj: _set(obj, phase="Active"),
    _CORE + "NodeStatus": _node_status,
    _CORE + "EndpointPort": lambda obj: _set(obj, protocol="TCP"),
    "io.k8s.api.apps.v1.Deployment": _deployment,
    "io.k8s.api.apps.v1.ReplicaSet": _replica_set,
    "io.k8s.api.autoscaling.v2.HorizontalPodAutoscaler": _autoscaler,
    "io.k8s.api.discovery.v1.EndpointPort": lambda obj: _set(obj, name="", protocol="TCP"),
    "io.k8s.api.rbac.v1.RoleBinding": _role_binding,
    "io.k8s.api.rbac.v1.ClusterRoleBinding": _role_binding,
    "io.k8s.api.rbac.v1.Subject": _subject,
    "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.CustomResourceDefinition": _crd,
}
