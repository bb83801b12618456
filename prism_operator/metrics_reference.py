"""Renders docs/reference/metrics.md from the metrics themselves.

``python -m prism_operator.metrics_reference --write`` brings it up to date; ``--check`` exits 1
when it differs.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from prism_operator import generated
from prism_operator.adapters.metrics import METRICS, MetricSpec

_INTRODUCTION: Final = """\
<!-- Generated from prism_operator/adapters/metrics.py by `make manifests`. -->
# Metrics

Served at `/metrics` on `--metrics-bind-address` (`:8080`), in Prometheus' text format. The names
and labels of controller-runtime, workqueue and client-go are theirs, so their dashboards and
alerts work. Label values come from fixed sets (a phase or provider that is none we know is
`Unknown` or `other`), never from the names of objects: the number of series has a bound.
"""
_OF_OBJECTS: Final = """\
## The state of the objects

Reported **only by the replica that leads**, from its cache, when it is scraped. So
`sum by (phase) (prism_stacks)` is right over any number of replicas and shards. Between two leaders
(at most the Lease's duration and a retry) nobody reports them: alert with `for:` longer than 30 s.
"""
_OF_REPLICA: Final = """\
## The operator itself

Reported by **every replica** about itself; one that waits for the Lease fills its cache and
reconciles nothing. Who leads: `leader_election_master_status == 1`. Besides these there are
`process_*` and `python_info` of the Prometheus client.
"""


def render_metrics() -> str:
    """The page, in Markdown."""
    sections = ((_OF_OBJECTS, True), (_OF_REPLICA, False))
    tables = [
        f"{text}\n{_table(spec for spec in METRICS if spec.of_objects == of_objects)}"
        for text, of_objects in sections
    ]
    return "\n".join([_INTRODUCTION, *tables])


def generated_files(root: Path) -> dict[Path, str]:
    """The page's place below ``root``, and its text."""
    return {root / "docs" / "reference" / "metrics.md": render_metrics()}


def _table(specs: Iterable[MetricSpec]) -> str:
    rows = [
        f"| `{spec.name}` | {spec.type} | {', '.join(f'`{label}`' for label in spec.labels)} "
        f"| {spec.help} |\n"
        for spec in sorted(specs, key=lambda spec: spec.name)
    ]
    return "| Name | Type | Labels | What it tells |\n|---|---|---|---|\n" + "".join(rows)


if __name__ == "__main__":
    program = "python -m prism_operator.metrics_reference"
    sys.exit(generated.main(program, sys.argv[1:], generated_files))
