"""What can be told of a scenario without running it: all that is wrong, each with its place."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from pydantic.alias_generators import to_camel

from prism_operator.api.meta import (
    CONFIG_MAP,
    DEPLOYMENT,
    HORIZONTAL_POD_AUTOSCALER,
    NAMESPACE,
    POD_DISRUPTION_BUDGET,
    PRISM_BACKEND,
    PRISM_RESOURCES,
    PRISM_STACK,
    SCALED_OBJECT,
    SERVICE,
    SERVICE_ACCOUNT,
    Json,
    Ref,
)
from prism_operator.api.structural import unknown_fields
from prism_operator.documents import Document, Location, location_of
from prism_operator.manifests import read_manifests
from prism_operator.planning.settings import Settings
from prism_operator.preview.preview import preview
from prism_operator.reference.conditions import REASONS, TYPES
from simulator.experiments.measures import is_measure
from simulator.inputs import BadInputError
from simulator.kernel import SECOND_US
from simulator.run import LEASE_NAMESPACE, Simulation
from simulator.scenario import LoadedScenario
from simulator.scenario.claims import Claim, Expectation
from simulator.scenario.complaints import among
from simulator.scenario.files import read
from simulator.scenario.references import Problem
from simulator.scenario.settings import path_text
from simulator.scenario.timeline import Event
from simulator.series import Recorder
from simulator.sums import SUMS, is_sum

_ENDINGS = (".yaml", ".yml")
# Of these the names are known before a run; of pods, ReplicaSets and Events they are not.
_FORESEEN = (
    *PRISM_RESOURCES,
    CONFIG_MAP,
    DEPLOYMENT,
    HORIZONTAL_POD_AUTOSCALER,
    POD_DISRUPTION_BUDGET,
    SCALED_OBJECT,
    SERVICE,
    SERVICE_ACCOUNT,
)
_NAMESPACES = ("", "default", "kube-system", LEASE_NAMESPACE)


def scenario_files(paths: Sequence[Path]) -> list[Path]:
    """The files, and those that lie in the folders, each once.

    Raises:
        BadInputError: There are none in a folder.
    """
    files: list[Path] = []
    for path in paths:
        if not path.is_dir():
            files.append(path)
            continue
        inside = sorted(file for file in path.iterdir() if file.suffix in _ENDINGS)
        if not inside:
            raise BadInputError([f"{path}: has no file ending in {' or '.join(_ENDINGS)}"])
        files += inside
    return list(dict.fromkeys(files))


def problems_in(path: Path) -> list[str]:
    """Everything that is wrong with a scenario file and with the manifests that it names."""
    try:
        loaded, document, loose = read(path)
        simulation = Simulation(loaded)
    except BadInputError as error:
        return list(error.problems)
    doubts = [
        document.complain(where, f"{path_text(where)}: {message}")
        for where, message in _doubts(loaded, document, simulation.recorder)
    ]
    return [*map(str, sorted({*loose, *doubts})), *_refusals(loaded)]


def _refusals(loaded: LoadedScenario) -> Iterator[str]:
    """What the API server would not take, of each file on an empty cluster that has namespaces."""
    together = tuple(dict.fromkeys(loaded.scenario.manifests))
    later = [(name,) for name in loaded.manifests if name not in together]
    namespaces = [
        manifest
        for objects in loaded.manifests.values()
        for manifest in objects
        if manifest.ref.resource == NAMESPACE
    ]
    for names in (together, *later):
        user = Simulation(loaded).user
        objects = [manifest for name in names for manifest in loaded.manifests[name]]
        told: set[str] = set()
        for manifest in (*namespaces, *objects):
            try:
                user.apply(manifest)
            except BadInputError as error:
                told.update(error.problems)
        yield from sorted(told)


def _doubts(loaded: LoadedScenario, document: Document, recorder: Recorder) -> Iterator[Problem]:
    scenario = loaded.scenario
    for i, event in enumerate(scenario.timeline):
        if event.at > scenario.duration:
            end = f"the scenario ends after {scenario.duration / SECOND_US:g} s"
            yield ("timeline", i, "at"), f"this never happens: {end}"
    yield from _in_numbers(loaded, document, recorder)
    names = _Names(loaded)
    for name, work in scenario.workloads.items():
        yield from names.doubts(work.target, ("workloads", name, "target"))
    for i, event in enumerate(scenario.timeline):
        for ref, where in _targets(event):
            yield from names.doubts(ref, ("timeline", i, *where))
    for i, expectation in enumerate(scenario.expect):
        for where, message in _in_claim(expectation, names):
            yield ("expect", i, *where), message


# Numbers


def _in_numbers(
    loaded: LoadedScenario, document: Document, recorder: Recorder
) -> Iterator[Problem]:
    scenario = loaded.scenario
    for i, expectation in enumerate(scenario.expect):
        claim, where = expectation.claim, ("expect", i, *_place(expectation))
        if claim.metric is not None and recorder.get(claim.metric.of) is None:
            known = among(claim.metric.of, recorder.names())
            yield (*where, "metric", "of"), f'"{claim.metric.of}" is not recorded {known}'
        if claim.summed is not None and not is_sum(claim.summed.of, recorder):
            short = "metric" in document.value["expect"][i]
            place = ("expect", i, "metric") if short else (*where, "summed", "of")
            yield place, _no_number(claim.summed.of, recorder)
    named: list[tuple[Location, Iterable[str]]] = []
    if scenario.compare is not None:
        named.append((("compare", "primary"), scenario.compare.primary))
    if scenario.sweep is not None:
        named.append((("sweep", "objectives"), scenario.sweep.objectives))
    for place, measures in named:
        for name in measures:
            if not is_measure(name, recorder):
                yield (*place, name), _no_number(name, recorder)
    prometheus = scenario.cluster.autoscaling.prometheus
    for text, query in (prometheus.queries if prometheus else {}).items():
        place = ("cluster", "autoscaling", "prometheus", "queries", text)
        name = query.series or str(query.rate)
        if recorder.get(name) is None:
            yield place, f'"{name}" is not recorded {among(name, recorder.names())}'


def _no_number(name: str, recorder: Recorder) -> str:
    sums = [f"{series}.{how}" for series in recorder.names() for how in SUMS]
    near = among(name, ["cost", *sums])
    series = ", ".join(recorder.names())
    return (
        f'"{name}" is no number: expected cost, or one of {series} with one of '
        f".{', .'.join(SUMS)} {near if near.startswith('(did') else ''}".rstrip()
    )


# Objects


class _Names:
    """Which objects there will be, as far as the operator's own plans tell."""

    def __init__(self, loaded: LoadedScenario) -> None:
        self._refs = {m.ref for objects in loaded.manifests.values() for m in objects}
        # Edits of our objects may bring about anything.
        self._sure = not any(
            event.patch is not None and event.patch.target.resource in PRISM_RESOURCES
            for event in loaded.scenario.timeline
        )
        keda = loaded.scenario.cluster.autoscaling.keda
        sources = [(name, (loaded.path.parent / name).read_bytes()) for name in loaded.manifests]
        outcome = preview(
            read_manifests(sources).objects,
            None,
            serves=lambda resource: keda or resource != SCALED_OBJECT,
            settings=Settings(),
            now=loaded.scenario.clock.start,
        )
        self._refs |= {change.ref for change in outcome.changes}
        self._refs |= {
            Ref(HORIZONTAL_POD_AUTOSCALER, ref.namespace, f"keda-hpa-{ref.name}")
            for ref in self._refs
            if ref.resource == SCALED_OBJECT
        }

    def doubts(self, ref: Ref, where: Location) -> Iterator[Problem]:
        """A complaint about an object that will not be there, if that is known."""
        known = ref.resource == PRISM_STACK or (self._sure and ref.resource in _FORESEEN)
        if known and ref not in self._refs:
            kind = ref.resource.kind
            there = sorted(_told(r) for r in self._refs if r.resource == ref.resource)
            yield where, f"no {kind} of that name will be there {among(_told(ref), there)}"

    def namespaces(self) -> list[str]:
        """Those in which anything will be."""
        found = {ref.name if ref.resource == NAMESPACE else ref.namespace for ref in self._refs}
        return sorted({*found, *_NAMESPACES})


def _told(ref: Ref) -> str:
    namespace = f"{ref.namespace}/" if ref.namespace not in ("", "default") else ""
    return f"{ref.resource.kind}/{namespace}{ref.name}"


def _targets(event: Event) -> Iterator[tuple[Ref, Location]]:
    for action in ("patch", "delete", "scale"):
        if (at := getattr(event, action)) is not None:
            yield at.target, (action, "target")
    if event.rollout_restart is not None:
        yield event.rollout_restart, ("rolloutRestart",)
    if (backend := event.backend) is not None:
        yield Ref(PRISM_BACKEND, backend.namespace, backend.name), ("backend", "name")
    if (plane := event.control_plane) is not None:
        yield Ref(PRISM_STACK, plane.namespace, plane.stack), ("controlPlane", "stack")


def _place(expectation: Expectation) -> Location:
    return (to_camel(expectation.mode),)


def _in_claim(expectation: Expectation, names: _Names) -> Iterator[Problem]:
    claim, where = expectation.claim, _place(expectation)
    for of, part in ((claim.condition, "condition"), (claim.field, "field")):
        if of is not None:
            yield from names.doubts(of.of, (*where, part, "of"))
    if claim.exists is not None and expectation.never is None:
        yield from names.doubts(claim.exists, (*where, "exists"))
    for place, message in _in_words(claim):
        yield (*where, *place), message
    if claim.count is not None and claim.count.namespace not in (known := names.namespaces()):
        told = f"nothing will be in that namespace {among(claim.count.namespace, known[1:])}"
        yield (*where, "count", "namespace"), told


def _in_words(claim: Claim) -> Iterator[Problem]:
    """Conditions, reasons and fields that objects of ours never have."""
    if (wanted := claim.condition) is not None and wanted.of.resource in PRISM_RESOURCES:
        if wanted.type not in TYPES:
            known = among(wanted.type, sorted(TYPES))
            yield ("condition", "type"), f'"{wanted.type}" is not a condition {known}'
        if wanted.reason is not None and wanted.reason not in REASONS:
            known = among(wanted.reason, sorted(REASONS))
            yield ("condition", "reason"), f'"{wanted.reason}" is not a reason {known}'
    if (field := claim.field) is not None and field.of.resource in PRISM_RESOURCES:
        obj: Json = {"kind": field.of.resource.kind, **_nested(location_of(field.path))}
        for problem in unknown_fields(obj):
            yield ("field", "path"), str(problem)


def _nested(path: Location) -> Any:
    if not path:
        return None
    below = _nested(path[1:])
    return [below] if isinstance(path[0], int) else {path[0]: below}
