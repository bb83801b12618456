"""A paused object is left as it is, says so, and is mended when the pause ends."""

from __future__ import annotations

from e2e.promises.operator import Operator
from e2e.stacks import IMAGE, NEXT_IMAGE, PROXY, Stack, assert_equal, image_of
from e2e.waiting import eventually, throughout


def test_paused_stack_is_not_repaired_until_the_pause_ends(
    stack: Stack, operator: Operator
) -> None:
    stack.apply(proxy=PROXY).wait_until_ready()
    pause = ("annotate", "prismstack", "shop", stack.place)
    stack.cluster.kubectl(*pause, "prism.io/paused=true")
    eventually(lambda: assert_equal(stack.condition("Paused")["status"], "True"))

    by_hand = ("set", "image", "deployment/shop-proxy", f"*={NEXT_IMAGE}", stack.place)
    stack.cluster.kubectl(*by_hand)
    throughout(lambda: assert_equal(image_of(stack.deployment("shop-proxy")), NEXT_IMAGE), for_s=3)

    stack.cluster.kubectl(*pause, "prism.io/paused-")
    eventually(lambda: assert_equal(image_of(stack.deployment("shop-proxy")), IMAGE))
    eventually(lambda: assert_equal(stack.condition("Paused")["status"], "False"))
    stack.wait_until_ready()
