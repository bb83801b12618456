from __future__ import annotations

from typing import Any

import pytest

from prism_operator.api.stack import ProxySpec
from prism_operator.planning.placement import pod_placement, rollout_strategy
from prism_operator.planning.placement_strategies import Subject

LABELS = {"component": "prism-proxy", "stack": "demo"}
SUBJECT = Subject("prism-proxy", LABELS, LABELS)


def test_every_placement_field_of_the_user_reaches_the_pod() -> None:
    placement = {
        "nodeSelector": {"a": "b"},
        "tolerations": [{"key": "spot", "operator": "Exists"}],
        "topologySpreadConstraints": [
            {"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule"}
        ],
        "priorityClassName": "high",
        "runtimeClassName": "gvisor",
        "nodeName": "n",
    }
    component = ProxySpec.model_validate({"placement": placement})
    affinity = {"podAffinity": {}}

    assert pod_placement(component, affinity, SUBJECT) == {**placement, "affinity": affinity}


def test_no_placement_leaves_no_empty_fields() -> None:
    assert pod_placement(ProxySpec(), None, SUBJECT) == {}


def anti_affinity(selector: Any, topology: str = "kubernetes.io/hostname") -> dict[str, Any]:
    term: dict[str, Any] = {"topologyKey": topology}
    if selector is not None:
        term["labelSelector"] = selector
    return {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}


def expression(key: str, operator: str, *values: str) -> dict[str, Any]:
    requirement: dict[str, Any] = {"key": key, "operator": operator}
    if values:
        requirement["values"] = list(values)
    return {"matchExpressions": [requirement]}


REPELS = [
    {"matchLabels": {"component": "prism-proxy"}},
    {},
    expression("component", "In", "a", "prism-proxy"),
    expression("component", "NotIn", "a"),
    expression("stack", "Exists"),
    expression("other", "DoesNotExist"),
]
SPARES = [
    None,
    {"matchLabels": {"component": "prism-admin"}},
    {"matchLabels": {"component": "prism-proxy", "stack": "another"}},
    expression("component", "In", "a"),
    expression("component", "NotIn", "prism-proxy"),
    expression("other", "Exists"),
    expression("stack", "DoesNotExist"),
]


@pytest.mark.parametrize("selector", REPELS)
def test_pods_that_repel_themselves_roll_out_without_surge(selector: Any) -> None:
    strategy = rollout_strategy(None, anti_affinity(selector), LABELS)

    assert strategy["rollingUpdate"] == {"maxSurge": 0, "maxUnavailable": 1}


@pytest.mark.parametrize("selector", SPARES)
def test_pods_that_repel_only_others_roll_out_as_usual(selector: Any) -> None:
    strategy = rollout_strategy(None, anti_affinity(selector), LABELS)

    assert strategy["rollingUpdate"] == {"maxSurge": "25%", "maxUnavailable": "25%"}


def test_only_the_hostname_makes_a_cluster_full() -> None:
    zone = anti_affinity({}, "topology.kubernetes.io/zone")

    assert rollout_strategy(None, zone, LABELS)["rollingUpdate"]["maxSurge"] == "25%"


GIVEN = {
    "recreate": ({"type": "Recreate"}, {"type": "Recreate"}),
    "only the type": (
        {"type": "RollingUpdate"},
        {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"}},
    ),
    "half of it": (
        {"rollingUpdate": {"maxSurge": 2}},
        {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 2, "maxUnavailable": "25%"}},
    ),
}


@pytest.mark.parametrize("case", GIVEN)
def test_a_users_strategy_wins_and_is_completed(case: str) -> None:
    given, expected = GIVEN[case]

    assert rollout_strategy(given, anti_affinity({}), LABELS) == expected
