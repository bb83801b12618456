"""Checks of backends by a whole operator, in virtual time."""

from __future__ import annotations

from prism_operator.api.meta import PRISM_BACKEND, SECRET, Json, Ref
from prism_operator.planning.settings import Settings
from prism_operator.runtime.operator import Operator
from simulator.backends import BackendState, SimulatedBackends

from .world import World

BROKER = Ref(PRISM_BACKEND, "default", "broker")
STATUS = f"PATCH {PRISM_BACKEND.path('default', 'broker', 'status')}"


class Checked(World):
    """A world with backends that are checked every 10 s."""

    def __init__(self) -> None:
        super().__init__()
        self.backends = SimulatedBackends(self.clock)

    def start(self, identity: str = "operator", *, leader_elect: bool = False) -> Operator:
        settings = Settings(check_backends=True)
        return self.operator(
            identity, settings=settings, prober=self.backends.prober(), leader_elect=leader_elect
        )

    def add(self, name: str = "broker", **spec: object) -> None:
        metadata = {"name": name, "namespace": "default"}
        given = {"type": "cache", "provider": "redis", "connection": {"url": "redis://r"}, **spec}
        api_version, kind = PRISM_BACKEND.api_version, PRISM_BACKEND.kind
        self.create({"apiVersion": api_version, "kind": kind, "metadata": metadata, "spec": given})

    def ready(self, ref: Ref = BROKER) -> tuple[str, str]:
        status: Json = (self.get(ref) or {}).get("status") or {}
        ready = next(c for c in status["conditions"] if c["type"] == "Ready")
        return ready["status"], ready["reason"]

    def find(self, name: str, state: BackendState) -> None:
        self.backends.set("default", name, state)


def test_a_backend_is_ready_as_soon_as_it_answers() -> None:
    world = Checked()
    world.add()
    operator = world.start()

    world.run(operator, seconds=1)

    assert world.ready() == ("True", "Healthy")


def test_an_hour_of_answers_is_one_write_a_minute() -> None:
    world = Checked()
    world.add()
    operator = world.start()
    world.run(operator, seconds=1)
    before = world.writes_of().count(STATUS)

    world.run(operator, seconds=3600)

    assert 50 <= world.writes_of().count(STATUS) - before <= 60


def test_what_goes_down_and_comes_back_is_told_both_times() -> None:
    world = Checked()
    world.add()
    operator = world.start()
    world.run(operator, seconds=30)
    world.find("broker", BackendState.DOWN)
    world.run(operator, seconds=10.1)
    assert world.ready() == ("False", "ConnectionRefused")

    world.find("broker", BackendState.UP)
    world.run(operator, seconds=10.1)

    assert world.ready() == ("True", "Healthy")


def test_a_server_that_never_answers_is_told_after_its_timeout() -> None:
    world = Checked()
    world.add(healthCheck={"interval": "10s", "timeout": "3s"})
    world.find("broker", BackendState.HUNG)
    operator = world.start()

    world.run(operator, seconds=2.9)
    assert world.ready() == ("Unknown", "CheckPending")
    world.run(operator, seconds=0.2)

    assert world.ready() == ("False", "Timeout")


def test_what_stays_down_is_looked_at_again_within_four_intervals() -> None:
    world = Checked()
    world.add()
    world.find("broker", BackendState.DOWN)
    operator = world.start()
    world.run(operator, seconds=600)

    world.find("broker", BackendState.UP)
    world.run(operator, seconds=40.1)

    assert world.ready() == ("True", "Healthy")


def test_a_deleted_backend_is_no_longer_checked() -> None:
    world = Checked()
    world.add()
    operator = world.start()
    world.run(operator, seconds=1)
    world.delete(BROKER)
    world.run(operator, seconds=1)

    assert operator.checks.next_due_s() is None


def test_only_the_leader_checks() -> None:
    world = Checked()
    world.add()
    first, second = (world.start(name, leader_elect=True) for name in ("first", "second"))
    world.run(first, second, seconds=30)

    assert first.checks.finding(BROKER) is not None
    assert second.checks.finding(BROKER) is None

    first.stop()
    world.run(second, seconds=30)

    assert second.checks.finding(BROKER) is not None


def test_a_secret_that_comes_late_is_found_without_a_restart() -> None:
    world = Checked()
    world.add(connection={"secretRef": {"name": "creds"}})
    operator = world.start()
    world.run(operator, seconds=1)
    assert world.ready() == ("False", "SecretNotFound")

    secret = Ref(SECRET, "default", "creds")
    world.create(
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": secret.name, "namespace": secret.namespace},
            "data": {"url": "cmVkaXM6Ly9y"},
        }
    )
    world.run(operator, seconds=61)

    assert world.ready() == ("True", "Healthy")


def test_secrets_of_which_one_leads_to_the_next_are_read_in_one_pass() -> None:
    world = Checked()
    for name, data in (("creds", {"url": "cmVkaXM6Ly9y"}), ("ca", {"ca.crt": "eA=="})):
        metadata = {"name": name, "namespace": "default"}
        world.create({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": data})
    world.add(connection={"secretRef": {"name": "creds"}}, tls={"secretRef": {"name": "ca"}})
    operator = world.start()

    world.run(operator, seconds=1)

    assert world.ready() == ("True", "Healthy")
    assert len([write for write in world.writes_of() if write == STATUS]) == 2


def test_many_hung_backends_keep_no_other_waiting() -> None:
    world = Checked()
    for number in range(40):
        world.add(f"hung-{number}")
        world.find(f"hung-{number}", BackendState.HUNG)
    world.add()
    operator = world.start()

    world.run(operator, seconds=1)

    assert world.ready() == ("True", "Healthy")
