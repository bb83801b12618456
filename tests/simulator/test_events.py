"""Events as a component of the control plane records them."""

from prism_operator.api.meta import Json
from simulator.cluster.api import CORE_EVENT, ApiWorld
from simulator.run import Simulation
from tests.simulator.builders import a_scenario
from tests.simulator.test_autoscalers import WORKER, a_worker


class Recording:
    def __init__(self) -> None:
        self.simulation = Simulation(a_scenario(a_worker(), operator={"replicas": 0}))
        self.simulation.run_until(10)
        s = self.simulation
        self.world = ApiWorld(s.server, s.cache, s.clock, "tester")

    def tell(self, at_s: float, message: str = "it broke") -> None:
        self.simulation.run_until(at_s)
        about = self.world.get(WORKER)
        assert about is not None
        self.world.event(about, "Warning", "Broken", message)

    @property
    def counts(self) -> list[int]:
        events: list[Json] = [e for e in self.world.list(CORE_EVENT) if e["reason"] == "Broken"]
        events.sort(key=lambda e: e["eventTime"])
        return [(e.get("series") or {}).get("count", 1) for e in events]


def test_an_event_that_happens_again_is_one_event_counted() -> None:
    recording = Recording()
    for at_s in (20, 30):
        recording.tell(at_s)

    assert recording.counts == [2]


def test_a_long_series_is_written_every_half_hour() -> None:
    recording = Recording()
    for at_s in range(20, 1900, 60):
        recording.tell(at_s)

    assert recording.counts == [32]


def test_after_six_quiet_minutes_and_for_another_message_an_event_is_new() -> None:
    recording = Recording()
    recording.tell(20)
    recording.tell(21, "it broke otherwise")
    recording.tell(400)

    assert recording.counts == [1, 1, 1]
