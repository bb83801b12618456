"""The make targets for a local cluster, as a newcomer uses them one after the other."""

from __future__ import annotations

import json
import os
import re
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


@pytest.mark.parametrize(
    ("target", "variables", "commands"),
    [
        (
            "docker-build",
            {"IMG": "registry:5000/op:dev"},
            ["docker build --tag registry:5000/op:dev --label …version=dev --label … ."],
        ),
        ("docker-push", {"IMG": "op:dev"}, ["docker push op:dev"]),
        ("docker-build-local", {}, ["docker build --tag prism-operator:local ."]),
        ("kind-create", {}, ["kind create cluster --name prism-dev"]),
        ("kind-delete", {}, ["kind delete cluster --name prism-dev"]),
    ],
)
def test_targets_that_need_docker_call_it(
    make: Make, tmp_path: Path, target: str, variables: dict[str, str], commands: list[str]
) -> None:
    calls = tmp_path / "calls"
    for program in ("docker", "kind"):
        stand_in = tmp_path / program
        stand_in.write_text(f'#!/bin/sh\necho "{program} $*" >>{calls}\n')
        stand_in.chmod(0o755)

    done = make(target, **variables, PATH=f"{tmp_path}:{os.environ['PATH']}")

    assert done.returncode == 0, done.stderr
    called = re.sub(r"org\.opencontainers\.image\.", "…", calls.read_text())
    assert re.sub(r"…revision=[0-9a-f]{40}", "…", called).splitlines() == commands


def test_a_sample_is_deployed_tried_and_cleaned_on_a_local_cluster(
    make: Make, tmp_path: Path
) -> None:
    assert make("cluster-up").returncode == 0
    deployed = make("local-deploy")
    assert deployed.returncode == 0, deployed.stderr
    command = [str(tmp_path / "cluster" / "bin" / "kubectl"), "get", "deployment"]
    config = {**os.environ, "KUBECONFIG": str(tmp_path / "cluster" / "kubeconfig")}

    def image() -> str:
        place = ("--namespace=prism-system", "--output=jsonpath={..containers[0].image}")
        got = subprocess.run(
            [*command, *place], env=config, capture_output=True, text=True, check=True
        )
        return got.stdout

    assert image() == "prism-operator:local"
    tried = make("local-test")
    assert tried.returncode == 0, tried.stderr
    assert "prismstack.prism.io/prism-dev created" in tried.stdout

    cleaned = make("local-clean")
    assert cleaned.returncode == 0, cleaned.stderr
    assert 'prismstack.prism.io "prism-dev" deleted' in cleaned.stdout
    assert image() == ""


def test_help_is_what_make_alone_prints_with_every_target_of_the_memo(make: Make) -> None:
    printed = make().stdout

    of_the_memo = (
        *("manifests", "install", "run", "deploy", "undeploy", "uninstall"),
        *("docker-build", "docker-push", "docker-build-local", "kind-create", "kind-delete"),
        *("local-deploy", "local-run", "local-test", "local-clean", "local-logs"),
        *("test", "test-integration", "test-e2e"),
    )
    for target in ("sim", "check", "cluster-up", *of_the_memo):
        assert f"  {target} " in printed
        assert make("--dry-run", "generate", target).returncode == 0


def _refused(result: subprocess.CompletedProcess[str]) -> str:
    assert result.returncode == 2, result.stdout + result.stderr
    assert "Traceback" not in result.stderr
    return result.stderr
