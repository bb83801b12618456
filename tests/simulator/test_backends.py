from __future__ import annotations

import pytest

from prism_operator.api.meta import PRISM_BACKEND, Json, Ref
from tests.simulator.builders import Story, a_stack

DATABASE = {
    "name": "orders-db",
    "type": "database",
    "connectionString": "postgres://db:5432/orders",
}


def find(state: str, at: str) -> Json:
    return {"at": at, "name": state, "backend": {"name": "orders-db", "state": state}}


def said(condition: str, status: str, after: str) -> Json:
    claim = {"of": "PrismStack/shop", "type": condition, "status": status}
    return {"eventually": {"condition": claim}, "after": after, "within": "15s"}


@pytest.mark.parametrize("state", ["down", "hung"])
def test_a_stack_stays_ready_and_says_so_while_a_backend_is_away(state: str) -> None:
    story = Story(
        a_stack(backends=[DATABASE]),
        timeline=(find(state, "2m"), find("up", "4m")),
        expect=(
            said("BackendsHealthy", "False", state),
            said("Degraded", "True", state),
            said("Ready", "True", state),
            {"eventually": said("BackendsHealthy", "True", "up")["eventually"]}
            | {"after": "up", "within": "45s"},
            {
                "atEnd": {
                    "condition": {"of": "PrismStack/shop", "type": "Degraded", "status": "False"}
                }
            },
        ),
    )

    story.finish()


def test_backends_that_nothing_happens_to_are_not_checked() -> None:
    story = Story(a_stack(backends=[DATABASE]), duration="3m")

    story.finish()

    conditions = story.get(Ref(PRISM_BACKEND, "default", "orders-db"))["status"]["conditions"]
    assert {c["reason"] for c in conditions} == {"NotChecked"}
