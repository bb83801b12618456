import subprocess
import sys
from pathlib import Path

import pytest
import structlog

from simulator import (
    BadInputError,
    Cluster,
    Observed,
    Policy,
    PolicyError,
    Simulated,
    compare,
    runs_of,
    simulate,
    sweep,
)
from simulator.cli import SCENARIOS
from simulator.python.frames import Frames
from simulator.scenario import load
from simulator.series import Recorder
from tests.simulator.builders import a_stack
from tests.simulator.test_comparing import a_file

INVOICES = SCENARIOS / "scale-to-zero.yaml"
PATTERN = "PrismPattern/invoices"
SHORT = {"duration": "4m", "timeline": [{"at": "1m", "name": "batch"}], "expect": [
    {"atEnd": {"condition": {"of": PATTERN}}},
    {"eventually": {"metric": {"of": "invoices.replicas", "atLeast": 9}}},
]}  # fmt: skip


def a_run(policy: object = None, **more: object) -> Simulated:
    policies = {PATTERN: policy} if policy is not None else {}
    return simulate(INVOICES, settings=SHORT, policies=policies, **more)  # type: ignore[arg-type]


def steps(run: Simulated) -> list[tuple[str, int]]:
    return [(e["at"], e["to"]) for e in run.events if e["what"] == "scaled by policy"]


def test_importing_the_package_loads_none_of_what_it_needs_later() -> None:
    program = (
        "import sys, simulator, simulator.python.pytest_plugin\n"
        "print(*{'numpy', 'pandas', 'simpy', 'pydantic', 'structlog'} & set(sys.modules))"
    )
    done = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )

    assert done.stdout.strip() == ""


def test_without_what_it_needs_it_says_what_to_install() -> None:
    program = "import sys; sys.modules['simpy'] = None\nfrom simulator import simulate"
    done = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )

    assert done.stderr.splitlines()[-1] == (
        "ModuleNotFoundError: the simulator needs simpy: pip install 'prism-operator[sim]'"
    )


def test_a_frame_holds_what_was_recorded_and_its_values_last_until_the_next_row() -> None:
    recorder = Recorder()
    for name, values in (
        ("orders.lag", [(2_000_000, 5.0)]),
        ("bills.eu.lag", [(1_000_000, 7.0), (3_000_000, 0.0)]),
        ("nodes.spot", [(0, 4.0)]),
        ("nodes.base", []),
    ):
        for at_us, value in values:
            recorder.series(name).set(at_us, value)
        recorder.series(name)

    frames = Frames(recorder, ["orders", "bills.eu"], 9_000_000)

    assert list(frames) == ["lag", "nodes"]
    lag = frames["lag"]
    assert list(lag.columns) == ["bills.eu", "orders"]
    assert list(lag.index.total_seconds()) == [0, 1, 2, 3, 9]
    assert lag["orders"].tolist() == [0, 0, 5, 5, 5]
    assert lag["bills.eu"].tolist() == [0, 7, 7, 0, 0]
    assert lag["orders"].loc["2s":"5s"].tolist() == [5, 5]
    assert frames["nodes"].iloc[-1].to_dict() == {"base": 0, "spot": 4}
    with pytest.raises(KeyError, match="there are: lag, nodes"):
        frames["delay"]


def test_a_run_tells_what_was_expected_and_what_happened() -> None:
    run = a_run()

    assert [(e.met, e.why) for e in run.expectations] == [(True, ""), (False, "it is 0 pods")]
    assert not run.passed
    assert run.failures[0].startswith("expected eventually metric: of: invoices.replicas")
    assert {"at", "what", "object"} <= run.events[0].keys()
    assert len(run.event_log.splitlines()) == len(run.events)
    assert run.measure("invoices.replicas.last") == 0
    assert "scale-to-zero 4m" in repr(run)


def test_a_run_from_python_is_the_run_of_the_command() -> None:
    from simulator.run import Simulation

    assert a_run(seed=4).summary.log_hash != a_run(seed=5).summary.log_hash
    path = SCENARIOS / "quickstart.yaml"
    assert simulate(path).summary.log_hash == Simulation(load(path)).run().log_hash


def test_a_scenario_may_be_a_mapping(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    scenario = {
        "question": "?",
        "duration": "1m",
        "cluster": {"pools": {"base": {"count": 2}}},
        "params": {"nodes": {"default": 2, "sets": "cluster.pools.base.count"}},
        "expect": [{"atEnd": {"count": {"of": "Node", "equals": 5}}}],
    }

    assert simulate(scenario, params={"nodes": 5}).passed
    with pytest.raises(BadInputError, match=r'manifest "gone\.yaml" does not exist'):
        simulate({**scenario, "manifests": ["gone.yaml"]})


def test_the_users_own_logging_is_left_as_it_was() -> None:
    before = structlog.get_config()

    a_run()

    assert structlog.get_config() == before


def test_a_policy_scales_in_place_of_the_autoscaler_and_the_operator_follows() -> None:
    run = a_run(Policy(lambda o: 3 if o.elapsed_s < 100 else None, every="20s"))

    assert steps(run) == [("20.000000", 3)]
    replicas = run.frames["replicas"]["invoices"]
    assert replicas.iloc[-1] == 3
    assert run.frames["ready"]["invoices"].iloc[-1] == 3
    assert not any(
        "ScaledObject" in e["object"] or "HorizontalPodAutoscaler" in e["object"]
        for e in run.events
    )


def test_a_policy_sees_its_workload_and_everything_else_as_old_as_it_says() -> None:
    seen: dict[str, list[tuple[float, ...]]] = {"fresh": [], "late": []}

    def look(name: str) -> object:
        def decide(observed: Observed) -> int:
            seen[name].append(
                (
                    observed.elapsed_s,
                    observed["lag"],
                    observed["invoices.lag"],
                    observed["nodes.base"],
                    observed.max("lag", over="30s"),
                    observed.mean("lag", over="30s"),
                    observed.rate("lag", over="30s"),
                )
            )
            return 0

        return decide

    batch = {**SHORT, "timeline": [{"at": "50s", "load": {"of": "invoices", "add": 600}}]}
    for name, delay in (("fresh", "0s"), ("late", "30s")):
        policy = Policy(look(name), every="30s", delay=delay)  # type: ignore[arg-type]
        simulate(INVOICES, settings=batch, policies={PATTERN: policy})

    # 600 came at 50 s: 10 s before the second look. Nobody works on them.
    assert seen["fresh"][1] == (60.0, 600.0, 600.0, 3.0, 600.0, 200.0, 20.0)
    assert seen["late"][1] == (60.0, 0.0, 0.0, 3.0, 0.0, 0.0, 0.0)
    assert seen["late"][2][1:] == seen["fresh"][1][1:]


def test_the_same_policy_gives_the_same_log() -> None:
    def by_lag(observed: Observed) -> int:
        return 1 + int(observed.elapsed_s) % 3

    assert a_run(by_lag).event_log == a_run(by_lag).event_log


@pytest.mark.parametrize(
    ("answer", "complaint"),
    [
        (lambda o: "many", "at 15 s: expected a whole number of replicas, .*; got 'many'"),
        (lambda o: -1, "got -1"),
        (lambda o: 2.5, "got 2.5"),
        (lambda o: float("nan"), "got nan"),
        (lambda o: 10**10, "10000000000 replicas: .*less than or equal to 2147483647"),
        (lambda o: o["length"], 'nothing is recorded as "length" .*invoices.lag'),
        (lambda o: 1 / 0, "failed: ZeroDivisionError: division by zero"),
    ],
)
def test_what_a_policy_may_not_answer_is_said_with_the_time(answer: object, complaint: str) -> None:
    with pytest.raises(
        PolicyError, match=f"^policy for PrismPattern default/invoices.*{complaint}"
    ):
        a_run(answer)


@pytest.mark.parametrize(
    ("policies", "complaint"),
    [
        ({"PrismPattern/other": lambda o: 1}, r"\(there are: PrismPattern/invoices\)"),
        ({"invoices": lambda o: 1}, "expected Kind/name"),
        ({PATTERN: Policy(lambda o: 1, every="0s")}, "expected every above 0s"),
        ({PATTERN: Policy(lambda o: 1, delay="soon")}, "is not a duration such as 15s"),
    ],
)
def test_policies_that_cannot_be_used_are_refused(policies: object, complaint: str) -> None:
    with pytest.raises(BadInputError, match=complaint):
        simulate(INVOICES, policies=policies)  # type: ignore[arg-type]


def test_variants_and_sweeps_are_those_of_the_commands(tmp_path: Path) -> None:
    path = a_file(tmp_path)

    compared = compare(path, variants=[{"crash": "10s", "replicas": 1}], seeds=2)
    assert compared.variants == ("crash=10s,replicas=1",)
    assert [c.metric for c in compared.comparisons] == ["restarts"]
    assert compared.comparisons[0].variant_mean > compared.comparisons[0].baseline_mean
    assert str(compared).startswith("### shop: How many replicas?")

    swept = sweep(path, vary={"replicas": [1, 3]}, minimize=["writes"], seeds=2)
    runs = runs_of(swept)
    assert list(zip(runs["replicas"], runs["seed"], strict=True)) == [
        ("1", 5), ("1", 6), ("3", 5), ("3", 6),
    ]  # fmt: skip
    with pytest.raises(BadInputError, match="seeds: expected 2 or more, got 1"):
        sweep(path, vary={"replicas": [1]}, minimize=["writes"], seeds=1)


def test_a_cluster_is_walked_through() -> None:
    cluster = Cluster(cluster={"pools": {"base": {"count": 4}}}, seed=2)
    assert len(cluster.list("Node")) == 4

    cluster.apply(a_stack())
    assert not cluster.is_ready("PrismStack/shop")
    cluster.wait_ready("PrismStack/shop", within="60s")
    at_s = cluster.elapsed_s
    assert 0 < at_s < 60

    cluster.happen(scale={"target": "Deployment/shop-proxy", "replicas": 5})
    cluster.happen(cordon="base-a-0")
    cluster.advance("1m30s")
    assert cluster.elapsed_s == at_s + 90
    node = cluster.get("Node/base-a-0")
    assert node is not None
    assert node["spec"]["unschedulable"] is True
    node["spec"]["unschedulable"] = False
    assert cluster.get("Node/base-a-0") != node
    assert cluster.get("PrismStack/other") is None
    assert cluster.condition("PrismStack/shop", "Colour") is None
    assert cluster.frames["nodes"]["base"].iloc[-1] == 4
    assert cluster.violations == ()


@pytest.mark.parametrize(
    ("use", "complaint"),
    [
        (lambda c: c.advance("169h"), "the scenario ends at 604800 s"),
        (lambda c: c.advance("a while"), 'expected a duration such as "90s", got "a while"'),
        (lambda c: c.apply("gone.yaml"), "gone.yaml: cannot be read"),
        (lambda c: c.apply({"kind": "Stack"}), "expected one of"),
        (lambda c: c.happen(nodeLoss={}), "nodeLoss: expected exactly one of node, zone, region"),
        (lambda c: c.happen(nodeLoss={"node": "z"}), 'there is no node "z"'),
        (lambda c: c.get("shop"), "expected Kind/name"),
        (lambda c: c.list("Stack"), "expected a kind"),
        (lambda c: c.metric("orders.lag"), 'nothing is recorded as "orders.lag"'),
    ],
)
def test_a_cluster_refuses_what_cannot_be(use: object, complaint: str) -> None:
    with pytest.raises(BadInputError, match=complaint):
        use(Cluster())  # type: ignore[operator]


def test_what_does_not_come_true_in_time_is_an_assertion_that_says_what_was_there() -> None:
    cluster = Cluster(cluster={"pools": {"base": {"count": 0}}})
    cluster.apply(a_stack())

    with pytest.raises(AssertionError, match=r"not within 10s; it is 10 s; Ready is False: .*"):
        cluster.wait_ready("PrismStack/shop", within="10s")
    assert cluster.elapsed_s == 10
