"""The Helm chart on a real API server: what it renders, and what a release goes through."""

from __future__ import annotations

import json
import shutil
from base64 import b64decode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from e2e.build import downloaded
from e2e.cluster import Json, KubectlError, LocalCluster, free_ports
from e2e.helm_cli import CHART, ROOT, Helm, HelmError
from e2e.operator_process import OperatorProcess, account_kubeconfig
from e2e.waiting import eventually
from prism_operator.cli.main import main as operator_main

CERT_MANAGER = "github.com/cert-manager/cert-manager@v1.19.1"
PROMETHEUS_OPERATOR = "github.com/prometheus-operator/prometheus-operator@v0.85.0"
MANAGER = "prism-operator-controller-manager"
NAMESPACE = "prism-system"
SYSTEM = f"--namespace={NAMESPACE}"
RELEASE = ("prism-operator", str(CHART), SYSTEM)
RELEASE_BYTES_MAX = 1024 * 1024  # of a Secret

STACK: Json = {
    "apiVersion": "prism.io/v1alpha1",
    "kind": "PrismStack",
    "metadata": {"name": "shop", "namespace": "default"},
    "spec": {
        "proxy": {"image": "proxy:1"},
        "patterns": [{"name": "orders", "type": "consumer", "backend": "memstore"}],
    },
}

MONITORED: Json = {
    "metrics": {
        "serviceMonitor": {"enabled": True, "labels": {"release": "prometheus"}},
        "prometheusRule": {"enabled": True, "alertLabels": {"team": "data"}},
        "dashboard": {"enabled": True, "annotations": {"grafana_folder": "Prism"}},
    }
}
VALUES: dict[str, Json] = {
    "default": {},
    "monitored": MONITORED,
    "available": {
        "replicas": 3,
        "podDisruptionBudget": {"enabled": True, "maxUnavailable": "50%"},
        "topologySpreadConstraints": [
            {
                "maxSkew": 1,
                "topologyKey": "topology.kubernetes.io/zone",
                "whenUnsatisfiable": "DoNotSchedule",
            }
        ],
        "affinity": {
            "podAntiAffinity": {
                "preferredDuringSchedulingIgnoredDuringExecution": [
                    {
                        "weight": 1,
                        "podAffinityTerm": {
                            "topologyKey": "kubernetes.io/hostname",
                            "labelSelector": {"matchLabels": {"control-plane": "x"}},
                        },
                    }
                ]
            }
        },
        "priorityClassName": "system-cluster-critical",
        "nodeSelector": {"kubernetes.io/os": "linux"},
        "tolerations": [{"key": "infra", "operator": "Exists"}],
    },
    "certified": {
        "watchNamespaces": ["default"],
        "webhook": {"certManager": {"enabled": True}, "failurePolicy": "Fail", "timeoutSeconds": 5},
        "extraVolumes": [{"name": "tmp", "emptyDir": {}}],
    },
    "certified by the company": {
        "webhook": {"certManager": {"enabled": True, "issuerRef": {"name": "ca", "kind": "Issuer"}}}
    },
    "sharded": {"shard": "blue", "crds": {"install": False}},
    "closed": {
        "watchNamespaces": ["default", "kube-public"],
        "networkPolicy": {
            "enabled": True,
            "metricsFrom": [{"namespaceSelector": {"matchLabels": {"name": "monitoring"}}}],
            "egress": [{"ports": [{"port": 443}, {"port": 53, "protocol": "UDP"}]}],
        },
        "serviceAccount": {"create": False, "name": "existing"},
        "crds": {"install": False},
    },
    "customised": {
        "image": {"repository": "registry.example.com/prism", "digest": f"sha256:{'0' * 64}"},
        "imagePullSecrets": [{"name": "registry"}],
        "nameOverride": "data",
        "commonLabels": {"team": "data"},
        "podLabels": {"sidecar.istio.io/inject": "false"},
        "podAnnotations": {"note": "a: b # c"},
        "operands": {"runnerImage": "registry.example.com/{pattern}:1", "proxyImage": "p:1"},
        "allowPrivilegedPlacement": True,
        "backends": {"check": False, "deniedCidrs": ["10.0.0.0/8", "fd00::/8"]},
        "extraArgs": ["--leader-elect-namespace=other"],
        "extraEnv": [{"name": "HTTPS_PROXY", "value": "http://proxy:3128"}],
        "extraVolumes": [{"name": "tmp", "emptyDir": {}}],
        "extraVolumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],  # noqa: S108
        "serviceAccount": {"name": "prism", "annotations": {"iam": "role"}},
        "metrics": {"enabled": False},
        "leaderElection": {"enabled": False},
        "rbac": {"create": False},
        "logLevel": "debug",
        "logFormat": "console",
    },
}


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCluster]:
    """A cluster of its own, with kinds of the Prometheus operator and of cert-manager."""
    monitoring = downloaded(PROMETHEUS_OPERATOR) / "example" / "prometheus-operator-crd"
    certificates = downloaded(CERT_MANAGER) / "deploy" / "crds"
    crds = (
        monitoring / "monitoring.coreos.com_servicemonitors.yaml",
        monitoring / "monitoring.coreos.com_prometheusrules.yaml",
        certificates / "cert-manager.io_certificates.yaml",
        certificates / "cert-manager.io_issuers.yaml",
    )
    with LocalCluster.start(tmp_path_factory.mktemp("cluster")) as cluster:
        cluster.install_crds(*crds)
        cluster.kubectl("create", "namespace", NAMESPACE)
        enforce = "pod-security.kubernetes.io/enforce=restricted"
        cluster.kubectl("label", "namespace", NAMESPACE, enforce)
        yield cluster


@pytest.fixture(scope="module")
def helm(cluster: LocalCluster, tmp_path_factory: pytest.TempPathFactory) -> Helm:
    return Helm(tmp_path_factory.mktemp("helm"), cluster)


@pytest.fixture
def released(cluster: LocalCluster, helm: Helm) -> Iterator[Helm]:
    """The release prism-operator, installed as the guide says; gone again at the end."""
    helm("install", *RELEASE, "--wait", "--timeout=90s")
    yield helm
    _remove_everything(cluster, helm)


def test_the_chart_passes_helms_own_strict_check(helm: Helm) -> None:
    printed = helm("lint", "--strict", str(CHART))

    assert "1 chart(s) linted, 0 chart(s) failed" in printed
    assert "[WARNING]" not in printed


@pytest.mark.parametrize("values", VALUES.values(), ids=VALUES)
def test_the_api_server_accepts_all_that_is_rendered(
    cluster: LocalCluster, helm: Helm, values: Json
) -> None:
    objects = helm.template(values=values)

    assert objects
    _dry_run(cluster, objects)
    (deployment,) = (obj for obj in objects if obj["kind"] == "Deployment")
    template = deployment["spec"]["template"]
    # Enforcement is about pods; for a Deployment there would be a warning only.
    account = {"serviceAccountName": "default"}
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {**template["metadata"], "name": "manager", "namespace": NAMESPACE},
        "spec": {**template["spec"], **account},
    }
    _dry_run(cluster, [pod])


@pytest.mark.parametrize("values", VALUES.values(), ids=VALUES)
def test_the_operator_accepts_the_flags_that_are_rendered(
    helm: Helm, values: Json, capsys: pytest.CaptureFixture[str]
) -> None:
    (manager,) = _pod(helm.template(values=values))["containers"]

    with pytest.raises(SystemExit) as ended:
        operator_main(["run", *manager["args"], "--kubeconfig=/nowhere"])

    assert ended.value.code == 2
    assert "/nowhere" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        ({"image": {"tagg": "v1"}}, "at '/image': additional properties 'tagg' not allowed"),
        ({"loglevel": "debug"}, "additional properties 'loglevel' not allowed"),
        ({"replicas": "two"}, "at '/replicas': got string, want integer"),
        ({"logLevel": "loud"}, "at '/logLevel': value must be one of 'debug', 'info'"),
        ({"watchNamespaces": "team-a"}, "at '/watchNamespaces': got string, want array"),
        ({"watchNamespaces": ["Team"]}, "at '/watchNamespaces/0': 'Team' does not match"),
        ({"nodeSelector": {"spot": True}}, "at '/nodeSelector/spot': got boolean, want string"),
        ({"image": {"digest": "v1"}}, "at '/image/digest': 'v1' does not match"),
        ({"shard": "Blue"}, "at '/shard': 'Blue' does not match"),
        (
            {"shard": "blue", "leaderElection": {"enabled": False}},
            "shard: blue needs leaderElection.enabled=true",
        ),
        (
            {"replicas": 2, "leaderElection": {"enabled": False}},
            "replicas: 2 operators without leader election would undo each other's work",
        ),
    ],
)
def test_a_wrong_value_is_refused_with_its_place_and_what_was_expected(
    helm: Helm, values: Json, complaint: str
) -> None:
    with pytest.raises(HelmError) as refused:
        helm.template(values=values)

    assert complaint in str(refused.value)


def test_the_chart_installs_what_kustomize_installs(cluster: LocalCluster, helm: Helm) -> None:
    printed = cluster.kubectl("kustomize", str(ROOT / "config" / "default"))
    kustomized = _by_name(yaml.load_all(printed, yaml.CSafeLoader))
    rendered = _by_name(helm.template())

    # Helm makes it when asked to (--create-namespace), and cannot label it.
    del kustomized["Namespace", NAMESPACE]
    assert rendered.keys() == kustomized.keys()
    for key, obj in rendered.items():
        assert _without_what_is_helms(obj) == _without_what_is_helms(kustomized[key]), key


def test_an_installed_release_is_ready_and_does_its_work_with_the_chart_s_rights(
    cluster: LocalCluster, released: Helm, tmp_path: Path
) -> None:
    status = json.loads(released("status", "prism-operator", SYSTEM, "--output=json"))
    assert status["info"]["status"] == "deployed"
    assert "installed in prism-system" in status["info"]["notes"]
    (pod,) = cluster.get("pods", SYSTEM)["items"]
    assert pod["status"]["phase"] == "Running"

    _apply(cluster, STACK)
    with _operator(cluster, tmp_path) as operator:
        _wait_until_ready(cluster)
        assert "orbidden" not in operator.log


def test_the_chart_s_rights_let_the_operator_certify_its_webhook(
    cluster: LocalCluster, released: Helm, tmp_path: Path
) -> None:
    (port,) = free_ports(1)
    flags = (f"--webhook-bind-address=127.0.0.1:{port}",)

    def is_trusted() -> None:
        configuration = "prism-validating-webhook-configuration"
        (webhook,) = cluster.get("validatingwebhookconfiguration", configuration)["webhooks"]
        assert webhook["clientConfig"].get("caBundle")

    with _operator(cluster, tmp_path, *flags) as operator:
        eventually(is_trusted)
        assert cluster.get("secret", "webhook-server-cert", SYSTEM)["type"] == "kubernetes.io/tls"
        assert "orbidden" not in operator.log
    released("upgrade", *RELEASE, "--set=logLevel=debug", "--wait")
    is_trusted()


@pytest.mark.parametrize(
    ("values", "is_there"),
    [
        ({}, True),
        ({"webhook": {"enabled": False}}, False),
        ({"shard": "blue"}, False),
        ({"watchNamespaces": ["default"]}, False),
        (VALUES["certified"], True),
    ],
)
def test_there_is_a_webhook_where_somebody_can_certify_it(
    helm: Helm, values: Json, is_there: bool
) -> None:
    objects = helm.template(values=values)

    kinds = {obj["kind"] for obj in objects}
    assert ("ValidatingWebhookConfiguration" in kinds) is is_there
    served = [a for a in _pod(objects)["containers"][0]["args"] if "webhook-bind" in a]
    assert served == (["--webhook-bind-address=:9443"] if is_there else [])


def test_a_release_fits_into_its_secret_with_room_to_grow(
    cluster: LocalCluster, released: Helm
) -> None:
    (release,) = cluster.get("secrets", SYSTEM, "--selector=owner=helm")["items"]

    size = len(b64decode(release["data"]["release"]))
    assert size < RELEASE_BYTES_MAX / 2, f"{size} bytes of {RELEASE_BYTES_MAX}"


def test_roles_in_the_watched_namespaces_are_enough(
    cluster: LocalCluster, helm: Helm, tmp_path: Path
) -> None:
    helm("install", *RELEASE, "--set=watchNamespaces={default}")
    try:
        assert not [n for n in _ours(cluster, "clusterroles", "clusterrolebindings") if n]
        _apply(cluster, STACK)
        with _operator(cluster, tmp_path, "--watch-namespaces=default") as operator:
            _wait_until_ready(cluster)
            forbidden = [line for line in operator.log.splitlines() if "orbidden" in line]
        assert len(forbidden) == 1, forbidden
        assert "Cannot watch nodes" in forbidden[0]
    finally:
        _remove_everything(cluster, helm)


def test_a_shard_is_a_second_release_with_its_own_lease(
    cluster: LocalCluster, released: Helm, tmp_path: Path
) -> None:
    blue = ("prism-operator-blue", str(CHART), SYSTEM)
    released("install", *blue, "--set=shard=blue,crds.install=false", "--wait")
    try:
        labelled = {**STACK["metadata"], "labels": {"prism.io/shard": "blue"}}
        _apply(cluster, {**STACK, "metadata": labelled})
        account = "prism-operator-blue-controller-manager"
        with _operator(cluster, tmp_path, "--shard=blue", account=account) as operator:
            _wait_until_ready(cluster)
            assert "orbidden" not in operator.log
        leases = cluster.kubectl("get", "leases", SYSTEM, "--output=name").split()
        assert "lease.coordination.k8s.io/prism-operator-leader-blue" in leases
    finally:
        released("uninstall", "prism-operator-blue", SYSTEM, "--wait")


def test_an_upgrade_brings_new_crds_and_keeps_values_and_a_rollback_brings_the_old_image(
    cluster: LocalCluster, helm: Helm, tmp_path: Path
) -> None:
    older = _an_older_chart(tmp_path)
    helm("install", "prism-operator", str(older), SYSTEM, "--set=workers=3")
    try:
        assert "description" not in _proxy_schema(cluster)
        _apply(cluster, STACK)
        shop = ("prismstack", "shop", "--namespace=default")
        before = cluster.get(*shop)["spec"]

        helm("upgrade", *RELEASE, "--set=logLevel=debug", "--reuse-values", "--wait")

        assert _proxy_schema(cluster)["description"]
        arguments = _manager(cluster)["args"]
        assert {"--workers=3", "--log-level=debug"} <= set(arguments)
        assert _manager(cluster)["image"].endswith(":v0.1.0")

        helm("rollback", "prism-operator", "1", SYSTEM, "--wait")

        assert _manager(cluster)["image"].endswith(":v0.0.9")
        assert "--log-level=info" in _manager(cluster)["args"]
        assert cluster.get(*shop)["spec"] == before
    finally:
        _remove_everything(cluster, helm)


def test_crds_and_stacks_survive_an_uninstallation_and_are_taken_up_again(
    cluster: LocalCluster, helm: Helm, tmp_path: Path
) -> None:
    helm("install", *RELEASE)
    try:
        _apply(cluster, STACK)
        with _operator(cluster, tmp_path):
            _wait_until_ready(cluster)
        made = _children(cluster)
        assert made

        helm("uninstall", "prism-operator", SYSTEM, "--wait")

        assert not _ours(cluster, "deployments", "serviceaccounts", "roles", "clusterroles")
        assert len(_ours_crds(cluster)) == 4
        assert _children(cluster) == made

        helm("install", *RELEASE, "--wait")
        with _operator(cluster, tmp_path):
            _wait_until_ready(cluster)
        assert _children(cluster) == made
    finally:
        _remove_everything(cluster, helm)


def test_a_release_takes_over_what_kubectl_installed_only_when_told_to(
    cluster: LocalCluster, helm: Helm
) -> None:
    config = f"--kustomize={ROOT / 'config' / 'default'}"
    cluster.kubectl("apply", config)
    try:
        with pytest.raises(HelmError, match="exists and cannot be imported"):
            helm("install", *RELEASE)
        # The Deployment's selector says which release it belongs to, and cannot change.
        cluster.kubectl("delete", "deployment", MANAGER, SYSTEM)
        helm("install", *RELEASE, "--take-ownership", "--force-conflicts")
        assert _manager(cluster)["name"] == "manager"
        helm("upgrade", *RELEASE, "--set=logLevel=debug")
        assert len(_ours_crds(cluster)) == 4
    finally:
        _remove_everything(cluster, helm)


def _an_older_chart(folder: Path) -> Path:
    """The chart as a release before this one might have been: without a description in a CRD."""
    chart = folder / "prism-operator"
    shutil.copytree(CHART, chart)
    metadata = yaml.safe_load((chart / "Chart.yaml").read_text())
    metadata |= {"version": "0.0.9", "appVersion": "v0.0.9"}
    (chart / "Chart.yaml").write_text(yaml.safe_dump(metadata))
    path = chart / "files" / "crds" / "prism.io_prismstacks.yaml"
    crd = yaml.load(path.read_text(), yaml.CSafeLoader)
    del _proxy_schema_of(crd)["description"]
    path.write_text(json.dumps(crd))
    return chart


def _proxy_schema(cluster: LocalCluster) -> Json:
    return _proxy_schema_of(cluster.get("crd", "prismstacks.prism.io"))


def _proxy_schema_of(crd: Json) -> Json:
    schema = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    proxy: Json = schema["properties"]["spec"]["properties"]["proxy"]
    return proxy


def _dry_run(cluster: LocalCluster, objects: list[Json]) -> None:
    """Raises KubectlError when the API server would refuse one of them."""
    listed = {"apiVersion": "v1", "kind": "List", "items": objects}
    strictly = ("--server-side", "--dry-run=server", "--validate=strict", "--filename=-")
    cluster.kubectl("apply", *strictly, stdin=json.dumps(listed))


def _pod(objects: list[Json]) -> Json:
    (deployment,) = (obj for obj in objects if obj["kind"] == "Deployment")
    spec: Json = deployment["spec"]["template"]["spec"]
    return spec


def _manager(cluster: LocalCluster) -> Json:
    deployment = cluster.get("deployment", MANAGER, SYSTEM)
    container: Json
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    return container


def _apply(cluster: LocalCluster, manifest: Json) -> None:
    def applied() -> None:  # the kinds are served a moment after they were made
        cluster.kubectl("apply", "--filename=-", stdin=json.dumps(manifest))

    eventually(applied)


def _operator(
    cluster: LocalCluster, folder: Path, *flags: str, account: str = MANAGER
) -> OperatorProcess:
    """The operator with the installed account's rights: KWOK's nodes run no containers."""
    kubeconfig = account_kubeconfig(cluster, account, NAMESPACE, folder / "kubeconfig")
    lease = f"--leader-elect-namespace={NAMESPACE}"
    operator = OperatorProcess(cluster, folder / "log", lease, *flags, kubeconfig=kubeconfig)
    return operator.wait_until_ready()


def _wait_until_ready(cluster: LocalCluster) -> None:
    place = "--namespace=default"
    try:
        # In a whole run 60 s were too short once, and what it waited for is not known.
        cluster.kubectl(
            "wait", "--for=condition=Ready", "prismstack/shop", place, "--timeout=180s",
            timeout_s=200,
        )  # fmt: skip
    except KubectlError as error:
        there = cluster.kubectl(
            "get", "prism,deployments,pods,events", place, "-o=yaml", check=False
        )
        raise AssertionError(f"{error}\n{there}") from error


def _children(cluster: LocalCluster) -> dict[str, str]:
    kinds = "deployments,services,prismpatterns"
    listed = cluster.get(kinds, "--namespace=default", "--selector=stack=shop")["items"]
    return {f"{o['kind']} {o['metadata']['name']}": o["metadata"]["uid"] for o in listed}


def _ours(cluster: LocalCluster, *kinds: str) -> list[str]:
    selector = "--selector=app.kubernetes.io/name=prism-operator"
    return cluster.kubectl(
        "get", ",".join(kinds), "--all-namespaces", selector, "--output=name"
    ).split()


def _ours_crds(cluster: LocalCluster) -> list[str]:
    names = cluster.kubectl("get", "crds", "--output=name").split()
    return [name for name in names if name.endswith(".prism.io")]


def _remove_everything(cluster: LocalCluster, helm: Helm) -> None:
    """As the guide says, so that the next test finds an empty cluster."""
    if _ours_crds(cluster):
        cluster.kubectl("delete", "prismstacks", "--all", "--all-namespaces")
    helm("uninstall", "prism-operator", SYSTEM, "--ignore-not-found", "--wait")
    if _ours_crds(cluster):
        # Soon after an upgrade and a rollback of a CRD the server takes its time.
        cluster.kubectl("delete", *_ours_crds(cluster), timeout_s=300)
    everything = "deployments,services,serviceaccounts,roles,rolebindings"
    selector = "--selector=app.kubernetes.io/name=prism-operator"
    cluster.kubectl("delete", everything, selector, SYSTEM)
    cluster.kubectl(
        "delete", "clusterroles,clusterrolebindings,validatingwebhookconfigurations", selector
    )


_HELMS_LABELS = (
    "app.kubernetes.io/instance",
    "app.kubernetes.io/managed-by",
    "app.kubernetes.io/version",
    "helm.sh/chart",
)


def _by_name(objects: Any) -> dict[tuple[str, str], Json]:
    return {(obj["kind"], obj["metadata"]["name"]): obj for obj in objects if obj}


def _without_what_is_helms(obj: Json) -> Json:
    """An object less what differs by intention between the chart and kustomize."""
    obj = json.loads(json.dumps(obj))
    if obj["kind"] == "CustomResourceDefinition":
        obj["metadata"].pop("annotations", None)  # helm.sh/resource-policy: keep
    for labels in _labels_of(obj):
        for label in _HELMS_LABELS:
            labels.pop(label, None)
    if obj["kind"] == "Deployment":
        (manager,) = obj["spec"]["template"]["spec"]["containers"]
        # Values of the chart, that kustomize leaves at the operator's defaults.
        stated = (
            *("--log-level=info", "--log-format=json", "--workers=8"),
            "--webhook-service-name=prism-operator-webhook-service",
        )
        manager["args"] = sorted(a for a in manager["args"] if a not in stated)
    return {**obj, "metadata": {k: v for k, v in obj["metadata"].items() if v != {}}}


def _labels_of(obj: Json) -> Iterator[Json]:
    yield obj["metadata"].get("labels", {})
    spec = obj.get("spec", {})
    if obj["kind"] == "Deployment":
        yield spec["selector"]["matchLabels"]
        yield spec["template"]["metadata"]["labels"]
    if obj["kind"] == "Service":
        yield spec["selector"]
