"""``prism-sim import``, from what was typed to what is printed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from prism_operator.api.meta import Json
from simulator.importing.anonymising import anonymise
from simulator.importing.composing import Imported, compose
from simulator.importing.selection import select
from simulator.inputs import BadInputError, load_documents, load_objects
from simulator.scenario import load
from simulator.scenario.writing import manifests_text, moved, scenario_text


@dataclass(frozen=True, slots=True)
class Wanted:
    """Where the scenario goes, what it is based on, under which names; whether to overwrite."""

    out: Path
    base: Path | None = None
    anonymous: bool = False
    force: bool = False


def import_files(files: Sequence[Path], wanted: Wanted) -> str:
    """Makes a scenario of what ``kubectl get`` printed, and tells of it.

    Raises:
        BadInputError: With what is wrong or missing.
    """
    objects = [obj for file in files for obj in load_objects(file)]
    return import_objects(objects, ", ".join(file.name for file in files), wanted)


def import_objects(
    objects: Iterable[Json],
    source: str,
    wanted: Wanted,
    *,
    keda: bool = True,
    notes: Sequence[str] = (),
) -> str:
    """The same of objects that are at hand; ``source`` says where they come from.

    ``keda``: whether it may be there, for those that ask for it.

    Raises:
        BadInputError: With what is wrong or missing.
    """
    out, base = wanted.out, wanted.base
    if wanted.anonymous and base is not None:
        raise BadInputError(
            ["--anonymise: not with --base, whose names are not those of the cluster"]
        )
    selected = select(objects)
    if wanted.anonymous:
        selected, source = anonymise(selected), "a cluster"
    manifests = out.with_name(f"{out.stem}-manifests.yaml")
    before = None if base is None else moved(_scenario(base), base.parent, out.parent)
    imported = compose(selected, source, manifests.name, before, keda=keda)
    told = [f"By prism-sim import, from {source}; its objects are in {manifests.name}."]
    if base is None:
        told.append(
            "Prices, boot times, start times, load and what is to happen are not in a cluster's "
            "objects: add them, or fit them by prism-sim calibrate."
        )
    write_all(
        {
            out: scenario_text(imported.scenario, told),
            manifests: manifests_text(imported.manifests, told[:1]),
        },
        force=wanted.force,
    )
    try:
        load(out)
    except BadInputError as error:
        head = f"{out} was written, but cannot be played before this is mended:"
        raise BadInputError([head, *error.problems]) from None
    return _told(imported, out, manifests, notes)


def write_all(files: Mapping[Path, str], *, force: bool) -> None:
    """Writes all files, or none if one is there already and not to be overwritten.

    Raises:
        BadInputError: One is there, or cannot be written.
    """
    there = [path for path in files if path.exists()]
    if there and not force:
        raise BadInputError([f"{path}: exists already; --force overwrites it" for path in there])
    for path, text in files.items():
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        except OSError as error:
            raise BadInputError([f"{path}: cannot be written: {error.strerror}"]) from None


def _scenario(path: Path) -> Json:
    loaded = load(path)
    value: Json = load_documents(path)[0].value
    value["cluster"].setdefault("zones", list(loaded.scenario.cluster.zones))
    return value


def _told(imported: Imported, out: Path, manifests: Path, more: Sequence[str]) -> str:
    pools = imported.scenario["cluster"]["pools"]
    nodes = sum(pool["count"] for pool in pools.values())
    lines = [
        f"{out}: nodes: {nodes}, pools: {len(pools)}",
        f"{manifests}: objects: {len(imported.manifests)}",
        *(f"  {note}" for note in (*imported.notes, *more)),
        f"Try it: prism-sim run {out}",
    ]
    return "\n".join(lines) + "\n"
