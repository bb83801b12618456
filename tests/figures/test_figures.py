"""What the figures of the operator's benchmark say of an audit log, and of their targets."""

from __future__ import annotations

import pytest

from benchmarks.edit_latency import latencies
from benchmarks.operator_ladder import misses
from e2e.cluster import Json

EDITED = {"orders": "image"}


def a_patch(
    user: str, received_s: float, answered_s: float, *, name: str = "orders", subresource: str = ""
) -> Json:
    """An audit event of a patch of a PrismPattern."""
    reference = {"resource": "prismpatterns", "name": name}
    return {
        "verb": "patch",
        "user": {"username": user},
        "objectRef": reference | ({"subresource": subresource} if subresource else {}),
        "requestReceivedTimestamp": f"2026-01-01T00:00:{received_s:09.6f}Z",
        "stageTimestamp": f"2026-01-01T00:00:{answered_s:09.6f}Z",
    }


def a_status(received_s: float, answered_s: float) -> Json:
    return a_patch("operator", received_s, answered_s, subresource="status")


def test_a_latency_runs_from_the_edit_to_the_answer_to_the_first_status_after_it() -> None:
    events = [
        a_status(0.1, 0.2),  # about an earlier generation
        a_patch("user", 1.0, 1.01),
        a_status(1.02, 1.03),
        a_status(5.0, 5.1),  # what the rollout brought
    ]

    assert latencies(events, EDITED, "operator") == {"orders": pytest.approx(30.0)}


def test_the_order_in_the_log_does_not_matter() -> None:
    events = [a_status(1.02, 1.03), a_patch("user", 1.0, 1.05)]

    assert latencies(events, EDITED, "operator") == {"orders": pytest.approx(30.0)}


def test_an_edit_without_a_status_write_has_no_latency() -> None:
    events = [a_patch("user", 1.0, 1.01), a_patch("user", 1.0, 1.1, name="other")]

    assert latencies(events, EDITED, "operator") == {}


@pytest.mark.parametrize(
    ("name", "figure", "limit", "missed"),
    [
        ("patterns_per_s", 60, 60, False),
        ("patterns_per_s", 59, 60, True),
        ("patterns_per_s", None, 60, True),
        ("p50_ms", 50, 50, False),
        ("p50_ms", 51, 50, True),
        ("steady_writes", 0, 0, False),
    ],
)
def test_a_target_is_missed_by_less_speed_or_more_of_all_else(
    name: str, figure: float | None, limit: float, missed: bool
) -> None:
    assert misses(name, figure, limit) is missed
