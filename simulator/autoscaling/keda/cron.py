"""KEDA's cron trigger: so many replicas between two moments of the clock.

Source: ``pkg/scalers/cron_scaler.go`` of KEDA 2.21.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError

from simulator.autoscaling.keda.metadata import MetadataError, integer, required
from simulator.kernel import SECOND_US


@dataclass(frozen=True, slots=True)
class Cron:
    """One trigger's schedules, in its time zone."""

    start: str
    end: str
    zone: ZoneInfo
    replicas: int

    @classmethod
    def parse(cls, metadata: Mapping[str, str]) -> Cron:
        """Reads the metadata of a trigger. Raises MetadataError."""
        start, end = required(metadata, "start"), required(metadata, "end")
        zone, replicas = required(metadata, "timezone"), integer(metadata, "desiredReplicas", 0)
        for key, text in (("start", start), ("end", end)):
            try:
                CronSim(text, datetime(2026, 1, 1, tzinfo=UTC))
            except CronSimError as error:
                raise MetadataError(key, f'is no cron schedule: "{text}" ({error})') from None
        if start == end:
            raise MetadataError("end", "cannot be the same as start")
        if not replicas:
            raise MetadataError("desiredReplicas", "is required")
        try:
            return cls(start, end, ZoneInfo(zone), replicas)
        except (ZoneInfoNotFoundError, ValueError):
            raise MetadataError("timezone", f'is no time zone: "{zone}"') from None

    def look(self, unix_us: int) -> tuple[int, bool]:
        """The metric in thousandths, and whether the trigger is active.

        It is while the next end comes before the next start.
        """
        now = datetime.fromtimestamp(unix_us / SECOND_US, self.zone)
        is_within = next(CronSim(self.start, now)) >= next(CronSim(self.end, now))
        return (self.replicas * 1000, True) if is_within else (0, False)
