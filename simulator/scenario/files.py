"""Reads scenario files and the manifests they name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from prism_operator.api.meta import PRISM_RESOURCES, Json, Ref
from prism_operator.documents import Complaint, Document, Location, location_of
from prism_operator.manifests import problems_of
from simulator.autoscaling.keda.triggers import MODELLED
from simulator.inputs import BadInputError, load_documents
from simulator.kernel import SECOND_US
from simulator.scenario.calibration import Calibration, read_calibration
from simulator.scenario.complaints import complaints
from simulator.scenario.model import Scenario
from simulator.scenario.rates import Surroundings, Trace, TraceSpec
from simulator.scenario.references import dangling
from simulator.scenario.settings import Setting, changed, path_text
from simulator.scenario.traces import read_trace
from simulator.scenario.unmodelled import unmodelled, unmodelled_in_patch
from simulator.scenario.values import BY_KIND, shown


@dataclass(frozen=True)
class Manifest:
    """One object of a manifest file, as it is to be applied."""

    obj: Json
    document: Document

    @property
    def ref(self) -> Ref:
        """Which object it is."""
        meta, resource = self.obj["metadata"], BY_KIND[self.obj["kind"]]
        namespace = meta.get("namespace", "default") if resource.namespaced else ""
        return Ref(resource, namespace, meta["name"])

    @property
    def place(self) -> str:
        """Where it stands, for complaints that come from the API server."""
        return str(self.document.complain((), "")).rstrip(": ")


@dataclass(frozen=True)
class LoadedScenario:
    """A scenario with the objects of its manifest files, by the path that names them."""

    path: Path
    scenario: Scenario
    manifests: Mapping[str, tuple[Manifest, ...]]
    traces: Mapping[TraceSpec, Trace] = field(default_factory=dict)
    calibration: Calibration | None = None

    @property
    def name(self) -> str:
        """The file's name without its ending."""
        return self.path.stem

    @property
    def surroundings(self) -> Surroundings:
        """What the courses of its workloads need to know."""
        scenario = self.scenario
        return Surroundings(scenario.clock.start, scenario.duration, self.traces.__getitem__)


def load(
    path: Path, values: Mapping[str, Any] | None = None, settings: Sequence[Setting] = ()
) -> LoadedScenario:
    """Reads a scenario file and its manifests.

    Its params have their defaults, or what ``values`` says; ``settings`` change more.

    Raises:
        BadInputError: With every problem found, each with its place in a file.
    """
    return load_document(_only_document(path), path, values, settings)


def load_document(
    document: Document,
    path: Path,
    values: Mapping[str, Any] | None = None,
    settings: Sequence[Setting] = (),
) -> LoadedScenario:
    """The same of a mapping that is at hand; files that it names are relative to ``path``.

    Raises:
        BadInputError: With every problem found, each with its place in a file.
    """
    loaded, loose = _read(document, path, values or {}, settings)
    if loose:
        raise BadInputError([str(complaint) for complaint in loose])
    return loaded


def read(path: Path) -> tuple[LoadedScenario, Document, list[Complaint]]:
    """A scenario as it stands in a file, and what in it refers to what is not there.

    Raises:
        BadInputError: With every problem found; there are others.
    """
    document = _only_document(path)
    loaded, loose = _read(document, path, {}, ())
    return loaded, document, loose


def _only_document(path: Path) -> Document:
    documents = load_documents(path)
    if len(documents) != 1 or not isinstance(documents[0].value, dict):
        raise BadInputError([f"{path}:1:1: expected one YAML mapping, a scenario"])
    return documents[0]


def _read(
    document: Document, path: Path, values: Mapping[str, Any], settings: Sequence[Setting]
) -> tuple[LoadedScenario, list[Complaint]]:
    try:
        scenario = _validated(document, document.value)
    except BadInputError as error:
        raise BadInputError([*error.problems, *_problems_beside(document, path)]) from None
    calibration = _calibration(document, path, scenario)
    fitted = calibration.settings() if calibration is not None else []
    settings = [*fitted, *_settings_of(scenario, values, document), *settings]
    if own := [s for s in settings if s.target is None]:
        try:
            scenario = _validated(document, changed(document.value, own))
        except ValueError as error:
            raise BadInputError([f"{path}: {error}"]) from None
    loose = sorted(
        document.complain(where, f"{path_text(where)}: {message}")
        for where, message in dangling(scenario)
    )
    manifests: dict[str, tuple[Manifest, ...]] = {}
    problems: list[str] = []
    for where, name in _manifest_names(scenario):
        try:
            manifests[name] = load_manifests(path.parent / name)
        except BadInputError as error:
            missing = not (path.parent / name).exists()
            problems += (
                [str(document.complain(where, f'manifest "{name}" does not exist'))]
                if missing
                else error.problems
            )
    if not problems:
        manifests, problems = _set_in(manifests, [s for s in settings if s.target is not None])
    if not problems and scenario.cluster.autoscaling.keda:
        problems = [
            problem
            for objects in manifests.values()
            for manifest in objects
            for problem in _unmodelled_triggers(manifest.document, manifest.obj, ())
        ]
    problems += _unmodelled(document, scenario, manifests)
    traces: dict[TraceSpec, Trace] = {}
    for spec in _traces_of(scenario):
        try:
            traces[spec] = read_trace(path.parent / spec.file, spec)
        except BadInputError as error:
            problems += error.problems
    if problems:
        raise BadInputError([*map(str, loose), *problems])
    return LoadedScenario(path, scenario, manifests, traces, calibration), loose


def self_contained(document: Document, path: Path) -> Document:
    """A scenario with the values of its calibration and no times of day, so that it can be changed.

    Raises:
        BadInputError: With every problem found, each with its place in a file.
    """
    scenario = _validated(document, document.value)
    calibration = _calibration(document, path, scenario)
    value = changed(document.value, calibration.settings() if calibration is not None else [])
    for event, read in zip(value.get("timeline") or (), scenario.timeline, strict=True):
        if ":" in event["at"]:
            event["at"] = f"{read.at // SECOND_US}s"
    return replace(document, value={k: v for k, v in value.items() if k != "calibration"})


def _calibration(document: Document, path: Path, scenario: Scenario) -> Calibration | None:
    """The file of fitted values that the scenario names; each is for something that it has."""
    if scenario.calibration is None:
        return None
    file = path.parent / scenario.calibration
    if not file.exists():
        message = f'calibration "{scenario.calibration}" does not exist'
        raise BadInputError([str(document.complain(("calibration",), message))])
    calibration = read_calibration(file)
    named: dict[Location, Mapping[Any, object]] = {
        ("workloads",): scenario.workloads,
        ("cluster", "pools"): scenario.cluster.pools,
    }
    for setting in calibration.settings():
        for above, known in named.items():
            step = setting.path[len(above)] if len(setting.path) > len(above) else None
            if setting.path[: len(above)] == above and step not in known:
                there = ", ".join(known) or "none"
                what = f"{path} has no {path_text((*above, str(step)))} (there are: {there})"
                raise BadInputError([f"{file}: {what}"])
    return calibration


def _traces_of(scenario: Scenario) -> list[TraceSpec]:
    courses = [course for work in scenario.workloads.values() for course in work.courses]
    courses += [
        course for event in scenario.timeline if event.load for course in event.load.courses
    ]
    return list(dict.fromkeys(trace for course in courses for trace in course.traces()))


def _unmodelled(
    document: Document, scenario: Scenario, manifests: Mapping[str, tuple[Manifest, ...]]
) -> list[str]:
    """Complaints about what pods are to have that there is no model of."""
    offered = {name for pool in scenario.cluster.pools.values() for name in pool.allocatable}
    problems = [
        str(manifest.document.complain(where, message))
        for objects in manifests.values()
        for manifest in objects
        for where, message in unmodelled(manifest.obj, offered)
    ]
    for i, event in enumerate(scenario.timeline):
        if event.patch is not None:
            at = ("timeline", i, "patch", "patch")
            for where, message in unmodelled_in_patch(event.patch.patch, offered):
                problems.append(str(document.complain((*at, *where), message)))
    return problems


def _unmodelled_triggers(document: Document, value: Any, where: Location) -> Iterator[str]:
    """Complaints about KEDA triggers in an object that no scenario can play."""
    if isinstance(value, list):
        for i, item in enumerate(value):
            yield from _unmodelled_triggers(document, item, (*where, i))
    if not isinstance(value, dict):
        return
    for key, below in value.items():
        yield from _unmodelled_triggers(document, below, (*where, key))
        if key != "triggers" or not isinstance(below, list):
            continue
        for i, trigger in enumerate(below):
            type_ = trigger.get("type") if isinstance(trigger, dict) else None
            if type_ not in MODELLED:
                message = f"trigger type {shown(type_)} is not modelled in scenarios; "
                known = f"there are {', '.join(MODELLED)}"
                yield str(document.complain((*where, key, i, "type"), message + known))


def _validated(document: Document, value: object) -> Scenario:
    try:
        return Scenario.model_validate(value, by_alias=True, by_name=False)
    except ValidationError as error:
        raise BadInputError(complaints(document, error)) from None


def _problems_beside(document: Document, path: Path) -> Iterator[str]:
    """What is wrong with the manifests that a scenario names, if it cannot be read itself."""
    named = [document.value.get("manifests")]
    named += [e.get("apply") for e in _list(document.value.get("timeline")) if isinstance(e, dict)]
    names = [name for one in named for name in (_list(one) or [one])]
    for name in dict.fromkeys(name for name in names if isinstance(name, str)):
        try:
            load_manifests(path.parent / name)
        except BadInputError as error:
            yield from error.problems


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _settings_of(
    scenario: Scenario, values: Mapping[str, Any], document: Document
) -> list[Setting]:
    unknown = sorted(set(values) - set(scenario.params))
    if unknown:
        known = ", ".join(scenario.params) or "none"
        raise BadInputError(
            [f'{document.source}: "{name}" is not a param (there are: {known})' for name in unknown]
        )
    settings: list[Setting] = []
    for name, param in scenario.params.items():
        try:
            settings += param.settings(values.get(name, param.default))
        except ValueError as error:
            raise BadInputError(
                [str(document.complain(("params", name), f"params.{name}: {error}"))]
            ) from None
    return settings


def _set_in(
    manifests: Mapping[str, tuple[Manifest, ...]], settings: Sequence[Setting]
) -> tuple[dict[str, tuple[Manifest, ...]], list[str]]:
    """The manifests with the settings made, and what is wrong with those."""
    missing, problems = list(settings), list[str]()
    result: dict[str, tuple[Manifest, ...]] = {}
    for name, objects in manifests.items():
        result[name] = ()
        for manifest in objects:
            mine = [s for s in settings if s.target == manifest.ref]
            missing = [s for s in missing if s not in mine]
            if mine:
                try:
                    obj = changed(manifest.obj, mine)
                except ValueError as error:
                    problems.append(f"{manifest.place}: {error}")
                    continue
                document = replace(manifest.document, value=obj)
                manifest = Manifest(obj, document)
                if obj["apiVersion"] == PRISM_RESOURCES[0].api_version:
                    problems += _prism_problems(document)
            result[name] += (manifest,)
    known = (
        ", ".join(
            sorted(
                {
                    f"{m.obj['kind']}/{m.obj['metadata']['name']}"
                    for objects in manifests.values()
                    for m in objects
                }
            )
        )
        or "none"
    )
    problems += [f"{s}: no manifest has that object (there are: {known})" for s in missing]
    return result, problems


def _manifest_names(scenario: Scenario) -> list[tuple[Location, str]]:
    names: list[tuple[Location, str]] = [
        (("manifests", i), name) for i, name in enumerate(scenario.manifests)
    ]
    for i, event in enumerate(scenario.timeline):
        names += [(("timeline", i, "apply"), name) for name in event.apply or ()]
    return names


def load_manifests(path: Path) -> tuple[Manifest, ...]:
    """The objects of a manifest file; those of our kinds are checked as the operator would.

    Raises:
        BadInputError: With every problem found.
    """
    return manifests_of(load_documents(path))


def manifests_of(documents: Sequence[Document]) -> tuple[Manifest, ...]:
    """The same of documents that are at hand.

    Raises:
        BadInputError: With every problem found.
    """
    manifests: list[Manifest] = []
    problems: list[str] = []
    for document in documents:
        obj = document.value
        if not isinstance(obj, dict) or not isinstance(obj.get("kind"), str):
            message = "expected an object with apiVersion and kind"
            problems.append(str(document.complain((), message)))
            continue
        if obj["kind"] not in BY_KIND:
            kinds = ", ".join(sorted(BY_KIND))
            message = f'kind: expected one of {kinds} (no other is modelled), got "{obj["kind"]}"'
            problems.append(str(document.complain(("kind",), message)))
            continue
        resource = BY_KIND[obj["kind"]]
        if obj.get("apiVersion") != resource.api_version:
            message = (
                f'apiVersion: expected "{resource.api_version}" for a {resource.kind}, '
                f"got {shown(obj.get('apiVersion'))}"
            )
            problems.append(str(document.complain(("apiVersion",), message)))
            continue
        if not (obj.get("metadata") or {}).get("name"):
            problems.append(str(document.complain(("metadata",), "metadata.name: is required")))
            continue
        if resource in PRISM_RESOURCES:
            problems += _prism_problems(document)
        manifests.append(Manifest(obj, document))
    if problems:
        raise BadInputError(problems)
    return tuple(manifests)


def _prism_problems(document: Document) -> list[str]:
    """What the operator's own validation finds in one of its objects."""
    problems = problems_of(document.value)
    return [
        str(c) for c in sorted(document.complain(location_of(p.path), str(p)) for p in problems)
    ]
