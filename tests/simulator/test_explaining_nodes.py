"""``prism-sim explain --node``: what is on it, who keeps or empties it, which budget refuses."""

import json
from typing import Any

import pytest
from typer.testing import CliRunner

from prism_operator.api.meta import Json
from simulator.cli import SCENARIOS, app
from simulator.explaining.nodes import NodeExplanation, NodeQuestion, Told
from simulator.explaining.printing import node_text
from simulator.inputs import BadInputError
from simulator.run import Simulation
from tests.simulator.builders import a_scenario
from tests.simulator.test_nodes_come_and_go import a_deployment, a_web_budget, growing

ONE = {"zones": ["a"], "pools": {"base": {"count": 2}}}
DRAIN = {"at": "2m", "drain": "base-a-0"}
SAFE = {"cluster-autoscaler.kubernetes.io/safe-to-evict": "false"}


def ask(node: str, at_s: float, *objects: Json, **scenario: Any) -> NodeExplanation:
    scenario.setdefault("cluster", ONE)
    log = Told()
    simulation = Simulation(a_scenario(*objects, operator={"replicas": 0}, **scenario), log=log)
    return NodeQuestion(simulation, log).answer(node, round(at_s * 1e6))


def shrinking(node: str, at_s: float, *, utilization: float = 0.5, **pods: Any) -> NodeExplanation:
    """Nine pods fill nodes that are added for them; from the tenth minute only some are left."""
    nodes = {"provisioner": "clusterAutoscaler", "utilization": utilization}
    left = pods.pop("left", 2)
    return ask(
        node,
        at_s,
        a_deployment(9, **pods),
        cluster=growing(nodes),
        duration="1h",
        timeline=({"at": "10m", "scale": {"target": "Deployment/web", "replicas": left}},),
    )


def changes(found: NodeExplanation) -> dict[str, str]:
    return {change.change: change.outcome for change in found.what_if}


# Drained


def test_the_budget_that_refuses_an_eviction_is_told_with_what_it_wants() -> None:
    budget = a_web_budget(minAvailable=2)
    found = ask("base-a-0", 150, a_deployment(2, cpu="3"), budget, timeline=(DRAIN,))
    (pod,) = found.pods

    assert "cordoned since 2m, being drained" in found.outcome
    assert pod.eviction.startswith("refused: Cannot evict pod as it would violate")
    assert pod.budgets == ("default/web",)
    assert changes(found) == {
        "1 more healthy pod of PodDisruptionBudget default/web (2 are, 2 have to stay)": (
            f"{pod.pod} may be evicted"
        ),
    }
    refused = found.happened[-1]
    assert (refused.what.split()[:2], refused.times) == (["eviction", "refused"], 7)
    assert (refused.at_s, refused.last_s) == (120.0, 150.0)


def test_with_one_more_healthy_pod_the_node_is_emptied_in_a_run_of_its_own() -> None:
    budget = a_web_budget(minAvailable=2)
    held, freed = (ask("base-a-0", 121, a_deployment(n), budget, timeline=(DRAIN,)) for n in (2, 3))

    assert held.later == "it stays until the end of the run, then with 1 pod on it"
    assert freed.later.startswith("its last pod is gone at 2m")


def test_two_budgets_for_one_pod_are_both_told() -> None:
    other = {**a_web_budget(minAvailable=0), "metadata": {"name": "too", "namespace": "default"}}
    found = ask("base-a-0", 30, a_deployment(2), a_web_budget(minAvailable=0), other)

    assert found.pods[0].budgets == ("default/too", "default/web")
    assert "no PodDisruptionBudget beside default/too" in changes(found)


# Kept


def test_a_node_that_is_used_too_much_is_kept_until_the_threshold_is_higher() -> None:
    found = shrinking("more-a-0", 660, left=4)
    (change,) = [c for c in changes(found) if "utilization" in c]
    percent = int(change.split()[4])
    lower, higher = (
        shrinking("more-a-0", 660, left=4, utilization=p / 100) for p in (percent - 1, percent)
    )

    assert found.kept.startswith("cluster-autoscaler leaves it (utilization): ")
    assert "(utilization)" in lower.kept
    assert "(utilization)" not in higher.kept
    assert changes(found)[change].startswith("then kept: ")
    assert changes(found)[change].removeprefix("then kept: ")[:20] in higher.kept


def test_a_node_that_is_not_needed_goes_when_it_was_told_to() -> None:
    found = shrinking("more-a-0", 700, left=1)
    until = found.kept.split("until ")[1]

    assert found.outcome == "ready, no pods on it"
    assert found.kept.startswith("cluster-autoscaler leaves it (unneeded time): ")
    assert f"at {until}" in found.later


def test_a_pod_that_may_not_move_keeps_its_node() -> None:
    found = shrinking("more-a-0", 660, left=5, annotations=SAFE, utilization=0.8)

    assert found.kept.startswith("cluster-autoscaler leaves it (pods): default/web-")
    assert found.kept.endswith("says cluster-autoscaler.kubernetes.io/safe-to-evict: false")


def test_karpenter_says_which_pods_hold_a_node() -> None:
    found = ask(
        "more-a-0",
        300,
        a_deployment(9, annotations={"karpenter.sh/do-not-disrupt": "true"}),
        cluster=growing("karpenter"),
    )

    assert found.kept.startswith("Karpenter leaves it (pods): default/web-")
    assert found.kept.endswith("says karpenter.sh/do-not-disrupt: true")


def test_where_no_autoscaler_is_nobody_removes_nodes() -> None:
    found = ask("base-a-0", 30, a_deployment(1))

    assert found.kept == "nobody removes nodes here"
    assert found.requested["cpu"] in ("1 of 4", "0 of 4")


# Asking


def test_people_and_tools_are_told_the_same_of_a_node() -> None:
    file = str(SCENARIOS / "zone-spread.yaml")
    text, answer = (
        CliRunner().invoke(app, ["explain", file, "--node", "base-a-0", "--at", "2m", *more])
        for more in ([], ["--json"])
    )
    found = json.loads(answer.stdout)

    assert (text.exit_code, answer.exit_code) == (0, 0)
    assert found["pods"]
    assert all(pod["pod"] in text.stdout for pod in found["pods"])
    assert f"Unchanged, {found['later']}." in text.stdout


def test_a_node_that_is_not_there_yet_says_when_it_is() -> None:
    with pytest.raises(BadInputError) as refused:
        ask("more-a-0", 0, a_deployment(9), cluster=growing("clusterAutoscaler"))
    with pytest.raises(BadInputError) as unknown:
        ask("bse-a-0", 0, a_deployment(1))

    assert "more-a-0 is not there at 0s: Node more-a-0 is there from " in str(refused.value)
    assert '"bse-a-0" in the run; did you mean base-a-0' in str(unknown.value)


def test_an_answer_in_words_names_the_node_its_pods_and_what_happened() -> None:
    budget = a_web_budget(minAvailable=2)
    text = node_text(ask("base-a-0", 150, a_deployment(2, cpu="3"), budget, timeline=(DRAIN,)))

    assert text.startswith("Node base-a-0 of pool base in zone a at 2m30s: ready, cordoned since ")
    assert "7 times, last at 2m30s" in text
