from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.controllers import rollout
from simulator.controllers.rollout import Fenceposts


def a_deployment(replicas: int = 10, surge: Any = "25%", unavailable: Any = "25%") -> Any:
    rolling = {"maxSurge": surge, "maxUnavailable": unavailable}
    return {
        "metadata": {"name": "d", "generation": 1},
        "spec": {
            "replicas": replicas,
            "strategy": {"type": "RollingUpdate", "rollingUpdate": rolling},
            "progressDeadlineSeconds": 600,
            "template": {"metadata": {"labels": {"app": "x"}}, "spec": {}},
        },
    }


def a_replica_set(name: str, replicas: int, *, limit: int = 0, available: int = 0) -> Any:
    annotations = {rollout.MAX_REPLICAS: str(limit)} if limit else {}
    return {
        "metadata": {
            "name": name,
            "uid": name,
            "annotations": annotations,
            "creationTimestamp": f"2026-01-01T00:00:0{len(name)}Z",
        },
        "spec": {"replicas": replicas},
        "status": {"replicas": replicas, "availableReplicas": available},
    }


@pytest.mark.parametrize(
    ("deployment", "expected"),
    [
        (a_deployment(10, "25%", "25%"), Fenceposts(3, 2)),
        (a_deployment(1, "25%", "25%"), Fenceposts(1, 0)),
        (a_deployment(10, 0, "1%"), Fenceposts(0, 1)),  # both round to 0: one may be missing
        (a_deployment(2, 0, 5), Fenceposts(0, 2)),
        (a_deployment(0, 3, 3), Fenceposts(3, 0)),
    ],
)
def test_surge_rounds_up_and_unavailable_down(deployment: Any, expected: Fenceposts) -> None:
    assert rollout.fenceposts(deployment) == expected


def test_a_scaling_in_mid_rollout_is_shared_in_proportion() -> None:
    sets = [a_replica_set("a", 10, limit=13), a_replica_set("bb", 3, limit=13)]

    sizes = rollout.proportional_sizes(a_deployment(20), sets)

    assert {rs["metadata"]["name"]: size for rs, size in sizes} == {"a": 19, "bb": 6}


@given(
    desired=st.integers(0, 30),
    sizes=st.lists(st.integers(1, 20), min_size=2, max_size=4),
    surge=st.integers(0, 10),
)
def test_proportional_sizes_add_up_to_what_is_allowed(
    desired: int, sizes: list[int], surge: int
) -> None:
    sets = [a_replica_set("x" * (i + 1), n, limit=sum(sizes)) for i, n in enumerate(sizes)]
    deployment = a_deployment(desired, surge, 1)

    after = [size for _, size in rollout.proportional_sizes(deployment, sets)]

    limit = desired + rollout.fenceposts(deployment).surge if desired else 0
    # What rounding left is taken from the first, which has only what it has (as in sync.go).
    assert sum(after) == limit or (sum(after) > limit and after[0] == 0)
    assert min(after) >= 0


def test_pods_that_are_not_available_yet_do_not_cost_old_ones() -> None:
    old, new = a_replica_set("a", 8, available=8), a_replica_set("bb", 5, available=0)

    assert rollout.scale_down_allowance(a_deployment(10), [old], new) == 0


def test_a_status_that_lags_behind_the_spec_stops_scaling_down() -> None:
    lagging = a_replica_set("a", 2, available=5)

    assert rollout.unhealthy_cuts([lagging], 3) == ([], False)


def test_a_template_has_the_same_hash_whatever_the_order_of_its_keys() -> None:
    one, other = a_deployment(), a_deployment()
    other["spec"]["template"] = dict(reversed(other["spec"]["template"].items()))

    assert rollout.template_hash(one) == rollout.template_hash(other)


def test_a_roll_back_takes_the_next_revision_and_remembers_the_old_one() -> None:
    annotations = rollout.revised_annotations(a_deployment(), {rollout.REVISION: "1"}, 3)

    assert annotations == {rollout.REVISION: "3", rollout.REVISION_HISTORY: "1"}
