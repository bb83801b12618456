"""kubectl's rules for which server, and as whom."""

from __future__ import annotations

import os

import pytest
import yaml

from prism_operator.adapters.connection import connect
from prism_operator.adapters.errors import ConnectError, KubeconfigError
from prism_operator.adapters.kubeconfig import find_target

from .server import write_kubeconfig

SERVER = {"server": "https://a:6443"}


@pytest.fixture
def no_service_account(tmp_path):
    return tmp_path / "none"


def find(kubeconfig=None, context=None, *, account, **environ):
    return find_target(kubeconfig, context, environ=environ, service_account=account)


class TestWhichFile:
    def test_the_named_file_comes_before_the_environment(self, tmp_path, no_service_account):
        named = write_kubeconfig(tmp_path / "named", cluster=SERVER, user={})
        other = write_kubeconfig(tmp_path / "other", cluster={"server": "https://b"}, user={})

        target = find(str(named), account=no_service_account, KUBECONFIG=str(other))

        assert target.server == "https://a:6443"

    def test_the_home_directory_comes_last(self, tmp_path, no_service_account):
        write_kubeconfig(tmp_path / ".kube" / "config", cluster=SERVER, user={})

        target = find(account=no_service_account, HOME=str(tmp_path), KUBECONFIG="")

        assert (target.server, target.context) == ("https://a:6443", "test")

    def test_files_are_merged_and_the_first_to_say_something_wins(
        self, tmp_path, no_service_account
    ):
        first = tmp_path / "first"
        first.write_text(
            yaml.safe_dump(
                {
                    "contexts": [{"name": "test", "context": {"cluster": "test", "user": "mine"}}],
                    "users": [{"name": "mine", "user": {"token": "t"}}],
                    "clusters": None,
                }
            )
        )
        second = write_kubeconfig(tmp_path / "second", cluster=SERVER, user={"token": "u"})
        listed = os.pathsep.join([str(tmp_path / "missing"), str(first), "", str(second)])

        target = find(account=no_service_account, KUBECONFIG=listed)

        assert target.server == "https://a:6443"  # only the second has it
        assert target.user == {"token": "t"}  # both have it
        assert target.context == "test"  # only the second says which is current

    def test_the_first_current_context_wins(self, tmp_path, no_service_account):
        first = write_kubeconfig(tmp_path / "first", cluster=SERVER, user={})
        second = tmp_path / "second"
        second.write_text("current-context: other\ncontexts: [{name: other, context: {}}]")

        target = find(account=no_service_account, KUBECONFIG=f"{first}{os.pathsep}{second}")

        assert target.context == "test"

    def test_paths_are_relative_to_the_file_they_stand_in(self, tmp_path, no_service_account):
        (tmp_path / "deep").mkdir()
        (tmp_path / "deep" / "ca.crt").write_text("pem")
        path = write_kubeconfig(
            tmp_path / "deep" / "config",
            cluster={**SERVER, "certificate-authority": "ca.crt"},
            user={"tokenFile": "../token", "exec": {"command": "./bin/plugin"}},
        )

        target = find(str(path), account=no_service_account)

        assert target.cluster["certificate-authority"] == str(tmp_path / "deep" / "ca.crt")
        assert target.user["tokenFile"] == str(tmp_path / "deep" / "../token")
        assert target.user["exec"]["command"] == str(tmp_path / "deep" / "bin" / "plugin")

    def test_a_bare_command_is_looked_up_in_the_path(self, tmp_path, no_service_account):
        path = write_kubeconfig(
            tmp_path / "config", cluster=SERVER, user={"exec": {"command": "aws"}}
        )

        assert find(str(path), account=no_service_account).user["exec"]["command"] == "aws"


class TestInCluster:
    @pytest.fixture
    def service_account(self, tmp_path):
        folder = tmp_path / "serviceaccount"
        folder.mkdir()
        for name in ("token", "ca.crt", "namespace"):
            (folder / name).write_text(f"{name}\n")
        return folder

    @pytest.mark.parametrize(
        ("host", "url"),
        [("10.0.0.1", "https://10.0.0.1:443"), ("fd00::1", "https://[fd00::1]:443")],
    )
    def test_the_service_account_is_used_when_there_is_no_kubeconfig(
        self, tmp_path, service_account, host, url
    ):
        target = find(
            account=service_account,
            HOME=str(tmp_path),
            KUBERNETES_SERVICE_HOST=host,
            KUBERNETES_SERVICE_PORT="443",
        )

        assert (target.server, target.context) == (url, "in-cluster")
        assert target.namespace == "namespace"
        assert target.user == {"tokenFile": str(service_account / "token")}

    def test_a_kubeconfig_comes_first(self, tmp_path, service_account):
        path = write_kubeconfig(tmp_path / "config", cluster=SERVER, user={})

        target = find(account=service_account, KUBECONFIG=str(path), KUBERNETES_SERVICE_HOST="x")

        assert target.context == "test"

    def test_without_the_environment_of_a_pod_the_message_says_so(self, tmp_path, service_account):
        with pytest.raises(KubeconfigError, match=r"KUBERNETES_SERVICE_HOST .* is not set"):
            find(account=service_account, HOME=str(tmp_path))


class TestErrorsForPeople:
    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("current-context: test\n  secret: [x", "is not YAML in line 2, column 9"),
            ("a: \x01", "is not YAML"),
            ("- a", "expected a mapping, found something else"),
            ("users: {}\nclusters: 3", "clusters: expected a list"),
            ("clusters: [{cluster: {}}]", r"clusters\[0\]: expected a name and a cluster"),
            ("users: [{name: a, user: 1}]", r"users\[0\]: expected a name and a user"),
            ("", r"no current context; choose one of \[\] with --context"),
        ],
    )
    def test_a_broken_file_is_named_with_the_place(
        self, tmp_path, no_service_account, text, message
    ):
        path = tmp_path / "config"
        path.write_text(text)

        with pytest.raises(KubeconfigError, match=message) as caught:
            find(str(path), account=no_service_account)

        assert str(path) in str(caught.value)
        assert "secret" not in str(caught.value)

    @pytest.mark.parametrize(
        ("cluster", "user", "message"),
        [
            ({}, {}, "server: expected an http or https URL, found None"),
            ({"server": "a:6443"}, {}, "expected an http or https URL, found 'a:6443'"),
            (
                {**SERVER, "certificate-authority": "x", "insecure-skip-tls-verify": True},
                {},
                "exclude each other",
            ),
            (
                {**SERVER, "certificate-authority": "x"},
                {},
                "certificate authority .*x does not exist",
            ),
            ({**SERVER, "certificate-authority-data": "%"}, {}, "authority-data: is not base64"),
            (
                SERVER,
                {"client-certificate": "x"},
                "client-certificate and client-key belong together",
            ),
            (SERVER, {"auth-provider": {"name": "gcp"}}, "auth-provider is not supported"),
            (SERVER, {"as": "somebody"}, r"impersonation \(as\) is not supported"),
            (SERVER, {"token": 5}, "token: expected a string"),
            (SERVER, {"token": "two words"}, "the token does not hold one token without spaces"),
            (SERVER, {"exec": "aws"}, "exec: expected a mapping"),
            (SERVER, {"exec": {}}, "command is missing"),
        ],
    )
    def test_what_cannot_be_used_is_refused_by_name(self, tmp_path, cluster, user, message):
        path = write_kubeconfig(tmp_path / "config", cluster=cluster, user=user)

        with pytest.raises(ConnectError, match=message) as caught:
            connect(str(path), environ={})

        assert 'context "test"' in str(caught.value)

    @pytest.mark.parametrize(
        ("context", "message"),
        [
            ("nope", r'context "nope" does not exist; contexts are \[bad, test\]'),
            ("bad", r'context "bad": cluster "gone" does not exist; clusters are \[test\]'),
        ],
    )
    def test_a_missing_name_lists_those_there_are(
        self, tmp_path, no_service_account, context, message
    ):
        path = write_kubeconfig(tmp_path / "config", cluster=SERVER, user={})
        document = yaml.safe_load(path.read_text())
        document["contexts"].append({"name": "bad", "context": {"cluster": "gone"}})
        path.write_text(yaml.safe_dump(document))

        with pytest.raises(KubeconfigError, match=message):
            find(str(path), context, account=no_service_account)

    def test_a_file_that_does_not_exist(self, no_service_account):
        with pytest.raises(KubeconfigError, match=r"kubeconfig /no/such does not exist"):
            find("/no/such", account=no_service_account)

    def test_a_folder(self, tmp_path, no_service_account):
        with pytest.raises(KubeconfigError, match="Is a directory"):
            find(str(tmp_path), account=no_service_account)

    def test_no_configuration_at_all(self, tmp_path, no_service_account):
        with pytest.raises(KubeconfigError, match=r"no kubeconfig: .*/.kube/config does not exist"):
            find(account=no_service_account, HOME=str(tmp_path))
