"""KEDA, from its Go module: its CRDs, and its programs as processes of a local cluster."""

from __future__ import annotations

import json
import urllib.request
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import yaml

from e2e.aggregation import aggregate, serving_name
from e2e.build import KEDA_ADAPTER, KEDA_OPERATOR, KEDA_WEBHOOKS, build, downloaded
from e2e.certificates import Authority
from e2e.cluster import Cluster, Json, LocalCluster, free_ports
from e2e.operator_process import account_kubeconfig
from e2e.waiting import eventually

MODULE = "github.com/kedacore/keda/v2@v2.21.0"
_CRDS = ("keda.sh_scaledobjects.yaml", "keda.sh_triggerauthentications.yaml")
_NAMESPACE = "keda"
_ACCOUNT = "keda-operator"
_METRICS_SERVER = "keda-metrics-apiserver"
_STARTS_WITHIN_S = 90.0


def crd_files() -> tuple[Path, ...]:
    """The files of ScaledObject and TriggerAuthentication, downloaded once into Go's cache."""
    bases = _config() / "crd" / "bases"
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


class Keda:
    """Operator, metrics adapter and webhook, which end with the cluster.

    The webhook is asked before a ScaledObject is written, and what it cannot answer is refused.
    The adapter's and the webhook's ports are open on all interfaces: only the ports can be chosen.
    """

    def __init__(self, cluster: LocalCluster) -> None:
        self._cluster = cluster
        self._authority = Authority.create()
        self._certificates = cluster.directory / "keda"
        self._kubeconfig = self._certificates / "kubeconfig"
        self._grpc = f"127.0.0.1:{free_ports(1)[0]}"

    def start(self) -> Keda:
        """Installs it and starts its programs; all three are ready when this returns."""
        self._certify()
        self._cluster.kubectl("create", "namespace", _NAMESPACE)
        config = _config()
        self._cluster.install_crds(config / "crd" / "bases")
        roles = ("rbac/role.yaml", "rbac/role_binding.yaml")
        for path in (
            *("service_account/service_account.yaml", *roles),
            *("metrics-server/role.yaml", "metrics-server/role_binding.yaml"),
        ):
            self._cluster.kubectl("apply", "--server-side", f"--filename={config / path}")
        account_kubeconfig(self._cluster, _ACCOUNT, _NAMESPACE, self._kubeconfig)
        self.start_operator()
        self._start_adapter()
        self._start_webhooks()
        return self

    def start_operator(self) -> None:
        """Starts the operator, also once more after it was killed; waits until it is ready."""
        metrics_port, health_port = free_ports(2)
        self._run(
            "keda-operator",
            str(build(KEDA_OPERATOR)),
            "--enable-cert-rotation=false",
            f"--metrics-service-bind-address={self._grpc}",
            f"--metrics-bind-address=127.0.0.1:{metrics_port}",
            f"--health-probe-bind-address=127.0.0.1:{health_port}",
        )
        _wait_until_ready(health_port)

    def _start_adapter(self) -> None:
        port, metrics_port = free_ports(2)
        kubeconfigs = ("authentication", "authorization", "lister")
        self._run(
            "keda-adapter",
            str(build(KEDA_ADAPTER)),
            *("--bind-address=127.0.0.1", f"--secure-port={port}", f"--port={metrics_port}"),
            f"--metrics-service-address={self._grpc}",
            f"--tls-cert-file={self._certificates / 'tls.crt'}",
            f"--tls-private-key-file={self._certificates / 'tls.key'}",
            *(f"--{name}-kubeconfig={self._kubeconfig}" for name in kubeconfigs),
        )
        aggregate(
            *(self._cluster, "external.metrics.k8s.io/v1beta1", port, self._authority),
            service=_METRICS_SERVER,
            namespace=_NAMESPACE,
        )

    def _start_webhooks(self) -> None:
        port, metrics_port, health_port = free_ports(3)
        self._run(
            "keda-webhooks",
            str(build(KEDA_WEBHOOKS)),
            f"--port={port}",
            f"--metrics-bind-address=127.0.0.1:{metrics_port}",
            f"--health-probe-bind-address=127.0.0.1:{health_port}",
        )
        _wait_until_ready(health_port)
        configuration = _webhooks_at(port, self._authority.certificate)
        self._cluster.kubectl(
            "apply", "--server-side", "--filename=-", stdin=json.dumps(configuration)
        )

    def _run(self, component: str, *command: str) -> None:
        environment = {
            "KUBECONFIG": str(self._kubeconfig),
            "POD_NAMESPACE": _NAMESPACE,
            "KEDA_CLUSTER_OBJECT_NAMESPACE": _NAMESPACE,
            "WATCH_NAMESPACE": "",
        }
        certificates = f"--cert-dir={self._certificates}"
        self._cluster.run(component, (*command, certificates), environment)

    def _certify(self) -> None:
        """One certificate for all: operator and adapter show it to each other."""
        names = ["localhost", serving_name("keda-operator", _NAMESPACE)]
        names.append(serving_name(_METRICS_SERVER, _NAMESPACE))
        certificate, key = self._authority.server(["127.0.0.1"], names, also_client=True)
        self._certificates.mkdir(mode=0o700)
        for name, content in (
            ("ca.crt", self._authority.certificate),
            ("tls.crt", certificate),
            ("tls.key", key),
        ):
            (self._certificates / name).write_bytes(content)


def _config() -> Path:
    return downloaded(MODULE) / "config"


def _webhooks_at(port: int, ca: bytes) -> Json:
    """KEDA's own configuration, but for where the webhook is, and that it is obeyed."""
    configuration: Json = yaml.safe_load(
        (_config() / "webhooks" / "validation_webhooks.yaml").read_text()
    )
    for webhook in configuration["webhooks"]:
        path = webhook["clientConfig"]["service"]["path"]
        webhook["clientConfig"] = {
            "url": f"https://localhost:{port}{path}",
            "caBundle": b64encode(ca).decode(),
        }
        webhook["failurePolicy"] = "Fail"
    return configuration


def _wait_until_ready(health_port: int) -> None:
    url = f"http://127.0.0.1:{health_port}/readyz"

    def answers() -> None:
        try:
            urllib.request.urlopen(url, timeout=2).close()
        except OSError as error:
            raise AssertionError(f"{url}: {error}") from error

    eventually(answers, within_s=_STARTS_WITHIN_S)
