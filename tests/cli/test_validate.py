"""``validate`` finds offline what the API server would refuse, and says where in the file."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from prism_operator.api.meta import PRISM_RESOURCES, Json, ref_of
from prism_operator.api.structural import completed
from prism_operator.documents import location_of, read_documents
from prism_operator.manifests import Level, read_manifests
from simulator.apiserver.request import Request
from tests.api.builders import a_backend, a_namespace, a_pattern, a_stack
from tests.api.rejections import REJECTIONS, Rejection
from tests.runtime.world import ADMIN, World

from .builders import kubectl_prism

SAMPLES = sorted((Path(__file__).parents[2] / "samples").glob("*.yaml"))
KINDS = {r.kind for r in PRISM_RESOURCES}
STACK = """\
apiVersion: prism.io/v1alpha1
kind: PrismStack
metadata:
  name: shop
spec:
  proxy:
    replicas: 3
"""


def said(*texts: str | bytes) -> list[str]:
    """The findings about files ``1.yaml``, ``2.yaml``, …"""
    sources = [
        (f"{n}.yaml", text if isinstance(text, bytes) else text.encode())
        for n, text in enumerate(texts, 1)
    ]
    return [str(finding) for finding in read_manifests(sources).findings]


def dumped(*objects: Json) -> str:
    return yaml.safe_dump_all(objects, sort_keys=False)


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda path: path.stem)
def test_every_sample_is_valid(sample: Path) -> None:
    assert read_manifests([(sample.name, sample.read_bytes())]).errors == []


@pytest.mark.parametrize("rejection", REJECTIONS, ids=str)
def test_every_rule_is_checked_and_placed(rejection: Rejection) -> None:
    text = dumped(rejection.obj)

    (finding,) = read_manifests([("a.yaml", text.encode())]).errors

    assert (finding.path, finding.message) == (rejection.path, rejection.message)
    # Of a field that is missing, its nearest parent is shown.
    (document,), _ = read_documents(text.encode(), "a.yaml")
    where = location_of(rejection.path)
    assert (finding.line, finding.column) == document.position(where)
    shown = text.splitlines()[finding.line - 1][finding.column - 1 :]
    in_item = any(isinstance(step, int) for step in where)
    assert in_item or any(shown.startswith(f"{step}:") for step in where)


@pytest.mark.parametrize(
    ("text", "finding"),
    [
        (STACK.replace("replicas: 3", "replcas: 3"),
         '1.yaml:7:5: PrismStack default/shop: spec.proxy.replcas: unknown field: did you mean '
         '"replicas"?'),
        (STACK.replace("replicas: 3", "replicas: three"),
         '1.yaml:7:5: PrismStack default/shop: spec.proxy.replicas: "three" is not an integer'),
        (STACK.replace("replicas: 3", "env: [{name: DEBUG, value: yes}]"),
         "1.yaml:7:25: PrismStack default/shop: spec.proxy.env[0].value: true is not a string: "
         "put it in quotes"),
        (STACK.replace("replicas: 3", "env: [{name: A, value: x}, {name: A, value: y}]"),
         "1.yaml:7:33: PrismStack default/shop: spec.proxy.env[1].name: name A is there more than "
         "once, first at spec.proxy.env[0]"),
        (STACK + "    replicas: 4\n",
         '1.yaml:8:5: key "replicas" is there twice, first at line 7, column 5: merge the two, or '
         "remove one"),
        (STACK.replace("PrismStack", "PrismStak"),
         '1.yaml:2:1: PrismStak: kind: "PrismStak" is not one of PrismStack, PrismNamespace, '
         "PrismPattern, PrismBackend"),
        (STACK.replace("v1alpha1", "v1"),
         '1.yaml:1:1: PrismStack: apiVersion: "prism.io/v1" has no PrismStack: expected '
         '"prism.io/v1alpha1"'),
        (STACK.replace("name: shop", "labels: {a: 1}\n  name: shop"),
         "1.yaml:4:12: PrismStack default/shop: metadata.labels.a: 1 is not a string: "
         "put it in quotes"),
        (STACK.replace("  name: shop", "  generateName: shop-"),
         "1.yaml:3:1: PrismStack: metadata.name: is required: kubectl apply needs it, generateName "
         "is for kubectl create"),
        ("- 1\n- 2\n", "1.yaml:1:1: a list is not an object with apiVersion, kind and metadata"),
        ("kind: PrismStack\n", "1.yaml:1:1: apiVersion: is required"),
        ("a: [\n", "1.yaml:2:1: is not YAML: did not find expected node content"),
        (b"a: \xff\n", "1.yaml:1:4: is not UTF-8 text"),
        ("a: &x [*x]\n", "1.yaml:1:4: the alias refers to what it is part of"),
        ("a: !!python/name:os.system x\n",
         "1.yaml:1:4: the tag tag:yaml.org,2002:python/name:os.system is not known"),
        ("[" * 300, "1.yaml:1:201: is nested more than 200 levels deep"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_with_its_place(text: str | bytes, finding: str) -> None:
    assert finding in said(text)


def test_all_problems_are_told_at_once() -> None:
    text = STACK.replace("replicas: 3", "replicas: -1\n    port: 0\n    imagePullPolicy: Sometimes")

    assert [line.partition("spec.proxy.")[2] for line in said(text, "b: {")] == [
        "replicas: -1 is below 0",
        "port: 0 is below 1",
        'imagePullPolicy: "Sometimes" is not one of "Always", "IfNotPresent", "Never"',
        "",
    ]


def test_aliases_that_multiply_are_stopped() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]

    assert "has more than 200000 values, with its aliases" in said("\n".join(lines))[0]


def test_lists_json_and_several_documents_are_read() -> None:
    bad = a_stack(proxy={"replicas": "x"})
    listed = {"apiVersion": "v1", "kind": "List", "items": [a_backend(), bad]}
    as_json = json.dumps(bad, indent="\t")

    assert len(said(dumped(a_pattern(), listed))) == 1
    assert said(as_json)[0].startswith("1.yaml:10:4: PrismStack")


def test_helm_output_with_empty_documents_and_comments_is_read() -> None:
    assert said(f"---\n# Source: shop/templates/x.yaml\n---\n\n---\n{STACK}---\n") == []


@pytest.mark.parametrize(
    ("objects", "finding"),
    [
        ((a_stack(), a_stack(proxy={"replicas": 2})),
         "metadata.name: 1.yaml:4:3 says something else of this object: remove one of the two"),
        ((a_stack(patterns=[{"name": "orders", "type": "consumer", "backend": "memstore"}]),
          a_pattern(name="orders")),
         '"orders" is taken, PrismPattern default/orders at 1.yaml:15:3 has it: '
         "rename one of the two"),
        ((a_stack(name="shop"), a_pattern(name="shop-proxy")),
         'metadata.name: "shop-proxy" is taken, PrismPattern default/shop-proxy at 1.yaml:11:3 has '
         "it: rename one of the two"),
        ((a_namespace(name="a", namespaceId="acme"), a_namespace(name="b", namespaceId="acme")),
         'spec.namespaceId: "acme" is also spec.namespaceId of PrismNamespace default/a at '
         "1.yaml:4:3, on the same proxy: the older of the two wins, the other one says Conflict"),
        ((a_pattern(backendConfig={"name": "redis", "namespace": "data"}),),
         "spec.backendConfig.name: PrismBackend data/redis is in none of these files: the cluster "
         "needs it"),
    ],
)  # fmt: skip
def test_objects_that_do_not_go_together_are_told(objects: tuple[Json, ...], finding: str) -> None:
    (line,) = said(dumped(*objects))

    assert line.endswith(finding)


def test_the_exit_code_counts_problems_but_no_remarks(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good, bad = tmp_path / "good.yaml", tmp_path / "bad.yaml"
    good.write_text(dumped(a_pattern(backendConfig={"name": "redis"})))
    bad.write_text(STACK.replace("3", "three"))

    fine = kubectl_prism("validate", "-f", str(good), capsys=capsys)
    wrong = kubectl_prism("validate", "-f", str(tmp_path), capsys=capsys)
    absent = kubectl_prism("validate", "-f", str(tmp_path / "c.yaml"), capsys=capsys)

    assert (fine.code, fine.out.splitlines()[-1]) == (0, "1 object checked: no problems, 1 remark")
    assert (wrong.code, wrong.out.splitlines()[-1]) == (
        1,
        "2 objects checked: 1 problem, 1 remark",
    )
    assert (absent.code, absent.out) == (2, "")
    assert absent.err.endswith("c.yaml: cannot be read: No such file or directory\n")


def test_json_and_github_say_the_same(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bad = tmp_path / "a,b.yaml"
    bad.write_text(STACK.replace("3", "100%"))

    as_json = kubectl_prism("validate", "-f", str(bad), "-o", "json", capsys=capsys)
    github = kubectl_prism("validate", "-f", str(bad), "-o", "github", capsys=capsys)

    assert json.loads(as_json.out) == {
        "findings": [
            {
                "file": str(bad),
                "line": 7,
                "column": 5,
                "level": "error",
                "object": "PrismStack default/shop",
                "path": "spec.proxy.replicas",
                "message": '"100%" is not an integer',
            }
        ],
        "checked": 1,
        "notChecked": 0,
    }
    assert github.out.splitlines()[0] == (
        f"::error file={tmp_path}/a%2Cb.yaml,line=7,col=5::PrismStack default/shop: "
        'spec.proxy.replicas: "100%25" is not an integer'
    )


# Against the API server


def paths_in(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The places of all values below ``value``."""
    items = value.items() if isinstance(value, dict) else enumerate(value)
    found = []
    for key, below in items:
        found.append((*path, key))
        if isinstance(below, dict | list):
            found += paths_in(below, (*path, key))
    return found


OBJECTS = [
    obj
    for sample in SAMPLES
    for obj in yaml.safe_load_all(sample.read_text())
    if obj and obj["kind"] in KINDS
] + [a_backend(), a_namespace()]

ODD_VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-2, 2**33),
    st.floats(allow_nan=False, allow_infinity=False, width=16),
    st.sampled_from(["", "x" * 300, "A B", "500m", "-1", "10s", "a.b", "ä", "kafka", "Spot"]),
    st.sampled_from([[], {}, [{}], {"name": "x"}, ["a", "a"]]),
)


@st.composite
def mutants(draw: st.DrawFn) -> Json:
    """A good object with one thing changed, removed, added or there twice."""
    obj: Json = copy.deepcopy(draw(st.sampled_from(OBJECTS)))
    *above, last = draw(st.sampled_from(paths_in(obj["spec"], ("spec",))))
    parent: Any = obj
    for step in above:
        parent = parent[step]
    match draw(st.sampled_from(["change", "remove", "add", "twice"])):
        case "change":
            parent[last] = draw(ODD_VALUES)
        case "remove":
            del parent[last]
        case "add" if isinstance(parent, dict):
            parent[draw(st.sampled_from(["foo", "name", "replicas", "value", "config"]))] = draw(
                ODD_VALUES
            )
        case _ if isinstance(parent, list):
            parent.append(copy.deepcopy(parent[last]))
    return obj


@settings(max_examples=150, deadline=None, derandomize=True)
@given(mutants())
def test_what_the_api_server_refuses_is_found_and_what_it_takes_is_not(obj: Json) -> None:
    obj["metadata"]["namespace"] = "default"
    # As kubectl sends what stands in a file: a float that is a whole number is an integer.
    obj = read_documents(dumped(obj).encode(), "f")[0][0].value
    ref = ref_of(obj)
    request = Request(
        "POST", ref.resource.path(ref.namespace), {"fieldValidation": "Strict"}, {}, obj, ADMIN
    )

    response = SHARED.server.handle(request)
    found = said(dumped(obj))

    errors = [line for line in found if ": remark: " not in line]
    if response.status == 201:
        SHARED.delete(ref)
        stored = response.body
        assert isinstance(stored, dict)
        assert errors == []
        assert completed(obj)["spec"] == stored["spec"]
    else:
        assert errors, response.body


SHARED = World()


@settings(max_examples=150, deadline=None, derandomize=True)
@given(st.binary(max_size=200))
def test_no_bytes_make_it_fail(content: bytes) -> None:
    for finding in read_manifests([("f", content)]).findings:
        assert str(finding)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(
    st.sampled_from(SAMPLES),
    st.lists(st.tuples(st.integers(0, 10_000), st.binary(max_size=3)), min_size=1, max_size=3),
)
def test_no_damage_to_a_file_makes_it_fail(sample: Path, damage: list[tuple[int, bytes]]) -> None:
    content = sample.read_bytes()
    for at, put in damage:
        at %= len(content)
        content = content[:at] + put + content[at + 1 :]

    for finding in read_manifests([("f", content)]).findings:
        assert finding.level in Level
        assert finding.line >= 1
