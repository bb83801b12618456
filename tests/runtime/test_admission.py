"""The webhook answers from what the operator's caches know, and writes nothing."""

from __future__ import annotations

import json

from prism_operator.api.meta import Json, ref_of
from prism_operator.planning.settings import Settings
from prism_operator.runtime.admission import Reviewer
from prism_operator.runtime.operator import Operator
from tests.admission.builders import a_review
from tests.api.builders import a_stack

from .world import World


def a_reviewer(world: World, operator: Operator) -> Reviewer:
    return Reviewer(
        cache=operator.cache,
        reader=world.reader("webhook"),
        clock=world.clock,
        settings=Settings(),
        covers=operator.knows,
    )


def asked(reviewer: Reviewer, obj: Json) -> Json:
    response: Json = reviewer.respond(json.dumps(a_review(obj)).encode())["response"]
    return response


def a_foreign_deployment(name: str) -> Json:
    labels = {"app": "foreign"}
    container = {"name": "c", "image": "i"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"selector": {"matchLabels": labels}, "template": template},
    }


def test_a_taken_name_is_denied_and_a_converged_cluster_is_left_alone() -> None:
    world = World()
    world.create(a_foreign_deployment("shop-proxy"))
    operator = world.operator()
    world.run(operator)
    writes = len(world.writes)

    denied = asked(a_reviewer(world, operator), a_stack("shop"))

    assert denied["allowed"] is False
    assert "Deployment default/shop-proxy exists and is not ours" in denied["status"]["message"]
    assert len(world.writes) == writes


def test_whoever_has_just_deleted_what_was_in_the_way_is_not_denied() -> None:
    world = World()
    foreign = world.create(a_foreign_deployment("shop-proxy"))
    operator = world.operator()
    world.run(operator)
    ref = ref_of(foreign)
    world.delete(ref)
    assert operator.cache.get(ref) is not None  # its watch has not told yet

    assert asked(a_reviewer(world, operator), a_stack("shop"))["allowed"] is True


def test_nothing_is_said_before_the_caches_know_and_of_namespaces_they_never_will() -> None:
    world = World()
    world.create(a_foreign_deployment("shop-proxy"))
    operator = world.operator()

    assert asked(a_reviewer(world, operator), a_stack("shop")) == {
        "uid": "request-1",
        "allowed": True,
    }

    elsewhere = world.operator(watch_namespaces=("team-a",))
    world.run(elsewhere)
    assert asked(a_reviewer(world, elsewhere), a_stack("shop"))["allowed"] is True


def test_a_secret_that_is_missing_is_warned_of_until_it_is_there() -> None:
    world = World()
    operator = world.operator()
    world.run(operator)
    backend = {
        "apiVersion": "prism.io/v1alpha1",
        "kind": "PrismBackend",
        "metadata": {"name": "redis", "namespace": "default"},
        "spec": {
            "type": "cache",
            "provider": "redis",
            "connection": {"secretRef": {"name": "redis"}},
        },
    }

    (warning,) = asked(a_reviewer(world, operator), backend)["warnings"]
    assert warning == "spec.connection.secretRef: Secret default/redis does not exist (yet)"

    world.create(
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "redis", "namespace": "default"},
        }
    )
    assert "warnings" not in asked(a_reviewer(world, operator), backend)
