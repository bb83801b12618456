"""A scenario that asks for what has no model is refused where it asks; nothing is ignored."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from simulator.cli import app

SCENARIO = """\
question: Is this refused?
duration: 1m
cluster: {pools: {base: {count: 1, allocatable: {cpu: "4", pods: "110", x.io/fpga: "1"}}}}
manifests: [worker.yaml]
timeline:
  - at: 10s
    patch:
      target: Deployment/worker
      patch:
        spec: {replicas: 2}
expect: [{always: {restarts: {equals: 0}}}]
"""
WORKER = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: worker, namespace: default}
spec:
  selector: {matchLabels: {app: worker}}
  template:
    metadata: {labels: {app: worker}}
    spec:
      containers:
        - name: worker
          image: worker:1
          resources: {requests: {cpu: 100m}}
      volumes: [{name: tmp, emptyDir: {}}]
"""
STACK = """\
apiVersion: prism.io/v1alpha1
kind: PrismStack
metadata: {name: shop, namespace: default}
spec:
  proxy:
    placement:
      runtimeClassName: gvisor
"""


def run(folder: Path, scenario: str = SCENARIO, worker: str = WORKER) -> tuple[int, str]:
    (folder / "s.yaml").write_text(scenario)
    (folder / "worker.yaml").write_text(worker)
    result = CliRunner().invoke(app, ["run", str(folder / "s.yaml")])
    return result.exit_code, result.output.replace(f"{folder}/", "")


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("emptyDir: {}", "persistentVolumeClaim: {claimName: c}",
         "worker.yaml:13:29: spec.template.spec.volumes[0].persistentVolumeClaim: this volume is "
         "not modelled; there are configMap,"),
        ("cpu: 100m", "nvidia.com/gpu: 1",
         "worker.yaml:12:34: spec.template.spec.containers[0].resources.requests.nvidia.com/gpu: "
         "device plugins"),
        ("volumes:", "initContainers: [{name: i, image: i}]\n      volumes:",
         "worker.yaml:13:7: spec.template.spec.initContainers: init containers"),
        ("volumes:", "schedulerName: mine\n      volumes:",
         'worker.yaml:13:7: spec.template.spec.schedulerName: scheduler "mine" is not modelled'),
        ("volumes:", "resourceClaims: [{name: r}]\n      volumes:",
         "worker.yaml:13:7: spec.template.spec.resourceClaims: dynamic resource allocation"),
        ("kind: Deployment", "kind: StatefulSet", "worker.yaml:2:1: kind: expected one of "),
    ],
)  # fmt: skip
def test_what_a_manifest_asks_for_is_refused_in_its_line(
    tmp_path: Path, old: str, new: str, told: str
) -> None:
    code, output = run(tmp_path, worker=WORKER.replace(old, new))

    assert code == 2
    assert told in output


def test_a_prism_object_is_held_to_the_same(tmp_path: Path) -> None:
    code, output = run(tmp_path, worker=STACK)

    assert code == 2
    assert "worker.yaml:7:7: spec.proxy.placement.runtimeClassName: runtime classes" in output


@pytest.mark.parametrize(
    ("patch", "told"),
    [
        ("spec: {template: {spec: {runtimeClassName: gvisor}}}", "s.yaml:10:34: spec.template"),
        ("- {op: add, path: /spec/template/spec/runtimeClassName, value: gvisor}",
         "s.yaml:10:65: spec.template.spec.runtimeClassName: runtime classes are not modelled"),
        ("- {op: add, path: /spec/template/spec/volumes/-, value: {name: v, nfs: {}}}",
         "s.yaml:10:58: spec.template.spec.volumes[0].nfs: this volume is not modelled"),
    ],
)  # fmt: skip
def test_a_patch_of_the_timeline_is_held_to_the_same(tmp_path: Path, patch: str, told: str) -> None:
    code, output = run(tmp_path, SCENARIO.replace("spec: {replicas: 2}", patch))

    assert code == 2
    assert told in output


def test_a_resource_that_the_nodes_of_a_pool_have_is_counted_and_so_allowed(
    tmp_path: Path,
) -> None:
    asked = "requests: {cpu: 100m, x.io/fpga: 1}, limits: {x.io/fpga: 1}"
    worker = WORKER.replace("requests: {cpu: 100m}", asked)

    code, output = run(tmp_path, worker=worker)

    assert code == 0, output
