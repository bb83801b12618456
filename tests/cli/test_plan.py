"""``plan`` says beforehand, to the letter, what the operator then does, and never writes."""

from __future__ import annotations

import copy
import json
import os
import random
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from prism_operator.api.meta import (
    DEPLOYMENT,
    NAMESPACE,
    NODE,
    POD_MONITOR,
    PRISM_RESOURCES,
    SECRET,
    SERVICE,
    Json,
    Ref,
    Resource,
    ref_of,
)
from prism_operator.manifests import Manifest, read_manifests
from prism_operator.planning.diff import difference
from prism_operator.planning.settings import Settings
from prism_operator.ports import Ok
from prism_operator.preview.merge import LAST_APPLIED
from prism_operator.preview.preview import Action, Preview, preview
from prism_operator.preview.showing import shown_pair
from prism_operator.runtime.operator import WATCHED
from simulator.apiserver.garbage import GarbageCollector
from simulator.autoscaling.keda.crds import free_form_crd
from tests.api.builders import a_backend, a_namespace, a_pattern, a_stack
from tests.runtime import keda
from tests.runtime.world import World

from .builders import kubectl_prism

SAMPLES = sorted((Path(__file__).parents[2] / "samples").glob("*.yaml"))
NOW = datetime(2026, 3, 2, tzinfo=UTC)
TRIGGER = {
    "type": "kafka",
    "metadata": {"bootstrapServers": "k:9092", "consumerGroup": "g", "topic": "t"},
}
HPA = {"maxReplicas": 5, "targetCPUUtilizationPercentage": 70}
KEDA = {"minReplicas": 0, "maxReplicas": 5, "scaler": "keda", "triggers": [TRIGGER]}


def manifests_of(*objects: Json) -> list[Manifest]:
    read = read_manifests([("f.yaml", yaml.safe_dump_all(objects).encode())])
    assert read.errors == []
    return read.objects


class Cluster:
    """The fake API server, where people apply files, plan before, and run the operator after."""

    def __init__(self) -> None:
        self.world = World()
        keda.install(self.world)
        self.world.create(free_form_crd(POD_MONITOR))
        self.settings = Settings()
        self.garbage = GarbageCollector(self.world.server)

    def plan(
        self, *objects: Json, user: str = "planner", absent: tuple[Resource, ...] = ()
    ) -> Preview:
        planned = preview(
            manifests_of(*objects),
            self.world.reader(user),
            serves=lambda resource: resource not in absent,
            settings=Settings(),
            now=NOW,
        )
        assert self.world.writes_of(user) == []
        return planned

    def apply(self, *objects: Json) -> None:
        """``kubectl apply --server-side``, then the operator until it rests."""
        for manifest in manifests_of(*objects):
            ref = ref_of(manifest.obj)
            if self.world.get(Ref(NAMESPACE, "", ref.namespace)) is None and ref.namespace:
                namespace = {"apiVersion": "v1", "kind": "Namespace"}
                self.world.create({**namespace, "metadata": {"name": ref.namespace}})
            writer = self.world.writer("admin")
            outcome = writer.apply(manifest.obj, "kubectl", force=True)
            assert isinstance(outcome, Ok), outcome
        self.run()

    def run(self) -> None:
        operator = self.world.operator(settings=self.settings)
        self.world.run(operator, seconds=30)
        while self.garbage.step():
            pass
        self.world.run(operator, seconds=30)
        operator.close()

    def objects(self) -> dict[Ref, Json]:
        kinds = [r for r in (*WATCHED, NAMESPACE, SECRET) if r.namespaced or r == NAMESPACE]
        reader = self.world.reader("judge")
        listed = [reader.list(kind) for kind in kinds]
        return {ref_of(obj): obj for found in listed for obj in found.items}  # type: ignore[union-attr]


def foretold(cluster: Cluster, *objects: Json) -> Preview:
    """Plans, applies, lets the operator work, and compares the two."""
    before = cluster.objects()
    planned = cluster.plan(*objects)

    cluster.apply(*objects)

    after = cluster.objects()
    changed = {
        ref
        for ref in {**before, **after}
        if ref.resource != NAMESPACE
        and len(
            {json.dumps(o, sort_keys=True) for o in shown_pair(before.get(ref), after.get(ref))}
        )
        > 1
    }
    assert changed == {c.ref for c in planned.changes if c.ref.resource != NAMESPACE}
    for change in planned.changes:
        _, actual = shown_pair(before.get(change.ref), after.get(change.ref))
        if change.action is Action.DELETE or actual is None:
            assert actual is change.after is None
            continue
        assert change.after is not None
        assert difference(change.after, actual) is None, change.ref
        if change.action is Action.CHANGE:
            assert list(unforetold(change.after, actual)) == [], change.ref
    assert cluster.plan(*objects).changes == []
    return planned


# What the server adds to parts that are new; a plan shows these as they are written.
ADDED = (
    "defaultMode", "imagePullPolicy", "protocol", "terminationMessagePath",
    "terminationMessagePolicy", "timeoutSeconds", "periodSeconds", "successThreshold",
    "failureThreshold", "allocateLoadBalancerNodePorts", "externalTrafficPolicy", "nodePort",
)  # fmt: skip


def unforetold(planned: Any, actual: Any, path: str = "") -> Iterator[str]:
    """Where an object has become something else than was planned."""
    if isinstance(planned, dict) and isinstance(actual, dict):
        for key in {**planned, **actual}:
            if key in planned and key in actual:
                yield from unforetold(planned[key], actual[key], f"{path}.{key}")
            elif key in planned or key not in ADDED:
                yield f"{path}.{key}: planned {planned.get(key)}, found {actual.get(key)}"
    elif isinstance(planned, list) and isinstance(actual, list) and len(planned) == len(actual):
        for index, pair in enumerate(zip(planned, actual, strict=True)):
            yield from unforetold(*pair, f"{path}[{index}]")
    elif planned != actual:
        yield f"{path}: planned {planned}, found {actual}"


def summary(planned: Preview) -> list[str]:
    return [f"{change.action.value} {change.ref}" for change in planned.changes]


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda path: path.stem)
def test_a_sample_becomes_what_was_planned(sample: Path) -> None:
    objects = [obj for obj in yaml.safe_load_all(sample.read_text()) if obj]

    planned = foretold(Cluster(), *objects)

    assert planned.count(Action.CREATE) >= 1
    assert planned.refused == []


STACK = a_stack(
    proxy={"replicas": 3, "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]},
    patterns=[
        {"name": "orders", "type": "consumer", "backend": "redis", "config": {"batch": 10}},
        {"name": "events", "type": "producer", "backend": "redis", "replicas": 2},
    ],
    backends=[{"name": "redis", "type": "cache", "connectionString": "redis://r:6379"}],
    namespaces=[{"name": "acme", "namespaceId": "acme"}],
    admin={"replicas": 3},
)
EDITS: dict[str, Callable[[Json], Any]] = {
    "nothing": lambda spec: None,
    "image": lambda spec: spec["proxy"].update(image="ghcr.io/prism/prism-proxy:v2"),
    "replicas": lambda spec: spec["proxy"].update(replicas=5),
    "an environment variable goes": lambda spec: spec["proxy"]["env"].pop(0),
    "an environment variable changes": lambda spec: spec["proxy"]["env"][1].update(value="3"),
    "proxy section goes": lambda spec: spec.pop("proxy"),
    "requests in other words": lambda spec: spec["proxy"].update(
        resources={"requests": {"cpu": "0.1", "memory": "131072Ki"}}
    ),
    "admin goes": lambda spec: spec.pop("admin"),
    "pattern goes": lambda spec: spec["patterns"].pop(0),
    "pattern comes": lambda spec: spec["patterns"].append(
        {"name": "cache", "type": "keyvalue", "backend": "memstore"}
    ),
    "configuration": lambda spec: spec["patterns"][0].update(config={"batch": 20}),
    "configuration goes": lambda spec: spec["patterns"][0].pop("config"),
    "backend moves": lambda spec: spec["backends"][0].update(connectionString="redis://s:6379"),
    "backend goes": lambda spec: spec.pop("backends"),
    "namespace goes": lambda spec: spec.pop("namespaces"),
    "proxy gets an HPA": lambda spec: spec["proxy"].update(autoscaling=HPA),
    "pattern gets KEDA": lambda spec: spec["patterns"][1].update(autoscaling=KEDA),
    "observability": lambda spec: spec.update(
        observability={"enabled": True, "tracing": {"endpoint": "http://otel:4317"}}
    ),
    "placement": lambda spec: spec["proxy"].update(placement={"strategy": "Spot"}),
}


def edited(obj: Json, edit: Callable[[Json], Any]) -> Json:
    obj = copy.deepcopy(obj)
    edit(obj["spec"])
    return obj


@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS)
def test_an_edit_does_what_was_planned_and_back_again(edit: Callable[[Json], Any]) -> None:
    cluster = Cluster()
    foretold(cluster, STACK)

    foretold(cluster, edited(STACK, edit))
    foretold(cluster, STACK)


SCALERS: dict[str, Json] = {"none": {}, "hpa": {"autoscaling": HPA}, "keda": {"autoscaling": KEDA}}


@pytest.mark.parametrize("replicas", [0, 3])
@pytest.mark.parametrize("after", SCALERS)
@pytest.mark.parametrize("before", SCALERS)
def test_every_change_of_scaler_does_what_was_planned(
    before: str, after: str, replicas: int
) -> None:
    cluster = Cluster()
    cluster.apply(a_pattern(name="orders", replicas=2, **SCALERS[before]))
    keda.scale(cluster.world, "orders", replicas)
    cluster.run()

    foretold(cluster, a_pattern(name="orders", replicas=2, **SCALERS[after]))


def test_one_thing_becomes_any_other_as_planned() -> None:
    by_kind: dict[str, list[Json]] = {"PrismStack": [], "PrismPattern": []}
    for sample in SAMPLES:
        for obj in yaml.safe_load_all(sample.read_text()):
            if obj and obj["kind"] in by_kind:
                metadata = {"name": obj["kind"].lower(), "namespace": "default"}
                by_kind[obj["kind"]].append({**obj, "metadata": metadata})
    cluster, rng = Cluster(), random.Random(1)

    for _ in range(200 if os.environ.get("PRISM_DEEP") else 12):
        foretold(cluster, *(rng.choice(objects) for objects in by_kind.values()))


def test_kubectls_annotation_tells_what_left_the_file() -> None:
    cluster = Cluster()
    pattern = a_pattern(name="orders", service={"port": 8080})
    made = copy.deepcopy(pattern)
    made["metadata"]["annotations"] = {LAST_APPLIED: json.dumps(pattern)}
    made["spec"]["replicas"] = 3  # by kubectl scale
    cluster.world.create(made)
    cluster.run()

    planned = cluster.plan(a_pattern(name="orders"))

    assert summary(planned) == [
        "change PrismPattern default/orders",
        "delete Service default/orders",
    ]


def test_what_other_hands_set_stays() -> None:
    cluster = Cluster()
    foretold(cluster, STACK)
    cluster.world.edit(
        Ref(DEPLOYMENT, "default", "stack-proxy"),
        {
            "spec": {
                "template": {
                    "metadata": {"annotations": {"kubectl.kubernetes.io/restartedAt": "now"}}
                }
            }
        },
    )
    cluster.run()

    planned = foretold(cluster, edited(STACK, EDITS["image"]))

    (change,) = [c for c in planned.changes if c.ref.resource == DEPLOYMENT]
    assert change.after is not None
    assert change.after["spec"]["template"]["metadata"]["annotations"] == {
        "kubectl.kubernetes.io/restartedAt": "now"
    }


def test_what_depends_on_a_changed_backend_is_planned_too() -> None:
    cluster = Cluster()
    shared = {"type": "cache", "provider": "redis", "allowedNamespaces": ["team"]}
    there = a_pattern(name="near", backendConfig={"name": "redis"})
    elsewhere = a_pattern(name="far", backendConfig={"name": "redis", "namespace": "default"}) | {
        "metadata": {"name": "far", "namespace": "team"}
    }
    cluster.apply(a_backend(name="redis", **shared, connection={"url": "redis://r:1"}))
    cluster.apply(there, elsewhere)

    planned = foretold(
        cluster, a_backend(name="redis", **shared, connection={"url": "redis://s:1"})
    )

    assert summary(planned) == [
        "change PrismBackend default/redis",
        "change Deployment default/near",
        "change Deployment team/far",
    ]


def test_a_foreign_object_of_the_name_is_said_and_left_alone() -> None:
    cluster = Cluster()
    cluster.world.create(
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "stack-proxy", "namespace": "default"},
            "spec": {"ports": [{"port": 1}]},
        }
    )

    planned = foretold(cluster, a_stack())

    assert Ref(SERVICE, "default", "stack-proxy") not in {c.ref for c in planned.changes}
    (remark,) = planned.remarks
    assert (remark.type, remark.status) == ("NameConflict", "True")
    assert "Service default/stack-proxy exists and is not ours" in remark.message


def test_nodes_say_where_pods_do_not_fit() -> None:
    cluster = Cluster()
    cluster.world.create(
        {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {"name": "n", "labels": {"kubernetes.io/hostname": "n"}},
        }
    )

    planned = foretold(cluster, a_stack(proxy={"placement": {"strategy": "MultiZone"}}))

    assert [remark.type for remark in planned.remarks] == ["PlacementUnsatisfiable"]


def test_an_operator_with_a_key_of_its_own_is_planned_for_without_it() -> None:
    cluster = Cluster()
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "redis", "namespace": "default"},
        "data": {"url": "cmVkaXM6Ly91OnBAcg=="},
    }
    backend = a_backend(
        name="redis", type="cache", provider="redis", connection={"secretRef": {"name": "redis"}}
    )
    pattern = a_pattern(name="orders", backendConfig={"name": "redis"}, config={"batch": 1})
    cluster.settings = Settings(hash_key=b"nobody knows it")
    cluster.apply(secret, backend, pattern)

    same = cluster.plan(secret, backend, pattern)
    other_secret = cluster.plan(secret | {"data": {"url": "cmVkaXM6Ly9x"}})
    other_config = cluster.plan(
        a_pattern(name="orders", backendConfig={"name": "redis"}, config={"batch": 2})
    )

    assert same.changes == []
    assert summary(other_config) == [
        "change PrismPattern default/orders",
        "change ConfigMap default/orders-config",
        "change Deployment default/orders",
    ]
    assert summary(other_secret) == [
        "change Secret default/redis",
        "change Deployment default/orders",
    ]
    hidden = json.dumps([[c.before, c.after] for c in other_secret.changes])
    assert "(secret, changed)" in hidden
    assert "(hash, changed)" in hidden
    assert "cmVkaX" not in hidden


def test_passwords_in_urls_are_not_shown_but_seen() -> None:
    cluster = Cluster()

    def settings_with(password: str) -> Json:
        return {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "settings", "namespace": "default"},
            "data": {"url": f"redis://user:{password}@r:6379"},
        }

    cluster.apply(settings_with("hunter2"))
    (change,) = cluster.plan(settings_with("hunter3")).changes

    assert change.before is not None
    assert change.after is not None
    assert change.before["data"] == {"url": "redis://***@r:6379"}
    assert change.after["data"] == {"url": "redis://***@r:6379 (changed)"}


def test_what_cannot_be_read_is_said() -> None:
    cluster = Cluster()
    cluster.world.server.authorizer = lambda access: (
        "no" if access.resource == NODE and access.user == "planner" else None
    )

    planned = cluster.plan(a_stack(proxy={"placement": {"strategy": "MultiZone"}}))

    assert planned.unknown == ["nodes cannot be read"]


def test_a_server_without_our_crds_is_said() -> None:
    planned = Cluster().plan(a_stack(), absent=PRISM_RESOURCES)

    (told,) = planned.unknown
    assert told.endswith("prismpatterns, prismbackends: install the CRDs first")


def test_a_namespace_that_is_not_there_is_said_unless_a_file_brings_it() -> None:
    cluster = Cluster()
    stack = a_stack() | {"metadata": {"name": "stack", "namespace": "new"}}
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "new"}}

    alone, together = cluster.plan(stack), cluster.plan(namespace, stack)

    assert alone.unknown == ["namespace new does not exist: create it first"]
    assert together.unknown == []
    assert summary(together)[0] == "create Namespace new"


def test_what_the_server_never_lets_change_is_refused_with_its_place() -> None:
    cluster = Cluster()
    cluster.apply(a_namespace(namespaceId="acme"))

    (refused,) = cluster.plan(a_namespace(namespaceId="other")).refused

    assert refused.path == "spec.namespaceId"
    assert refused.line > 1


def test_a_paused_object_is_left_as_it_is() -> None:
    cluster = Cluster()
    cluster.apply(STACK)
    paused = edited(STACK, EDITS["image"])
    paused["metadata"]["annotations"] = {"prism.io/paused": "true"}

    planned = foretold(cluster, paused)

    assert planned.remarks[0].type == "Paused"
    assert DEPLOYMENT not in {change.ref.resource for change in planned.changes}


# The command


@pytest.fixture
def stack_file(tmp_path: Path) -> str:
    file = tmp_path / "stack.yaml"
    file.write_text(yaml.safe_dump(a_pattern(name="orders", service={"port": 8080})))
    return str(file)


def test_a_plan_for_an_empty_cluster_reads_as_a_diff(
    stack_file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    ran = kubectl_prism("plan", "--empty", "-f", stack_file, capsys=capsys)

    assert (ran.code, ran.err) == (0, "")
    lines = ran.out.splitlines()
    assert lines[0] == "# create PrismPattern default/orders by these files"
    assert "+apiVersion: prism.io/v1alpha1" in lines
    assert (
        "# create Deployment default/orders for PrismPattern default/orders: it does not exist"
        in lines
    )
    assert lines[-1] == "Plan: 3 to create, 0 to change, 0 to delete."
    assert "managedFields" not in ran.out


def test_the_detailed_exit_code_is_terraforms(
    stack_file: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config_map = tmp_path / "nothing.yaml"
    config_map.write_text("# nothing\n")
    bad = tmp_path / "bad.yaml"
    bad.write_text("apiVersion: prism.io/v1alpha1\nkind: PrismStack\nmetadata: {name: 1}\n")

    codes = [
        kubectl_prism("plan", "--empty", "--detailed-exitcode", *args, capsys=capsys).code
        for args in (
            ("-f", stack_file),
            ("-f", str(config_map)),
            ("-f", str(bad)),
            ("-f", str(tmp_path / "absent.yaml")),
            ("--no-such-flag",),
        )
    ]

    assert codes == [2, 0, 1, 1, 1]


def test_a_plan_as_json_has_both_sides_of_every_change(
    stack_file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    ran = kubectl_prism("plan", "--empty", "-f", stack_file, "-o", "json", capsys=capsys)

    document = json.loads(ran.out)
    assert document["summary"] == {"create": 3, "change": 0, "delete": 0}
    deployment = document["changes"][-1]
    assert {key: deployment[key] for key in ("action", "apiVersion", "kind", "name", "by")} == {
        "action": "create",
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "name": "orders",
        "by": "PrismPattern default/orders",
    }
    assert deployment["before"] is None
    assert deployment["after"]["spec"]["replicas"] == 1
    as_yaml = kubectl_prism("plan", "--empty", "-f", stack_file, "-o", "yaml", capsys=capsys)
    assert yaml.safe_load(as_yaml.out) == document


def test_an_invalid_file_is_not_planned_but_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = tmp_path / "bad.yaml"
    bad.write_text(yaml.safe_dump(a_stack(proxy={"replicas": "many"}), sort_keys=False))

    ran = kubectl_prism("plan", "--empty", "-f", str(bad), capsys=capsys)

    assert (ran.code, ran.out) == (1, "")
    assert ran.err == (
        f'{bad}:8:5: PrismStack default/stack: spec.proxy.replicas: "many" is not an integer\n'
    )


def test_no_file_rewrites_the_readers_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "sly.yaml"
    env = [{"name": "A", "value": "x\x1b[2Jy"}]
    file.write_text(json.dumps(a_pattern(name="orders", env=env)))

    planned = kubectl_prism("plan", "--empty", "-f", str(file), capsys=capsys)
    file.write_text(json.dumps(a_pattern(name="orders", replicas="x\x1b[2Jy")))
    validated = kubectl_prism("validate", "-f", str(file), capsys=capsys)

    assert planned.code == 0
    assert "\x1b" not in planned.out + validated.out
    assert "\\x1b[2Jy" in validated.out


def test_a_cluster_that_does_not_answer_is_an_error(
    stack_file: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ran = kubectl_prism(
        "plan", "-f", stack_file, "--kubeconfig", str(tmp_path / "none"), capsys=capsys
    )

    assert (ran.code, ran.out) == (1, "")
    assert "none does not exist" in ran.err
