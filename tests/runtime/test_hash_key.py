"""The operator's own key: one for all replicas, made once, never shown."""

from __future__ import annotations

import base64

import pytest

from prism_operator.api.meta import SECRET, Json, Ref
from prism_operator.runtime.hash_key import NAME, HashKeyError, obtain_hash_key
from simulator.apiserver.request import Request, Response

from .world import World

REF = Ref(SECRET, "default", NAME)


def obtain(world: World, letter: bytes = b"k", user: str = "operator") -> bytes | None:
    return obtain_hash_key(
        "default",
        reader=world.reader(user),
        writer=world.writer(user),
        make=lambda count: letter * count,
    )


def stored(world: World) -> Json:
    secret = world.get(REF)
    assert secret is not None
    return secret


def a_secret(key: bytes) -> Json:
    data = {"key": base64.b64encode(key).decode()}
    metadata = {"name": NAME, "namespace": "default"}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": data}


def test_the_first_start_makes_a_key_and_every_other_reads_it() -> None:
    world = World()

    assert obtain(world, b"a") == b"a" * 32
    assert obtain(world, b"b", "another") == b"a" * 32
    assert base64.b64decode(stored(world)["data"]["key"]) == b"a" * 32
    assert stored(world)["immutable"]
    assert [user for user, _, _ in world.writes] == ["operator"]


def test_who_loses_the_race_to_make_it_takes_the_winners() -> None:
    world = World()

    def somebody_is_faster(request: Request, response: Response | None) -> None:
        if request.method == "POST" and response is None and world.get(REF) is None:
            world.fault = lambda *_: None
            world.create(a_secret(b"w" * 32))

    world.fault = somebody_is_faster
    assert obtain(world) == b"w" * 32


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_without_the_right_to_it_there_is_none_and_the_log_says_what_follows(
    method: str, capsys: pytest.CaptureFixture[str]
) -> None:
    world = World()
    world.fault = lambda request, response: (
        Response(403, {"message": "no", "reason": "Forbidden"})
        if request.method == method and response is None
        else None
    )

    assert obtain(world) is None
    said = capsys.readouterr().out
    assert "whoever reads pods can test guesses" in said
    assert NAME in said


@pytest.mark.parametrize("secret", [a_secret(b"short"), {**a_secret(b""), "data": {}}])
def test_a_secret_without_a_key_is_named_with_what_to_do(secret: Json) -> None:
    world = World()
    world.create(secret)

    with pytest.raises(HashKeyError, match=rf"{NAME}: data.key is not a key of 32 bytes; restore"):
        obtain(world)
    assert stored(world).get("data", {}) == secret["data"], "nobody's Secret is overwritten"


def test_a_server_in_trouble_is_no_reason_to_go_on_without() -> None:
    world = World()
    world.fault = lambda *_: Response(500, {"message": "etcd is away"})

    with pytest.raises(HashKeyError, match="etcd is away"):
        obtain(world)


def test_the_key_is_in_no_log_line(capsys: pytest.CaptureFixture[str]) -> None:
    world = World()
    obtain(world, b"s")

    said = capsys.readouterr().out
    assert "Made a key" in said
    assert "ssss" not in said
    assert base64.b64encode(b"s" * 32).decode() not in said
