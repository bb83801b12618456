"""The cluster that the integration tests run on, and an operator in it.

Which cluster, the first that is there: the one ``PRISM_TEST_KUBECONFIG`` names; kind, when Docker
answers; the programs in ``KUBEBUILDER_ASSETS``; a control plane built from e2e/controlplane. Never
the user's current context: the tests delete what they find.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import structlog
from pytest_kind.cluster import KindCluster

from e2e import keda
from e2e.build import CONTROL_PLANE, build
from e2e.cluster import OPERATORS_GROUP, Cluster, Json, LocalCluster, Programs
from e2e.operator_process import OperatorProcess, grant_operators, operator_kubeconfig
from e2e.stacks import Stack

_ROOT = Path(__file__).parent.parent
_DOCKER_TIMEOUT_S = 10.0


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.integration)


@pytest.fixture(autouse=True)
def _log_of_its_own() -> None:
    """A command that a test ran in this process has its log written to where pytest listened."""
    structlog.reset_defaults()


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A cluster with our CRDs."""
    directory = tmp_path_factory.mktemp("cluster")
    if named := os.environ.get("PRISM_TEST_KUBECONFIG"):
        found = Cluster(Path(named), kubectl_command())
        _install(found)
        yield found
    elif docker_answers() and (kind := shutil.which("kind")):
        # Both paths given: pytest-kind would otherwise download versions of 2022.
        with_kind = KindCluster("prism-test", kind_path=kind, kubectl_path=kubectl_command()[0])
        with_kind.create()
        try:
            found = Cluster(Path(with_kind.kubeconfig_path), kubectl_command())
            _install(found)
            yield found
        finally:
            with_kind.delete()
    else:
        assets = os.environ.get("KUBEBUILDER_ASSETS")
        programs = Programs.envtest(Path(assets)) if assets else Programs.built()
        with LocalCluster.start(directory, programs=programs, audit=True) as local:
            _install(local)
            yield local
            # The tests are green for other reasons too: nothing that was tried may lack its right.
            denied = [event["requestURI"] for event in _denied(local)]
            assert not denied, f"the generated roles do not allow: {denied}"


@pytest.fixture
def local_cluster(cluster: Cluster) -> LocalCluster:
    """The cluster, when it is ours: with an audit log, users at will, components to restart."""
    if not isinstance(cluster, LocalCluster):
        pytest.skip("needs the local control plane (audit log, users); another cluster was given")
    return cluster


@pytest.fixture
def namespace(cluster: Cluster, request: pytest.FixtureRequest) -> Iterator[str]:
    """A fresh namespace, deleted at the end."""
    listed = cluster.kubectl("create", "--filename=-", "--output=name", stdin=_NAMESPACE)
    name = listed.strip().removeprefix("namespace/")
    yield name
    cluster.kubectl("delete", "namespace", name, "--wait=false")


@pytest.fixture
def stack(cluster: Cluster, namespace: str) -> Stack:
    """A stack in a fresh namespace, yet to be applied."""
    return Stack(cluster, namespace)


@pytest.fixture
def keda_crds(cluster: Cluster) -> Iterator[None]:
    """KEDA's CRDs for the length of a test: others need a cluster without."""
    with keda.installed(cluster):
        yield


@pytest.fixture
def start_operator(cluster: Cluster, tmp_path: Path) -> Iterator[Callable[..., OperatorProcess]]:
    """Starts operators (flags, ``user=``); ends those that still run."""
    if not cluster.has_controllers:
        pytest.skip("needs controllers and nodes; KUBEBUILDER_ASSETS has only an API server")
    running: list[OperatorProcess] = []

    def start(*flags: str, user: str = "prism-operator") -> OperatorProcess:
        if "--leader-elect" not in flags:
            # After a kill the Lease would keep the next one waiting for 15 s.
            flags += ("--no-leader-elect",)
        log = tmp_path / f"operator-{len(running)}.log"
        kubeconfig = operator_kubeconfig(cluster, user)
        for own in (
            f.partition("=")[2] for f in flags if f.startswith("--leader-elect-namespace=")
        ):
            if isinstance(cluster, LocalCluster):
                grant_operators(cluster, own)
        running.append(OperatorProcess(cluster, log, *flags, kubeconfig=kubeconfig))
        return running[-1].wait_until_ready()

    yield start
    for operator in running:
        # Gracefully: the Lease of one that is killed would keep the next test waiting.
        operator.stop()
        # Shown by pytest when the test failed.
        print(f"{operator.log_path}:\n{operator.log_tail(60)}")


@pytest.fixture
def operator(start_operator: Callable[..., OperatorProcess]) -> OperatorProcess:
    """A ready operator for all namespaces."""
    return start_operator()


_NAMESPACE = """\
apiVersion: v1
kind: Namespace
metadata: {generateName: test-}
"""


def _denied(cluster: LocalCluster) -> list[Json]:
    """What RBAC kept the tests' operators from writing."""
    return [
        event
        for event in cluster.audit_events()
        if OPERATORS_GROUP in event["user"].get("groups", ())
        and event.get("annotations", {}).get("authorization.k8s.io/decision") == "forbid"
    ]


def _install(cluster: Cluster) -> None:
    cluster.install_crds(_ROOT / "crds")


def kubectl_command() -> tuple[str, ...]:
    """The kubectl on PATH, else our own."""
    if found := shutil.which("kubectl"):
        return (found,)
    return (str(build(CONTROL_PLANE)), "kubectl")


def docker_answers() -> bool:
    """Whether containers can be started here."""
    if not shutil.which("docker"):
        return False
    try:
        command = ["docker", "info"]
        return not subprocess.run(
            command, capture_output=True, timeout=_DOCKER_TIMEOUT_S
        ).returncode
    except subprocess.TimeoutExpired:
        return False
