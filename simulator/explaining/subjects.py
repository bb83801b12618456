"""What a question is about: an object by its name, at a time at which it is there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from prism_operator.api.meta import Json, Ref, Resource, ref_of
from simulator.controllers.world import Change
from simulator.explaining.instants import told
from simulator.explaining.names import listed, near
from simulator.inputs import BadInputError
from simulator.kernel import SECOND_US, Us
from simulator.run import Simulation


@dataclass(slots=True)
class _Stay:
    latest: Json
    since_us: Us
    until_us: Us | None = None

    def __str__(self) -> str:
        until = "the end" if self.until_us is None else told(self.until_us)
        return f"from {told(self.since_us)} to {until}"


class Subjects:
    """The objects of some kinds, with when they were there. To be made before the run begins."""

    def __init__(self, simulation: Simulation, *resources: Resource) -> None:
        self._simulation, self._resources = simulation, resources
        self._stays: dict[Ref, list[_Stay]] = {}
        for resource in resources:
            for obj in simulation.cache.list(resource):
                self._begin(ref_of(obj), obj)
        simulation.cache.on_change(self._changed)

    def find(self, name: str, option: str) -> Json:
        """The only object of that name which is there now.

        Raises:
            BadInputError: There is none now, or never, or more than one.
        """
        meant = [ref for ref in sorted(self._stays) if name in _spellings(ref)]
        there = [ref for ref in meant if self._stays[ref][-1].until_us is None]
        if len(there) == 1:
            return self._stays[there[0]][-1].latest
        if there:
            which = listed([f"{ref.resource.kind}/{called(ref)}" for ref in there])
            raise BadInputError([f"{option}: {name} could be {which}; say which"])
        raise BadInputError([self._why_not(name, option)])

    def _why_not(self, name: str, option: str) -> str:
        """Runs to the end, to know whether there will be such a thing."""
        at_us = self._simulation.kernel.now_us
        there = [ref for ref, stays in self._stays.items() if stays[-1].until_us is None]
        self._simulation.run_until(self._simulation.scenario.duration / SECOND_US)
        meant = [ref for ref in sorted(self._stays) if name in _spellings(ref)]
        if meant:
            when = "; ".join(f"{ref} is there {stay}" for ref in meant for stay in self._stays[ref])
            return f"{option}: {name} is not there at {told(at_us)}: {when}"
        kinds = " or ".join(resource.kind for resource in self._resources)
        # Those that were there at that time come first.
        known = sorted(self._stays, key=lambda ref: (ref not in there, ref))
        names = [called(ref) for ref in known]
        return f'{option}: there is no {kinds} "{name}" in the run{near(name, names)}'

    def _changed(self, change: Change) -> None:
        if change.ref.resource not in self._resources:
            return
        if change.old is None:
            self._begin(change.ref, change.latest)
        elif change.new is None:
            self._stays[change.ref][-1].until_us = self._simulation.kernel.now_us
        else:
            self._stays[change.ref][-1].latest = change.new

    def _begin(self, ref: Ref, obj: Json) -> None:
        self._stays.setdefault(ref, []).append(_Stay(obj, self._simulation.kernel.now_us))


def called(ref: Ref) -> str:
    """A name as kubectl prints it, with its namespace."""
    return f"{ref.namespace}/{ref.name}" if ref.namespace else ref.name


def _spellings(ref: Ref) -> Sequence[str]:
    kinds = (ref.resource.kind, ref.resource.kind.lower())
    places = (ref.name, called(ref))
    return (*places, *(f"{kind}/{place}" for kind in kinds for place in places))
