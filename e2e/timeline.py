"""When a Deployment's number of replicas changed, in the order it was seen."""

from __future__ import annotations

import json
import threading
import time
from dataclasses import dataclass
from types import TracebackType

import requests
from pykube import HTTPClient, KubeConfig

from e2e.cluster import LocalCluster


@dataclass(frozen=True, slots=True)
class Change:
    """A new number of replicas, ``at_s`` seconds after the timeline began."""

    at_s: float
    replicas: int


class Timeline:
    """Watches one Deployment's ``spec.replicas`` while it is entered."""

    def __init__(self, cluster: LocalCluster, deployment: str, namespace: str) -> None:
        self.changes: list[Change] = []
        self.marks: dict[str, float] = {}
        self._path = f"/apis/apps/v1/namespaces/{namespace}/deployments"
        self._query = {"fieldSelector": f"metadata.name={deployment}", "watch": "true"}
        config = KubeConfig.from_file(str(cluster.kubeconfig))
        self._url, self._session = cluster.server, HTTPClient(config).session
        self._began_s = time.monotonic()
        self._ended = False
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Timeline:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._ended = True
        self._session.close()

    @property
    def now_s(self) -> float:
        """Seconds since it began."""
        return time.monotonic() - self._began_s

    def mark(self, name: str) -> float:
        """Notes what happens now; when that is."""
        self.marks[name] = self.now_s
        return self.marks[name]

    @property
    def replicas(self) -> int:
        """The number that was seen last."""
        assert self.changes, "the Deployment has not been seen yet"
        return self.changes[-1].replicas

    def since(self, mark: str) -> list[Change]:
        """The changes after a mark, their times counted from it."""
        from_s = self.marks[mark]
        return [Change(c.at_s - from_s, c.replicas) for c in self.changes if c.at_s >= from_s]

    def _watch(self) -> None:
        try:
            with self._session.get(
                self._url + self._path, params=self._query, stream=True, timeout=(5, 900)
            ) as answer:
                answer.raise_for_status()
                for line in answer.iter_lines(chunk_size=None):
                    self._see(json.loads(line)["object"]["spec"]["replicas"])
        except requests.RequestException:
            if not self._ended:
                raise

    def _see(self, replicas: int) -> None:
        if not self.changes or self.replicas != replicas:
            self.changes.append(Change(self.now_s, replicas))
