"""KEDA's CRDs, from its Go module: what an API server needs to know of KEDA."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from e2e.build import downloaded
from e2e.cluster import Cluster

MODULE = "github.com/kedacore/keda/v2@v2.21.0"
_CRDS = ("keda.sh_scaledobjects.yaml", "keda.sh_triggerauthentications.yaml")


def crd_files() -> tuple[Path, ...]:
    """The files of ScaledObject and TriggerAuthentication, downloaded once into Go's cache."""
    bases = downloaded(MODULE) / "config" / "crd" / "bases"
    return tuple(bases / name for name in _CRDS)


@contextmanager
def installed(cluster: Cluster) -> Iterator[None]:
    """KEDA's CRDs in the cluster, without KEDA; gone again at the end, with their objects."""
    files = [f"--filename={path}" for path in crd_files()]
    try:
        cluster.install_crds(*crd_files())
        yield
    finally:
        cluster.kubectl("delete", *files, "--ignore-not-found", "--timeout=60s")
