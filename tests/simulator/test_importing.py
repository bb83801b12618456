"""What was read of a cluster is played as it was; no secret is written, nothing overwritten."""

import base64
import json
from pathlib import Path
from typing import Any, cast

import pytest
import yaml
from typer.testing import CliRunner, Result

from prism_operator.adapters.connection import connect_over
from prism_operator.api.meta import POD, Json, Resource
from prism_operator.ports import Failed, Listed, Reader, Reason
from simulator.apiserver.transport import InProcessAdapter
from simulator.cli import app
from simulator.importing.exporting import SCENARIO, nodes_of
from simulator.importing.live import read_cluster
from simulator.importing.secrecy import without_secrets
from simulator.importing.selection import select
from simulator.inputs import BadInputError
from simulator.run import Simulation
from simulator.scenario import LoadedScenario, load

SCENARIOS = Path(__file__).parents[2] / "scenarios"


def sim(*args: object) -> Result:
    return CliRunner().invoke(app, list(map(str, args)))


def refused(*args: object) -> str:
    result = sim(*args)
    assert result.exit_code == 2, result.output
    assert "Traceback" not in result.output
    return result.output


# The law: what is exported and imported again is decided the same


def exported_and_imported(scenario: Path, folder: Path) -> Path:
    exported, again = folder / "exported", folder / "again" / scenario.name
    assert sim("export", scenario, exported).exit_code == 0
    files = (arg for file in sorted(exported.glob("*.yaml")) for arg in ("--from", file))
    result = sim("import", *files, "--base", exported / SCENARIO / scenario.name, "--out", again)
    assert result.exit_code == 0, result.output
    return again


@pytest.mark.parametrize("path", sorted(SCENARIOS.glob("*.yaml")), ids=lambda path: path.stem)
def test_a_scenario_is_the_same_after_export_and_import(path: Path, tmp_path: Path) -> None:
    again = load(exported_and_imported(path, tmp_path))
    before = load(path)

    assert nodes_of(again) == nodes_of(before)
    assert objects_of(again) == kept_of(before)
    assert later_of(again) == later_of(before)
    changed = {"cluster", "manifests", "timeline", "calibration"}
    assert again.scenario.model_dump(exclude=changed) == before.scenario.model_dump(exclude=changed)
    assert without_nodes(again) == without_nodes(before)


@pytest.mark.parametrize("name", ["quickstart", "drift-repair", "zone-spread"])
def test_every_decision_is_the_same_after_export_and_import(name: str, tmp_path: Path) -> None:
    path = SCENARIOS / f"{name}.yaml"

    again = Simulation(load(exported_and_imported(path, tmp_path))).run()

    assert again.log_hash == Simulation(load(path)).run().log_hash


def objects_of(loaded: LoadedScenario) -> list[Json]:
    """Each once, as far as an import tells of it."""
    manifests = [m for name in loaded.scenario.manifests for m in loaded.manifests[name]]
    return list({m.ref: without_secrets(m.obj) for m in manifests}.values())


def kept_of(loaded: LoadedScenario) -> list[Json]:
    """Its objects once, without what is withheld."""
    manifests = [m for name in loaded.scenario.manifests for m in loaded.manifests[name]]
    return list({m.ref: without_secrets(m.obj) for m in manifests}.values())


def later_of(loaded: LoadedScenario) -> list[Any]:
    return [
        (event.at, [m.obj for name in event.apply or () for m in loaded.manifests[name]])
        if event.apply
        else event
        for event in loaded.scenario.timeline
    ]


def without_nodes(loaded: LoadedScenario) -> Json:
    """The cluster without what ``nodes_of`` tells."""
    cluster = loaded.scenario.cluster.model_dump()
    told = ("labels", "taints", "allocatable", "zones", "type", "lifecycle")
    pools = {
        name: {k: v for k, v in pool.items() if k not in told}
        for name, pool in cluster["pools"].items()
    }
    return {
        **cluster,
        "pools": pools,
        "is_spot": [p.is_spot for p in loaded.scenario.cluster.pools.values()],
    }


# A cluster, as kubectl prints it


def a_node(name: str, zone: str = "eu-1a", **more: Any) -> Json:
    labels = {
        "kubernetes.io/hostname": name,
        "kubernetes.io/os": "linux",
        "kubernetes.io/arch": "amd64",
        "topology.kubernetes.io/zone": zone,
        "topology.kubernetes.io/region": "eu-1",
        "node.kubernetes.io/instance-type": "m6i.xlarge",
        "eks.amazonaws.com/nodegroup": "workers",
        "example.com/serial": f"serial-of-{name}",
        **more.pop("labels", {}),
    }
    room = {"cpu": "3920m", "memory": "15Gi", "pods": "58", "hugepages-2Mi": "0"}
    ready = [{"type": "Ready", "status": more.pop("ready", "True")}]
    return an_object(
        "v1", "Node", name, None, labels=labels, spec=more,
        status={"allocatable": room, "capacity": room, "conditions": ready},
    )  # fmt: skip


def an_object(
    version: str, kind: str, name: str, namespace: str | None = "shop", *,
    labels: Json | None = None, owner: tuple[str, str] | None = None, **more: Any,
) -> Json:  # fmt: skip
    meta: Json = {
        "name": name,
        "uid": f"uid-of-{name}",
        "resourceVersion": "7",
        "creationTimestamp": "2026-03-02T10:00:00Z",
        "managedFields": [{"manager": "kubectl"}],
        "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "s3cr3t-annotation"},
    }
    if namespace:
        meta["namespace"] = namespace
    if labels:
        meta["labels"] = labels
    if owner:
        meta["ownerReferences"] = [
            {"kind": owner[0], "name": owner[1], "controller": True, "uid": "u"}
        ]
    return {"apiVersion": version, "kind": kind, "metadata": meta, **more}


def a_pod(name: str, owner: tuple[str, str], node: str = "ip-1", **more: Any) -> Json:
    container = {
        "name": "main",
        "image": "auth:1",
        "args": ["--password=s3cr3t-arg"],
        "env": [{"name": "TOKEN", "value": "s3cr3t-env"}],
        "resources": {"requests": {"cpu": "200m", "memory": "128Mi"}},
        "volumeMounts": [{"name": "kube-api-access", "mountPath": "/x"}],
    }
    volumes = [{"name": "kube-api-access", "projected": {"sources": []}}]
    spec = {"nodeName": node, "containers": [container], "volumes": volumes, **more.pop("spec", {})}
    return an_object("v1", "Pod", name, owner=owner, spec=spec, status={"phase": "Running"}, **more)


def a_deployment(name: str, replicas: int, *, owner: tuple[str, str] | None = None) -> Json:
    pod = a_pod("template", ("x", "x"))["spec"]
    del pod["nodeName"]
    pod["serviceAccountName"] = "robot"
    pod["initContainers"] = [{"name": "first", "image": "first:1"}]
    return an_object(
        "apps/v1", "Deployment", name, owner=owner,
        spec={
            "replicas": replicas,
            "selector": {"matchLabels": {"app": name}},
            "template": {"metadata": {"labels": {"app": name}}, "spec": pod},
        },
        status={"readyReplicas": replicas},
    )  # fmt: skip


def a_stack() -> Json:
    spec = {
        "proxy": {"image": "proxy:1", "replicas": 2, "env": [{"name": "K", "value": "s3cr3t-cr"}]},
        "patterns": [
            {"name": "orders", "type": "consumer", "backend": "memstore",
             "config": {"password": "s3cr3t-config", "url": "nats://u:s3cr3t-url@h:1/?t=s3cr3t-q"}}
        ],
    }  # fmt: skip
    ready = [{"type": "Ready", "status": "True"}]
    return an_object(
        "prism.io/v1alpha1", "PrismStack", "web", spec=spec, status={"conditions": ready}
    )


def a_cluster() -> list[Json]:
    return [
        a_node("ip-1"),
        a_node("ip-2"),
        a_node("ip-3", zone="eu-1b", unschedulable=True),
        a_node("ip-4", zone="eu-1b", ready="False"),
        an_object("v1", "Namespace", "shop", None, labels={"kubernetes.io/metadata.name": "shop"}),
        a_stack(),
        a_deployment("web-proxy", 2, owner=("PrismStack", "web")),
        a_pod("web-proxy-abc-1", ("ReplicaSet", "web-proxy-abc"),
              labels={"pod-template-hash": "abc"}),
        a_deployment("mail", 3),
        a_pod("logs-1", ("DaemonSet", "logs"), "ip-1"),
        a_pod("logs-2", ("DaemonSet", "logs"), "ip-2"),
        {**a_pod("done", ("Job", "done")), "status": {"phase": "Succeeded"}},
        an_object("apps/v1", "DaemonSet", "logs", spec={}),
        an_object("v1", "ConfigMap", "settings", data={"a": "s3cr3t-map"}),
        an_object("v1", "Secret", "keys", data={
            "password": base64.b64encode(b"s3cr3t-data").decode(),
            "url": base64.b64encode(b"nats://u:s3cr3t-user@nats.shop:4222").decode(),
        }),
    ]  # fmt: skip


@pytest.fixture
def dump(tmp_path: Path) -> Path:
    file = tmp_path / "cluster.json"
    file.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": a_cluster()}))
    return file


def imported(dump: Path, *options: object) -> tuple[LoadedScenario, str]:
    out = dump.parent / "shop.yaml"
    result = sim("import", "--from", dump, "--out", out, *options)
    assert result.exit_code == 0, result.output
    return load(out), result.output


def refs(loaded: LoadedScenario) -> set[str]:
    return {f"{o['kind']} {o['metadata']['name']}" for o in objects_of(loaded)}


def test_what_controllers_make_again_is_left_out_and_other_pods_stay(dump: Path) -> None:
    loaded, told = imported(dump)

    assert refs(loaded) == {
        "Namespace shop", "PrismStack web", "Deployment mail", "Pod logs-1", "Pod logs-2",
        "Secret keys",
    }  # fmt: skip
    assert "2 pods of DaemonSet: kept where they are" in told
    assert "1 ConfigMap, 1 DaemonSet: not modelled, and left out" in told
    assert "1 Pod: ended, and left out" in told
    assert "init containers" in told


def test_nodes_keep_their_names_zones_and_room(dump: Path) -> None:
    loaded, told = imported(dump)

    nodes = {n["metadata"]["name"]: n for n in nodes_of(loaded)}
    assert set(nodes) == {"ip-1", "ip-2", "ip-3"}
    assert nodes["ip-3"]["metadata"]["labels"]["topology.kubernetes.io/zone"] == "eu-1b"
    assert nodes["ip-1"]["status"]["allocatable"] == {
        "cpu": "3920m",
        "memory": "15Gi",
        "pods": "58",
    }
    (pool,) = loaded.scenario.cluster.pools
    assert pool == "workers"
    assert "Node ip-4: not ready, and left out" in told
    assert "example.com/serial" in told


def test_what_was_imported_comes_up_and_leaves_the_cordoned_node_alone(dump: Path) -> None:
    loaded, _ = imported(dump)
    simulation = Simulation(loaded)

    result = simulation.run()

    assert result.failures == ()
    pods = simulation.cache.list(POD)
    assert len(pods) == 8
    assert {pod["spec"]["nodeName"] for pod in pods} == {"ip-1", "ip-2"}


@pytest.mark.parametrize("options", [(), ("--anonymise",)])
def test_no_secret_gets_into_what_is_written(dump: Path, options: tuple[str, ...]) -> None:
    imported(dump, *options)

    for file in dump.parent.glob("shop*.yaml"):
        text = file.read_text()
        decoded = [
            base64.b64decode(value).decode()
            for obj in yaml.safe_load_all(text)
            if obj and obj.get("kind") == "Secret"
            for value in obj["data"].values()
        ]
        assert "s3cr3t" not in text
        assert "s3cr3t" not in "".join(decoded)


def test_anonymous_files_hold_no_name_and_play_the_same(dump: Path) -> None:
    named, _ = imported(dump)
    anonymous, _ = imported(dump, "--anonymise", "--force")

    text = "".join(file.read_text() for file in dump.parent.glob("shop*.yaml"))
    for name in ("ip-1", "eu-1", "workers", "web", "mail", "orders", "logs", "auth:1", "keys"):
        assert name not in text.replace("shop-manifests.yaml", ""), name
    first, second = Simulation(named).run(), Simulation(anonymous).run()
    assert second.failures == ()
    assert (second.ready, second.writes) == (first.ready, first.writes)


# Bad input


def test_a_file_that_is_there_is_not_overwritten(dump: Path) -> None:
    imported(dump)
    before = (dump.parent / "shop.yaml").read_bytes()

    told = refused("import", "--from", dump, "--out", dump.parent / "shop.yaml", "--anonymise")

    assert "shop.yaml: exists already; --force overwrites it" in told
    assert (dump.parent / "shop.yaml").read_bytes() == before


def test_without_nodes_it_says_what_is_missing(tmp_path: Path) -> None:
    file = tmp_path / "pods.yaml"
    file.write_text(yaml.safe_dump(a_pod("a", ("DaemonSet", "b"))))

    told = refused("import", "--from", file, "--out", tmp_path / "out.yaml")

    assert "expected a Node that is ready, got none: kubectl get nodes" in told
    assert not (tmp_path / "out.yaml").exists()


@pytest.mark.parametrize(
    ("content", "told"),
    [("a: [", "is not YAML"), ("- 1", "expected a Node"), ("\xff", "expected a Node")],
)
def test_what_is_no_output_of_kubectl_is_refused(content: str, told: str, tmp_path: Path) -> None:
    file = tmp_path / "bad.yaml"
    file.write_text(content)

    assert told in refused("import", "--from", file, "--out", tmp_path / "out.yaml")


def test_a_base_has_names_of_its_own_and_cannot_be_anonymous(dump: Path) -> None:
    base = SCENARIOS / "quickstart.yaml"
    out = dump.parent / "out.yaml"

    told = refused("import", "--from", dump, "--base", base, "--anonymise", "--out", out)

    assert "--anonymise: not with --base" in told


def test_an_export_is_not_overwritten(tmp_path: Path) -> None:
    path = SCENARIOS / "quickstart.yaml"
    assert sim("export", path, tmp_path / "out").exit_code == 0

    assert "--force overwrites it" in refused("export", path, tmp_path / "out")
    assert sim("export", path, tmp_path / "out", "--force").exit_code == 0


# A running cluster


def test_a_running_cluster_is_imported_without_what_it_made_itself() -> None:
    simulation = Simulation(load(SCENARIOS / "zone-spread.yaml"))
    simulation.run_until(120)

    read = read_cluster(connect_over(InProcessAdapter(simulation.server)).reader())
    selected = select(read.objects)

    written = {f"{o['kind']} {o['metadata']['name']}" for o in selected.manifests}
    assert written == {"Namespace prism-system", *refs(load(SCENARIOS / "zone-spread.yaml"))}
    assert len(selected.nodes) == 9
    assert not read.keda


class NotAllowed:
    """A cluster that lets one read pods only."""

    def list(self, resource: Resource, namespace: str = "") -> Listed | Failed:
        if resource == POD:
            return Listed((), "1")
        return Failed(Reason.FORBIDDEN, "no")


def test_missing_rights_are_listed_at_once_with_the_command_that_grants_them() -> None:
    with pytest.raises(BadInputError) as refusal:
        read_cluster(cast(Reader, NotAllowed()))

    told = str(refusal.value)
    assert "not allowed to list nodes, namespaces" in told
    assert "--verb=list --resource=nodes,namespaces" in told
    assert "prismstacks.prism.io" in told
    assert "pods," not in told


def test_what_is_no_kubeconfig_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "config"
    file.write_text("[1, 2")

    told = refused("import", "--kubeconfig", file, "--out", tmp_path / "out.yaml")

    assert str(file) in told
    assert not (tmp_path / "out.yaml").exists()
