"""``prism-sim explain --pod``: why a pod is on its node or on none, and what would alter it."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from prism_operator.api.meta import POD, Json
from simulator.cli import SCENARIOS, app
from simulator.explaining.answers import smallest
from simulator.explaining.pods import PodExplanation, PodQuestion
from simulator.explaining.printing import pod_text
from simulator.run import Simulation
from simulator.scenario import load
from tests.simulator.builders import Story

LABELS = {"app": "web"}
TAINT = {"key": "dedicated", "value": "batch", "effect": "NoSchedule"}
HOST = "kubernetes.io/hostname"
ZONE = "topology.kubernetes.io/zone"


def a_pod(name: str = "web", cpu: str = "3", **spec: Any) -> Json:
    container = {"name": "c", "image": "web:1", "resources": {"requests": {"cpu": cpu}}}
    ports = spec.pop("ports", None)
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "default", "labels": LABELS},
        "spec": {"containers": [{**container, **({"ports": ports} if ports else {})}], **spec},
    }


def a_budget(**spec: Any) -> Json:
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": {"name": "web", "namespace": "default"},
        "spec": {"selector": {"matchLabels": LABELS}, **spec},
    }


def pools(count: int = 1, zones: str = "a", **pool: Any) -> Json:
    return {"zones": list(zones), "pools": {"base": {"count": count, **pool}}}


def ask(pod: str, *objects: Json, at_s: float = 60, **scenario: Any) -> PodExplanation:
    scenario.setdefault("cluster", pools())
    question = PodQuestion(Story(*objects, **scenario).simulation)
    return question.answer(pod, round(at_s * 1e6))


def changes(found: PodExplanation) -> dict[str, str]:
    return {change.change: change.outcome for change in found.what_if}


def node_of(pod: str, *objects: Json, **scenario: Any) -> str | None:
    """Where the pod is, in a run of its own."""
    return ask(pod, *objects, **scenario).node


def keep_apart(key: str = HOST, kind: str = "podAntiAffinity") -> Json:
    term = {"topologyKey": key, "labelSelector": {"matchLabels": LABELS}}
    return {kind: {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}


def spread(max_skew: int = 1) -> list[Json]:
    return [
        {
            "maxSkew": max_skew,
            "topologyKey": ZONE,
            "whenUnsatisfiable": "DoNotSchedule",
            "labelSelector": {"matchLabels": LABELS},
        }
    ]


# A pod without a node


def test_less_is_requested_by_just_enough_to_fit() -> None:
    first = a_pod("first")
    found = ask("web", first, a_pod(cpu="1250m"))

    assert found.node is None
    assert "0/1 nodes are available: 1 Insufficient cpu." in found.outcome
    assert found.nodes[0].detail == "cpu 1250m requested, 1 of 4 free"
    assert changes(found)["250m less cpu requested (1 instead of 1250m)"] == "goes to base-a-0"
    assert node_of("web", first, a_pod(cpu="1000m")) == "base-a-0"
    assert node_of("web", first, a_pod(cpu="1001m")) is None


def test_one_more_node_is_told_with_the_zones_where_it_helps() -> None:
    objects = [a_pod(f"web-{n}", topologySpreadConstraints=spread()) for n in range(3)]
    found = ask("web-2", *objects, cluster=pools(2, "ab"))

    assert changes(found)["one more node of pool base in any zone"] == "goes to base-a-new"
    assert node_of("web-2", *objects, cluster=pools(3, "ab")) == "base-a-1"


def test_a_tight_spread_is_told_with_the_numbers_and_the_skew_that_would_do() -> None:
    pods = [a_pod(f"web-{n}", "1", topologySpreadConstraints=spread()) for n in range(4)]
    cordon = ({"at": "0s", "cordon": "base-b-0"},)
    found = ask("web-3", *pods, cluster=pools(2, "ab"), timeline=cordon)
    why = {node.node: node for node in found.nodes}

    assert why["base-a-0"].rejected_by == "PodTopologySpread"
    assert f"maxSkew 1; {ZONE}: a 1, b 0" in why["base-a-0"].detail
    assert why["base-b-0"].rejected_by == "NodeUnschedulable"
    assert changes(found)[f"maxSkew 2 instead of 1 on {ZONE}"] == "goes to base-a-0"
    assert changes(found)["node base-b-0 uncordoned"] == "goes to base-b-0"


@pytest.mark.parametrize(
    ("spec", "pool", "plugin", "detail", "change"),
    [
        (
            {},
            {"taints": [TAINT]},
            "TaintToleration",
            "taint dedicated=batch:NoSchedule",
            "a toleration of dedicated=batch:NoSchedule",
        ),
        (
            {"nodeSelector": {"disk": "ssd"}},
            {},
            "NodeAffinity",
            "nodeSelector disk=ssd",
            "label disk=ssd on node base-a-0",
        ),
        (
            {"affinity": keep_apart()},
            {},
            "InterPodAffinity",
            f"default/first in the same {HOST}",
            f"pod anti-affinity on {HOST} preferred instead of required",
        ),
        (
            {"ports": [{"containerPort": 80, "hostPort": 80}]},
            {},
            "NodePorts",
            "taken: TCP 80",
            "default/first not on base-a-0",
        ),
    ],
)
def test_every_filter_says_what_does_not_go_together_and_what_would(
    spec: Json, pool: Json, plugin: str, detail: str, change: str
) -> None:
    first = a_pod("first", "1", tolerations=[{"operator": "Exists"}])
    if "ports" in spec:
        first["spec"]["containers"][0]["ports"] = spec["ports"]
    found = ask("web", first, a_pod(cpu="1", **spec), cluster=pools(**pool))

    assert (found.nodes[0].rejected_by, found.nodes[0].detail) == (plugin, detail)
    assert changes(found)[change] == "goes to base-a-0"


def test_a_pod_that_is_alone_may_not_want_others() -> None:
    found = ask("web", a_pod(nodeSelector={"x": "y"}), a_pod("other", cpu="1"))

    assert "no nodeSelector" in changes(found)
    assert not any("less cpu" in change for change in changes(found))


def test_a_change_that_alone_does_not_help_is_not_told() -> None:
    found = ask("web", a_pod("first"), a_pod(nodeSelector={"disk": "ssd"}))

    assert found.what_if == ()
    assert "No single change that was tried would have altered that." in pod_text(found)


def test_what_becomes_of_it_unchanged_is_what_the_run_does() -> None:
    pods = [a_pod("first"), a_pod()]
    found = ask("web", *pods, timeline=({"at": "5m", "delete": "Pod/first"},))
    after = ask("web", *pods, at_s=400, timeline=({"at": "5m", "delete": "Pod/first"},))

    assert found.later.startswith("it is placed on base-a-0 at 5m")
    assert after.node == "base-a-0"
    assert (
        f"at {found.later.split(' at ')[1].split(',')[0]}" == f"at 5m{after.decided_at_s - 300:g}s"
    )


# Preemption


def test_a_more_important_pod_tells_whom_it_preempted_against_which_budget() -> None:
    vital = a_pod("vital", priorityClassName="system-cluster-critical")
    found = ask(
        "vital",
        a_pod(),
        a_budget(minAvailable=1),
        applies={"vital": vital},
        timeline=({"at": "30s", "apply": "vital"},),
        at_s=120,
    )

    assert found.node == "base-a-0"
    assert found.preemption is not None
    assert found.preemption.victims == ("default/web",)
    assert found.preemption.options[0].budgets == ("default/web",)
    assert "it preempted default/web on base-a-0" in found.preemption.outcome


def test_the_priority_that_would_preempt_is_told() -> None:
    found = ask("web", a_pod("first"), a_pod())

    assert found.preemption is not None
    assert found.preemption.outcome == "none: no pod there is less important than its 0"
    assert changes(found)["priority 1 instead of 0"] == "preempts default/first on base-a-0"


# A pod with a node


def test_of_every_placed_pod_the_node_with_the_highest_total_is_the_one_it_is_on() -> None:
    simulation = Simulation(load(SCENARIOS / "zone-spread.yaml"))
    question = PodQuestion(simulation)
    simulation.run_until(360)
    pods = [pod for pod in simulation.cache.list(POD) if pod["spec"].get("nodeName")]

    assert pods
    for pod in pods:
        found = question.answer(pod["metadata"]["name"], 360_000_000)
        assert found.nodes[0].node == pod["spec"]["nodeName"] == found.node
        assert found.nodes[0].total == sum(found.nodes[0].scores.values())


def test_what_would_have_sent_it_elsewhere_does_so_in_a_run_of_its_own() -> None:
    others = [a_pod("first", "1")]
    cluster = pools(2)
    found = ask("web", *others, a_pod(cpu="1"), cluster=cluster)
    more = next(c for c in changes(found) if "more cpu" in c)
    asked = more.split("(")[1].split(" ")[0]

    assert found.node == "base-a-1"
    assert changes(found)["no node base-a-1"] == "goes to base-a-0"
    assert changes(found)[more] == "waits: no node fits"
    assert node_of("web", *others, a_pod(cpu=asked), cluster=cluster) is None


def test_a_pod_that_named_its_node_itself_was_not_scheduled() -> None:
    found = ask("web", a_pod(nodeName="base-a-0"))

    assert found.outcome == ("on base-a-0: spec.nodeName named it, so the scheduler was not asked")


# Asking


def run(*arguments: object) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, ["explain", *map(str, arguments)])
    return result.exit_code, result.stdout, result.stderr


@pytest.fixture
def full(tmp_path: Path) -> Path:
    """A node with room for one of two pods; the first goes when there shall be room."""
    (tmp_path / "pods.yaml").write_text(yaml.safe_dump_all([a_pod("web-0"), a_pod("web-1")]))
    scenario = {
        "question": "Is there room?",
        "duration": "10m",
        "cluster": pools(),
        "manifests": ["pods.yaml"],
        "timeline": [
            {"at": "2m", "name": "stuck"},
            {"at": "8m", "name": "room", "delete": "Pod/web-0"},
        ],
        "expect": [{"atEnd": {"exists": "Pod/web-1"}}],
    }
    path = tmp_path / "full.yaml"
    path.write_text(yaml.safe_dump(scenario))
    return path


def test_a_question_is_answered_the_same_for_people_and_as_json(full: Path) -> None:
    code, text, _ = run(full, "--pod", "web-1", "--at", "2m")
    _, answer, _ = run(full, "--pod", "default/web-1", "--at", "120", "--json")
    found = json.loads(answer)

    assert code == 0
    assert text.startswith(f"Pod default/web-1 at 2m: {found['outcome']}\n")
    assert found["later"].startswith("it is placed on base-a-0 at 8m")
    assert f"Unchanged, {found['later']}." in text
    assert [change["change"] for change in found["what_if"]] == [
        "2 less cpu requested (1 instead of 3)",
        "one more node of pool base in zone a",
        "default/web-0 not on base-a-0",
        "priority 1 instead of 0",
    ]
    assert all(change["change"] in text for change in found["what_if"])


def test_an_event_of_the_scenario_and_a_date_are_times_too(full: Path) -> None:
    date = load(full).scenario.clock.start + timedelta(minutes=2)
    answers = {
        run(full, "--pod", "web-1", "--at", at)[1]
        for at in ("stuck", "2m", "120.0", f"{date:%Y-%m-%dT%H:%M:%SZ}")
    }

    assert len(answers) == 1
    assert "" not in answers


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["--pod", "web-1", "--at", "31m"], "--at: 31m is outside of the run of "),
        (["--pod", "web-1", "--at", "rom"], 'got "rom"; did you mean room?'),
        (["--at", "1m"], "explain: expected one of --pod"),
        (["--pod", "web", "--at", "1m"], '"web" in the run; did you mean default/web-0, default/'),
        (["--pod", "web-0", "--at", "9m"], "web-0 is not there at 9m: Pod default/web-0 is there"),
        (["--pod", "web-0", "--at", "9m"], " from 0s to 8m1s"),
    ],
)
def test_what_cannot_be_answered_says_why(full: Path, arguments: list[str], problem: str) -> None:
    code, _, error = run(full, *arguments)

    assert code == 2
    assert problem in error


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    code, _, error = run(tmp_path / "no.yaml", "--pod", "x", "--at", "1m")

    assert (code, "cannot be read" in error) == (2, True)


@pytest.mark.parametrize("least", [1, 2, 3, 7, 64, 99, 100])
def test_the_smallest_number_that_holds_is_found(least: int) -> None:
    assert smallest(lambda n: n >= least, 100) == least
    assert smallest(lambda n: n > 100, 100) is None
