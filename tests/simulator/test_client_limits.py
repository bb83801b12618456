"""Rate limits of API clients: a large change takes the time that they allow."""

from typing import Any

import pytest

from prism_operator.api.meta import POD
from simulator.cluster.limits import ClientLimit
from tests.simulator.builders import Story

S = 1_000_000


class Clock:
    now_us = 0

    def unix_us(self) -> int:
        return self.now_us


def test_a_burst_is_free_and_then_each_call_waits_for_its_token() -> None:
    clock = Clock()
    limit = ClientLimit(clock.unix_us, qps=20, burst=3)
    for _ in range(3):
        assert limit.free_at() is None
        limit.take()
    assert limit.free_at() == pytest.approx(0.05 * S, abs=2)
    clock.now_us = S
    assert limit.free_at() is None
    for _ in range(13):  # on credit: ten more than it has
        limit.take()
    assert limit.free_at() == pytest.approx(S + 0.55 * S, abs=2)


def test_without_a_rate_there_is_no_limit() -> None:
    limit = ClientLimit(Clock().unix_us, qps=0, burst=1)
    for _ in range(1000):
        limit.take()
    assert limit.free_at() is None


def a_deployment(replicas: int) -> Any:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web", "namespace": "default"},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": "web"}},
            "template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {"containers": [{"name": "c", "image": "w:1"}]},
            },
        },
    }


def bound(story: Story) -> int:
    return sum("nodeName" in pod["spec"] for pod in story.simulation.cache.list(POD))


def a_story(**clients: Any) -> Story:
    return Story(a_deployment(300), nodes=10, cluster={
        "pools": {"base": {"count": 10, "allocatable": {"cpu": "64", "pods": "110"}}},
        "clients": clients,
    })  # fmt: skip


def test_three_hundred_pods_are_bound_at_the_rate_of_the_schedulers_client() -> None:
    story = a_story(controllers={"qps": 0, "burst": 1}, scheduler={"qps": 50, "burst": 100})
    story.wait(1)
    assert 100 <= bound(story) <= 155
    story.wait(2)
    assert 200 <= bound(story) <= 255
    story.wait(2)
    assert bound(story) == 300


def test_replica_sets_make_pods_at_the_rate_of_the_controllers_client() -> None:
    """A batch of slow start is made as a whole, on credit; the next waits for the tokens."""
    story = a_story(controllers={"qps": 20, "burst": 30})
    story.wait(120)
    assert bound(story) == 300
    story.finish()
