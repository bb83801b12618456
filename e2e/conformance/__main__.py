"""Command line of the conformance suite; exit code 1 when the servers differ, 2 for bad input."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from random import Random

from e2e.cluster import ClusterError, LocalCluster
from e2e.conformance.compare import Comparison, Report
from e2e.conformance.generate import sequence
from e2e.conformance.sides import FakeSide, RealSide

SEQUENCE_LENGTH = 50


def run(
    kubeconfig: Path, *, seed: int, requests: int, differences_max: int = 5, shrink: bool = True
) -> Report:
    """Sends ``requests`` requests to both servers and reports where they differ."""
    real, fake = RealSide(kubeconfig), FakeSide()
    for side in (real, fake):
        side.prepare()
        side.watch()
    # Namespaces of an earlier run with this seed may still be there.
    comparison = Comparison(real, fake, f"{seed}-{Random().randrange(16**5):05x}")
    report = comparison.report
    number = 0
    while report.requests < requests and len(report.differences) < differences_max:
        length = min(SEQUENCE_LENGTH, requests - report.requests)
        found = comparison.sequence(sequence(f"{seed}/{number}", length))
        number += 1
        if found is not None:
            report.differences.append(comparison.shrink(found) if shrink else found)
    for found in comparison.events()[:differences_max]:
        report.differences.append(comparison.shrink(found) if shrink else found)
    real.stop()
    return report


def main(arguments: Sequence[str] | None = None) -> int:
    """``python -m e2e.conformance``."""
    parser = argparse.ArgumentParser(prog="python -m e2e.conformance", description=__doc__)
    parser.add_argument("--seed", type=int, default=None, help="default: a new one, printed")
    parser.add_argument("--requests", type=int, default=5000)
    parser.add_argument("--differences", type=int, default=5, help="stop after so many")
    parser.add_argument(
        "--kubeconfig", type=Path, help="a cluster without controllers; default: starts one"
    )
    options = parser.parse_args(arguments)
    seed = Random().randrange(1_000_000) if options.seed is None else options.seed
    print(f"seed {seed}", flush=True)
    if options.kubeconfig is not None and not options.kubeconfig.is_file():
        print(f"--kubeconfig {options.kubeconfig}: no such file", file=sys.stderr)
        return 2
    with ExitStack() as stack:
        kubeconfig = options.kubeconfig
        if kubeconfig is None:
            directory = stack.enter_context(tempfile.TemporaryDirectory())
            try:
                started = LocalCluster.start(
                    directory, nodes=(), kwok=False, controllers=False, scheduler=False
                )
            except ClusterError as error:
                print(error, file=sys.stderr)
                return 2
            kubeconfig = stack.enter_context(started).kubeconfig
        report = run(
            kubeconfig,
            seed=seed,
            requests=options.requests,
            differences_max=options.differences,
        )
    print(summary(report))
    for difference in report.differences:
        print(f"\n{difference}")
    return 1 if report.differences else 0


def summary(report: Report) -> str:
    """A table of verbs and kinds with their outcomes, and a line with the totals."""
    outcomes = sorted({outcome for _, _, outcome in report.outcomes}, key=lambda o: (o != "ok", o))
    rows: dict[tuple[str, str], Counter[str]] = {}
    for (verb, kind, outcome), count in report.outcomes.items():
        rows.setdefault((kind, verb), Counter())[outcome] += count
    lines = [f"{'kind':26}{'verb':18}" + "".join(f"{outcome:>6}" for outcome in outcomes)]
    for (kind, verb), counts in sorted(rows.items()):
        numbers = "".join(f"{counts[outcome] or '':>6}" for outcome in outcomes)
        lines.append(f"{kind:26}{verb:18}{numbers}")
    refused = sum(n for (_, _, outcome), n in report.outcomes.items() if outcome != "ok")
    lines.append(
        f"{report.requests} requests ({refused} refused), {report.events} watch events:"
        f" {len(report.differences)} differences"
    )
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
