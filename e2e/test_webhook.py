"""The admission webhook on a real API server: it warns, it denies, and it is never in the way."""

from __future__ import annotations

import json
import ssl
import subprocess
import threading
import time
from base64 import b64decode
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from pathlib import Path

import pytest
import requests
from pykube import HTTPClient, KubeConfig

from e2e.cluster import OPERATOR_ACCOUNT, Cluster, Json, KubectlError, free_ports
from e2e.operator_process import OperatorProcess, operator_kubeconfig
from e2e.waiting import eventually
from prism_operator.adapters.certificates import ServedCertificates
from prism_operator.adapters.clock import SystemClock
from prism_operator.adapters.connection import connect
from prism_operator.adapters.webhook_server import Patience, WebhookServer
from prism_operator.admission.review import PATH, Judgement, answer, read_review
from prism_operator.api.meta import PRISM_STACK
from prism_operator.runtime.certificates import Rotation, SelfManaged
from prism_operator.webhook import SERVICE_NAME, build_webhook
from tests.api.builders import a_backend, a_pattern, a_stack

SYSTEM = "--namespace=prism-system"
_AS_OPERATOR = (f"--as={OPERATOR_ACCOUNT}", "--as-group=system:masters")
HOST = f"{SERVICE_NAME}.prism-system.svc"
_NAMESPACE = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "prism-system"}}


@pytest.fixture
def port(local_cluster: Cluster) -> Iterator[int]:
    """A port on this machine which the installed configuration leads to."""
    (free,) = free_ports(1)
    objects = build_webhook()
    service = objects["service"]
    service["spec"] = {"type": "ExternalName", "externalName": "localhost"}
    (webhook,) = objects["manifests"]["webhooks"]
    webhook["clientConfig"]["service"]["port"] = free
    texts = "\n---\n".join(map(json.dumps, [_NAMESPACE, *objects.values()]))
    local_cluster.kubectl("apply", "--filename=-", "--validate=strict", stdin=texts)
    yield free
    local_cluster.kubectl(
        "delete", "--filename=-", "--wait=false", stdin=json.dumps(objects["manifests"])
    )
    local_cluster.kubectl("delete", "secret", "webhook-server-cert", SYSTEM, "--ignore-not-found")


Start = Callable[..., OperatorProcess]


@pytest.fixture
def start_webhook(start_operator: Start, port: int) -> Start:
    """Starts operators that serve the webhook, the first where the API server asks."""
    ports = iter([port, *free_ports(3)])

    def start() -> OperatorProcess:
        return start_operator(
            f"--webhook-bind-address=127.0.0.1:{next(ports)}",
            "--leader-elect-namespace=prism-system",
        )

    return start


def applied(cluster: Cluster, obj: Json, namespace: str, *flags: str) -> str:
    """What kubectl prints on applying, warnings included. Raises KubectlError when denied."""
    obj = {**obj, "metadata": {**obj["metadata"], "namespace": namespace}}
    result = subprocess.run(
        [*cluster.kubectl_command, "apply", "--server-side", "--filename=-", *flags],
        input=json.dumps(obj),
        capture_output=True,
        text=True,
        timeout=60,
        env=cluster.environment(),
    )
    if result.returncode:
        raise KubectlError(result.stderr)
    return result.stdout + result.stderr


def test_kubectl_shows_warnings_and_denials_as_they_are_said(
    cluster: Cluster, namespace: str, start_webhook: Start
) -> None:
    start_webhook()
    where = f"--namespace={namespace}"
    four_admins = a_stack("shop", admin={"replicas": 4, "image": "admin:1"})

    def warned() -> None:
        told = applied(cluster, four_admins, namespace, "--dry-run=server")
        assert "Warning: spec.admin.replicas is 4: an even number of admins" in told

    eventually(warned)  # the API server learns of the bundle within a moment
    missing = a_backend("redis", provider="redis", connection={"secretRef": {"name": "redis"}})
    told = applied(cluster, missing, namespace)
    assert (
        f"Warning: spec.connection.secretRef: Secret {namespace}/redis does not exist (yet)" in told
    )

    cluster.kubectl("create", "deployment", "orders", "--image=i", where)
    with pytest.raises(KubectlError) as denied:
        applied(cluster, a_pattern("orders"), namespace)
    message = str(denied.value)
    assert (
        f'admission webhook "validate.prism.io" denied the request: Deployment {namespace}/orders'
        in message
    )
    assert 'prism.io/adopt: "true"' in message  # what to do

    # Out of the way, at once, although watches lag.
    cluster.kubectl("delete", "deployment", "orders", where, "--wait=false", "--cascade=orphan")
    assert "serverside-applied" in applied(cluster, a_pattern("orders"), namespace)
    # Replaced in one go: what the old one left behind is no stranger.
    cluster.kubectl("wait", "--for=create", "deployment/orders", where, "--timeout=30s")
    patterned = json.dumps(
        {**a_pattern("orders"), "metadata": {"name": "orders", "namespace": namespace}}
    )
    cluster.kubectl("replace", "--force", "--filename=-", stdin=patterned)


def test_a_dead_webhook_blocks_nothing(
    cluster: Cluster, namespace: str, start_webhook: Start, start_operator: Start
) -> None:
    operator = start_webhook()
    where = f"--namespace={namespace}"
    applied(cluster, a_stack("shop", proxy={"image": "proxy:1"}), namespace)
    operator.kill()

    began_s = time.monotonic()
    applied(cluster, a_stack("shop", proxy={"image": "proxy:2"}), namespace)
    applied(cluster, a_pattern("orders"), namespace)
    assert time.monotonic() - began_s < 10
    start_operator()  # without a webhook, beside a configuration that leads nowhere

    def made() -> None:
        deployment = cluster.get("deployment", "shop-proxy", where)
        (container,) = deployment["spec"]["template"]["spec"]["containers"]
        assert container["image"] == "proxy:2"
        assert cluster.get("ppattern", "orders", where)["status"]["phase"]

    eventually(made)
    cluster.kubectl("delete", "pstack/shop", "ppattern/orders", where, "--timeout=30s")


def served_by(port: int) -> bytes:
    """The certificate that is served, whoever signed it."""
    return ssl.get_server_certificate(("127.0.0.1", port)).encode()


def test_two_operators_that_start_together_serve_one_certificate(
    cluster: Cluster, port: int, tmp_path: Path
) -> None:
    ports = (port, *free_ports(1))
    with ExitStack() as stack:
        operators = [
            stack.enter_context(
                OperatorProcess(
                    cluster,
                    tmp_path / f"{p}.log",
                    f"--webhook-bind-address=127.0.0.1:{p}",
                    "--no-leader-elect",
                    "--leader-elect-namespace=prism-system",
                    kubeconfig=operator_kubeconfig(cluster),
                )
            )
            for p in ports
        ]
        for operator in operators:
            operator.wait_until_ready()
        served = [served_by(p) for p in ports]

    secret = cluster.get("secret", "webhook-server-cert", SYSTEM)
    certificate = b64decode(secret["data"]["tls.crt"])
    assert served[0] == served[1]
    assert served[0].strip() in certificate
    named = ("validatingwebhookconfiguration", "prism-validating-webhook-configuration")
    (webhook,) = cluster.get(*named)["webhooks"]
    assert webhook["clientConfig"]["caBundle"] == secret["data"]["ca.crt"]
    # The memo's way to look at it.
    command = ("openssl", "x509", "-noout", "-text")
    told = subprocess.run(command, input=certificate, capture_output=True, check=True).stdout
    assert f"DNS:{HOST}" in told.decode()


@contextmanager
def a_webhook_of_our_own(
    cluster: Cluster, port: int, said: Judgement, rotation: Rotation, patience: Patience
) -> Iterator[SelfManaged]:
    """Answers everything the API server asks with what is ``said``; renew it by ``step``."""
    connection = connect(str(cluster.kubeconfig))
    certificates = ServedCertificates()
    managed = SelfManaged(
        reader=connection.reader(),
        writer=connection.writer(),
        clock=SystemClock(),
        namespace="prism-system",
        names=[HOST],
        certificates=certificates,
        rotation=rotation,
    )
    managed.step()
    server = WebhookServer(
        f"127.0.0.1:{port}",
        PATH,
        lambda body: answer(read_review(body), said),
        certificates.context,
        patience,
    )
    try:
        yield managed
    finally:
        server.close()
        connection.close()


def test_a_webhook_gone_mad_stops_neither_deletions_nor_finalizers_nor_the_operator(
    cluster: Cluster, namespace: str, port: int
) -> None:
    where = f"--namespace={namespace}"
    applied(cluster, a_stack("shop"), namespace)
    no = Judgement(denials=["no, whatever it is"])
    with a_webhook_of_our_own(cluster, port, no, Rotation(), Patience()):

        def denied() -> None:
            with pytest.raises(KubectlError, match="no, whatever it is"):
                applied(cluster, a_stack("shop", proxy={"replicas": 2}), namespace)

        eventually(denied)
        for patch, flags in (
            ({"metadata": {"finalizers": ["prism.io/provisioned"]}}, ()),
            ({"metadata": {"labels": {"a": "b"}}}, ()),
            ({"status": {"phase": "Running"}}, ("--subresource=status",)),
            ({"spec": {"proxy": {"replicas": 3}}}, _AS_OPERATOR),
        ):
            change = ("--type=merge", f"--patch={json.dumps(patch)}", *flags)
            cluster.kubectl("patch", "pstack/shop", *change, where)
        cluster.kubectl("delete", "pstack/shop", "--wait=false", where)
        none = json.dumps({"metadata": {"finalizers": None}})
        cluster.kubectl("patch", "pstack/shop", "--type=merge", f"--patch={none}", where)
        cluster.kubectl("wait", "--for=delete", "pstack/shop", "--timeout=30s", where)


def test_no_request_goes_unanswered_while_certificates_are_renewed(
    local_cluster: Cluster, namespace: str, port: int
) -> None:
    # Two renewals and more, within half a minute.
    rotation = Rotation(
        validity=timedelta(seconds=16),
        renew_before=timedelta(seconds=9),
        overlap=timedelta(seconds=4),
        look_s=0.2,
    )
    # Connections end at once, so that each request brings a handshake.
    hasty = Patience(idle_s=0.05)
    here = Judgement(warnings=["here"])
    stop, seen = threading.Event(), set[bytes]()
    with a_webhook_of_our_own(local_cluster, port, here, rotation, hasty) as managed:

        def keep() -> None:
            while not stop.wait(managed.step()):
                seen.add(served_by(port))

        keeper = threading.Thread(target=keep)
        keeper.start()
        try:
            api = HTTPClient(KubeConfig.from_file(str(local_cluster.kubeconfig)))
            eventually(lambda: _is_warned(api, namespace))
            requests_made, until_s = 0, time.monotonic() + 30
            while time.monotonic() < until_s:
                _is_warned(api, namespace)
                requests_made += 1
                time.sleep(0.3)
        finally:
            stop.set()
            keeper.join()

    assert managed.trouble == ""
    assert len(seen) >= 3, "certificates were not renewed"
    assert requests_made > 30


def _is_warned(api: HTTPClient, namespace: str) -> None:
    response: requests.Response = api.session.post(
        api.url + PRISM_STACK.path(namespace),
        params={"dryRun": "All"},
        json={**a_stack("shop"), "metadata": {"name": "shop", "namespace": namespace}},
        timeout=30,
    )
    assert response.status_code == 201
    assert response.headers.get("Warning") == '299 - "here"'
