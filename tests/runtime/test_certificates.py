"""The webhook's own certificate: one for all replicas, renewed without a gap in trust."""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest

from prism_operator.api.meta import (
    SECRET,
    VALIDATING_WEBHOOK_CONFIGURATION,
    Json,
    Ref,
)
from prism_operator.ports import CertificateError, KeyPair, Life
from prism_operator.runtime.certificates import (
    CONFIGURATION_NAME,
    SECRET_NAME,
    Action,
    Rotation,
    SelfManaged,
    next_action,
)
from prism_operator.webhook import build_webhook
from simulator.apiserver.request import Request, Response

from .world import World

SECRET_REF = Ref(SECRET, "prism-system", SECRET_NAME)
CONFIGURATION = Ref(VALIDATING_WEBHOOK_CONFIGURATION, "", CONFIGURATION_NAME)
NAMES = ("hook.prism-system.svc",)
ROTATION = Rotation(
    validity=timedelta(days=9), renew_before=timedelta(days=3), overlap=timedelta(minutes=5)
)
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def a_life(days_left: float, *, age: timedelta = timedelta(days=1)) -> Life:
    return Life(NOW - age, NOW + timedelta(days=days_left), NAMES, b"ca")


@pytest.mark.parametrize(
    ("current", "successor", "action"),
    [
        (None, None, Action.REPLACE),
        (a_life(-1), None, Action.REPLACE),
        (a_life(-1), a_life(-1), Action.REPLACE),
        (a_life(-1), a_life(5, age=timedelta()), Action.PROMOTE),
        (None, a_life(5), Action.PROMOTE),
        (a_life(4), None, Action.KEEP),
        (a_life(2), None, Action.PREPARE),
        (a_life(2), a_life(9, age=timedelta(minutes=4)), Action.KEEP),
        (a_life(2), a_life(9, age=timedelta(minutes=5)), Action.PROMOTE),
    ],
)
def test_what_is_due(current: Life | None, successor: Life | None, action: Action) -> None:
    assert next_action(current, successor, ROTATION, NOW) is action


class PlainCertificates:
    """Certificates that say in plain text what real ones say in ASN.1."""

    made = 0

    def __init__(self) -> None:
        self.served: list[KeyPair] = []

    def issue(self, names: Sequence[str], now: datetime, validity: timedelta) -> KeyPair:
        PlainCertificates.made += 1
        text = f"{now.isoformat()} {(now + validity).isoformat()} ca-{PlainCertificates.made}"
        return KeyPair(" ".join([text, *names]).encode(), b"key")

    def life_of(self, pair: KeyPair) -> Life:
        try:
            issued, ends, authority, *names = pair.certificate.decode().split()
        except ValueError:
            raise CertificateError("nonsense") from None
        return Life(
            datetime.fromisoformat(issued),
            datetime.fromisoformat(ends),
            tuple(names),
            f"[{authority}]".encode(),
        )

    def take(self, pair: KeyPair) -> None:
        if pair not in self.served[-1:]:
            self.served.append(pair)


# Of the built-in kind the fake API server has no schema; that it keeps what it is given is enough.
_CONFIGURATIONS: Json = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {
        "name": f"{VALIDATING_WEBHOOK_CONFIGURATION.plural}."
        f"{VALIDATING_WEBHOOK_CONFIGURATION.group}"
    },
    "spec": {
        "group": VALIDATING_WEBHOOK_CONFIGURATION.group,
        "scope": "Cluster",
        "names": {
            "kind": VALIDATING_WEBHOOK_CONFIGURATION.kind,
            "plural": VALIDATING_WEBHOOK_CONFIGURATION.plural,
        },
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "schema": {
                    "openAPIV3Schema": {
                        "type": "object",
                        "x-kubernetes-preserve-unknown-fields": True,
                    }
                },
            }
        ],
    },
}


class Site:
    """A cluster with a webhook configuration, and replicas that keep its certificate."""

    def __init__(self) -> None:
        self.world = World()
        self.world.server.catalog.add_crd(_CONFIGURATIONS)
        self.world.create(
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "prism-system"}}
        )
        self.world.create(build_webhook()["manifests"])

    def replica(self, user: str = "operator") -> tuple[SelfManaged, PlainCertificates]:
        certificates = PlainCertificates()
        managed = SelfManaged(
            reader=self.world.reader(user),
            writer=self.world.writer(user),
            clock=self.world.clock,
            namespace="prism-system",
            names=NAMES,
            certificates=certificates,
            rotation=ROTATION,
        )
        return managed, certificates

    @property
    def trusted(self) -> bytes:
        """Whom the API server trusts."""
        configuration = self.world.get(CONFIGURATION)
        assert configuration is not None
        (webhook,) = configuration["webhooks"]
        return b64decode(webhook["clientConfig"].get("caBundle", ""))

    @property
    def secret(self) -> Json:
        found = self.world.get(SECRET_REF)
        assert found is not None
        return found


def test_the_first_look_makes_a_certificate_and_has_it_trusted() -> None:
    site = Site()
    managed, certificates = site.replica()

    managed.step()

    assert managed.trouble == ""
    (served,) = certificates.served
    assert certificates.life_of(served).authority == site.trusted
    assert site.secret["type"] == "kubernetes.io/tls"


def test_a_look_at_what_is_fine_writes_nothing() -> None:
    site = Site()
    managed, _ = site.replica()
    managed.step()
    writes = len(site.world.writes)

    for _ in range(3):
        managed.step()

    assert len(site.world.writes) == writes


def test_replicas_that_start_together_agree_on_one_certificate() -> None:
    site = Site()
    first, of_first = site.replica("first")
    second, of_second = site.replica("second")
    raced = False

    def first_is_faster(request: Request, response: Response | None) -> Response | None:
        nonlocal raced
        if request.user == "second" and request.method == "POST" and not raced:
            raced = True
            first.step()
        return None

    site.world.fault = first_is_faster
    second.step()

    assert raced
    assert of_first.served == of_second.served
    assert of_first.life_of(of_first.served[0]).authority == site.trusted
    assert second.trouble == ""


def test_renewal_serves_only_what_has_been_trusted_long_enough() -> None:
    site = Site()
    replicas = [site.replica("first"), site.replica("second")]
    clock = site.world.clock
    trusted_since_s: dict[bytes, float] = {}
    half_an_hour_s, days = 1800.0, 20

    for _ in range(days * 48):
        for managed, certificates in replicas:
            managed.step()
            life = certificates.life_of(certificates.served[-1])
            assert life.authority in site.trusted
            assert clock.now() < life.ends
            since_s = trusted_since_s.setdefault(life.authority, clock.elapsed_s)
            is_first = len(certificates.served) == 1
            assert is_first or clock.elapsed_s - since_s >= ROTATION.overlap.total_seconds()
        for authority in site.trusted.replace(b"][", b"] [").split():
            trusted_since_s.setdefault(authority, clock.elapsed_s)
        clock.elapsed_s += half_an_hour_s

    (_, first), (_, second) = replicas
    assert first.served == second.served
    assert len(first.served) == 4  # at the start, and after 6, 12 and 18 days
    assert site.trusted.count(b"ca-") == 2  # of the one that is served, and the one before it


def test_a_successor_waits_until_every_api_server_trusts_it() -> None:
    site = Site()
    managed, certificates = site.replica()
    managed.step()
    site.world.clock.elapsed_s += 6 * 86_400

    managed.step()
    successor = b64decode(site.secret["data"]["next.crt"])
    assert len(certificates.served) == 1
    assert certificates.life_of(KeyPair(successor, b"key")).authority in site.trusted

    site.world.clock.elapsed_s += ROTATION.overlap.total_seconds() - 1
    managed.step()
    assert len(certificates.served) == 1

    site.world.clock.elapsed_s += 1
    managed.step()
    assert certificates.served[-1].certificate == successor
    assert "next.crt" not in site.secret["data"]


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"tls.crt": b64encode(b"garbage").decode(), "tls.key": ""},
        {"tls.crt": "", "ca.crt": b64encode(b"[ca-of-somebody]").decode()},
    ],
)
def test_a_secret_that_somebody_emptied_is_made_anew(data: Json) -> None:
    site = Site()
    managed, certificates = site.replica()
    managed.step()
    keep = dict.fromkeys(site.secret["data"])
    site.world.edit(SECRET_REF, {"data": {**keep, "tls.crt": "", "tls.key": "", **data}})

    managed.step()

    assert managed.trouble == ""
    assert len(certificates.served) == 2
    assert certificates.life_of(certificates.served[-1]).authority in site.trusted


def test_trust_that_somebody_removed_comes_back_and_nothing_else_is_touched() -> None:
    site = Site()
    managed, _ = site.replica()
    managed.step()
    before = site.world.get(CONFIGURATION)
    assert before is not None
    webhooks = [{**before["webhooks"][0], "timeoutSeconds": 7}]
    webhooks[0]["clientConfig"] = {**webhooks[0]["clientConfig"], "caBundle": None}
    site.world.edit(CONFIGURATION, {"webhooks": webhooks})

    managed.step()

    after = site.world.get(CONFIGURATION)
    assert after is not None
    client_config = before["webhooks"][0]["clientConfig"]
    assert after["webhooks"] == [
        {**before["webhooks"][0], "timeoutSeconds": 7, "clientConfig": client_config}
    ]


def test_what_is_cert_managers_is_left_to_it() -> None:
    site = Site()
    annotations = {"cert-manager.io/inject-ca-from": "prism-system/cert"}
    site.world.edit(CONFIGURATION, {"metadata": {"annotations": annotations}})
    managed, _ = site.replica()

    managed.step()

    assert site.trusted == b""
    assert "cert-manager decides whom the API server trusts" in managed.trouble

    owner = {"cert-manager.io/certificate-name": "cert"}
    site.world.edit(SECRET_REF, {"metadata": {"annotations": owner}})
    writes = len(site.world.writes)
    managed.step()
    assert "is cert-manager's" in managed.trouble
    assert len(site.world.writes) == writes


def test_without_a_configuration_the_rest_goes_on_and_it_is_said() -> None:
    site = Site()
    site.world.delete(CONFIGURATION)
    managed, certificates = site.replica()

    managed.step()

    assert len(certificates.served) == 1
    assert f"cannot get {CONFIGURATION}" in managed.trouble
