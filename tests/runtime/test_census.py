"""What the metrics tell of the objects."""

from __future__ import annotations

import time

from prism_operator.api.meta import PRISM_BACKEND, PRISM_PATTERN, PRISM_STACK, Json, Ref
from prism_operator.runtime.cache import Cache
from prism_operator.runtime.census import take_census

from .world import World


def an_object(kind: str, name: str, **spec: object) -> Json:
    return {
        "apiVersion": "prism.io/v1alpha1",
        "kind": kind,
        "metadata": {"name": name, "namespace": "default"},
        "spec": spec,
    }


def a_pattern(name: str, **spec: object) -> Json:
    return an_object("PrismPattern", name, pattern="consumer", backend="nats", **spec)


def test_stacks_and_patterns_are_counted_by_phase_and_scaler() -> None:
    world = World()
    world.create(
        an_object(
            "PrismStack", "shop", patterns=[{"name": "a", "type": "consumer", "backend": "nats"}]
        )
    )
    scaling = {"maxReplicas": 3, "targetCPUUtilizationPercentage": 70}
    world.create(a_pattern("by-hpa", autoscaling=scaling))
    world.create(a_pattern("not-yet", autoscaling={**scaling, "enabled": False}))
    operator = world.operator()
    world.run(operator, seconds=5)
    counts = operator.census().objects
    assert counts is not None

    assert {k: n for k, n in counts.stacks.items() if n} == {"Pending": 1}
    assert {k: n for k, n in counts.patterns.items() if n} == {
        ("hpa", "Pending"): 1,
        ("none", "Pending"): 2,
    }
    assert counts.rollouts == {"PrismStack": 1, "PrismPattern": 3}
    assert counts.conditions["PrismStack", "Degraded"] == 0


def test_a_condition_that_is_true_and_bad_is_counted_until_it_is_over() -> None:
    world = World()
    deployment = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "taken", "namespace": "default"},
        "spec": {
            "selector": {"matchLabels": {"a": "b"}},
            "template": {
                "metadata": {"labels": {"a": "b"}},
                "spec": {"containers": [{"name": "c", "image": "i"}]},
            },
        },
    }
    world.create(deployment)
    world.create(a_pattern("taken"))
    operator = world.operator()
    world.run(operator, seconds=5)
    counts = operator.census().objects
    assert counts is not None
    assert counts.conditions["PrismPattern", "NameConflict"] == 1
    assert counts.conditions["PrismPattern", "Stalled"] == 1

    world.delete(Ref(PRISM_PATTERN, "default", "taken"))
    world.run(operator, seconds=5)
    counts = operator.census().objects
    assert counts is not None
    assert counts.conditions["PrismPattern", "NameConflict"] == 0


def test_backends_are_counted_by_health_and_unknown_providers_together() -> None:
    world = World()
    for name, provider in (("one", "nats"), ("two", "my-own"), ("three", "their-own")):
        connection = {"url": "nats://nats:4222"}
        world.create(
            an_object(
                "PrismBackend", name, type="messaging", provider=provider, connection=connection
            )
        )
    operator = world.operator()
    world.run(operator, seconds=1)
    world.edit(Ref(PRISM_BACKEND, "default", "one"), {"status": {"healthy": False}}, "status")
    world.run(operator, seconds=1)
    counts = operator.census().objects
    assert counts is not None

    assert {k: n for k, n in counts.backends.items() if n} == {
        ("nats", "unhealthy"): 1,
        ("other", "unknown"): 2,
    }


def test_only_the_leader_counts_objects_and_everybody_its_own_cache() -> None:
    world = World()
    world.create(an_object("PrismStack", "shop"))
    one = world.operator("one", leader_elect=True)
    two = world.operator("two", leader_elect=True)
    world.run(one, two, seconds=5)

    assert one.census().objects is not None
    assert two.census().objects is None
    assert one.census().cached["PrismStack"] == two.census().cached["PrismStack"] == 1


def test_ten_thousand_objects_are_counted_without_anybody_waiting() -> None:
    cache = Cache(trims={}, listener=lambda *_: None, on_availability=lambda _: None)
    for n in range(10_000):
        pattern = a_pattern(f"p{n}")
        pattern["status"] = {
            "phase": "Running",
            "conditions": [{"type": "Ready", "status": "True", "reason": "R"}] * 6,
        }
        cache.put(pattern)
    began_s = time.process_time()
    census = take_census(cache, (), shard="")

    # 10 µs an object: a scrape every 15 s costs less than 1 % of a core.
    assert time.process_time() - began_s < 1.0
    assert census.objects is not None
    assert census.objects.patterns["none", "Running"] == 10_000
    assert cache.refs(PRISM_STACK) == []
