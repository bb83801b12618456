"""Answers as text for people: sentences first, then tables."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from typing import Final

from rich.console import Console
from rich.table import Table

from simulator.explaining.answers import WhatIf
from simulator.explaining.instants import told
from simulator.explaining.names import listed
from simulator.explaining.nodes import NodeExplanation
from simulator.explaining.pods import NodeVerdict, PodExplanation, Preemption
from simulator.explaining.scalers import ScalerExplanation
from simulator.kernel import SECOND_US

_WIDTH: Final = 400  # lines are never broken: who reads them in a pipe wants them whole
_ROWS_MAX: Final = 12  # beyond, the rejected are told by class of node, of the others the best


def pod_text(found: PodExplanation) -> str:
    """The answer to ``--pod``."""
    lines = [f"Pod {found.pod} at {_at(found.at_s)}: {found.outcome}"]
    if found.later:
        lines.append(f"Unchanged, {found.later}.")
    scored = [node for node in found.nodes if node.total is not None]
    rejected = [node for node in found.nodes if node.total is None]
    if scored:
        lines += ["", f"Nodes that it could go to{_as_of(found)}, with weighted scores:"]
        lines += _table(*_scores(scored, found.weights))
        if len(scored) > _ROWS_MAX:
            lines.append(f"… and {len(scored) - _ROWS_MAX} more with lower scores")
    if rejected:
        lines += ["", f"Nodes that it could not go to{_as_of(found)}:"]
        lines += _table(("nodes", "filter", "because", "in particular"), _rejections(rejected))
    if found.nodes_not_looked_at:
        lines.append(f"{found.nodes_not_looked_at} nodes were not looked at: enough were found")
    if found.preemption is not None:
        lines += ["", *_preemption(found.preemption)]
    return _text([*lines, *_what_if(found.what_if)])


def scaler_text(found: ScalerExplanation) -> str:
    """The answer to ``--scaler``."""
    lines = [f"{found.scaler} at {_at(found.at_s)}: {found.outcome}", f"Unchanged, {found.later}."]
    for look in found.looks:
        next_look = f"it looks next at {_at(look.next_s)}"
        lines += ["", f"{look.by} at {_at(look.at_s)} {look.outcome}; {next_look}."]
        if look.metrics:
            headings = ("metric", "target", "measured", "ratio", "asks for", "because")
            rows = [
                (
                    m.metric,
                    m.target,
                    m.measured or "–",
                    "–" if m.ratio is None else f"{m.ratio:g}",
                    "–" if m.wants is None else str(m.wants),
                    m.why,
                )
                for m in look.metrics
            ]
            lines += _table(headings, rows)
        rules = [("bound" if c.bound else "", c.rule, c.said) for c in look.clauses]
        if rules:
            lines += _table(("", "rule", ""), rules)
    return _text([*lines, *_what_if(found.what_if)])


def node_text(found: NodeExplanation) -> str:
    """The answer to ``--node``."""
    where = f"Node {found.node} of pool {found.pool} in zone {found.zone}"
    requested = ", ".join(f"{resource} {amount}" for resource, amount in found.requested.items())
    lines = [
        f"{where} at {_at(found.at_s)}: {found.outcome}.",
        f"Requested: {requested}. Taints: {', '.join(found.taints) or 'none'}.",
        f"{found.kept[0].upper()}{found.kept[1:]}.",
        f"Unchanged, {found.later}.",
    ]
    if found.pods:
        lines += ["", "Pods on it, and what the eviction API would say:"]
        lines += _table(
            ("pod", "phase", "priority", "cpu", "memory", "eviction", "PodDisruptionBudget"),
            [
                (p.pod, p.phase, str(p.priority), p.cpu, p.memory, p.eviction, ", ".join(p.budgets))
                for p in found.pods
            ],
        )
    if found.happened:
        lines += ["", "What happened to it:"]
        lines += _table(
            ("at", "what", ""),
            [
                (
                    _at(h.at_s),
                    h.what,
                    "" if h.times == 1 else f"{h.times} times, last at {_at(h.last_s)}",
                )
                for h in found.happened
            ],
        )
    return _text([*lines, *_what_if(found.what_if)])


def _as_of(found: PodExplanation) -> str:
    return "" if found.decided_at_s == found.at_s else f" at {_at(found.decided_at_s)}"


def _scores(
    nodes: Sequence[NodeVerdict], weights: dict[str, int]
) -> tuple[Sequence[str], list[Sequence[str]]]:
    plugins = [plugin for plugin in weights if plugin in nodes[0].scores]
    headings = ("node", "total", *(f"{plugin} ×{weights[plugin]}" for plugin in plugins))
    rows: list[Sequence[str]] = [
        (node.node, str(node.total), *(str(node.scores[plugin]) for plugin in plugins))
        for node in nodes[:_ROWS_MAX]
    ]
    return headings, rows


def _rejections(nodes: Sequence[NodeVerdict]) -> Iterable[Sequence[str]]:
    """A row for each node, or, where they are many, for each class of nodes with one reason."""
    if len(nodes) <= _ROWS_MAX:
        for node in nodes:
            yield node.node, node.rejected_by or "", "; ".join(node.reasons), node.detail
        return
    classes: dict[tuple[str, str, str, str], list[NodeVerdict]] = {}
    for node in nodes:
        key = node.pool, node.zone, node.rejected_by or "", "; ".join(node.reasons)
        classes.setdefault(key, []).append(node)
    for (pool, zone, plugin, reasons), members in classes.items():
        details = sorted({node.detail for node in members if node.detail})
        more = f" (and {len(details) - 1} like it)" if len(details) > 1 else ""
        of = f"{len(members)} of pool {pool} in zone {zone}"
        yield of, plugin, reasons, (details[0] + more if details else "")


def _preemption(preemption: Preemption) -> Iterable[str]:
    yield f"Preemption: {preemption.outcome}"
    if preemption.options:
        yield from _table(
            ("node", "who would leave", "against PodDisruptionBudget"),
            [(r.node, listed(r.victims), ", ".join(r.budgets) or "–") for r in preemption.options],
        )


def _what_if(changes: Sequence[WhatIf]) -> list[str]:
    if not changes:
        return ["", "No single change that was tried would have altered that."]
    rows = [(f"- {change.change}", f"→ {change.outcome}") for change in changes]
    return ["", "What would have altered that, each tried on the same code:", *_table((), rows)]


def _at(seconds: float) -> str:
    return told(round(seconds * SECOND_US))


def _table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    table = Table(box=None, pad_edge=False, show_header=bool(headings), padding=(0, 2, 0, 0))
    body = list(rows)
    for index in range(len(headings) or (len(body[0]) if body else 0)):
        is_number = bool(headings) and all(row[index].lstrip("-").isdigit() for row in body)
        heading = headings[index] if headings else ""
        table.add_column(heading, justify="right" if is_number else "left", no_wrap=True)
    for row in body:
        table.add_row(*row)
    console = Console(file=io.StringIO(), width=_WIDTH, highlight=False, markup=False)
    with console.capture() as captured:
        console.print(table)
    return [f"  {line.rstrip()}" for line in captured.get().splitlines()]


def _text(lines: Sequence[str]) -> str:
    return "\n".join(lines) + "\n"
