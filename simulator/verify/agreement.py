"""How far decisions of ours and recorded ones agree: counted field by field."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from prism_operator.api.meta import Json

# (field, recorded, ours) -> whether they are equal.
Compare: TypeAlias = Callable[[str, Any, Any], bool]


@dataclass(frozen=True, slots=True)
class Difference:
    """One decision that is not as recorded, and what it was made from."""

    case: str
    at: str
    field: str
    recorded: Any
    ours: Any
    inputs: Json


@dataclass(slots=True)
class Count:
    """How often a field was compared, and how often it agreed."""

    agreed: int = 0
    total: int = 0

    @property
    def share(self) -> float:
        """From 0 to 1; 1 when nothing was compared."""
        return self.agreed / self.total if self.total else 1.0


@dataclass(slots=True)
class Agreement:
    """What comparing the cases of one kind gave. Keeps the first ``differences_max``."""

    differences_max: int = 5
    cases: int = 0
    fields: dict[str, Count] = field(default_factory=dict)
    differences: list[Difference] = field(default_factory=list)

    def at(self, case: str, at: str, inputs: Json) -> Compare:
        """A comparison of single fields of one decision."""

        def compare(name: str, recorded: Any, ours: Any) -> bool:
            count = self.fields.setdefault(name, Count())
            count.total += 1
            if recorded == ours:
                count.agreed += 1
                return True
            if len(self.differences) < self.differences_max:
                self.differences.append(Difference(case, at, name, recorded, ours, inputs))
            return False

        return compare

    @property
    def share(self) -> float:
        """The share of all comparisons that agreed, from 0 to 1."""
        return Count(
            sum(count.agreed for count in self.fields.values()),
            sum(count.total for count in self.fields.values()),
        ).share
