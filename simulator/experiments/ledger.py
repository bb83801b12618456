"""Runs that are done, kept in a file, so that what was interrupted goes on where it was."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from simulator.experiments.runs import Job, Run
from simulator.experiments.verdicts import Observation
from simulator.inputs import BadInputError

FILE = "runs.jsonl"


class Ledger:
    """The runs in a folder, one JSON line each, by what they were made from.

    A run counts as done when scenario, manifests, traces, seed, measures and the simulator's own
    code are the same; a last line that was cut off is done again.
    """

    def __init__(self, folder: Path) -> None:
        """Reads what is there. Raises BadInputError when the folder cannot be used."""
        self._path = folder / FILE
        self._runs: dict[str, Run] = {}
        try:
            folder.mkdir(parents=True, exist_ok=True)
            lines = self._path.read_text(encoding="utf-8") if self._path.exists() else ""
        except (OSError, UnicodeDecodeError) as error:
            raise BadInputError([f"--out {folder}: {error}"]) from None
        whole, _, cut = lines.rpartition("\n")
        for number, line in enumerate(whole.splitlines(), 1):
            try:
                key, run = _read(line)
            except (ValueError, KeyError, TypeError):
                message = f"{self._path}:{number}: not a line of a sweep; move the file away"
                raise BadInputError([message]) from None
            self._runs[key] = run
        if cut:
            self._path.write_text(f"{whole}\n" if whole else "", encoding="utf-8")

    def split(self, jobs: Sequence[Job]) -> tuple[list[Run], list[Job]]:
        """The runs of these jobs that are there, and the jobs that are to be done."""
        keys = [(job, _key(job)) for job in jobs]
        done = [self._runs[key] for _, key in keys if key in self._runs]
        return done, [job for job, key in keys if key not in self._runs]

    def add(self, job: Job, run: Run) -> None:
        """Keeps a run; it is in the file when this returns."""
        with self._path.open("a", encoding="utf-8") as file:
            file.write(_line(_key(job), run) + "\n")


def _line(key: str, run: Run) -> str:
    return json.dumps(
        {
            "key": key,
            "variant": run.variant,
            "seed": run.seed,
            "measured": {n: [o.value, o.censored] for n, o in sorted(run.measured.items())},
            "failures": run.failures,
            "logHash": run.log_hash,
        }
    )


def _read(line: str) -> tuple[str, Run]:
    raw = json.loads(line)
    measured = {name: Observation(value, c) for name, (value, c) in raw["measured"].items()}
    run = Run(raw["variant"], raw["seed"], measured, tuple(raw["failures"]), raw["logHash"])
    return raw["key"], run


def _key(job: Job) -> str:
    loaded = job.loaded
    objects = {
        name: [manifest.obj for manifest in manifests]
        for name, manifests in sorted(loaded.manifests.items())
    }
    traces = sorted((repr(spec), trace) for spec, trace in loaded.traces.items())
    scenario = loaded.scenario.model_dump(mode="json")
    of = [_code(), scenario, objects, traces, job.seed, job.measures]
    text = json.dumps([job.variant, *of], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


@lru_cache(maxsize=1)
def _code() -> str:
    """A fingerprint of the simulator and the operator in it: other code, other runs."""
    root, digest = Path(__file__).parents[2], hashlib.sha256()
    for package in ("prism_operator", "simulator"):
        for path in sorted((root / package).rglob("*.py")):
            digest.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()
