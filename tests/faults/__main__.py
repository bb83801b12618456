"""Sweeps faults over the operator: ``python -m tests.faults [CASE…]``, all of them without one.

A case is ``workload:number:fault``, as the line that reports a failure gives it.
"""

from __future__ import annotations

import argparse
import logging
import os
import random
import sys
import time
from concurrent.futures import ProcessPoolExecutor

import structlog

from .sweep import Case, cases, judge, pairs
from .workloads import ALL


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("cases", nargs="*", metavar="CASE", type=Case.parse)
    parser.add_argument("--workload", action="append", help="only this one; may be repeated")
    parser.add_argument(
        "--pairs", type=int, default=0, help="as many random pairs of faults instead"
    )
    parser.add_argument("--seed", type=int, default=None, help="of the pairs; printed")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    options = parser.parse_args()
    level = logging.INFO if options.cases else logging.CRITICAL
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(level))
    if options.cases:
        found = {case: judge(case) for case in options.cases}
        _tell(found)
        return _sum(found)
    names = options.workload or [workload.name for workload in ALL]
    seed = options.seed if options.seed is not None else random.SystemRandom().randrange(10**6)
    return _sweep(names, options.pairs, seed, options.jobs)


def _sweep(names: list[str], pair_count: int, seed: int, jobs: int) -> int:
    if pair_count:
        print(f"pairs of faults, --seed {seed}")
    began_s, found, cpu_s = time.monotonic(), dict[Case, list[str]](), 0.0
    with ProcessPoolExecutor(jobs, initializer=_quiet) as pool:
        if pair_count:
            counts, seeds = [pair_count] * len(names), [seed] * len(names)
            lists = list(pool.map(pairs, names, counts, seeds))
        else:
            lists = list(pool.map(_cases, names))
        # A worker keeps the beginning of a workload, so its cases go together, in pieces.
        judging = [pool.map(_judge_all, _pieces(made, 60)) for made in lists]
        for name, made, judged in zip(names, lists, judging, strict=True):
            complaints, seconds = dict[Case, list[str]](), 0.0
            for piece, piece_s in judged:
                complaints |= piece
                seconds += piece_s
            assert made, f"{name}: no case"
            assert complaints.keys() == set(made), f"{name}: cases were lost"
            print(f"{name:24} {len(made):5} cases {seconds:6.1f} CPU s", flush=True)
            _tell(complaints)
            found |= complaints
            cpu_s += seconds
    print(f"{len(found)} cases in {time.monotonic() - began_s:.0f} s, {cpu_s:.0f} CPU s")
    return _sum(found)


def _tell(found: dict[Case, list[str]]) -> None:
    for case, complaints in found.items():
        if complaints:
            print(f"FAILED, again with: python -m tests.faults {case}")
            for complaint in complaints:
                print(f"    {complaint}", flush=True)


def _sum(found: dict[Case, list[str]]) -> int:
    failed = sum(bool(complaints) for complaints in found.values())
    print(f"{len(found) - failed} passed, {failed} failed")
    return 1 if failed else 0


def _quiet() -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))


def _cases(name: str) -> list[Case]:
    return list(cases(name))


def _pieces(made: list[Case], size: int) -> list[list[Case]]:
    return [made[start : start + size] for start in range(0, len(made), size)]


def _judge_all(piece: list[Case]) -> tuple[dict[Case, list[str]], float]:
    began_s = time.process_time()
    judged = {case: judge(case) for case in piece}
    return judged, time.process_time() - began_s


if __name__ == "__main__":
    sys.exit(main())
