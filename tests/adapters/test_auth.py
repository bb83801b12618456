"""Credentials: token files, exec plugins, client certificates."""

from __future__ import annotations

import json
import tempfile
from base64 import b64encode
from datetime import timedelta

import pytest

from prism_operator.adapters.auth import Credential, ExecPlugin, TokenFile
from prism_operator.adapters.connection import connect
from prism_operator.adapters.errors import CredentialError
from prism_operator.api.meta import CONFIG_MAP
from prism_operator.ports import Failed, Listed, Reason

from .builders import ManualClock, a_status, an_exec_user
from .certificates import AUTHORITY, CLIENT_CERTIFICATE, CLIENT_KEY
from .server import Answer

V1 = "client.authentication.k8s.io/v1"
V1_BETA = "client.authentication.k8s.io/v1beta1"
EMPTY_LIST = {"kind": "ConfigMapList", "metadata": {"resourceVersion": "7"}, "items": []}


@pytest.fixture
def clock():
    return ManualClock()


class TestTokenFile:
    @pytest.fixture
    def path(self, tmp_path):
        path = tmp_path / "token"
        path.write_text("  first \n")
        return path

    def test_a_token_survives_that_its_file_is_gone_for_a_while(self, path, clock):
        source = TokenFile(path, clock)
        source.current()
        path.unlink()

        clock.advance(60)
        assert source.current() == Credential("Bearer first")

        path.write_text("second")
        assert source.current() == Credential("Bearer second")

    @pytest.mark.parametrize("content", ["", "\n"])
    def test_an_empty_file_is_said(self, path, clock, content):
        path.write_text(content)

        with pytest.raises(CredentialError, match=f"token file {path} cannot be read or is empty"):
            TokenFile(path, clock).current()

    @pytest.mark.parametrize("content", ["a b", "a\r\nHost: evil", "ä"])
    def test_what_would_split_the_header_is_refused(self, path, clock, content):
        path.write_text(content)

        with pytest.raises(CredentialError, match="does not hold one token") as caught:
            TokenFile(path, clock).current()

        assert content not in str(caught.value)

    def test_a_rejected_token_that_did_not_change_is_not_tried_again(self, path, serve, connect_to):
        server = serve(Answer(a_status(401, "Unauthorized", "Unauthorized"), 401))

        outcome = connect_to(server, {"tokenFile": str(path)}).reader().list(CONFIG_MAP)

        assert outcome == Failed(Reason.UNAUTHORIZED, "Unauthorized")
        assert len(server.received) == 1

    def test_a_second_401_is_the_outcome(self, path, serve, connect_to):
        def script(received):
            path.write_text("another")
            return Answer(a_status(401, "Unauthorized", "Unauthorized"), 401)

        server = serve(script=script)
        outcome = connect_to(server, {"tokenFile": str(path)}).reader().list(CONFIG_MAP)

        assert outcome == Failed(Reason.UNAUTHORIZED, "Unauthorized")
        assert [r.token for r in server.received] == ["first", "another"]


class TestStatic:
    def test_a_token(self, serve, connect_to):
        server = serve(Answer(EMPTY_LIST))
        connect_to(server, {"token": "t"}).reader().list(CONFIG_MAP)

        assert server.received[0].headers["authorization"] == "Bearer t"

    def test_a_name_and_password(self, serve, connect_to):
        server = serve(Answer(EMPTY_LIST))
        connect_to(server, {"username": "u", "password": "p:ä"}).reader().list(CONFIG_MAP)

        expected = b64encode("u:p:ä".encode()).decode()
        assert server.received[0].headers["authorization"] == f"Basic {expected}"

    def test_nobody_stays_nobody_in_spite_of_a_netrc(
        self, serve, connect_to, tmp_path, monkeypatch
    ):
        netrc = tmp_path / "netrc"
        netrc.write_text("machine 127.0.0.1 login u password p\n")
        netrc.chmod(0o600)
        monkeypatch.setenv("NETRC", str(netrc))
        server = serve(Answer(EMPTY_LIST))

        connect_to(server).reader().list(CONFIG_MAP)

        assert "authorization" not in server.received[0].headers

    def test_a_client_certificate(self, serve, tmp_path, stack):
        server = serve(Answer(EMPTY_LIST)).with_tls(tmp_path, ask_client=True)
        (tmp_path / "cert").write_text(CLIENT_CERTIFICATE)
        user = {
            "client-certificate": "cert",
            "client-key-data": b64encode(CLIENT_KEY.encode()).decode(),
        }
        authority = b64encode(AUTHORITY.encode()).decode()
        connection = connect(
            server.kubeconfig(
                tmp_path / "config", user, **{"certificate-authority-data": authority}
            )
        )
        stack.callback(connection.close)

        assert isinstance(connection.reader().list(CONFIG_MAP), Listed)
        assert server.received[0].certificate_of == "client"


class TestExecPlugin:
    def plugin(self, user, clock=None, cluster=None, terminal=False):
        return ExecPlugin(
            user["exec"], cluster or {}, clock or ManualClock(), is_terminal=lambda: terminal
        )

    @pytest.mark.parametrize("version", [V1, V1_BETA])
    def test_it_gives_a_token_and_is_run_once(self, tmp_path, version):
        count = f"echo run >> {tmp_path}/runs"
        source = self.plugin(an_exec_user(version, script=count, token="t"))

        assert source.current() == source.current() == Credential("Bearer t")
        assert (tmp_path / "runs").read_text() == "run\n"

    def test_it_is_run_again_before_the_credential_expires(self, tmp_path, clock):
        expires = (clock.now() + timedelta(minutes=10)).isoformat().replace("+00:00", "Z")
        user = an_exec_user(
            V1, script=f"echo run >> {tmp_path}/runs", token="t", expirationTimestamp=expires
        )
        source = self.plugin(user, clock)
        source.current()
        clock.advance(569)
        source.current()
        assert (tmp_path / "runs").read_text() == "run\n"

        clock.advance(1)
        source.current()

        assert (tmp_path / "runs").read_text() == "run\nrun\n"

    def test_a_credential_that_is_always_about_to_expire_does_not_run_it_every_time(
        self, tmp_path, clock
    ):
        user = an_exec_user(
            V1,
            script=f"echo run >> {tmp_path}/runs",
            token="t",
            expirationTimestamp="2020-01-01T00:00:00Z",
        )
        source = self.plugin(user, clock)
        for _ in range(20):
            source.current()
            clock.advance(1)

        assert (tmp_path / "runs").read_text() == "run\n" * 2

    def test_a_401_runs_it_again_but_not_with_every_request(self, serve, connect_to, tmp_path):
        clock = ManualClock()
        count = f"echo run >> {tmp_path}/runs"
        server = serve(script=lambda _: Answer(a_status(401, "Unauthorized"), 401))
        reader = connect_to(server, an_exec_user(V1, script=count, token="t"), clock=clock).reader()

        clock.advance(3600)
        for _ in range(5):
            assert reader.list(CONFIG_MAP).reason == Reason.UNAUTHORIZED
        assert (tmp_path / "runs").read_text() == "run\n"

        clock.advance(10)
        reader.list(CONFIG_MAP)

        assert (tmp_path / "runs").read_text() == "run\n" * 2

    def test_a_renewed_token_is_used_at_once(self, serve, connect_to, tmp_path):
        clock = ManualClock()
        (tmp_path / "credential").write_text(self.credential(token="old"))
        user = {
            "exec": {
                "apiVersion": V1,
                "command": "cat",
                "args": [str(tmp_path / "credential")],
                "interactiveMode": "Never",
            }
        }

        def script(received):
            if received.token == "new":  # noqa: S105
                return Answer(EMPTY_LIST)
            return Answer(a_status(401, "Unauthorized"), 401)

        server = serve(script=script)
        reader = connect_to(server, user, clock=clock).reader()
        assert reader.list(CONFIG_MAP).reason == Reason.UNAUTHORIZED
        (tmp_path / "credential").write_text(self.credential(token="new"))
        clock.advance(10)

        assert isinstance(reader.list(CONFIG_MAP), Listed)
        assert [r.token for r in server.received] == ["old", "old", "new"]

    def credential(self, **status):
        return json.dumps({"apiVersion": V1, "kind": "ExecCredential", "status": status})

    def test_it_sees_its_environment_and_the_cluster(self, tmp_path):
        authority = tmp_path / "ca.crt"
        authority.write_text("pem")
        dump = (
            f'printf "%s" "$KUBERNETES_EXEC_INFO" > {tmp_path}/info; echo $REGION > {tmp_path}/env'
        )
        user = an_exec_user(V1, script=dump, token="t")
        user["exec"] |= {
            "provideClusterInfo": True,
            "env": [{"name": "REGION", "value": "eu-1"}],
        }
        cluster = {
            "server": "https://a",
            "certificate-authority": str(authority),
            "extensions": [
                {"name": "client.authentication.k8s.io/exec", "extension": {"audience": "x"}}
            ],
        }

        self.plugin(user, cluster=cluster).current()

        assert (tmp_path / "env").read_text() == "eu-1\n"
        assert json.loads((tmp_path / "info").read_text()) == {
            "apiVersion": V1,
            "kind": "ExecCredential",
            "spec": {
                "interactive": False,
                "cluster": {
                    "server": "https://a",
                    "certificate-authority-data": b64encode(b"pem").decode(),
                    "config": {"audience": "x"},
                },
            },
        }

    def test_it_learns_nothing_of_the_cluster_unless_it_asks(self, tmp_path):
        dump = f'printf "%s" "$KUBERNETES_EXEC_INFO" > {tmp_path}/info'

        self.plugin(an_exec_user(V1, script=dump, token="t"), cluster={"server": "s"}).current()

        assert "cluster" not in json.loads((tmp_path / "info").read_text())["spec"]

    def test_its_client_certificate_is_used(self, serve, tmp_path, stack, monkeypatch):
        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
        (tmp_path / "tmp").mkdir()
        server = serve(Answer(EMPTY_LIST)).with_tls(tmp_path, ask_client=True)
        (tmp_path / "ca.crt").write_text(AUTHORITY)
        user = an_exec_user(V1, clientCertificateData=CLIENT_CERTIFICATE, clientKeyData=CLIENT_KEY)
        connection = connect(
            server.kubeconfig(tmp_path / "config", user, **{"certificate-authority": "ca.crt"})
        )
        stack.callback(connection.close)

        assert isinstance(connection.reader().list(CONFIG_MAP), Listed)
        assert server.received[0].certificate_of == "client"
        files = [path for path in (tmp_path / "tmp").rglob("*") if path.is_file()]
        assert [path.stat().st_mode & 0o777 for path in files] == [0o600, 0o600]

        connection.close()
        assert not list((tmp_path / "tmp").iterdir())

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"command": "no-such-plugin"}, "exec plugin no-such-plugin was not found"),
            (
                {"command": "no-such-plugin", "installHint": "get it from the shop"},
                "was not found; get it from the shop",
            ),
            ({"args": ["-c", "echo denied >&2; exit 3"]}, "exec plugin sh exited with 3: denied"),
            ({"args": ["-c", "echo token-in-output"]}, "did not print an ExecCredential"),
            ({"args": ["-c", "echo '{}'"]}, "did not print an ExecCredential"),
            ({"args": ["-c", """echo '{"apiVersion": 1, "status": 2}'"""]}, "did not print"),
            (
                {"args": ["-c", f"""echo '{{"apiVersion": "{V1}", "status": {{}}}}'"""]},
                "printed neither a token nor a client certificate",
            ),
            (
                {"args": ["-c", f"""echo '{{"apiVersion": "{V1_BETA}", "status": {{}}}}'"""]},
                f"printed {V1_BETA}, expected {V1}",
            ),
        ],
    )
    def test_a_failure_names_the_command_and_shows_no_output(self, change, message):
        user = an_exec_user(V1, token="t")
        user["exec"] |= change

        with pytest.raises(CredentialError, match=message) as caught:
            self.plugin(user).current()

        assert "token-in-output" not in str(caught.value)

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"apiVersion": "client.authentication.k8s.io/v1alpha1"}, "update the plugin"),
            ({"interactiveMode": None}, "interactiveMode None is not one of"),
            ({"interactiveMode": "Always"}, "needs a terminal"),
            ({"args": [1]}, "args that are not a list of strings"),
            ({"env": [{"name": "A"}]}, "env that is not a list of names and values"),
        ],
    )
    def test_what_cannot_work_is_said_before_it_is_run(self, change, message):
        user = an_exec_user(V1, token="t")
        user["exec"] |= change

        with pytest.raises(CredentialError, match=f"exec plugin sh .*{message}"):
            self.plugin(user)

    @pytest.mark.parametrize(
        ("version", "mode", "terminal", "interactive"),
        [
            (V1, "Never", True, False),
            (V1, "IfAvailable", True, True),
            (V1, "IfAvailable", False, False),
            (V1_BETA, None, True, True),
            (V1, "Always", True, True),
        ],
    )
    def test_it_is_told_whether_somebody_can_answer(
        self, tmp_path, version, mode, terminal, interactive
    ):
        dump = f'printf "%s" "$KUBERNETES_EXEC_INFO" > {tmp_path}/info'
        user = an_exec_user(version, script=dump, token="t")
        user["exec"]["interactiveMode"] = mode

        self.plugin(user, terminal=terminal).current()

        spec = json.loads((tmp_path / "info").read_text())["spec"]
        assert spec["interactive"] is interactive

    def test_a_failing_plugin_is_an_outcome_of_the_call(self, serve, connect_to):
        user = an_exec_user(V1, script="exit 1", token="t")

        outcome = connect_to(serve(), user).reader().list(CONFIG_MAP)

        assert outcome.reason == Reason.UNAUTHORIZED
        assert "exec plugin sh exited with 1" in outcome.message
