"""The adapters over the in-memory API server: the same outcomes as over the network.

e2e/test_adapter.py tries the same on a real one.
"""

from __future__ import annotations

from contextlib import closing

import pytest

from prism_operator.adapters.connection import Permission, connect_over
from prism_operator.api.meta import CONFIG_MAP, DEPLOYMENT, SCALED_OBJECT, SECRET, Ref, uid_of
from prism_operator.ports import Failed, Listed, Ok, Reason
from simulator.apiserver.server import ApiServer
from simulator.apiserver.transport import InProcessAdapter

from .builders import ManualClock, a_config_map

REF = Ref(CONFIG_MAP, "default", "a")
A_MAP = a_config_map() | {"data": {"k": "v"}}


@pytest.fixture
def connection():
    with closing(connect_over(InProcessAdapter(ApiServer(ManualClock())))) as connection:
        yield connection


@pytest.fixture
def created(connection):
    outcome = connection.writer().create(A_MAP, "m")
    assert isinstance(outcome, Ok)
    return outcome.obj


@pytest.mark.parametrize(
    ("write", "reason"),
    [
        (lambda w: w.create(A_MAP, "m"), Reason.ALREADY_EXISTS),
        (lambda w: w.apply(a_config_map(uid="other"), "m", force=True), Reason.UID_MISMATCH),
        (lambda w: w.apply(a_config_map("b", uid="gone"), "m", force=True), Reason.CONFLICT),
        (
            lambda w: w.apply(A_MAP | {"data": {"k": "w"}}, "other", force=False),
            Reason.CONFLICT,
        ),
        (lambda w: w.replace(a_config_map(uid="other"), "m"), Reason.UID_MISMATCH),
        (lambda w: w.replace(a_config_map(resourceVersion="1"), "m"), Reason.CONFLICT),
        (lambda w: w.replace(a_config_map("b"), "m"), Reason.NOT_FOUND),
        (
            lambda w: w.patch_json(REF, [{"op": "test", "path": "/data/k", "value": "?"}], "m"),
            Reason.CONFLICT,
        ),
        (lambda w: w.delete(REF, uid="other"), Reason.UID_MISMATCH),
        (lambda w: w.delete(Ref(CONFIG_MAP, "default", "b"), uid="u"), Reason.NOT_FOUND),
        (lambda w: w.delete(Ref(SCALED_OBJECT, "default", "b"), uid="u"), Reason.NO_KIND),
    ],
)
def test_a_refused_write_has_its_reason(connection, created, write, reason):
    outcome = write(connection.writer())

    assert isinstance(outcome, Failed)
    assert outcome.reason == reason
    assert connection.reader().get(REF) == Ok(created)


def test_a_watch_goes_on_from_the_last_version(connection, created):
    reader, writer = connection.reader(), connection.writer()
    listed = reader.list(CONFIG_MAP, "default")
    assert isinstance(listed, Listed)
    assert listed.items == (created,)
    writer.apply(A_MAP | {"data": {"k": "w"}}, "m", force=True)
    writer.delete(REF, uid=uid_of(created))

    watch = reader.watch(CONFIG_MAP, "default", listed.resource_version)

    events = watch.poll()
    assert [e.type.value for e in events] == ["MODIFIED", "DELETED"]
    assert watch.ended() == Failed(Reason.TRANSIENT, "the server ended the watch")
    version = events[-1].obj["metadata"]["resourceVersion"]
    assert reader.watch(CONFIG_MAP, "default", version).poll() == ()


def test_what_is_served_and_allowed_is_told(connection):
    found = connection.capabilities()

    assert found.version == connection.check_server()
    assert (found.serves(DEPLOYMENT), found.serves(SCALED_OBJECT)) == (True, False)
    assert connection.check_access("", [Permission("list", SECRET)]) == ()
