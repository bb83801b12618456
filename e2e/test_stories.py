"""What a user is promised, on a real API server: one story a test."""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from e2e.cluster import Cluster, Json, KubectlError, LocalCluster
from e2e.operator_process import OperatorProcess, operator_command, operator_kubeconfig
from e2e.waiting import eventually, throughout

SAMPLES = Path(__file__).parent.parent / "samples"
StartOperator = Callable[..., OperatorProcess]

REPAIR_S = 2.0
DEEP = bool(os.environ.get("PRISM_DEEP"))
IDLE_S = 120.0 if DEEP else 20.0
# After how many writes the operator is killed.
CRASHES = range(1, 17) if DEEP else (1, 3, 6, 10)
OPERATOR = "prism-operator"


class Stack:
    """One PrismStack and what a user sees of it."""

    def __init__(self, cluster: Cluster, namespace: str, name: str = "shop") -> None:
        self.cluster = cluster
        self.name = name
        self.place = f"--namespace={namespace}"

    def apply(self, **spec: Json | list[Json]) -> Stack:
        """Applies the spec given: a proxy, an admin, patterns, …"""
        manifest = {
            "apiVersion": "prism.io/v1alpha1",
            "kind": "PrismStack",
            "metadata": {"name": self.name},
            "spec": spec,
        }
        self.cluster.kubectl("apply", "--filename=-", self.place, stdin=json.dumps(manifest))
        return self

    def wait_until_ready(self) -> Stack:
        """As a user waits."""
        try:
            wait = ("wait", "--for=condition=Ready", f"prismstack/{self.name}", "--timeout=60s")
            self.cluster.kubectl(*wait, self.place)
        except KubectlError as error:
            status = self.cluster.get("prismstack", self.name, self.place).get("status")
            raise AssertionError(f"{error}; status: {json.dumps(status, indent=1)}") from error
        return self

    def condition(self, kind: str) -> Json:
        status = self.cluster.get("prismstack", self.name, self.place).get("status", {})
        found = [c for c in status.get("conditions", []) if c["type"] == kind]
        assert found, f"no condition {kind} in {status}"
        condition: Json = found[0]
        return condition

    def deployment(self, name: str) -> Json:
        return self.cluster.get("deployment", name, self.place)

    def objects(self) -> list[str]:
        """Names of all that carries the stack's label, pods and ReplicaSets aside."""
        kinds = "deployments,services,serviceaccounts,roles,rolebindings,configmaps,prism"
        listed = self.cluster.kubectl(
            "get", kinds, f"--selector=stack={self.name}", "--output=name", self.place
        )
        return sorted(listed.split())

    def names(self) -> set[str]:
        """The names of what the stack brought about, whatever the kind."""
        return {o.partition("/")[2] for o in self.objects()} - {self.name}


@pytest.fixture
def stack(cluster: Cluster, namespace: str) -> Stack:
    return Stack(cluster, namespace)


PROXY: Json = {"image": "proxy:1", "replicas": 2}
ADMIN: Json = {"image": "admin:1"}
MEMSTORE: Json = {"name": "memory", "type": "keyvalue", "backend": "memstore"}
QUEUE: Json = {"name": "queue", "type": "consumer", "backend": "memstore"}


def sample(name: str) -> list[str]:
    """The arguments that apply a file of samples/."""
    path = SAMPLES / name
    assert path.is_file(), f"{path} is gone; have {sorted(p.name for p in SAMPLES.iterdir())}"
    return ["apply", f"--filename={path}"]


@pytest.fixture
def applied(cluster: Cluster) -> Iterator[Callable[[str], None]]:
    """Applies samples; deletes them at the end."""
    files: list[str] = []

    def apply(name: str) -> None:
        files.append(name)
        eventually(lambda: cluster.kubectl(*sample(name)), within_s=60)

    yield apply
    for name in files:
        cluster.kubectl("delete", f"--filename={SAMPLES / name}", "--wait=false")


def test_quick_start_of_the_memo_becomes_ready_in_default(
    cluster: Cluster, operator: OperatorProcess, applied: Callable[[str], None]
) -> None:
    applied("prism-dev.yaml")

    cluster.kubectl("wait", "--for=condition=Ready", "prismstack/prism-dev", "--timeout=60s")

    everything = cluster.kubectl("get", "all", "--selector=stack=prism-dev", "--output=name")
    for expected in (
        "deployment.apps/prism-dev-proxy",
        "deployment.apps/prism-dev-admin",
        "deployment.apps/keyvalue-memstore",
        "service/prism-dev-proxy",
        "service/prism-dev-admin",
        "service/keyvalue-memstore",
        "pod/prism-dev-proxy-",
    ):
        assert expected in everything
    of_ours = cluster.kubectl("get", "prism")
    assert re.search(r"prismstack.prism.io/prism-dev +True ", of_ours)
    assert re.search(r"prismpattern.prism.io/keyvalue-memstore +True ", of_ours)
    # The memo's name for patterns.
    assert "keyvalue-memstore" in cluster.kubectl("get", "patternrunners")
    events = cluster.kubectl("get", "events", "--field-selector=involvedObject.kind=PrismStack")
    assert "prismstack/prism-dev" in events


def test_first_sample_of_the_memo_becomes_ready_without_its_backends(
    cluster: Cluster, operator: OperatorProcess, applied: Callable[[str], None]
) -> None:
    """Its NATS and PostgreSQL do not exist: that is their health, not the stack's readiness."""
    applied("prism-system.yaml")

    place = "--namespace=prism-system"
    cluster.kubectl("wait", "--for=condition=Ready", "prismstack/prism-dev", "--timeout=60s", place)

    stack = Stack(cluster, "prism-system", "prism-dev")
    assert stack.condition("BackendsHealthy")["status"] != "True"
    assert cluster.get("prismbackends", place)["items"]


def test_all_samples_of_the_memo_are_accepted_together(
    cluster: Cluster, operator: OperatorProcess
) -> None:
    samples = f"--filename={SAMPLES.parent / 'config' / 'samples'}"
    try:
        # An earlier test's namespace of the same name may still be on its way out.
        eventually(lambda: cluster.kubectl("apply", samples), within_s=60)
        cluster.kubectl("wait", "--for=condition=Ready", "prismstack/prism-dev", "--timeout=60s")

        def everything_is_judged() -> None:
            for obj in cluster.get("prism", "--all-namespaces")["items"]:
                conditions = obj.get("status", {}).get("conditions", [])
                reasons = {c["type"]: c["reason"] for c in conditions}
                assert "Ready" in reasons, obj["metadata"]["name"]
                assert "InvalidSpec" not in reasons.values(), obj

        eventually(everything_is_judged)
    finally:
        cluster.kubectl("delete", samples, "--wait=false", "--ignore-not-found")


def test_explain_describes_the_fields(cluster: Cluster) -> None:
    explained = cluster.kubectl("explain", "prismstack.spec.proxy")

    assert "KIND:       PrismStack" in explained
    for field in ("image", "replicas", "autoscaling", "placement"):
        assert re.search(rf"^  {field}\t<", explained, re.MULTILINE)
    assert "<no description>" not in explained


def test_deleted_deployment_comes_back_within_two_seconds(
    stack: Stack, operator: OperatorProcess
) -> None:
    stack.apply(proxy=PROXY).wait_until_ready()
    before = stack.deployment("shop-proxy")["metadata"]["uid"]

    stack.cluster.kubectl("delete", "deployment", "shop-proxy", "--wait=false", stack.place)

    def is_another() -> None:
        assert stack.deployment("shop-proxy")["metadata"]["uid"] != before

    eventually(is_another, within_s=REPAIR_S)
    stack.wait_until_ready()


def test_edited_image_is_set_back_within_two_seconds(
    stack: Stack, operator: OperatorProcess
) -> None:
    stack.apply(proxy=PROXY, patterns=[MEMSTORE]).wait_until_ready()
    for name in ("shop-proxy", "memory"):
        before = _image(stack.deployment(name))

        stack.cluster.kubectl("set", "image", f"deployment/{name}", "*=hacked:1", stack.place)

        def is_set_back(name: str = name, before: str = before) -> None:
            assert _image(stack.deployment(name)) == before

        eventually(is_set_back, within_s=REPAIR_S)


def test_rollout_restart_is_not_undone(stack: Stack, operator: OperatorProcess) -> None:
    stack.apply(proxy=PROXY).wait_until_ready()

    stack.cluster.kubectl("rollout", "restart", "deployment/shop-proxy", stack.place)
    stack.cluster.kubectl(
        "rollout", "status", "deployment/shop-proxy", "--timeout=30s", stack.place
    )

    def still_restarted() -> None:
        template = stack.deployment("shop-proxy")["spec"]["template"]
        assert "kubectl.kubernetes.io/restartedAt" in template["metadata"]["annotations"]

    throughout(still_restarted, for_s=3)
    stack.wait_until_ready()


def test_changed_spec_is_rolled_out(stack: Stack, operator: OperatorProcess) -> None:
    stack.apply(proxy=PROXY).wait_until_ready()

    stack.apply(proxy={"image": "proxy:2", "replicas": 4})
    stack.cluster.kubectl("wait", "--for=condition=Ready=false", "prismstack/shop", stack.place)
    stack.wait_until_ready()

    deployment = stack.deployment("shop-proxy")
    assert _image(deployment) == "proxy:2"
    assert deployment["status"]["availableReplicas"] == 4


def test_pattern_that_leaves_the_stack_takes_its_objects_along(
    stack: Stack, operator: OperatorProcess
) -> None:
    stack.apply(proxy=PROXY, patterns=[MEMSTORE, QUEUE]).wait_until_ready()
    assert "deployment.apps/queue" in stack.objects()

    stack.apply(proxy=PROXY, patterns=[MEMSTORE])

    def queue_is_gone() -> None:
        assert not [name for name in stack.objects() if name.endswith("/queue")]

    eventually(queue_is_gone, within_s=10)
    assert "deployment.apps/memory" in stack.objects()
    assert "prismpattern.prism.io/memory" in stack.objects()


def test_deleted_stack_leaves_nothing(stack: Stack, operator: OperatorProcess) -> None:
    stack.apply(proxy=PROXY, admin=ADMIN, patterns=[MEMSTORE, QUEUE]).wait_until_ready()
    assert len(stack.objects()) >= 12

    stack.cluster.kubectl("delete", "prismstack", "shop", "--timeout=30s", stack.place)

    def nothing_left() -> None:
        everything = "all,serviceaccounts,roles,rolebindings,prism,leases,hpa,pdb,endpointslices"
        listed = stack.cluster.kubectl("get", everything, "--output=name", stack.place)
        assert listed.split() == ["serviceaccount/default"]
        maps = stack.cluster.kubectl("get", "configmaps", "--output=name", stack.place)
        assert maps.split() == ["configmap/kube-root-ca.crt"]

    eventually(nothing_left)


def test_foreign_deployment_is_left_alone_and_said(stack: Stack, operator: OperatorProcess) -> None:
    create = ("create", "deployment", "shop-proxy", "--image=foreign:1")
    stack.cluster.kubectl(*create, stack.place)
    # Its own controller still writes its status; nothing else may change.
    before = _spec_and_owners(stack.deployment("shop-proxy"))

    stack.apply(proxy=PROXY, patterns=[MEMSTORE])

    def conflict_is_said() -> None:
        ready = stack.condition("Ready")
        assert ready["status"] == "False"
        assert ready["reason"] == "NameConflict"
        assert "shop-proxy" in ready["message"]

    eventually(conflict_is_said)
    # The rest goes on.
    stack.cluster.kubectl(
        "wait", "--for=condition=Ready", "prismpattern/memory", "--timeout=30s", stack.place
    )
    stack.cluster.kubectl("delete", "prismstack", "shop", "--timeout=30s", stack.place)
    throughout(
        lambda: _assert_equal(_spec_and_owners(stack.deployment("shop-proxy")), before), for_s=2
    )


def test_adopted_deployment_becomes_ours(stack: Stack, operator: OperatorProcess) -> None:
    """The way back from a restore or ``--cascade=orphan``."""
    stack.apply(proxy=PROXY).wait_until_ready()
    stack.cluster.kubectl("delete", "prismstack", "shop", "--cascade=orphan", stack.place)
    uid = stack.deployment("shop-proxy")["metadata"]["uid"]
    stack.apply(proxy=PROXY)
    eventually(lambda: _assert_equal(stack.condition("Ready")["reason"], "NameConflict"))

    for kind in ("deployment", "service", "poddisruptionbudget"):
        stack.cluster.kubectl("annotate", kind, "shop-proxy", "prism.io/adopt=true", stack.place)

    stack.wait_until_ready()
    assert stack.deployment("shop-proxy")["metadata"]["uid"] == uid


def test_pattern_is_scaled_by_kubectl_and_a_stacks_number_comes_back(
    stack: Stack, operator: OperatorProcess
) -> None:
    alone: Json = {
        "apiVersion": "prism.io/v1alpha1",
        "kind": "PrismPattern",
        "metadata": {"name": "alone"},
        "spec": {"pattern": "keyvalue", "backend": "memstore"},
    }
    stack.cluster.kubectl("apply", "--filename=-", stack.place, stdin=json.dumps(alone))
    stack.apply(proxy=PROXY, patterns=[MEMSTORE]).wait_until_ready()

    for name in ("alone", "memory"):
        stack.cluster.kubectl("scale", "prismpattern", name, "--replicas=3", stack.place)

    def has_replicas(name: str, replicas: int) -> None:
        assert stack.deployment(name)["spec"]["replicas"] == replicas

    eventually(lambda: has_replicas("alone", 3))
    eventually(lambda: has_replicas("memory", 1))


def test_broken_image_keeps_the_stack_from_ready(stack: Stack, operator: OperatorProcess) -> None:
    broken = {"image": "broken:1", "podAnnotations": {"e2e.prism.io/never-ready": "true"}}
    stack.apply(proxy=broken)

    eventually(lambda: _assert_equal(stack.condition("Progressing")["status"], "True"))
    throughout(lambda: _assert_equal(stack.condition("Ready")["status"], "False"), for_s=3)


def test_strict_apply_refuses_what_the_schema_does_not_know(stack: Stack) -> None:
    with pytest.raises(KubectlError, match=r'unknown field "spec\.proxy\.imagge"'):
        stack.apply(proxy={"imagge": "typo:1"})


def test_rule_between_two_fields_is_enforced_without_an_operator(stack: Stack) -> None:
    with pytest.raises(KubectlError, match=r"renewDeadline.*leaseDuration"):
        stack.apply(admin={"leaderElection": {"leaseDuration": "15s", "renewDeadline": "20s"}})


def test_idle_operator_writes_nothing_but_its_lease(
    local_cluster: LocalCluster, stack: Stack, start_operator: StartOperator
) -> None:
    # The end of an earlier test's namespace is work, not idleness.
    eventually(
        lambda: _assert_absent("Terminating", local_cluster.kubectl("get", "namespaces")),
        within_s=60,
    )
    start_operator("--leader-elect")
    stack.apply(proxy=PROXY, admin=ADMIN, patterns=[MEMSTORE, QUEUE]).wait_until_ready()
    settled_s = 3.0
    time.sleep(settled_s)
    before = len(local_cluster.audit_events(OPERATOR))

    time.sleep(IDLE_S)

    written = [_write(event) for event in local_cluster.audit_events(OPERATOR)[before:]]
    assert [w for w in written if not w.endswith(" leases")] == []
    assert written, "the Lease is renewed every few seconds"


def test_killed_operator_converges_after_its_restart(
    local_cluster: LocalCluster, stack: Stack, start_operator: StartOperator
) -> None:
    """Killed after ever more writes, so at another point of the same work each time."""
    everything: dict[str, Json | list[Json]] = {
        "proxy": PROXY,
        "admin": ADMIN,
        "patterns": [MEMSTORE, QUEUE],
    }
    less: dict[str, Json | list[Json]] = {"proxy": {"image": "proxy:2"}, "patterns": [MEMSTORE]}
    names = {"memory", "queue", "shop-admin", "shop-admin-leader-election", "shop-proxy"}
    operator = start_operator()
    stack.apply(**less).wait_until_ready()

    for crash, writes in enumerate(CRASHES):
        already = len(local_cluster.audit_events(OPERATOR))
        spec, expected = [(everything, names), (less, {"memory", "shop-proxy"})][crash % 2]
        stack.apply(**spec)
        deadline_s = time.monotonic() + 2  # the smaller change takes fewer writes
        while (
            len(local_cluster.audit_events(OPERATOR)) < already + writes
            and time.monotonic() < deadline_s
        ):
            time.sleep(0.005)
        operator.kill()

        operator = start_operator()
        stack.wait_until_ready()
        eventually(lambda expected=expected: _assert_equal(stack.names(), expected))  # type: ignore[misc]


def test_of_two_operators_one_writes_and_the_other_takes_over(
    local_cluster: LocalCluster, stack: Stack, start_operator: StartOperator
) -> None:
    first = start_operator("--leader-elect", user="operator-one")
    stack.apply(proxy=PROXY).wait_until_ready()
    start_operator("--leader-elect", user="operator-two")

    def work(image: str) -> None:
        stack.apply(proxy={"image": image})
        eventually(lambda: _assert_equal(_image(stack.deployment("shop-proxy")), image))

    for version in range(2, 5):
        work(f"proxy:{version}")
    assert _writes_of(local_cluster, "operator-one")
    assert _writes_of(local_cluster, "operator-two") == []

    # A graceful end hands the Lease over at once; nobody waits for it to expire.
    assert first.terminate() == 0
    handed_over_s = time.monotonic()
    work("proxy:5")
    assert time.monotonic() - handed_over_s < 10
    written = _writes_of(local_cluster, "operator-one")
    work("proxy:6")
    assert _writes_of(local_cluster, "operator-one") == written
    assert _writes_of(local_cluster, "operator-two")


def test_killed_leader_is_followed_once_its_lease_has_run_out(
    local_cluster: LocalCluster, stack: Stack, start_operator: StartOperator
) -> None:
    leader = start_operator("--leader-elect", user="operator-one")
    stack.apply(proxy=PROXY).wait_until_ready()
    start_operator("--leader-elect", user="operator-two")

    leader.kill()
    stack.apply(proxy={"image": "proxy:2"})

    # leaseDuration 15 s, retryPeriod 2 s with its jitter, and a busy machine
    eventually(
        lambda: _assert_equal(_image(stack.deployment("shop-proxy")), "proxy:2"), within_s=40
    )


def test_api_server_restart_is_survived(
    local_cluster: LocalCluster, stack: Stack, operator: OperatorProcess
) -> None:
    stack.apply(proxy=PROXY).wait_until_ready()

    local_cluster.restart("kube-apiserver")
    stack.apply(proxy={"image": "proxy:2"})

    eventually(lambda: _assert_equal(_image(stack.deployment("shop-proxy")), "proxy:2"))


def test_terminated_operator_ends_with_zero(start_operator: StartOperator) -> None:
    assert start_operator("--leader-elect").terminate() == 0


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["run", "--workers=0"], "workers"),
        (["run", "--no-such-flag"], "--no-such-flag"),
        (["run", "--log-level=loud"], "loud"),
    ],
)
def test_wrong_flag_is_named(cluster: Cluster, arguments: list[str], says: str) -> None:
    assert says in _refusal(cluster.environment(), *arguments)


def test_kubeconfig_that_does_not_exist_is_named(cluster: Cluster) -> None:
    environment = {**cluster.environment(), "KUBECONFIG": "/nowhere/kubeconfig"}

    assert "/nowhere/kubeconfig" in _refusal(environment, "run")


def test_missing_permission_is_named_with_verb_and_resource(local_cluster: LocalCluster) -> None:
    nobody = local_cluster.user_kubeconfig("nobody")

    said = _refusal(local_cluster.environment(nobody), "run")

    assert "list" in said
    assert "prismstacks" in said


def test_cluster_without_the_crds_is_told_what_to_do(tmp_path: Path) -> None:
    with LocalCluster.start(tmp_path, kwok=False, controllers=False, scheduler=False) as bare:
        environment = bare.environment(operator_kubeconfig(bare))

        assert "CRDs are not installed: run make install" in _refusal(environment, "run")


def _refusal(environment: dict[str, str], *arguments: str) -> str:
    """What prism-operator says when it refuses to start: exit code 2, and no traceback."""
    result = subprocess.run(
        operator_command(*arguments), env=environment, capture_output=True, text=True, timeout=60
    )
    output = result.stdout + result.stderr
    assert result.returncode == 2, output
    assert "Traceback" not in output
    return output


def _image(deployment: Json) -> str:
    return str(deployment["spec"]["template"]["spec"]["containers"][0]["image"])


def _spec_and_owners(obj: Json) -> object:
    meta = obj["metadata"]
    kept = ("uid", "labels", "annotations", "ownerReferences")
    # Its Deployment controller annotates the revision.
    annotations = {
        k: v
        for k, v in meta.get("annotations", {}).items()
        if k != "deployment.kubernetes.io/revision"
    }
    return obj["spec"], {**{k: meta.get(k) for k in kept}, "annotations": annotations}


def _write(event: Json) -> str:
    ref = event["objectRef"]
    subresource = f"/{ref['subresource']}" if "subresource" in ref else ""
    return f"{event['verb']} {ref['resource']}{subresource}"


def _writes_of(cluster: LocalCluster, user: str) -> list[str]:
    """Writes other than the Lease's, with which candidates ask for it."""
    written = [_write(event) for event in cluster.audit_events(user)]
    return [w for w in written if not w.endswith(" leases")]


def _assert_equal(actual: object, expected: object) -> None:
    assert actual == expected


def _assert_absent(part: str, whole: str) -> None:
    assert part not in whole
