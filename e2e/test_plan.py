"""``kubectl prism plan`` says on a real cluster what the operator then makes of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from e2e.cluster import Cluster, Json
from e2e.operator_process import OperatorProcess
from e2e.plugin import Prism
from e2e.waiting import eventually

KINDS = (
    "deployments,services,serviceaccounts,roles,rolebindings,configmaps,hpa,pdb,"
    "prismstacks,prismpatterns,prismbackends,prismnamespaces"
)


class Planner:
    """Who plans a file, applies it, and looks what came of it."""

    def __init__(self, cluster: Cluster, namespace: str, file: Path) -> None:
        self.prism = Prism(cluster, namespace)
        self.namespace = namespace
        self.file = file

    def write(self, **spec: Json | list[Json]) -> None:
        stack = {
            "apiVersion": "prism.io/v1alpha1",
            "kind": "PrismStack",
            "metadata": {"name": "shop"},
            "spec": spec,
        }
        self.file.write_text(json.dumps(stack))

    def plan(self, *, changes: bool) -> Json:
        """The plan as JSON; the exit code has to say whether there is something to do."""
        where = ("--filename", str(self.file), f"--namespace={self.namespace}")
        result = self.prism("plan", *where, "--output=json", "--detailed-exitcode")
        assert result.returncode == (2 if changes else 0), result.stderr + result.stdout
        document: Json = json.loads(result.stdout)
        return document

    def apply(self) -> None:
        self.prism.kubectl("apply", f"--filename={self.file}")

    def versions(self) -> dict[str, str]:
        """Name and resourceVersion of what is there, but for what every namespace has."""
        listed = json.loads(self.prism.kubectl("get", KINDS, "--output=json"))
        return {
            f"{o['kind']} {o['metadata']['name']}": o["metadata"]["resourceVersion"]
            for o in listed["items"]
            if o["metadata"]["name"] not in ("default", "kube-root-ca.crt")
        }


def named(plan: Json, action: str) -> set[str]:
    return {f"{c['kind']} {c['name']}" for c in plan["changes"] if c["action"] == action}


@pytest.fixture
def planner(cluster: Cluster, namespace: str, tmp_path: Path) -> Planner:
    return Planner(cluster, namespace, tmp_path / "stack.yaml")


def test_a_plan_names_what_the_operator_then_makes_changes_and_deletes(
    planner: Planner, operator: OperatorProcess
) -> None:
    pattern = {"name": "orders", "type": "consumer", "backend": "memstore", "config": {"size": 1}}
    scaling = {"maxReplicas": 4, "targetCPUUtilizationPercentage": 70}
    planner.write(proxy={"image": "proxy:1", "replicas": 2}, admin={}, patterns=[pattern])

    first = planner.plan(changes=True)
    assert planner.versions() == {}, "planning writes nothing"
    planner.apply()

    assert named(first, "create") == {c["kind"] + " " + c["name"] for c in first["changes"]}
    eventually(lambda: _equal(set(planner.versions()), named(first, "create")), within_s=30)
    eventually(lambda: planner.plan(changes=False), within_s=30)

    planner.write(proxy={"image": "proxy:2", "autoscaling": scaling}, patterns=[pattern])
    second = planner.plan(changes=True)
    before = set(planner.versions())
    planner.apply()

    assert "HorizontalPodAutoscaler shop-proxy" in named(second, "create")
    assert {"Deployment shop-admin", "ServiceAccount shop-admin"} <= named(second, "delete")
    assert "Deployment shop-proxy" in named(second, "change")
    after = (before | named(second, "create")) - named(second, "delete")
    eventually(lambda: _equal(set(planner.versions()), after), within_s=30)
    eventually(lambda: planner.plan(changes=False), within_s=30)


def _equal(found: set[str], wanted: set[str]) -> None:
    assert found == wanted
