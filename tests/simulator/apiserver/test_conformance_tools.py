"""The conformance suite itself, without a real server."""

from __future__ import annotations

from e2e.conformance.generate import sequence
from e2e.conformance.normal import Normaliser
from e2e.conformance.sides import FakeSide
from e2e.conformance.steps import Memory, Step
from prism_operator.api.meta import Json

UID = "11111111-2222-4333-8444-555555555555"
OTHER_UID = "99999999-2222-4333-8444-555555555555"


def an_answer(uid: str, version: str, time: str) -> Json:
    meta = {"uid": uid, "resourceVersion": version, "creationTimestamp": time, "namespace": "ns-1"}
    return {"kind": "ConfigMap", "metadata": meta, "data": {"seen": f"object {uid} of ns-1"}}


def test_a_sequence_depends_on_its_seed_alone() -> None:
    assert sequence("1/2", 40) == sequence("1/2", 40)
    assert sequence("1/2", 40) != sequence("1/3", 40)


def test_what_servers_choose_is_numbered_by_appearance() -> None:
    one = Normaliser("ns-1", frozenset())
    other = Normaliser("ns-1", frozenset())

    assert one.value(an_answer(UID, "7", "2026-01-01T00:00:00Z")) == other.value(
        an_answer(OTHER_UID, "900", "2027-01-01T00:00:00Z")
    )
    assert one.value(an_answer(UID, "8", "")) != other.value(an_answer(OTHER_UID, "900", ""))


def test_what_a_request_names_is_compared_as_it_is() -> None:
    normaliser = Normaliser("ns-1", frozenset({UID}))

    assert normaliser.value(UID) == UID
    assert normaliser.value(OTHER_UID) == "<uid 1>"


def test_a_request_is_filled_in_from_what_its_server_showed() -> None:
    memory = Memory()
    memory.learn("configmaps", {"metadata": {"name": "a", "uid": UID, "resourceVersion": "1"}})
    memory.learn("configmaps", {"metadata": {"name": "a", "uid": UID, "resourceVersion": "2"}})

    assert memory.fill({"v": "$rv:configmaps/a", "o": "$oldrv:configmaps/a"}) == {
        "v": "2",
        "o": "1",
    }
    live = {"$live": "configmaps/a", "$merge": {"data": {"k": "v"}}, "$else": {}}
    assert memory.fill(live) == {
        "metadata": {"name": "a", "uid": UID, "resourceVersion": "2"},
        "data": {"k": "v"},
    }


def test_every_generated_request_is_answered() -> None:
    side = FakeSide()
    side.prepare()
    side.watch()
    refused = 0
    for number in range(10):
        side.new_namespace(f"ns-{number}")
        memory = Memory()
        for step in sequence(f"tools/{number}", 50):
            answer = side.send(step, f"ns-{number}", memory)
            assert answer.status, (str(step), answer.body)
            refused += answer.status >= 400

    assert 150 < refused < 400


def test_watches_show_what_a_sequence_did() -> None:
    side = FakeSide()
    side.prepare()
    side.watch()
    side.new_namespace("ns-1")
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}}
    path = "/api/v1/namespaces/$namespace/configmaps"

    side.send(Step("POST", path, "configmaps", "create", body=body), "ns-1", Memory())

    (event,) = side.events("configmaps", "ns-1")
    assert (event["type"], event["object"]["metadata"]["name"]) == ("ADDED", "a")
