"""The reference tells of every field, condition and reason there is."""

from __future__ import annotations

import re

import pytest

from prism_operator.api.validation import MODELS
from prism_operator.planning import conditions
from prism_operator.reference import conditions as page
from prism_operator.reference.conditions import render_conditions
from prism_operator.reference.kinds import render_kind
from prism_operator.reference.reasons import reasons_in_code


@pytest.mark.parametrize("kind", MODELS)
def test_every_field_has_a_meaning(kind: str) -> None:
    rows = re.findall(r"^\| `(\w+)` \|.*\| (.*) \|$", render_kind(kind), re.MULTILINE)

    assert len(rows) > 10
    assert [name for name, meaning in rows if not meaning] == []


def test_field_is_told_with_type_default_and_rule() -> None:
    stack = render_kind("PrismStack")

    assert "| `replicas` | integer ≥ 0 | `1` | Number of pods." in stack
    assert "| `leaseDuration` | duration, such as `15s` or `1h30m` | `15s` |" in stack
    assert "| `placement` | [Placement](#placement) |  | Where the proxies run. |" in stack
    assert "- `resources`: resources stand here and in placement: remove one" in stack


def test_reasons_are_found_however_planning_passes_them() -> None:
    found = reasons_in_code()

    assert "ProgressDeadlineExceeded" in found  # an argument
    assert conditions.INVALID_SPEC in found  # a constant of another module
    assert {"Inline", "NoneReferenced"} <= found  # one of two, by a variable
    assert "ComponentsReady" in found  # a keyword
    assert "Resolved" in found  # what an occasional condition ends with


def test_reason_that_nobody_describes_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    told = {name: text for name, text in page.REASONS.items() if name != "Paused"}
    monkeypatch.setattr(page, "REASONS", told)

    with pytest.raises(ValueError, match=r"reasons not told in .*: Paused"):
        render_conditions()
