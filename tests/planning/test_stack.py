from __future__ import annotations

from typing import Any

import pytest
import yaml

from prism_operator.api.meta import (
    DEPLOYMENT,
    POD_DISRUPTION_BUDGET,
    PRISM_BACKEND,
    PRISM_PATTERN,
    PRISM_STACK,
    SERVICE,
    Json,
    Ref,
)
from prism_operator.planning import plan_stack
from prism_operator.planning.plan import Delete, Plan
from prism_operator.planning.settings import Settings

from .builders import (
    NAMESPACE,
    NOW,
    a_stack,
    an_object,
    condition,
    container,
    env_of,
    observed,
    pod_spec,
    written,
)
from .world import World

DEMO = Ref(PRISM_STACK, NAMESPACE, "demo")
PROXY = Ref(DEPLOYMENT, NAMESPACE, "demo-proxy")
KEYVALUE = {"name": "kv", "type": "keyvalue", "backend": "memstore"}


def plan(stack: Json, *others: Json, **settings: Any) -> Plan:
    return plan_stack(observed(stack, *others), Settings(**settings), NOW)


def names(planned: Plan) -> list[str]:
    return [f"{write.ref.resource.kind} {write.ref.name}" for write in planned.writes]


# --- What a stack is made of


def test_an_empty_stack_has_one_proxy_with_all_defaults() -> None:
    planned = plan(a_stack())

    assert names(planned) == ["Service demo-proxy", "Deployment demo-proxy"]
    made = written(planned, "Deployment", "demo-proxy")
    assert made["spec"]["replicas"] == 1
    assert container(made)["image"] == "ghcr.io/prism/prism-proxy:latest"
    assert made["spec"]["selector"] == {
        "matchLabels": {"component": "prism-proxy", "stack": "demo"}
    }


def test_admin_comes_with_its_rights_and_before_it_the_rights() -> None:
    assert names(plan(a_stack(admin={}))) == [
        "Service demo-proxy",
        "Deployment demo-proxy",
        "ServiceAccount demo-admin",
        "Role demo-admin-leader-election",
        "RoleBinding demo-admin-leader-election",
        "Service demo-admin",
        "Deployment demo-admin",
    ]


def test_there_is_no_admin_when_it_is_not_enabled() -> None:
    assert names(plan(a_stack(admin={"enabled": False}))) == names(plan(a_stack()))


def test_admin_elects_its_leader_with_a_lease_of_its_own() -> None:
    planned = plan(a_stack(admin={"leaderElection": {"leaseDuration": "30s"}}))

    env = env_of(written(planned, "Deployment", "demo-admin"))
    assert env["PRISM_LEADER_ELECTION_LEASE_NAME"] == "demo-admin-leader"
    assert env["PRISM_LEADER_ELECTION_LEASE_DURATION"] == "30s"
    rules = written(planned, "Role", "demo-admin-leader-election")["rules"]
    assert [(rule.get("resourceNames"), rule["verbs"]) for rule in rules] == [
        (None, ["create"]),
        (["demo-admin-leader"], ["get", "update"]),
    ]
    assert pod_spec(written(planned, "Deployment", "demo-admin"))["automountServiceAccountToken"]


def test_an_admin_without_election_has_no_right_to_leases() -> None:
    planned = plan(a_stack(admin={"leaderElection": {"enabled": False}}))

    assert not [name for name in names(planned) if name.startswith("Role")]
    env = env_of(written(planned, "Deployment", "demo-admin"))
    assert env["PRISM_LEADER_ELECTION_ENABLED"] == "false"


def test_a_users_service_account_is_bound_and_not_made() -> None:
    planned = plan(a_stack(admin={"serviceAccountName": "mine"}))

    assert "ServiceAccount demo-admin" not in names(planned)
    binding = written(planned, "RoleBinding", "demo-admin-leader-election")
    assert binding["subjects"][0]["name"] == "mine"


def test_the_admins_service_is_as_the_user_says() -> None:
    service = {"type": "LoadBalancer", "port": 443, "annotations": {"lb": "nlb"}}

    made = written(plan(a_stack(admin={"service": service})), "Service", "demo-admin")

    assert made["spec"]["type"] == "LoadBalancer"
    assert made["spec"]["ports"][0] == {
        "name": "grpc",
        "port": 443,
        "targetPort": "grpc",
        "protocol": "TCP",
    }
    assert made["metadata"]["annotations"]["lb"] == "nlb"


def test_the_admins_certificate_is_mounted() -> None:
    planned = plan(a_stack(admin={"tls": {"enabled": True, "secretRef": {"name": "cert"}}}))

    made = written(planned, "Deployment", "demo-admin")
    assert env_of(made)["PRISM_TLS_DIR"] == "/etc/prism-tls"
    assert pod_spec(made)["volumes"] == [{"name": "tls", "secret": {"secretName": "cert"}}]


def test_everything_of_a_stack_bears_its_label() -> None:
    planned = plan(
        a_stack(
            admin={},
            patterns=[KEYVALUE],
            backends=[
                {"name": "nats", "type": "messaging", "connectionString": "nats://nats:4222"}
            ],
            namespaces=[{"name": "acme", "namespaceId": "acme"}],
        )
    )

    for write in planned.writes:
        assert getattr(write, "obj")["metadata"]["labels"]["stack"] == "demo"  # noqa: B009


# --- Observability


def ports_of(planned: Plan, name: str) -> tuple[list[str], list[str]]:
    made = container(written(planned, "Deployment", name))["ports"]
    served = written(planned, "Service", name)["spec"]["ports"]
    return [port["name"] for port in made], [port["name"] for port in served]


def test_one_port_serves_both_when_metrics_are_on_the_proxys_port() -> None:
    planned = plan(a_stack(admin={}, observability={"metrics": {"port": 9090}}))

    assert ports_of(planned, "demo-proxy") == (["grpc"], ["grpc"])
    assert ports_of(planned, "demo-admin") == (["grpc", "metrics"], ["grpc", "metrics"])


def test_tracing_and_metrics_reach_every_component_by_environment() -> None:
    endpoint = "http://jaeger:14268"
    stack = a_stack(
        admin={}, patterns=[KEYVALUE], observability={"tracing": {"endpoint": endpoint}}
    )
    planned = plan(stack)

    pattern = written(planned, "PrismPattern", "kv")
    envs = [
        env_of(written(planned, "Deployment", "demo-proxy")),
        env_of(written(planned, "Deployment", "demo-admin")),
        {entry["name"]: entry["value"] for entry in pattern["spec"]["env"]},
    ]
    for env in envs:
        assert env["OTEL_EXPORTER_OTLP_ENDPOINT"] == endpoint
        assert env["PRISM_METRICS_PORT"] == "9090"


def test_observability_that_is_off_leaves_no_trace() -> None:
    planned = plan(a_stack(patterns=[KEYVALUE], observability={"enabled": False}))

    assert "env" not in written(planned, "PrismPattern", "kv")["spec"]
    assert "PRISM_METRICS_PORT" not in env_of(written(planned, "Deployment", "demo-proxy"))


# --- Children


def test_a_pattern_becomes_a_prism_pattern_with_a_service() -> None:
    spec = written(plan(a_stack(patterns=[KEYVALUE])), "PrismPattern", "kv")["spec"]

    assert spec == {
        "pattern": "keyvalue",
        "backend": "memstore",
        "replicas": 1,
        "service": {"type": "ClusterIP", "port": 8080},
    }


def test_what_the_user_says_of_a_pattern_is_passed_on_as_it_is() -> None:
    given = {
        **KEYVALUE,
        "replicas": 3,
        "config": {"free": [1, {"form": None}]},
        "runnerSpec": {"nodeSelector": {"a": "b"}},
        "autoscaling": {"maxReplicas": 5, "targetCPUUtilizationPercentage": 70},
        "service": {"port": 9000},
        "probes": {"liveness": {"exec": {"command": ["true"]}}},
    }

    spec = written(plan(a_stack(patterns=[given])), "PrismPattern", "kv")["spec"]

    for field in ("replicas", "config", "runnerSpec", "autoscaling", "service", "probes"):
        assert spec[field] == given[field]


def test_the_stacks_defaults_fill_what_a_component_does_not_say() -> None:
    affinity = {"nodeAffinity": {}}
    resources = {"requests": {"cpu": "2"}}
    own_resources = {"requests": {"cpu": "3"}}
    planned = plan(
        a_stack(
            affinity=affinity,
            resources=resources,
            imagePullSecrets=[{"name": "ghcr"}],
            proxy={"resources": own_resources},
            admin={},
            patterns=[KEYVALUE, {**KEYVALUE, "name": "own", "resources": own_resources}],
        )
    )

    assert container(written(planned, "Deployment", "demo-proxy"))["resources"] == own_resources
    admin = written(planned, "Deployment", "demo-admin")
    assert container(admin)["resources"] == resources
    assert pod_spec(admin)["affinity"] == affinity
    assert pod_spec(admin)["imagePullSecrets"] == [{"name": "ghcr"}]
    child = written(planned, "PrismPattern", "kv")["spec"]
    assert child["resources"] == resources
    assert child["runnerSpec"] == {"affinity": affinity}
    assert child["imagePullSecrets"] == [{"name": "ghcr"}]
    assert written(planned, "PrismPattern", "own")["spec"]["resources"] == own_resources


def test_a_pattern_uses_the_stacks_backend_of_that_name_unless_it_says_otherwise() -> None:
    nats = {"name": "nats", "type": "messaging", "connectionString": "nats://nats:4222"}
    on_nats = {"name": "a", "type": "pubsub", "backend": "nats"}
    inline = {**on_nats, "name": "b", "backendConfig": {"nats": {"url": "nats://other"}}}
    elsewhere = {**on_nats, "name": "c", "backend": "kafka"}
    planned = plan(a_stack(backends=[nats], patterns=[on_nats, inline, elsewhere]))

    def backend_config(name: str) -> Any:
        return written(planned, "PrismPattern", name)["spec"].get("backendConfig")

    assert backend_config("a") == {"name": "nats", "namespace": NAMESPACE}
    assert backend_config("b") == {"nats": {"url": "nats://other"}}
    assert backend_config("c") is None


def test_a_backend_becomes_a_prism_backend_with_its_provider_read_off() -> None:
    by_url = {"name": "broker", "type": "messaging", "connectionString": "nats://nats:4222"}
    by_name = {"name": "my-postgres", "type": "database", "secretRef": {"name": "creds"}}
    planned = plan(a_stack(backends=[by_url, by_name]))

    assert written(planned, "PrismBackend", "broker")["spec"] == {
        "type": "messaging",
        "provider": "nats",
        "connection": {"url": "nats://nats:4222"},
    }
    assert written(planned, "PrismBackend", "my-postgres")["spec"] == {
        "type": "database",
        "provider": "postgres",
        "connection": {"secretRef": {"name": "creds"}},
    }


def test_a_namespace_goes_to_the_stacks_own_proxy_unless_it_says_otherwise() -> None:
    entries = [
        {"name": "acme", "namespaceId": "acme", "tags": {"a": "b"}},
        {"name": "beta", "namespaceId": "beta", "proxyRef": {"name": "other-proxy"}},
    ]
    planned = plan(a_stack(namespaces=entries))

    assert written(planned, "PrismNamespace", "acme")["spec"] == {
        "namespaceId": "acme",
        "tags": {"a": "b"},
        "proxyRef": {"name": "demo-proxy", "namespace": NAMESPACE},
    }
    assert written(planned, "PrismNamespace", "beta")["spec"]["proxyRef"] == {"name": "other-proxy"}


def test_what_left_the_spec_is_deleted() -> None:
    world = World(a_stack(admin={}, patterns=[KEYVALUE]))
    world.converge()
    world.edit(DEMO, admin=None, patterns=None)

    planned = world.plan(DEMO)

    deleted = {
        f"{w.ref.resource.kind} {w.ref.name}" for w in planned.writes if isinstance(w, Delete)
    }
    assert deleted == {
        "Deployment demo-admin",
        "Service demo-admin",
        "ServiceAccount demo-admin",
        "Role demo-admin-leader-election",
        "RoleBinding demo-admin-leader-election",
        "PrismPattern kv",
    }


def test_a_pattern_scaled_by_hand_gets_the_stacks_number_back() -> None:
    world = World(a_stack(patterns=[KEYVALUE]))
    world.converge()
    world.edit(Ref(PRISM_PATTERN, NAMESPACE, "kv"), replicas=5)
    world.converge()

    assert world.objects[Ref(DEPLOYMENT, NAMESPACE, "kv")]["spec"]["replicas"] == 1


# --- Placement


def repelling(component: str) -> Json:
    term = {
        "labelSelector": {"matchLabels": {"component": component}},
        "topologyKey": "kubernetes.io/hostname",
    }
    return {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}


def test_pods_that_repel_each_other_from_nodes_never_surge() -> None:
    planned = plan(a_stack(admin={}, affinity=repelling("prism-proxy")))

    def surge(name: str) -> Any:
        strategy = written(planned, "Deployment", name)["spec"]["strategy"]
        return strategy["rollingUpdate"]["maxSurge"]

    assert (surge("demo-proxy"), surge("demo-admin")) == (0, "25%")


def test_a_refused_component_is_not_written_and_the_others_are() -> None:
    world = World(a_stack(admin={}))
    world.converge()
    world.edit(DEMO, proxy={"image": "new", "placement": {"nodeName": "n"}}, admin={"image": "new"})

    planned = world.plan(DEMO)

    assert names(planned) == ["Deployment demo-admin"]
    refused = condition(planned, "PlacementRefused")
    assert refused["message"].startswith('spec.proxy.placement: nodeName "n" is allowed only when')


# --- PodDisruptionBudgets

BUDGETS: dict[str, tuple[Json, Json]] = {
    "one replica needs none": ({"proxy": {}, "admin": {}}, {}),
    "two proxies": ({"proxy": {"replicas": 2}}, {"demo-proxy": 1}),
    "the user's": (
        {"proxy": {"replicas": 4, "podDisruptionBudget": {"maxUnavailable": "50%"}}},
        {"demo-proxy": "50%"},
    ),
    "switched off": (
        {"proxy": {"replicas": 4, "podDisruptionBudget": {"enabled": False}}},
        {},
    ),
    "the least number counts while it scales": (
        {
            "proxy": {
                "replicas": 1,
                "autoscaling": {
                    "minReplicas": 2,
                    "maxReplicas": 9,
                    "targetCPUUtilizationPercentage": 70,
                },
            }
        },
        {"demo-proxy": 1},
    ),
    "it may go down to one": (
        {
            "proxy": {
                "replicas": 5,
                "autoscaling": {"maxReplicas": 9, "targetCPUUtilizationPercentage": 70},
            }
        },
        {},
    ),
    "two admins": ({"admin": {"replicas": 2}}, {"demo-admin": 1}),
    "three admins": ({"admin": {"replicas": 3}}, {"demo-admin": 1}),
    "five admins": ({"admin": {"replicas": 5}}, {"demo-admin": 2}),
    "nine admins": ({"admin": {"replicas": 9}}, {"demo-admin": 4}),
    "spot": (
        {
            "proxy": {"placement": {"strategy": "Spot"}},
            "admin": {"placement": {"strategy": "Spot"}},
        },
        {"demo-proxy": 1, "demo-admin": 1},
    ),
}


@pytest.mark.parametrize("case", BUDGETS)
def test_a_drain_takes_so_many_pods_at_a_time(case: str) -> None:
    spec, expected = BUDGETS[case]
    world = World(a_stack(**spec))
    world.converge()

    budgets = [o for ref, o in world.objects.items() if ref.resource == POD_DISRUPTION_BUDGET]
    assert {b["metadata"]["name"]: b["spec"]["maxUnavailable"] for b in budgets} == expected
    for budget in budgets:
        deployment = world.objects[Ref(DEPLOYMENT, NAMESPACE, budget["metadata"]["name"])]
        assert budget["spec"]["selector"] == deployment["spec"]["selector"]
        assert budget["spec"]["unhealthyPodEvictionPolicy"] == "AlwaysAllow"


def test_a_budget_goes_with_the_second_replica() -> None:
    world = World(a_stack(proxy={"replicas": 2}))
    world.converge()

    world.edit(DEMO, proxy={"replicas": 1})

    assert [type(w) for w in world.plan(DEMO).writes if "Budget" in str(w.ref)] == [Delete]


def test_an_even_number_of_admins_is_allowed_and_warned_about() -> None:
    planned = plan(a_stack(admin={"replicas": 2}))

    assert condition(planned, "EvenAdminReplicas")["status"] == "True"
    assert [event.reason for event in planned.events] == ["EvenReplicas"]
    assert written(planned, "Deployment", "demo-admin")["spec"]["replicas"] == 2


# --- Status


def test_the_stack_is_ready_when_proxy_admin_and_patterns_are_rolled_out() -> None:
    world = World(a_stack(admin={}, patterns=[KEYVALUE]))
    world.converge(rolling_out=False)
    waiting = world.objects[DEMO]["status"]
    world.converge()
    done = world.objects[DEMO]["status"]

    assert (waiting["summary"], waiting["phase"]) == ("0/3", "Pending")
    assert (done["summary"], done["phase"], done["readyPatterns"]) == ("3/3", "Running", 1)
    assert [(event.type, event.reason) for ref, event in world.events if ref == DEMO] == [
        ("Normal", "Ready")
    ]


def test_a_backend_that_nobody_checked_does_not_hold_the_stack_up() -> None:
    nats = {"name": "nats", "type": "messaging", "connectionString": "nats://nats:4222"}
    world = World(a_stack(backends=[nats]))
    world.converge()

    conditions = {c["type"]: c for c in world.objects[DEMO]["status"]["conditions"]}
    assert conditions["Ready"]["status"] == "True"
    assert conditions["BackendsHealthy"]["status"] == "Unknown"
    assert conditions["BackendsHealthy"]["message"] == "not checked: nats"
    assert conditions["Degraded"]["status"] == "False"


def test_an_unhealthy_backend_degrades_the_stack_and_leaves_it_ready() -> None:
    nats = {"name": "nats", "type": "messaging", "connectionString": "nats://nats:4222"}
    world = World(a_stack(backends=[nats]))
    world.converge()
    ref = Ref(PRISM_BACKEND, NAMESPACE, "nats")
    backend = world.objects[ref]
    refused = {"type": "Ready", "status": "False", "reason": "Refused", "message": ""}
    world.put({**backend, "status": {"observedGeneration": 1, "conditions": [refused]}})

    planned = world.plan(DEMO)

    assert condition(planned, "Ready")["status"] == "True"
    assert condition(planned, "BackendsHealthy")["status"] == "False"
    assert condition(planned, "Degraded")["message"] == "not ready: nats"


def test_a_stuck_pattern_stalls_the_stack_and_says_which() -> None:
    world = World(a_stack(patterns=[KEYVALUE]))
    world.converge()
    ref = Ref(DEPLOYMENT, NAMESPACE, "kv")
    live = yaml.safe_load(yaml.safe_dump(world.objects[ref]))
    live["status"]["conditions"][0]["reason"] = "ProgressDeadlineExceeded"
    live["status"]["availableReplicas"] = 0
    world.put(live)
    world.converge(rolling_out=False)

    conditions = {c["type"]: c for c in world.objects[DEMO]["status"]["conditions"]}
    assert conditions["Ready"]["status"] == "False"
    assert conditions["Stalled"]["reason"] == "ProgressDeadlineExceeded"
    assert conditions["Stalled"]["message"].startswith("pattern kv: 0 of 1 replicas are available")


def test_a_foreign_object_of_a_wanted_name_is_untouched_until_it_is_handed_over() -> None:
    foreign = an_object("v1", "Service", "demo-proxy", spec={"type": "ExternalName"})
    world = World(a_stack(), foreign)
    world.converge()
    ref = Ref(SERVICE, NAMESPACE, "demo-proxy")
    assert world.objects[ref]["spec"] == {"type": "ExternalName"}
    told = {c["type"]: c for c in world.objects[DEMO]["status"]["conditions"]}
    assert "Service prism-system/demo-proxy exists" in told["NameConflict"]["message"]

    offered = yaml.safe_load(yaml.safe_dump(world.objects[ref]))
    offered["metadata"]["annotations"] = {"prism.io/adopt": "true"}
    world.put(offered)
    world.applied[ref] = {}
    world.converge()

    assert world.objects[ref]["spec"]["type"] == "ClusterIP"
    told = {c["type"]: c for c in world.objects[DEMO]["status"]["conditions"]}
    assert (told["NameConflict"]["status"], told["Ready"]["status"]) == ("False", "True")


def test_a_deleted_deployment_comes_back_and_that_is_told() -> None:
    world = World(a_stack())
    world.converge()
    del world.objects[PROXY]

    planned = world.plan(DEMO)

    assert names(planned) == ["Deployment demo-proxy"]
    assert [(event.reason, event.message) for event in planned.events] == [
        ("Repaired", "Deployment demo-proxy was missing")
    ]


def test_a_paused_stack_writes_nothing_and_nor_do_its_patterns() -> None:
    world = World(a_stack(patterns=[KEYVALUE]))
    world.converge()
    stack = world.objects[DEMO]
    metadata = {**stack["metadata"], "annotations": {"prism.io/paused": "true"}}
    world.put({**stack, "metadata": metadata, "spec": {"proxy": {"image": "new"}}})
    del world.objects[Ref(DEPLOYMENT, NAMESPACE, "kv")]
    world.converge()

    assert container(world.objects[PROXY])["image"] == "ghcr.io/prism/prism-proxy:latest"
    assert Ref(PRISM_PATTERN, NAMESPACE, "kv") in world.objects
    assert Ref(DEPLOYMENT, NAMESPACE, "kv") not in world.objects
    told = {c["type"]: c for c in world.objects[DEMO]["status"]["conditions"]}
    assert (told["Ready"]["reason"], told["Paused"]["status"]) == ("Paused", "True")


def test_secrets_that_pods_would_show_are_refused() -> None:
    stack = a_stack(observability={"tracing": {"endpoint": "http://me:pw@jaeger"}})

    message = condition(plan(stack), "Ready")["message"]

    assert "spec.observability.tracing.endpoint: holds a user name or password" in message
    assert "pw" not in message.replace("password", "")


def test_secrets_that_pods_cannot_reach_are_refused() -> None:
    stack = a_stack(admin={"tls": {"secretRef": {"name": "cert", "namespace": "elsewhere"}}})

    message = condition(plan(stack), "Ready")["message"]

    assert "spec.admin.tls.secretRef.namespace: is not prism-system" in message


def test_an_invalid_edit_tears_nothing_down() -> None:
    world = World(a_stack(patterns=[KEYVALUE]))
    world.converge()
    before = dict(world.objects)
    world.edit(DEMO, patterns=[{**KEYVALUE, "replicas": -1}])
    world.converge()

    assert set(world.objects) == set(before)
    told = {c["type"]: c for c in world.objects[DEMO]["status"]["conditions"]}
    assert told["Ready"]["message"] == "spec.patterns[0].replicas: -1 is below 0"
    assert told["Stalled"]["status"] == "True"
