"""Scenario files: a question, a cluster, what happens in it, and what is expected.

Every key is known, every value checked; what is wrong is said with file, line and column.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic.alias_generators import to_camel

from prism_operator.api.durations import parse_duration_s
from prism_operator.api.meta import PRISM_RESOURCES, RESOURCES, Json, Ref, Resource
from prism_operator.api.quantities import parse_quantity
from prism_operator.api.validation import InvalidObject, parse
from prism_operator.documents import Document, Location, location_of
from simulator.inputs import BadInputError, load_documents
from simulator.kernel import SECOND_US, Us
from simulator.randomness import Span

_BY_KIND = {r.kind: r for r in RESOURCES}


def _span_of_time(value: object) -> Us:
    if not isinstance(value, str):
        raise ValueError(f'expected a duration such as "90s", got {_shown(value)}')
    try:
        return round(parse_duration_s(value) * SECOND_US)
    except ValueError:
        raise ValueError(f'expected a duration such as "90s" or "1h30m", got "{value}"') from None


def _span(value: object) -> Span:
    if isinstance(value, Mapping):
        unknown = set(value) - {"min", "max"}
        if unknown or len(value) != 2:
            raise ValueError(f"expected a duration or {{min, max}}, got {_shown(dict(value))}")
        least, most = _span_of_time(value["min"]), _span_of_time(value["max"])
        if least > most:
            raise ValueError(f"min {value['min']} is above max {value['max']}")
        return Span(least, most)
    fixed = _span_of_time(value)
    return Span(fixed, fixed)


def _reference(value: object) -> Ref:
    parts = value.split("/") if isinstance(value, str) else []
    if not 2 <= len(parts) <= 3 or not all(parts):
        raise ValueError(f"expected Kind/name or Kind/namespace/name, got {_shown(value)}")
    resource = _resource(parts[0])
    if not resource.namespaced:
        return Ref(resource, "", parts[-1])
    return Ref(resource, parts[1] if len(parts) == 3 else "default", parts[-1])


def _resource(value: object) -> Resource:
    resource = _BY_KIND.get(value) if isinstance(value, str) else None
    if resource is None:
        kinds = ", ".join(sorted(_BY_KIND))
        raise ValueError(f"expected a kind ({kinds}), got {_shown(value)}")
    return resource


def _quantity(value: object) -> str:
    try:
        parse_quantity(str(value))
    except ValueError:
        raise ValueError(
            f'expected a quantity such as "4" or "16Gi", got {_shown(value)}'
        ) from None
    return str(value)


def _shown(value: object) -> str:
    return f'"{value}"' if isinstance(value, str) else repr(value)


Duration = Annotated[Us, BeforeValidator(_span_of_time)]
TimeSpan = Annotated[Span, BeforeValidator(_span)]
Target = Annotated[Ref, BeforeValidator(_reference)]
KindName = Annotated[Resource, BeforeValidator(_resource)]
Quantity = Annotated[str, BeforeValidator(_quantity)]
Texts = Annotated[tuple[str, ...], BeforeValidator(lambda v: (v,) if isinstance(v, str) else v)]


class _Strict(BaseModel):
    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        alias_generator=to_camel,
        populate_by_name=True,
        arbitrary_types_allowed=True,
    )


def _fixed(duration: str) -> Any:
    return Field(default_factory=lambda: _span(duration))


# The cluster


class ClockSpec(_Strict):
    """When the scenario plays."""

    start: datetime = datetime(2026, 3, 2, tzinfo=UTC)

    @field_validator("start")
    @classmethod
    def _aware(cls, start: datetime) -> datetime:
        return start if start.tzinfo else start.replace(tzinfo=UTC)


class PoolSpec(_Strict):
    """Nodes of one shape; ``zones`` defaults to all of the cluster's."""

    count: int = Field(ge=0, le=10_000)
    zones: tuple[str, ...] | None = None
    allocatable: dict[str, Quantity] = Field(
        default_factory=lambda: {"cpu": "4", "memory": "16Gi", "pods": "110"}
    )
    labels: dict[str, str] = Field(default_factory=dict)
    taints: tuple[TaintSpec, ...] = ()


class TaintSpec(_Strict):
    """A taint of every node of a pool."""

    key: str
    value: str = ""
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"]


class PodsSpec(_Strict):
    """How long the steps of a pod's life take. Assumed values of an ordinary cloud cluster."""

    pull: TimeSpan = _fixed("2s")
    start: TimeSpan = _fixed("500ms")
    ready: TimeSpan = _fixed("1s")
    stop: TimeSpan = _fixed("1s")


class ImageSpec(_Strict):
    """What is particular about containers whose image matches a shell pattern."""

    match: str
    pulls: bool = True
    becomes_ready: bool = True
    ready: TimeSpan | None = None
    crash_after: TimeSpan | None = None


class ReactionSpec(_Strict):
    """The time from a change to a component acting on it: watch latency and its own work."""

    controllers: Duration = 5_000
    scheduler: Duration = 5_000
    operator: Duration = 10_000


class ClusterSpec(_Strict):
    """Zones, pools of nodes, and how fast things are."""

    region: str = "region-1"
    zones: tuple[str, ...] = ("a", "b", "c")
    pools: dict[str, PoolSpec]
    pods: PodsSpec = Field(default_factory=PodsSpec)
    images: tuple[ImageSpec, ...] = ()
    reaction: ReactionSpec = Field(default_factory=ReactionSpec)

    @model_validator(mode="after")
    def _zones_exist(self) -> ClusterSpec:
        for name, pool in self.pools.items():
            for zone in pool.zones or ():
                if zone not in self.zones:
                    zones = ", ".join(self.zones)
                    raise ValueError(f'pool "{name}": zone "{zone}" is not one of [{zones}]')
        return self


class OperatorSpec(_Strict):
    """How the operator runs: how many of it, and over which client.

    Without ``leaderElect`` it elects a leader when there are several of it: a single one would only
    renew its Lease every two seconds.
    """

    replicas: int = Field(default=1, ge=0, le=5)
    via: Literal["ports", "pykube"] = "ports"
    leader_elect: bool | None = None
    watch_namespaces: tuple[str, ...] = ()


# What happens


class PatchAction(_Strict):
    """An edit by hand: a merge patch, or, as a list of operations, a JSON patch."""

    target: Target
    patch: Json | list[Json]


class DeleteAction(_Strict):
    """``kubectl delete``."""

    target: Target
    cascade: Literal["background", "foreground", "orphan"] = "background"


class ScaleAction(_Strict):
    """``kubectl scale``."""

    target: Target
    replicas: int = Field(ge=0)


class NodeLossAction(_Strict):
    """One node, or all nodes of a zone, cut off; for a while or for good."""

    node: str | None = None
    zone: str | None = None
    for_: Duration | None = Field(default=None, alias="for")

    @model_validator(mode="after")
    def _one_of_both(self) -> NodeLossAction:
        if (self.node is None) == (self.zone is None):
            raise ValueError("expected one of node and zone")
        return self


class CrashAction(_Strict):
    """``kill -9`` of an operator: now, or right after its n-th write from now on.

    Its answer to that write is lost. A new one starts after ``restartAfter``, if that is given.
    """

    replica: int = Field(default=0, ge=0)
    after_writes: int = Field(default=0, ge=0)
    restart_after: Duration | None = None


class RestartAction(_Strict):
    """An operator stops gracefully, and starts again after a while."""

    replica: int = Field(default=0, ge=0)
    after: Duration = SECOND_US


_ACTIONS = (
    "apply",
    "patch",
    "delete",
    "scale",
    "rollout_restart",
    "node_loss",
    "operator_crash",
    "operator_restart",
)


class Event(_Strict):
    """One thing that happens at a point in time; ``name`` is for expectations to refer to.

    A name alone marks the time.
    """

    at: Duration
    name: str | None = None
    apply: Texts | None = None
    patch: PatchAction | None = None
    delete: DeleteAction | None = None
    scale: ScaleAction | None = None
    rollout_restart: Target | None = None
    node_loss: NodeLossAction | None = None
    operator_crash: CrashAction | None = None
    operator_restart: RestartAction | None = None

    @field_validator("delete", mode="before")
    @classmethod
    def _short_delete(cls, value: object) -> object:
        return {"target": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _one_action(self) -> Event:
        if self.name is None or any(getattr(self, name) is not None for name in _ACTIONS):
            _exactly_one(self, _ACTIONS)
        return self

    @property
    def action(self) -> str:
        """Which of the actions this is."""
        return next(name for name in _ACTIONS if getattr(self, name) is not None)


# What is expected


class ConditionClaim(_Strict):
    """A condition of an object says so."""

    of: Target
    type: str = "Ready"
    status: Literal["True", "False", "Unknown"] = "True"
    reason: str | None = None


class Bounds(_Strict):
    """A number is as said."""

    equals: int | None = None
    at_least: int | None = None
    at_most: int | None = None

    @model_validator(mode="after")
    def _some_bound(self) -> Bounds:
        if self.equals is None and self.at_least is None and self.at_most is None:
            raise ValueError("expected one of equals, atLeast, atMost")
        return self

    def hold_for(self, number: int) -> bool:
        """Whether ``number`` is within the bounds."""
        return (
            (self.equals is None or number == self.equals)
            and (self.at_least is None or number >= self.at_least)
            and (self.at_most is None or number <= self.at_most)
        )


class CountClaim(Bounds):
    """So many objects of a kind are there; of pods, those that are ready if asked for."""

    of: KindName
    namespace: str = ""
    labels: dict[str, str] = Field(default_factory=dict)
    ready: bool | None = None
    node: str | None = None


class FieldClaim(_Strict):
    """A field of an object has a value; ``equals: null`` means it is absent."""

    of: Target
    path: str
    equals: Any


_CLAIMS = (
    "condition",
    "count",
    "field",
    "exists",
    "absent",
    "restarts",
    "evictions",
    "writes",
)


class Claim(_Strict):
    """Something that is true of the cluster at an instant, or not.

    ``writes`` are those of all operators since the expectation's ``after``, Leases aside.
    """

    condition: ConditionClaim | None = None
    count: CountClaim | None = None
    field: FieldClaim | None = None
    exists: Target | None = None
    absent: Target | None = None
    restarts: Bounds | None = None
    evictions: Bounds | None = None
    writes: Bounds | None = None

    @model_validator(mode="after")
    def _one_claim(self) -> Claim:
        _exactly_one(self, _CLAIMS)
        return self


_MODES = ("eventually", "always", "never", "at_end")


class Expectation(_Strict):
    """A claim and when it has to hold.

    From ``after`` (the name of an event; default: the beginning) on, for ``within`` (default: to
    the end), looked at whenever something changed.
    """

    eventually: Claim | None = None
    always: Claim | None = None
    never: Claim | None = None
    at_end: Claim | None = None
    after: str | None = None
    within: Duration | None = None

    @model_validator(mode="after")
    def _one_mode(self) -> Expectation:
        _exactly_one(self, _MODES)
        return self

    @property
    def mode(self) -> str:
        """Which of the modes this is."""
        return next(name for name in _MODES if getattr(self, name) is not None)

    @property
    def claim(self) -> Claim:
        """What has to hold."""
        claim: Claim = getattr(self, self.mode)
        return claim


class Scenario(_Strict):
    """A whole scenario file."""

    question: str
    seed: int = 0
    duration: Duration
    clock: ClockSpec = Field(default_factory=ClockSpec)
    cluster: ClusterSpec
    operator: OperatorSpec = Field(default_factory=OperatorSpec)
    manifests: tuple[str, ...] = ()
    timeline: tuple[Event, ...] = ()
    expect: tuple[Expectation, ...] = Field(min_length=1)

    @field_validator("expect")
    @classmethod
    def _events_exist(
        cls, expect: tuple[Expectation, ...], info: ValidationInfo
    ) -> tuple[Expectation, ...]:
        names = [event.name for event in info.data.get("timeline", ()) if event.name]
        for expectation in expect:
            if expectation.after is not None and expectation.after not in names:
                known = ", ".join(names) or "none"
                raise ValueError(
                    f'after: "{expectation.after}" is not the name of an event (there are: {known})'
                )
        return expect


PoolSpec.model_rebuild()


def _exactly_one(model: BaseModel, names: tuple[str, ...]) -> None:
    given = [to_camel(name) for name in names if getattr(model, name) is not None]
    if len(given) != 1:
        wanted = ", ".join(map(to_camel, names))
        raise ValueError(f"expected exactly one of {wanted}; got {', '.join(given) or 'none'}")


# Files


@dataclass(frozen=True)
class Manifest:
    """One object of a manifest file, as it is to be applied."""

    obj: Json
    document: Document

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

    @property
    def name(self) -> str:
        """The file's name without its ending."""
        return self.path.stem


def load(path: Path) -> LoadedScenario:
    """Reads a scenario file and its manifests.

    Raises:
        BadInputError: With every problem found, each with its place in a file.
    """
    documents = load_documents(path)
    if len(documents) != 1 or not isinstance(documents[0].value, dict):
        raise BadInputError([f"{path}:1:1: expected one YAML mapping, a scenario"])
    document = documents[0]
    try:
        scenario = Scenario.model_validate(document.value)
    except ValidationError as error:
        raise BadInputError(
            [str(document.complain(*_problem(e["loc"], e))) for e in error.errors()]
        ) from None
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
    if problems:
        raise BadInputError(problems)
    return LoadedScenario(path, scenario, manifests)


def _manifest_names(scenario: Scenario) -> list[tuple[Location, str]]:
    names: list[tuple[Location, str]] = [
        (("manifests", i), name) for i, name in enumerate(scenario.manifests)
    ]
    for i, event in enumerate(scenario.timeline):
        names += [(("timeline", i, "apply"), name) for name in event.apply or ()]
    return names


def _problem(location: tuple[int | str, ...], error: Any) -> tuple[Location, str]:
    """Where it is and what is wrong: field, expected and actual value."""
    path = ""
    for step in location:
        path += f"[{step}]" if isinstance(step, int) else f".{step}" if path else str(step)
    message, value = error["msg"].removeprefix("Value error, "), error["input"]
    match error["type"]:
        case "extra_forbidden":
            return location, f"{path}: unknown key"
        case "missing":
            return location[:-1], f"{path}: is required"
        case "value_error":
            return location, f"{path}: {message}" if path else message
        case _:
            shown = "" if isinstance(value, dict | list) else f", got {_shown(value)}"
            return location, f"{path}: {message[0].lower()}{message[1:]}{shown}"


def load_manifests(path: Path) -> tuple[Manifest, ...]:
    """The objects of a manifest file; those of our kinds are checked as the operator would.

    Raises:
        BadInputError: With every problem found.
    """
    manifests: list[Manifest] = []
    problems: list[str] = []
    for document in load_documents(path):
        obj = document.value
        if not isinstance(obj, dict) or not isinstance(obj.get("kind"), str):
            message = "expected an object with apiVersion and kind"
            problems.append(str(document.complain((), message)))
            continue
        if obj["kind"] not in _BY_KIND:
            kinds = ", ".join(sorted(_BY_KIND))
            message = f'kind: expected one of {kinds}, got "{obj["kind"]}"'
            problems.append(str(document.complain(("kind",), message)))
            continue
        resource = _BY_KIND[obj["kind"]]
        if obj.get("apiVersion") != resource.api_version:
            message = (
                f'apiVersion: expected "{resource.api_version}" for a {resource.kind}, '
                f"got {_shown(obj.get('apiVersion'))}"
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
    try:
        parse(document.value)
    except InvalidObject as invalid:
        return [str(document.complain(location_of(p.path), str(p))) for p in invalid.problems]
    return []
