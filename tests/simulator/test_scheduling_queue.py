"""Whose turn it is among waiting pods, and what makes another attempt worth while."""

from dataclasses import replace
from typing import Any

import pytest

from prism_operator.api.meta import POD, Ref
from simulator.scheduling.hints import NodeChange, PodChange, may_help
from simulator.scheduling.nodes import NodeInfo
from simulator.scheduling.pods import parse_pod
from simulator.scheduling.queue import SchedulingQueue
from tests.simulator.test_scheduling_rules import APART, SPREAD, TAINT, a_node, a_pod

S = 1_000_000
FULL = frozenset({"NodeResourcesFit"})


def a_queue(**pods: tuple[int, float]) -> SchedulingQueue:
    """A queue with pods of these priorities, queued at these seconds."""
    queue = SchedulingQueue()
    for name, (priority, at_s) in pods.items():
        queue.add(Ref(POD, "default", name), name, priority, round(at_s * S))
    return queue


def popped(queue: SchedulingQueue, now_s: float) -> list[str]:
    names = []
    while (pod := queue.pop(round(now_s * S))) is not None:
        names.append(pod.uid)
    return names


def test_the_most_important_comes_first_then_who_has_waited_longest() -> None:
    queue = a_queue(late=(0, 2), early=(0, 1), important=(10, 3))

    assert popped(queue, 4) == ["important", "early", "late"]


def test_a_pod_that_fits_nowhere_waits_for_a_change_that_may_help_it() -> None:
    queue = a_queue(a=(0, 0))
    pod = queue.pop(0)
    assert pod is not None
    queue.failed(pod, FULL, 0)

    assert not queue.is_ready
    queue.move(lambda waiting: "NodePorts" in waiting.rejecters)
    assert not queue.is_ready
    queue.move(lambda waiting: "NodeResourcesFit" in waiting.rejecters)
    assert popped(queue, 1) == ["a"]


def test_a_pod_that_backs_off_comes_after_those_that_do_not_and_before_none() -> None:
    queue = a_queue(failed=(10, 0))
    pod = queue.pop(0)
    assert pod is not None
    queue.failed(pod, FULL, 0)
    queue.move(lambda waiting: True)
    queue.add(Ref(POD, "default", "new"), "new", 0, 0)

    assert popped(queue, 0.5) == ["new", "failed"]


def test_backing_off_doubles_from_one_second_to_ten() -> None:
    queue = a_queue(a=(0, 0))
    backed_off_s = []
    for _ in range(6):
        pod = queue.pop(0)
        assert pod is not None
        backed_off_s.append(pod.backs_off_until_us // S)
        queue.failed(pod, FULL, 0)
        queue.move(lambda waiting: True)

    assert backed_off_s == [0, 1, 2, 4, 8, 10]


def test_after_five_minutes_a_pod_is_tried_again_whatever_happened() -> None:
    queue = a_queue(a=(0, 10))
    pod = queue.pop(10 * S)
    assert pod is not None
    queue.failed(pod, FULL, 10 * S)

    assert queue.flush(10 * S) == 330 * S  # looked at every 30 s
    assert queue.flush(329 * S) == 330 * S
    assert not queue.is_ready
    assert queue.flush(330 * S) is None
    assert popped(queue, 330) == ["a"]


def helps(pod: dict[str, Any], rejecter: str, change: NodeChange | PodChange) -> bool:
    return may_help(parse_pod(pod), frozenset({rejecter}), change, lambda _: {})


def node(**spec: Any) -> NodeInfo:
    return NodeInfo.parse(a_node(**spec))


@pytest.mark.parametrize(
    ("pod", "rejecter", "old", "new", "expected"),
    [
        (a_pod(cpu="5"), "NodeResourcesFit", None, node(cpu="4"), False),
        (a_pod(cpu="3"), "NodeResourcesFit", None, node(cpu="4"), True),
        (a_pod(cpu="3"), "NodeResourcesFit", node(cpu="4"), node(cpu="4"), False),
        (a_pod(cpu="3"), "NodeResourcesFit", node(cpu="2"), node(cpu="4"), True),
        (a_pod(), "TaintToleration", node(taints=[TAINT]), node(), True),
        (a_pod(), "TaintToleration", node(), node(taints=[TAINT]), False),
        (a_pod(), "NodeUnschedulable", node(unschedulable=True), node(), True),
        (a_pod(nodeSelector={"pool": "spot"}), "NodeAffinity", None, node(), False),
        (a_pod(topologySpreadConstraints=[SPREAD]), "PodTopologySpread", node(), None, True),
        (a_pod(), "NodeResourcesFit", node(), None, False),
    ],
)  # fmt: skip
def test_a_node_is_worth_another_attempt_where_it_becomes_what_was_missing(
    pod: dict[str, Any],
    rejecter: str,
    old: NodeInfo | None,
    new: NodeInfo | None,
    *,
    expected: bool,
) -> None:
    assert helps(pod, rejecter, NodeChange(old, new)) is expected


@pytest.mark.parametrize(
    ("pod", "rejecter", "leaves", "expected"),
    [
        (a_pod(), "NodeResourcesFit", a_pod("gone"), True),
        (a_pod(), "TaintToleration", a_pod("gone"), False),
        (a_pod(topologySpreadConstraints=[SPREAD]), "PodTopologySpread", a_pod("gone"), True),
        (a_pod(topologySpreadConstraints=[SPREAD]), "PodTopologySpread", a_pod(app="y"), False),
        (a_pod(affinity=APART), "InterPodAffinity", a_pod("gone"), True),
        (a_pod(affinity=APART), "InterPodAffinity", a_pod(app="y"), False),
    ],
)
def test_a_pod_that_leaves_is_worth_another_attempt_where_it_was_in_the_way(
    pod: dict[str, Any], rejecter: str, leaves: dict[str, Any], *, expected: bool
) -> None:
    assert helps(pod, rejecter, PodChange(parse_pod(leaves), None)) is expected


def test_a_pod_that_is_being_deleted_is_still_in_the_way() -> None:
    other = parse_pod(a_pod("leaving"))

    assert not helps(
        a_pod(), "NodeResourcesFit", PodChange(other, replace(other, is_deleting=True))
    )
