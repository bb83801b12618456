"""A seeded sample of the sweep, and that it is what it says. ``make test-faults`` runs it all."""

from __future__ import annotations

import os
import random

import pytest

from prism_operator.api.meta import DEPLOYMENT, HORIZONTAL_POD_AUTOSCALER, SERVICE, Json, Ref

from . import workloads
from .cluster import Cluster
from .kinds import CALL_FAULTS, EVENT_FAULTS
from .sweep import Case, cases, judge, undisturbed

SEED = int(os.environ.get("PRISM_SEED", "0"))
SAMPLED_WORKLOADS, SAMPLED_CASES = 4, 12
RUNNER = Ref(DEPLOYMENT, "default", "orders")


@pytest.mark.parametrize("slot", range(SAMPLED_WORKLOADS))
def test_a_fault_anywhere_changes_nothing_about_the_end(slot: int) -> None:
    rng = random.Random(f"{SEED} {slot}")
    workload = rng.choice(workloads.ALL[slot::SAMPLED_WORKLOADS]).name
    print(f"PRISM_SEED={SEED}: {workload}")
    for case in rng.sample(list(cases(workload)), SAMPLED_CASES):
        complaints = judge(case)
        assert not complaints, f"again with: python -m tests.faults {case}"


def test_there_are_the_workloads_that_the_sweep_promises() -> None:
    modes = ("none", "hpa", "keda")
    assert len(workloads.BY_NAME) == len(workloads.ALL) >= 12
    assert {f"{a}-to-{b}" for a in modes for b in modes} <= workloads.BY_NAME.keys()


def test_every_call_and_every_event_is_enumerated_with_every_fault() -> None:
    run, led = undisturbed("config"), undisturbed("config", standby=True)
    reads = sum(call.startswith("GET ") for call in run.calls)
    writes = len(run.calls) - reads
    led_reads = sum(call.startswith("GET ") for call in led.calls)
    led_writes = len(led.calls) - led_reads
    listed = list(cases("config"))

    assert (reads, writes) == (2, 6)
    assert len(set(listed)) == len(listed)
    # Of a read it makes no difference whether it was carried out.
    assert len(listed) == (
        writes * 12 + reads * 10 + led_writes * 3 + led_reads * 1 + len(run.events) * 4
    )
    assert len(CALL_FAULTS) == 12 + 3
    assert len(EVENT_FAULTS) == 4


def test_a_case_reads_as_it_is_written() -> None:
    case = Case("scale", ((3, "lost"), (1, "409")))

    assert Case.parse(str(case)) == case


# --- The checkers, which must see what a wrong operator would do


@pytest.fixture
def cluster() -> Cluster:
    cluster = Cluster()
    workloads.scaled("hpa")(cluster)
    cluster.start()
    cluster.advance(5.0)
    assert cluster.checkers.violations == []
    return cluster


def _apply(cluster: Cluster, ref: Ref, **fields: Json) -> None:
    named = {"name": ref.name, "namespace": ref.namespace}
    kind = {"apiVersion": ref.resource.api_version, "kind": ref.resource.kind}
    obj = {**kind, "metadata": named, **fields}
    cluster.writer("operator").apply(obj, "prism-operator", force=True)


def test_fewer_replicas_than_before_and_than_wanted_are_noticed(cluster: Cluster) -> None:
    cluster.writer("operator").apply(
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "orders", "namespace": "default"},
            "spec": {"replicas": 1},
        },
        "another-of-ours",
        force=True,
    )

    assert cluster.checkers.violations == [f"{RUNNER}: from 3 to 1 replicas, below 2"]


def test_a_second_scaler_is_noticed(cluster: Cluster) -> None:
    scaler = workloads.keda.an_hpa("second", "orders")
    cluster.writer("operator").create(scaler, "prism-operator")

    theirs = Ref(HORIZONTAL_POD_AUTOSCALER, "default", "second")
    ours = Ref(HORIZONTAL_POD_AUTOSCALER, "default", "orders")
    assert cluster.checkers.violations == [f"{theirs} was created beside {ours}"]


def test_a_write_to_a_foreign_object_is_noticed(cluster: Cluster) -> None:
    foreign = cluster.create(
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "theirs", "namespace": "default"},
            "spec": {"ports": [{"port": 80}]},
        }
    )
    ref = Ref(SERVICE, "default", "theirs")
    cluster.writer("operator").delete(ref, uid=foreign["metadata"]["uid"])

    assert cluster.checkers.violations == [f"foreign {ref} was changed"]


def test_a_write_below_a_paused_object_is_noticed(cluster: Cluster) -> None:
    workloads.annotate(workloads.PATTERN, paused="true")(cluster)
    _apply(cluster, RUNNER, spec={"paused": True})

    assert f"{RUNNER} of a paused owner was changed" in cluster.checkers.violations


def test_a_rollout_more_and_an_object_made_anew_are_counted(cluster: Cluster) -> None:
    rolled_out = len(cluster.checkers.templates[str(RUNNER)])
    workloads.spec(workloads.PATTERN, image="other:1")(cluster)
    cluster.advance(5.0)
    workloads.delete(RUNNER)(cluster)
    cluster.advance(5.0)

    assert len(cluster.checkers.templates[str(RUNNER)]) == rolled_out + 1
    assert cluster.checkers.created[str(RUNNER)] == 2
