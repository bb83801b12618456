"""Whether an operator is to be restarted, does its work, and may lead."""

from __future__ import annotations

import pytest

from prism_operator.api.meta import DEPLOYMENT, LEASE, PRISM_PATTERN, Ref
from prism_operator.runtime.health import PASS_MAX_S, SILENCE_MAX_S, Verdict, WatchFacts, judge
from simulator.apiserver.request import Request, Response

from .world import World

LEASE_REF = Ref(LEASE, "default", "prism-operator-leader")


def verdict(
    *, synced: bool = True, silent_s: float = 0, deaf_s: float = 0, began_s: float = 0
) -> Verdict:
    return judge(
        watches=[WatchFacts("nodes", synced, silent_s, deaf_s)],
        passes_began_s=[began_s] if began_s else [],
        stopping=False,
        now_s=1000,
    )


def test_who_hears_and_is_done_is_well() -> None:
    assert verdict() == Verdict(True, True, True, ())


@pytest.mark.parametrize("ill", [{"silent_s": SILENCE_MAX_S + 1}, {"began_s": 999 - PASS_MAX_S}])
def test_what_hangs_is_to_be_restarted_and_must_not_lead(ill: dict[str, float]) -> None:
    found = verdict(**ill)  # type: ignore[arg-type]

    assert (found.healthy, found.ready, found.fit_to_lead) == (False, False, False)
    assert len(found.reasons) == 1


def test_who_gets_no_answer_must_not_lead_but_a_restart_would_not_help() -> None:
    found = verdict(deaf_s=SILENCE_MAX_S + 1)

    assert (found.healthy, found.ready, found.fit_to_lead) == (True, False, False)
    assert found.reasons == ("nodes: no answer for 601 s",)


def test_a_leader_that_no_longer_hears_of_one_kind_leaves_the_lease_to_another() -> None:
    world = World()
    deaf = world.operator("deaf", leader_elect=True)
    world.run(deaf)
    other = world.operator("other", leader_elect=True, seed=1)

    def cut_off(request: Request, response: Response | None) -> Response | None:
        about = "/deployments" in request.path and request.method == "GET"
        return Response(500, {"message": "no route"}) if request.user == "deaf" and about else None

    world.fault = cut_off
    for reflector in deaf.reflectors:
        if reflector.resource == DEPLOYMENT:
            reflector.close()  # as a connection that breaks
    world.run(deaf, other, seconds=SILENCE_MAX_S - 60)
    assert deaf.leadership.term() is not None

    world.run(deaf, other, seconds=90)
    assert deaf.leadership.term() is None
    assert other.leadership.term() is not None
    assert deaf.verdict().healthy
    assert not deaf.verdict().ready

    # And back when it hears again: it may lead, and stands by.
    world.fault = lambda *_: None
    world.run(deaf, other, seconds=60)
    assert deaf.verdict().ready
    assert other.leadership.term() is not None


def test_a_namespace_whose_role_is_yet_to_come_is_watched_once_it_is_there() -> None:
    world = World()
    operator = world.operator("one", watch_namespaces=("later", "even-later"))
    refused = 0

    def refuse(request: Request, response: Response | None) -> Response | None:
        nonlocal refused
        if response is not None or "/namespaces/" not in request.path:
            return None
        refused += 1
        return Response(403, {"message": "no", "reason": "Forbidden"})

    world.fault = refuse
    world.run(operator, seconds=3600)
    assert not operator.verdict().ready
    assert "no permission to read our own kinds" in operator.verdict().reasons[0]
    assert refused < 2 * 14 * 25, "asked less and less often"

    world.fault = lambda *_: None
    pattern = {
        "apiVersion": PRISM_PATTERN.api_version,
        "kind": PRISM_PATTERN.kind,
        "metadata": {"name": "orders", "namespace": "later"},
        "spec": {"pattern": "consumer", "backend": "nats"},
    }
    world.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "later"}})
    world.create(pattern)
    world.run(operator, seconds=400)
    assert operator.verdict().ready
    assert world.get(Ref(DEPLOYMENT, "later", "orders")) is not None


def test_a_stopped_operator_writes_nothing_more() -> None:
    world = World()
    one = world.operator("one", leader_elect=True)
    world.run(one)
    world.create(
        {
            "apiVersion": PRISM_PATTERN.api_version,
            "kind": PRISM_PATTERN.kind,
            "metadata": {"name": "late", "namespace": "default"},
            "spec": {"pattern": "consumer", "backend": "nats"},
        }
    )
    one.stop()
    world.run(one, seconds=30)

    assert world.writes_of("one") == []
    lease = world.get(LEASE_REF)
    assert lease is not None
    assert lease["spec"]["holderIdentity"] == ""
