"""Without an operator nothing stops; a new one catches up with what happened meanwhile."""

from __future__ import annotations

from e2e.promises.operator import Operator
from e2e.stacks import MEMSTORE, NEXT_IMAGE, PROXY, QUEUE, Stack, assert_equal, image_of
from e2e.waiting import eventually


def test_change_made_while_no_operator_runs_is_carried_out_by_the_next(
    stack: Stack, operator: Operator
) -> None:
    stack.apply(proxy=PROXY, patterns=[MEMSTORE]).wait_until_ready()

    operator.stop()
    stack.apply(proxy={**PROXY, "image": NEXT_IMAGE}, patterns=[QUEUE])
    assert stack.deployment("shop-proxy")["status"]["availableReplicas"] == 2
    operator.start()

    eventually(lambda: assert_equal(stack.names(), {"shop-proxy", "queue"}))
    stack.wait_until_ready()
    assert image_of(stack.deployment("shop-proxy")) == NEXT_IMAGE


def test_restart_touches_no_pod(stack: Stack, operator: Operator) -> None:
    stack.apply(proxy=PROXY, patterns=[MEMSTORE]).wait_until_ready()
    before = _pods(stack)

    operator.kill()
    operator.start()
    # It works, so it has looked at everything.
    stack.apply(proxy=PROXY, patterns=[MEMSTORE, QUEUE]).wait_until_ready()

    assert before <= _pods(stack)


def _pods(stack: Stack) -> set[str]:
    pods = stack.cluster.get("pods", f"--selector=stack={stack.name}", stack.place)["items"]
    return {pod["metadata"]["uid"] for pod in pods}
