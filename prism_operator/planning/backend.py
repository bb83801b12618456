"""The plan for a PrismBackend."""

from __future__ import annotations

from datetime import datetime

from prism_operator.api.backend import PrismBackend
from prism_operator.planning.observed import Observed
from prism_operator.planning.plan import Plan
from prism_operator.planning.settings import Settings
from prism_operator.planning.unchecked import plan_unchecked


def plan_backend(observed: Observed, _settings: Settings, now: datetime) -> Plan:
    """Accepts the backend for patterns to use, and says that its health is not checked."""
    message = "this version of the operator does not connect to backends; patterns use it as it is"
    return plan_unchecked(observed, PrismBackend, message, now)
