"""Points in a run: as people write them, and as they are told."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

from prism_operator.api.durations import parse_duration_s
from simulator.explaining.names import near
from simulator.inputs import BadInputError
from simulator.kernel import SECOND_US, Us
from simulator.scenario import Scenario

_SECONDS = re.compile(r"[0-9]+(\.[0-9]{1,6})?")


def instant(text: str, scenario: Scenario, path: Path) -> Us:
    """A time since the start: ``20m30s``, seconds as in the event log, a date, a named event.

    Raises:
        BadInputError: It is none of these, or not within the run.
    """
    at_us = _read(text, scenario)
    if at_us is None:
        names = sorted(event.name for event in scenario.timeline if event.name is not None)
        raise BadInputError(
            [
                f'--at: expected a duration such as "20m30s", a date such as '
                f'"{scenario.clock.start:%Y-%m-%dT%H:%M:%SZ}" or the name of an event in '
                f'{path}, got "{text}"{near(text, names)}'
            ]
        )
    if not 0 <= at_us <= scenario.duration:
        raise BadInputError(
            [
                f"--at: {text} is outside of the run of {path}, which lasts from 0s to "
                f"{told(scenario.duration)}"
            ]
        )
    return at_us


def _read(text: str, scenario: Scenario) -> Us | None:
    for event in scenario.timeline:
        if event.name == text:
            return event.at
    if _SECONDS.fullmatch(text):
        return round(float(text) * SECOND_US)
    try:
        return round(parse_duration_s(text) * SECOND_US)
    except ValueError:
        pass
    try:
        date = datetime.fromisoformat(text)
    except ValueError:
        return None
    date = date if date.tzinfo else date.replace(tzinfo=UTC)
    return (date - scenario.clock.start) // timedelta(microseconds=1)


def told(us: Us) -> str:
    """A time or span to the millisecond, without what is zero: ``1h20m0.5s``."""
    milliseconds = round(us / 1000)
    seconds, rest = divmod(milliseconds, 1000)
    hours, minutes, seconds = seconds // 3600, seconds // 60 % 60, seconds % 60
    fraction = f"{rest / 1000:g}"[1:] if rest else ""
    parts = [f"{hours}h" if hours else "", f"{minutes}m" if minutes else ""]
    return "".join(parts) + (f"{seconds}{fraction}s" if seconds or rest or not any(parts) else "")
