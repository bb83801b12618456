from __future__ import annotations

import pytest

from prism_operator.api.meta import Json
from prism_operator.planning.rollout import judge_rollout
from prism_operator.planning.verdict import State


def a_deployment(
    replicas: int = 3,
    *,
    generation: int = 2,
    observed: int = 2,
    total: int = 3,
    updated: int = 3,
    available: int = 3,
    progress: str = "NewReplicaSetAvailable",
    failure: str = "",
) -> Json:
    conditions = [{"type": "Progressing", "status": "True", "reason": progress}]
    if failure:
        conditions.append(
            {
                "type": "ReplicaFailure",
                "status": "True",
                "reason": "FailedCreate",
                "message": failure,
            }
        )
    return {
        "metadata": {"generation": generation},
        "spec": {"replicas": replicas},
        "status": {
            "observedGeneration": observed,
            "replicas": total,
            "updatedReplicas": updated,
            "availableReplicas": available,
            "conditions": conditions,
        },
    }


TABLE = {
    "complete": (a_deployment(), State.READY),
    "not yet seen by its controller": (a_deployment(observed=1), State.PROGRESSING),
    "pods of the newest version are missing": (
        a_deployment(updated=1, progress="ReplicaSetUpdated"),
        State.PROGRESSING,
    ),
    "old pods are still there": (
        a_deployment(total=4, progress="ReplicaSetUpdated"),
        State.PROGRESSING,
    ),
    "newest pods are not available yet": (
        a_deployment(available=1, progress="ReplicaSetUpdated"),
        State.PROGRESSING,
    ),
    "pods were lost after the rollout": (a_deployment(available=2), State.UNAVAILABLE),
    "no progress": (a_deployment(available=0, progress="ProgressDeadlineExceeded"), State.FAILED),
    "pods are refused": (a_deployment(total=0, updated=0, failure="quota"), State.FAILED),
    "scaled to nothing": (a_deployment(0, total=0, updated=0, available=0), State.READY),
}


@pytest.mark.parametrize("case", TABLE)
def test_a_rollout_is_judged_as_kubectl_does(case: str) -> None:
    deployment, state = TABLE[case]

    assert judge_rollout("proxy", deployment, settled=True, replicas=3).state is state


def test_a_complete_rollout_of_an_older_spec_is_no_rollout() -> None:
    verdict = judge_rollout("proxy", a_deployment(), settled=False, replicas=3)

    assert verdict.state is State.PROGRESSING


def test_a_deployment_that_does_not_exist_says_how_many_are_wanted() -> None:
    verdict = judge_rollout("proxy", None, settled=False, replicas=3)

    assert verdict.text == "proxy: 0 of 3 replicas are available"


def test_the_reason_why_pods_are_refused_is_told() -> None:
    verdict = judge_rollout("proxy", a_deployment(failure="quota"), settled=True, replicas=3)

    assert (verdict.reason, verdict.message) == ("FailedCreate", "quota")
