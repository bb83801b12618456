"""The support bundle: complete, the same for the same cluster, and without any secret."""

from __future__ import annotations

import base64
import gzip
import io
import json
import tarfile
from contextlib import closing
from typing import Any

import pytest
from requests import PreparedRequest, Response

from prism_operator.adapters.connection import connect_over
from prism_operator.adapters.gathering import Gatherer
from prism_operator.api.meta import (
    CONFIG_MAP,
    DEPLOYMENT,
    NAMESPACE,
    POD,
    PRISM_BACKEND,
    PRISM_PATTERN,
    PRISM_STACK,
    REPLICA_SET,
    SECRET,
    Json,
    Ref,
    Resource,
)
from prism_operator.cli.plugin.cluster import OpenCluster
from prism_operator.cli.plugin.report import collect_files
from prism_operator.cli.plugin.status import overviews_text
from prism_operator.diagnosis.bundle import as_archive
from prism_operator.diagnosis.diagnose import diagnose
from prism_operator.diagnosis.facts import EVENTS
from prism_operator.diagnosis.overview import overview_of
from prism_operator.diagnosis.text import diagnosis_text
from simulator.apiserver.transport import InProcessAdapter
from tests.runtime.world import World

SUPPORT = "support"


class Canaries:
    """Secrets of which each says where it was put."""

    def __init__(self) -> None:
        self.made: dict[str, str] = {}

    def __call__(self, place: str) -> str:
        return self.made.setdefault(place, f"c4nary{len(self.made):02}{place.title()}")

    def found_in(self, content: bytes) -> list[str]:
        return [
            place
            for place, secret in self.made.items()
            if secret.encode() in content
            or base64.b64encode(secret.encode()).rstrip(b"=") in content
        ]


class WithLogs(InProcessAdapter):
    """The in-process transport, with a kubelet that has logs."""

    logs = ""

    def send(self, request: PreparedRequest, **more: Any) -> Response:  # type: ignore[override]
        if "/log?" in (request.url or ""):
            answer = Response()
            answer.status_code, answer.raw = 200, io.BytesIO(self.logs.encode())
            return answer
        return super().send(request, **more)


class Cluster:
    """A fake cluster as somebody from support reads it."""

    def __init__(self) -> None:
        self.world = World()
        self.requested: list[str] = []
        self.transport = WithLogs(self.world.server, SUPPORT)
        self.world.fault = self._note

    def _note(self, request: Any, _response: Any) -> None:
        if request.user == SUPPORT:
            self.requested.append(request.path)

    def open(self) -> OpenCluster:
        connection = connect_over(self.transport)
        return OpenCluster(connection, Gatherer(connection, self.world.clock), "default")

    def files(self) -> dict[str, str]:
        opened = self.open()
        with closing(opened.connection):
            return collect_files(opened, "")[0]

    def settle(self) -> None:
        self.world.run(self.world.operator(), seconds=5)


@pytest.fixture
def cluster() -> Cluster:
    return Cluster()


def an_object(resource: Resource, name: str, **fields: Any) -> Json:
    metadata = {"name": name, "namespace": "default", **fields.pop("metadata", {})}
    return {
        "apiVersion": resource.api_version,
        "kind": resource.kind,
        "metadata": metadata,
        **fields,
    }


def a_planted_stack(canary: Canaries) -> Json:
    return an_object(
        PRISM_STACK,
        "shop",
        metadata={
            "annotations": {
                "kubectl.kubernetes.io/last-applied-configuration": canary("lastapplied"),
                "prism.io/adopt": canary("adopt"),
            }
        },
        spec={
            "proxy": {
                "replicas": 1,
                "env": [
                    {"name": "DB_PASSWORD", "value": canary("env")},
                    {"name": "HARMLESS", "value": canary("harmless")},
                    {"name": "DSN", "value": f"app:{canary('dsn')}@tcp(db:3306)/x"},
                ],
                "podAnnotations": {"team/note": canary("podannotation")},
                "lifecycle": {"preStop": {"exec": {"command": ["sh", "-c", canary("hook")]}}},
                "probes": {
                    "readiness": {
                        "httpGet": {
                            "path": "/",
                            "port": 9090,
                            "httpHeaders": [{"name": "X-Auth", "value": canary("header")}],
                        }
                    }
                },
            },
            "backends": [
                {
                    "name": "db",
                    "type": "database",
                    "provider": "postgres",
                    "connectionString": f"postgres://db/{canary('path')}?password={canary('query')}",
                }
            ],
            "patterns": [
                {
                    "name": "orders",
                    "type": "consumer",
                    "backend": "rabbitmq",
                    "config": {"db": {"password": canary("config"), "note": canary("confignote")}},
                    "autoscaling": {
                        "enabled": True,
                        "maxReplicas": 3,
                        "triggers": [
                            {
                                "type": "rabbitmq",
                                "metadata": {
                                    "host": f"amqp://app:{canary('trigger')}@mq/",
                                    "queueName": "q",
                                    "mode": "QueueLength",
                                    "value": "5",
                                    "password": canary("triggerpassword"),
                                },
                            }
                        ],
                    },
                }
            ],
            "namespaces": [
                {"name": "tenant", "namespaceId": "tenant", "tags": {"note": canary("tag")}}
            ],
        },
    )


def a_pattern(canary: Canaries) -> Json:
    spec = {
        "pattern": "consumer",
        "backend": "kafka",
        "config": {"url": f"kafka://k:9092?password={canary('inlineurl')}"},
        "backendConfig": {"kafka": {"saslPassword": canary("inline")}},
    }
    return an_object(PRISM_PATTERN, "alone", spec=spec)


def a_planted_pod(canary: Canaries, replica_set: Json) -> Json:
    return an_object(
        POD,
        "shop-proxy-x",
        metadata={
            "labels": replica_set["spec"]["template"]["metadata"]["labels"],
            "annotations": {"vault/token": canary("injected")},
            "ownerReferences": [
                {
                    "apiVersion": "apps/v1",
                    "kind": "ReplicaSet",
                    "name": replica_set["metadata"]["name"],
                    "uid": replica_set["metadata"]["uid"],
                    "controller": True,
                }
            ],
        },
        spec={
            "containers": [
                {
                    "name": "proxy",
                    "image": "proxy:1",
                    "args": [f"--password={canary('arg')}", canary("barearg")],
                    "command": ["/proxy", f"--dsn=u:{canary('command')}@tcp(h)/x"],
                }
            ]
        },
    )


def plant(cluster: Cluster, canary: Canaries) -> None:
    """Puts a secret into every place where a user could."""
    world = cluster.world
    # Made before it can be said in texts.
    stack = world.create(a_planted_stack(canary))
    world.create(a_pattern(canary))
    world.create(an_object(SECRET, "db", stringData={"password": canary("secret")}))
    world.create(an_object(CONFIG_MAP, "notes", data={"note": canary("configmap")}))
    world.create(
        an_object(
            PRISM_BACKEND,
            "cache",
            spec={
                "type": "cache",
                "provider": "redis",
                "connection": {"url": f"redis://redis/0?auth={canary('backendurl')}"},
            },
        )
    )
    cluster.settle()
    deployment = world.get(Ref(DEPLOYMENT, "default", "shop-proxy"))
    assert deployment is not None
    template = deployment["spec"]["template"]
    owner = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "name": "shop-proxy",
        "uid": deployment["metadata"]["uid"],
        "controller": True,
    }
    replica_set = world.create(
        an_object(
            REPLICA_SET,
            "shop-proxy-1",
            metadata={"labels": template["metadata"]["labels"], "ownerReferences": [owner]},
            spec={"replicas": 1, "selector": deployment["spec"]["selector"], "template": template},
        )
    )
    pod = world.create(a_planted_pod(canary, replica_set))
    said = f"password: {canary('lastwords')} and {canary('env')}"
    world.edit(
        Ref(POD, "default", "shop-proxy-x"),
        {
            "status": {
                "phase": "Pending",
                "containerStatuses": [
                    {
                        "name": "proxy",
                        "image": "proxy:1",
                        "imageID": "",
                        "ready": False,
                        "restartCount": 3,
                        "state": {
                            "waiting": {
                                "reason": "CrashLoopBackOff",
                                "message": f"token={canary('waiting')}",
                            }
                        },
                        "lastState": {
                            "terminated": {"exitCode": 1, "reason": "Error", "message": said}
                        },
                    }
                ],
            }
        },
        "status",
    )
    for i, message in enumerate(
        (
            f"cannot connect to postgres://app:{canary('eventurl')}@db/x",
            f"login with password={canary('eventpassword')} and {canary('harmless')} refused",
        )
    ):
        world.must(
            "POST",
            EVENTS.path("default"),
            an_object(
                EVENTS,
                f"shop-proxy-x.{i}",
                involvedObject={
                    "apiVersion": "v1",
                    "kind": "Pod",
                    "namespace": "default",
                    "name": "shop-proxy-x",
                    "uid": pod["metadata"]["uid"],
                },
                type="Warning",
                reason="Failed",
                message=message,
            ),
        )
    condition = {
        "type": "Custom",
        "status": "False",
        "reason": "Sorry",
        "message": f"Authorization: Bearer {canary('condition')}",
        "lastTransitionTime": "2026-03-02T00:00:00Z",
    }
    world.edit(
        Ref(PRISM_STACK, "default", stack["metadata"]["name"]),
        {"status": {"conditions": [*_conditions(world), condition]}},
        "status",
    )
    install_operator(cluster, canary)


def _conditions(world: World) -> list[Json]:
    stack = world.get(Ref(PRISM_STACK, "default", "shop"))
    assert stack is not None
    conditions: list[Json] = stack["status"]["conditions"]
    return conditions


def install_operator(cluster: Cluster, canary: Canaries) -> None:
    world = cluster.world
    labels = {"app.kubernetes.io/name": "prism-operator"}
    manager = {
        "name": "manager",
        "image": "op:1",
        "args": ["--log-level=debug", f"--key={canary('operatorarg')}"],
        "env": [{"name": "TOKEN", "value": canary("operatorenv")}],
    }
    world.create({"apiVersion": "v1", "kind": NAMESPACE.kind, "metadata": {"name": "prism-system"}})
    metadata = {"namespace": "prism-system", "labels": labels}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [manager]}}
    world.create(
        an_object(
            DEPLOYMENT,
            "prism-operator-controller-manager",
            metadata=metadata,
            spec={"selector": {"matchLabels": labels}, "template": template},
        )
    )
    world.create(an_object(POD, "manager-x", metadata=metadata, spec={"containers": [manager]}))
    cluster.transport.logs = "\n".join(
        (
            json.dumps({"msg": "connected", "url": f"nats://app:{canary('logurl')}@nats"}),
            json.dumps({"msg": f'sent {{"password":"{canary("logjson")}"}}'}),
            f"Authorization: Basic {canary('logbasic')}",
            f"the variable is {canary('harmless')}, the config {canary('config')}",
            "Reconciled shop",
        )
    )


def test_no_canary_gets_into_the_bundle_whatever_place_it_was_put_in(cluster: Cluster) -> None:
    canary = Canaries()
    plant(cluster, canary)
    assert len(canary.made) >= 30

    files = cluster.files()

    for path, content in files.items():
        assert canary.found_in(f"{path}\n{content}".encode()) == [], path
    # It is no empty bundle that is clean.
    assert "name: DB_PASSWORD" in files["objects/default/Deployment/shop-proxy.yaml"]
    assert "Reconciled shop" in files["operator/logs/manager-x-manager.log"]
    assert "login with password=[withheld] and [withheld] refused" in files["events.txt"]
    assert "keeps ending with exit code 1" in files["explain/default/PrismStack/shop.txt"]


def test_no_canary_is_shown_by_explain_or_status(cluster: Cluster) -> None:
    canary = Canaries()
    plant(cluster, canary)
    opened = cluster.open()
    texts = []
    with closing(opened.connection):
        for resource in (PRISM_STACK, PRISM_PATTERN, PRISM_BACKEND):
            for obj in cluster.world.objects(resource):
                facts = opened.gatherer.facts_about({"kind": resource.kind, **obj})
                diagnosis, overview = diagnose(facts), overview_of(facts)
                texts += [diagnosis_text(diagnosis), json.dumps(diagnosis.as_json())]
                texts += [overviews_text([overview]), json.dumps(overview.as_json())]

    assert canary.found_in("\n".join(texts).encode()) == []
    assert any("PrismPattern default/alone is not Ready" in text for text in texts)


def test_secrets_and_config_maps_are_never_asked_for(cluster: Cluster) -> None:
    plant(cluster, Canaries())

    cluster.files()

    assert cluster.requested
    assert [p for p in cluster.requested if "secrets" in p or "configmaps" in p] == []


def test_the_same_cluster_gives_the_same_bytes(cluster: Cluster) -> None:
    plant(cluster, Canaries())
    when = cluster.world.clock.now()

    one, other = (as_archive(cluster.files(), directory="report", modified=when) for _ in range(2))

    assert one == other


def test_the_archive_is_nobodys_and_in_order(cluster: Cluster) -> None:
    when = cluster.world.clock.now()
    archive = as_archive({"b/c": "2", "a": "ü"}, directory="report", modified=when)

    with tarfile.open(fileobj=io.BytesIO(gzip.decompress(archive))) as unpacked:
        members = unpacked.getmembers()
        content = unpacked.extractfile("report/a")
        assert content is not None
        assert content.read().decode() == "ü"

    assert [m.name for m in members] == ["report/a", "report/b/c"]
    assert {(m.uid, m.uname, m.mtime) for m in members} == {(0, "", int(when.timestamp()))}


def test_the_index_lists_every_file(cluster: Cluster) -> None:
    plant(cluster, Canaries())

    files = cluster.files()

    for path in files.keys() - {"README.md"}:
        assert f"- {path} (" in files["README.md"]
    assert "prismstacks.prism.io/v1alpha1" in files["versions.yaml"]
