"""Every change between no scaler, an HPA and KEDA, beside KEDA's own controllers and webhook."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from contextlib import ExitStack

import pytest

from e2e.backend_servers import Kafka
from e2e.cluster import Json, KubectlError, LocalCluster
from e2e.metrics_api import MetricsApi
from e2e.stacks import assert_equal
from e2e.timeline import Timeline
from e2e.waiting import eventually, throughout
from e2e.with_keda.patterns import MOST, a_consumer, by_keda
from e2e.with_keda.queues import Topic
from e2e.with_keda.story import HPA_SYNC_S, POLL_S

TOPIC, GROUP, THRESHOLD = "transitions", "transitions-group", 10
# Both scalers are given a reason for five; without one there are three.
DEMAND, PLAIN = 5, 3
CPU, TARGET_PERCENT = 0.1, 70
# Pods that have just started are few and seem busy: what that adds is soon gone again.
DOWN_AT_ONCE = {"scaleDown": {"stabilizationWindowSeconds": 0}}
WITHIN_S = 60.0


def plain(name: str, kafka: Kafka) -> Json:
    return _a_pattern(name, None)


def with_hpa(name: str, kafka: Kafka) -> Json:
    bounds = {"minReplicas": 2, "maxReplicas": MOST}
    aim = {"scaler": "hpa", "targetCPUUtilizationPercentage": TARGET_PERCENT}
    return _a_pattern(name, {**aim, **bounds, "behavior": DOWN_AT_ONCE})


def with_keda(name: str, kafka: Kafka, topic: str = TOPIC, least: int = 2) -> Json:
    metadata = {
        "bootstrapServers": f"localhost:{kafka.open_port}",
        "topic": topic,
        "consumerGroup": GROUP,
        "lagThreshold": str(THRESHOLD),
    }
    soon: Json = {"cooldownPeriod": 2, "behavior": DOWN_AT_ONCE}
    return _a_pattern(name, by_keda("kafka", metadata, minReplicas=least, **soon))


def _a_pattern(name: str, scaling: Json | None) -> Json:
    resources = {"requests": {"cpu": str(CPU)}}
    return a_consumer(name, scaling, replicas=PLAIN, resources=resources)


SCALERS: dict[str, Callable[[str, Kafka], Json]] = {
    "none": plain,
    "hpa": with_hpa,
    "keda": with_keda,
}
REPLICAS = {"none": PLAIN, "hpa": DEMAND, "keda": DEMAND}


class Patterns:
    """The patterns of one namespace and what scales them."""

    def __init__(self, cluster: LocalCluster, namespace: str) -> None:
        self.cluster, self.namespace = cluster, namespace
        self.place = f"--namespace={namespace}"

    def apply(self, *objects: Json) -> None:
        everything = {"apiVersion": "v1", "kind": "List", "items": list(objects)}
        stdin = json.dumps(everything)
        self.cluster.kubectl("apply", "--filename=-", self.place, stdin=stdin)

    def scalers(self) -> set[str]:
        """Kind and name; KEDA's own HPAs are KEDA's."""
        kinds = "scaledobjects.keda.sh,horizontalpodautoscalers"
        items = self.cluster.get(kinds, self.place)["items"]
        return {f"{o['kind']} {o['metadata']['name']}" for o in items}

    def are_ready(self, scaled: set[str]) -> None:
        """All patterns, and the scalers of those that are scaled."""
        for pattern in self.cluster.get("prismpatterns", self.place)["items"]:
            name = pattern["metadata"]["name"]
            conditions = {c["type"]: c for c in pattern.get("status", {}).get("conditions", [])}
            for kind in ("Ready", "ScalerReady") if name in scaled else ("Ready",):
                condition = conditions.get(kind, {})
                assert condition.get("status") == "True", (name, condition)

    def refused(self) -> list[str]:
        """What of the operator's writes of ScaledObjects here was refused, and by which words."""
        return [
            f"{e['verb']} {e['objectRef']['name']}: {e['responseStatus'].get('message')}"
            for e in self.cluster.audit_events("prism-operator")
            if e["objectRef"].get("resource") == "scaledobjects"
            and e["objectRef"].get("namespace") == self.namespace
            and e["responseStatus"]["code"] >= 400
        ]


def scalers_of(name: str, mode: str) -> set[str]:
    match mode:
        case "hpa":
            return {f"HorizontalPodAutoscaler {name}"}
        case "keda":
            return {f"ScaledObject {name}", f"HorizontalPodAutoscaler keda-hpa-{name}"}
        case _:
            return set()


def test_nine_changes_of_scaler_end_with_the_one_that_is_wanted_and_never_dip(
    cluster: LocalCluster, namespace: str, kafka: Kafka
) -> None:
    topic = Topic(kafka, TOPIC, GROUP, partitions=6)
    topic.add(DEMAND * THRESHOLD)
    changes = {f"{a}-to-{b}": (a, b) for a, b in itertools.product(SCALERS, SCALERS)}
    patterns = Patterns(cluster, namespace)
    with ExitStack() as stack:
        metrics = stack.enter_context(MetricsApi(cluster))
        # Evenly shared by as many as are wanted it is what is aimed at.
        metrics.load(cpu=DEMAND * CPU * TARGET_PERCENT / 100)
        patterns.apply(*(SCALERS[a](name, kafka) for name, (a, _) in changes.items()))
        seen = {name: stack.enter_context(Timeline(cluster, name, namespace)) for name in changes}

        def all_are(side: int) -> None:
            wanted = {s for name, modes in changes.items() for s in scalers_of(name, modes[side])}
            assert_equal(patterns.scalers(), wanted)
            for name, modes in changes.items():
                assert seen[name].replicas == REPLICAS[modes[side]], (name, seen[name].changes)
            patterns.are_ready({name for name, modes in changes.items() if modes[side] != "none"})

        eventually(lambda: all_are(0), within_s=WITHIN_S)
        for timeline in seen.values():
            timeline.mark("change")
        patterns.apply(*(SCALERS[b](name, kafka) for name, (_, b) in changes.items()))
        eventually(lambda: all_are(1), within_s=WITHIN_S)
        throughout(lambda: all_are(1), for_s=2 * (POLL_S + HPA_SYNC_S))

        for name, (before, after) in changes.items():
            passed = [change.replicas for change in seen[name].since("change")]
            print(f"{name:14} {passed}")
            least = min(REPLICAS[before], REPLICAS[after])
            assert all(replicas >= least for replicas in passed), (name, passed)
    # KEDA's webhook may hear later than we do that an HPA is gone; then it is asked again.
    assert all("hpa-to-keda" in refusal for refusal in patterns.refused())


def test_who_leaves_keda_at_zero_is_lifted_before_there_is_an_hpa(
    cluster: LocalCluster, namespace: str, kafka: Kafka
) -> None:
    Topic(kafka, "idle", GROUP, partitions=1)
    patterns = Patterns(cluster, namespace)
    patterns.apply(with_keda("idle", kafka, topic="idle", least=0))
    with Timeline(cluster, "idle", namespace) as seen:
        eventually(lambda: assert_equal(seen.replicas, 0))

        patterns.apply(with_hpa("idle", kafka))

        eventually(lambda: assert_equal(patterns.scalers(), scalers_of("idle", "hpa")))
        assert seen.replicas == 2


def test_kedas_webhook_refuses_a_second_scaler(cluster: LocalCluster, namespace: str) -> None:
    """It is asked, and would have refused ours."""
    place = f"--namespace={namespace}"
    cluster.kubectl("create", "deployment", "web", "--image=web", place)
    cluster.kubectl("autoscale", "deployment/web", "--max=3", "--cpu=50%", place)
    scaled = {
        "apiVersion": "keda.sh/v1alpha1",
        "kind": "ScaledObject",
        "metadata": {"name": "web"},
        "spec": {
            "scaleTargetRef": {"name": "web"},
            "triggers": [{"type": "cpu", "metricType": "Utilization", "metadata": {"value": "5"}}],
        },
    }

    def is_refused() -> None:
        with pytest.raises(KubectlError, match="already managed by the hpa 'web'"):
            cluster.kubectl("create", "--filename=-", place, stdin=json.dumps(scaled))

    eventually(is_refused)
