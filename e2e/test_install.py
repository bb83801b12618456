"""Installed as the guide says, the operator does its work with exactly the rights it is given."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from e2e.cluster import OPERATOR_ACCOUNT, Json, LocalCluster
from e2e.operator_process import OperatorProcess, account_kubeconfig, operator_command
from e2e.waiting import eventually
from prism_operator import __version__, rbac
from prism_operator.runtime import certificates

ROOT = Path(__file__).parent.parent
CONFIG = ROOT / "config"
MANAGER = "prism-operator-controller-manager"
SYSTEM = "--namespace=prism-system"
MARK = "app.kubernetes.io/managed-by"

SHOP: Json = {
    "proxy": {
        "image": "proxy:1",
        "replicas": 2,
        "autoscaling": {"minReplicas": 2, "maxReplicas": 3, "targetCPUUtilizationPercentage": 70},
    },
    "admin": {"image": "admin:1"},
    "patterns": [
        {"name": "queue", "type": "consumer", "backend": "memstore", "config": {"size": 1}}
    ],
    "backends": [
        {
            "name": "cache",
            "type": "cache",
            "provider": "redis",
            "connectionString": "redis://cache:6379",
        }
    ],
    "namespaces": [{"name": "tenant", "namespaceId": "tenant"}],
}
CHILDREN = (
    "deployments,services,serviceaccounts,roles,rolebindings,configmaps,"
    "poddisruptionbudgets,horizontalpodautoscalers,prismpatterns,prismbackends,prismnamespaces"
)

# What the operator may do and did not do in this run: (role, resource, verb) and why it stays.
UNSEEN = {
    ("ClusterRole", "prismstacks", "get"): "looked at after a write met another stack of its name",
    ("ClusterRole", "prismstacks/finalizers", "update"): "asked by an admission plugin, no request",
    ("ClusterRole", "prismpatterns/finalizers", "update"): "likewise",
    ("ClusterRole", "leases", "get"): "held to be given to admins' Roles",
    ("ClusterRole", "leases", "create"): "likewise",
    ("ClusterRole", "leases", "update"): "likewise",
    ("ClusterRole", "events", "patch"): "a repeat is counted after a minute",
    ("ClusterRole", "secrets", "get"): "no object of this run refers to a Secret",
    ("Role", "secrets", "update"): "the webhook's certificate is renewed after two months",
    **{
        ("ClusterRole", kind, verb): "its CRD is not installed in this run, only asked for"
        for kind in ("scaledobjects", "triggerauthentications", "podmonitors")
        for verb in ("get", "watch", "create", "patch", "delete")
    },
}
# What the Roles in the operator's own namespace are for. A create may not tell the name.
OWN = {
    (resource, name)
    for resource, *only in (
        ("leases", rbac.LEASE_NAME),
        ("secrets", rbac.HASH_KEY_NAME, certificates.SECRET_NAME),
    )
    for name in (None, *only)
}


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCluster]:
    """A cluster of its own with all of config/default, as ``kubectl apply -k`` installs it."""
    with LocalCluster.start(tmp_path_factory.mktemp("cluster"), audit=True) as cluster:
        cluster.kubectl("apply", f"--kustomize={CONFIG / 'default'}", "--validate=strict")
        cluster.wait_for_crds("crd", "--all")
        yield cluster


@pytest.fixture
def account(installed: LocalCluster, tmp_path: Path) -> Path:
    """A kubeconfig with a token of the installed ServiceAccount."""
    return account_kubeconfig(installed, MANAGER, "prism-system", tmp_path / "kubeconfig")


def run_as(cluster: LocalCluster, account: Path, *flags: str) -> OperatorProcess:
    log = account.with_name("operator.log")
    lease = "--leader-elect-namespace=prism-system"
    return OperatorProcess(cluster, log, lease, *flags, kubeconfig=account)


def test_the_manager_is_admitted_as_restricted_and_scheduled(installed: LocalCluster) -> None:
    wait = ("wait", "--for=condition=Available", f"deployment/{MANAGER}", "--timeout=60s")
    installed.kubectl(*wait, SYSTEM)

    namespace = installed.get("namespace", "prism-system")
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    (pod,) = installed.get("pods", SYSTEM)["items"]
    (manager,) = pod["spec"]["containers"]
    assert manager["name"] == "manager"
    assert manager["image"].endswith(f":v{__version__}")
    assert pod["spec"]["serviceAccountName"] == MANAGER


@pytest.mark.parametrize("folder", ["crd/bases", "rbac"])
def test_the_folders_can_be_applied_as_they_are(installed: LocalCluster, folder: str) -> None:
    installed.kubectl("apply", f"--filename={CONFIG / folder}", "--validate=strict")


def test_the_manager_s_flags_are_accepted_by_the_operator(installed: LocalCluster) -> None:
    deployment = installed.get("deployment", MANAGER, SYSTEM)
    (manager,) = deployment["spec"]["template"]["spec"]["containers"]

    flags = [*manager["args"], "--zap-log-level=debug", "--kubeconfig=/nowhere"]
    result = subprocess.run(
        operator_command("run", *flags), capture_output=True, text=True, timeout=60
    )

    assert "/nowhere" in result.stderr.splitlines()[-1]


def test_people_get_our_kinds_with_kubernetes_own_roles(installed: LocalCluster) -> None:
    for role, verb, allowed in (
        ("view", "list", True),
        ("view", "create", False),
        ("edit", "create", True),
        ("admin", "delete", True),
    ):
        place = ("--namespace=default",)
        binding = ("create", "rolebinding", f"{role}-{verb}", f"--clusterrole={role}")
        installed.kubectl(*binding, f"--user={role}-{verb}", *place)
        for kind in ("prismstacks", "prismpatterns", "prismbackends", "prismnamespaces"):
            question = ("auth", "can-i", verb, f"{kind}.prism.io", f"--as={role}-{verb}", *place)

            def answered(question: tuple[str, ...] = question, expected: bool = allowed) -> None:
                answer = installed.kubectl(*question, check=False).splitlines()[0]
                assert answer == ("yes" if expected else "no"), question

            eventually(answered)


def test_the_installed_account_does_all_with_exactly_the_rights_it_has(
    installed: LocalCluster, account: Path
) -> None:
    can_i = ("auth", "can-i", "create", "deployments", f"--as={OPERATOR_ACCOUNT}")
    assert installed.kubectl(*can_i).strip() == "yes"

    with run_as(installed, account, "--webhook-bind-address=127.0.0.1:0") as operator:
        operator.wait_until_ready()
        _quick_start_is_ready_and_repaired(installed)
        _everything_is_made_mended_and_deleted(installed)
        assert operator.terminate() == 0
        assert "orbidden" not in operator.log
        assert '"Released the lease' in operator.log.replace('": "', '":"')

    used = _used(installed)
    granted = _granted(installed)
    assert used - granted == set()
    assert granted - used == set(UNSEEN)


def test_roles_in_a_namespace_are_enough_to_watch_it(
    installed: LocalCluster, account: Path, tmp_path: Path
) -> None:
    installed.kubectl("delete", "clusterrolebinding", "prism-operator-manager-rolebinding")
    installed.kubectl("create", "namespace", "team-a")
    command = operator_command("rbac", "--watch-namespaces=team-a")
    roles = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    installed.kubectl("apply", "--filename=-", "--validate=strict", stdin=roles)

    try:
        with run_as(installed, account, "--watch-namespaces=team-a") as operator:
            operator.wait_until_ready()
            _apply_shop(installed, "team-a", SHOP)
            _wait_until_ready(installed, "shop", "team-a")
            forbidden = [line for line in operator.log.splitlines() if "orbidden" in line]
        # Nodes are out of reach, and said to be, once.
        assert len(forbidden) == 1, forbidden
        assert "Cannot watch nodes" in forbidden[0]
    finally:
        installed.kubectl("delete", "--filename=-", stdin=roles)
        installed.kubectl("apply", f"--filename={CONFIG / 'rbac'}")


def test_make_deploy_sets_the_image_and_undeploy_leaves_what_is_not_the_operator(
    installed: LocalCluster,
) -> None:
    stack = ("prismstack", "left", "--namespace=default")
    manifest = {
        "apiVersion": "prism.io/v1alpha1",
        "kind": "PrismStack",
        "metadata": {"name": "left", "namespace": "default"},
        "spec": {},
    }
    installed.kubectl("apply", "--filename=-", stdin=json.dumps(manifest))

    _make(installed, "deploy", "IMG=registry.example.com/prism-operator:dev")
    deployment = installed.get("deployment", MANAGER, SYSTEM)
    (manager,) = deployment["spec"]["template"]["spec"]["containers"]
    assert manager["image"] == "registry.example.com/prism-operator:dev"

    _make(installed, "undeploy")
    gone = "deployments,serviceaccounts,roles,rolebindings,clusterroles,clusterrolebindings"
    ours = ("--all-namespaces", "--selector=app.kubernetes.io/name=prism-operator")
    assert installed.kubectl("get", gone, *ours, "--output=name") == ""
    assert len(installed.get("crd")["items"]) == 4
    assert installed.get(*stack)["metadata"]["name"] == "left"
    assert installed.get("namespace", "prism-system")["status"]["phase"] == "Active"
    _make(installed, "undeploy")  # again: nothing to do is no error


def _quick_start_is_ready_and_repaired(cluster: LocalCluster) -> None:
    cluster.kubectl("apply", f"--filename={ROOT / 'samples' / 'quickstart.yaml'}")
    _wait_until_ready(cluster, "prism-quickstart", "default")
    name = ("deployment", "prism-quickstart-proxy", "--namespace=default")
    before = cluster.get(*name)["metadata"]["uid"]
    cluster.kubectl("delete", *name)

    def is_back() -> None:
        assert cluster.get(*name)["metadata"]["uid"] != before

    eventually(is_back)


def _everything_is_made_mended_and_deleted(cluster: LocalCluster) -> None:
    cluster.kubectl("create", "namespace", "shop")
    place = ("--namespace=shop", "--selector=stack=shop")
    _apply_shop(cluster, "shop", SHOP)
    _wait_until_ready(cluster, "shop", "shop")
    made = _kinds(cluster.kubectl("get", CHILDREN, "--output=name", *place))
    assert len(made) == len(CHILDREN.split(",")), made

    cluster.kubectl("label", CHILDREN, f"{MARK}=somebody", "--overwrite", *place)
    stolen = ("--namespace=shop", f"--selector=stack=shop,{MARK}=somebody")

    def is_mended() -> None:
        assert cluster.kubectl("get", CHILDREN, "--output=name", *stolen, check=False) == ""

    eventually(is_mended)

    pattern = {k: v for k, v in SHOP["patterns"][0].items() if k != "config"}
    _apply_shop(cluster, "shop", {"proxy": SHOP["proxy"], "patterns": [pattern]})
    _without(cluster, place, "serviceaccount", "role.", "configmap", "prismbackend", "namespace")
    _apply_shop(cluster, "shop", {"proxy": {"image": "proxy:1"}})
    _without(cluster, place, "prismpattern", "poddisruptionbudget", "horizontalpodautoscaler")


def _without(cluster: LocalCluster, place: tuple[str, ...], *kinds: str) -> None:
    def are_gone() -> None:
        left = cluster.kubectl("get", CHILDREN, "--output=name", *place)
        assert not [kind for kind in kinds if kind in left], left

    eventually(are_gone)


def _kinds(names: str) -> set[str]:
    return {name.partition("/")[0] for name in names.split()}


def _apply_shop(cluster: LocalCluster, namespace: str, spec: Json) -> None:
    manifest = {
        "apiVersion": "prism.io/v1alpha1",
        "kind": "PrismStack",
        "metadata": {"name": "shop", "namespace": namespace},
        "spec": spec,
    }
    cluster.kubectl("apply", "--filename=-", stdin=json.dumps(manifest))


def _wait_until_ready(cluster: LocalCluster, name: str, namespace: str) -> None:
    wait = ("wait", "--for=condition=Ready", f"prismstack/{name}", "--timeout=60s")
    cluster.kubectl(*wait, f"--namespace={namespace}")


def _used(cluster: LocalCluster) -> set[tuple[str, str, str]]:
    """Each verb on a resource that the account asked for, with the kind of the role that says so.

    What happens to the operator's own Lease and key is what the Roles are for.
    """
    used = set()
    for event in cluster.audit_events(OPERATOR_ACCOUNT):
        target = event.get("objectRef")
        if target is None:
            continue
        assert event["responseStatus"]["code"] != 403, event
        resource = target["resource"] + (
            f"/{target['subresource']}" if "subresource" in target else ""
        )
        own = (resource, target.get("name")) in OWN and target["namespace"] == "prism-system"
        used.add(("Role" if own else "ClusterRole", resource, event["verb"]))
    return used


def _granted(cluster: LocalCluster) -> set[tuple[str, str, str]]:
    roles = [
        cluster.get("clusterrole", "prism-operator-manager-role"),
        cluster.get("role", "prism-operator-leader-election-role", SYSTEM),
        cluster.get("role", "prism-operator-hash-key-role", SYSTEM),
        cluster.get("role", "prism-operator-webhook-role", SYSTEM),
    ]
    return {
        (role["kind"], resource, verb)
        for role in roles
        for rule in role["rules"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


def _make(cluster: LocalCluster, *arguments: str) -> None:
    environment = {k: v for k, v in os.environ.items() if k != "MAKEFLAGS"}
    folder = cluster.link_kubectl().parent
    environment |= {
        "KUBECONFIG": str(cluster.kubeconfig),
        "PATH": f"{folder}:{environment.get('PATH', '')}",
    }
    result = subprocess.run(
        ["make", *arguments], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120
    )
    assert result.returncode == 0, result.stdout + result.stderr
