"""What holds of every spec: a plan carried out leaves nothing to plan, in whatever order."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any, get_args

from hypothesis import given, settings
from hypothesis import strategies as st

from prism_operator.api.common import Strategy
from prism_operator.api.meta import DEPLOYMENT, PRISM_RESOURCES, PRISM_STACK, Json, Ref
from prism_operator.api.validation import parse
from prism_operator.planning import PLANNERS
from prism_operator.planning.observed import FrozenSnapshot, Observed
from prism_operator.planning.placement_strategies import HOSTNAME, REGION, ZONE
from prism_operator.planning.plan import Create
from prism_operator.planning.targets import scale_target_of

from .builders import NAMESPACE, NOW, SETTINGS, a_stack
from .world import World

DEMO = Ref(PRISM_STACK, NAMESPACE, "demo")

names = st.sampled_from(["a", "b", "c-d"])
texts = st.text("abc/:@ é\n", max_size=6)
resources = st.fixed_dictionaries(
    {"requests": st.fixed_dictionaries({"cpu": st.sampled_from(["100m", "2000m", "0.5", 2])})}
)
spreads = st.fixed_dictionaries(
    {
        "maxSkew": st.integers(1, 3),
        "topologyKey": st.sampled_from([HOSTNAME, ZONE, REGION]),
        "whenUnsatisfiable": st.sampled_from(["DoNotSchedule", "ScheduleAnyway"]),
    }
)
placements = st.fixed_dictionaries(
    {},
    optional={
        "strategy": st.sampled_from(get_args(Strategy)),
        "nodeSelector": st.dictionaries(names, st.just("x")),
        "topologySpreadConstraints": st.lists(spreads, max_size=1),
        "tolerations": st.lists(st.just({"key": "spot", "operator": "Exists"}), max_size=2),
        "affinity": st.sampled_from([{}, {"nodeAffinity": {}}]),
        "priorityClassName": st.sampled_from(["high", "system-node-critical"]),
        "runtimeClassName": st.just("gvisor"),
    },
)
env = st.dictionaries(st.sampled_from(["A", "B", "PRISM_PORT"]), texts).map(
    lambda entries: [{"name": name, "value": value} for name, value in entries.items()]
)
component_fields: dict[str, st.SearchStrategy[Any]] = {
    "image": st.sampled_from(["one", "two"]),
    "replicas": st.integers(0, 4),
    "resources": resources,
    "env": env,
    "podAnnotations": st.dictionaries(names, texts),
    "podLabels": st.dictionaries(names, st.just("x")),
    "probes": st.just({"liveness": {"exec": {"command": ["true"]}}}),
    "podSecurityContext": st.sampled_from([{}, {"runAsUser": 0}, {"fsGroup": 1}]),
    "terminationGracePeriodSeconds": st.integers(0, 60),
    "strategy": st.just({"type": "Recreate"}),
}
autoscaling = st.fixed_dictionaries(
    {
        "minReplicas": st.integers(1, 3),
        "maxReplicas": st.integers(3, 9),
        "targetCPUUtilizationPercentage": st.just(70),
    }
)
configs = st.dictionaries(names, st.one_of(texts, st.integers(), st.none(), st.lists(texts)))
patterns = st.lists(
    st.fixed_dictionaries(
        {
            "name": st.sampled_from(["orders", "events", "cache"]),
            "type": st.sampled_from(["consumer", "keyvalue"]),
            "backend": st.sampled_from(["nats", "memstore"]),
        },
        optional={
            **component_fields,
            "config": configs,
            "runnerSpec": placements,
            "autoscaling": autoscaling,
            "service": st.just({"port": 9000}),
            "backendConfig": st.sampled_from([{"name": "nats"}, {"kafka": {"topics": ["a"]}}]),
        },
    ),
    max_size=3,
    unique_by=lambda pattern: pattern["name"],
)
stacks = st.fixed_dictionaries(
    {},
    optional={
        "proxy": st.fixed_dictionaries(
            {}, optional={**component_fields, "placement": placements, "autoscaling": autoscaling}
        ),
        "admin": st.fixed_dictionaries(
            {},
            optional={
                **component_fields,
                "placement": placements,
                "enabled": st.booleans(),
                "leaderElection": st.fixed_dictionaries({"enabled": st.booleans()}),
                "serviceAccountName": st.just("mine"),
            },
        ),
        "patterns": patterns,
        "backends": st.just(
            [{"name": "nats", "type": "messaging", "connectionString": "nats://nats:4222"}]
        ),
        "namespaces": st.just([{"name": "acme", "namespaceId": "acme"}]),
        "observability": st.fixed_dictionaries({"enabled": st.booleans()}),
        "affinity": st.just({"nodeAffinity": {}}),
        "resources": resources,
        "imagePullSecrets": st.just([{"name": "ghcr"}]),
    },
).filter(lambda spec: _is_valid(spec))


def _is_valid(spec: Json) -> bool:
    try:
        parse(a_stack(**spec))
    except ValueError:
        return False
    return True


def _without_meta(world: World) -> dict[Ref, Json]:
    """What the objects say, less how often they were written, and numbers that a scaler decides."""
    scaled = {scale_target_of(obj) for obj in world.objects.values()}
    return {
        ref: {
            key: {**value, "replicas": "any"} if key == "spec" and ref in scaled else value
            for key, value in obj.items()
            if key not in ("metadata", "status")
        }
        for ref, obj in world.objects.items()
    }


@given(stacks)
def test_a_plan_carried_out_leaves_nothing_to_plan(spec: Json) -> None:
    world = World(a_stack(**spec))
    world.converge()

    for ref in world.objects:
        if ref.resource in PRISM_RESOURCES:
            assert world.plan(ref).is_empty, ref


@settings(max_examples=40)
@given(stacks, stacks)
def test_an_edited_stack_ends_where_a_new_one_does(before: Json, after: Json) -> None:
    edited = World(a_stack(**before))
    edited.converge()
    edited.objects[DEMO] = {**edited.objects[DEMO], "spec": {}}
    edited.edit(DEMO, **after)
    edited.converge()
    fresh = World(a_stack(**after))
    fresh.converge()
    if _refuses_placement(fresh):  # what runs is left alone then
        return

    assert _without_meta(edited) == _without_meta(fresh)


def _refuses_placement(world: World) -> bool:
    return any(
        (condition["type"], condition["status"]) == ("PlacementRefused", "True")
        for ref, obj in world.objects.items()
        if ref.resource in PRISM_RESOURCES
        for condition in obj["status"]["conditions"]
    )


@settings(max_examples=40)
@given(stacks, st.randoms(use_true_random=False))
def test_the_order_of_what_is_observed_does_not_matter(spec: Json, rng: random.Random) -> None:
    world = World(a_stack(**spec))
    world.converge()
    damaged = {r: o for r, o in world.objects.items() if r.resource != DEPLOYMENT}
    shuffled = list(damaged.values())
    rng.shuffle(shuffled)

    def plan(objects: list[Json]) -> Any:
        observed = Observed(damaged[DEMO], FrozenSnapshot(objects))
        return PLANNERS[PRISM_STACK](observed, SETTINGS, NOW)

    assert plan(list(damaged.values())) == plan(shuffled)


@settings(max_examples=40)
@given(stacks)
def test_no_object_holds_a_null_outside_of_what_is_free_form(spec: Json) -> None:
    world = World(a_stack(**spec))
    world.converge()

    for obj in world.created:
        assert not list(_nulls(obj, ""))


def _nulls(value: Any, path: str) -> Iterator[str]:
    if value is None:
        yield path
    elif isinstance(value, dict):
        for key, inner in value.items():
            if key not in ("config", "backendConfig"):
                yield from _nulls(inner, f"{path}.{key}")
    elif isinstance(value, list):
        for inner in value:
            yield from _nulls(inner, path)


@settings(max_examples=40)
@given(stacks)
def test_every_created_prism_object_is_valid(spec: Json) -> None:
    world = World(a_stack(**spec))
    world.converge()

    for obj in world.created:
        if obj["apiVersion"].startswith("prism.io/"):
            parse(obj)


@settings(max_examples=40)
@given(stacks, st.data())
def test_what_is_deleted_by_hand_comes_back_as_it_was(spec: Json, data: st.DataObject) -> None:
    world = World(a_stack(**spec))
    world.converge()
    before = _without_meta(world)
    victims = sorted(ref for ref in world.objects if ref != DEMO)
    if not victims:  # all of it was refused
        return
    del world.objects[data.draw(st.sampled_from(victims))]
    world.collect_garbage()
    world.converge()

    assert _without_meta(world) == before


def test_creates_carry_the_whole_object() -> None:
    world = World(a_stack(admin={}))

    for write in world.plan(DEMO).writes:
        assert isinstance(write, Create)
        assert write.obj["metadata"]["name"] == write.ref.name
        assert write.obj["metadata"]["namespace"] == write.ref.namespace
