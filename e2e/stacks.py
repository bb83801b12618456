"""A PrismStack in a test, and what a user sees of it."""

from __future__ import annotations

import json
from typing import TypeAlias

from e2e.cluster import Cluster, Json, KubectlError

Section: TypeAlias = Json | list[Json]

# Where pods really run, both are the image of e2e/promises/standin.
IMAGE = "prism-standin:1"
NEXT_IMAGE = "prism-standin:2"
PROXY: Json = {"image": IMAGE, "replicas": 2}
ADMIN: Json = {"image": IMAGE}
MEMSTORE: Json = {"name": "memory", "type": "keyvalue", "backend": "memstore", "image": IMAGE}
QUEUE: Json = {"name": "queue", "type": "consumer", "backend": "memstore", "image": IMAGE}


class Stack:
    """One PrismStack and what a user sees of it."""

    def __init__(self, cluster: Cluster, namespace: str, name: str = "shop") -> None:
        self.cluster = cluster
        self.name = name
        self.place = f"--namespace={namespace}"

    def apply(self, **spec: Section) -> Stack:
        """Applies the spec given: a proxy, an admin, patterns, …"""
        manifest = {
            "apiVersion": "prism.io/v1alpha1",
            "kind": "PrismStack",
            "metadata": {"name": self.name},
            "spec": spec,
        }
        self.cluster.kubectl("apply", "--filename=-", self.place, stdin=json.dumps(manifest))
        return self

    def wait_until_ready(self) -> Stack:
        """As a user waits."""
        try:
            wait = ("wait", "--for=condition=Ready", f"prismstack/{self.name}", "--timeout=60s")
            self.cluster.kubectl(*wait, self.place)
        except KubectlError as error:
            status = self.cluster.get("prismstack", self.name, self.place).get("status")
            raise AssertionError(f"{error}; status: {json.dumps(status, indent=1)}") from error
        return self

    def condition(self, kind: str) -> Json:
        status = self.cluster.get("prismstack", self.name, self.place).get("status", {})
        found = [c for c in status.get("conditions", []) if c["type"] == kind]
        assert found, f"no condition {kind} in {status}"
        condition: Json = found[0]
        return condition

    def deployment(self, name: str) -> Json:
        return self.cluster.get("deployment", name, self.place)

    def objects(self) -> list[str]:
        """Names of all that carries the stack's label, pods and ReplicaSets aside."""
        kinds = "deployments,services,serviceaccounts,roles,rolebindings,configmaps,prism"
        listed = self.cluster.kubectl(
            "get", kinds, f"--selector=stack={self.name}", "--output=name", self.place
        )
        return sorted(listed.split())

    def names(self) -> set[str]:
        """The names of what the stack brought about, whatever the kind."""
        return {o.partition("/")[2] for o in self.objects()} - {self.name}


def image_of(deployment: Json) -> str:
    """The image of a Deployment's only container."""
    return str(deployment["spec"]["template"]["spec"]["containers"][0]["image"])


def assert_equal(actual: object, expected: object) -> None:
    """As a function, to be waited for."""
    assert actual == expected
