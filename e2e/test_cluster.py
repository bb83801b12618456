"""The local control plane keeps the promises the other tests stand on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from e2e import build as build_module
from e2e.build import BuildError, Program, build
from e2e.cluster import ClusterError, KubectlError, LocalCluster, Programs, a_node
from e2e.waiting import eventually, throughout


def test_both_sides_say_the_version_they_were_linked_with(local_cluster: LocalCluster) -> None:
    version = local_cluster.kubectl("version")

    assert "Client Version: v1.37.2" in version
    assert "Server Version: v1.37.2" in version


def test_deployment_becomes_available_and_goes_with_its_pods(
    local_cluster: LocalCluster, namespace: str
) -> None:
    place = f"--namespace={namespace}"
    local_cluster.kubectl("create", "deployment", "web", "--image=web", "--replicas=3", place)
    local_cluster.kubectl("wait", "--for=condition=Available", "deployment/web", place)

    pods = local_cluster.get("pods", place)["items"]
    assert len({pod["spec"]["nodeName"] for pod in pods}) == 3
    assert len({pod["status"]["podIP"] for pod in pods}) == 3

    local_cluster.kubectl("delete", "deployment", "web", place)

    def nothing_left() -> None:
        assert local_cluster.get("replicasets,pods", place)["items"] == []

    eventually(nothing_left)


def test_pod_with_the_annotation_never_becomes_ready(
    local_cluster: LocalCluster, namespace: str
) -> None:
    place = f"--namespace={namespace}"
    annotation = "--annotations=e2e.prism.io/never-ready=true"
    local_cluster.kubectl("run", "broken", "--image=broken", annotation, place)

    def is_pending() -> None:
        assert local_cluster.get("pod", "broken", place)["status"]["phase"] == "Pending"

    throughout(is_pending, for_s=2)


def test_user_may_do_what_rbac_says_and_writes_are_attributed(
    local_cluster: LocalCluster, namespace: str
) -> None:
    place = f"--namespace={namespace}"
    carol = local_cluster.user_kubeconfig("carol", ["devs"])
    with pytest.raises(KubectlError, match='User "carol" cannot create resource "configmaps"'):
        local_cluster.kubectl("create", "configmap", "a", place, kubeconfig=carol)

    local_cluster.kubectl("create", "role", "d", "--verb=create", "--resource=configmaps", place)
    local_cluster.kubectl("create", "rolebinding", "d", "--role=d", "--group=devs", place)
    eventually(lambda: local_cluster.kubectl("create", "configmap", "a", place, kubeconfig=carol))

    codes = [event["responseStatus"]["code"] for event in local_cluster.audit_events("carol")]
    assert set(codes) == {403, 201}


def test_owner_reference_that_blocks_deletion_needs_the_right_to_set_finalizers(
    local_cluster: LocalCluster, namespace: str
) -> None:
    """What OwnerReferencesPermissionEnforcement adds: our RBAC is tested under it."""
    place = f"--namespace={namespace}"
    local_cluster.kubectl("create", "deployment", "owner", "--image=x", "--replicas=0", place)
    uid = local_cluster.get("deployment", "owner", place)["metadata"]["uid"]
    local_cluster.kubectl("create", "role", "maps", "--verb=create", "--resource=configmaps", place)
    local_cluster.kubectl("create", "rolebinding", "m", "--role=maps", "--user=dave", place)
    owned = f"""
        apiVersion: v1
        kind: ConfigMap
        metadata:
          name: owned
          ownerReferences:
          - apiVersion: apps/v1
            kind: Deployment
            name: owner
            uid: {uid}
            blockOwnerDeletion: true
    """
    dave = local_cluster.user_kubeconfig("dave")

    with pytest.raises(KubectlError, match="cannot set blockOwnerDeletion"):
        local_cluster.kubectl("create", "--filename=-", place, stdin=owned, kubeconfig=dave)


def test_restarted_api_server_keeps_its_objects(tmp_path: Path) -> None:
    with LocalCluster.start(tmp_path, kwok=False, controllers=False, scheduler=False) as cluster:
        cluster.kubectl("create", "namespace", "kept")

        cluster.restart("kube-apiserver")

        assert "kept" in cluster.kubectl("get", "namespaces")


def test_cluster_ends_with_the_process_that_started_it(tmp_path: Path) -> None:
    script = (
        "import sys, time\n"
        "from e2e.cluster import LocalCluster\n"
        "LocalCluster.start(sys.argv[1], kwok=False, controllers=False, scheduler=False)\n"
        "print('up', flush=True)\n"
        "time.sleep(600)\n"
    )
    command = [sys.executable, "-c", script, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as starter:
        assert starter.stdout is not None
        assert starter.stdout.readline() == b"up\n"
        cluster = LocalCluster.attach(tmp_path)
        assert cluster is not None
        assert cluster.is_running

        starter.kill()

    def is_gone() -> None:
        assert not cluster.is_running

    eventually(is_gone, within_s=10)


def test_component_that_does_not_start_is_named_with_its_log(tmp_path: Path) -> None:
    programs = Programs.built()
    broken = Programs(
        etcd=programs.etcd, apiserver=(*programs.apiserver, "--nonsense"), kubectl=programs.kubectl
    )

    with pytest.raises(ClusterError, match=r"kube-apiserver ended with 1:\n(.*\n)*.*--nonsense"):
        LocalCluster.start(tmp_path, programs=broken)

    attached = LocalCluster.attach(tmp_path)
    assert attached is None


def test_assets_without_a_program_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ClusterError, match="no program etcd in it"):
        Programs.envtest(tmp_path)


def test_nodes_are_the_ones_asked_for(tmp_path: Path) -> None:
    nodes = [a_node("spot-1", zone="zone-z", labels={"node-lifecycle": "spot"})]
    with LocalCluster.start(tmp_path, nodes=nodes, controllers=False, scheduler=False) as cluster:
        cluster.kubectl("wait", "--for=condition=Ready", "node/spot-1", "--timeout=30s")

        assert "spot-1" in cluster.kubectl("get", "nodes", "--selector=node-lifecycle=spot")


def test_binary_is_built_once_and_again_when_its_source_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = tmp_path / "module"
    module.mkdir()
    (module / "go.mod").write_text("module example.com/hello\n\ngo 1.26\n")
    (module / "go.sum").write_text("")
    source = module / "main.go"
    source.write_text('package main\n\nfunc main() { print("one") }\n')
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    # Go's own cache is what makes this a second, not minutes: it stays where it is.
    monkeypatch.setenv("GOCACHE", os.environ.get("GOCACHE") or str(Path.home() / ".cache/go-build"))
    monkeypatch.setattr(build_module, "_module", lambda program: module)
    hello = Program("hello", "hello", ".", cold_minutes=1)

    binary = build(hello)
    first_built = binary.stat().st_mtime_ns
    build(hello)
    assert binary.stat().st_mtime_ns == first_built

    source.write_text('package main\n\nfunc main() { print("two") }\n')
    build(hello)
    assert subprocess.run([binary], capture_output=True).stderr == b"two"

    source.write_text("package main\n\nfunc main() { nonsense() }\n")
    with pytest.raises(BuildError, match="undefined: nonsense"):
        build(hello)
    assert subprocess.run([binary], capture_output=True).stderr == b"two"


def test_stop_ends_every_component(tmp_path: Path) -> None:
    cluster = LocalCluster.start(tmp_path)
    pids = [pid for pid, _ in cluster._pids.values()]

    cluster.stop()

    assert len(pids) == 5
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, signal.SIG_DFL)
