"""PodMonitors: with observability on, and where the Prometheus operator is."""

from __future__ import annotations

from typing import Any

import pytest

from prism_operator.api.meta import POD_MONITOR, Json
from prism_operator.planning import plan_stack
from prism_operator.planning.observed import FrozenSnapshot, Observed
from prism_operator.planning.plan import Plan

from .builders import NOW, SETTINGS, a_stack
from .world import KEDA, World

KEYVALUE = {"name": "kv", "type": "keyvalue", "backend": "memstore"}
WITH_PROMETHEUS = KEDA | {POD_MONITOR}


def plan(stack: Json, **snapshot: Any) -> Plan:
    return plan_stack(Observed(stack, FrozenSnapshot([stack], **snapshot)), SETTINGS, NOW)


def monitors(planned: Plan) -> dict[str, Json]:
    made = [write.obj for write in planned.writes if write.ref.resource == POD_MONITOR]
    return {monitor["metadata"]["name"]: monitor["spec"] for monitor in made}


def said(planned: Plan) -> tuple[str, str] | None:
    for condition in (planned.status or {})["conditions"]:
        if condition["type"] == "MonitorsReady":
            return condition["status"], condition["reason"]
    return None


def test_every_component_has_a_pod_monitor_that_selects_its_pods_by_the_port_of_the_metrics() -> (
    None
):
    stack = a_stack(admin={}, patterns=[KEYVALUE], observability={"metrics": {"port": 9090}})

    planned = plan(stack, served=WITH_PROMETHEUS)

    found = monitors(planned)
    assert {name: spec["podMetricsEndpoints"] for name, spec in found.items()} == {
        "demo-proxy": [{"port": "grpc"}],  # one port serves both
        "demo-admin": [{"port": "metrics"}],
        "kv": [{"port": "metrics"}],
    }
    for name, spec in found.items():
        if name != "kv":  # its pods are the PrismPattern's to make
            deployment = next(
                write.obj
                for write in planned.writes
                if (write.ref.resource.kind, write.ref.name) == ("Deployment", name)
            )
            assert spec["selector"] == deployment["spec"]["selector"]
    assert said(planned) == ("True", "MonitorsInPlace")


def test_a_pattern_is_selected_as_its_own_deployment_selects_it() -> None:
    stack = a_stack(patterns=[KEYVALUE], observability={})
    world = World(stack, served=WITH_PROMETHEUS)
    world.converge()

    by_kind = {
        (obj["kind"], obj["metadata"]["name"]): obj["spec"] for obj in world.objects.values()
    }
    template = by_kind["Deployment", "kv"]["template"]
    monitor = by_kind["PodMonitor", "kv"]
    assert monitor["selector"]["matchLabels"].items() <= template["metadata"]["labels"].items()
    (endpoint,) = monitor["podMetricsEndpoints"]
    assert endpoint["port"] in [p["name"] for p in template["spec"]["containers"][0]["ports"]]


@pytest.mark.parametrize(
    ("observability", "snapshot", "expected"),
    [
        ({"enabled": False}, {"served": WITH_PROMETHEUS}, None),
        (None, {"served": WITH_PROMETHEUS}, None),
        ({}, {}, ("False", "PrometheusOperatorNotInstalled")),
        ({}, {"unreadable": frozenset({POD_MONITOR})}, ("Unknown", "NoPermission")),
    ],
    ids=["switched off", "not asked for", "not installed", "not readable"],
)
def test_there_is_none_otherwise_and_it_is_said_why(
    observability: Json | None, snapshot: dict[str, Any], expected: tuple[str, str] | None
) -> None:
    more = {} if observability is None else {"observability": observability}

    planned = plan(a_stack(**more), **snapshot)

    assert monitors(planned) == {}
    assert said(planned) == expected


def test_pod_monitors_go_with_the_observability_and_with_their_pattern() -> None:
    stack = a_stack(patterns=[KEYVALUE], observability={})
    world = World(stack, served=WITH_PROMETHEUS)
    world.converge()
    (ref,) = (ref for ref in world.objects if ref.resource.kind == "PrismStack")

    def left() -> set[str]:
        return {ref.name for ref in world.objects if ref.resource == POD_MONITOR}

    assert left() == {"demo-proxy", "kv"}
    world.edit(ref, patterns=[])
    world.converge()
    assert left() == {"demo-proxy"}
    world.edit(ref, observability=None)
    world.converge()
    assert left() == set()


def test_a_missing_prometheus_operator_does_not_keep_a_stack_from_being_ready() -> None:
    world = World(a_stack(observability={}))

    world.converge()

    (stack,) = (obj for ref, obj in world.objects.items() if ref.resource.kind == "PrismStack")
    conditions = {c["type"]: c["status"] for c in stack["status"]["conditions"]}
    assert (conditions["Ready"], conditions["Degraded"]) == ("True", "False")
