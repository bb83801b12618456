import random
from collections.abc import Callable

import pytest

from prism_operator.api.meta import LEASE, Json, Ref
from prism_operator.runtime.elector import Elector, LeaseTimes
from prism_operator.runtime.metrics import NoMetrics
from simulator.apiserver.request import Request, Response

from .world import World

TIMES = LeaseTimes(lease_duration_s=15, renew_deadline_s=10, retry_period_s=2)
REF = Ref(LEASE, "default", "lock")


def an_elector(
    world: World, identity: str = "a", is_healthy: Callable[[], bool] = lambda: True
) -> Elector:
    return Elector(
        namespace=REF.namespace,
        name=REF.name,
        identity=identity,
        times=TIMES,
        reader=world.reader(identity),
        writer=world.writer(identity),
        clock=world.clock,
        rng=random.Random(identity),
        metrics=NoMetrics(),
        is_healthy=is_healthy,
        on_change=lambda: None,
    )


def run(world: World, *electors: Elector, seconds: float = 0.0) -> None:
    until_s = world.clock.elapsed_s + seconds
    while True:
        for elector in electors:
            elector.step()
        due = [due_s for e in electors if (due_s := e.next_due_s()) is not None]
        next_s = min(due, default=until_s + 1)
        assert next_s > world.clock.elapsed_s
        if next_s > until_s:
            break
        world.clock.elapsed_s = next_s
    world.clock.elapsed_s = until_s


def lease(world: World) -> Json:
    obj = world.get(REF)
    assert obj is not None
    spec: Json = obj["spec"]
    return spec


def cut_off(world: World, identity: str) -> None:
    """Nothing of this process reaches the server any more."""
    world.fault = lambda request, response: (
        Response(500, {"message": "cut off"})
        if request.user == identity and response is None
        else None
    )


def test_the_first_candidate_leads_and_the_lease_says_so() -> None:
    world = World()
    a = an_elector(world)
    assert a.term() is None
    run(world, a)

    assert a.term() == 1
    assert lease(world)["holderIdentity"] == "a"
    assert lease(world)["leaseDurationSeconds"] == 15
    assert lease(world)["acquireTime"] == lease(world)["renewTime"]


def test_a_second_candidate_waits_while_the_first_renews() -> None:
    world = World()
    a, b = an_elector(world, "a"), an_elector(world, "b")
    run(world, a, b, seconds=120)

    assert a.term() == 1
    assert b.term() is None
    assert lease(world)["leaseTransitions"] == 0


def test_a_leader_that_cannot_renew_stops_at_its_deadline_before_anybody_may_take_over() -> None:
    world = World()
    a, b = an_elector(world, "a"), an_elector(world, "b")
    run(world, a, b, seconds=20)
    cut_off(world, "a")
    lost_at = taken_at = None
    for _ in range(4000):
        run(world, a, b, seconds=0.01)
        assert not (a.term() and b.term())
        if a.term() is None:
            lost_at = lost_at or world.clock.elapsed_s
        if b.term() is not None:
            taken_at = taken_at or world.clock.elapsed_s
    assert lost_at is not None
    assert taken_at is not None
    assert 8 <= lost_at - 20 <= 10.1
    # Whoever takes over saw the lease unchanged for its whole duration.
    assert taken_at - 18 >= 15
    assert taken_at - lost_at >= TIMES.lease_duration_s - TIMES.renew_deadline_s - 0.1
    assert lease(world)["leaseTransitions"] == 1


def test_nothing_may_be_written_after_the_deadline_even_if_no_step_was_made() -> None:
    world = World()
    a = an_elector(world)
    run(world, a)
    world.clock.advance(9.9)
    assert a.may_write(1)

    world.clock.advance(0.1)
    assert not a.may_write(1)


def test_what_was_planned_in_an_earlier_term_may_not_be_written_in_the_next() -> None:
    world = World()
    a = an_elector(world)
    run(world, a)
    world.clock.advance(60)
    run(world, a)

    assert a.term() == 2
    assert not a.may_write(1)
    assert a.may_write(2)


def test_a_renewal_whose_answer_was_lost_does_not_cost_the_lease() -> None:
    world = World()
    a = an_elector(world)
    run(world, a)

    def lose_one_answer(request: Request, response: Response | None) -> Response | None:
        if request.method == "PUT" and response is not None:
            world.fault = lambda *_: None
            return Response(504, {"message": "gateway timeout"})
        return None

    world.fault = lose_one_answer
    run(world, a, seconds=30)
    assert a.term() == 1


def test_somebody_elses_edit_of_the_lease_does_not_cost_it() -> None:
    world = World()
    a = an_elector(world)
    run(world, a)
    world.edit(REF, {"metadata": {"annotations": {"note": "hello"}}})
    run(world, a, seconds=4)

    assert a.term() == 1


def test_a_lease_that_was_taken_away_is_noticed_with_the_next_renewal() -> None:
    world = World()
    a = an_elector(world)
    run(world, a)
    world.edit(REF, {"spec": {"holderIdentity": "somebody"}})
    run(world, a, seconds=2)

    assert a.term() is None


def test_a_deleted_lease_is_made_anew_in_a_new_term() -> None:
    world = World()
    a = an_elector(world)
    run(world, a)
    world.delete(REF)
    run(world, a, seconds=8)

    assert a.term() == 2
    assert lease(world)["holderIdentity"] == "a"


def test_a_released_lease_is_taken_within_the_retry_period() -> None:
    world = World()
    a, b = an_elector(world, "a"), an_elector(world, "b")
    run(world, a, b, seconds=10)
    a.release()
    assert a.term() is None
    assert lease(world)["holderIdentity"] == ""

    run(world, b, seconds=2.2 * TIMES.retry_period_s)
    assert b.term() == 1
    assert a.next_due_s() is None


def test_a_leader_that_cannot_work_releases_and_does_not_return_while_unwell() -> None:
    world = World()
    healthy = True
    a = an_elector(world, is_healthy=lambda: healthy)
    run(world, a)
    healthy = False
    run(world, a, seconds=30)
    assert a.term() is None
    assert lease(world)["holderIdentity"] == ""

    healthy = True
    run(world, a, seconds=5)
    assert a.term() == 2


@pytest.mark.parametrize("seed", range(20))
def test_a_leader_that_dies_is_followed_within_the_lease_and_one_retry(seed: int) -> None:
    rng = random.Random(seed)
    world = World()
    a = an_elector(world, "a")
    others = [an_elector(world, f"{name}{seed}") for name in "bc"]
    run(world, a, *others, seconds=30 * rng.random() + 10)
    died_s = world.clock.elapsed_s
    while not any(other.term() for other in others):
        run(world, *others, seconds=0.05)
        assert world.clock.elapsed_s - died_s < 60

    failover_s = world.clock.elapsed_s - died_s
    assert failover_s <= TIMES.lease_duration_s + TIMES.retry_period_s + 0.05
    assert a.term() is None
    assert sum(other.term() is not None for other in others) == 1


def test_clocks_need_not_agree() -> None:
    world = World()
    a = an_elector(world, "a")
    run(world, a)
    # b began an hour later by everybody's reckoning; what counts is how long it saw no renewal.
    world.clock.advance(3600)
    b = an_elector(world, "b")
    run(world, b, seconds=14)
    assert b.term() is None

    run(world, b, seconds=6)
    assert b.term() == 1


def test_two_candidates_at_the_same_instant_make_one_leader() -> None:
    world = World()
    electors = [an_elector(world, name) for name in "abcde"]
    run(world, *electors)

    assert [e.identity for e in electors if e.term()] == ["a"]


@pytest.mark.parametrize("status", [403, 500, 429])
def test_without_the_lease_nobody_leads(status: int) -> None:
    world = World()
    world.fault = lambda request, response: (
        Response(status, {"message": "no", "reason": {403: "Forbidden"}.get(status, "")})
        if response is None
        else None
    )
    a = an_elector(world)
    run(world, a, seconds=60)

    assert a.term() is None
