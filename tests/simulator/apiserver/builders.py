"""Objects and servers for tests, showing only what matters."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import yaml

from prism_operator.api.meta import (
    CONFIG_MAP,
    DEPLOYMENT,
    NAMESPACE,
    POD,
    Json,
    Ref,
    Resource,
    resource_of,
)
from simulator.apiserver.client import InProcessReader, InProcessWriter
from simulator.apiserver.patches import JSON_PATCH, MERGE_PATCH, STRATEGIC_MERGE_PATCH
from simulator.apiserver.request import Request, Response
from simulator.apiserver.server import ApiServer
from simulator.apiserver.watch import Event, Subscription

CRDS = Path(__file__).parents[3] / "crds"
START = datetime(2026, 3, 2, tzinfo=UTC)


class ManualClock:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.passed_s = 0.0

    def now(self) -> datetime:
        return START + timedelta(seconds=self.passed_s)

    def monotonic_s(self) -> float:
        return self.passed_s

    def advance(self, seconds: float) -> None:
        self.passed_s += seconds


class World:
    """A server on a manual clock, and short ways to ask it."""

    def __init__(self, seed: int = 0) -> None:
        self.clock = ManualClock()
        self.server = ApiServer(self.clock, seed=seed)
        self.reader = InProcessReader(self.server)
        self.writer = InProcessWriter(self.server)

    def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        content_type: str = "",
        **query: str,
    ) -> Response:
        headers = {"User-Agent": "test/1", "Content-Type": content_type}
        return self.server.handle(Request(method, path, query, headers, body))

    def create(self, obj: Json, **query: str) -> Json:
        path = resource_for(obj).path(obj["metadata"].get("namespace", ""))
        return self.done(self.ask("POST", path, obj, **query))

    def get(self, resource: Resource, name: str, namespace: str = "default") -> Json:
        namespace = namespace if resource.namespaced else ""
        return self.done(self.ask("GET", resource.path(namespace, name)))

    def exists(self, resource: Resource, name: str, namespace: str = "default") -> bool:
        namespace = namespace if resource.namespaced else ""
        return self.ask("GET", resource.path(namespace, name)).status == 200

    def update(self, obj: Json, subresource: str = "", **query: str) -> Response:
        return self.ask("PUT", path_of(obj, subresource), obj, **query)

    def merge(self, obj: Json, change: Json, subresource: str = "", **query: str) -> Response:
        path = path_of(obj, subresource)
        return self.ask("PATCH", path, change, content_type=MERGE_PATCH, **query)

    def json_patch(self, obj: Json, *operations: Json) -> Response:
        return self.ask("PATCH", path_of(obj), list(operations), content_type=JSON_PATCH)

    def strategic(self, obj: Json, change: Json) -> Response:
        return self.ask("PATCH", path_of(obj), change, content_type=STRATEGIC_MERGE_PATCH)

    def delete(self, obj: Json, **options: Any) -> Response:
        return self.ask("DELETE", path_of(obj), options or None)

    def watch(self, resource: Resource, namespace: str = "", **query: str) -> Subscription:
        body = self.ask("GET", resource.path(namespace), watch="true", **query).body
        assert isinstance(body, Subscription), body
        return body

    @staticmethod
    def done(response: Response) -> Json:
        assert response.status < 300, response.body
        assert isinstance(response.body, dict)
        return response.body


def refused(response: Response) -> tuple[int, str, str]:
    """Code, reason and message of a refusal."""
    assert isinstance(response.body, dict), response.body
    return response.status, response.body.get("reason", ""), response.body["message"]


def seen(events: list[Event]) -> list[tuple[str, str]]:
    return [(event.type, event.object["metadata"].get("name", "")) for event in events]


def path_of(obj: Json, subresource: str = "") -> str:
    meta = obj["metadata"]
    return resource_for(obj).path(meta.get("namespace", ""), meta["name"], subresource)


def resource_for(obj: Json) -> Resource:
    return WIDGET if obj["kind"] == "Widget" else resource_of(obj)


def ref(resource: Resource, name: str, namespace: str = "default") -> Ref:
    return Ref(resource, namespace, name)


def an_object(resource: Resource, name: str, namespace: str = "default", **fields: Any) -> Json:
    meta: Json = {"name": name}
    if resource.namespaced:
        meta["namespace"] = namespace
    meta |= fields.pop("metadata", {})
    return {
        "apiVersion": resource.api_version,
        "kind": resource.kind,
        "metadata": meta,
        **fields,
    }


def a_config_map(name: str = "one", namespace: str = "default", **fields: Any) -> Json:
    return an_object(CONFIG_MAP, name, namespace, **{"data": {"key": "value"}, **fields})


def a_namespace(name: str) -> Json:
    return an_object(NAMESPACE, name)


def a_pod(name: str = "one", **fields: Any) -> Json:
    spec = {"containers": [{"name": "main", "image": "prism:1"}], **fields.pop("spec", {})}
    return an_object(POD, name, spec=spec, **fields)


def a_deployment(name: str = "one", replicas: int | None = 1, **fields: Any) -> Json:
    labels = {"app": name}
    spec: Json = {
        "selector": {"matchLabels": labels},
        "template": {
            "metadata": {"labels": labels},
            "spec": {"containers": [{"name": "main", "image": "prism:1"}]},
        },
    }
    if replicas is not None:
        spec["replicas"] = replicas
    return an_object(DEPLOYMENT, name, spec=spec, **fields)


def owned_by(owner: Json, *, blocks: bool = False) -> Json:
    """Metadata with an owner reference."""
    reference = {
        "apiVersion": owner["apiVersion"],
        "kind": owner["kind"],
        "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"],
    }
    if blocks:
        reference["blockOwnerDeletion"] = True
    return {"ownerReferences": [reference]}


@functools.cache
def _crd_text(name: str) -> str:
    return (CRDS / f"prism.io_{name}.yaml").read_text()


def a_crd(name: str = "prismbackends") -> Json:
    crd: Json = yaml.safe_load(_crd_text(name))
    return crd


def a_small_crd(plural: str = "widgets", **schema: Any) -> Json:
    """A definition of a kind Widget with a free-form spec, status and scale."""
    properties: Mapping[str, Any] = {
        "spec": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
        "status": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
        **schema,
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.example.com"},
        "spec": {
            "group": "example.com",
            "scope": "Namespaced",
            "names": {"plural": plural, "kind": "Widget"},
            "versions": [
                {
                    "name": "v1",
                    "served": True,
                    "storage": True,
                    "subresources": {"status": {}},
                    "schema": {"openAPIV3Schema": {"type": "object", "properties": properties}},
                }
            ],
        },
    }


WIDGET = Resource("example.com", "v1", "Widget", "widgets")


def widget_path(name: str = "", namespace: str = "default") -> str:
    return WIDGET.path(namespace, name)


def a_widget(name: str = "one", **fields: Any) -> Json:
    return an_object(WIDGET, name, **{"spec": {}, **fields})
