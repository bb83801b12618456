"""``kubectl prism explain``, ``status`` and ``report`` on a real API server."""

from __future__ import annotations

import io
import json
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from e2e.cluster import Cluster, Json, LocalCluster
from e2e.operator_process import OperatorProcess, operator_kubeconfig
from e2e.plugin import PLUGIN, Prism, a_stack
from e2e.waiting import eventually

NEVER_READY = {"e2e.prism.io/never-ready": "true"}
CANARY = "c4nary7secret"


@pytest.fixture
def prism(local_cluster: LocalCluster, namespace: str) -> Prism:
    """The tests know the nodes of the local cluster, and say what its kubelets do not."""
    return Prism(local_cluster, namespace)


@pytest.fixture(scope="module")
def operator(
    cluster: Cluster, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[OperatorProcess]:
    """One for all tests here: none of them does it any harm."""
    if not cluster.has_controllers:
        pytest.skip("needs controllers and nodes; KUBEBUILDER_ASSETS has only an API server")
    log = tmp_path_factory.mktemp("operator") / "operator.log"
    kubeconfig = operator_kubeconfig(cluster)
    with OperatorProcess(cluster, log, "--no-leader-elect", kubeconfig=kubeconfig) as running:
        yield running.wait_until_ready()


def test_ready_is_said_and_ends_with_0(prism: Prism, operator: OperatorProcess) -> None:
    prism.apply(spec=a_stack())
    prism.kubectl("wait", "--for=condition=Ready", "prismstack/shop", "--timeout=60s")

    ran = prism("explain", "shop", prism.place)

    assert ran.returncode == 0
    assert ran.stdout == f"PrismStack {prism.namespace}/shop is Ready.\n"


def test_pods_that_no_node_takes_are_the_cause(prism: Prism, operator: OperatorProcess) -> None:
    prism.apply(spec=a_stack(placement={"nodeSelector": {"disk": "ssd"}}))

    prism.says("is not Ready: no node takes 2 of 2 pods of Deployment shop-proxy: 0/3 nodes are")
    ran = prism("explain", "shop", prism.place)
    assert ran.returncode == 1
    assert "didn't match Pod's node affinity/selector" in ran.stdout
    assert f"kubectl edit prismstack shop -n {prism.namespace}" in ran.stdout


def test_a_cordoned_node_is_named(prism: Prism, operator: OperatorProcess) -> None:
    prism.cluster.kubectl("cordon", "node-a")
    try:
        where = {"nodeSelector": {"topology.kubernetes.io/zone": "zone-a"}}
        prism.apply(spec=a_stack(placement=where))

        prism.says("is not Ready: no node takes 2 of 2 pods of Deployment shop-proxy")
        assert "kubectl uncordon node-a" in prism("explain", "shop", prism.place).stdout
    finally:
        prism.cluster.kubectl("uncordon", "node-a")


def test_requests_larger_than_any_node_are_the_cause(
    prism: Prism, operator: OperatorProcess
) -> None:
    prism.apply(spec=a_stack(resources={"requests": {"cpu": "500"}}))

    prism.says("is not Ready: spec.proxy: requests more than any of the 3 nodes it may use has")


def test_an_exceeded_quota_is_the_cause(prism: Prism, operator: OperatorProcess) -> None:
    prism.apply("ResourceQuota", "few", apiVersion="v1", spec={"hard": {"pods": "1"}})
    prism.apply(spec=a_stack(replicas=3))

    prism.says(
        "is not Ready: 2 of 3 pods of Deployment shop-proxy cannot be created: "
        "ResourceQuota few is used up: requested pods=1, used pods=1 of pods=1"
    )


@pytest.mark.parametrize(
    ("resources", "why"),
    [
        (
            {"limits": {"cpu": "100m"}},
            "a LimitRange refuses its resources: maximum cpu usage per Container is 50m",
        ),
        # The LimitRange's maximum is its default limit, too.
        (
            {"requests": {"cpu": "100m"}},
            "it requests cpu 100m, more than its limit of 50m (which a LimitRange sets",
        ),
    ],
    ids=["limit", "request"],
)
def test_a_limit_range_is_the_cause(
    prism: Prism, operator: OperatorProcess, resources: Json, why: str
) -> None:
    limit = {"type": "Container", "max": {"cpu": "50m"}}
    prism.apply("LimitRange", "small", apiVersion="v1", spec={"limits": [limit]})
    prism.apply(spec=a_stack(resources=resources))

    prism.says(f"is not Ready: 2 of 2 pods of Deployment shop-proxy cannot be created: {why}")


def test_the_pod_security_standard_is_the_cause(prism: Prism, operator: OperatorProcess) -> None:
    enforce = "pod-security.kubernetes.io/enforce=restricted"
    prism.cluster.kubectl("label", "namespace", prism.namespace, enforce)
    prism.apply(spec=a_stack(securityContext={"allowPrivilegeEscalation": True}))

    prism.says(
        "is not Ready: 2 of 2 pods of Deployment shop-proxy cannot be created: "
        "the namespace admits only pods of the standard restricted: allowPrivilegeEscalation"
    )


def test_a_missing_service_account_is_the_cause(prism: Prism, operator: OperatorProcess) -> None:
    prism.apply(spec=a_stack(serviceAccountName="nobody"))

    prism.says(
        "is not Ready: 2 of 2 pods of Deployment shop-proxy cannot be created: "
        "ServiceAccount nobody does not exist"
    )


def test_a_webhook_that_does_not_answer_is_the_cause(
    prism: Prism, operator: OperatorProcess
) -> None:
    webhook = {
        "name": "pods.example.com",
        "failurePolicy": "Fail",
        "sideEffects": "None",
        "admissionReviewVersions": ["v1"],
        "clientConfig": {"url": "https://127.0.0.1:1/"},
        "rules": [
            {
                "apiGroups": [""],
                "apiVersions": ["v1"],
                "resources": ["pods"],
                "operations": ["CREATE"],
            }
        ],
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": prism.namespace}},
    }
    manifest = {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": f"dead-{prism.namespace}"},
        "webhooks": [webhook],
    }
    kubectl = prism.cluster.kubectl
    kubectl("apply", "--filename=-", stdin=json.dumps(manifest))
    try:
        prism.apply(spec=a_stack())

        prism.says(
            "is not Ready: 2 of 2 pods of Deployment shop-proxy cannot be created: "
            "the admission webhook pods.example.com cannot be called: "
        )
    finally:
        kubectl("delete", "validatingwebhookconfiguration", f"dead-{prism.namespace}")


def test_a_foreign_deployment_is_the_cause(prism: Prism, operator: OperatorProcess) -> None:
    prism.kubectl("create", "deployment", "shop-proxy", "--image=foreign:1")
    prism.apply(spec=a_stack())

    prism.says(
        "is not Ready: a name it needs is taken: "
        f"Deployment {prism.namespace}/shop-proxy exists and is not ours"
    )


def test_a_pause_is_the_cause(prism: Prism, operator: OperatorProcess) -> None:
    prism.apply(spec=a_stack())
    prism.kubectl("wait", "--for=condition=Ready", "prismstack/shop", "--timeout=60s")
    prism.kubectl("annotate", "prismstack", "shop", "prism.io/paused=true")
    prism.apply(spec=a_stack(image="proxy:2"))

    prism.says("is not Ready: it is paused: annotation prism.io/paused on this object")


@pytest.mark.parametrize(
    ("state", "first"),
    [
        (
            {"waiting": {"reason": "ImagePullBackOff", "message": "Back-off"}},
            'image "proxy:1" of container prism-proxy cannot be pulled (ImagePullBackOff)',
        ),
        (
            {
                "waiting": {
                    "reason": "CreateContainerConfigError",
                    "message": 'secret "db" not found',
                }
            },
            "container prism-proxy cannot be created: Secret db does not exist",
        ),
        (
            {"terminated": {"exitCode": 137, "reason": "OOMKilled"}},
            "container prism-proxy is killed for using more memory than its node has",
        ),
    ],
    ids=["image", "secret", "memory"],
)
def test_what_a_kubelet_says_is_the_cause(
    prism: Prism, operator: OperatorProcess, state: Json, first: str
) -> None:
    """KWOK starts no containers, so the test says what a kubelet would."""
    prism.apply(spec=a_stack(podAnnotations=NEVER_READY))

    def pods_are_there() -> None:
        assert len(prism.pods()) == 2

    eventually(pods_are_there)
    status = {
        "name": "prism-proxy",
        "image": "proxy:1",
        "imageID": "",
        "ready": False,
        "restartCount": 1,
        "state": state,
    }
    patch = json.dumps({"status": {"containerStatuses": [status]}})
    for pod in prism.pods():
        prism.kubectl("patch", pod, "--subresource=status", "--type=merge", f"--patch={patch}")

    prism.says(f"is not Ready: {first}")


def test_what_a_user_may_not_read_is_said(
    local_cluster: LocalCluster, prism: Prism, operator: OperatorProcess
) -> None:
    prism.apply(spec=a_stack(placement={"nodeSelector": {"disk": "ssd"}}))
    prism.says("is not Ready: no node takes")
    role = ("create", "role", "reader", "--verb=get,list", "--resource=prismstacks.prism.io")
    prism.kubectl(*role)
    prism.kubectl("create", "rolebinding", "reader", "--role=reader", "--user=reader")
    prism.kubeconfig = local_cluster.user_kubeconfig("reader")

    first = prism.first_line()

    assert first.startswith("is not Ready: the cause is not known, because it cannot be read: ")
    assert f"pods in namespace {prism.namespace}: no permission to list pods" in first


def test_bad_targets_are_one_line_and_2(prism: Prism) -> None:
    ran = prism("explain", "pstack/none", prism.place)

    assert (ran.returncode, ran.stdout) == (2, "")
    assert ran.stderr == (
        f'kubectl prism: no PrismStack "none" in namespace {prism.namespace}; '
        "see kubectl get prism -A\n"
    )


def test_programs_read_the_same(prism: Prism, operator: OperatorProcess) -> None:
    prism.apply(spec=a_stack(serviceAccountName="nobody"))
    prism.says("is not Ready: 2 of 2 pods")

    told = json.loads(prism("explain", "shop", prism.place, "--output=json").stdout)

    assert told["ready"] == "False"
    assert told["cause"]["reason"] == "ServiceAccountMissing"


def test_status_tells_where_the_pods_lie(prism: Prism, operator: OperatorProcess) -> None:
    pattern = {"name": "orders", "type": "consumer", "backend": "memstore"}
    prism.apply(
        spec={**a_stack(replicas=3, placement={"strategy": "MultiZone"}), "patterns": [pattern]}
    )
    prism.kubectl("wait", "--for=condition=Ready", "prismstack/shop", "--timeout=60s")

    lines = prism("status", "shop", prism.place).stdout.splitlines()

    assert lines[0].startswith(f"PrismStack {prism.namespace}/shop  Running  Ready=True  ")
    assert lines[1].split() == [
        "COMPONENT", "READY", "SCALER", "ZONES", "NODES", "BUDGET", "AGE"
    ]  # fmt: skip
    proxy = lines[2].split()
    assert proxy[:6] == ["proxy", "3/3", "-", "zone-a:1", "zone-b:1", "zone-c:1"]
    assert lines[3].split()[:3] == ["pattern", "orders", "1/1"]
    (told,) = json.loads(prism("status", prism.place, "--output=json").stdout)
    assert told["parts"][0]["zones"] == "zone-a:1 zone-b:1 zone-c:1"


def test_status_goes_on_until_it_is_ended(prism: Prism, operator: OperatorProcess) -> None:
    prism.apply(spec=a_stack())
    prism.kubectl("wait", "--for=condition=Ready", "prismstack/shop", "--timeout=60s")
    command = [str(PLUGIN), "status", "--watch", "--interval=0.5", prism.place]
    environment = prism.cluster.environment()
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as watching:
        try:
            assert watching.stdout is not None
            assert "Ready=True" in watching.stdout.readline()
            prism.apply(spec=a_stack(replicas=4))
            while "4/4" not in watching.stdout.readline():
                assert watching.poll() is None
        finally:
            watching.kill()


def test_report_is_complete_and_holds_no_secret(
    prism: Prism, operator: OperatorProcess, tmp_path: Path
) -> None:
    literal = f"--from-literal=password={CANARY}"
    prism.kubectl("create", "secret", "generic", "db", literal)
    env = [{"name": "DB_PASSWORD", "value": CANARY}]
    prism.apply(spec=a_stack(env=env, serviceAccountName="nobody"))
    prism.says("is not Ready: 2 of 2 pods")
    path = tmp_path / "report.tar.gz"

    ran = prism("report", f"--output={path}", prism.place)

    assert ran.returncode == 0, ran.stderr
    assert path.stat().st_mode & 0o077 == 0
    files: dict[str, str] = {}
    with tarfile.open(path) as archive:
        for member in archive.getmembers():
            content = archive.extractfile(member)
            assert content is not None
            files[member.name.partition("/")[2]] = io.TextIOWrapper(content).read()
    assert CANARY not in "".join(files.values())
    assert "ServiceAccount nobody does not exist" in files["explain.txt"]
    assert "prismstacks.prism.io" in files["crds.yaml"]
    assert "zone-a" in files["nodes.yaml"]
    assert f"objects/{prism.namespace}/Deployment/shop-proxy.yaml" in files
    assert "FailedCreate" in files["events.txt"]
