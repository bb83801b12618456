from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import yaml

from prism_operator.api.meta import DEPLOYMENT, PRISM_PATTERN, SECRET, Json, Ref
from prism_operator.planning import plan_pattern
from prism_operator.planning.hashing import PodHashes, pod_hashes
from prism_operator.planning.observed import Failure
from prism_operator.planning.plan import Plan
from prism_operator.planning.settings import Settings

from .builders import (
    LATER,
    NAMESPACE,
    NOW,
    SETTINGS,
    a_backend,
    a_pattern,
    a_stack,
    an_object,
    condition,
    container,
    env_of,
    observed,
    owned,
    pod_spec,
    written,
)
from .world import World

ORDERS = Ref(PRISM_PATTERN, NAMESPACE, "orders")
DEPLOYMENT_OF_ORDERS = Ref(DEPLOYMENT, NAMESPACE, "orders")


def plan(pattern: Json, *others: Json, **settings: Any) -> Plan:
    return plan_pattern(observed(pattern, *others), Settings(**settings), NOW)


def deployment(pattern: Json, *others: Json, **settings: Any) -> Json:
    return written(plan(pattern, *others, **settings), "Deployment", "orders")


# --- The Deployment


def test_the_container_gets_only_the_arguments_prism_knows() -> None:
    made = container(deployment(a_pattern()))

    assert made["name"] == "consumer-runner"
    assert made["image"] == "ghcr.io/prism/consumer-runner:latest"
    assert made["args"] == ["--pattern=consumer", "--backend=kafka"]


def test_the_selector_holds_only_what_never_changes() -> None:
    made = deployment(a_pattern(pattern="producer", backend="redis"))

    assert made["spec"]["selector"] == {"matchLabels": {"app": "prism", "runner": "orders"}}
    labels = made["spec"]["template"]["metadata"]["labels"]
    assert (labels["pattern"], labels["backend"]) == ("producer", "redis")


def test_pods_are_restricted_and_hold_no_token_by_default() -> None:
    made = deployment(a_pattern())

    assert pod_spec(made)["automountServiceAccountToken"] is False
    assert pod_spec(made)["securityContext"] == {
        "runAsNonRoot": True,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    assert container(made)["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
    }


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (
            {"readOnlyRootFilesystem": True},
            {
                "readOnlyRootFilesystem": True,
                "allowPrivilegeEscalation": False,
                "capabilities": {"drop": ["ALL"]},
            },
        ),
        ({"privileged": True}, {"privileged": True, "capabilities": {"drop": ["ALL"]}}),
        ({"capabilities": {"add": ["SYS_ADMIN"]}}, {"capabilities": {"add": ["SYS_ADMIN"]}}),
    ],
)
def test_a_users_security_context_is_kept_beside_the_defaults(given: Json, expected: Json) -> None:
    made = deployment(a_pattern(securityContext=given))

    assert container(made)["securityContext"] == expected


def test_a_pod_that_shall_run_as_root_is_not_told_that_it_must_not() -> None:
    made = deployment(a_pattern(podSecurityContext={"runAsUser": 0}))

    assert "runAsNonRoot" not in pod_spec(made)["securityContext"]


def test_resources_default_to_small_requests_only_when_none_are_given() -> None:
    default = container(deployment(a_pattern()))["resources"]
    given = container(deployment(a_pattern(resources={"limits": {"cpu": "1"}})))["resources"]
    placed = container(deployment(a_pattern(runnerSpec={"resources": {"requests": {"cpu": "2"}}})))

    assert default == {"requests": {"cpu": "100m", "memory": "128Mi"}}
    assert given == {"limits": {"cpu": "1"}}
    assert placed["resources"] == {"requests": {"cpu": "2"}}


def test_probes_check_the_port_unless_the_user_has_better_ones() -> None:
    http = {"httpGet": {"path": "/ready", "port": 8080}}

    made = container(deployment(a_pattern(probes={"readiness": http})))

    assert made["readinessProbe"] == http
    assert made["livenessProbe"] == {"tcpSocket": {"port": "grpc"}}
    assert made["ports"] == [{"name": "grpc", "containerPort": 8080, "protocol": "TCP"}]


def test_everything_a_user_may_say_of_a_component_reaches_the_pods() -> None:
    made = deployment(
        a_pattern(
            imagePullPolicy="Never",
            podLabels={"team": "a"},
            podAnnotations={"note": "b"},
            serviceAccountName="runner",
            terminationGracePeriodSeconds=0,
            lifecycle={"preStop": {"sleep": {"seconds": 5}}},
            strategy={"type": "Recreate"},
            imagePullSecrets=[{"name": "ghcr"}],
            env=[{"name": "A", "value": "1"}, {"name": "PRISM_PORT", "value": "1"}],
        )
    )

    template = made["spec"]["template"]
    assert template["metadata"]["labels"]["team"] == "a"
    assert template["metadata"]["annotations"] == {"note": "b"}
    assert pod_spec(made)["serviceAccountName"] == "runner"
    assert pod_spec(made)["terminationGracePeriodSeconds"] == 0
    assert pod_spec(made)["imagePullSecrets"] == [{"name": "ghcr"}]
    assert container(made)["imagePullPolicy"] == "Never"
    assert container(made)["lifecycle"] == {"preStop": {"sleep": {"seconds": 5}}}
    assert made["spec"]["strategy"] == {"type": "Recreate"}
    assert env_of(made) == {"A": "1", "PRISM_PORT": "1"}


# --- Service, configuration


def test_there_is_a_service_only_when_it_is_asked_for() -> None:
    without = plan(a_pattern())
    made = written(plan(a_pattern(service={"port": 9000})), "Service", "orders")

    assert [write.ref.resource.kind for write in without.writes] == ["Deployment"]
    assert made["spec"]["selector"] == {"app": "prism", "runner": "orders"}
    assert made["spec"]["ports"] == [
        {"name": "grpc", "port": 9000, "targetPort": "grpc", "protocol": "TCP"}
    ]


def test_config_and_inline_backend_settings_become_the_configuration_file() -> None:
    pattern = a_pattern(config={"ttl": "1h"}, backendConfig={"kafka": {"topics": ["a"]}})

    planned = plan(pattern)

    config_map = written(planned, "ConfigMap", "orders-config")
    assert yaml.safe_load(config_map["data"]["config.yaml"]) == {
        "config": {"ttl": "1h"},
        "backendConfig": {"kafka": {"topics": ["a"]}},
    }
    made = written(planned, "Deployment", "orders")
    assert env_of(made)["PRISM_CONFIG_FILE"] == "/etc/prism/config.yaml"
    assert container(made)["volumeMounts"] == [
        {"name": "config", "mountPath": "/etc/prism", "readOnly": True}
    ]


def template_of(pattern: Json, **settings: Any) -> Json:
    template: Json = deployment(pattern, **settings)["spec"]["template"]
    return template


def test_a_changed_config_changes_the_pod_template_and_nothing_else_of_the_config_does() -> None:
    one = a_pattern(config={"a": 1, "b": 2})
    reordered = a_pattern(config={"b": 2, "a": 1})
    other = a_pattern(config={"a": 1, "b": 3})

    assert template_of(one) == template_of(reordered)
    assert template_of(one) != template_of(other)


def test_the_config_hash_is_keyed() -> None:
    pattern = a_pattern(config={"a": 1})

    assert template_of(pattern) != template_of(pattern, hash_key=b"another")


def test_credentials_in_the_config_are_refused_and_nothing_is_written_or_torn_down() -> None:
    world = World(a_pattern(config={"url": "nats://host"}))
    world.converge()
    world.edit(ORDERS, config={"url": "nats://me:s3cret@host"})

    planned = world.plan(ORDERS)

    assert planned.writes == ()
    ready = condition(planned, "Ready")
    assert ready["reason"] == "InvalidSpec"
    assert ready["message"].startswith("spec.config.url: a URL holds a user name or password")
    assert "s3cret" not in str(planned)


# --- The backend


def test_a_backend_that_does_not_exist_is_said_and_the_pods_run_without_it() -> None:
    planned = plan(a_pattern(backendConfig={"name": "broker"}))

    resolved = condition(planned, "BackendResolved")
    assert (resolved["status"], resolved["reason"]) == ("False", "BackendNotFound")
    assert "PrismBackend prism-system/broker does not exist" in resolved["message"]
    assert condition(planned, "Degraded")["status"] == "True"
    assert "PRISM_BACKEND_URL" not in env_of(written(planned, "Deployment", "orders"))
    assert [event.reason for event in planned.events] == ["BackendNotFound"]


def test_the_url_of_the_backend_reaches_the_pods() -> None:
    planned = plan(a_pattern(backendConfig={"name": "broker"}), a_backend())

    assert condition(planned, "BackendResolved")["status"] == "True"
    made = written(planned, "Deployment", "orders")
    assert env_of(made)["PRISM_BACKEND_URL"] == "kafka://kafka:9092"


def test_a_backend_that_appears_completes_what_is_missing() -> None:
    world = World(a_pattern(backendConfig={"name": "broker"}))
    world.converge()
    world.put(a_backend())
    world.converge()

    live = world.objects[DEPLOYMENT_OF_ORDERS]
    assert env_of(live)["PRISM_BACKEND_URL"] == "kafka://kafka:9092"


def test_credentials_come_by_reference_to_the_backends_secret() -> None:
    backend = a_backend(
        connection={"secretRef": {"name": "creds", "keys": {"username": "login"}}},
    )

    env = env_of(deployment(a_pattern(backendConfig={"name": "broker"}), backend))

    for variable, key in (("URL", "url"), ("USERNAME", "login"), ("PASSWORD", "password")):
        assert env[f"PRISM_BACKEND_{variable}"] == {
            "secretKeyRef": {"name": "creds", "key": key, "optional": True}
        }


UNUSABLE = {
    "BackendNotAllowed": ({"namespace": "other"}, {}),
    "SecretNotReachable": (
        {"namespace": "other"},
        {
            "connection": {"secretRef": {"name": "creds"}},
            "allowedNamespaces": [NAMESPACE],
        },
    ),
    "BackendInvalid": ({}, {"connection": {"url": "kafka://me:s3cret@kafka"}}),
}


@pytest.mark.parametrize("reason", UNUSABLE)
def test_a_backend_that_cannot_be_used_is_said_without_its_secrets(reason: str) -> None:
    metadata, spec = UNUSABLE[reason]
    backend = a_backend(metadata=metadata, **spec)
    reference = {"name": "broker", **metadata}

    planned = plan(a_pattern(backendConfig=reference), backend)

    assert condition(planned, "BackendResolved")["reason"] == reason
    env = env_of(written(planned, "Deployment", "orders"))
    assert not [name for name in env if name.startswith("PRISM_BACKEND")]
    assert "s3cret" not in str(planned)


def test_tls_files_of_the_backend_are_mounted() -> None:
    backend = a_backend(tls={"enabled": True, "secretRef": {"name": "ca"}})

    made = deployment(a_pattern(backendConfig={"name": "broker"}), backend)

    assert env_of(made)["PRISM_BACKEND_TLS_ENABLED"] == "true"
    assert pod_spec(made)["volumes"] == [
        {"name": "backend-tls", "secret": {"secretName": "ca", "optional": True}}
    ]


def a_secret(**data: str) -> Json:
    return an_object("v1", "Secret", "creds", data=data)


def test_only_a_used_key_of_the_secret_changes_the_pod_template() -> None:
    backend = a_backend(connection={"secretRef": {"name": "creds"}})
    pattern = a_pattern(backendConfig={"name": "broker"})

    def template(secret: Json) -> Json:
        found: Json = deployment(pattern, backend, secret)["spec"]["template"]
        return found

    before = template(a_secret(password="MQ==", unused="MQ=="))
    assert template(a_secret(password="MQ==", unused="Mg==")) == before
    assert template(a_secret(password="Mg==", unused="MQ==")) != before


def test_a_new_certificate_reaches_the_pods() -> None:
    backend = a_backend(tls={"enabled": True, "secretRef": {"name": "creds"}})
    world = World(
        a_pattern(backendConfig={"name": "broker"}), backend, a_secret(**{"ca.crt": "MQ=="})
    )
    world.converge()
    before = world.objects[DEPLOYMENT_OF_ORDERS]["spec"]["template"]

    world.put(a_secret(**{"ca.crt": "Mg=="}))
    world.converge()

    assert world.objects[DEPLOYMENT_OF_ORDERS]["spec"]["template"] != before


def test_pods_of_an_earlier_version_are_rolled_by_the_next_certificate_only() -> None:
    live = {"metadata": {}, "spec": {"template": {"metadata": {}}}}
    name = "prism.io/tls-hash"

    def hashes(live: Json, value: str) -> PodHashes:
        return pod_hashes(b"key", {name: {"ca.crt": value}}, live, since=frozenset({name}))

    noted = hashes(live, "1")
    assert noted.template == ()

    live["metadata"]["annotations"] = dict(noted.deployment)
    assert hashes(live, "1") == noted
    assert dict(hashes(live, "2").template)


def test_a_secret_out_of_sight_does_not_roll_the_pods() -> None:
    secret = a_secret(password="MQ==")
    world = World(
        a_pattern(backendConfig={"name": "broker"}),
        a_backend(connection={"secretRef": {"name": "creds"}}),
        secret,
    )
    world.converge()

    del world.objects[Ref(SECRET, NAMESPACE, "creds")]

    assert world.plan(ORDERS).is_empty


# --- Placement


@pytest.mark.parametrize(
    "placement", [{"nodeName": "node-1"}, {"priorityClassName": "system-node-critical"}]
)
def test_privileged_placement_needs_the_operators_consent(placement: Json) -> None:
    pattern = a_pattern(runnerSpec=placement)

    refused, allowed = plan(pattern), plan(pattern, allow_privileged_placement=True)

    assert refused.writes == ()
    assert condition(refused, "PlacementRefused")["status"] == "True"
    assert condition(refused, "Ready")["reason"] == "PlacementNotAllowed"
    assert condition(refused, "Stalled")["status"] == "True"
    assert [event.reason for event in refused.events] == ["PlacementNotAllowed"]
    assert len(allowed.writes) == 1


def test_refused_placement_leaves_what_runs_alone() -> None:
    world = World(a_pattern())
    world.converge()
    world.edit(ORDERS, runnerSpec={"nodeName": "node-1"})

    assert world.plan(ORDERS).writes == ()


# --- Replicas


@pytest.mark.parametrize(("replicas", "expected"), [(1, 2), (3, 3), (9, 5)])
def test_with_autoscaling_the_replicas_start_within_its_bounds(
    replicas: int, expected: int
) -> None:
    planned = plan(
        a_pattern(
            replicas=replicas,
            autoscaling={"minReplicas": 2, "maxReplicas": 5, "targetCPUUtilizationPercentage": 70},
        )
    )

    assert written(planned, "Deployment", "orders")["spec"]["replicas"] == expected
    assert condition(planned, "ScalerReady")["status"] == "True"


# --- Status


def test_ready_waits_for_the_newest_generation() -> None:
    world = World(a_pattern(replicas=2))
    world.converge()
    assert world.plan(ORDERS).is_empty

    world.edit(ORDERS, image="new")
    planned = world.plan(ORDERS)

    assert condition(planned, "Ready")["status"] == "False"
    assert condition(planned, "Reconciling")["status"] == "True"
    assert planned.status is not None
    assert planned.status["observedGeneration"] == 2
    assert planned.status["phase"] == "Pending"


def test_the_status_counts_what_the_deployment_counts() -> None:
    world = World(a_pattern(replicas=2))
    world.converge()

    status = world.objects[ORDERS]["status"]

    assert status["phase"] == "Running"
    assert (status["replicas"], status["availableReplicas"]) == (2, 2)
    assert status["selector"] == "app=prism,runner=orders"


def test_a_lost_pod_degrades_and_its_return_is_told() -> None:
    world = World(a_pattern(replicas=2))
    world.converge()
    live = world.objects[DEPLOYMENT_OF_ORDERS]
    world.put({**live, "status": {**live["status"], "availableReplicas": 1}})

    lost = world.plan(ORDERS)
    world.carry_out(lost)
    world.put(live)
    back = world.plan(ORDERS)

    assert condition(lost, "Ready")["reason"] == "ReplicasUnavailable"
    assert condition(lost, "Degraded")["status"] == "True"
    assert [(event.type, event.reason) for event in lost.events] == [
        ("Warning", "ReplicasUnavailable")
    ]
    assert [(event.type, event.reason) for event in back.events] == [("Normal", "Ready")]


def test_a_pattern_converges_with_five_writes() -> None:
    world = World(a_pattern(service={}))
    world.converge()

    assert len(world.writes) <= 5, world.writes


def test_a_lasting_failure_stalls_and_is_told_without_secrets() -> None:
    failure = Failure(
        DEPLOYMENT_OF_ORDERS, "create", "Forbidden", "no, see http://me:pw@host for help"
    )
    planned = plan_pattern(observed(a_pattern(), failures=(failure,)), SETTINGS, NOW)

    stalled = condition(planned, "Stalled")
    assert (stalled["status"], stalled["reason"]) == ("True", "Forbidden")
    assert stalled["message"] == (
        "cannot create Deployment prism-system/orders: no, see http://***@host for help"
    )
    assert [event.reason for event in planned.events] == ["Forbidden"]


def test_a_passing_failure_is_only_reconciling() -> None:
    world = World(a_pattern())
    world.converge()
    failure = Failure(DEPLOYMENT_OF_ORDERS, "apply", "Transient", "timeout")
    seen = observed(world.objects[ORDERS], *world.objects.values(), failures=(failure,))

    planned = plan_pattern(seen, SETTINGS, LATER)

    assert condition(planned, "Reconciling")["reason"] == "Retrying"
    assert condition(planned, "Ready")["status"] == "True"
    assert planned.events == ()


def test_a_pattern_on_its_way_out_is_left_to_go() -> None:
    leaving = a_pattern(metadata={"deletionTimestamp": "2026-01-01T00:00:00Z"})

    assert plan(leaving) == Plan(ORDERS)


def test_a_pattern_whose_stack_is_gone_is_left_to_the_garbage_collector() -> None:
    stack = a_stack()
    made = owned(a_pattern(), stack)
    namesake = a_stack(metadata={"uid": "another"})

    assert plan(made) == plan(made, namesake) == Plan(ORDERS)
    assert plan(made, stack).writes != ()


def test_an_invalid_spec_is_said_and_tears_nothing_down() -> None:
    world = World(a_pattern())
    world.converge()
    world.edit(ORDERS, replicas=-1)

    planned = world.plan(ORDERS)

    assert planned.writes == ()
    assert condition(planned, "Ready")["message"] == "spec.replicas: -1 is below 0"
    assert condition(planned, "Stalled")["reason"] == "InvalidSpec"
    assert [event.reason for event in planned.events] == ["InvalidSpec"]
    world.carry_out(planned)
    assert world.plan(ORDERS).is_empty


# --- Hands of others


def test_an_image_edited_by_hand_is_put_back_and_told_once() -> None:
    world = World(a_pattern())
    world.converge()
    live = world.objects[DEPLOYMENT_OF_ORDERS]
    edited = yaml.safe_load(yaml.safe_dump(live))
    container(edited)["image"] = "evil"
    world.put(edited)

    planned = world.plan(ORDERS)

    assert [event.reason for event in planned.events] == ["Repaired"]
    world.converge()
    assert container(world.objects[DEPLOYMENT_OF_ORDERS])["image"] == container(live)["image"]


def test_what_a_new_spec_asks_for_is_no_repair() -> None:
    world = World(a_pattern())
    world.converge()
    world.edit(ORDERS, config={"a": 1})

    assert world.plan(ORDERS).events == ()


def test_what_kubectl_and_webhooks_add_survives() -> None:
    world = World(a_pattern(env=[{"name": "A", "value": "1"}]))
    world.converge()
    edited = yaml.safe_load(yaml.safe_dump(world.objects[DEPLOYMENT_OF_ORDERS]))
    template = edited["spec"]["template"]
    template["metadata"]["annotations"] = {"kubectl.kubernetes.io/restartedAt": "now"}
    template["spec"]["containers"].append({"name": "sidecar", "image": "mesh"})
    container(edited)["env"].append({"name": "B", "value": "2"})
    world.put(edited)
    world.converge()
    world.edit(ORDERS, image="new")
    world.converge()

    live = world.objects[DEPLOYMENT_OF_ORDERS]
    assert container(live)["image"] == "new"
    assert env_of(live)["B"] == "2"
    assert [c["name"] for c in pod_spec(live)["containers"]] == ["consumer-runner", "sidecar"]
    annotations = live["spec"]["template"]["metadata"]["annotations"]
    assert annotations == {"kubectl.kubernetes.io/restartedAt": "now"}


def test_a_service_that_left_the_spec_is_deleted() -> None:
    world = World(a_pattern(service={}))
    world.converge()
    world.edit(ORDERS, service=None)
    world.converge()

    assert sorted(ref.resource.kind for ref in world.objects) == ["Deployment", "PrismPattern"]


def test_a_foreign_deployment_is_said_as_name_conflict() -> None:
    foreign = an_object("apps/v1", "Deployment", "orders")

    planned = plan(a_pattern(), foreign)

    assert planned.writes == ()
    assert condition(planned, "NameConflict")["status"] == "True"
    assert condition(planned, "Ready")["reason"] == "NameConflict"
    assert [event.reason for event in planned.events] == ["NameConflict"]


def test_a_paused_pattern_writes_nothing_and_says_so() -> None:
    paused = a_pattern(metadata={"annotations": {"prism.io/paused": "true"}})

    planned = plan(paused)

    assert planned.writes == ()
    assert condition(planned, "Paused")["message"] == (
        "annotation prism.io/paused on this object, writes held back: 1"
    )
    assert condition(planned, "Ready")["reason"] == "Paused"
    assert condition(planned, "Stalled")["status"] == "False"


def test_a_paused_stack_pauses_its_patterns() -> None:
    stack = a_stack(metadata={"annotations": {"prism.io/paused": "true"}})

    planned = plan(owned(a_pattern(), stack), stack)

    assert planned.writes == ()
    assert "on PrismStack demo" in condition(planned, "Paused")["message"]


def test_a_paused_pattern_that_is_as_it_should_be_stays_ready() -> None:
    world = World(a_pattern())
    world.converge()
    obj = world.objects[ORDERS]
    world.put({**obj, "metadata": {**obj["metadata"], "annotations": {"prism.io/paused": "true"}}})
    world.converge()

    conditions = {c["type"]: c["status"] for c in world.objects[ORDERS]["status"]["conditions"]}
    assert (conditions["Ready"], conditions["Paused"]) == ("True", "True")


def test_the_stack_label_reaches_objects_and_pods() -> None:
    made = deployment(a_pattern(metadata={"labels": {"stack": "demo"}}))

    assert made["metadata"]["labels"]["stack"] == "demo"
    assert made["spec"]["template"]["metadata"]["labels"]["stack"] == "demo"


# --- The key of the hashes

OWN = Settings(hash_key=b"an operator's own key")
OTHER = Settings(hash_key=b"the key after the first was lost")


def a_world_with_hashes(settings: Settings) -> World:
    world = World(
        a_pattern(config={"a": 1}, backendConfig={"name": "broker"}),
        a_backend(connection={"secretRef": {"name": "creds"}}),
        a_secret(url="bmF0cw=="),
    )
    world.settings = settings
    world.converge()
    return world


def hashes_of(world: World) -> Json:
    template = world.objects[DEPLOYMENT_OF_ORDERS]["spec"]["template"]
    found: Json = template["metadata"]["annotations"]
    return found


def change_config(world: World) -> None:
    world.edit(ORDERS, config={"a": 2})


def change_secret(world: World) -> None:
    world.put(a_secret(url="cmVkaXM="))


@pytest.mark.parametrize(("before", "after"), [(Settings(), OWN), (OWN, OTHER), (OWN, Settings())])
@pytest.mark.parametrize("change", [change_config, change_secret])
def test_another_key_rolls_no_pod_and_the_next_change_does(
    before: Settings, after: Settings, change: Callable[[World], None]
) -> None:
    world = a_world_with_hashes(before)
    old = hashes_of(world)

    world.settings = after
    world.converge()
    assert hashes_of(world) == old

    change(world)
    world.converge()
    new = hashes_of(world)
    assert new != old
    assert len(new.items() & old.items()) == 1, "what did not change is as it was"

    world.converge()
    assert hashes_of(world) == new


def test_a_hash_by_a_key_of_its_own_cannot_be_computed_without_it() -> None:
    world = a_world_with_hashes(OWN)

    for text in hashes_of(world).values():
        assert text.partition("-")[2]
        assert text not in hashes_of(a_world_with_hashes(OTHER)).values()


def test_a_key_is_not_in_the_text_of_the_settings() -> None:
    assert "own key" not in repr(OWN)
