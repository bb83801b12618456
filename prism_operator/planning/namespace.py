"""The plan for a PrismNamespace."""

from __future__ import annotations

from datetime import datetime

from prism_operator.api.namespace import PrismNamespace
from prism_operator.planning.observed import Observed
from prism_operator.planning.plan import Plan
from prism_operator.planning.settings import Settings
from prism_operator.planning.unchecked import plan_unchecked


def plan_namespace(observed: Observed, _settings: Settings, now: datetime) -> Plan:
    """Accepts the namespace, and says that it is not provisioned."""
    message = "this version of the operator does not provision namespaces on a proxy"
    return plan_unchecked(observed, PrismNamespace, message, now)
