"""A scenario as manifests and KWOK nodes that ``kubectl apply`` takes."""

from __future__ import annotations

from pathlib import Path

from prism_operator.api.meta import NAMESPACE, Json
from simulator.cluster.nodes import build_node
from simulator.importing.command import write_all
from simulator.importing.secrecy import without_secrets
from simulator.infrastructure import pool_of
from simulator.inputs import BadInputError, load_documents
from simulator.scenario import LoadedScenario, load
from simulator.scenario.writing import manifests_text, moved, scenario_text

NAMESPACES, NODES, MANIFESTS = "00-namespaces.yaml", "10-nodes.yaml", "20-manifests.yaml"
SCENARIO = "scenario"  # the folder of what kubectl is not to apply
KWOK = "kwok.x-k8s.io/node"
_THERE = ("default", "kube-system", "kube-public", "kube-node-lease")


def export_scenario(path: Path, folder: Path, *, force: bool) -> str:
    """Writes what of a scenario is there from the start, and the scenario itself beside it.

    Raises:
        BadInputError: With what is wrong or missing, or there already.
    """
    loaded = load(path)
    if folder.exists() and not folder.is_dir():
        raise BadInputError([f"{folder}: expected a folder"])
    nodes = nodes_of(loaded)
    objects = [
        without_secret_data(m.obj)
        for name in loaded.scenario.manifests
        for m in loaded.manifests[name]
    ]
    written = {m["metadata"]["name"] for m in objects if m["kind"] == NAMESPACE.kind}
    namespaces = [_namespace(name) for name in sorted(namespaces_of(loaded) - written)]
    told = [f"By prism-sim export, from {path.name}."]
    files = {folder / NAMESPACES: manifests_text(namespaces, told)} if namespaces else {}
    files |= {
        folder / NODES: manifests_text(nodes, told),
        folder / MANIFESTS: manifests_text(objects, told),
    }
    beside = folder / SCENARIO
    scenario = moved(load_documents(path)[0].value, path.parent, beside)
    if "manifests" in scenario:
        scenario["manifests"] = [f"../{MANIFESTS}"]
    for number, event in enumerate(scenario.get("timeline") or ()):
        if "apply" in event:
            later = f"{number:02d}-apply.yaml"
            names = loaded.scenario.timeline[number].apply or ()
            applied = [without_secret_data(m.obj) for name in names for m in loaded.manifests[name]]
            files[beside / later] = manifests_text(applied, told)
            event["apply"] = later
    files[beside / path.name] = scenario_text(scenario, told)
    write_all(files, force=force)
    listed = "\n".join(f"{file}" for file in files)
    return (
        f"{listed}\nNodes: {len(nodes)}, objects: {len(objects)}. Where the CRDs are installed and "
        f"KWOK runs:\n  kubectl apply --filename {folder}\n"
    )


def nodes_of(loaded: LoadedScenario) -> list[Json]:
    """The nodes that are there from the start, as KWOK has them."""
    cluster = loaded.scenario.cluster
    nodes = []
    for name, spec in sorted(cluster.pools.items()):
        pool = pool_of(name, spec, cluster)
        for zone, number in pool.places():
            node = build_node(pool, pool.name_of(zone, number), zone, 0, 0)
            meta = {**node["metadata"], "annotations": {KWOK: "fake"}}
            offered = {k: node["status"][k] for k in ("capacity", "allocatable")}
            nodes.append({**node, "metadata": meta, "status": offered})
    return nodes


def namespaces_of(loaded: LoadedScenario) -> set[str]:
    """Those that its manifests are in, without those that every cluster has."""
    return {
        m.ref.namespace
        for objects in loaded.manifests.values()
        for m in objects
        if m.ref.namespace and m.ref.namespace not in _THERE
    }


def without_secret_data(obj: Json) -> Json:
    """The object as it is, but for what a Secret holds."""
    return without_secrets(obj) if obj["kind"] == "Secret" else obj


def _namespace(name: str) -> Json:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
