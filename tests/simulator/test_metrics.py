"""Metrics on their way to autoscalers: scraped, averaged, late, missing."""

from datetime import UTC, datetime
from typing import Any

import pytest

from prism_operator.api.meta import DEPLOYMENT, Json, Ref
from simulator.autoscaling.keda.cron import Cron
from simulator.autoscaling.keda.kafka import BrokerError
from simulator.autoscaling.keda.metadata import MetadataError
from simulator.autoscaling.prometheus import Prometheus, Query
from simulator.inputs import BadInputError
from simulator.kernel import Kernel
from simulator.scenario.references import dangling
from simulator.series import Recorder
from tests.simulator.builders import Story, a_scenario

S = 1_000_000


class NoPods:
    def pod_metrics(self) -> Any:
        return ()


class Scraped:
    """A Prometheus that scrapes one counter of the test every 30 seconds."""

    def __init__(self, scrape_s: int = 30) -> None:
        self.kernel, self.recorder = Kernel(), Recorder()
        queries = {"rate(done[2m])": Query("done", 120 * S), "done": Query("done")}
        self.prometheus = Prometheus(
            self.kernel, NoPods(), self.recorder, queries,  # type: ignore[arg-type]
            scrape_us=scrape_s * S, window_us=120 * S, started_us=0,
        )  # fmt: skip
        self.scrape_s = scrape_s

    def count(self, values: dict[int, float], until_s: int) -> None:
        """The counter has these values from these seconds on."""
        for second in range(until_s + 1):
            self.kernel.run_until(second * S)
            if second in values:
                self.recorder.series("done").set(second * S, values[second])
            if second % self.scrape_s == 0:
                self.prometheus.scrape()

    def rate(self) -> float | None:
        return self.prometheus.answer("rate(done[2m])")


def test_a_steady_counter_has_its_rate() -> None:
    scraped = Scraped()
    scraped.count({s: 5.0 * s for s in range(301)}, 300)
    assert scraped.rate() == pytest.approx(5.0)


def test_a_rate_extrapolates_to_its_window_as_promql_does() -> None:
    """Samples of 60, 90 and 120 s, asked at 125 s: 600 in 60 s, to 5 s at the end, to 0 before.

    The window is (5 s, 125 s]; the first sample in it is that of 30 s.
    """
    scraped = Scraped()
    scraped.count({s: 10.0 * s for s in range(126)}, 125)
    # Samples 30 … 120 s: increase 900 over 90 s; 25 s to the start, 5 s to the end.
    assert scraped.rate() == pytest.approx(900 * (90 + 25 + 5) / 90 / 120)


def test_a_counter_is_not_extrapolated_below_zero() -> None:
    scraped = Scraped()
    scraped.count({0: 0.0, 91: 30.0}, 125)
    # Between 30 and 120 s: 30 more; its first value is 0, so there was nothing before.
    assert scraped.rate() == pytest.approx(30 * (90 + 0 + 5) / 90 / 120)


def test_a_counter_that_begins_anew_loses_nothing() -> None:
    scraped = Scraped()
    scraped.count({0: 100.0, 50: 130.0, 80: 20.0}, 120)
    assert scraped.rate() is not None
    assert scraped.rate() == pytest.approx((30 + 20) * 1.0 / 120 * (90 + 30) / 90, rel=0.35)


def test_a_rate_needs_two_samples_and_a_number_goes_stale() -> None:
    scraped = Scraped()
    scraped.count({0: 1.0}, 20)
    assert scraped.rate() is None
    assert scraped.prometheus.answer(" done ") == 1.0
    scraped.kernel.run_until(400 * S)
    assert scraped.prometheus.answer("done") is None


def test_prometheus_that_is_down_answers_nothing() -> None:
    scraped = Scraped()
    scraped.count({0: 1.0}, 60)
    scraped.prometheus.is_down = True
    with pytest.raises(BrokerError):
        scraped.rate()
    assert scraped.prometheus.custom("pod", "http_connections") is None


# KEDA's cron


def at(text: str) -> int:
    return round(datetime.fromisoformat(text).astimezone(UTC).timestamp()) * S


OFFICE = {
    "timezone": "Europe/Berlin",
    "start": "30 8 * * 1-5",
    "end": "0 18 * * 1-5",
    "desiredReplicas": "10",
}


@pytest.mark.parametrize(
    ("when", "replicas"),
    [
        ("2026-03-02T08:29:59+01:00", 0),
        ("2026-03-02T08:30:00+01:00", 10),
        ("2026-03-02T17:59:59+01:00", 10),
        ("2026-03-02T18:00:00+01:00", 0),
        ("2026-03-07T12:00:00+01:00", 0),  # a Saturday
        ("2026-07-01T08:30:00+02:00", 10),  # summer time
    ],
)
def test_a_cron_trigger_asks_for_replicas_in_its_hours(when: str, replicas: int) -> None:
    assert Cron.parse(OFFICE).look(at(when)) == (replicas * 1000, replicas > 0)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"timezone": "Mars"}, "timezone is no time zone"),
        ({"start": "often"}, "start is no cron schedule"),
        ({"end": "30 8 * * 1-5"}, "end cannot be the same as start"),
        ({"desiredReplicas": ""}, "desiredReplicas is required"),
    ],
)
def test_a_cron_trigger_that_cannot_be_is_refused(change: dict[str, str], said: str) -> None:
    with pytest.raises(MetadataError, match=said):
        Cron.parse({**OFFICE, **change})


# In a scenario


def a_deployment() -> Json:
    resources = {"requests": {"cpu": "1", "memory": "1Gi"}, "limits": {"cpu": "1"}}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web", "namespace": "default"},
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": {"app": "web"}},
            "template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {"containers": [{"name": "c", "image": "w:1", "resources": resources}]},
            },
        },
    }


def an_hpa(metric: Json) -> Json:
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "web", "namespace": "default"},
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
            "minReplicas": 1,
            "maxReplicas": 10,
            "metrics": [metric],
        },
    }


def a_story(metric: Json, timeline: tuple[Json, ...] = (), **workload: Any) -> Story:
    return Story(
        a_deployment(),
        an_hpa(metric),
        duration="1h",
        timeline=timeline,
        cluster={"autoscaling": {"prometheus": {"scrape": "15s", "window": "1m"}}},
        workloads={"web": {"target": "Deployment/web", **workload}},
    )


def replicas(story: Story) -> int:
    found: int = story.get(Ref(DEPLOYMENT, "default", "web"))["spec"]["replicas"]
    return found


def pods_metric(name: str, value: str) -> Json:
    target = {"type": "AverageValue", "averageValue": value}
    return {"type": "Pods", "pods": {"metric": {"name": name}, "target": target}}


def test_an_hpa_scales_by_the_rate_of_requests_that_prometheus_sees() -> None:
    story = a_story(
        pods_metric("http_requests_per_second", "50"), requests={"rate": 300, "waitMs": 5}
    )
    story.wait(600)
    assert replicas(story) == 6
    story.finish()


def test_an_hpa_scales_by_connections_and_memory() -> None:
    requests = {"rate": 30, "waitMs": 5, "connections": 1200, "keepalive": "10s"}
    by_gauge = a_story(pods_metric("http_connections", "400"), requests=requests)
    by_gauge.wait(600)
    assert replicas(by_gauge) == 3

    target = {"type": "Utilization", "averageUtilization": 50}
    by_memory = a_story(
        {"type": "Resource", "resource": {"name": "memory", "target": target}},
        requests=requests,
        memory={"base": "128Mi", "perConnection": "1Mi"},
    )
    by_memory.wait(900)
    # 1,200 MiB of connections and 128 MiB a pod, at 512 MiB: three, within the tolerance.
    assert replicas(by_memory) == 3


def test_while_prometheus_is_down_nothing_is_scaled() -> None:
    story = a_story(
        pods_metric("http_requests_per_second", "50"),
        (
            {"at": "5m", "prometheus": "down"},
            {"at": "6m", "load": {"of": "web", "requests": 300}},
            {"at": "12m", "prometheus": "up"},
        ),
        requests={"rate": 100, "waitMs": 5},
    )
    story.wait(700)
    assert replicas(story) == 2
    story.wait(300)
    assert replicas(story) == 6


def test_a_query_that_the_scenario_does_not_explain_is_refused() -> None:
    trigger = {"query": "up", "threshold": "1", "serverAddress": "http://p"}
    scaled = {
        "apiVersion": "keda.sh/v1alpha1",
        "kind": "ScaledObject",
        "metadata": {"name": "web", "namespace": "default"},
        "spec": {
            "scaleTargetRef": {"name": "web"},
            "triggers": [{"type": "prometheus", "metadata": trigger}],
        },
    }
    story = Story(a_deployment(), scaled, cluster={"autoscaling": {"keda": True, "prometheus": {}}})
    with pytest.raises(BadInputError, match=r"prometheus\.queries: say there what it answers"):
        story.wait(60)


def test_an_outage_of_a_prometheus_that_is_not_there_is_refused() -> None:
    loaded = a_scenario(a_deployment(), timeline=({"at": "1m", "prometheus": "down"},))
    ((where, message),) = dangling(loaded.scenario)
    assert where == ("timeline", 0, "prometheus")
    assert message == "there is no cluster.autoscaling.prometheus"
