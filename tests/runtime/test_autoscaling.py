"""Every change between no scaler, a HorizontalPodAutoscaler and KEDA, on the fake API server."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prism_operator.api.meta import (
    CUSTOM_RESOURCE_DEFINITION,
    DEPLOYMENT,
    HORIZONTAL_POD_AUTOSCALER,
    PRISM_PATTERN,
    SCALED_OBJECT,
    SECRET,
    TRIGGER_AUTHENTICATION,
    Json,
    Ref,
)
from prism_operator.runtime.operator import Operator
from prism_operator.runtime.reflector import PROBE_PERIOD_S
from prism_operator.runtime.secrets import LOOK_PERIOD_S
from simulator.apiserver.request import Request, Response
from simulator.autoscaling.keda.crds import free_form_crd

from . import keda
from .world import Crash, World

# Longer than a server keeps a watch open: one of a kind that has gone may hear nothing before.
WATCH_S = 3600.0
ORDERS = Ref(PRISM_PATTERN, "default", "orders")
DEPLOYMENT_OF_ORDERS = Ref(DEPLOYMENT, "default", "orders")
HPA = Ref(HORIZONTAL_POD_AUTOSCALER, "default", "orders")
SCALED = Ref(SCALED_OBJECT, "default", "orders")
KAFKA = {
    "type": "kafka",
    "metadata": {"bootstrapServers": "kafka:9092", "consumerGroup": "g", "topic": "t"},
}


def none(replicas: int = 3) -> Json:
    return {"replicas": replicas, "autoscaling": None}


def hpa(least: int = 2, most: int = 6) -> Json:
    scaling = {"minReplicas": least, "maxReplicas": most, "targetCPUUtilizationPercentage": 70}
    return {"replicas": 1, "autoscaling": _section(scaler="hpa", **scaling)}


def with_keda(least: int = 2, most: int = 6, **trigger: Any) -> Json:
    scaling = {"minReplicas": least, "maxReplicas": most, "triggers": [{**KAFKA, **trigger}]}
    return {"replicas": 1, "autoscaling": _section(scaler="keda", **scaling)}


def _section(**fields: Any) -> Json:
    # In a merge patch, null is what removes.
    gone = dict.fromkeys(("targetCPUUtilizationPercentage", "triggers"))
    return {**gone, **fields}


def target_of(spec: Json) -> int:
    scaling = spec["autoscaling"]
    return int(spec["replicas"] if scaling is None else scaling["minReplicas"])


class Scaled:
    """A pattern whose scaler changes, and a check of what every write of the operator does."""

    def __init__(self, spec: Json, *, with_crds: bool = True) -> None:
        self.world = World()
        if with_crds:
            keda.install(self.world)
        self.spec = spec
        self.crash_at: int | None = None
        # Noted, not raised: the operator outlives whatever is raised in its passes.
        self.violations: list[str] = []
        self._before: int | None = None
        self.world.fault = self._check
        scaling = {k: v for k, v in (spec["autoscaling"] or {}).items() if v is not None}
        self.world.create(
            {
                "apiVersion": PRISM_PATTERN.api_version,
                "kind": PRISM_PATTERN.kind,
                "metadata": {"name": "orders", "namespace": "default"},
                "spec": {
                    "pattern": "consumer",
                    "backend": "kafka",
                    "replicas": spec["replicas"],
                    **({"autoscaling": scaling} if scaling else {}),
                },
            }
        )
        self.operator: Operator = self.world.operator()

    def change(self, spec: Json) -> None:
        self.spec = spec
        self.world.edit(ORDERS, {"spec": spec})

    def run(self, seconds: float = 0.0) -> None:
        """Runs the operator; one that crashed is started anew."""
        while True:
            try:
                self.world.run(self.operator, seconds=seconds)
            except Crash:
                self.operator = self.world.operator()
            else:
                break
        assert self.violations == []

    def settle(self, demand: int = 3) -> None:
        for _ in range(6):
            self.run()
            keda.step(self.world, demand)
        self.run()

    @property
    def replicas(self) -> int | None:
        found = self.world.get(DEPLOYMENT_OF_ORDERS)
        return None if found is None else int(found["spec"]["replicas"])

    def scalers(self) -> list[str]:
        """Those that scale: a HorizontalPodAutoscaler of a ScaledObject counts as that one."""
        scaled = [o["metadata"] for o in _objects(self.world, SCALED_OBJECT)]
        hpas = [o["metadata"] for o in _objects(self.world, HORIZONTAL_POD_AUTOSCALER)]
        uids = {metadata["uid"] for metadata in scaled}
        return [f"ScaledObject {m['name']}" for m in scaled] + [
            f"HorizontalPodAutoscaler {m['name']}"
            for m in hpas
            if not any(o["uid"] in uids for o in m.get("ownerReferences") or ())
        ]

    def condition(self, kind: str) -> Json:
        pattern = self.world.get(ORDERS)
        assert pattern is not None
        found = {c["type"]: c for c in pattern["status"]["conditions"]}
        return dict(found[kind])

    def _check(self, request: Request, response: Response | None) -> None:
        if request.user != "operator" or request.method == "GET":
            return
        if response is None:
            self._before = self.replicas
            return
        if len(self.scalers()) > 1:
            self.violations.append(f"two scalers: {self.scalers()}")
        before, after = self._before, self.replicas
        if before is None or after is None:
            pass
        elif after < min(before, target_of(self.spec)):
            self.violations.append(f"{before} to {after} replicas by {request.body}")
        if self.crash_at is not None:
            self.crash_at -= 1
            if self.crash_at == 0:
                self.crash_at = None
                raise Crash


def _objects(world: World, resource: Any) -> list[Json]:
    key = (resource.group, resource.version, resource.plural)
    return [] if world.server.catalog.get(*key) is None else world.objects(resource)


MODES = {"none": none, "hpa": hpa, "keda": with_keda}


def scalers_wanted(spec: Json) -> list[str]:
    scaling = spec["autoscaling"]
    if scaling is None:
        return []
    kind = "ScaledObject" if scaling["scaler"] == "keda" else "HorizontalPodAutoscaler"
    return [f"{kind} orders"]


# --- The transitions


@pytest.mark.parametrize(("before", "after"), list(itertools.product(MODES, MODES)))
def test_a_change_of_scaler_never_dips_and_ends_with_the_one_that_is_wanted(
    before: str, after: str
) -> None:
    scaled = Scaled(MODES[before]())
    scaled.settle(demand=5)
    wanted = MODES[after]()

    scaled.change(wanted)
    scaled.settle(demand=5)

    assert scaled.scalers() == scalers_wanted(wanted)
    assert scaled.replicas == (3 if after == "none" else 5)
    writes = len(scaled.world.writes_of())
    scaled.settle(demand=5)
    assert len(scaled.world.writes_of()) == writes


specs = st.one_of(
    st.builds(none, st.integers(0, 5)),
    st.builds(hpa, st.integers(1, 3), st.integers(3, 6)),
    st.builds(with_keda, st.integers(0, 3), st.integers(3, 6)),
)
steps = st.one_of(
    specs,
    st.tuples(st.just("scalers act, with demand"), st.integers(0, 8)),
    st.tuples(st.just("crash after writes"), st.integers(1, 6)),
    st.tuples(st.just("deployment deleted"), st.just(0)),
)


@settings(deadline=None, derandomize=True, max_examples=60)
@given(specs, st.lists(steps, max_size=8))
def test_whatever_happens_replicas_never_dip_and_scalers_never_meet(
    first: Json, happenings: list[Any]
) -> None:
    scaled = Scaled(first)
    scaled.run()
    for happening in happenings:
        match happening:
            case ("scalers act, with demand", demand):
                keda.step(scaled.world, demand)
            case ("crash after writes", writes):
                scaled.crash_at = writes
            case ("deployment deleted", _):
                scaled.world.delete(DEPLOYMENT_OF_ORDERS)
            case spec:
                scaled.change(spec)
        scaled.run()
    scaled.crash_at = None
    scaled.settle(demand=4)

    assert scaled.scalers() == scalers_wanted(scaled.spec)
    assert scaled.replicas is not None
    scaling = scaled.spec["autoscaling"]
    if scaling is None:
        assert scaled.replicas == scaled.spec["replicas"]
    else:
        assert max(1, scaling["minReplicas"]) <= scaled.replicas <= scaling["maxReplicas"]


def test_leaving_keda_at_0_lifts_to_the_least_number_before_there_is_an_hpa() -> None:
    scaled = Scaled(with_keda(least=0))
    scaled.settle(demand=0)
    assert scaled.replicas == 0

    scaled.change(hpa(least=2))
    for _ in range(4):
        scaled.run()
        if scaled.world.get(HPA) is not None:
            assert scaled.replicas == 2
        if scaled.scalers() == ["ScaledObject orders"]:
            keda.step(scaled.world, 0)

    assert scaled.scalers() == ["HorizontalPodAutoscaler orders"]


def test_an_hpa_that_was_scaled_to_0_by_hand_stays_there() -> None:
    scaled = Scaled(hpa())
    scaled.settle()

    keda.scale(scaled.world, "orders", 0)
    scaled.settle()

    assert scaled.replicas == 0


def test_the_number_of_a_scaler_survives_a_change_of_the_image() -> None:
    scaled = Scaled(hpa(least=2, most=6))
    scaled.run()  # the hand-over is due with the first change, before any scaler acts
    keda.scale(scaled.world, "orders", 2)

    scaled.world.edit(ORDERS, {"spec": {"image": "other:1"}})
    scaled.run()
    assert scaled.replicas == 2

    scaled.settle(demand=5)
    scaled.world.edit(ORDERS, {"spec": {"image": "other:2"}})
    scaled.settle(demand=5)
    assert scaled.replicas == 5


def test_a_recreated_deployment_gets_the_number_its_scaler_last_wanted() -> None:
    scaled = Scaled(hpa(least=2, most=6))
    scaled.settle(demand=5)

    scaled.world.delete(DEPLOYMENT_OF_ORDERS)
    scaled.run()

    assert scaled.replicas == 5


def test_a_scaler_takes_one_write_more() -> None:
    without, with_one = Scaled(none()), Scaled(hpa())
    without.run()
    with_one.run()

    assert len(with_one.world.writes_of()) == len(without.world.writes_of()) + 1


def test_the_scaler_that_waits_for_a_finalizer_holds_the_next_one_back() -> None:
    scaled = Scaled(with_keda())
    scaled.settle()

    scaled.change(hpa())
    scaled.run()

    assert scaled.scalers() == ["ScaledObject orders"]
    told = scaled.condition("ScalerReady")
    assert (told["status"], told["reason"]) == ("False", "WaitingForOldScaler")
    assert keda.FINALIZER in told["message"]


# --- KEDA absent and appearing


def test_without_keda_the_rest_goes_on_and_it_is_said() -> None:
    scaled = Scaled(none(4), with_crds=False)
    scaled.run()

    scaled.change(with_keda())
    scaled.run()

    assert scaled.replicas == 4
    assert scaled.condition("ScalerReady")["reason"] == "KedaNotInstalled"
    assert scaled.condition("Degraded")["reason"] == "KedaNotInstalled"


def test_keda_that_comes_later_is_noticed() -> None:
    scaled = Scaled(with_keda(), with_crds=False)
    scaled.run()
    assert scaled.replicas == 2

    keda.install(scaled.world)
    scaled.run(seconds=2 * PROBE_PERIOD_S)

    assert scaled.scalers() == ["ScaledObject orders"]
    assert scaled.condition("ScalerReady")["status"] == "True"
    assert scaled.condition("Degraded")["status"] == "False"


def test_a_change_to_keda_keeps_the_hpa_until_keda_is_there() -> None:
    scaled = Scaled(hpa(), with_crds=False)
    scaled.settle(demand=5)

    scaled.change(with_keda())
    scaled.settle(demand=5)
    assert scaled.scalers() == ["HorizontalPodAutoscaler orders"]
    assert scaled.replicas == 5

    keda.install(scaled.world)
    scaled.run(seconds=2 * PROBE_PERIOD_S)
    assert scaled.scalers() == ["ScaledObject orders"]
    assert scaled.replicas == 5


def test_keda_that_goes_leaves_the_number_alone_and_is_used_again_when_it_is_back() -> None:
    scaled = Scaled(with_keda())
    scaled.settle(demand=5)
    crd = Ref(CUSTOM_RESOURCE_DEFINITION, "", f"{SCALED_OBJECT.plural}.{SCALED_OBJECT.group}")

    # As its Helm chart does: KEDA's operator lets go, then the definitions are deleted.
    scaled.world.edit(SCALED, {"metadata": {"finalizers": []}})
    scaled.world.delete(crd)
    scaled.world.delete(Ref(HORIZONTAL_POD_AUTOSCALER, "default", "keda-hpa-orders"))
    scaled.run(seconds=2 * WATCH_S)
    assert scaled.scalers() == []
    assert scaled.replicas == 5
    assert scaled.condition("ScalerReady")["reason"] == "KedaNotInstalled"

    scaled.world.create(free_form_crd(SCALED_OBJECT))
    scaled.run(seconds=2 * PROBE_PERIOD_S)
    assert scaled.scalers() == ["ScaledObject orders"]
    assert scaled.replicas == 5


def test_a_trigger_that_lacks_metadata_tears_nothing_down() -> None:
    scaled = Scaled(with_keda())
    scaled.settle(demand=5)
    before = scaled.world.get(SCALED)
    assert before is not None

    scaled.change(with_keda(metadata={"bootstrapServers": "kafka:9092", "consumerGroup": None}))
    scaled.settle(demand=5)

    after = scaled.world.get(SCALED)
    assert after is not None
    assert after["spec"] == before["spec"]
    assert scaled.condition("TriggerInvalid")["status"] == "True"
    assert "consumerGroup" in scaled.condition("TriggerInvalid")["message"]


# --- Foreign scalers


@pytest.mark.parametrize("mode", MODES)
def test_a_foreign_scaler_is_yielded_to_until_it_goes(mode: str) -> None:
    scaled = Scaled(MODES[mode]())
    scaled.settle()
    foreign = Ref(HORIZONTAL_POD_AUTOSCALER, "default", "theirs")
    # From here there are two until the operator notices, which its own next write must mend.
    check, scaled.world.fault = scaled.world.fault, lambda *_: None
    created = scaled.world.create(keda.an_hpa("theirs", "orders"))
    scaled.settle(demand=7)

    assert scaled.scalers() == ["HorizontalPodAutoscaler theirs"]
    assert scaled.replicas == 7
    assert scaled.condition("ForeignScaler")["status"] == "True"
    after = scaled.world.get(foreign)
    assert after is not None
    assert after["spec"] == created["spec"]

    scaled.world.fault = check
    scaled.world.delete(foreign)
    scaled.settle(demand=4)
    assert scaled.condition("ForeignScaler")["status"] == "False"
    assert scaled.scalers() == scalers_wanted(scaled.spec)
    assert scaled.replicas == (3 if mode == "none" else 4)


@pytest.mark.parametrize(("before", "after"), list(itertools.permutations(MODES, 2)))
def test_a_foreign_scaler_that_appears_in_mid_transition_is_yielded_to(
    before: str, after: str
) -> None:
    scaled = Scaled(MODES[before]())
    scaled.settle(demand=5)
    check, changed = scaled.world.fault, False

    def appear(request: Request, response: Response | None) -> Response | None:
        nonlocal changed
        if request.method != "GET" and response is None and not changed:
            changed = True  # after the plan, before its first write
            scaled.world.create(keda.an_hpa("theirs", "orders"))
        return None

    scaled.world.fault = appear
    scaled.change(MODES[after]())
    scaled.settle(demand=5)
    assert changed
    assert scaled.scalers() == ["HorizontalPodAutoscaler theirs"]
    assert scaled.replicas == 5
    assert scaled.condition("ForeignScaler")["status"] == "True"

    scaled.world.fault = check
    scaled.world.delete(Ref(HORIZONTAL_POD_AUTOSCALER, "default", "theirs"))
    scaled.settle(demand=5)
    assert scaled.scalers() == scalers_wanted(scaled.spec)
    assert scaled.replicas == (3 if after == "none" else 5)


# --- Credentials


def a_secret(**data: str) -> Json:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "credentials", "namespace": "default"},
        "data": data,
    }


def test_a_secret_becomes_a_trigger_authentication_with_a_parameter_for_each_key() -> None:
    scaled = Scaled(with_keda(authenticationRef={"name": "credentials"}))
    scaled.run()
    assert scaled.condition("ScalerReady")["reason"] == "AuthenticationNotFound"
    assert scaled.scalers() == []

    scaled.world.create(a_secret(username="dQ==", password="cA=="))
    scaled.run(seconds=LOOK_PERIOD_S + 1)

    made = scaled.world.get(Ref(TRIGGER_AUTHENTICATION, "default", "orders-trigger-auth"))
    assert made is not None
    assert [p["parameter"] for p in made["spec"]["secretTargetRef"]] == ["password", "username"]
    found = scaled.world.get(SCALED)
    assert found is not None
    ref = found["spec"]["triggers"][0]["authenticationRef"]
    assert ref == {"name": "orders-trigger-auth"}

    scaled.world.edit(Ref(SECRET, "default", "credentials"), {"data": {"token": "dA=="}})
    scaled.run(seconds=LOOK_PERIOD_S + 1)
    made = scaled.world.get(Ref(TRIGGER_AUTHENTICATION, "default", "orders-trigger-auth"))
    assert made is not None
    assert [p["key"] for p in made["spec"]["secretTargetRef"]] == ["password", "token", "username"]


def test_secrets_are_fetched_by_name_once_a_minute_and_never_listed() -> None:
    scaled = Scaled(none())
    scaled.world.create(a_secret(username="dQ=="))
    asked: list[str] = []
    check = scaled.world.fault

    def note(request: Request, response: Response | None) -> Response | None:
        if response is None and "secrets" in request.path:
            asked.append(request.path)
        return check(request, response)

    scaled.world.fault = note
    scaled.run(seconds=2 * LOOK_PERIOD_S)
    assert asked == []

    scaled.change(with_keda(authenticationRef={"name": "credentials"}))
    scaled.run(seconds=3 * LOOK_PERIOD_S - 1)
    assert asked == ["/api/v1/namespaces/default/secrets/credentials"] * 3
