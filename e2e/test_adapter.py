"""The HTTP adapters against a real API server: what they promise about its answers."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
import yaml

from e2e.cluster import Cluster, LocalCluster
from e2e.waiting import eventually
from prism_operator.adapters.connection import (
    CertificateError,
    Connection,
    CredentialError,
    Permission,
    connect,
)
from prism_operator.api.meta import (
    CONFIG_MAP,
    DEPLOYMENT,
    LEASE,
    NODE,
    PRISM_RESOURCES,
    PRISM_STACK,
    SCALED_OBJECT,
    SECRET,
    Json,
    Ref,
    uid_of,
)
from prism_operator.ports import EventType, Failed, Listed, Ok, Outcome, Reason, Watch, WatchEvent

OTHER_UID = "11111111-1111-1111-1111-111111111111"


@pytest.fixture
def connection(cluster: Cluster) -> Iterator[Connection]:
    with closing(connect(str(cluster.kubeconfig))) as connection:
        yield connection


@pytest.fixture
def a_map(namespace: str) -> Callable[..., Json]:
    """Builds a ConfigMap in the test's namespace."""

    def build(name: str = "a", data: Json | None = None, **metadata: object) -> Json:
        return {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": name, "namespace": namespace, **metadata},
            "data": data or {"k": "v"},
        }

    return build


def ok(outcome: Outcome) -> Json:
    assert isinstance(outcome, Ok), outcome
    return outcome.obj


def reason(outcome: Outcome | Listed) -> Reason:
    assert isinstance(outcome, Failed), outcome
    return outcome.reason


def next_events(watch: Watch, count: int) -> list[WatchEvent]:
    events: list[WatchEvent] = []

    def enough() -> None:
        events.extend(watch.poll())
        assert len(events) >= count, (events, watch.ended())

    eventually(enough)
    return events


def end_of(watch: Watch) -> Failed:
    def ended() -> Failed:
        watch.poll()
        failed = watch.ended()
        assert failed is not None, "still running"
        return failed

    return eventually(ended)


def test_the_server_tells_its_version_and_what_it_serves(connection: Connection) -> None:
    assert connection.check_server().startswith("v1.")

    found = connection.capabilities()

    assert found.version == connection.check_server()
    assert found.unknown == frozenset()
    assert {*PRISM_RESOURCES, DEPLOYMENT, LEASE, NODE, SECRET} <= found.served
    assert found.serves(SCALED_OBJECT) is False


class TestWrites:
    def test_create_answers_with_the_object_and_does_not_overwrite(
        self, connection: Connection, a_map: Callable[..., Json]
    ) -> None:
        writer = connection.writer()

        created = ok(writer.create(a_map(), "m"))

        assert (created["kind"], created["apiVersion"]) == ("ConfigMap", "v1")
        assert created["metadata"]["managedFields"][0]["manager"] == "m"
        assert reason(writer.create(a_map(data={"k": "w"}), "m")) == Reason.ALREADY_EXISTS

    def test_create_in_a_namespace_that_does_not_exist(
        self, connection: Connection, a_map: Callable[..., Json]
    ) -> None:
        obj = a_map()
        obj["metadata"]["namespace"] = "no-such-namespace"

        assert reason(connection.writer().create(obj, "m")) == Reason.NOT_FOUND

    def test_create_of_a_kind_that_is_not_installed(
        self, connection: Connection, namespace: str
    ) -> None:
        scaled = {
            "apiVersion": SCALED_OBJECT.api_version,
            "kind": SCALED_OBJECT.kind,
            "metadata": {"name": "a", "namespace": namespace},
        }

        assert reason(connection.writer().create(scaled, "m")) == Reason.NO_KIND

    def test_apply_with_a_uid_never_recreates_what_is_gone(
        self, connection: Connection, a_map: Callable[..., Json], namespace: str
    ) -> None:
        outcome = connection.writer().apply(a_map(uid=OTHER_UID), "m", force=True)

        assert reason(outcome) == Reason.CONFLICT
        absent = connection.reader().get(Ref(CONFIG_MAP, namespace, "a"))
        assert reason(absent) == Reason.NOT_FOUND

    def test_apply_with_a_uid_never_touches_another_object(
        self, connection: Connection, a_map: Callable[..., Json]
    ) -> None:
        created = ok(connection.writer().create(a_map(), "m"))

        outcome = connection.writer().apply(a_map(uid=OTHER_UID), "m", force=True)

        assert reason(outcome) == Reason.UID_MISMATCH
        applied = connection.writer().apply(a_map(uid=uid_of(created)), "n", force=True)
        assert uid_of(ok(applied)) == uid_of(created)

    def test_apply_without_force_yields_to_another_manager(
        self, connection: Connection, a_map: Callable[..., Json]
    ) -> None:
        ok(connection.writer().create(a_map(), "m"))

        outcome = connection.writer().apply(a_map(data={"k": "w"}), "other", force=False)

        assert reason(outcome) == Reason.CONFLICT

    def test_apply_takes_back_a_field_that_left(
        self, connection: Connection, a_map: Callable[..., Json]
    ) -> None:
        writer = connection.writer()
        ok(writer.apply(a_map(data={"stays": "1", "leaves": "2"}), "m", force=True))

        applied = ok(writer.apply(a_map(data={"stays": "1"}), "m", force=True))

        assert applied["data"] == {"stays": "1"}

    def test_apply_to_the_status_leaves_the_spec_alone(
        self, connection: Connection, namespace: str
    ) -> None:
        kind = {"apiVersion": PRISM_STACK.api_version, "kind": PRISM_STACK.kind}
        metadata = {"name": "dev", "namespace": namespace}
        writer = connection.writer()
        created = ok(writer.create({**kind, "metadata": metadata, "spec": {}}, "user"))
        status: Json = {
            **kind,
            "metadata": {**metadata, "uid": uid_of(created)},
            "status": {"observedGeneration": 1},
        }

        applied = ok(writer.apply(status, "s", force=True, subresource="status"))

        assert applied["status"] == {"observedGeneration": 1}
        assert applied["spec"] == created["spec"]
        assert applied["metadata"]["generation"] == created["metadata"]["generation"]

    def test_replace_is_guarded_by_uid_and_resource_version(
        self, connection: Connection, a_map: Callable[..., Json]
    ) -> None:
        writer = connection.writer()
        created = ok(writer.create(a_map(), "m"))
        ok(writer.replace({**created, "data": {"k": "w"}}, "m"))

        assert reason(writer.replace(created, "m")) == Reason.CONFLICT
        assert reason(writer.replace(a_map(uid=OTHER_UID), "m")) == Reason.UID_MISMATCH
        assert reason(writer.replace(a_map("absent"), "m")) == Reason.NOT_FOUND

    def test_a_json_patch_with_a_failing_test_is_a_conflict(
        self, connection: Connection, a_map: Callable[..., Json], namespace: str
    ) -> None:
        writer = connection.writer()
        ok(writer.create(a_map(), "m"))
        ref = Ref(CONFIG_MAP, namespace, "a")

        def patch(expected: str) -> Outcome:
            operations = [
                {"op": "test", "path": "/data/k", "value": expected},
                {"op": "replace", "path": "/data/k", "value": "w"},
            ]
            return writer.patch_json(ref, operations, "m")

        assert reason(patch("something else")) == Reason.CONFLICT
        assert ok(patch("v"))["data"] == {"k": "w"}
        absent = [{"op": "remove", "path": "/data/absent"}]
        assert reason(writer.patch_json(ref, absent, "m")) == Reason.CONFLICT
        invalid = [{"op": "add", "path": "/data/not a key", "value": "x"}]
        assert reason(writer.patch_json(ref, invalid, "m")) == Reason.INVALID

    def test_delete_is_guarded_by_uid_and_resource_version(
        self, connection: Connection, a_map: Callable[..., Json], namespace: str
    ) -> None:
        writer = connection.writer()
        uid = uid_of(ok(writer.create(a_map(), "m")))
        ref = Ref(CONFIG_MAP, namespace, "a")

        assert reason(writer.delete(ref, uid=OTHER_UID)) == Reason.UID_MISMATCH
        assert reason(writer.delete(ref, uid=uid, resource_version="1")) == Reason.CONFLICT
        ok(writer.delete(ref, uid=uid))
        assert reason(writer.delete(ref, uid=uid)) == Reason.NOT_FOUND

    def test_a_dry_run_writes_nothing_and_rejects_unknown_fields(
        self, connection: Connection, a_map: Callable[..., Json], namespace: str
    ) -> None:
        writer = connection.writer(dry_run=True)

        ok(writer.create(a_map(), "m"))
        assert reason(writer.create({**a_map(), "spec": {}}, "m")) == Reason.INVALID

        absent = connection.reader().get(Ref(CONFIG_MAP, namespace, "a"))
        assert reason(absent) == Reason.NOT_FOUND

    def test_what_the_server_says_about_a_secret_is_not_passed_on(
        self, connection: Connection, namespace: str
    ) -> None:
        secret = {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "s", "namespace": namespace},
            "stringData": {"hunter2 hunter2": "x"},
        }

        outcome = connection.writer().create(secret, "m")

        assert outcome == Failed(Reason.INVALID, "Invalid: data[hunter2 hunter2]")


class TestReads:
    def test_a_list_of_more_than_one_page_is_whole(
        self, connection: Connection, a_map: Callable[..., Json], namespace: str
    ) -> None:
        writer = connection.writer()
        names = [f"m-{i:04}" for i in range(520)]

        def create(part: list[str]) -> None:
            for name in part:
                ok(writer.create(a_map(name), "m"))

        threads = [threading.Thread(target=create, args=(names[i::4],)) for i in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        listed = connection.reader().list(CONFIG_MAP, namespace)

        assert isinstance(listed, Listed)
        found = [o["metadata"]["name"] for o in listed.items]
        assert [name for name in found if name.startswith("m-")] == names
        assert {(o["apiVersion"], o["kind"]) for o in listed.items} == {("v1", "ConfigMap")}
        # The resourceVersion is the list's: a watch from there repeats nothing.
        watch = connection.reader().watch(CONFIG_MAP, namespace, listed.resource_version)
        ok(writer.create(a_map("z"), "m"))
        (event,) = next_events(watch, 1)
        assert event.obj["metadata"]["name"] == "z"
        watch.close()

    def test_a_kind_that_is_not_installed_is_told_apart_from_an_empty_list(
        self, connection: Connection, namespace: str
    ) -> None:
        assert reason(connection.reader().list(SCALED_OBJECT)) == Reason.NO_KIND
        assert isinstance(connection.reader().list(PRISM_STACK, namespace), Listed)


class TestWatches:
    def test_events_arrive_as_they_happen(
        self, connection: Connection, a_map: Callable[..., Json], namespace: str
    ) -> None:
        listed = connection.reader().list(CONFIG_MAP, namespace)
        assert isinstance(listed, Listed)
        news = threading.Event()
        reader = connection.reader(notify=news.set)
        watch = reader.watch(CONFIG_MAP, namespace, listed.resource_version)
        writer = connection.writer()

        created = ok(writer.create(a_map(), "m"))
        assert news.wait(10)
        ok(writer.apply(a_map(data={"k": "w"}), "m", force=True))
        ok(writer.delete(Ref(CONFIG_MAP, namespace, "a"), uid=uid_of(created)))

        events = [e for e in next_events(watch, 3) if e.obj["metadata"]["name"] == "a"]
        assert [e.type.value for e in events] == ["ADDED", "MODIFIED", "DELETED"]
        begin_s = time.monotonic()
        watch.close()
        eventually(lambda: _assert_no_thread("watch-configmaps"))
        assert time.monotonic() - begin_s < 2

    def test_the_end_of_its_time_is_told_after_a_bookmark(
        self,
        connection: Connection,
        a_map: Callable[..., Json],
        namespace: str,
    ) -> None:
        """The server sends a last bookmark 2 s before it ends a watch, if something has changed."""
        reader = connection.reader(watch_timeout_s=(8, 8))
        listed = reader.list(CONFIG_MAP, namespace)
        assert isinstance(listed, Listed)
        watch = reader.watch(CONFIG_MAP, namespace, listed.resource_version)
        elsewhere = a_map(f"for-{namespace}")
        elsewhere["metadata"]["namespace"] = "default"
        created = ok(connection.writer().create(elsewhere, "m"))
        ref = Ref(CONFIG_MAP, "default", elsewhere["metadata"]["name"])
        ok(connection.writer().delete(ref, uid=uid_of(created)))
        events: list[WatchEvent] = []

        def is_over() -> None:
            events.extend(watch.poll())
            assert watch.ended() is not None

        eventually(is_over)

        assert watch.ended() == Failed(Reason.TRANSIENT, "the server ended the watch")
        # A minute's bookmark may come before the last one.
        *_, bookmark = (e.obj for e in events if e.type == EventType.BOOKMARK)
        last = bookmark["metadata"]["resourceVersion"]
        assert int(last) > int(created["metadata"]["resourceVersion"])

    def test_a_kind_that_is_not_installed(self, connection: Connection) -> None:
        assert end_of(connection.reader().watch(SCALED_OBJECT, "", "1")).reason == Reason.NO_KIND

    def test_a_restart_of_the_server_ends_a_watch_and_makes_old_versions_gone(
        self, tmp_path: Path
    ) -> None:
        with (
            LocalCluster.start(tmp_path, kwok=False, controllers=False, scheduler=False) as cluster,
            closing(connect(str(cluster.kubeconfig))) as connection,
        ):
            obj = {
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": {"name": "a", "namespace": "default"},
            }
            created = ok(connection.writer().create(obj, "m"))
            version = created["metadata"]["resourceVersion"]
            watch = connection.reader().watch(CONFIG_MAP, "", version)

            cluster.restart("kube-apiserver")

            assert end_of(watch).reason == Reason.TRANSIENT
            assert ok(connection.reader().get(Ref(CONFIG_MAP, "default", "a"))) == created
            again = connection.reader().watch(CONFIG_MAP, "", "1")
            assert end_of(again).reason == Reason.GONE


class TestIdentity:
    @pytest.fixture
    def token_user(
        self, cluster: Cluster, namespace: str, tmp_path: Path
    ) -> Iterator[tuple[Connection, Path]]:
        """A ServiceAccount that may read ConfigMaps of its namespace, by a token file."""
        place = f"--namespace={namespace}"
        cluster.kubectl("create", "serviceaccount", "reader", place)
        cluster.kubectl("create", "role", "r", "--verb=get,list", "--resource=configmaps", place)
        cluster.kubectl(
            "create", "rolebinding", "r", "--role=r", f"--serviceaccount={namespace}:reader", place
        )
        token = tmp_path / "token"
        token.write_text(cluster.kubectl("create", "token", "reader", place))
        path = tmp_path / "kubeconfig"
        document = _document(cluster)
        document["users"][0]["user"] = {"tokenFile": "token"}
        path.write_text(json.dumps(document))
        with closing(connect(str(path))) as connection:
            yield connection, token

    def test_what_a_restricted_token_may_not_do_is_named(
        self, token_user: tuple[Connection, Path], namespace: str
    ) -> None:
        connection, _ = token_user
        wanted = [
            Permission("list", CONFIG_MAP),
            Permission("create", CONFIG_MAP),
            Permission("patch", PRISM_STACK, "status"),
            Permission("list", NODE),
        ]

        def check() -> None:
            missing = connection.check_access(namespace, wanted)
            assert [str(m) for m in missing] == [
                f'cannot create configmaps in namespace "{namespace}"',
                f'cannot patch prismstacks.prism.io/status in namespace "{namespace}"',
                "cannot list nodes",
            ]

        eventually(check)  # RBAC reaches the authorizer after a moment
        assert str(connection.check_access("", wanted)[0]) == (
            "cannot list configmaps in all namespaces"
        )
        assert isinstance(connection.reader().list(CONFIG_MAP, namespace), Listed)
        assert reason(connection.reader().list(SECRET, namespace)) == Reason.FORBIDDEN
        assert end_of(connection.reader().watch(SECRET, "", "1")).reason == Reason.FORBIDDEN

    def test_a_rotated_token_is_read_again_when_the_server_rejects_the_old_one(
        self, token_user: tuple[Connection, Path]
    ) -> None:
        connection, token = token_user
        good = token.read_text()
        token.write_text("not-a-token")
        with pytest.raises(CredentialError, match="does not accept our credential"):
            connection.check_server()

        token.write_text(good + "\n")

        assert connection.check_server().startswith("v1.")

    def test_an_authority_that_is_missing_is_told(self, cluster: Cluster, tmp_path: Path) -> None:
        document = _document(cluster)
        del document["clusters"][0]["cluster"]["certificate-authority-data"]
        path = tmp_path / "kubeconfig"
        path.write_text(json.dumps(document))

        with (
            closing(connect(str(path))) as connection,
            pytest.raises(CertificateError, match="certificate verify failed"),
        ):
            connection.check_server()


def _document(cluster: Cluster) -> Json:
    """The cluster's kubeconfig, reduced to the current context."""
    text = cluster.kubectl("config", "view", "--minify", "--raw")
    document: Json = yaml.safe_load(text)
    return document


def _assert_no_thread(name: str) -> None:
    assert name not in [thread.name for thread in threading.enumerate()]
