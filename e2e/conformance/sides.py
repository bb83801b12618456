"""The two servers: one over HTTPS, one in memory, both behind the same HTTP client."""

from __future__ import annotations

import json
import threading
import time
import traceback
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

import requests
import yaml
from pykube import HTTPClient, KubeConfig

from e2e.conformance.steps import Memory, Step
from e2e.conformance.subjects import SUBJECTS
from prism_operator.api.meta import (
    CUSTOM_RESOURCE_DEFINITION,
    NAMESPACE,
    SERVICE_ACCOUNT,
    Json,
    Resource,
)
from simulator.apiserver.patches import APPLY_PATCH
from simulator.apiserver.request import Request
from simulator.apiserver.server import ApiServer
from simulator.apiserver.transport import InProcessAdapter
from simulator.apiserver.watch import Subscription

_AGENT = "conformance/1"
_TIMEOUT_S = 30.0
_CRDS = Path(__file__).parents[2] / "crds"
# What is watched all the time: every kind, and some of them through a selector too.
WATCHES: tuple[tuple[str, Resource, Mapping[str, str]], ...] = (
    *((s.key, s.resource, {}) for s in SUBJECTS),
    *(
        (f"{s.key} by label", s.resource, {"labelSelector": "track=on"})
        for s in SUBJECTS
        if s.key in ("configmaps", "deployments", "prismpatterns")
    ),
    *(
        (f"{s.key} by name", s.resource, {"fieldSelector": "metadata.name=a"})
        for s in SUBJECTS
        if s.key in ("pods", "prismstacks")
    ),
)


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    status: int
    body: Any
    warnings: str = ""


class Side(Protocol):
    """A server under comparison."""

    name: str

    def send(self, step: Step, namespace: str, memory: Memory) -> Answer:
        """Sends one request of a sequence."""

    def events(self, watch: str, namespace: str) -> list[Json]:
        """What a watch has shown of a namespace so far."""


class HttpSide:
    """A server behind a ``requests`` session."""

    def __init__(self, name: str, session: requests.Session, url: str) -> None:
        self.name = name
        self._session = session
        self._url = url

    def send(self, step: Step, namespace: str, memory: Memory) -> Answer:
        """Sends one request of a sequence and remembers what it showed."""
        body = memory.fill(_in_namespace(step.body, namespace))
        query = {k: memory.fill(v) for k, v in step.query.items()}
        path = _in_namespace(step.path, namespace)
        answer = self.call(step.method, path, body, query, step.content_type)
        if answer.status < 400:
            memory.learn(step.plural, answer.body)
        return answer

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        query: Mapping[str, str] | None = None,
        content_type: str = "application/json",
    ) -> Answer:
        """Any request."""
        headers = {"User-Agent": _AGENT, "Accept": "application/json"}
        if body is not None:
            headers["Content-Type"] = content_type
        response = self._session.request(
            method,
            self._url + path,
            params=dict(query or {}),
            data=None if body is None else json.dumps(body),
            headers=headers,
            timeout=_TIMEOUT_S,
        )
        try:
            watches = response.status_code == 200 and (query or {}).get("watch") == "true"
            decoded = _events_of(response.text) if watches else response.json()
        except ValueError:
            decoded = response.text
        return Answer(response.status_code, decoded, response.headers.get("Warning", ""))

    def prepare(self) -> None:
        """Installs our CRDs and waits until they are served."""
        for file in sorted(_CRDS.glob("*.yaml")):
            crd = yaml.safe_load(file.read_text())
            path = CUSTOM_RESOURCE_DEFINITION.path(name=crd["metadata"]["name"])
            query = {"fieldManager": "conformance", "force": "true"}
            answer = self.call("PATCH", path, crd, query, APPLY_PATCH)
            if answer.status not in (200, 201):
                raise RuntimeError(f"{self.name}: {file.name} is refused: {answer.body}")
            spec = crd["spec"]
            served = (
                f"/apis/{spec['group']}/{spec['versions'][0]['name']}/{spec['names']['plural']}"
            )
            deadline_s = time.monotonic() + _TIMEOUT_S
            while self.call("GET", served).status != 200:
                if time.monotonic() > deadline_s:
                    raise TimeoutError(f"{self.name}: {served} is not served")
                time.sleep(0.05)

    def new_namespace(self, namespace: str) -> None:
        """A namespace with the ServiceAccount that pods need."""
        for resource, name in ((NAMESPACE, namespace), (SERVICE_ACCOUNT, "default")):
            path = resource.path(namespace)
            meta = {"name": name}
            body = {"apiVersion": "v1", "kind": resource.kind, "metadata": meta}
            answer = self.call("POST", path, body)
            if answer.status != 201:
                raise RuntimeError(f"{self.name}: cannot create {name}: {answer.body}")


class RealSide(HttpSide):
    """A kube-apiserver."""

    def __init__(self, kubeconfig: Path) -> None:
        config = KubeConfig.from_file(str(kubeconfig))
        self._client = HTTPClient(config)
        super().__init__("real", self._client.session, str(config.cluster["server"]))
        self._events = _Events()
        self._config = config
        self._stopped = False

    def send(self, step: Step, namespace: str, memory: Memory) -> Answer:
        """Sends a request; Events of the server's own loops are left out of lists."""
        answer = super().send(step, namespace, memory)
        body = answer.body
        if isinstance(body, dict) and any(map(_is_repair, body.get("items") or ())):
            items = [item for item in body["items"] if not _is_repair(item)]
            return Answer(answer.status, {**body, "items": items}, answer.warnings)
        return answer

    def watch(self) -> None:
        """Starts all watches, each in a thread of its own."""
        for name, resource, query in WATCHES:
            listed = self.call("GET", resource.path(), query={"limit": "1"})
            version = listed.body["metadata"]["resourceVersion"]
            arguments = (name, resource, {**query, "watch": "true", "resourceVersion": version})
            threading.Thread(target=self._follow, args=arguments, daemon=True).start()

    def stop(self) -> None:
        """Lets the watches' threads end with the process."""
        self._stopped = True

    def events(self, watch: str, namespace: str) -> list[Json]:
        """What a watch has shown of a namespace so far."""
        return self._events.of(watch, namespace)

    def _follow(self, name: str, resource: Resource, query: Mapping[str, str]) -> None:
        session = HTTPClient(self._config).session
        url = self._url + resource.path()
        try:
            while True:
                with session.get(url, params=dict(query), stream=True, timeout=(5, 900)) as answer:
                    if answer.status_code != 429:
                        self._read(name, answer)
                        return
                # A definition that changed just now makes its storage anew.
                time.sleep(0.2)
        except requests.RequestException:
            if not self._stopped:
                raise

    def _read(self, name: str, answer: requests.Response) -> None:
        if answer.status_code != 200:
            raise RuntimeError(f"watch of {name}: {answer.status_code} {answer.text}")
        for line in answer.iter_lines():
            event = json.loads(line)
            if not _is_repair(event["object"]):
                self._events.add(name, event)


class FakeSide(HttpSide):
    """The in-memory server, over its HTTP transport."""

    def __init__(self) -> None:
        self._server = ApiServer(_WallClock())
        # Far above what the other server counts, so that numbers in messages can be told apart.
        self._server.storage.revision = 50_000_000
        self._server.storage.compact()
        session = requests.Session()
        session.mount("http://", InProcessAdapter(self._server))
        super().__init__("fake", session, "http://fake")
        self._subscriptions: dict[str, Subscription] = {}
        self._events = _Events()

    def watch(self) -> None:
        """Starts all watches."""
        for name, resource, query in WATCHES:
            version = str(self._server.storage.revision)
            asked = {**query, "watch": "true", "resourceVersion": version}
            answer = self._server.handle(Request("GET", resource.path(), asked)).body
            if not isinstance(answer, Subscription):
                raise TypeError(f"{resource.path()} cannot be watched: {answer}")
            self._subscriptions[name] = answer

    def send(self, step: Step, namespace: str, memory: Memory) -> Answer:
        """Like any server, but a crash is an answer too."""
        try:
            return super().send(step, namespace, memory)
        except Exception:
            return Answer(0, traceback.format_exc().splitlines()[-6:])

    def events(self, watch: str, namespace: str) -> list[Json]:
        """What a watch has shown of a namespace so far."""
        for event in self._subscriptions[watch].poll():
            self._events.add(watch, event.as_json())
        return self._events.of(watch, namespace)


class _WallClock:
    """The time of day, so that both servers sort by the same times; nothing is ever compacted."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic_s(self) -> float:
        return 0.0


def _events_of(text: str) -> Json:
    """The events of a watch that ended, of its bookmarks only the one after initial events."""
    events = [json.loads(line) for line in text.splitlines()]
    for event in events:
        if event["type"] == "BOOKMARK":
            annotations = event["object"]["metadata"].get("annotations")
            event["object"] = {"annotations": annotations} if annotations else None
    return {"events": [e for e in events if e["object"] and not _is_repair(e["object"])]}


def _is_repair(obj: Json) -> bool:
    """Whether an object is an Event of kube-apiserver's repair of addresses and ports."""
    reporter = obj.get("reportingController") or obj.get("reportingComponent") or ""
    return str(reporter).endswith("-repair-controller")


class _Events:
    """What watches have shown, by watch and namespace."""

    def __init__(self) -> None:
        self._seen: dict[tuple[str, str], list[Json]] = {}

    def add(self, watch: str, event: Json) -> None:
        """Keeps an event."""
        namespace = str(event["object"].get("metadata", {}).get("namespace", ""))
        self._seen.setdefault((watch, namespace), []).append(event)

    def of(self, watch: str, namespace: str) -> list[Json]:
        """The events so far, in order."""
        return list(self._seen.get((watch, namespace), ()))


def _in_namespace(value: Any, namespace: str) -> Any:
    if isinstance(value, str):
        return value.replace("$namespace", namespace)
    if isinstance(value, list):
        return [_in_namespace(item, namespace) for item in value]
    if isinstance(value, dict):
        return {key: _in_namespace(item, namespace) for key, item in value.items()}
    return value


def strings(value: Any) -> Iterator[str]:
    """Every string in a JSON value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from strings(item)
    elif isinstance(value, dict):
        for item in value.values():
            yield from strings(item)
