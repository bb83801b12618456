"""The examples for Argo CD, checked by its own CRD on a real API server."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from e2e.build import downloaded
from e2e.cluster import Cluster
from e2e.helm_cli import CHART, Helm

ARGOCD = "github.com/argoproj/argo-cd/v3@v3.4.0"
CONFIG = Path(__file__).parent.parent / "config" / "argocd"
APPLICATIONS = ("operator.yaml", "stacks.yaml")


def test_argo_cd_accepts_the_applications(cluster: Cluster) -> None:
    crd = downloaded(ARGOCD) / "manifests" / "crds" / "application-crd.yaml"
    cluster.install_crds(crd)
    try:
        cluster.kubectl("create", "namespace", "argocd")
        for name in APPLICATIONS:
            # Really created: a dry run would not show what a defaulted field does.
            cluster.kubectl("apply", f"--filename={CONFIG / name}", "--validate=strict")
        stacks = ("application", "prism-stacks", "--namespace=argocd")
        cluster.kubectl("patch", *stacks, "--type=merge", '--patch={"metadata":{"finalizers":[]}}')
    finally:
        cluster.kubectl("delete", f"--filename={crd}", "--timeout=60s")
        cluster.kubectl("delete", "namespace", "argocd", "--wait=false")


@pytest.mark.parametrize("name", APPLICATIONS)
def test_the_application_names_what_is_there(tmp_path: Path, name: str) -> None:
    spec = yaml.safe_load((CONFIG / name).read_text())["spec"]

    source = spec["source"]
    if "helm" not in source:
        assert spec["ignoreDifferences"][0]["kind"] == "PrismPattern"
        return
    assert source["path"] == f"charts/{CHART.name}"
    release = (source["helm"]["releaseName"], str(CHART))
    place = f"--namespace={spec['destination']['namespace']}"
    values = json.loads(json.dumps(source["helm"]["valuesObject"]))
    printed = Helm(tmp_path)("template", *release, place, values=values)
    kinds = {obj["kind"] for obj in yaml.load_all(printed, yaml.CSafeLoader) if obj}
    assert {"CustomResourceDefinition", "Deployment", "PodDisruptionBudget"} <= kinds
