"""What the operator may do: one table, from which the check at start and the manifests come."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from prism_operator import generated, rbac
from prism_operator.api.meta import LEASE, NODE, SECRET, VALIDATING_WEBHOOK_CONFIGURATION, Json
from prism_operator.permissions import GRANTS
from prism_operator.planning.resources.rbac import build_election_role
from prism_operator.rbac import build_rbac, generated_files, render_rbac
from prism_operator.runtime import hash_key
from prism_operator.runtime.operator import WATCHED, Options

ROOT = Path(__file__).parents[2]


def granted(obj: Json) -> set[tuple[str, str, str]]:
    return {
        (group, resource, verb)
        for rule in obj["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


def test_exactly_what_is_watched_may_be_listed_and_watched() -> None:
    for verb in ("list", "watch"):
        allowed = {grant.resource for grant in GRANTS if verb in grant.verbs}
        assert allowed == set(WATCHED), f"{verb}: see prism_operator/permissions.py"


def test_no_rule_is_a_wildcard_or_lets_the_operator_raise_its_rights() -> None:
    for obj in build_rbac().values():
        for group, resource, verb in granted(obj) if "rules" in obj else ():
            assert "*" not in (group, resource, verb)
            assert verb not in ("bind", "escalate", "impersonate")


def test_the_operator_holds_all_that_it_gives_to_admins() -> None:
    given = build_election_role("admin", "default", {}, "admin-leader")

    assert granted(given) <= granted(build_rbac()["role"])


def test_only_the_operators_own_lease_is_in_the_election_role() -> None:
    role = build_rbac()["leader_election_role"]

    names = [rule.get("resourceNames") for rule in role["rules"]]
    assert names == [None, [Options().lease_name]]  # a create has no name yet
    assert role["metadata"]["namespace"] == Options().lease_namespace


def test_of_secrets_in_its_own_namespace_only_the_hash_key_may_be_read() -> None:
    assert rbac.HASH_KEY_NAME == hash_key.NAME
    for rule in build_rbac()["hash_key_role"]["rules"]:
        assert rule["verbs"] == ["create"] or rule["resourceNames"] == [hash_key.NAME]


def test_only_the_webhooks_own_secret_and_configuration_may_be_changed() -> None:
    objects = build_rbac()
    of_secret = objects["webhook_role"]["rules"]
    (of_trust,) = [
        rule
        for rule in objects["role"]["rules"]
        if VALIDATING_WEBHOOK_CONFIGURATION.plural in rule["resources"]
    ]

    assert objects["webhook_role"]["metadata"]["namespace"] == rbac.NAMESPACE
    assert [(r["verbs"], r.get("resourceNames")) for r in of_secret] == [
        (["create"], None),  # a create has no name yet
        (["get", "update"], ["webhook-server-cert"]),
    ]
    assert of_trust["verbs"] == ["get", "patch"]
    assert of_trust["resourceNames"] == ["prism-validating-webhook-configuration"]


def test_who_watches_some_namespaces_gets_roles_there_and_nothing_else() -> None:
    objects = list(yaml.safe_load_all(render_rbac(["team-a", "team-b"])))

    assert {o["kind"] for o in objects} == {"Role", "RoleBinding"}
    roles = {o["metadata"]["namespace"]: o for o in objects if o["kind"] == "Role"}
    assert sorted(roles) == ["prism-system", "team-a", "team-b"]
    whole = granted(build_rbac()["role"])
    out_of_reach = {NODE.plural, VALIDATING_WEBHOOK_CONFIGURATION.plural}
    in_reach = {g for g in whole if g[1] not in out_of_reach}
    assert granted(roles["team-a"]) == granted(roles["team-b"]) == in_reach
    own = [
        o for o in objects if o["kind"] == "Role" and o["metadata"]["namespace"] == "prism-system"
    ]
    assert {g[1] for role in own for g in granted(role)} == {LEASE.plural, SECRET.plural}


def test_every_binding_names_the_operators_account_and_a_role_that_is_there() -> None:
    for namespaces in ((), ("team-a",)):
        objects = list(build_rbac(namespaces).values())
        places = {
            (o["kind"], o["metadata"]["name"], o["metadata"].get("namespace")) for o in objects
        }
        for binding in (o for o in objects if "roleRef" in o):
            ref, meta = binding["roleRef"], binding["metadata"]
            assert (ref["kind"], ref["name"], meta.get("namespace")) in places
            (subject,) = binding["subjects"]
            assert (subject["namespace"], subject["name"]) == (rbac.NAMESPACE, rbac.ACCOUNT)


def test_the_files_are_up_to_date(capsys: pytest.CaptureFixture[str]) -> None:
    code = generated.main("rbac", ["--check", "--root", str(ROOT)], generated_files)

    assert code == 0, capsys.readouterr().err


def test_a_shard_has_a_lease_of_its_own_and_sees_the_others() -> None:
    role = build_rbac(shard="blue")["leader_election_role"]

    assert role["metadata"]["name"].endswith("-blue")
    may = {(tuple(r["verbs"]), tuple(r.get("resourceNames", ()))) for r in role["rules"]}
    own = Options(shard="blue").lease_name
    assert may == {(("create",), ()), (("get", "update"), (own,)), (("get",), ())}
