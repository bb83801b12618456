"""One cluster with KEDA and our operator, and the servers that patterns are scaled by."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from e2e.backend_servers import Kafka
from e2e.certificates import Authority
from e2e.cluster import LocalCluster
from e2e.keda import Keda
from e2e.operator_process import OperatorProcess, operator_kubeconfig
from e2e.with_keda.story import HPA_SYNC_S

_ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCluster]:
    """A cluster with our CRDs and KEDA, and our operator in it."""
    directory = tmp_path_factory.mktemp("with-keda")
    started = LocalCluster.start(directory / "cluster", audit=True, hpa_sync_s=HPA_SYNC_S)
    with started as cluster:
        cluster.install_crds(_ROOT / "crds")
        Keda(cluster).start()
        log, kubeconfig = directory / "operator.log", operator_kubeconfig(cluster)
        with OperatorProcess(cluster, log, "--no-leader-elect", kubeconfig=kubeconfig) as operator:
            operator.wait_until_ready()
            yield cluster


@pytest.fixture(scope="session")
def authority() -> Authority:
    """Who signs the servers' certificates."""
    return Authority.create()


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory, authority: Authority) -> Iterator[Kafka]:
    """A broker that runs."""
    server = Kafka(tmp_path_factory.mktemp("kafka"), authority)
    server.start()
    yield server
    server.stop()
