"""What each write puts on the wire."""

from __future__ import annotations

import socket

import pytest

from prism_operator.adapters.writer import RateLimit
from prism_operator.api.meta import CONFIG_MAP, LEASE, PRISM_STACK, Ref
from prism_operator.ports import Failed, Reason

from .builders import ManualClock, a_config_map, a_status
from .server import Answer

STACK = {
    "apiVersion": "prism.io/v1alpha1",
    "kind": "PrismStack",
    "metadata": {"name": "dev", "namespace": "default", "uid": "u", "resourceVersion": "7"},
}
STACK_PATH = "/apis/prism.io/v1alpha1/namespaces/default/prismstacks"
REF = Ref(PRISM_STACK, "default", "dev")


@pytest.mark.parametrize(
    ("write", "method", "path", "query", "content_type", "body"),
    [
        (
            lambda w: w.create(STACK, "m"),
            *("POST", STACK_PATH, {"fieldManager": "m"}, "application/json", STACK),
        ),
        (
            lambda w: w.apply(STACK, "m", force=False, subresource="status"),
            "PATCH",
            f"{STACK_PATH}/dev/status",
            {"fieldManager": "m", "force": "false"},
            "application/apply-patch+yaml",
            STACK,
        ),
        (
            lambda w: w.replace(STACK, "m"),
            *("PUT", f"{STACK_PATH}/dev", {"fieldManager": "m"}, "application/json", STACK),
        ),
        (
            lambda w: w.replace(STACK, "m", subresource="status"),
            *("PUT", f"{STACK_PATH}/dev/status", {"fieldManager": "m"}, "application/json", STACK),
        ),
        (
            lambda w: w.patch_json(REF, [{"op": "remove", "path": "/x"}], "m"),
            "PATCH",
            f"{STACK_PATH}/dev",
            {"fieldManager": "m"},
            "application/json-patch+json",
            [{"op": "remove", "path": "/x"}],
        ),
        (
            lambda w: w.delete(REF, uid="u"),
            "DELETE",
            f"{STACK_PATH}/dev",
            {},
            "application/json",
            {
                "apiVersion": "v1",
                "kind": "DeleteOptions",
                "preconditions": {"uid": "u"},
                "propagationPolicy": "Background",
            },
        ),
    ],
    ids=["create", "apply status", "replace", "replace status", "patch_json", "delete"],
)
def test_a_write_is_one_raw_request(
    serve, connect_to, write, method, path, query, content_type, body
):
    server = serve(Answer(STACK))

    write(connect_to(server).writer())

    (received,) = server.received
    assert (received.method, received.path, received.query) == (method, path, query)
    assert received.headers["content-type"] == content_type
    assert received.json == body


def test_a_delete_without_uid_is_a_mistake(serve, connect_to):
    with pytest.raises(ValueError, match="PrismStack default/dev: a delete needs the uid"):
        connect_to(serve()).writer().delete(REF, uid="")


def test_a_json_patch_that_does_not_fit_is_a_conflict(serve, connect_to):
    """The server answers 422 to a failed ``test``; but trying again on the new object helps."""
    text = "the server rejected our request due to an error in our request"
    server = serve(Answer(a_status(422, "Invalid", text), 422))

    outcome = connect_to(server).writer().patch_json(REF, [], "m")

    assert outcome == Failed(
        Reason.CONFLICT, "PrismStack default/dev has changed: the JSON patch does not fit it"
    )


def test_a_json_patch_with_an_invalid_result_stays_invalid(serve, connect_to):
    server = serve(Answer(a_status(422, "Invalid", "bad", name="dev"), 422))

    assert connect_to(server).writer().patch_json(REF, [], "m").reason == Reason.INVALID


def test_a_dry_run_validates_fields_strictly(serve, connect_to):
    server = serve(Answer(STACK))

    connect_to(server).writer(dry_run=True).apply(STACK, "m", force=True)

    query = server.received[0].query
    assert (query["dryRun"], query["fieldValidation"]) == ("All", "Strict")


def test_a_call_about_a_lease_is_over_sooner(serve, connect_to, monkeypatch):
    timeouts = []
    original = socket.socket.settimeout
    monkeypatch.setattr(
        socket.socket, "settimeout", lambda s, t: (timeouts.append(t), original(s, t))[1]
    )
    connection = connect_to(serve(script=lambda _: Answer(a_config_map())))
    lease = {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": "l", "namespace": "default"},
    }

    def longest(call):
        timeouts.clear()
        call()
        return max(t for t in timeouts if t is not None)

    writer = connection.writer(lease_timeout_s=3)
    assert longest(lambda: writer.create(a_config_map(), "m")) == 30
    assert longest(lambda: writer.replace(lease, "m")) == 1.5
    reader = connection.reader()
    assert longest(lambda: reader.get(Ref(LEASE, "default", "l"))) == 2.5
    assert longest(lambda: reader.get(Ref(CONFIG_MAP, "default", "a"))) == 30


class TestRateLimit:
    def waits(self, limit, clock, slept, calls):
        before = len(slept)
        for _ in range(calls):
            limit.wait()
        return slept[before:]

    @pytest.fixture
    def clock(self):
        return ManualClock()

    @pytest.fixture
    def slept(self):
        return []

    @pytest.fixture
    def limit(self, clock, slept):
        def sleep(seconds):
            slept.append(round(seconds, 6))
            clock.advance(seconds)

        return RateLimit(10, 3, monotonic_s=clock.monotonic_s, sleep=sleep)

    def test_a_burst_passes_and_then_calls_are_spaced(self, limit, clock, slept):
        assert self.waits(limit, clock, slept, 3) == []
        assert self.waits(limit, clock, slept, 2) == [0.1, 0.1]

    def test_idle_time_gives_at_most_one_burst_back(self, limit, clock, slept):
        self.waits(limit, clock, slept, 5)
        clock.advance(60)

        assert self.waits(limit, clock, slept, 4) == [0.1]

    def test_a_writer_holds_its_calls_back(self, serve, connect_to):
        server = serve(script=lambda _: Answer(STACK))
        writer = connect_to(server).writer(qps=1000, burst=1)

        for _ in range(3):
            writer.create(STACK, "m")

        assert len(server.received) == 3
