"""Reaching the server, what it serves, and what we may do."""

from __future__ import annotations

import pytest

from prism_operator.adapters.connection import (
    CertificateError,
    ConnectError,
    CredentialError,
    Missing,
    Permission,
    UnreachableError,
    connect,
)
from prism_operator.adapters.metrics import PrometheusMetrics
from prism_operator.api.meta import CONFIG_MAP, DEPLOYMENT, LEASE, NODE, SCALED_OBJECT, SECRET

from .builders import a_status
from .certificates import AUTHORITY
from .server import Answer, ScriptedServer, write_kubeconfig

VERSION = Answer({"major": "1", "minor": "37", "gitVersion": "v1.37.2"})


class TestCheckServer:
    def test_the_version_is_told(self, serve, connect_to):
        server = serve(VERSION)
        connection = connect_to(server)

        assert connection.check_server() == "v1.37.2"
        assert (connection.server, connection.context) == (server.url, "test")

    def test_nobody_listens(self, connect_to):
        server = ScriptedServer()
        server._http.server_close()

        with pytest.raises(UnreachableError) as caught:
            connect_to(server).check_server()

        expected = f'server {server.url} (context "test"): does not answer: Connection refused'
        assert str(caught.value) == expected

    @pytest.mark.parametrize(
        ("answer", "error", "message"),
        [
            (None, UnreachableError, "does not answer"),
            (Answer(b"<html>", 200, "text/html"), UnreachableError, "as an API server: HTTP 200"),
            (Answer(b"", 404, "text/plain"), UnreachableError, "HTTP 404"),
            (Answer({"hello": "world"}), UnreachableError, "is not an API server"),
            (Answer(a_status(401, "Unauthorized"), 401), CredentialError, "HTTP 401"),
            (Answer(a_status(403, "Forbidden", "not you"), 403), CredentialError, "not you"),
        ],
    )
    def test_something_else_answers(self, serve, connect_to, answer, error, message):
        with pytest.raises(error, match=message):
            connect_to(serve(answer)).check_server()


class TestTls:
    @pytest.fixture
    def server(self, serve, tmp_path):
        (tmp_path / "ca.crt").write_text(AUTHORITY)
        return serve(script=lambda _: VERSION).with_tls(tmp_path)

    def version(self, stack, tmp_path, **cluster):
        path = write_kubeconfig(tmp_path / "config", cluster=cluster, user={})
        connection = connect(str(path))
        stack.callback(connection.close)
        return connection.check_server()

    def test_the_authority_of_the_kubeconfig_is_trusted(self, server, stack, tmp_path):
        cluster = {"server": server.url, "certificate-authority": "ca.crt"}

        assert self.version(stack, tmp_path, **cluster) == "v1.37.2"

    def test_an_unknown_authority_is_refused(self, server, stack, tmp_path):
        with pytest.raises(CertificateError, match=r"not accepted: .*certificate verify failed"):
            self.version(stack, tmp_path, server=server.url)

    def test_another_name_is_refused(self, server, stack, tmp_path):
        url = server.url.replace("127.0.0.1", "localhost")
        cluster = {"server": url, "certificate-authority": "ca.crt"}

        with pytest.raises(CertificateError, match="localhost"):
            self.version(stack, tmp_path, **cluster)

    def test_the_name_to_expect_may_be_given(self, server, stack, tmp_path):
        cluster = {
            "server": server.url.replace("127.0.0.1", "localhost"),
            "certificate-authority": "ca.crt",
            "tls-server-name": "api.prism.test",
        }

        assert self.version(stack, tmp_path, **cluster) == "v1.37.2"

    def test_no_check_at_all_only_on_request(self, server, stack, tmp_path):
        cluster = {"server": server.url, "insecure-skip-tls-verify": True}

        assert self.version(stack, tmp_path, **cluster) == "v1.37.2"


def test_a_proxy_of_the_kubeconfig_is_used(serve, stack, tmp_path):
    proxy = serve(VERSION)
    cluster = {"server": "http://api.prism.test:6443", "proxy-url": proxy.url}
    connection = connect(str(write_kubeconfig(tmp_path / "config", cluster=cluster, user={})))
    stack.callback(connection.close)

    assert connection.check_server() == "v1.37.2"
    assert proxy.received[0].headers["host"] == "api.prism.test:6443"


def test_a_redirect_is_not_followed(serve, connect_to):
    other = serve(VERSION)
    server = serve(Answer(b"", 307, headers=(("Location", f"{other.url}/version"),)))

    with pytest.raises(UnreachableError, match="HTTP 307"):
        connect_to(server, {"token": "t"}).check_server()

    assert other.received == []


class TestCapabilities:
    def test_each_group_is_asked_once_and_kinds_are_compared(self, serve, connect_to):
        lists = {
            "/api/v1": Answer(
                {
                    "resources": [
                        {"name": "configmaps", "kind": "ConfigMap"},
                        {"name": "secrets/x", "kind": "Secret"},
                    ]
                }
            ),
            "/apis/apps/v1": Answer(a_status(503, "ServiceUnavailable"), 503),
            "/apis/keda.sh/v1alpha1": Answer(b"404 page not found\n", 404, "text/plain"),
            "/version": VERSION,
        }
        server = serve(script=lambda r: lists[r.path])

        found = connect_to(server).capabilities([SECRET, CONFIG_MAP, DEPLOYMENT, SCALED_OBJECT])

        assert found.version == "v1.37.2"
        assert found.serves(CONFIG_MAP) is True
        assert found.serves(SECRET) is False
        assert found.serves(DEPLOYMENT) is None
        assert found.serves(SCALED_OBJECT) is False
        assert sorted(r.path for r in server.received) == sorted(lists)

    def test_a_server_that_is_down_serves_nobody_knows_what(self, connect_to):
        server = ScriptedServer()
        server._http.server_close()

        found = connect_to(server).capabilities([LEASE])

        assert (found.version, found.serves(LEASE)) == ("", None)


class TestCheckAccess:
    def test_what_is_missing_is_named_with_verb_and_resource(self, serve, connect_to):
        def script(received):
            asked = received.json["spec"]["resourceAttributes"]
            return Answer({"status": {"allowed": asked["verb"] == "get"}})

        server = serve(script=script)
        permissions = [
            Permission("get", SECRET),
            Permission("patch", DEPLOYMENT, "status"),
            Permission("list", NODE),
        ]

        missing = connect_to(server).check_access("prod", permissions)

        assert missing == (Missing(permissions[1], "prod"), Missing(permissions[2], "prod"))
        assert [str(m) for m in missing] == [
            'cannot patch deployments.apps/status in namespace "prod"',
            "cannot list nodes",
        ]
        assert str(Missing(permissions[0], "")) == "cannot get secrets in all namespaces"
        assert server.received[1].json == {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {
                "resourceAttributes": {
                    "namespace": "prod",
                    "verb": "patch",
                    "group": "apps",
                    "resource": "deployments",
                    "subresource": "status",
                    "name": "",
                }
            },
        }
        assert server.received[2].json["spec"]["resourceAttributes"]["namespace"] == ""

    def test_a_server_that_cannot_tell_is_an_error(self, serve, connect_to):
        server = serve(Answer(a_status(403, "Forbidden", "no reviews"), 403))

        with pytest.raises(ConnectError, match="cannot ask for our permissions: no reviews"):
            connect_to(server).check_access("", [Permission("get", SECRET)])


def test_every_request_is_counted_with_its_code(serve, connect_to):
    metrics = PrometheusMetrics()
    server = serve(Answer(a_status(403, "Forbidden"), 403), None)
    reader = connect_to(server, on_request=metrics.requested).reader()

    reader.list(CONFIG_MAP)
    reader.list(CONFIG_MAP)

    host = server.url.removeprefix("http://")
    text = metrics.expose().decode()
    for code in ("403", "<error>"):
        line = f'rest_client_requests_total{{code="{code}",host="{host}",method="GET"}} 1.0'
        assert line in text
