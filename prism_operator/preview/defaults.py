"""What the API server puts where a field of an object of ours is left out that was there before.

Only for fields that the operator makes: a plan for a new object shows what is written, not what the
server adds. The agreement with the operator's work is tested in tests/cli/test_plan.py.
"""

from __future__ import annotations

import re
from typing import Any, Final

from prism_operator.api.meta import SERVICE, Json

ABSENT: Final = object()

_VALUES: Final[Json] = {
    # Deployment
    "replicas": 1,
    "progressDeadlineSeconds": 600,
    "revisionHistoryLimit": 10,
    "strategy": {
        "type": "RollingUpdate",
        "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"},
    },
    "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"},
    "maxSurge": "25%",
    "maxUnavailable": "25%",
    # PodSpec
    "dnsPolicy": "ClusterFirst",
    "restartPolicy": "Always",
    "schedulerName": "default-scheduler",
    "terminationGracePeriodSeconds": 30,
    "defaultMode": 420,
    # Container
    "terminationMessagePath": "/dev/termination-log",
    "terminationMessagePolicy": "File",
    "timeoutSeconds": 1,
    "periodSeconds": 10,
    "successThreshold": 1,
    "failureThreshold": 3,
    "protocol": "TCP",
    # Service
    "internalTrafficPolicy": "Cluster",
    "externalTrafficPolicy": "Cluster",
    "sessionAffinity": "None",
}
# What the server has allotted, or keeps as it was given.
_KEPT: Final = (
    "clusterIP",
    "clusterIPs",
    "healthCheckNodePort",
    "ipFamilies",
    "ipFamilyPolicy",
    "nodePort",
)


def after_dropping(field: str, value: Any, new: Json) -> Any:
    """What stands in ``field`` once nobody asks for ``value`` any more; ABSENT for nothing.

    ``new`` is what is applied around it.
    """
    if field in _KEPT:
        return value
    if field == "imagePullPolicy" and "image" in new:
        return pull_policy(new["image"])
    if field == "serviceAccount":  # the old name of it
        return new.get("serviceAccountName", ABSENT)
    return _VALUES.get(field, ABSENT)


_OUTSIDE: Final = ("allocateLoadBalancerNodePorts", "externalTrafficPolicy", "healthCheckNodePort")


def without_stale(obj: Json) -> Json:
    """An object less what the server takes back: a Service that is no longer seen outside."""
    if obj["kind"] != SERVICE.kind or obj["spec"].get("type") != "ClusterIP":
        return obj
    spec = {key: value for key, value in obj["spec"].items() if key not in _OUTSIDE}
    ports = [{k: v for k, v in port.items() if k != "nodePort"} for port in spec.get("ports") or ()]
    return {**obj, "spec": {**spec, "ports": ports}}


def pull_policy(image: str) -> str:
    """Always for an image whose tag is latest or left out."""
    name = image.rpartition("/")[2]
    is_latest = "@" not in name and not re.search(r":(?!latest$)", name)
    return "Always" if is_latest else "IfNotPresent"
