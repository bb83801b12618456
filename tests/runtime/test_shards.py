"""Several operators side by side: each object is one shard's, and changes hands without a gap."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from prism_operator.api.meta import (
    CONFIG_MAP,
    DEPLOYMENT,
    LEASE,
    PRISM_PATTERN,
    PRISM_RESOURCES,
    PRISM_STACK,
    Json,
    Ref,
)
from prism_operator.planning.shards import SHARD_LABEL, holder_of, shard_of
from prism_operator.runtime.operator import Operator
from prism_operator.runtime.shards import lease_name_of
from simulator.apiserver.request import Request, Response

from .world import ADMIN, Crash, World

SHARDS = ("", "blue", "green")
ORDERS = Ref(PRISM_PATTERN, "default", "orders")


def a_pattern(name: str = "orders", *, shard: str = "", image: str = "one") -> Json:
    labels = {SHARD_LABEL: shard} if shard else {}
    return {
        "apiVersion": PRISM_PATTERN.api_version,
        "kind": PRISM_PATTERN.kind,
        "metadata": {"name": name, "namespace": "default", "labels": labels},
        "spec": {"pattern": "consumer", "backend": "nats", "image": image, "config": {"a": 1}},
    }


def move(world: World, ref: Ref, shard: str) -> None:
    world.edit(ref, {"metadata": {"labels": {SHARD_LABEL: shard or None}}})


def an_operator(world: World, shard: str, *, seed: int = 0, ordinal: int = 0) -> Operator:
    user = f"{shard or 'default'}-{ordinal}"
    return world.operator(user, leader_elect=True, shard=shard, seed=seed)


def rest(countdown: list[int]) -> bool:
    """Counts down; whether it is over, once."""
    if not countdown:
        return False
    countdown[0] -= 1
    if countdown[0] >= 0:
        return False
    countdown.clear()
    return True


class Judge:
    """Sees every write, and whether the shard it comes from held the object at that time."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.wrong: list[str] = []
        self._suspect = ""  # wrong if it is carried out
        self.crash_at: list[int] = []  # writes until then
        self.meanwhile: Callable[[str], None] | None = (
            None  # something else, in the middle of a pass
        )
        self.meanwhile_at: list[int] = []
        world.fault = self.look

    def look(self, request: Request, response: Response | None) -> Response | None:
        if request.method == "GET" or self._is_aside(request):
            return None
        if response is not None:
            if self._suspect and response.status < 300:
                self.wrong.append(self._suspect)
            return None
        shard = request.user.rpartition("-")[0].replace("default", "")
        if self.meanwhile is not None and rest(self.meanwhile_at):
            meanwhile, self.meanwhile = self.meanwhile, None
            meanwhile(shard)
        self._suspect = ""
        owner = self._owner_of(request)
        if owner is not None:
            holder = holder_of(owner)
            # An object without a status is the default shard's, as long as it bears no label.
            allowed = shard == (holder if holder is not None else shard_of(owner))
            if request.path.endswith("/status"):
                # To take over from the dead, and to claim what nobody has.
                allowed = allowed or shard == shard_of(owner)
            if not allowed:
                self._suspect = f"{request.user}: {request.method} {request.path}"
        if rest(self.crash_at):
            raise Crash(request.user)
        return None

    def _is_aside(self, request: Request) -> bool:
        return any(f"/{aside}" in request.path for aside in ("leases", "events"))

    def _owner_of(self, request: Request) -> Json | None:
        parts = request.path.removesuffix("/status").split("/")
        by_plural = {r.plural: r for r in PRISM_RESOURCES}
        body = request.body if isinstance(request.body, dict) else {}
        for owner in (body.get("metadata") or {}).get("ownerReferences") or ():
            if owner["apiVersion"] == PRISM_PATTERN.api_version:
                resource = next(r for r in PRISM_RESOURCES if r.kind == owner["kind"])
                return self.world.get(Ref(resource, "default", owner["name"]))
        if parts[-2] in by_plural and request.path.endswith("/status"):
            return self.world.get(Ref(by_plural[parts[-2]], "default", parts[-1]))
        live = self.world.server.handle(Request("GET", request.path, user=ADMIN)).body
        if request.method != "POST" and isinstance(live, dict) and live.get("metadata"):
            for owner in live["metadata"].get("ownerReferences") or ():
                resource = next((r for r in PRISM_RESOURCES if r.kind == owner["kind"]), None)
                if resource is not None:
                    return self.world.get(Ref(resource, "default", owner["name"]))
        return None


def settled(world: World, name: str, shard: str) -> None:
    pattern = world.get(Ref(PRISM_PATTERN, "default", name))
    assert pattern is not None
    assert holder_of(pattern) == shard
    for resource, child in ((DEPLOYMENT, name), (CONFIG_MAP, f"{name}-config")):
        made = world.get(Ref(resource, "default", child))
        assert made is not None, f"{child} is missing"
        assert shard_of(made) == shard
    deployment = world.get(Ref(DEPLOYMENT, "default", name))
    assert deployment is not None
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    assert container["image"] == pattern["spec"]["image"]
    assert SHARD_LABEL not in deployment["spec"]["template"]["metadata"]["labels"]


def test_each_operator_looks_after_the_objects_of_its_shard_and_no_others() -> None:
    world = World()
    judge = Judge(world)
    operators = [an_operator(world, shard) for shard in SHARDS]
    for shard in SHARDS:
        world.create(a_pattern(f"of-{shard or 'default'}", shard=shard))
    world.run(*operators, seconds=10)

    for shard in SHARDS:
        settled(world, f"of-{shard or 'default'}", shard)
        others = [f"of-{s or 'default'}" for s in SHARDS if s != shard]
        written = " ".join(world.writes_of(f"{shard or 'default'}-0"))
        assert not [other for other in others if f"/{other}" in written]
    assert judge.wrong == []


def test_every_shard_has_a_lease_of_its_own() -> None:
    world = World()
    world.run(*[an_operator(world, shard) for shard in SHARDS], seconds=5)

    names = [lease["metadata"]["name"] for lease in world.objects(LEASE)]
    assert sorted(names) == [lease_name_of("prism-operator-leader", shard) for shard in SHARDS]


def test_a_shard_that_nobody_runs_leaves_its_objects_alone() -> None:
    world = World()
    world.create(a_pattern(shard="nowhere"))
    world.run(an_operator(world, ""), an_operator(world, "blue"), seconds=120)

    assert world.get(Ref(DEPLOYMENT, "default", "orders")) is None
    pattern = world.get(ORDERS)
    assert pattern is not None
    assert not pattern.get("status")


@pytest.mark.parametrize(("before", "after"), [("", "blue"), ("blue", ""), ("blue", "green")])
def test_a_move_rolls_nothing_writes_little_and_leaves_the_children_under_their_uids(
    before: str, after: str
) -> None:
    world = World()
    judge = Judge(world)
    operators = [an_operator(world, shard) for shard in SHARDS]
    world.create(a_pattern(shard=before))
    world.run(*operators, seconds=10)
    old = world.get(Ref(DEPLOYMENT, "default", "orders"))
    assert old is not None
    world.writes.clear()

    move(world, ORDERS, after)
    world.run(*operators, seconds=10)
    settled(world, "orders", after)
    new = world.get(Ref(DEPLOYMENT, "default", "orders"))
    assert new is not None
    assert new["metadata"]["uid"] == old["metadata"]["uid"]
    assert new["spec"]["template"] == old["spec"]["template"]
    assert judge.wrong == []
    # The one lets go, the other labels the two children (and takes our create over, once each).
    assert world.writes_of(f"{before or 'default'}-0") == [
        "PATCH " + PRISM_PATTERN.path("default", "orders", "status")
    ]
    assert len(world.writes_of(f"{after or 'default'}-0")) <= 4

    world.writes.clear()
    world.run(*operators, seconds=600)
    assert [w for w in world.writes if w[0] != ADMIN and "/leases" not in w[1].path] == []


def test_a_stack_moves_with_all_that_it_made() -> None:
    world = World()
    judge = Judge(world)
    operators = [an_operator(world, shard) for shard in SHARDS]
    pattern = {
        "name": "queue",
        "type": "consumer",
        "backend": "b",
        "image": "one",
        "config": {"a": 1},
    }
    stack = {
        "apiVersion": PRISM_STACK.api_version,
        "kind": PRISM_STACK.kind,
        "metadata": {"name": "shop", "namespace": "default", "labels": {SHARD_LABEL: "blue"}},
        "spec": {
            "admin": {},
            "patterns": [pattern],
            "backends": [{"name": "b", "type": "cache", "connectionString": "redis://r:6379"}],
        },
    }
    world.create(stack)
    world.run(*operators, seconds=20)
    settled(world, "queue", "blue")

    move(world, Ref(PRISM_STACK, "default", "shop"), "green")
    world.run(*operators, seconds=20)
    settled(world, "queue", "green")
    for resource in PRISM_RESOURCES:
        for obj in world.objects(resource):
            assert holder_of(obj) == shard_of(obj) == "green"
    assert judge.wrong == []
    assert world.writes_of("default-0") == []


def test_who_shall_have_it_waits_for_a_holder_that_lives_and_takes_it_from_a_dead_one() -> None:
    world = World()
    judge = Judge(world)
    blue, green = an_operator(world, "blue"), an_operator(world, "green")
    world.create(a_pattern(shard="blue"))
    world.run(blue, green, seconds=10)

    blue.close()  # killed: its Lease stands for 15 s
    move(world, ORDERS, "green")
    world.edit(ORDERS, {"spec": {"image": "two"}})
    world.run(green, seconds=10)
    pattern = world.get(ORDERS)
    assert pattern is not None
    assert holder_of(pattern) == "blue"

    world.run(green, seconds=10)
    settled(world, "orders", "green")
    assert judge.wrong == []


def test_a_holder_that_stopped_gracefully_is_not_waited_for() -> None:
    world = World()
    blue, green = an_operator(world, "blue"), an_operator(world, "green")
    world.create(a_pattern(shard="blue"))
    world.run(blue, green, seconds=10)
    blue.stop()
    move(world, ORDERS, "green")
    world.run(green, seconds=1)

    settled(world, "orders", "green")


def test_a_label_that_was_already_moved_on_is_not_claimed_by_who_has_not_heard() -> None:
    world = World()
    judge = Judge(world)
    blue, green = an_operator(world, "blue"), an_operator(world, "green")
    world.run(blue, green, seconds=10)
    world.create(a_pattern(shard="blue"))
    # Blue hears of the object, and before it writes anything the label is another.
    for reflector in blue.reflectors:
        reflector.step()
    move(world, ORDERS, "green")
    blue.reconcile_next()
    world.run(green, seconds=0)
    world.run(blue, green, seconds=10)

    settled(world, "orders", "green")
    assert judge.wrong == []


def test_of_another_shards_objects_little_is_kept() -> None:
    world = World()
    operators = [an_operator(world, shard) for shard in ("blue", "green")]
    world.create(a_pattern(shard="blue"))
    world.run(*operators, seconds=10)
    blue, green = (operator.cache for operator in operators)

    for ref in (ORDERS, Ref(DEPLOYMENT, "default", "orders")):
        ours, others = blue.get(ref), green.get(ref)
        assert ours is not None
        assert others is not None
        assert "spec" in ours
        assert "spec" not in others


@pytest.mark.parametrize("seed", range(12))
def test_whatever_moves_and_dies_no_object_has_two_writers_and_all_converge(seed: int) -> None:
    rng = random.Random(seed)
    world = World()
    judge = Judge(world)
    living: dict[str, Operator] = {s: an_operator(world, s, seed=seed) for s in SHARDS}
    names = [f"p{n}" for n in range(4)]
    started = 0

    def run(seconds: float) -> None:
        # Not all are as quick to hear of a change.
        awake = [living[s] for s in SHARDS if s in living and rng.random() < 0.7]
        rng.shuffle(awake)
        try:
            world.run(*awake, seconds=seconds)
        except Crash as crash:
            shard = str(crash).rpartition("-")[0].replace("default", "")
            living.pop(shard).close()

    world.run(*living.values(), seconds=5)
    for name in names:
        world.create(a_pattern(name, shard=rng.choice(SHARDS)))
        run(rng.choice([0, 0, 1]))
    world.run(*living.values(), seconds=5)
    for step in range(30):
        ref = Ref(PRISM_PATTERN, "default", rng.choice(names))
        match rng.randrange(8):
            case 6 | 7 if living:
                # The object moves while somebody is writing for it, and another hears of it first.
                to, quick = rng.choice(SHARDS), rng.choice(sorted(living))

                def meanwhile(
                    writing: str, ref: Ref = ref, to: str = to, quick: str = quick
                ) -> None:
                    move(world, ref, to)
                    if quick != writing:
                        living[quick].step()

                world.edit(ref, {"spec": {"image": f"moved-{step}"}})
                judge.meanwhile, judge.meanwhile_at = meanwhile, [rng.randrange(3)]
            case 0 | 1:
                move(world, ref, rng.choice(SHARDS))
            case 2:
                world.edit(ref, {"spec": {"image": f"image-{step}"}})
            case 3:
                world.delete(Ref(DEPLOYMENT, "default", ref.name)) if world.get(
                    Ref(DEPLOYMENT, "default", ref.name)
                ) else None
            case 4 if living:
                judge.crash_at = [rng.randrange(4)]
            case 5:
                for shard in SHARDS:
                    if shard not in living:
                        started += 1
                        living[shard] = an_operator(world, shard, seed=seed, ordinal=started)
        run(rng.choice([0, 0.5, 3, 20]))
    judge.crash_at, judge.meanwhile = [], None
    for shard in SHARDS:
        if shard not in living:
            started += 1
            living[shard] = an_operator(world, shard, seed=seed, ordinal=started)
    world.run(*living.values(), seconds=90)

    assert judge.wrong == []
    for name in names:
        pattern = world.get(Ref(PRISM_PATTERN, "default", name))
        assert pattern is not None
        settled(world, name, shard_of(pattern))
