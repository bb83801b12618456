"""The files of samples/, applied so that they can run where pods really do."""

from __future__ import annotations

import json
from pathlib import Path

import yaml

from e2e.cluster import Cluster, Json, LocalCluster
from e2e.stacks import IMAGE

SAMPLES = Path(__file__).parents[2] / "samples"


def apply_sample(cluster: Cluster, name: str) -> None:
    """Applies a file of samples/; where pods really run, with images that are there."""
    path = SAMPLES / name
    if isinstance(cluster, LocalCluster):
        cluster.kubectl("apply", f"--filename={path}")
        return
    objects = [_runnable(obj) for obj in yaml.safe_load_all(path.read_text())]
    everything = {"apiVersion": "v1", "kind": "List", "items": objects}
    cluster.kubectl("apply", "--filename=-", stdin=json.dumps(everything))


def delete_sample(cluster: Cluster, name: str) -> None:
    """Deletes what of a sample is ours: the operator itself may live in one of its Namespaces."""
    documents = yaml.safe_load_all((SAMPLES / name).read_text())
    for obj in documents:
        if obj["kind"].startswith("Prism"):
            place = f"--namespace={obj['metadata'].get('namespace', 'default')}"
            words = (obj["kind"], obj["metadata"]["name"], place, "--ignore-not-found")
            cluster.kubectl("delete", *words, "--timeout=60s")


def _runnable(obj: Json) -> Json:
    if obj["kind"] == "PrismPattern":
        obj["spec"]["image"] = IMAGE
    if obj["kind"] == "PrismStack":
        spec = obj["spec"]
        components = [spec.setdefault("proxy", {}), *spec.get("patterns", [])]
        if "admin" in spec:
            components.append(spec["admin"])
        for component in components:
            component["image"] = IMAGE
    return obj
