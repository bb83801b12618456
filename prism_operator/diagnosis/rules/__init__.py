"""The rules, roots before what they bring about: the first that finds something is the cause."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final, TypeAlias

from prism_operator.diagnosis.facts import Facts
from prism_operator.diagnosis.findings import Finding
from prism_operator.diagnosis.rules import (
    admission,
    dependencies,
    lifecycle,
    operator,
    pods,
    rollout,
    spec,
)

Rule: TypeAlias = Callable[[Facts], Iterator[Finding]]

RULES: Final[tuple[Rule, ...]] = (
    lifecycle.find_deletion,
    operator.find_silent_operator,  # before all that the operator would see to
    lifecycle.find_pause,
    spec.find_invalid_spec,
    spec.find_name_conflict,
    spec.find_refused_placement,
    spec.find_refused_writes,
    admission.find_refused_pods,
    pods.find_pod_trouble,
    dependencies.find_own_health,
    operator.find_dead_operator,
    rollout.find_missing_deployments,
    rollout.find_stuck_rollout,
    rollout.find_rollout_under_way,
    dependencies.find_unresolved_backend,
    dependencies.find_scaler_trouble,
    dependencies.find_unhealthy_children,
    dependencies.find_services_without_endpoints,
    spec.find_remarks,
)

# These say what is to be seen from outside; they are silent where a rule above tells the root.
FALLBACKS: Final[frozenset[Rule]] = frozenset(
    {
        rollout.find_missing_deployments,
        rollout.find_stuck_rollout,
        rollout.find_rollout_under_way,
    }
)
