"""How people name the object they ask about."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest

from prism_operator.adapters.connection import connect_over
from prism_operator.adapters.gathering import Gatherer
from prism_operator.api.meta import PRISM_STACK, Json
from prism_operator.cli.errors import UsageError
from prism_operator.cli.plugin.cluster import find_object, require_read
from prism_operator.diagnosis.facts import Seen, Unread
from simulator.apiserver.server import ApiServer
from simulator.apiserver.transport import InProcessAdapter
from tests.diagnosis.builders import NOW
from tests.runtime.world import World


def a_pattern(name: str) -> Json:
    return {
        "apiVersion": "prism.io/v1alpha1",
        "kind": "PrismPattern",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"pattern": "keyvalue", "backend": "memstore"},
    }


@pytest.fixture
def gatherer() -> Iterator[Gatherer]:
    world = World()
    stack = {**a_pattern("shop"), "kind": "PrismStack", "spec": {}}
    for obj in (stack, a_pattern("orders"), a_pattern("shop")):
        world.create(obj)
    with closing(connect_over(InProcessAdapter(world.server))) as connection:
        yield Gatherer(connection, world.clock)


@pytest.mark.parametrize(
    "target",
    [
        "prismpattern/orders",
        "PrismPattern/orders",
        "prismpatterns.prism.io/orders",
        "ppattern/orders",
        "patternrunner/orders",
        "orders",
    ],
)
def test_an_object_is_found_by_every_name_kubectl_knows(gatherer: Gatherer, target: str) -> None:
    found = find_object(gatherer, target, "default")

    assert (found["kind"], found["metadata"]["name"]) == ("PrismPattern", "orders")


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("shop", "may be any of prismstack/shop, prismpattern/shop: name one"),
        ("nothing", 'no Prism object "nothing" in namespace default'),
        ("pstack/orders", 'no PrismStack "orders" in namespace default'),
        ("pod/orders", '"pod" is not a Prism kind; expected one of prismstack, '),
        ("pstack/", '"pstack/" is not KIND/NAME'),
        ("/orders", '"/orders" is not KIND/NAME'),
        ("pstack/a/b", '"pstack/a" is not a Prism kind'),
    ],
)
def test_what_is_no_object_is_told(gatherer: Gatherer, target: str, message: str) -> None:
    with pytest.raises(UsageError) as error:
        find_object(gatherer, target, "default")

    assert message in str(error.value)


def test_without_crds_it_says_what_to_install() -> None:
    world = World()
    bare = ApiServer(world.clock)
    with closing(connect_over(InProcessAdapter(bare))) as connection:
        gatherer = Gatherer(connection, world.clock)
        seen, _ = gatherer.everything("default")
        for ask in (
            lambda: find_object(gatherer, "pstack/shop", "default"),
            lambda: require_read(seen, PRISM_STACK),
        ):
            with pytest.raises(UsageError, match="the CRDs are not installed"):
                ask()


def test_what_may_not_be_listed_is_told_with_what_to_do() -> None:
    unread = Unread("prismstacks", "no permission to list prismstacks", "PrismStack")
    seen = Seen(now=NOW, unread=(unread,))

    with pytest.raises(UsageError, match="no permission to list prismstacks; name a namespace"):
        require_read(seen, PRISM_STACK)
