"""The status of a ScaledObject, shared by KEDA's controller, scale loop and metrics server."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class Health:
    """How often in a row a trigger's metric could not be had."""

    failures: int = 0

    @property
    def status(self) -> str:
        """As in the API."""
        return "Failing" if self.failures else "Happy"


@dataclass(slots=True)
class Status:
    """What KEDA remembers in the API. ``conditions`` holds status and reason by type.

    ``last_active_us`` has whole seconds, as API times do.
    """

    conditions: dict[str, tuple[str, str]] = field(
        default_factory=lambda: {
            "Ready": ("Unknown", ""),
            "Active": ("Unknown", ""),
            "Fallback": ("Unknown", ""),
            "Paused": ("False", ""),
        }
    )
    last_active_us: int | None = None
    health: dict[str, Health] = field(default_factory=dict)
    activity: dict[str, bool] = field(default_factory=dict)
    target_kind: str = ""
    original_replicas: int | None = None
    paused_replicas: int | None = None
    hpa_name: str = ""
    external_metrics: tuple[str, ...] | None = None
    resource_metrics: tuple[str, ...] | None = None
