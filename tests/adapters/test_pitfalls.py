"""Each known pitfall of pykube-ng: first that pykube has it, then that our adapter does not.

When a test of the first sort fails, pykube has mended it, and our own way round may go.
"""

from __future__ import annotations

import hashlib
import json
import socket
import stat
import tempfile
import threading
from base64 import b64encode
from contextlib import closing
from pathlib import Path

import pykube
import pytest
import requests

from prism_operator.adapters.connection import connect
from prism_operator.api.meta import CONFIG_MAP, DEPLOYMENT, SCALED_OBJECT, Ref
from prism_operator.ports import Failed, Listed, Ok, Reason

from .builders import (
    ManualClock,
    a_config_map,
    a_status,
    an_event,
    an_exec_user,
    collect,
    end_of,
    eventually,
)
from .certificates import AUTHORITY
from .server import Answer, Stream, write_kubeconfig

EMPTY_LIST = {"kind": "ConfigMapList", "metadata": {"resourceVersion": "7"}, "items": []}
GONE = {"type": "ERROR", "object": a_status(410, "Expired", "too old resource version: 1 (9)")}
LIVE = a_config_map() | {"data": {"kept": "1", "deleted": "2"}}
INLINE = b64encode(AUTHORITY.encode()).decode()
EXEC_V1_USER = an_exec_user("client.authentication.k8s.io/v1", token="from-plugin")


@pytest.fixture
def pykube_to(stack):
    """pykube's own client for a server."""

    def start(server, **kwargs):
        client = pykube.HTTPClient(pykube.KubeConfig.from_url(server.url), **kwargs)
        stack.callback(client.session.close)
        return client

    return start


@pytest.fixture
def service_account(tmp_path, monkeypatch):
    """The folder that a pod's service account is mounted at."""
    folder = tmp_path / "serviceaccount"
    folder.mkdir()
    (folder / "namespace").write_text("prism-system")
    (folder / "ca.crt").write_text(AUTHORITY)
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
    return folder


class TestTokenIsReadOnce:
    @pytest.fixture
    def server(self, serve, tmp_path, service_account, monkeypatch):
        accepted = ["first"]

        def script(received):
            if received.token not in accepted:
                return Answer(a_status(401, "Unauthorized"), 401)
            return Answer(EMPTY_LIST)

        server = serve(script=script).with_tls(tmp_path)
        server.accepted = accepted
        monkeypatch.setenv("KUBERNETES_SERVICE_PORT", server.url.rpartition(":")[2])
        (service_account / "token").write_text("first")
        return server

    def test_pykube_is_unauthorized_after_a_rotation(self, server, service_account, stack):
        client = pykube.HTTPClient(pykube.KubeConfig.from_service_account(str(service_account)))
        stack.callback(client.session.close)
        assert client.get(url="configmaps").status_code == 200

        (service_account / "token").write_text("second")
        server.accepted[:] = ["second"]

        assert client.get(url="configmaps").status_code == 401

    def test_we_read_the_file_again_after_a_401(self, server, service_account, stack, tmp_path):
        connection = connect(service_account=service_account, environ=_in_pod(server, tmp_path))
        stack.callback(connection.close)
        assert isinstance(connection.reader().list(CONFIG_MAP), Listed)

        (service_account / "token").write_text("second\n")
        server.accepted[:] = ["second"]

        assert isinstance(connection.reader().list(CONFIG_MAP), Listed)
        assert [r.token for r in server.received] == ["first", "first", "second"]

    def test_we_read_the_file_again_after_60_s(self, server, service_account, stack, tmp_path):
        clock = ManualClock()
        connection = connect(
            service_account=service_account, environ=_in_pod(server, tmp_path), clock=clock
        )
        stack.callback(connection.close)
        server.accepted[:] = ["first", "second"]
        connection.reader().list(CONFIG_MAP)
        (service_account / "token").write_text("second")

        clock.advance(59)
        connection.reader().list(CONFIG_MAP)
        clock.advance(1)
        connection.reader().list(CONFIG_MAP)

        assert [r.token for r in server.received] == ["first", "first", "second"]

    def test_pykube_dies_of_a_newline_at_the_end(self, server, service_account, stack):
        (service_account / "token").write_text("first\n")
        client = pykube.HTTPClient(pykube.KubeConfig.from_service_account(str(service_account)))
        stack.callback(client.session.close)

        with pytest.raises(ValueError, match="Invalid header value"):
            client.get(url="configmaps")

    def test_we_strip_it(self, server, service_account, stack, tmp_path):
        (service_account / "token").write_text("first\n")
        connection = connect(service_account=service_account, environ=_in_pod(server, tmp_path))
        stack.callback(connection.close)

        assert isinstance(connection.reader().list(CONFIG_MAP), Listed)


def _in_pod(server, home):
    return {
        "KUBERNETES_SERVICE_HOST": "127.0.0.1",
        "KUBERNETES_SERVICE_PORT": server.url.rpartition(":")[2],
        "HOME": str(home),
    }


class TestTimeoutBoundsAWatch:
    def test_pykube_dies_when_a_stream_is_quiet_for_its_timeout(self, serve, pykube_to):
        client = pykube_to(serve(Stream()), timeout=0.1)

        with pytest.raises(requests.ConnectionError, match="timed out"):
            list(pykube.ConfigMap.objects(client).watch())

    def test_we_listen_15_s_longer_than_the_server_was_asked_to_send(
        self, serve, connect_to, monkeypatch
    ):
        timeouts = []
        monkeypatch.setattr(
            "socket.socket.settimeout",
            _recording(timeouts, socket.socket.settimeout),
        )
        server = serve(stream := Stream())
        watch = connect_to(server).reader().watch(CONFIG_MAP, "default", "7")
        stream.send(an_event("ADDED"))
        collect(watch, 1)

        asked_s = int(server.received[0].query["timeoutSeconds"])
        assert 240 <= asked_s <= 300
        assert timeouts[-1] == asked_s + 15
        watch.close()

    def test_silence_beyond_that_ends_the_watch(self, serve, connect_to):
        connection = connect_to(serve(Stream()))
        reader = connection.reader(watch_timeout_s=(1, 1), watch_margin_s=-0.9)
        watch = reader.watch(CONFIG_MAP, "default", "7")

        assert end_of(watch) == Failed(Reason.TRANSIENT, "watch of configmaps: no answer in time")


def _recording(into, original):
    def settimeout(self, value):
        into.append(value)
        original(self, value)

    return settimeout


class TestErrorsInsideAWatch:
    def test_pykube_hands_out_an_error_as_an_object(self, serve, pykube_to):
        client = pykube_to(serve(Stream(GONE).end()))

        (event,) = pykube.ConfigMap.objects(client).watch()

        assert event.type == "ERROR"
        assert isinstance(event.object, pykube.ConfigMap)

    @pytest.mark.parametrize(
        ("status", "reason"),
        [
            (a_status(410, "Expired", "too old resource version"), Reason.GONE),
            (a_status(403, "Forbidden", "no"), Reason.FORBIDDEN),
            (a_status(500, "InternalError", "etcd"), Reason.TRANSIENT),
            ({"kind": "Status"}, Reason.TRANSIENT),
        ],
    )
    def test_we_end_the_watch_with_its_reason(self, serve, connect_to, status, reason):
        stream = Stream(an_event("ADDED"), {"type": "ERROR", "object": status})
        watch = connect_to(serve(stream)).reader().watch(CONFIG_MAP, "", "1")

        (event,) = collect(watch, 1)

        assert event.obj["metadata"]["name"] == "a"
        assert end_of(watch).reason == reason

    def test_pykube_dies_of_a_truncated_line(self, serve, pykube_to):
        client = pykube_to(serve(Stream(b'{"type": "ADD').end()))

        with pytest.raises(json.JSONDecodeError):
            list(pykube.ConfigMap.objects(client).watch())

    @pytest.mark.parametrize(
        "line", [b'{"type": "ADD', b"null", b"[]", b'{"type":"NEW","object":{}}']
    )
    def test_we_watch_again_after_a_line_that_is_no_event(self, serve, connect_to, line):
        stream = Stream(an_event("ADDED"), line).end()
        watch = connect_to(serve(stream)).reader().watch(CONFIG_MAP, "", "1")

        assert len(collect(watch, 1)) == 1
        assert end_of(watch) == Failed(
            Reason.TRANSIENT, "watch of configmaps: a line is no watch event"
        )


class TestNoBookmarksNoPaging:
    def test_pykube_asks_for_neither(self, serve, pykube_to):
        server = serve(Answer(EMPTY_LIST), Stream().end())
        client = pykube_to(server)

        list(pykube.ConfigMap.objects(client))
        list(pykube.ConfigMap.objects(client).watch())

        assert [r.query for r in server.received] == [{}, {"watch": "true"}]

    def test_we_ask_for_both(self, serve, connect_to):
        server = serve(Answer(EMPTY_LIST), Stream().end())
        reader = connect_to(server).reader()

        reader.list(CONFIG_MAP)
        end_of(reader.watch(CONFIG_MAP, "", "7"))

        listed, watched = (r.query for r in server.received)
        assert listed == {"limit": "100"}
        del watched["timeoutSeconds"]
        assert watched == {"watch": "true", "allowWatchBookmarks": "true", "resourceVersion": "7"}


class TestUpdateMerges:
    def test_pykube_brings_a_deleted_key_back(self, serve, pykube_to):
        server = serve(Answer(LIVE))
        obj = pykube.ConfigMap(pykube_to(server), json.loads(json.dumps(LIVE)))

        del obj.obj["data"]["deleted"]
        obj.update()

        assert server.received[0].headers["content-type"] == "application/merge-patch+json"
        assert server.received[0].json["data"] == {"kept": "1", "deleted": "2"}

    def test_we_apply_exactly_the_fields_we_own(self, serve, connect_to):
        server = serve(Answer(LIVE))
        wanted = a_config_map(uid="u-1") | {"data": {"kept": "1"}}

        connect_to(server).writer().apply(wanted, "prism-operator", force=True)

        (received,) = server.received
        assert received.method == "PATCH"
        assert received.path == "/api/v1/namespaces/default/configmaps/a"
        assert received.query == {"fieldManager": "prism-operator", "force": "true"}
        assert received.headers["content-type"] == "application/apply-patch+yaml"
        assert received.json == wanted


class TestAnswersThatRaise:
    def test_pykube_raises_key_error_without_a_content_type(self, serve, pykube_to):
        client = pykube_to(serve(Answer(b"oops", 500, content_type=None)))

        with pytest.raises(KeyError):
            client.raise_for_status(client.get(url="configmaps"))

    def test_we_make_a_typed_outcome_of_it(self, serve, connect_to):
        server = serve(Answer(b"oops", 500, content_type=None))

        assert connect_to(server).reader().list(CONFIG_MAP) == Failed(
            Reason.TRANSIENT, "HTTP 500 with a body of 4 bytes (no content type)"
        )

    def test_pykube_raises_key_error_for_a_deployment_without_status(self):
        with pytest.raises(KeyError):
            _ = pykube.Deployment(None, {"metadata": {"generation": 1}, "spec": {}}).ready

    def test_we_hand_out_the_object_as_it_is(self, serve, connect_to):
        young = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "a"}}

        outcome = connect_to(serve(Answer(young))).reader().get(Ref(DEPLOYMENT, "default", "a"))

        assert outcome == Ok(young)


class TestDeleteWithoutPreconditions:
    def test_pykube_sends_none(self, serve, pykube_to):
        server = serve(Answer(a_status(200, "")))
        pykube.ConfigMap(pykube_to(server), a_config_map(uid="u-1")).delete()

        assert server.received[0].json == {}

    def test_we_send_uid_and_resource_version(self, serve, connect_to):
        server = serve(Answer(a_status(200, "")))
        ref = Ref(CONFIG_MAP, "default", "a")

        connect_to(server).writer().delete(ref, uid="u-1", resource_version="7")

        assert server.received[0].method == "DELETE"
        assert server.received[0].json == {
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "preconditions": {"uid": "u-1", "resourceVersion": "7"},
            "propagationPolicy": "Background",
        }


class TestExecPluginV1:
    def test_pykube_does_not_know_it(self, serve, tmp_path, stack):
        path = serve().kubeconfig(tmp_path / "config", EXEC_V1_USER)
        client = pykube.HTTPClient(pykube.KubeConfig.from_file(path))
        stack.callback(client.session.close)

        with pytest.raises(NotImplementedError, match="v1 not implemented"):
            client.get(url="configmaps")

    def test_we_do(self, serve, connect_to):
        server = serve(Answer(EMPTY_LIST))

        connect_to(server, EXEC_V1_USER).reader().list(CONFIG_MAP)

        assert server.received[0].token == "from-plugin"  # noqa: S105


class TestOneSession:
    def test_pykube_has_one_for_all_threads(self, serve, pykube_to):
        client = pykube_to(serve())

        assert {id(client.session) for _ in range(3)} == {id(client.session)}

    def test_we_have_one_for_each_thread_and_each_watch(self, serve, connect_to):
        server = serve(script=lambda r: Stream() if "watch" in r.query else Answer(EMPTY_LIST))
        reader = connect_to(server).reader()

        def list_twice():
            reader.list(CONFIG_MAP)
            reader.list(CONFIG_MAP)

        watch = reader.watch(CONFIG_MAP, "", "7")
        threads = [threading.Thread(target=list_twice) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        eventually(lambda: len(server.received) == 5)

        ports = sorted(r.client[1] for r in server.received)
        assert len(set(ports)) == 3
        assert sorted(ports.count(port) for port in set(ports)) == [1, 2, 2]
        watch.close()


class TestNamespaceOfTheKubeconfig:
    def test_pykube_looks_only_there(self, serve, tmp_path, stack):
        server = serve(Answer(EMPTY_LIST))
        path = write_kubeconfig(
            tmp_path / "config", cluster={"server": server.url}, user={}, namespace="team"
        )
        client = pykube.HTTPClient(pykube.KubeConfig.from_file(path))
        stack.callback(client.session.close)

        list(pykube.ConfigMap.objects(client))

        assert server.received[0].path == "/api/v1/namespaces/team/configmaps"

    def test_we_look_where_we_are_told(self, serve, tmp_path, stack):
        server = serve(Answer(EMPTY_LIST), Answer(EMPTY_LIST))
        path = write_kubeconfig(
            tmp_path / "config", cluster={"server": server.url}, user={}, namespace="team"
        )
        connection = stack.enter_context(closing(connect(str(path))))

        connection.reader().list(CONFIG_MAP)
        connection.reader().list(CONFIG_MAP, "prod")

        assert [r.path for r in server.received] == [
            "/api/v1/configmaps",
            "/api/v1/namespaces/prod/configmaps",
        ]


class TestDiscoveryForEver:
    @pytest.fixture
    def server(self, serve):
        """Serves KEDA's kinds only from the second time it is asked."""
        asked = []

        def script(received):
            if received.path != "/apis/keda.sh/v1alpha1":
                return Answer({"gitVersion": "v1.37.2", "resources": []})
            asked.append(received)
            found = [{"name": "scaledobjects", "kind": "ScaledObject"}] if len(asked) > 1 else []
            return Answer({"kind": "APIResourceList", "resources": found})

        return serve(script=script)

    def test_pykube_remembers_what_was_not_there(self, server, pykube_to):
        client = pykube_to(server)
        client.resource_list("keda.sh/v1alpha1")

        assert client.resource_list("keda.sh/v1alpha1")["resources"] == []

    def test_we_ask_again(self, server, connect_to):
        connection = connect_to(server)
        assert connection.capabilities([SCALED_OBJECT]).serves(SCALED_OBJECT) is False

        assert connection.capabilities([SCALED_OBJECT]).serves(SCALED_OBJECT) is True


class TestInlineKeysOnDisk:
    def test_pykube_writes_them_where_everybody_may_read(self, tmp_path, monkeypatch):
        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
        path = Path(pykube.config.BytesOrFile(data=INLINE).filename())

        digest = hashlib.md5(AUTHORITY.encode()).hexdigest()  # noqa: S324  pykube's choice
        assert path == tmp_path / f"pykube-ng.{digest}.crt"
        assert path.stat().st_mode & (stat.S_IRGRP | stat.S_IROTH)

    def test_we_write_them_for_ourselves_and_remove_them(self, tmp_path, monkeypatch):
        temporary = tmp_path / "tmp"
        temporary.mkdir()
        monkeypatch.setattr(tempfile, "tempdir", str(temporary))
        user = {"client-certificate-data": INLINE, "client-key-data": INLINE}
        cluster = {"server": "https://127.0.0.1:1", "certificate-authority-data": INLINE}
        path = write_kubeconfig(tmp_path / "config", cluster=cluster, user=user)

        connection = connect(str(path))
        (folder,) = temporary.iterdir()
        files = list(folder.iterdir())
        assert len(files) == 3
        assert {f.stat().st_mode & 0o777 for f in files} == {0o600}
        assert folder.stat().st_mode & 0o777 == 0o700
        connection.close()

        assert not folder.exists()
