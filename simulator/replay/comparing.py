"""The decisions of a simulated and of a real run, side by side, with what explains differences."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from prism_operator.api.meta import Json
from simulator.replay.decisions import Difference, decisions_of, placed_of
from simulator.replay.placements import Placement

NOTHING = "–"
_SHOWN_MAX = 4


@dataclass(frozen=True, slots=True)
class Compared:
    """After one step: how many decisions were compared, and which differ."""

    step: str
    decisions: int
    differences: tuple[Difference, ...]


def compare(step: str, simulated: Iterable[Json], real: Iterable[Json]) -> Compared:
    """Everything but where pods are: what there is, how many, and what is said of it."""
    ours, theirs = decisions_of(simulated), decisions_of(real)
    keys = sorted({*ours, *theirs})
    found = tuple(
        Difference(*key, ours.get(key, NOTHING), theirs.get(key, NOTHING))
        for key in keys
        if ours.get(key) != theirs.get(key)
    )
    return Compared(step, len(keys), found)


def compare_placements(
    placements: Sequence[Placement], simulated: Iterable[Json], real: Iterable[Json]
) -> Compared:
    """Where pods are; what the real scheduler drew among equals explains a difference."""
    found = [
        Difference(p.workload, f"node of {p.pod}", p.problem, p.node or NOTHING)
        for p in placements
        if p.problem
    ]
    wrong = {p.workload for p in placements if p.problem}
    ours, theirs = placed_of(simulated), placed_of(real)
    for workload in sorted({*ours, *theirs} - wrong):
        if ours.get(workload) == theirs.get(workload):
            continue
        drawn = sum(p.is_drawn for p in placements)
        why = (
            f"each node was among the best; {drawn} of {len(placements)} times the real "
            "scheduler had to draw one"
        )
        found.append(
            Difference(
                workload,
                "nodes",
                _nodes(ours.get(workload, {})),
                _nodes(theirs.get(workload, {})),
                why if drawn else "",
            )
        )
    return Compared("where pods are", len(placements), tuple(found))


def _nodes(counts: Mapping[str, int]) -> str:
    listed = [f"{node} {count}" if count > 1 else node for node, count in sorted(counts.items())]
    more = len(listed) - _SHOWN_MAX
    return ", ".join(listed[:_SHOWN_MAX]) + (f", … {more} more" if more > 0 else "") or NOTHING
