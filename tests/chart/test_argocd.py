"""Argo CD's view of our objects: the Lua that it runs, on statuses that the operator makes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import lupa.lua51
import yaml

from prism_operator.api.meta import (
    DEPLOYMENT,
    PRISM_RESOURCES,
    PRISM_STACK,
    Json,
    Ref,
)
from tests.planning.builders import NAMESPACE, a_pattern, a_stack, an_object
from tests.planning.world import World

ROOT = Path(__file__).parents[2]
ARGOCD = ROOT / "config" / "argocd"
GOLDENS = sorted((ROOT / "tests" / "planning" / "goldens").glob("*.yaml"))
STACK = Ref(PRISM_STACK, NAMESPACE, "demo")
PROXY = Ref(DEPLOYMENT, NAMESPACE, "demo-proxy")


def health_of(obj: Json) -> tuple[str, str]:
    """What Argo CD would say: it runs Lua 5.1 with the object as ``obj``."""
    lua = lupa.lua51.LuaRuntime(unpack_returned_tuples=True)  # type: ignore[attr-defined]
    lua.globals().obj = lua.table_from(obj, recursive=True)
    script = yaml.safe_load((ARGOCD / "argocd-cm.yaml").read_text())["data"]
    answer = lua.execute(script[f"resource.customizations.health.prism.io_{obj['kind']}"])
    return answer["status"], answer["message"]


def recorded() -> Iterator[tuple[str, str, Json]]:
    """Every status in the goldens: of which object, when, and what it was."""
    for path in GOLDENS:
        for document in yaml.load_all(path.read_text(), yaml.CSafeLoader):
            for ref, statuses in document.get("statuses", {}).items():
                kind = ref.partition(" ")[0]
                for when, status in statuses.items():
                    generation = 1 if status is None else status["observedGeneration"]
                    metadata = {"name": ref, "generation": generation}
                    yield path.stem, when, {"kind": kind, "metadata": metadata, "status": status}


def settled(world: World) -> Json:
    world.converge()
    return world.objects[STACK]


def test_every_kind_has_the_script() -> None:
    config = yaml.safe_load((ARGOCD / "argocd-cm.yaml").read_text())["data"]

    assert config.keys() == {
        f"resource.customizations.health.prism.io_{resource.kind}" for resource in PRISM_RESOURCES
    }
    assert set(config.values()) == {(ARGOCD / "health.lua").read_text()}


def test_every_sample_is_progressing_at_first_and_healthy_in_the_end() -> None:
    kinds = set()
    for sample, when, obj in recorded():
        status, message = health_of(obj)
        kinds.add(obj["kind"])
        unchecked = obj["kind"] in ("PrismBackend", "PrismNamespace") and obj["status"]
        expected = "Healthy" if when == "converged" or unchecked else "Progressing"
        assert status == expected, (sample, obj["metadata"]["name"], message)
    assert len(kinds) == len(PRISM_RESOURCES)


def test_a_changed_spec_is_progressing_until_the_operator_has_seen_it() -> None:
    world = World(a_stack())
    settled(world)
    world.edit(STACK, proxy={"replicas": 3})

    status, message = health_of(world.objects[STACK])

    assert (status, message) == ("Progressing", "waiting for the operator to see this generation")


def test_a_rollout_is_progressing() -> None:
    world = World(a_stack())
    settled(world)
    world.edit(STACK, proxy={"image": "proxy:2"})
    world.converge(rolling_out=False)

    assert health_of(world.objects[STACK])[0] == "Progressing"


def test_a_stack_that_lost_a_replica_is_degraded_and_says_which() -> None:
    world = World(a_stack())
    settled(world)
    deployment = world.objects[PROXY]
    less = {"readyReplicas": 0, "availableReplicas": 0}
    world.put({**deployment, "status": {**deployment["status"], **less}})
    world.converge(rolling_out=False)

    status, message = health_of(world.objects[STACK])

    assert (status, message) == ("Degraded", "proxy: 0 of 1 replicas are available")


def test_a_name_conflict_is_degraded_and_says_what_to_do() -> None:
    foreign = an_object("apps/v1", "Deployment", "demo-proxy", spec={})
    world = World(a_stack(), foreign)
    world.converge(rolling_out=False)

    status, message = health_of(world.objects[STACK])

    assert status == "Degraded"
    assert "demo-proxy" in message


def test_an_invalid_object_is_degraded() -> None:
    world = World(a_pattern("demo", pattern=7))
    world.converge()
    (obj,) = (o for ref, o in world.objects.items() if ref.resource in PRISM_RESOURCES)

    assert health_of(obj)[0] == "Degraded"


def test_a_paused_object_is_suspended() -> None:
    world = World(a_stack(metadata={"annotations": {"prism.io/paused": "true"}}))

    status, message = health_of(settled(world))

    assert status == "Suspended"
    assert "prism.io/paused" in message


def test_what_is_being_deleted_is_progressing() -> None:
    obj = settled(World(a_stack()))
    metadata = {**obj["metadata"], "deletionTimestamp": "2026-01-01T00:00:00Z"}

    assert health_of({**obj, "metadata": metadata}) == ("Progressing", "being deleted")
