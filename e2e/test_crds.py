"""The CRDs on a real API server: what it accepts, what it refuses and with which words."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from pykube import HTTPClient, KubeConfig

from e2e.cluster import Cluster, KubectlError
from e2e.waiting import eventually
from prism_operator.api.crd import build_crds
from prism_operator.api.meta import PRISM_RESOURCES, Resource, resource_of
from prism_operator.api.validation import parse
from tests.api.builders import a_backend, a_namespace, a_pattern, a_stack
from tests.api.quantity_table import KEPT_AS_WRITTEN, QUANTITIES
from tests.api.rejections import REJECTED_CHANGES, REJECTIONS, Rejection

ROOT = Path(__file__).parent.parent
SAMPLES = sorted((ROOT / "samples").glob("*.yaml"))


@pytest.fixture(scope="module")
def server(cluster: Cluster) -> HTTPClient:
    """The API server without kubectl, whose every start costs more than a hundred requests."""
    return HTTPClient(KubeConfig.from_file(str(cluster.kubeconfig)))


def dry_run(server: HTTPClient, obj: dict[str, Any]) -> dict[str, Any]:
    """What the API server makes of an object, or why it does not take it; nothing is stored."""
    resource = resource_of(obj)
    answer = server.session.post(
        server.url + resource.path(obj["metadata"]["namespace"]),
        params={"dryRun": "All", "fieldValidation": "Strict"},
        json=obj,
        timeout=30,
    )
    result: dict[str, Any] = answer.json()
    return result


def in_namespace(obj: dict[str, Any], namespace: str) -> dict[str, Any]:
    return {**obj, "metadata": {**obj["metadata"], "namespace": namespace}}


@pytest.mark.parametrize("resource", PRISM_RESOURCES, ids=lambda r: r.kind)
def test_crd_is_established_with_all_its_names(cluster: Cluster, resource: Resource) -> None:
    crd = cluster.get("customresourcedefinition", f"{resource.plural}.{resource.group}")

    conditions = {c["type"]: c["status"] for c in crd["status"]["conditions"]}
    assert conditions["Established"] == "True"
    assert conditions["NamesAccepted"] == "True"
    assert "NonStructuralSchema" not in conditions
    assert crd["status"]["acceptedNames"]["categories"] == ["prism"]


def test_client_side_apply_takes_the_crds(cluster: Cluster) -> None:
    for folder in ("crds", "config/crd/bases"):
        applied = cluster.kubectl("apply", "--dry-run=server", f"--filename={ROOT / folder}")
        assert applied.count("customresourcedefinition.apiextensions.k8s.io/prism") == 4


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.stem)
def test_sample_is_accepted_with_strict_validation(
    cluster: Cluster, namespace: str, path: Path
) -> None:
    # In a namespace of the test: a dry run does not make the one that the sample brings.
    objects = [
        obj if obj["kind"] == "Namespace" else in_namespace(obj, namespace)
        for obj in yaml.safe_load_all(path.read_text())
    ]

    flags = ("--dry-run=server", "--validate=strict", "--filename=-")
    applied = cluster.kubectl("apply", *flags, stdin=yaml.safe_dump_all(objects))

    assert applied.count("(server dry run)") == len(objects)


@pytest.mark.parametrize("rejection", REJECTIONS, ids=str)
def test_rule_rejects_with_the_text_of_the_offline_check(
    server: HTTPClient, rejection: Rejection
) -> None:
    answer = dry_run(server, rejection.obj)

    assert answer["reason"] == "Invalid"
    (cause,) = answer["details"]["causes"]
    assert cause["field"] == rejection.path
    assert rejection.message in cause["message"]


@pytest.mark.parametrize(("before", "rejection"), REJECTED_CHANGES, ids=lambda value: str(value))
def test_change_is_rejected_with_the_reason(
    cluster: Cluster, namespace: str, before: dict[str, Any], rejection: Rejection
) -> None:
    stored = json.dumps(in_namespace(before, namespace))
    changed = json.dumps(in_namespace(rejection.obj, namespace))
    cluster.kubectl("create", "--filename=-", stdin=stored)

    with pytest.raises(KubectlError) as refused:
        cluster.kubectl(
            "apply", "--server-side", "--force-conflicts", "--filename=-", stdin=changed
        )

    assert f"{rejection.path}: " in str(refused.value)
    assert rejection.message in str(refused.value)


@pytest.fixture
def lenient_crds(cluster: Cluster, server: HTTPClient) -> Iterator[Callable[[], None]]:
    """CRDs without a single rule, as of a time before there were any; gives the way back."""

    def without_rules(schema: Any) -> Any:
        if isinstance(schema, dict):
            return {
                key: without_rules(inner)
                for key, inner in schema.items()
                if key != "x-kubernetes-validations"
            }
        return [without_rules(inner) for inner in schema] if isinstance(schema, list) else schema

    def apply(crds: Iterable[Any]) -> None:
        texts = yaml.safe_dump_all(crds)
        cluster.kubectl("apply", "--server-side", "--force-conflicts", "--filename=-", stdin=texts)

    def refuses(expected: bool) -> None:
        broken = in_namespace(a_backend(provider="redis"), "default")
        assert (dry_run(server, broken)["kind"] == "Status") is expected

    strict = build_crds()
    apply([without_rules(crd) for crd in strict])
    eventually(lambda: refuses(False))

    def restore() -> None:
        apply(strict)
        eventually(lambda: refuses(True))

    yield restore
    apply(strict)


def test_objects_older_than_a_rule_can_still_be_worked_with(
    cluster: Cluster, namespace: str, lenient_crds: Callable[[], None]
) -> None:
    url = {"url": "redis://me:hunter2@redis:6379"}
    old = in_namespace(a_backend(provider="redis", connection=url), namespace)
    tolerations = [{"key": "a", "operator": "Exists", "value": "b"}]
    pattern = in_namespace(a_pattern(placement={"tolerations": tolerations}), namespace)
    where = f"--namespace={namespace}"
    cluster.kubectl("create", "--filename=-", stdin=yaml.safe_dump_all([old, pattern]))

    lenient_crds()

    cluster.kubectl("annotate", "pbackend/backend", "a=b", where)
    finalizer = '{"metadata":{"finalizers":["prism.io/provisioned"]}}'
    cluster.kubectl("patch", "pbackend/backend", "--type=merge", f"--patch={finalizer}", where)
    cluster.kubectl("scale", "prismpattern/pattern", "--replicas=3", where)
    status = '{"status":{"phase":"Running"}}'
    for kind in ("pbackend/backend", "ppattern/pattern"):
        patch = ("patch", kind, "--subresource=status", "--type=merge", f"--patch={status}", where)
        cluster.kubectl(*patch)
    edit = '{"spec":{"connection":{"url":"redis://me:hunter2@other:6379"}}}'
    with pytest.raises(KubectlError, match="holds a user name or password"):
        cluster.kubectl("patch", "pbackend/backend", "--type=merge", f"--patch={edit}", where)
    none = '{"metadata":{"finalizers":null}}'
    cluster.kubectl("patch", "pbackend/backend", "--type=merge", f"--patch={none}", where)


def test_namespace_of_a_stack_keeps_its_id(cluster: Cluster, namespace: str) -> None:
    def stack(**ids: str) -> str:
        namespaces = [{"name": name, "namespaceId": ident} for name, ident in ids.items()]
        return json.dumps(in_namespace(a_stack(namespaces=namespaces), namespace))

    cluster.kubectl("create", "--filename=-", stdin=stack(acme="acme", beta="beta"))

    with pytest.raises(KubectlError, match="namespaceId cannot change"):
        cluster.kubectl("replace", "--filename=-", stdin=stack(acme="acme-prod", beta="beta"))
    # Items are told apart by name: others may come and go.
    cluster.kubectl("replace", "--filename=-", stdin=stack(gamma="gamma", beta="beta"))


@pytest.mark.parametrize(
    ("obj", "complaint"),
    [
        (a_stack(proxy={"replica": 2}), 'unknown field "spec.proxy.replica"'),
        (
            a_stack(proxy={"placement": {"affinity": {"podAffinty": {}}}}),
            'unknown field "spec.proxy.placement.affinity.podAffinty"',
        ),
        (a_stack(proxy={"autoscaling": {"scaler": "vpa"}}), 'supported values: "hpa", "keda"'),
        (a_stack(proxy={"port": 0}), "should be greater than or equal to 1"),
        (a_stack(proxy={"env": [{"name": "A"}, {"name": "A"}]}), "Duplicate value"),
        (
            a_stack(patterns=[{"name": "a", "type": "t", "backend": "b"}] * 2),
            "Duplicate value",
        ),
        (a_pattern(resources={"requests": {"cpu": "banana"}}), "should match"),
        (a_pattern(resources={"requests": {"cpu": "-500m"}}), "should match"),
        (
            a_pattern(placement={"tolerations": [{"key": "a", "operator": "In"}]}),
            'supported values: "Exists", "Equal"',
        ),
        (
            a_pattern(strategy={"type": "OnDelete"}),
            'supported values: "RollingUpdate", "Recreate"',
        ),
        (a_backend(type="blockchain"), 'supported values: "messaging", "database"'),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_schema_rejects_what_is_misspelt(
    server: HTTPClient, obj: dict[str, Any], complaint: str
) -> None:
    answer = dry_run(server, obj)

    assert answer["reason"] in ("Invalid", "BadRequest")
    assert complaint in answer["message"]


@pytest.mark.parametrize(
    "obj",
    [
        a_stack(admin={}, observability={}),
        a_pattern(service={}, autoscaling={"maxReplicas": 2, "triggers": [{"type": "kafka"}]}),
        a_backend(connection={"secretRef": {"name": "s"}}),
        a_namespace(),
    ],
    ids=lambda obj: obj["kind"],
)
def test_stored_object_reads_as_what_was_applied(server: HTTPClient, obj: dict[str, Any]) -> None:
    stored = dry_run(server, obj)

    assert parse(stored).spec == parse(obj).spec
    if obj["kind"] == "PrismStack":
        assert stored["spec"]["proxy"] == {
            "podDisruptionBudget": {"enabled": True, "maxUnavailable": 1},
            "port": 9090,
            "replicas": 1,
            "service": {"type": "ClusterIP"},
        }


def test_free_form_settings_are_kept_as_they_are(server: HTTPClient) -> None:
    settings = {"maxKeys": 10000, "nested": {"ttl": "1h", "list": [1, "a", {"b": None}]}}
    pattern = a_pattern(config=settings, backendConfig={"kafka": settings})

    stored = dry_run(server, copy.deepcopy(pattern))

    assert stored["spec"]["config"] == settings
    assert stored["spec"]["backendConfig"] == {"kafka": settings}


def test_quantities_come_back_in_canonical_form(server: HTTPClient) -> None:
    containers = [
        {"name": f"q{index}", "image": "i", "resources": {"limits": {"cpu": text}}}
        for index, text in enumerate([*(text for text, _, _ in QUANTITIES), *KEPT_AS_WRITTEN])
    ]
    labels = {"app": "quantities"}
    deployment = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "quantities", "namespace": "default"},
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": containers}},
        },
    }

    stored = dry_run(server, deployment)

    returned = [
        container["resources"]["limits"]["cpu"]
        for container in stored["spec"]["template"]["spec"]["containers"]
    ]
    assert returned == [*(canonical for _, _, canonical in QUANTITIES), *KEPT_AS_WRITTEN]


def test_explain_tells_what_every_field_means(cluster: Cluster) -> None:
    proxy = cluster.kubectl("explain", "prismstack.spec.proxy")
    for line in (
        "The proxy. One replica with all defaults when not given.",
        "port\t<integer>",
        "Port the proxy listens on.",
        "placement\t<Object>",
        "Where the proxies run.",
        "resources\t<Object>",
    ):
        assert line in proxy
    strategy = cluster.kubectl("explain", "pstack.spec.proxy.placement.strategy")
    assert "ENUM:\n    MultiZone\n    MultiRegion\n    DedicatedNodes\n" in strategy
    deep = cluster.kubectl(
        "explain", "prismstack.spec.patterns.runnerSpec.affinity.nodeAffinity", "--recursive"
    )
    assert "matchExpressions" in deep


def test_get_prism_lists_all_four_kinds_in_columns(cluster: Cluster, namespace: str) -> None:
    objects = [
        in_namespace(o, namespace) for o in (a_stack(), a_pattern(), a_backend(), a_namespace())
    ]
    cluster.kubectl("create", "--filename=-", stdin=yaml.safe_dump_all(objects))
    where = f"--namespace={namespace}"

    listed = cluster.kubectl("get", "prism", where)
    wide = cluster.kubectl("get", "ppattern", where, "--output=wide")
    by_memo_name = cluster.kubectl("get", "patternrunners", where)

    headings = [" ".join(line.split()) for line in listed.splitlines() if "NAME" in line]
    assert headings == [
        "NAME READY PHASE PROVIDER HEALTHY AGE",
        "NAME READY PHASE ID PROXY AGE",
        "NAME READY PHASE PATTERN BACKEND REPLICAS AVAILABLE AGE",
        "NAME READY PHASE COMPONENTS PROXIES AGE",
    ]
    assert "keyvalue" in by_memo_name
    assert "REASON" in wide


def test_pattern_scales_like_a_deployment(cluster: Cluster, namespace: str) -> None:
    cluster.kubectl(
        "create", "--filename=-", stdin=json.dumps(in_namespace(a_pattern(), namespace))
    )
    where = f"--namespace={namespace}"

    cluster.kubectl("scale", "prismpattern/pattern", "--replicas=3", where)

    assert cluster.get("prismpattern/pattern", where)["spec"]["replicas"] == 3
    scale = cluster.kubectl("get", "prismpattern/pattern", "--subresource=scale", where)
    assert scale.split()[-4:-1] == ["pattern", "3", "0"]
