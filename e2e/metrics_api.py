"""The metrics of pods, served by a test as metrics-server and Prometheus' adapter would.

with MetricsApi(cluster) as metrics:
    metrics.load(cpu=2.5, http_requests_per_second=3000)
"""

from __future__ import annotations

import json
import re
import ssl
import threading
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Final
from urllib.parse import parse_qs, unquote, urlsplit

from pykube import HTTPClient, KubeConfig

from e2e.aggregation import aggregate, serving_name
from e2e.certificates import Authority
from e2e.cluster import Json, LocalCluster

RESOURCE_METRICS: Final = "metrics.k8s.io/v1beta1"
CUSTOM_METRICS: Final = "custom.metrics.k8s.io/v1beta2"
_SERVICE: Final = "test-metrics"
_RESOURCES: Final = ("cpu", "memory")
_USAGE = re.compile(rf"/apis/{RESOURCE_METRICS}/namespaces/(?P<namespace>[^/]+)/pods")
_CUSTOM = re.compile(
    rf"/apis/{CUSTOM_METRICS}/namespaces/(?P<namespace>[^/]+)/pods/\*/(?P<metric>[^/]+)"
)


class MetricsApi:
    """What pods that run use of each resource, and what each custom metric says of them.

    All pods that a query selects share the load evenly. What was not said is not known, as of a
    pod that nothing was scraped from yet.
    """

    def __init__(self, cluster: LocalCluster) -> None:
        self._cluster = cluster
        self._authority = Authority.create()
        self._total: dict[str, float] = {}
        config = KubeConfig.from_file(str(cluster.user_kubeconfig("metrics", ["system:masters"])))
        self._url, self._session = cluster.server, HTTPClient(config).session
        self._server = _Server(self)
        self._server.socket = self._tls().wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def load(self, **total: float) -> None:
        """From now on, what all pods together use: ``cpu`` in cores, ``memory`` in bytes, …"""
        self._total = total

    def __enter__(self) -> MetricsApi:
        self._thread.start()
        port = self._server.server_address[1]
        assert isinstance(port, int)
        for group_version in (RESOURCE_METRICS, CUSTOM_METRICS):
            aggregate(self._cluster, group_version, port, self._authority, service=_SERVICE)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    def answer(self, url: str) -> Json | None:
        """What a GET is answered with; None for what is not served."""
        parts = urlsplit(url)
        path, query = unquote(parts.path), parse_qs(parts.query)
        selector = query.get("labelSelector", [""])[0]
        if path == f"/apis/{RESOURCE_METRICS}":
            return _resources(RESOURCE_METRICS, {"pods": "PodMetrics"})
        if path == f"/apis/{CUSTOM_METRICS}":
            metrics = sorted(self._total.keys() - _RESOURCES)
            return _resources(CUSTOM_METRICS, {f"pods/{m}": "MetricValueList" for m in metrics})
        if found := _USAGE.fullmatch(path):
            items = list(self._usages(found["namespace"], selector))
            return {"kind": "PodMetricsList", "apiVersion": RESOURCE_METRICS, "items": items}
        if (found := _CUSTOM.fullmatch(path)) and found["metric"] in self._total:
            items = list(self._values(found["namespace"], selector, found["metric"]))
            return {"kind": "MetricValueList", "apiVersion": CUSTOM_METRICS, "items": items}
        return None

    def _usages(self, namespace: str, selector: str) -> Iterator[Json]:
        known = [r for r in _RESOURCES if r in self._total]
        pods = self._pods(namespace, selector)
        for pod in pods if known else []:
            usage = {r: _quantity(self._total[r] / len(pods)) for r in known}
            yield {
                "metadata": {"name": pod, "namespace": namespace},
                "timestamp": _now(),
                "window": "1s",
                "containers": [{"name": "all", "usage": usage}],
            }

    def _values(self, namespace: str, selector: str, metric: str) -> Iterator[Json]:
        pods = self._pods(namespace, selector)
        for pod in pods:
            yield {
                "describedObject": {"kind": "Pod", "namespace": namespace, "name": pod},
                "metric": {"name": metric},
                "timestamp": _now(),
                "value": _quantity(self._total[metric] / len(pods)),
            }

    def _pods(self, namespace: str, selector: str) -> list[str]:
        url = f"{self._url}/api/v1/namespaces/{namespace}/pods"
        query = {"labelSelector": selector, "fieldSelector": "status.phase=Running"}
        answer = self._session.get(url, params=query, timeout=10)
        answer.raise_for_status()
        return [pod["metadata"]["name"] for pod in answer.json()["items"]]

    def _tls(self) -> ssl.SSLContext:
        certificate, key = self._authority.server([], [serving_name(_SERVICE)])
        folder = self._cluster.directory / "metrics-api"
        folder.mkdir(exist_ok=True)
        for name, content in (("tls.crt", certificate), ("tls.key", key)):
            (folder / name).touch(mode=0o600)
            (folder / name).write_bytes(content)
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(folder / "tls.crt", folder / "tls.key")
        # Nobody but the API server may ask.
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(self._cluster.front_proxy_ca)
        return context


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, metrics: MetricsApi) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.metrics = metrics


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_GET(self) -> None:
        answer = self.server.metrics.answer(self.path)
        body = json.dumps(answer if answer is not None else _NOT_FOUND).encode()
        self.send_response(200 if answer is not None else 404)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Silent."""


_NOT_FOUND: Final[Json] = {
    "kind": "Status",
    "apiVersion": "v1",
    "status": "Failure",
    "reason": "NotFound",
    "code": 404,
}


def _resources(group_version: str, kinds: Mapping[str, str]) -> Json:
    listed = [
        {"name": name, "singularName": "", "namespaced": True, "kind": kind, "verbs": ["get"]}
        for name, kind in kinds.items()
    ]
    return {
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": group_version,
        "resources": listed,
    }


def _quantity(value: float) -> str:
    return f"{round(value * 1000)}m"


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
