"""What ``kubectl prism explain`` says first, in clusters where the real operator runs."""

from __future__ import annotations

from contextlib import closing
from typing import Any

from prism_operator.adapters.connection import connect_over
from prism_operator.adapters.gathering import Gatherer
from prism_operator.api.meta import PRISM_PATTERN, PRISM_STACK, Json, Ref
from prism_operator.diagnosis.diagnose import diagnose
from prism_operator.diagnosis.text import diagnosis_text
from simulator.apiserver.transport import InProcessAdapter
from tests.simulator.builders import Story, a_stack

STACK = Ref(PRISM_STACK, "default", "shop")


def explained(story: Story, ref: Ref = STACK) -> list[str]:
    with closing(connect_over(InProcessAdapter(story.simulation.server))) as connection:
        gatherer = Gatherer(connection, story.simulation.clock)
        subject = gatherer.find(ref)
        assert isinstance(subject, dict)
        return diagnosis_text(diagnose(gatherer.facts_about(subject))).splitlines()


def story_of(*objects: Json, seconds: float = 60, **scenario: Any) -> Story:
    story = Story(*(objects or (a_stack(),)), **scenario)
    story.wait(seconds)
    return story


def images(**behaviour: Any) -> Json:
    return {"images": [{"match": "*proxy*", **behaviour}]}


def test_a_stack_that_is_well_is_ready() -> None:
    assert explained(story_of()) == ["PrismStack default/shop is Ready."]


def test_a_broken_image_is_the_first_thing_said() -> None:
    lines = explained(story_of(cluster=images(pulls=False)))

    assert lines[0] == (
        'PrismStack default/shop is not Ready: image "ghcr.io/prism/prism-proxy:latest" of '
        "container prism-proxy cannot be pulled (ImagePullBackOff), "
        "in 3 of 3 pods of Deployment shop-proxy."
    )


def test_a_crash_loop_is_the_first_thing_said() -> None:
    crashes = images(becomesReady=False, crashAfter={"min": "2s", "max": "3s"})

    assert explained(story_of(cluster=crashes, seconds=90))[0] == (
        "PrismStack default/shop is not Ready: container prism-proxy keeps ending "
        "[CrashLoopBackOff], in 3 of 3 pods of Deployment shop-proxy."
    )


def test_pods_that_do_not_become_ready_are_the_first_thing_said() -> None:
    assert explained(story_of(cluster=images(becomesReady=False)))[0] == (
        "PrismStack default/shop is not Ready: container prism-proxy runs and is not ready yet, "
        "in 3 of 3 pods of Deployment shop-proxy."
    )


def test_a_lost_node_is_the_first_thing_said() -> None:
    loss = {"at": "60s", "name": "loss", "nodeLoss": {"node": "base-a-0", "for": "15m"}}

    assert explained(story_of(timeline=(loss,), seconds=130))[0] == (
        "PrismStack default/shop is not Ready: node base-a-0 is not ready (NodeStatusUnknown: "
        "Kubelet stopped posting node status), which holds 1 of 3 pods of Deployment shop-proxy."
    )


def test_a_spread_that_the_nodes_cannot_give_is_the_first_thing_said() -> None:
    one_each: Json = {
        "podAntiAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": [
                {
                    "topologyKey": "kubernetes.io/hostname",
                    "labelSelector": {"matchLabels": {"component": "prism-proxy"}},
                }
            ]
        }
    }
    stack = a_stack(proxy={"replicas": 5, "placement": {"affinity": one_each}})

    first = explained(story_of(stack))[0]

    assert first.startswith(
        "PrismStack default/shop is not Ready: spec.proxy: 5 replicas repel each other by "
        "required anti-affinity, one for each node, but the 3 nodes it may use give room for 3"
    )
    assert first.endswith("(2 of 5 pods of Deployment shop-proxy wait).")


def test_labels_that_no_node_has_are_the_first_thing_said() -> None:
    stack = a_stack(proxy={"replicas": 3, "placement": {"nodeSelector": {"disk": "ssd"}}})

    assert explained(story_of(stack))[0] == (
        "PrismStack default/shop is not Ready: no node takes 3 of 3 pods of Deployment "
        "shop-proxy: 0/3 nodes are available: "
        "3 node(s) didn't match Pod's node affinity/selector."
    )


def test_a_trouble_of_a_pattern_is_told_of_the_pattern_and_of_its_stack() -> None:
    story = story_of(cluster={"images": [{"match": "*runner*", "pulls": False}]})
    cause = 'image "ghcr.io/prism/consumer-runner:latest" of container consumer-runner cannot'

    assert explained(story)[0].startswith(f"PrismStack default/shop is not Ready: {cause}")
    of_pattern = explained(story, Ref(PRISM_PATTERN, "default", "orders"))
    assert of_pattern[0].startswith(f"PrismPattern default/orders is not Ready: {cause}")
    assert "    kubectl edit prismstack shop -n default" in of_pattern


def test_a_foreign_deployment_is_the_first_thing_said() -> None:
    theirs: Json = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "shop-proxy", "namespace": "default"},
        "spec": {
            "selector": {"matchLabels": {"app": "theirs"}},
            "template": {
                "metadata": {"labels": {"app": "theirs"}},
                "spec": {"containers": [{"name": "c", "image": "theirs:1"}]},
            },
        },
    }

    lines = explained(story_of(theirs, a_stack()))

    assert lines[0].startswith(
        "PrismStack default/shop is not Ready: a name it needs is taken: "
        "Deployment default/shop-proxy exists and is not ours"
    )
    assert "    kubectl annotate deployment shop-proxy -n default prism.io/adopt=true" in lines


def test_an_operator_that_is_gone_is_the_first_thing_said_of_a_new_spec() -> None:
    kill = {"at": "60s", "operatorCrash": {"afterWrites": 0, "restartAfter": "5m"}}
    story = story_of(timeline=(kill,), operator={"leaderElect": True}, seconds=90)

    assert "the operator is not running" in explained(story)[0]
    story.simulation.user.patch(
        STACK, [{"op": "replace", "path": "/spec/proxy/replicas", "value": 2}]
    )
    story.wait(30)

    assert explained(story)[0].startswith(
        "PrismStack default/shop is not Ready: the operator is not running: "
        "its Lease prism-system/prism-operator-leader is not renewed for 6"
    )


def test_a_pause_that_holds_writes_back_is_the_first_thing_said() -> None:
    story = story_of()
    pause = {"op": "add", "path": "/metadata/annotations", "value": {"prism.io/paused": "true"}}
    replicas = {"op": "replace", "path": "/spec/proxy/replicas", "value": 2}
    story.simulation.user.patch(STACK, [pause, replicas])
    story.wait(5)

    lines = explained(story)

    assert lines[0] == (
        "PrismStack default/shop is not Ready: it is paused: "
        "annotation prism.io/paused on this object, writes held back: 1."
    )
    assert "    kubectl annotate prismstack shop prism.io/paused- -n default" in lines


def test_a_missing_backend_is_a_warning_about_a_ready_pattern() -> None:
    pattern: Json = {
        "apiVersion": "prism.io/v1alpha1",
        "kind": "PrismPattern",
        "metadata": {"name": "alone", "namespace": "default"},
        "spec": {"pattern": "consumer", "backend": "nats", "backendConfig": {"name": "nats"}},
    }

    first = explained(story_of(pattern), Ref(PRISM_PATTERN, "default", "alone"))[0]

    assert first.startswith(
        "PrismPattern default/alone is Ready, but it has no connection to its "
        "backend: PrismBackend default/nats does not exist"
    )
