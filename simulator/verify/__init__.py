"""``prism-sim verify``: replays recordings of the real components and says how far we agree.

Each module here knows one kind of recording: ``recognises`` a case by its content, and ``replay``
makes our decisions from the recorded inputs alone and compares them with the recorded ones.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Final, Protocol, cast

from prism_operator.api.meta import Json
from simulator.inputs import BadInputError
from simulator.verify import (
    hpa,
    keda_executor,
    keda_hpa,
    keda_kafka,
    rollout,
    sampling,
    scheduler,
)
from simulator.verify.agreement import Agreement
from simulator.verify.files import read_cases


class Kind(Protocol):
    """What a module of this package offers.

    ``REQUIRED`` is the share of comparisons that has to agree, by field; 1 for a field that is
    not in it.
    """

    NAME: str
    REQUIRED: Mapping[str, float]

    def recognises(self, case: Json) -> bool:
        """Whether a case is a recording of this kind."""

    def replay(self, case: Json, agreement: Agreement) -> None:
        """Decides anew and compares."""


def _kinds(*modules: ModuleType) -> tuple[Kind, ...]:
    return tuple(cast(Kind, module) for module in modules)


KINDS: Final = _kinds(scheduler, sampling, hpa, keda_executor, keda_kafka, keda_hpa, rollout)


@dataclass(slots=True)
class Verified:
    """What the cases of one kind in one file gave."""

    path: Path
    kind: Kind
    agreement: Agreement = field(default_factory=Agreement)

    @property
    def short(self) -> list[str]:
        """The fields that agree less than they have to."""
        counts = self.agreement.fields
        return [
            name for name in sorted(counts) if counts[name].share < self.kind.REQUIRED.get(name, 1)
        ]


def verify(paths: Iterable[Path]) -> list[Verified]:
    """Replays all cases of all files.

    Raises:
        BadInputError: A file cannot be read, or a line of it is no recording known here.
    """
    results: dict[tuple[Path, str], Verified] = {}
    for path in paths:
        for line, case in read_cases(path):
            kind = _kind_of(case, path, line)
            verified = results.setdefault((path, kind.NAME), Verified(path, kind))
            verified.agreement.cases += 1
            try:
                kind.replay(case, verified.agreement)
            except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
                told = f"{type(error).__name__}: {error}"
                raise BadInputError(
                    [
                        f"{path}:{line}: reads like a recording of {kind.NAME} but cannot be "
                        f"replayed ({told}): record it anew with the Go tests of e2e/oracle"
                    ]
                ) from error
    return list(results.values())


def _kind_of(case: Json, path: Path, line: int) -> Kind:
    for kind in KINDS:
        if kind.recognises(case):
            return kind
    known = ", ".join(kind.NAME for kind in KINDS)
    fields = ", ".join(sorted(case)[:8]) or "none"
    raise BadInputError(
        [f"{path}:{line}: expected a recording of {known}; found an object with fields {fields}"]
    )
