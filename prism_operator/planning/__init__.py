"""What should be, computed from what is observed. Pure: no clock, client, logger or randomness."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Final, TypeAlias

from prism_operator.api.meta import (
    PRISM_BACKEND,
    PRISM_NAMESPACE,
    PRISM_PATTERN,
    PRISM_STACK,
    Resource,
)
from prism_operator.planning.backend import plan_backend
from prism_operator.planning.namespace import plan_namespace
from prism_operator.planning.observed import Observed
from prism_operator.planning.pattern import plan_pattern
from prism_operator.planning.plan import Plan
from prism_operator.planning.settings import Settings
from prism_operator.planning.stack import plan_stack

Planner: TypeAlias = Callable[[Observed, Settings, datetime], Plan]

PLANNERS: Final[Mapping[Resource, Planner]] = {
    PRISM_STACK: plan_stack,
    PRISM_PATTERN: plan_pattern,
    PRISM_BACKEND: plan_backend,
    PRISM_NAMESPACE: plan_namespace,
}

__all__ = ["PLANNERS", "Planner", "plan_backend", "plan_namespace", "plan_pattern", "plan_stack"]
