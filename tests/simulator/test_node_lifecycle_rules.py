from typing import Any

import pytest

from simulator.controllers.nodelifecycle import (
    ZoneState,
    eviction_interval_us,
    tolerated_s,
    zone_state,
)

UNREACHABLE = {"key": "node.kubernetes.io/unreachable", "effect": "NoExecute"}


def a_pod(*tolerations: dict[str, Any]) -> dict[str, Any]:
    return {"spec": {"tolerations": list(tolerations)}}


def tolerating(seconds: int | None = None, **more: Any) -> dict[str, Any]:
    toleration = {"key": UNREACHABLE["key"], "operator": "Exists", "effect": "NoExecute", **more}
    return toleration if seconds is None else {**toleration, "tolerationSeconds": seconds}


@pytest.mark.parametrize(
    ("pod", "expected"),
    [
        (a_pod(), 0),
        (a_pod(tolerating(300)), 300),
        (a_pod(tolerating()), None),
        (a_pod({"operator": "Exists"}), None),
        (a_pod(tolerating(-5)), 0),
        (a_pod(tolerating(300, effect="NoSchedule")), 0),
        (a_pod({"key": "other", "operator": "Exists", "effect": "NoExecute"}), 0),
        (a_pod({"key": UNREACHABLE["key"], "operator": "Equal", "value": "x"}), 0),
    ],
)
def test_a_pod_bears_an_unreachable_node_as_long_as_it_says(
    pod: dict[str, Any], expected: int | None
) -> None:
    assert tolerated_s([UNREACHABLE], pod) == expected


def test_taints_that_only_keep_new_pods_away_evict_nobody() -> None:
    assert tolerated_s([{**UNREACHABLE, "effect": "NoSchedule"}], a_pod()) is None


def test_the_shortest_of_several_tolerated_times_counts() -> None:
    other = {"key": "other", "effect": "NoExecute"}
    pod = a_pod(tolerating(300), {"key": "other", "operator": "Exists", "tolerationSeconds": 60})

    assert tolerated_s([UNREACHABLE, other], pod) == 60


@pytest.mark.parametrize(
    ("ready", "not_ready", "expected"),
    [
        (3, 0, ZoneState.NORMAL),
        (0, 1, ZoneState.FULL),
        (1, 2, ZoneState.NORMAL),  # two are too few to speak of a disruption
        (2, 3, ZoneState.PARTIAL),
        (9, 11, ZoneState.PARTIAL),  # exactly 55 %
        (10, 11, ZoneState.NORMAL),
    ],
)
def test_a_zone_is_disrupted_by_its_share_of_lost_nodes(
    ready: int, not_ready: int, expected: ZoneState
) -> None:
    assert zone_state(ready, not_ready) is expected


def test_a_small_zone_that_is_half_lost_is_not_given_up_and_a_large_one_slowly() -> None:
    assert eviction_interval_us(ZoneState.PARTIAL, 50) is None
    assert eviction_interval_us(ZoneState.PARTIAL, 51) == 100_000_000
    assert eviction_interval_us(ZoneState.FULL, 3) == 10_000_000
