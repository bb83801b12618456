"""Nodes come and go: drained, taken back by the cloud, lost with a region, added, removed."""

from typing import Any

import pytest

from prism_operator.api.meta import NODE, POD, POD_DISRUPTION_BUDGET, Json, Ref
from simulator.inputs import BadInputError
from simulator.scenario.timeline import Event
from tests.simulator.builders import Story, a_stack


def proxies(story: Story, *, ready: bool = True) -> list[Json]:
    pods = [
        pod
        for pod in story.simulation.cache.list(POD, "default")
        if pod["metadata"]["name"].startswith("shop-proxy-")
    ]
    return [pod for pod in pods if not ready or is_ready(pod)]


def is_ready(pod: Json) -> bool:
    conditions = (pod.get("status") or {}).get("conditions") or ()
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)


def nodes(story: Story, prefix: str = "") -> list[str]:
    names = (node["metadata"]["name"] for node in story.simulation.cache.list(NODE))
    return sorted(name for name in names if name.startswith(prefix))


def pods_on(story: Story, node: str) -> list[Json]:
    return [p for p in story.simulation.cache.list(POD) if p["spec"].get("nodeName") == node]


def number(story: Story, name: str) -> float:
    return story.simulation.recorder.series(name).last


def a_deployment(replicas: int, *, cpu: str = "1", name: str = "web", **pod: Any) -> Json:
    container = {"name": "c", "image": "web:1", "resources": {"requests": {"cpu": cpu}}}
    labels = {"app": name}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels, "annotations": pod.pop("annotations", {})},
                "spec": {"containers": [container], **pod},
            },
        },
    }


def a_web_budget(**spec: Any) -> Json:
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": {"name": "web", "namespace": "default"},
        "spec": {"selector": {"matchLabels": {"app": "web"}}, **spec},
    }


def web_pods(story: Story) -> list[Json]:
    return [
        pod
        for pod in story.simulation.cache.list(POD, "default")
        if pod["metadata"]["labels"].get("app") == "web"
    ]


# Drain and eviction


def test_a_drained_node_is_empty_and_takes_no_pod_until_it_is_uncordoned() -> None:
    story = Story(
        a_deployment(6),
        timeline=(
            {"at": "1m", "drain": "base-a-0"},
            {"at": "4m", "uncordon": "base-a-0"},
            {"at": "4m", "scale": {"target": "Deployment/web", "replicas": 12}},
        ),
    )
    story.wait(50)
    assert pods_on(story, "base-a-0")

    story.wait(100)
    assert not pods_on(story, "base-a-0")
    assert len(web_pods(story)) == 6
    assert story.lines("drained")

    story.wait(120)
    assert pods_on(story, "base-a-0")
    story.finish()


def test_a_drain_waits_for_a_budget_and_goes_on_when_it_allows() -> None:
    story = Story(
        a_deployment(6),
        a_web_budget(minAvailable=6),
        timeline=(
            {"at": "1m", "drain": "base-a-0"},
            {
                "at": "5m",
                "patch": {
                    "target": "PodDisruptionBudget/web",
                    "patch": {"spec": {"minAvailable": 5}},
                },
            },
        ),
    )
    story.wait(290)
    assert len(pods_on(story, "base-a-0")) == 2
    assert "violate" in story.lines("eviction refused")[-1]["object"]
    assert story.simulation.evictions == 0

    story.wait(120)
    assert not pods_on(story, "base-a-0")
    assert story.simulation.evictions == 2
    story.finish()


def test_a_drain_gives_up_in_time_and_goes_on_to_the_next_node() -> None:
    story = Story(
        a_deployment(6),
        a_web_budget(maxUnavailable=0),
        timeline=({"at": "1m", "drain": {"pool": "base", "count": 2, "timeout": "2m"}},),
    )
    story.wait(170)
    assert not story.get(Ref(NODE, "", "base-b-0"))["spec"].get("unschedulable")

    story.wait(60)
    assert story.get(Ref(NODE, "", "base-b-0"))["spec"]["unschedulable"]
    assert [line["object"] for line in story.lines("drain timed out")] == ["Node base-a-0"]


def test_an_eviction_is_charged_to_the_budget_until_the_pod_has_gone() -> None:
    story = Story(
        a_deployment(3),
        a_web_budget(minAvailable=2),
        cluster={"pods": {"stop": "20s"}},
    )
    story.wait(60)
    first, second, _ = sorted(pod["metadata"]["name"] for pod in web_pods(story))
    for name in (first, second):
        event = Event.model_validate({"at": "0s", "evict": f"Pod/{name}"})
        story.simulation.infrastructure.act(event)
    story.wait(0.1)

    budget = story.get(Ref(POD_DISRUPTION_BUDGET, "default", "web"))
    assert budget["status"]["disruptionsAllowed"] == 0
    assert story.simulation.evictions == 1
    assert len(story.lines("eviction refused")) == 1
    story.finish()


def test_a_pod_under_two_budgets_cannot_be_evicted() -> None:
    other = a_web_budget(maxUnavailable=3)
    other["metadata"] = {"name": "other", "namespace": "default"}
    story = Story(
        a_deployment(3),
        a_web_budget(maxUnavailable=3),
        other,
        timeline=({"at": "1m", "drain": "base-a-0"},),
    )
    story.wait(120)
    assert len(pods_on(story, "base-a-0")) == 1
    assert "more than one" in story.lines("eviction refused")[0]["object"]


@pytest.mark.parametrize(
    ("action", "said"),
    [
        ({"drain": "nowhere"}, 'drain: there is no node "nowhere"; there are base-a-0'),
        ({"cordon": {"pool": "gpu"}}, 'cordon: there is no pool "gpu"; there are base'),
        ({"drought": {"pool": "gpu", "for": "1m"}}, 'drought: there is no pool "gpu"'),
        ({"evict": "Pod/web"}, "evict: there is no Pod default/web"),
        ({"nodeLoss": {"region": "mars"}}, 'nodeLoss: there is no a node in region "mars"'),
    ],
)
def test_an_action_on_what_is_not_there_says_what_there_is(action: Json, said: str) -> None:
    story = Story(a_deployment(1), timeline=({"at": "1m", **action},))
    with pytest.raises(BadInputError) as caught:
        story.wait(120)
    assert said in str(caught.value)


# The cloud


def spot(**interruption: Any) -> Json:
    return {
        "zones": ["a", "b", "c"],
        "pools": {
            "base": {"count": 3, "price": "0.40/h"},
            "spot": {
                "count": 3,
                "price": "0.10/h",
                "boot": "60s",
                "interruption": {"hazard": "0/h", **interruption},
            },
        },
    }


def test_an_interrupted_node_is_emptied_in_its_notice_and_another_boots_in_its_place() -> None:
    story = Story(
        a_deployment(6, nodeSelector={"karpenter.sh/capacity-type": "spot"}),
        cluster=spot(),
        timeline=({"at": "2m", "spotInterruption": "spot-a-0"},),
    )
    story.wait(130)
    assert all(p["spec"].get("nodeName") != "spot-a-0" or "deletionTimestamp" in p["metadata"]
               for p in web_pods(story))  # fmt: skip
    assert "spot-a-0" in nodes(story)

    story.wait(115)
    assert nodes(story, "spot-a") == []

    story.wait(60)
    assert nodes(story, "spot-a") == ["spot-a-0-r1"]
    assert len([p for p in web_pods(story) if is_ready(p)]) == 6
    story.finish()


def test_pods_of_a_node_that_goes_unseen_are_made_anew_when_it_is_gone() -> None:
    story = Story(
        a_deployment(6),
        cluster=spot(),
        timeline=({"at": "2m", "spotInterruption": {"node": "spot-a-0", "unseen": True}},),
    )
    story.wait(235)
    assert any(p["spec"].get("nodeName") == "spot-a-0" for p in web_pods(story))
    story.wait(120)
    assert not any(p["spec"].get("nodeName") == "spot-a-0" for p in web_pods(story))
    assert len([p for p in web_pods(story) if is_ready(p)]) == 6
    assert story.simulation.evictions == 0
    story.finish()


def test_in_a_drought_nothing_boots_until_it_ends() -> None:
    story = Story(
        a_deployment(3),
        cluster=spot(),
        duration="30m",
        timeline=(
            {"at": "1m", "drought": {"pool": "spot", "zone": "a", "for": "10m"}},
            {"at": "2m", "spotInterruption": {"pool": "spot"}},
        ),
    )
    story.wait(600)
    assert nodes(story, "spot") == ["spot-b-0-r1", "spot-c-0-r1"]
    story.wait(130)
    assert nodes(story, "spot") == ["spot-a-0-r1", "spot-b-0-r1", "spot-c-0-r1"]
    story.finish()


def test_cost_is_paid_from_launch_to_end_and_recorded() -> None:
    story = Story(
        a_deployment(3),
        cluster=spot(),
        duration="1h",
        timeline=({"at": "30m", "spotInterruption": {"node": "spot-a-0", "notice": "0s"}},),
    )
    story.wait(1790)
    assert number(story, "cost.rate") == pytest.approx(3 * 0.4 + 3 * 0.1)
    assert number(story, "nodes.spot") == 3
    story.wait(30)
    assert number(story, "cost.rate") == pytest.approx(1.5), "its successor boots, and is paid for"
    assert number(story, "nodes.spot") == 2
    story.finish()


def interruptions(seed: int) -> int:
    story = Story(a_deployment(1), cluster=spot(hazard="1/h"), duration="24h", seed=seed)
    story.wait(24 * 3600)
    return len(story.lines("interrupted"))


def test_nodes_are_taken_back_as_often_as_the_hazard_says() -> None:
    taken = sum(interruptions(seed) for seed in range(3))
    # A place is at risk for an hour in the mean, then out for the notice and the boot: 180 s.
    expected = 3 * 24 * 3 / 1.05
    assert abs(taken - expected) < 4 * expected**0.5


def test_regions_go_down_together() -> None:
    story = Story(
        a_deployment(6),
        cluster={
            "zones": ["a", "b", "c"],
            "regions": {"west": ["a"], "east": ["b", "c"]},
            "pools": {"base": {"count": 6}},
        },
        timeline=({"at": "2m", "nodeLoss": {"region": "east", "for": "5m"}},),
    )
    story.wait(230)
    down = {
        node["metadata"]["name"] for node in story.simulation.cache.list(NODE) if not is_ready(node)
    }
    assert down == {"base-b-0", "base-b-1", "base-c-0", "base-c-1"}
    labels = story.get(Ref(NODE, "", "base-c-1"))["metadata"]["labels"]
    assert labels["topology.kubernetes.io/region"] == "east"


# Autoscalers


def growing(provisioner: Any, **pool: Any) -> Json:
    return {
        "zones": ["a", "b"],
        "nodes": provisioner,
        "pools": {
            "base": {"count": 1, "price": "0.40/h"},
            "more": {
                "count": 0,
                "min": 0,
                "max": 4,
                "price": "0.20/h",
                "boot": "45s",
                **pool,
            },
        },
    }


@pytest.mark.parametrize("provisioner", ["clusterAutoscaler", "karpenter"])
def test_nodes_are_added_for_pods_that_wait_and_removed_when_they_are_not_needed(
    provisioner: str,
) -> None:
    story = Story(
        a_deployment(2),
        cluster=growing(provisioner),
        duration="1h",
        timeline=(
            {"at": "5m", "scale": {"target": "Deployment/web", "replicas": 9}},
            {"at": "20m", "scale": {"target": "Deployment/web", "replicas": 1}},
        ),
    )
    story.wait(240)
    assert nodes(story, "more") == []
    story.wait(160)  # scan or batch, then 45 s of boot
    assert len(nodes(story, "more")) == 2
    assert len([p for p in web_pods(story) if is_ready(p)]) == 9

    story.wait(60 * 60 - 410)
    assert nodes(story, "more") == []
    assert len([p for p in web_pods(story) if is_ready(p)]) == 1
    story.finish()


@pytest.mark.parametrize("provisioner", ["clusterAutoscaler", "karpenter"])
def test_a_pool_grows_to_its_max_and_pods_that_remain_are_told(provisioner: str) -> None:
    story = Story(a_deployment(30), cluster=growing(provisioner), duration="30m")
    story.wait(600)
    assert len(nodes(story, "more")) == 4
    assert number(story, "nodes.more") == 4
    waiting = [p for p in web_pods(story) if not p["spec"].get("nodeName")]
    assert len(waiting) == 30 - 5 * 4
    story.finish()


@pytest.mark.parametrize("provisioner", ["clusterAutoscaler", "karpenter"])
def test_a_pod_that_no_pool_would_take_brings_no_node(provisioner: str) -> None:
    story = Story(a_deployment(1, cpu="64"), cluster=growing(provisioner))
    story.wait(300)
    assert nodes(story, "more") == []
    story.finish()


def test_cluster_autoscaler_keeps_a_node_whose_pod_may_not_move() -> None:
    annotations = {"cluster-autoscaler.kubernetes.io/safe-to-evict": "false"}
    story = Story(
        a_deployment(9, annotations=annotations),
        cluster=growing("clusterAutoscaler"),
        duration="2h",
        timeline=({"at": "5m", "scale": {"target": "Deployment/web", "replicas": 5}},),
    )
    story.wait(7000)
    kept = {pod["spec"]["nodeName"] for pod in web_pods(story)}
    assert set(nodes(story, "more")) <= kept


def test_the_price_expander_takes_the_cheaper_pool() -> None:
    cluster = growing({"provisioner": "clusterAutoscaler", "expander": "price"})
    cluster["pools"]["cheap"] = {"count": 0, "max": 4, "price": "0.05/h", "boot": "45s"}
    story = Story(a_deployment(8), cluster=cluster)
    story.wait(300)
    assert nodes(story, "more") == []
    assert nodes(story, "cheap")


def test_karpenter_takes_the_dearer_pool_while_the_cheaper_is_dry() -> None:
    cluster = growing("karpenter")
    cluster["pools"]["cheap"] = {"count": 0, "max": 4, "price": "0.05/h", "boot": "45s"}
    story = Story(
        a_deployment(2),
        cluster=cluster,
        timeline=(
            {"at": "0s", "drought": {"pool": "cheap", "for": "8m"}},
            {"at": "1m", "scale": {"target": "Deployment/web", "replicas": 8}},
        ),
    )
    story.wait(300)
    assert nodes(story, "cheap") == []
    assert nodes(story, "more")


def test_with_a_stack_on_spot_nodes_admins_stay_where_they_may() -> None:
    story = Story(a_stack(), cluster=spot(), timeline=({"at": "3m", "drain": {"zone": "a"}},))
    story.wait(400)
    assert len(proxies(story)) == 3
    story.finish()
