"""A cluster to walk through in virtual time: what users' own tests are written against."""

from __future__ import annotations

import copy
import io
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from prism_operator.api.durations import parse_duration_s
from prism_operator.api.meta import Json, Ref
from prism_operator.documents import Document
from simulator.controllers.objects import condition, is_ready, is_true, labels_of, node_of
from simulator.inputs import BadInputError
from simulator.kernel import SECOND_US, Us
from simulator.python.frames import Frames
from simulator.python.simulate import Source, load_source
from simulator.quiet import silenced
from simulator.run import Simulation
from simulator.scenario.files import load_manifests, manifests_of
from simulator.scenario.settings import Setting
from simulator.scenario.timeline import Event
from simulator.scenario.values import BY_KIND, reference

# Long enough for any test; a scenario needs an end and something to expect.
_DEFAULT: Json = {
    "question": "What does the test ask?",
    "duration": "168h",
    "cluster": {"pools": {"base": {"count": 3}}},
    "expect": [{"always": {"restarts": {"atLeast": 0}}}],
}
_LOOKS_EVERY_US = SECOND_US


class Cluster:
    """A simulated cluster with the operator in it, whose time goes on when it is told to.

    Without a ``scenario`` it has three nodes in three zones and nothing in it. ``keys`` are those
    of a scenario file and replace what is there: ``workloads={...}``, ``operator={"replicas": 2}``.
    Objects are named ``Kind/name`` or ``Kind/namespace/name``, times are written as ``90s``.
    """

    def __init__(
        self,
        scenario: Source | None = None,
        *,
        seed: int | None = None,
        params: Mapping[str, Any] | None = None,
        **keys: Any,
    ) -> None:
        """Makes it. Raises BadInputError with everything that is wrong."""
        settings = [Setting(None, (key,), value) for key, value in keys.items()]
        loaded = load_source(_DEFAULT if scenario is None else scenario, params, settings)
        self._log = io.StringIO()
        with silenced():
            self._simulation = Simulation(loaded, seed=seed, log=self._log)
            self._simulation.run_until(0)  # what is there from the beginning is there

    # Time

    @property
    def elapsed_s(self) -> float:
        """Simulated seconds since the beginning."""
        return self._simulation.kernel.now_us / SECOND_US

    def advance(self, duration: str) -> None:
        """Lets time go by, and whatever happens in it.

        Raises:
            BadInputError: It is no duration, or goes beyond the end of the scenario.
        """
        self._advance_to(self._simulation.kernel.now_us + _duration_us(duration))

    def wait_until(self, holds: Callable[[], object], within: str = "5m") -> None:
        """Lets time go by until something holds, looked at every second.

        Raises:
            AssertionError: It does not within that time.
        """
        deadline_us = self._simulation.kernel.now_us + _duration_us(within)
        while not holds():
            now_us = self._simulation.kernel.now_us
            if now_us >= deadline_us:
                raise AssertionError(f"not within {within}; it is {now_us / SECOND_US:g} s")
            self._advance_to(min(now_us + _LOOKS_EVERY_US, deadline_us))

    def wait_ready(self, target: str, within: str = "5m") -> None:
        """Lets time go by until an object's condition Ready is True.

        Raises:
            AssertionError: It is not within that time; with what the condition says.
        """
        try:
            self.wait_until(lambda: self.is_ready(target), within)
        except AssertionError as error:
            said = self.condition(target)
            found = f"Ready is {said['status']}: {said.get('message', '')}" if said else "not there"
            raise AssertionError(f"{target} is not ready: {error}; {found}") from None

    def _advance_to(self, end_us: Us) -> None:
        simulation = self._simulation
        if end_us > simulation.scenario.duration:
            end_s = simulation.scenario.duration / SECOND_US
            raise BadInputError([f"the scenario ends at {end_s:g} s; give it another duration"])
        with silenced():
            simulation.run_until(end_us / SECOND_US)

    # What a user does

    def apply(self, *manifests: str | Path | Mapping[str, Any]) -> None:
        """Applies manifests, files or objects, as ``kubectl apply --server-side`` does.

        Raises:
            BadInputError: They cannot be read, or the API server refuses them.
        """
        for source in manifests:
            if isinstance(source, Mapping):
                document = Document("manifest", json.loads(json.dumps(source)))
                read = manifests_of([document])
            else:
                read = load_manifests(Path(source))
            for manifest in read:
                self._simulation.user.apply(manifest)

    def happen(self, **action: Any) -> None:
        """Has something happen now, as a scenario's timeline says it.

        ``cluster.happen(nodeLoss={"zone": "b", "for": "30m"})``, ``scale={"target":
        "PrismPattern/orders", "replicas": 5}``, ``operatorCrash={"restartAfter": "10s"}``.

        Raises:
            BadInputError: It is no such action, or the API server refuses it.
        """
        try:
            event = Event.model_validate({"at": "0s", **action})
        except ValidationError as error:
            told = (
                f"{'.'.join(map(str, e['loc'])) or 'action'}: "
                + e["msg"].removeprefix("Value error, ")
                for e in error.errors()
            )
            raise BadInputError(list(told)) from None
        self._simulation.happen(event)

    # What is there

    def get(self, target: str) -> Json | None:
        """A copy of an object, or None."""
        return copy.deepcopy(self._simulation.cache.get(_reference(target)))

    def list(
        self,
        kind: str,
        namespace: str = "",
        *,
        labels: Mapping[str, str] | None = None,
        ready: bool | None = None,
        node: str | None = None,
    ) -> list[Json]:
        """Copies of the objects of a kind, by name; of pods those that are ready, or on a node.

        Raises:
            BadInputError: There is no such kind.
        """
        if kind not in BY_KIND:
            known = ", ".join(sorted(BY_KIND))
            raise BadInputError([f'expected a kind ({known}), got "{kind}"'])
        wanted = (labels or {}).items()
        return [
            copy.deepcopy(obj)
            for obj in self._simulation.cache.list(BY_KIND[kind], namespace)
            if wanted <= labels_of(obj).items()
            and (ready is None or is_ready(obj) == ready)
            and (node is None or node_of(obj) == node)
        ]

    def condition(self, target: str, type_: str = "Ready") -> Json | None:
        """A condition of an object, or None where it is not there."""
        obj = self.get(target)
        found = condition(obj, type_) if obj is not None else None
        return dict(found) if found is not None else None

    def is_ready(self, target: str) -> bool:
        """Whether an object is there and its condition Ready is True."""
        obj = self.get(target)
        return obj is not None and is_true(obj, "Ready")

    def metric(self, name: str) -> float:
        """A number as it is now, such as ``orders.lag`` or ``nodes.spot``.

        Raises:
            BadInputError: Nothing is recorded under that name.
        """
        self._simulation.workloads.advance()
        series = self._simulation.recorder.get(name)
        if series is None:
            known = ", ".join(self._simulation.recorder.names()) or "none"
            raise BadInputError([f'nothing is recorded as "{name}" (there are: {known})'])
        return series.last

    @property
    def frames(self) -> Frames:
        """Numbers over time until now, as pandas DataFrames."""
        simulation = self._simulation
        return Frames(
            simulation.recorder, list(simulation.scenario.workloads), simulation.kernel.now_us
        )

    @property
    def events(self) -> tuple[Json, ...]:
        """The event log: everything that happened so far, in its order."""
        return tuple(json.loads(line) for line in self._log.getvalue().splitlines())

    @property
    def violations(self) -> tuple[str, ...]:
        """Every promise that independent checkers saw broken: surge, budgets, ownership, …"""
        return self._simulation.violations


def _duration_us(text: str) -> Us:
    try:
        return round(parse_duration_s(text) * SECOND_US)
    except ValueError:
        raise BadInputError([f'expected a duration such as "90s", got "{text}"']) from None


def _reference(target: str) -> Ref:
    try:
        return reference(target)
    except ValueError as error:
        raise BadInputError([str(error)]) from None
