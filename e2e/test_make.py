"""The make targets for a local cluster, as a newcomer uses them one after the other."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from e2e.cluster import Programs
from e2e.waiting import eventually

ROOT = Path(__file__).parent.parent
Make = Callable[..., subprocess.CompletedProcess[str]]

STACK_WITH_FINALIZERS = {
    "apiVersion": "prism.io/v1alpha1",
    "kind": "PrismStack",
    "metadata": {
        "name": "shop",
        "namespace": "default",
        "finalizers": ["prism.io/provisioned"],
    },
    "spec": {"proxy": {"replicas": 1}},
}


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    """Runs make with a local cluster of its own; ends that in any case."""
    environment = {
        **{k: v for k, v in os.environ.items() if k not in ("KUBECONFIG", "MAKEFLAGS")},
        "PRISM_CLUSTER_DIRECTORY": str(tmp_path / "cluster"),
        "HOME": os.environ.get("HOME", "/"),
    }

    def run(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["make", *arguments],
            cwd=ROOT,
            env={**environment, **variables},
            capture_output=True,
            text=True,
            timeout=300,
        )

    yield run
    run("cluster-down")


def test_cluster_is_started_used_and_removed_by_make(make: Make, tmp_path: Path) -> None:
    assert "no local cluster runs; start one: make cluster-up" in _refused(
        make("cluster-kubeconfig")
    )

    up = make("cluster-up", "install")
    assert up.returncode == 0, up.stderr
    assert "export KUBECONFIG=" in up.stdout
    server = up.stdout.split("https://")[1].split()[0]
    assert f"Cluster: https://{server} (make cluster-up)" in up.stdout
    assert "prismstacks.prism.io serverside-applied" in up.stdout
    assert "runs already" in make("cluster-up").stdout

    path = make("-s", "cluster-kubeconfig").stdout
    assert path == f"{tmp_path / 'cluster' / 'kubeconfig'}\n"
    kubectl = [str(tmp_path / "cluster" / "bin" / "kubectl"), f"--kubeconfig={path.strip()}"]
    subprocess.run(
        [*kubectl, "create", "--filename=-"], input=json.dumps(STACK_WITH_FINALIZERS),
        text=True, check=True, capture_output=True,
    )  # fmt: skip

    refused = _refused(make("uninstall"))
    assert "1 Prism resources exist" in refused
    assert "prismstacks default/shop" in refused
    assert "make uninstall FORCE=1" in refused

    forced = make("uninstall", "FORCE=1")
    assert forced.returncode == 0, forced.stderr
    assert "Stripped our finalizers from prismstacks default/shop" in forced.stdout

    def crds_are_gone() -> None:
        listed = subprocess.run([*kubectl, "get", "crds"], capture_output=True, text=True)
        assert "prism.io" not in listed.stdout

    eventually(crds_are_gone)
    assert "No CRDs of ours are installed" in make("uninstall").stdout

    down = make("cluster-down")
    assert f"Stopped the local cluster https://{server}" in down.stdout
    assert not (tmp_path / "cluster").exists()


def test_kubeconfig_is_preferred_to_the_local_cluster_and_named_when_missing(make: Make) -> None:
    refused = _refused(make("install", KUBECONFIG="/nowhere/kubeconfig"))

    assert "KUBECONFIG=/nowhere/kubeconfig names none" in refused


@pytest.mark.parametrize("target", ["local-clean", "local-deploy", "local-test"])
def test_local_targets_refuse_a_cluster_that_is_not_local(
    make: Make, tmp_path: Path, target: str
) -> None:
    context = {"name": "prod", "context": {"cluster": "prod", "user": ""}}
    cluster = {"name": "prod", "cluster": {"server": "https://127.0.0.1:1"}}
    config = {"contexts": [context], "clusters": [cluster], "current-context": "prod"}
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(json.dumps({"apiVersion": "v1", "kind": "Config", **config}))
    kubectl = tmp_path / "kubectl"
    kubectl.write_text(f'#!/bin/sh\nexec {shlex.join(Programs.built().kubectl)} "$@"\n')
    kubectl.chmod(0o755)

    path = f"{tmp_path}:{os.environ['PATH']}"
    refused = _refused(make(target, KUBECONFIG=str(kubeconfig), PATH=path))

    assert "current context is no local cluster; start one (make cluster-up" in refused


def test_help_is_what_make_alone_prints(make: Make) -> None:
    printed = make().stdout

    for target in (
        "sim",
        "test",
        "check",
        "cluster-up",
        "install",
        "run",
        "uninstall",
        "deploy",
        "undeploy",
    ):
        assert f"  {target} " in printed


def _refused(result: subprocess.CompletedProcess[str]) -> str:
    assert result.returncode == 2, result.stdout + result.stderr
    assert "Traceback" not in result.stderr
    return result.stderr
