"""Numbers of one run, by name: what variants are compared in.

``evictions``, ``restarts`` and ``writes`` count; ``cost`` is that of the nodes between warm-up and
drain; all others are summed up from what was recorded (``simulator.sums``). Percentiles of messages
and requests are censored where too many of them were not done when the run ended.
"""

from __future__ import annotations

from simulator.experiments.verdicts import Observation
from simulator.inputs import BadInputError
from simulator.kernel import Us
from simulator.run import Result
from simulator.series import Recorder
from simulator.sums import SUMS, is_sum, sum_up

_COUNTS = ("evictions", "restarts", "writes")


def measure(name: str, result: Result, recorder: Recorder, from_us: Us, to_us: Us) -> Observation:
    """The number ``name`` of a run, of the time between two points.

    Raises:
        BadInputError: The run has no such number.
    """
    if name in _COUNTS:
        return Observation(float(getattr(result, name)))
    summed = sum_up(name, recorder, from_us, to_us)
    if summed is None:
        raise BadInputError(
            [
                f'"{name}" is no measure: expected one of {", ".join(_COUNTS)}, cost, or a series '
                f"and one of {', '.join(SUMS)} (series: {', '.join(recorder.names()) or 'none'})"
            ]
        )
    return Observation(*summed)


def is_measure(name: str, recorder: Recorder) -> bool:
    """Whether a run has such a number."""
    return name in _COUNTS or is_sum(name, recorder)
