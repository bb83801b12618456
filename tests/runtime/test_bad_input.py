"""What the API server takes and the operator cannot follow: said once, and what runs stays."""

from __future__ import annotations

from typing import Any

import pytest

from prism_operator.api.meta import DEPLOYMENT, EVENT, Json, Ref, ref_of, uid_of
from tests.api.builders import a_pattern, a_stack

from .world import World

CASES: dict[str, tuple[Json, Json, str, str]] = {
    "a password in the pattern's configuration": (
        a_pattern("orders"),
        {"config": {"url": "kafka://me:hunter2@kafka"}},
        "InvalidSpec",
        "spec.config.url: a URL holds a user name or password",
    ),
    "a password in the configuration of a backend": (
        a_pattern("orders"),
        {"backendConfig": {"kafka": {"brokers": ["kafka://me:hunter2@kafka"]}}},
        "InvalidSpec",
        "spec.backendConfig.kafka.brokers[0]: a URL holds a user name or password",
    ),
    "a node without the right to name one": (
        a_pattern("orders"),
        {"placement": {"nodeName": "node-1"}},
        "PlacementNotAllowed",
        "nodeName",
    ),
    "a Secret that pods cannot reach": (
        a_stack("orders", admin={}),
        {"admin": {"tls": {"secretRef": {"name": "tls", "namespace": "elsewhere"}}}},
        "InvalidSpec",
        "spec.admin.tls.secretRef.namespace: is not default",
    ),
}


def ready(world: World, ref: Ref) -> Json:
    obj = world.get(ref)
    assert obj is not None
    found: Json = {c["type"]: c for c in obj["status"]["conditions"]}["Ready"]
    return found


def deployments(world: World) -> list[tuple[str, Any]]:
    return [(uid_of(d), d["spec"]) for d in world.objects(DEPLOYMENT)]


@pytest.mark.parametrize("case", CASES)
def test_an_edit_that_makes_no_sense_is_told_once_and_tears_nothing_down(case: str) -> None:
    obj, edit, reason, told = CASES[case]
    world = World()
    ref = ref_of(obj)
    world.create(obj)
    operator = world.operator()
    world.run(operator, seconds=5)
    before = deployments(world)

    world.edit(ref, {"spec": edit})
    world.run(operator, seconds=600)

    assert deployments(world) == before
    condition = ready(world, ref)
    assert (condition["status"], condition["reason"]) == ("False", reason)
    assert told in condition["message"]
    events = [e for e in world.objects(EVENT) if e["reason"] == reason]
    assert [(e["type"], e.get("series")) for e in events] == [("Warning", None)]
    assert told in events[0]["note"]
    assert "hunter2" not in str(events) + str(condition)
    quiet = len(world.writes)
    world.run(operator, seconds=600)
    assert len(world.writes) == quiet

    world.edit(ref, {"spec": dict.fromkeys(edit)})
    world.run(operator, seconds=5)
    assert ready(world, ref)["reason"] != reason
