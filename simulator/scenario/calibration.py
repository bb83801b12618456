"""A calibration file: values of a scenario that were fitted to a cluster, and how well they did."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError

from prism_operator.documents import Document
from simulator.inputs import BadInputError, load_documents
from simulator.scenario.settings import Setting
from simulator.scenario.values import Strict

UNCALIBRATED = "UNCALIBRATED: start times, rates and hazards are documented or assumed, not fitted"


class Backtest(Strict):
    """How a value did on what it was not fitted to.

    ``error`` is a share of what was seen: of a duration or a rate the error of its median, of a
    course the sum of all errors. ``covered`` is the share of what was seen that lies between the
    bounds in which ``expected`` of it should.
    """

    unseen: int = Field(ge=1)
    error: float = Field(ge=0)
    covered: float | None = None
    expected: float | None = None


class Parameter(Strict):
    """A value, from what it was fitted, the 95 % range of it, and its backtest."""

    value: Any
    source: str
    samples: int = Field(ge=1)
    range: Any = None
    backtest: Backtest


class Calibration(Strict):
    """Fitted values by their path in the scenario."""

    parameters: dict[str, Parameter] = Field(min_length=1)

    def settings(self) -> list[Setting]:
        """What it makes of a scenario. Raises ValueError for what is no path in one."""
        return [Setting.at(path, of.value) for path, of in self.parameters.items()]


def read_calibration(path: Path) -> Calibration:
    """The calibration in a file that ``prism-sim calibrate`` wrote.

    Raises:
        BadInputError: With file, line and column of what is wrong.
    """
    documents = load_documents(path)
    if len(documents) != 1:
        raise BadInputError([f"{path}:1:1: expected one YAML mapping, a calibration"])
    document = documents[0]
    try:
        calibration = Calibration.model_validate(document.value)
    except ValidationError as error:
        raise BadInputError([_told(document, e) for e in error.errors()]) from None
    for name in calibration.parameters:
        try:
            target = Setting.at(name, None).target
        except ValueError as error:
            raise BadInputError([f"{path}: parameters: {error}"]) from None
        if target is not None:
            raise BadInputError([f"{path}: {name}: expected a path in the scenario itself"])
    return calibration


def trust(calibration: Calibration | None) -> str:
    """How far verdicts can be trusted: what was fitted, and how far off it was when tested."""
    if calibration is None:
        return UNCALIBRATED
    errors = [
        f"{path} {100 * of.backtest.error:.0f} % off"
        for path, of in sorted(calibration.parameters.items())
    ]
    return f"CALIBRATED, by what was not fitted to: {', '.join(errors)}; all else is assumed"


def _told(document: Document, error: Any) -> str:
    where = tuple(error["loc"])
    message = error["msg"].removeprefix("Value error, ")
    return str(document.complain(where, f"{'.'.join(map(str, where))}: {message}"))
