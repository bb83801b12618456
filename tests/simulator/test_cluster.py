"""How pods and nodes fare, seen through the API as a user sees it."""

from itertools import pairwise
from typing import Any

from prism_operator.api.meta import DEPLOYMENT, NODE, POD, REPLICA_SET, Json, Ref
from simulator.cluster.api import ENDPOINT_SLICE
from simulator.controllers.objects import (
    condition,
    is_active,
    is_deleting,
    is_ready,
    node_of,
    unix_ns,
)
from tests.simulator.builders import Story, a_manifest

DEPLOYMENT_REF = Ref(DEPLOYMENT, "default", "web")
EXACT = {"pull": "3s", "start": "500ms", "ready": "1s", "stop": "2s"}


def a_deployment(replicas: int = 1, image: str = "web:1", **pod_spec: Any) -> Json:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web", "namespace": "default"},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": "web"}},
            "template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {"containers": [{"name": "c", "image": image}], **pod_spec},
            },
        },
    }


def a_story(*objects: Json, **cluster: Any) -> Story:
    nodes = cluster.pop("nodes", 1)
    return Story(
        *objects,
        nodes=nodes,
        duration="1h",
        operator={"replicas": 0},
        cluster={"pools": {"base": {"count": nodes}}, "pods": EXACT, **cluster},
    )


def pods(story: Story) -> list[Json]:
    return list(story.simulation.cache.list(POD))


def times_when(story: Story, **facts: str) -> list[float]:
    """When a pod was seen like this, in seconds."""
    return [
        float(entry["at"])
        for entry in story.lines("changed")
        if entry["object"].startswith("Pod") and facts.items() <= entry.items()
    ]


def test_a_pod_is_pulled_started_and_ready_in_the_times_that_are_said() -> None:
    story = a_story(a_deployment())

    story.wait(10)

    # 5 ms until controllers act, 5 ms more until the scheduler; then 3 s + 0.5 s, and 1 s.
    assert times_when(story, phase="Running", ready="False") == [3.51]
    assert times_when(story, ready="True") == [4.51]


def test_an_image_is_pulled_once_on_a_node_and_images_one_after_another() -> None:
    story = a_story(a_deployment())
    other = a_deployment(image="other:1")
    other["metadata"]["name"] = "other"
    story.simulation.user.apply(a_manifest(other))
    story.wait(20)
    first = sorted(times_when(story, phase="Running", ready="False"))
    assert first == [3.51, 6.51]

    story.simulation.user.scale(DEPLOYMENT_REF, 2)
    story.wait(20)

    assert times_when(story, phase="Running", ready="False")[-1] == 20.51


def test_a_crashing_container_backs_off_from_at_once_to_five_minutes() -> None:
    images = [{"match": "web:*", "becomesReady": False, "crashAfter": "1s"}]
    story = a_story(a_deployment(), images=images)

    story.wait(1500)

    (pod,) = pods(story)
    notes = [e for e in story.lines("changed") if e["object"].startswith("Pod")]
    # Running at 3.51 s; every life lasts 1 s, every start takes 0.5 s.
    lives = [float(e["at"]) for e in notes][1:]
    crashes = [at for i, at in enumerate(lives) if i % 2 == 1]
    gaps = [round(b - a - 1.5) for a, b in pairwise(crashes)]
    assert gaps[:6] == [0, 10, 20, 40, 80, 160]
    assert set(gaps[6:]) == {300}
    assert pod["status"]["containerStatuses"][0]["restartCount"] == len(crashes)
    assert story.simulation.kubelets.restarts == len(crashes)


def test_an_image_that_cannot_be_pulled_is_said_in_the_pods_status() -> None:
    story = a_story(a_deployment(), images=[{"match": "web:*", "pulls": False}])

    story.wait(30)

    (pod,) = pods(story)
    (status,) = pod["status"]["containerStatuses"]
    assert status["state"]["waiting"]["reason"] == "ImagePullBackOff"
    assert pod["status"]["phase"] == "Pending"


def test_a_deleted_pod_stops_in_its_time_but_never_after_its_grace_period() -> None:
    story = a_story(a_deployment(2, terminationGracePeriodSeconds=1))
    story.wait(20)

    story.simulation.user.scale(DEPLOYMENT_REF, 1)
    story.wait(0.9)
    assert [is_deleting(p) for p in pods(story)].count(True) == 1
    story.wait(0.2)

    assert len(pods(story)) == 1


def test_a_service_has_the_addresses_of_its_ready_pods() -> None:
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "web", "namespace": "default"},
        "spec": {"selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": 8080}]},
    }
    story = a_story(a_deployment(2), service)
    story.wait(4)
    (slice_,) = story.simulation.cache.list(ENDPOINT_SLICE)
    assert [e["conditions"]["ready"] for e in slice_["endpoints"]] == [False, False]

    story.wait(10)

    (slice_,) = story.simulation.cache.list(ENDPOINT_SLICE)
    assert slice_["ports"] == [{"name": "", "port": 8080, "protocol": "TCP"}]
    addresses = {e["addresses"][0] for e in slice_["endpoints"] if e["conditions"]["ready"]}
    assert addresses == {p["status"]["podIP"] for p in pods(story)}


# Nodes


def given_up_at_s(story: Story, name: str) -> float:
    """When a node got the taint that evicts its pods, in whole seconds."""
    (taint,) = (
        t for t in story.get(Ref(NODE, "", name))["spec"]["taints"] if t["effect"] == "NoExecute"
    )
    return unix_ns(taint["timeAdded"]) / 1e9


def taints(story: Story, name: str) -> set[str]:
    spec = story.get(Ref(NODE, "", name))["spec"]
    return {t["effect"] for t in spec.get("taints") or ()}


def test_a_lost_node_is_noticed_between_40_and_55_seconds_and_evicted_after_300_more() -> None:
    story = a_story(a_deployment(), nodes=2)
    story.wait(60)
    (pod,) = pods(story)

    story.simulation.lose(node_of(pod))
    story.wait(40)
    assert is_ready(pods(story)[0])
    story.wait(15)
    assert not is_ready(pods(story)[0])
    assert taints(story, node_of(pod)) == {"NoSchedule", "NoExecute"}
    story.wait(280)
    assert len(pods(story)) == 1
    story.wait(30)

    # The old pod is terminating as long as its kubelet does not say that it has ended.
    old, new = sorted(pods(story), key=is_active)
    assert is_deleting(old)
    assert is_ready(new)
    assert node_of(new) != node_of(pod)
    assert story.simulation.evictions == 1


def test_a_node_that_comes_back_in_time_loses_no_pod() -> None:
    story = a_story(a_deployment(), nodes=2)
    story.wait(60)
    (pod,) = pods(story)

    story.simulation.lose(node_of(pod))
    story.wait(200)
    story.simulation.kubelets.recover(node_of(pod))
    story.wait(400)

    (same,) = pods(story)
    assert same["metadata"]["uid"] == pod["metadata"]["uid"]
    assert is_ready(same)
    assert taints(story, node_of(pod)) == set()
    assert story.simulation.evictions == 0


def test_a_pod_that_was_never_ready_is_not_so_when_its_node_is_back() -> None:
    story = a_story(a_deployment(), images=[{"match": "web:*", "becomesReady": False}])
    story.wait(60)

    story.simulation.lose("base-a-0")
    story.wait(100)
    story.simulation.kubelets.recover("base-a-0")
    story.wait(100)

    assert [is_ready(p) for p in pods(story)] == [False]


def test_a_lost_zone_is_given_up_one_node_in_ten_seconds() -> None:
    story = a_story(nodes=6)
    story.wait(60)

    story.simulation.lose("base-a-0", "base-a-1")
    story.wait(100)

    first, second = sorted(given_up_at_s(story, name) for name in ("base-a-0", "base-a-1"))
    assert second - first >= 10


def test_when_all_nodes_are_lost_nobody_is_evicted() -> None:
    story = a_story(a_deployment(3), nodes=3)
    story.wait(60)

    story.simulation.lose("base-a-0", "base-b-0", "base-c-0")
    story.wait(500)

    assert story.simulation.evictions == 0
    ready = condition(story.get(Ref(NODE, "", "base-a-0")), "Ready")
    assert ready is not None
    assert ready["status"] == "Unknown"


# Ownership


def test_pods_that_were_orphaned_are_adopted_by_the_next_deployment() -> None:
    story = a_story(a_deployment(2))
    story.wait(20)
    before = {p["metadata"]["uid"] for p in pods(story)}

    story.simulation.user.delete(DEPLOYMENT_REF, "orphan")
    story.wait(5)
    (orphan,) = story.simulation.cache.list(REPLICA_SET)
    assert not orphan["metadata"].get("ownerReferences")
    story.simulation.user.apply(a_manifest(a_deployment(2)))
    story.wait(20)

    (adopted,) = story.simulation.cache.list(REPLICA_SET)
    owner = story.get(DEPLOYMENT_REF)
    assert adopted["metadata"]["ownerReferences"][0]["uid"] == owner["metadata"]["uid"]
    assert {p["metadata"]["uid"] for p in pods(story)} == before


def test_a_pod_that_no_longer_matches_is_released_and_replaced() -> None:
    story = a_story(a_deployment(1))
    story.wait(20)
    (pod,) = pods(story)
    ref = Ref(POD, "default", pod["metadata"]["name"])

    story.simulation.user.patch(ref, {"metadata": {"labels": {"app": "debugging"}}})
    story.wait(20)

    assert len(pods(story)) == 2
    assert not story.get(ref)["metadata"].get("ownerReferences")
