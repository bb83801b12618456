"""What is imported from a real cluster replays on another without unexplained difference."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from e2e.cluster import Json, LocalCluster, a_node
from e2e.operator_process import OperatorProcess, operator_kubeconfig
from e2e.waiting import eventually
from simulator.cli import app

ROOT = Path(__file__).parents[1]
LITERAL = "hunter2-hunter2"


def sim(*args: object) -> Result:
    return CliRunner().invoke(app, list(map(str, args)))


@pytest.fixture(scope="module")
def imported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The scenario of a cluster in which a stack and a foreign Deployment run, and other pods."""
    folder = tmp_path_factory.mktemp("imported")
    nodes = [a_node(f"ip-10-0-{i}", zone=f"eu-1{'abc'[i % 3]}") for i in range(11)]
    with LocalCluster.start(folder / "cluster", nodes=nodes) as cluster:
        cluster.install_crds(ROOT / "crds")
        kubeconfig = operator_kubeconfig(cluster)
        log = folder / "operator.log"
        with OperatorProcess(cluster, log, "--no-leader-elect", kubeconfig=kubeconfig) as operator:
            operator.wait_until_ready()
            cluster.kubectl("cordon", "ip-10-0-6")
            cluster.kubectl("apply", f"--filename={ROOT / 'samples/proxy-zone-spread.yaml'}")
            everything = {"apiVersion": "v1", "kind": "List", "items": others()}
            cluster.kubectl("apply", "--filename=-", stdin=json.dumps(everything))
            cluster.kubectl(
                *("wait", "--for=condition=Ready", "prismstack/prism-zone-spread"),
                *("--namespace=prism-zone-spread", "--timeout=120s"),
            )
            wait = ("wait", "--for=condition=Available", "deployment/mail", "--timeout=120s")
            eventually(lambda: cluster.kubectl(*wait))
            out = folder / "shop.yaml"
            result = sim("import", "--kubeconfig", cluster.kubeconfig, "--out", out)
            assert result.exit_code == 0, result.output
            refused = sim(
                *("import", "--kubeconfig", cluster.user_kubeconfig("somebody")),
                *("--out", folder / "none.yaml"),
            )
            assert refused.exit_code == 2
            assert "--verb=list --resource=nodes" in refused.output
    return out


def others() -> list[Json]:
    container = {
        "name": "mail",
        "image": "mail:1",
        "resources": {"requests": {"cpu": "1500m", "memory": "1Gi"}},
        "env": [{"name": "PASSWORD", "value": LITERAL}],
    }
    template = {"metadata": {"labels": {"app": "mail"}}, "spec": {"containers": [container]}}
    mail = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "mail", "namespace": "default"},
        "spec": {
            "replicas": 9,
            "selector": {"matchLabels": {"app": "mail"}},
            "template": template,
        },
    }
    logs = {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": {"name": "logs", "namespace": "default"},
        "spec": {
            "selector": {"matchLabels": {"app": "logs"}},
            "template": {
                "metadata": {"labels": {"app": "logs"}},
                "spec": {"containers": [container]},
            },
        },
    }
    return [mail, logs]


def test_no_secret_is_in_what_was_imported(imported: Path) -> None:
    assert LITERAL not in "".join(f.read_text() for f in imported.parent.glob("shop*.yaml"))


def test_what_was_imported_is_played_as_it_was(imported: Path) -> None:
    result = sim("run", imported)

    assert result.exit_code == 0, result.output


def test_what_was_imported_replays_without_unexplained_difference(imported: Path) -> None:
    result = sim("replay", imported)

    assert result.exit_code == 0, result.output
    assert "0 of them unexplained" in result.output


def test_steps_by_hand_are_replayed_too() -> None:
    result = sim("replay", ROOT / "scenarios" / "dedicated-nodes.yaml")

    assert result.exit_code == 0, result.output
