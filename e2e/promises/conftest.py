"""The cluster of the promises: pytest-kind's, with our operator installed as the guide says.

With Docker and kind on PATH it is a real kind cluster. Without, ``--kind-bin`` is e2e/kindshim,
a control plane whose pods are scheduled and become Ready but run nothing. ``PRISM_TEST_KUBECONFIG``
names another cluster, such as Docker Desktop's.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from pytest_kind.cluster import KindCluster

from e2e.cluster import Cluster, LocalCluster
from e2e.conftest import docker_answers, kubectl_command
from e2e.kind_shim import directory_of
from e2e.promises.operator import MANAGER, SYSTEM, Operator
from e2e.promises.scaled_pattern import Pattern
from e2e.stacks import IMAGE, NEXT_IMAGE

_ROOT = Path(__file__).parents[2]
_HERE = Path(__file__).parent
_OPERATOR_IMAGE = "prism-operator:e2e"


def pytest_configure(config: pytest.Config) -> None:
    """pytest-kind downloads kind and kubectl of 2022 unless it is told where some are."""
    option = config.option
    if option.cluster_name == "pytest-kind":
        option.cluster_name = "prism-e2e"
    if option.kind_bin is None:
        kind = shutil.which("kind") if docker_answers() else None
        option.kind_bin = kind or str(_ROOT / "e2e" / "kindshim")
    if option.kind_kubectl_bin is None:
        option.kind_kubectl_bin = kubectl_command()[0]


@pytest.fixture(scope="session")
def cluster(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    """The cluster, with the CRDs, RBAC and Deployment of config/default."""
    if named := os.environ.get("PRISM_TEST_KUBECONFIG"):
        found, load = Cluster(Path(named), kubectl_command()), None
    else:
        option = request.config.option
        # pytest-kind would create it with one node; it takes the one that is there.
        KindCluster(
            option.cluster_name,
            image=option.kind_image,
            kind_path=Path(option.kind_bin),
            kubectl_path=Path(option.kind_kubectl_bin),
        ).create(_HERE / "kind.yaml")
        kind: KindCluster = request.getfixturevalue("kind_cluster")
        local = LocalCluster.attach(directory_of(option.cluster_name))
        found = local or Cluster(Path(kind.kubeconfig_path), kubectl_command())
        load = kind.load_docker_image
    if not isinstance(found, LocalCluster):
        _docker("build", f"--tag={_OPERATOR_IMAGE}", str(_ROOT))
        standin = str(_HERE / "standin")
        _docker("build", f"--tag={IMAGE}", f"--tag={NEXT_IMAGE}", standin)
        for image in (_OPERATOR_IMAGE, IMAGE, NEXT_IMAGE):
            if load:
                load(image)
    install(found)
    yield found
    if os.environ.get("PRISM_TEST_KUBECONFIG"):
        make(found, "undeploy", "uninstall", "FORCE=1")


@pytest.fixture
def operator(
    cluster: Cluster, request: pytest.FixtureRequest, tmp_path: Path
) -> Iterator[Operator]:
    """The operator, ready."""
    if "keda_crds" in request.fixturenames:
        # Before the operator starts: a running one notices new kinds within 37.5 s.
        request.getfixturevalue("keda_crds")
    operator = Operator(cluster, tmp_path)
    yield operator.start()
    # Shown by pytest when the test failed.
    print(f"The operator's log:\n{operator.log}")
    operator.stop()


@pytest.fixture
def real_pods(cluster: Cluster) -> None:
    """For what needs a pod to really run."""
    if isinstance(cluster, LocalCluster):
        pytest.skip("needs pods that run (logs, exec, traffic): without Docker none does")


@pytest.fixture
def pattern(cluster: Cluster, namespace: str) -> Pattern:
    """A pattern in a fresh namespace, yet to be applied."""
    return Pattern(cluster, namespace)


def install(cluster: Cluster) -> None:
    """As the guide says, by ``make deploy``."""
    make(cluster, "deploy", f"IMG={_OPERATOR_IMAGE}")
    cluster.wait_for_crds("crd", "--all")
    available = ("wait", "--for=condition=Available", f"deployment/{MANAGER}", "--timeout=120s")
    cluster.kubectl(*available, SYSTEM)


def make(cluster: Cluster, *arguments: str) -> str:
    """What make prints, run against this cluster."""
    environment = {k: v for k, v in cluster.environment().items() if k != "MAKEFLAGS"}
    if isinstance(cluster, LocalCluster):
        folder = cluster.link_kubectl().parent
        environment["PATH"] = f"{folder}:{environment.get('PATH', '')}"
    result = subprocess.run(
        ["make", *arguments],
        cwd=_ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=180,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def _docker(*arguments: str) -> None:
    subprocess.run(["docker", *arguments], check=True, timeout=600)
