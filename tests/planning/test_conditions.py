from __future__ import annotations

from datetime import timedelta

import pytest

from prism_operator.api.meta import Json
from prism_operator.planning.conditions import Condition, conditions_of, with_times
from prism_operator.planning.status import status_to_write
from prism_operator.planning.verdict import (
    Verdict,
    failed,
    progressing,
    ready,
    unavailable,
    waiting,
)

from .builders import LATER, NOW

READY = ready("proxy", "2 of 2")
ON_ITS_WAY = progressing("admin", "RolloutInProgress", "0 of 1")
HELD = waiting("", "Paused", "held back")
LOST = unavailable("proxy", "ReplicasUnavailable", "1 of 2")
STUCK = failed("admin", "ProgressDeadlineExceeded", "no progress")

# Ready, Progressing, Degraded, Reconciling, Stalled
TABLE = {
    "all ready": ([READY], "True False False False False"),
    "one on its way": ([READY, ON_ITS_WAY], "False True False True False"),
    "one held back": ([HELD], "False False False False False"),
    "one lost": ([READY, LOST], "False False True False False"),
    "one stuck": ([STUCK, READY], "False False True False True"),
    "one lost, another on its way": ([LOST, ON_ITS_WAY], "False True True True False"),
}


def conditions(*verdicts: Verdict, **more: list[object]) -> list[Condition]:
    return conditions_of(
        verdicts,
        ready_reason="AllReady",
        ready_message="all is well",
        **more,  # type: ignore[arg-type]
    )


@pytest.mark.parametrize("case", TABLE)
def test_the_worst_verdict_decides(case: str) -> None:
    verdicts, expected = TABLE[case]

    found = conditions(*verdicts)

    assert [c.type for c in found] == ["Ready", "Progressing", "Degraded", "Reconciling", "Stalled"]
    assert " ".join(c.status for c in found) == expected


def test_ready_names_the_worst_reason_and_its_subject() -> None:
    found = conditions(ON_ITS_WAY, STUCK)[0]

    assert (found.reason, found.message) == ("ProgressDeadlineExceeded", "admin: no progress")


def test_a_long_list_is_cut_and_counted() -> None:
    found = conditions(*(progressing(f"pattern p{i}", "X", "waits") for i in range(5)))[0]

    assert found.message.endswith("pattern p2: waits; and 2 more")


def test_failures_that_pass_are_reconciling_and_no_more() -> None:
    found = {c.type: c for c in conditions(READY, retries=["cannot create X: timeout"])}

    assert found["Ready"].status == "True"
    assert found["Reconciling"] == Condition(
        "Reconciling", "True", "Retrying", "cannot create X: timeout"
    )
    assert found["Stalled"].status == "False"


def test_an_unhealthy_dependency_degrades_without_touching_ready() -> None:
    unhealthy = Condition("BackendsHealthy", "False", "NotReady", "nats")

    found = {c.type: c for c in conditions(READY, degraded_by=[unhealthy])}

    assert found["Ready"].status == "True"
    assert (found["Degraded"].status, found["Degraded"].reason) == ("True", "NotReady")


def test_the_time_moves_only_with_the_status() -> None:
    first = with_times([Condition("Ready", "False", "A", "a")], [], NOW)
    reworded = with_times([Condition("Ready", "False", "B", "b")], first, LATER)
    changed = with_times([Condition("Ready", "True", "C", "c")], reworded, LATER)

    assert first[0]["lastTransitionTime"] == "2026-01-02T03:04:05Z"
    assert reworded[0]["lastTransitionTime"] == "2026-01-02T03:04:05Z"
    assert changed[0]["lastTransitionTime"] == "2026-01-02T04:00:00Z"


def test_an_occasional_condition_that_is_over_stays_as_false() -> None:
    conflict = Condition("NameConflict", "True", "NameConflict", "x exists")
    before = with_times([conflict], [], NOW)

    after = with_times([], before, LATER)

    assert [(c["type"], c["status"], c["reason"]) for c in after] == [
        ("NameConflict", "False", "Resolved")
    ]
    assert with_times([], after, LATER) == after


def test_a_message_never_shows_the_user_information_of_a_url() -> None:
    (stored,) = with_times(
        [Condition("Ready", "False", "Invalid", "bad postgres://me:pw@host/db")], [], NOW
    )

    assert stored["message"] == "bad postgres://***@host/db"


def a_status(
    *, under_way: bool, available: int, replicas: int = 2, message: str = "m", reason: str = ""
) -> Json:
    reason = reason or ("RolloutInProgress" if under_way else "DeploymentReady")
    progressing = {
        "type": "Progressing",
        "status": "True" if under_way else "False",
        "reason": reason,
        "message": message,
        "lastTransitionTime": "2026-01-02T03:04:05Z",
    }
    return {
        "observedGeneration": 1,
        "replicas": replicas,
        "availableReplicas": available,
        "conditions": [progressing],
    }


def test_a_status_that_says_nothing_new_is_not_written() -> None:
    status = a_status(under_way=False, available=1)

    assert status_to_write(status, {**status, "added": "by others"}, LATER) == (None, None)


def test_a_foreign_condition_is_no_news() -> None:
    status = a_status(under_way=False, available=1)
    foreign = {"type": "Foreign", "status": "True", "reason": "X", "message": ""}

    stored = {**status, "conditions": [foreign, *status["conditions"]]}

    assert status_to_write(status, stored, LATER) == (None, None)


def test_counts_are_no_news_while_a_rollout_is_young() -> None:
    stored = a_status(under_way=True, available=0, message="0 of 2")
    some = a_status(under_way=True, available=1, message="1 of 2")
    after_10_s = NOW + timedelta(seconds=10)

    assert status_to_write(some, stored, after_10_s) == (None, 20)
    assert status_to_write(some, stored, LATER) == (some, None)


NEWS = {
    "the end of the rollout": a_status(under_way=False, available=1),
    "another reason": a_status(under_way=True, available=1, reason="Retrying"),
    "another generation": {**a_status(under_way=True, available=1), "observedGeneration": 2},
}


@pytest.mark.parametrize("case", NEWS)
def test_everything_else_is_news_at_once(case: str) -> None:
    stored = a_status(under_way=True, available=1)

    assert status_to_write(NEWS[case], stored, NOW) == (NEWS[case], None)


def test_without_a_rollout_every_count_is_news() -> None:
    stored = a_status(under_way=False, available=2)
    now = a_status(under_way=False, available=1)

    assert status_to_write(now, stored, NOW) == (now, None)
