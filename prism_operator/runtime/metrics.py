"""Metrics for whoever does not measure."""

from __future__ import annotations

from prism_operator.api.meta import Resource


class NoMetrics:
    """A ``Metrics`` port that forgets everything it is told."""

    def reconciled(self, controller: str, result: str, duration_s: float) -> None:
        """See ``Metrics``."""

    def queue_changed(self, controller: str, depth: int) -> None:
        """See ``Metrics``."""

    def queue_added(self, controller: str) -> None:
        """See ``Metrics``."""

    def queue_retried(self, controller: str) -> None:
        """See ``Metrics``."""

    def queue_waited(self, controller: str, waited_s: float) -> None:
        """See ``Metrics``."""

    def workers_active(self, controller: str, active: int) -> None:
        """See ``Metrics``."""

    def wrote(self, verb: str, resource: Resource, result: str) -> None:
        """See ``Metrics``."""

    def leading(self, name: str, is_leader: bool) -> None:
        """See ``Metrics``."""

    def check_began(self, late_s: float) -> None:
        """See ``Metrics``."""

    def checked(self, provider: str, result: str, latency_s: float | None) -> None:
        """See ``Metrics``."""

    def called(self, method: str, result: str, latency_s: float | None) -> None:
        """See ``Metrics``."""
