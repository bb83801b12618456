"""The stand-in for kind answers as kind does, as far as pytest-kind asks."""

from __future__ import annotations

import subprocess
from pathlib import Path

SHIM = Path(__file__).with_name("kindshim")
CONFIG = Path(__file__).parent / "promises" / "kind.yaml"


def kind(directory: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(SHIM), *arguments], cwd=directory, capture_output=True, text=True, timeout=120
    )


def test_cluster_is_created_listed_used_and_deleted(tmp_path: Path) -> None:
    assert kind(tmp_path, "get", "clusters").stderr == "No kind clusters found.\n"
    kubeconfig = tmp_path / "kubeconfig"
    create = ("create", "cluster", "--name=one", f"--kubeconfig={kubeconfig}")
    try:
        created = kind(tmp_path, *create, f"--config={CONFIG}")
        assert created.returncode == 0, created.stderr

        assert kind(tmp_path, "get", "clusters").stdout == "one\n"
        again = kind(tmp_path, *create)
        assert again.returncode == 1
        assert 'already exist for a cluster with the name "one"' in again.stderr
        told = kind(tmp_path, "get", "kubeconfig", "--name=one").stdout
        assert told == kubeconfig.read_text()
        kubectl = tmp_path / ".pytest-kind" / "one" / "cluster" / "bin" / "kubectl"
        nodes = subprocess.run(
            [str(kubectl), f"--kubeconfig={kubeconfig}", "get", "nodes", "--output=name"],
            capture_output=True,
            text=True,
            check=True,
        )
        assert nodes.stdout.split() == [
            "node/one-control-plane",
            "node/one-worker",
            "node/one-worker2",
            "node/one-worker3",
        ]
        loaded = kind(tmp_path, "load", "docker-image", "--name", "one", "image:1")
        assert "no container runs" in loaded.stdout
    finally:
        deleted = kind(tmp_path, "delete", "cluster", "--name=one")
    assert deleted.returncode == 0
    assert kind(tmp_path, "get", "clusters").stdout == ""


def test_what_it_cannot_do_is_said(tmp_path: Path) -> None:
    unnamed = kind(tmp_path, "create", "cluster", "--name=one")
    assert unnamed.returncode == 2
    assert "--kubeconfig is needed: your own is left alone" in unnamed.stderr

    missing = kind(tmp_path, "load", "docker-image", "--name=none", "image:1")
    assert missing.returncode == 1
    assert missing.stderr == 'ERROR: no nodes found for cluster "none"\n'
    assert kind(tmp_path, "delete", "clusters").returncode == 2
