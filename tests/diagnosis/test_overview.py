"""A stack at a glance."""

from __future__ import annotations

from prism_operator.api.meta import Json
from prism_operator.cli.plugin.status import overviews_text
from prism_operator.diagnosis.facts import Unread
from prism_operator.diagnosis.overview import overview_of
from tests.diagnosis.builders import (
    a_condition,
    a_deployment,
    a_node,
    a_pod,
    a_prism,
    a_replica_set,
    an_object,
    facts_of,
)


def a_zoned(name: str, zone: str, **labels: str) -> Json:
    node = a_node(name)
    node["metadata"]["labels"] = {"topology.kubernetes.io/zone": zone, **labels}
    return node


STACK = a_prism(
    "PrismStack",
    "shop",
    a_condition("BackendsHealthy", "False", "NotReady", "not ready: nats"),
    a_condition("NameConflict", "False", "Resolved"),
    ready="True",
    reason="ComponentsReady",
)
PROXY = a_deployment(STACK, availableReplicas=3)
RS = a_replica_set(PROXY)
HPA = an_object(
    "HorizontalPodAutoscaler",
    "shop-proxy",
    owner=STACK,
    spec={"scaleTargetRef": {"name": "shop-proxy"}, "minReplicas": 2, "maxReplicas": 9},
    status={"currentReplicas": 3, "desiredReplicas": 5},
)
BUDGET = an_object(
    "PodDisruptionBudget", "shop-proxy", owner=STACK, status={"disruptionsAllowed": 1}
)
BACKEND = a_prism("PrismBackend", "nats", owner=STACK, reason="Refused", message="no answer")
PODS = [a_pod(RS, name, node=f"node-{name}", ready=True) for name in "abc"]
NODES = [
    a_zoned("node-a", "eu-1a"),
    a_zoned("node-b", "eu-1b"),
    a_zoned("node-c", "eu-1b", **{"karpenter.sh/capacity-type": "spot"}),
]


def test_a_stack_is_told_in_plain_columns() -> None:
    overview = overview_of(facts_of(STACK, PROXY, RS, HPA, BUDGET, BACKEND, *PODS, *NODES))

    assert (
        overviews_text([overview])
        == """\
PrismStack default/shop  Pending  Ready=True  2m
  COMPONENT      READY     SCALER          ZONES             NODES                BUDGET     AGE
  proxy          3/3       hpa 3→5 (2–9)   eu-1a:1 eu-1b:2   on-demand:2 spot:1   1 may go   2m
  backend nats   Refused   -               -                 -                    -          2m
  ! BackendsHealthy is False (NotReady): not ready: nats  (60s)
  ! PrismBackend nats: Ready is False (Refused): no answer  (60s)
"""
    )


def test_kedas_own_scaler_is_found_through_its_scaled_object() -> None:
    scaled = an_object(
        "ScaledObject",
        "shop-proxy",
        owner=STACK,
        spec={
            "scaleTargetRef": {"name": "shop-proxy"},
            "minReplicaCount": 0,
            "maxReplicaCount": 20,
        },
        status={"hpaName": "keda-hpa-shop-proxy"},
    )
    hpa = {**HPA, "metadata": {**HPA["metadata"], "name": "keda-hpa-shop-proxy"}}

    (proxy,) = overview_of(facts_of(STACK, PROXY, RS, scaled, hpa)).parts

    assert proxy.scaler == "keda 3→5 (0–20)"


def test_a_scaler_without_metrics_wants_nothing_known() -> None:
    hpa = {**HPA, "status": {"currentReplicas": 3, "desiredReplicas": 0}}

    (proxy,) = overview_of(facts_of(STACK, PROXY, RS, hpa)).parts

    assert proxy.scaler == "hpa 3→? (2–9)"


def test_without_leave_to_read_nodes_zones_are_unknown_and_that_is_said() -> None:
    unread = (Unread("nodes", "no permission to list nodes", "Node"),)

    overview = overview_of(facts_of(STACK, PROXY, RS, *PODS, unread=unread))

    assert (overview.parts[0].zones, overview.parts[0].nodes) == ("?", "?")
    assert "  ? nodes: no permission to list nodes\n" in overviews_text([overview])


def test_pods_without_a_node_are_counted_apart() -> None:
    overview = overview_of(facts_of(STACK, PROXY, RS, a_pod(RS, "x", node=""), *NODES))

    assert overview.parts[0].zones == "unscheduled:1"


def test_a_spec_that_nobody_has_looked_at_is_remarked() -> None:
    new = an_object("PrismStack", "shop")

    text = overviews_text([overview_of(facts_of(new))])

    assert "  ! no operator has looked at its newest spec  (2m)\n" in text


def test_time_alone_is_no_change() -> None:
    facts = facts_of(STACK, PROXY, RS)

    assert "AGE" in overviews_text([overview_of(facts)])
    assert "2m" not in overviews_text([overview_of(facts).without_ages()])


def test_nothing_is_said_to_be_nothing() -> None:
    assert overviews_text([]) == "No PrismStack or PrismPattern found.\n"
