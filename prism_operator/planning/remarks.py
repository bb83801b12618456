"""What a spec asks for and gets otherwise than a reader of it would expect."""

from __future__ import annotations

from collections.abc import Mapping

from prism_operator.api.common import Component
from prism_operator.api.stack import AdminSpec
from prism_operator.planning.conditions import EVEN_ADMIN_REPLICAS, Condition


def remarks_on(components: Mapping[str, Component]) -> list[Condition]:
    """Conditions about components, which are given by the paths of their fields."""
    texts = _even(components)
    if not texts:
        return []
    return [Condition(EVEN_ADMIN_REPLICAS, "True", "EvenReplicas", "; ".join(texts))]


def _even(components: Mapping[str, Component]) -> list[str]:
    return [
        f"{path}.replicas is {component.replicas}: an even number of admins tolerates no more "
        f"failures than {component.replicas - 1} of them would, so use an odd one"
        for path, component in components.items()
        if isinstance(component, AdminSpec)
        and component.replicas > 0
        and component.replicas % 2 == 0
    ]
