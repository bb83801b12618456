"""Rules about the Kubernetes types our fields hold: what the API server would refuse of a pod, a
Deployment or a HorizontalPodAutoscaler made of them is refused where the user wrote it.

They stand in the CRDs wherever the type does. ``holds`` is given the value as plain JSON.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from prism_operator.api.meta import Json
from prism_operator.api.quantities import parse_quantity
from prism_operator.api.rules import Rule, Shown


def _exactly_one(fields: Sequence[str], *, what: str) -> Rule:
    count = " + ".join(f"(has(self.{field}) ? 1 : 0)" for field in fields)
    return Rule(
        cel=f"{count} == 1",
        holds=lambda value: sum(field in value for field in fields) == 1,
        message=f"{what} needs exactly one of {', '.join(fields[:-1])} and {fields[-1]}",
    )


_TOLERATION: Final = (
    Rule(
        cel="!has(self.operator) || self.operator != 'Exists' || !has(self.value)"
        " || self.value == ''",
        holds=lambda i: i.get("operator") != "Exists" or not i.get("value"),
        message="{value} stands beside operator Exists, which takes no value: remove it, or use"
        " operator Equal",
        at="value",
        reason="FieldValueForbidden",
    ),
    Rule(
        cel="(has(self.key) && self.key != '') || (has(self.operator)"
        " && self.operator == 'Exists')",
        holds=lambda i: bool(i.get("key")) or i.get("operator") == "Exists",
        message="a toleration without key is for every taint: give it operator Exists, or a key",
        at="key",
        reason="FieldValueRequired",
    ),
    Rule(
        cel="!has(self.tolerationSeconds) || (has(self.effect) && self.effect == 'NoExecute')",
        holds=lambda i: "tolerationSeconds" not in i or i.get("effect") == "NoExecute",
        message="{tolerationSeconds} needs effect NoExecute: set it, or remove tolerationSeconds",
        at="tolerationSeconds",
        reason="FieldValueForbidden",
    ),
)

_SPREAD: Final = (
    Rule(
        cel="!has(self.minDomains) || self.whenUnsatisfiable == 'DoNotSchedule'",
        holds=lambda i: "minDomains" not in i or i["whenUnsatisfiable"] == "DoNotSchedule",
        message="{minDomains} needs whenUnsatisfiable DoNotSchedule: set it, or remove minDomains",
        at="minDomains",
    ),
)

_ENV: Final = (
    Rule(
        cel="!has(self.valueFrom) || !has(self.value) || self.value == ''",
        holds=lambda i: "valueFrom" not in i or not i.get("value"),
        message="value and valueFrom are both given: remove one",
        at="valueFrom",
        reason="FieldValueForbidden",
    ),
)

_PROBE: Final = (_exactly_one(("exec", "grpc", "httpGet", "tcpSocket"), what="a probe"),)

_NOT_ROOT_AND_NON_ROOT: Final = Rule(
    cel="!has(self.runAsUser) || self.runAsUser != 0 || !has(self.runAsNonRoot)"
    " || !self.runAsNonRoot",
    holds=lambda i: i.get("runAsUser") != 0 or not i.get("runAsNonRoot", False),
    message="{runAsUser} is root, which runAsNonRoot forbids: change one of the two",
    at="runAsUser",
)


def _amounts(resources: Json, kind: str) -> Mapping[str, Any]:
    return resources.get(kind) or {}


def _exceeding(resources: Json) -> list[str]:
    limits = _amounts(resources, "limits")
    return [
        name
        for name, amount in _amounts(resources, "requests").items()
        if name in limits and parse_quantity(amount) > parse_quantity(limits[name])
    ]


_EXCEEDS: Final = (
    "name in self.limits && quantity(string(self.requests[name]))"
    ".compareTo(quantity(string(self.limits[name]))) > 0"
)
_RESOURCES: Final = (
    Rule(
        cel=f"!has(self.requests) || !has(self.limits) || !self.requests.exists(name, {_EXCEEDS})",
        holds=lambda resources: not _exceeding(resources),
        message="the request of {name} exceeds its limit: lower it, or raise the limit",
        at="requests",
        shown=(
            Shown(
                "name",
                f"self.requests.filter(name, {_EXCEEDS})[0]",
                lambda resources: _exceeding(resources)[0],
            ),
        ),
    ),
)

_ZERO: Final = (0, "0", "0%")
_STRATEGY: Final = (
    Rule(
        cel="!has(self.type) || self.type != 'Recreate' || !has(self.rollingUpdate)",
        holds=lambda i: i.get("type") != "Recreate" or "rollingUpdate" not in i,
        message="rollingUpdate stands beside type Recreate: remove one",
        at="rollingUpdate",
        reason="FieldValueForbidden",
    ),
)
_ROLLING_UPDATE: Final = (
    Rule(
        cel="!has(self.maxSurge) || !has(self.maxUnavailable)"
        " || !(string(self.maxSurge) in ['0', '0%'] && string(self.maxUnavailable) in ['0', '0%'])",
        holds=lambda i: i.get("maxSurge") not in _ZERO or i.get("maxUnavailable") not in _ZERO,
        message="maxSurge and maxUnavailable are both {maxSurge}, so that no pod could ever be"
        " replaced: raise one",
        at="maxSurge",
    ),
)

_METRICS: Final = {
    "ContainerResource": "containerResource",
    "External": "external",
    "Object": "object",
    "Pods": "pods",
    "Resource": "resource",
}
_METRIC: Final = (
    Rule(
        cel=" || ".join(
            f"(self.type == '{kind}' && has(self.{section}))" for kind, section in _METRICS.items()
        ),
        holds=lambda i: i["type"] in _METRICS and _METRICS[i["type"]] in i,
        message="{type} is unknown, or its section is missing: the types are "
        + ", ".join(f"{kind} ({section})" for kind, section in _METRICS.items()),
        at="type",
    ),
)

_POLICY: Final = {"enum": ["Honor", "Ignore"]}

# What a schema can say by itself, more briefly: by type, field and keyword. The API server reckons
# with the longest text and the largest list when it judges whether rules would take too long.
BOUNDS: Final[Mapping[str, Mapping[str, Json]]] = {
    "io.k8s.api.apps.v1.DeploymentStrategy": {"type": {"enum": ["RollingUpdate", "Recreate"]}},
    "io.k8s.api.apps.v1.RollingUpdateDeployment": {
        "maxSurge": {"maxLength": 8},
        "maxUnavailable": {"maxLength": 8},
    },
    "io.k8s.api.autoscaling.v2.HPAScalingPolicy": {
        "type": {"enum": ["Pods", "Percent"]},
        "value": {"minimum": 1},
        "periodSeconds": {"minimum": 1, "maximum": 1800},
    },
    "io.k8s.api.autoscaling.v2.HPAScalingRules": {
        "selectPolicy": {"enum": ["Max", "Min", "Disabled"]},
        "stabilizationWindowSeconds": {"minimum": 0, "maximum": 3600},
    },
    "io.k8s.api.autoscaling.v2.MetricSpec": {"type": {"maxLength": 63}},
    "io.k8s.api.core.v1.EnvVar": {"name": {"minLength": 1}},
    "io.k8s.api.core.v1.Probe": {
        "failureThreshold": {"minimum": 0},
        "initialDelaySeconds": {"minimum": 0},
        "periodSeconds": {"minimum": 0},
        "successThreshold": {"minimum": 0},
        "timeoutSeconds": {"minimum": 0},
    },
    "io.k8s.api.core.v1.ResourceRequirements": {
        "limits": {"maxProperties": 16},
        "requests": {"maxProperties": 16},
    },
    "io.k8s.api.core.v1.Toleration": {
        "effect": {"enum": ["NoSchedule", "PreferNoSchedule", "NoExecute", ""]},
        "operator": {"enum": ["Exists", "Equal", "Lt", "Gt"]},
        "value": {"maxLength": 63},
    },
    "io.k8s.api.core.v1.TopologySpreadConstraint": {
        "maxSkew": {"minimum": 1},
        "minDomains": {"minimum": 1},
        "nodeAffinityPolicy": _POLICY,
        "nodeTaintsPolicy": _POLICY,
        "topologyKey": {"minLength": 1},
        "whenUnsatisfiable": {"enum": ["DoNotSchedule", "ScheduleAnyway"]},
    },
}

RULES: Final[Mapping[str, tuple[Rule, ...]]] = {
    "io.k8s.api.apps.v1.DeploymentStrategy": _STRATEGY,
    "io.k8s.api.apps.v1.RollingUpdateDeployment": _ROLLING_UPDATE,
    "io.k8s.api.autoscaling.v2.MetricSpec": _METRIC,
    "io.k8s.api.core.v1.EnvVar": _ENV,
    "io.k8s.api.core.v1.PodSecurityContext": (_NOT_ROOT_AND_NON_ROOT,),
    "io.k8s.api.core.v1.Probe": _PROBE,
    "io.k8s.api.core.v1.ResourceRequirements": _RESOURCES,
    "io.k8s.api.core.v1.SecurityContext": (_NOT_ROOT_AND_NON_ROOT,),
    "io.k8s.api.core.v1.Toleration": _TOLERATION,
    "io.k8s.api.core.v1.TopologySpreadConstraint": _SPREAD,
}
