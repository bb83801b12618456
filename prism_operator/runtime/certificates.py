"""The webhook's own certificate: made once for all replicas, and renewed before it ends.

All replicas share a Secret; whoever is first to write it decides, the others read what he wrote.
Renewing takes two steps, so that no request ever meets a certificate its caller does not trust:
the successor is made and its authority trusted beside the old one; only when every API server has
had time to learn that is it served.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import Final

import structlog

from prism_operator.api.meta import (
    FIELD_MANAGER,
    SECRET,
    VALIDATING_WEBHOOK_CONFIGURATION,
    Json,
    Ref,
)
from prism_operator.ports import (
    CertificateError,
    Certificates,
    Clock,
    Failed,
    KeyPair,
    Life,
    Ok,
    Reader,
    Reason,
    Writer,
)

SECRET_NAME: Final = "webhook-server-cert"  # noqa: S105 - a name
CONFIGURATION_NAME: Final = "prism-validating-webhook-configuration"
_CERT_MANAGER: Final = "cert-manager.io/certificate-name"
CERT_MANAGER_ANNOTATION: Final = "cert-manager.io/inject-ca-from"
_log = structlog.get_logger("prism_operator.webhook")


@dataclass(frozen=True, slots=True)
class Rotation:
    """When a certificate is replaced: ``renew_before`` its end, by one that waits ``overlap``."""

    validity: timedelta = timedelta(days=90)
    renew_before: timedelta = timedelta(days=30)
    overlap: timedelta = timedelta(minutes=5)
    look_s: float = 30.0


class Action(Enum):
    """What is to be done about the certificates."""

    KEEP = "keep"
    REPLACE = "replace"  # there is none to be used: another one at once
    PREPARE = "prepare"  # a successor, which is trusted and not served yet
    PROMOTE = "promote"  # the successor is served from now on


def next_action(
    current: Life | None, successor: Life | None, rotation: Rotation, now: datetime
) -> Action:
    """What is due, given the certificate and the successor that there are."""
    if current is None or now >= current.ends:
        return Action.REPLACE if successor is None or now >= successor.ends else Action.PROMOTE
    if successor is not None:
        return Action.PROMOTE if now >= successor.issued + rotation.overlap else Action.KEEP
    return Action.PREPARE if now >= current.ends - rotation.renew_before else Action.KEEP


class SelfManaged:
    """Keeps the Secret, what is served, and what the API server trusts in step.

    ``trouble`` says what stands in the way, if anything does.
    """

    def __init__(
        self,
        *,
        reader: Reader,
        writer: Writer,
        clock: Clock,
        namespace: str,
        names: Sequence[str],
        certificates: Certificates,
        rotation: Rotation = Rotation(),
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._clock = clock
        self._ref = Ref(SECRET, namespace, SECRET_NAME)
        self._names = tuple(names)
        self._certificates = certificates
        self._rotation = rotation
        self.trouble = "its certificate was not looked at yet"

    def step(self) -> float:
        """Does what is due; returns the seconds until the next look."""
        before, self.trouble = self.trouble, ""
        secret = self._settled_secret()
        if secret is not None:
            self._serve(_pair_in(secret, "tls"))
            self._trust(secret["data"]["ca.crt"])
        if self.trouble and self.trouble != before:
            _log.warning("Webhook cannot keep its certificate", trouble=self.trouble)
        return self._rotation.look_s if not self.trouble else min(5.0, self._rotation.look_s)

    def _settled_secret(self) -> Json | None:
        """The Secret, once nothing about it is due; None when that cannot be had now."""
        for _ in range(5):
            found = self._reader.get(self._ref)
            if isinstance(found, Failed) and found.reason is not Reason.NOT_FOUND:
                self.trouble = f"cannot get {self._ref}: {found.message}"
                return None
            secret = found.obj if isinstance(found, Ok) else None
            if secret is not None and _CERT_MANAGER in (
                secret["metadata"].get("annotations") or {}
            ):
                self.trouble = (
                    f"{self._ref} is cert-manager's: mount it and name its directory with "
                    "--webhook-cert-dir"
                )
                return None
            changed = self._changed(secret)
            if changed is None:
                return secret
            if secret is None:
                outcome = self._writer.create(changed, FIELD_MANAGER)
            else:
                outcome = self._writer.replace(changed, FIELD_MANAGER)
            if isinstance(outcome, Failed) and outcome.reason not in (
                Reason.ALREADY_EXISTS,
                Reason.CONFLICT,  # another replica was faster: look at what it wrote
                Reason.NOT_FOUND,
            ):
                self.trouble = f"cannot write {self._ref}: {outcome.message}"
                return None
        self.trouble = f"{self._ref} changes faster than it can be read"
        return None

    def _changed(self, secret: Json | None) -> Json | None:
        """The Secret as it should be; None when it is."""
        current, successor = self._life(secret, "tls"), self._life(secret, "next")
        now = self._clock.now()
        action = next_action(current, successor, self._rotation, now)
        before = (secret or {}).get("data") or {}
        data = dict(before)
        trusted = [life.authority for life in (current, successor) if life is not None]
        if action is Action.PROMOTE:
            data["tls.crt"], data["tls.key"] = data.pop("next.crt"), data.pop("next.key")
        elif action is not Action.KEEP:
            made = self._certificates.issue(self._names, now, self._rotation.validity)
            kind = "next" if action is Action.PREPARE else "tls"
            trusted = [*trusted[:1], self._certificates.life_of(made).authority]
            data[f"{kind}.crt"] = _encoded(made.certificate)
            data[f"{kind}.key"] = _encoded(made.key)
        bundle = _decoded(data.get("ca.crt"))
        if not all(authority in bundle for authority in trusted):
            data["ca.crt"] = _encoded(b"".join(trusted))
        if data == before:
            return None
        _log.info("Webhook certificate", action=action.value)
        metadata = {"name": self._ref.name, "namespace": self._ref.namespace}
        empty = {"apiVersion": "v1", "kind": "Secret", "metadata": metadata}
        return {**(secret or {**empty, "type": "kubernetes.io/tls"}), "data": data}

    def _life(self, secret: Json | None, kind: str) -> Life | None:
        """What a certificate in the Secret says; None when it is of no use."""
        if secret is None:
            return None
        try:
            life = self._certificates.life_of(_pair_in(secret, kind))
        except CertificateError:
            return None
        is_ours = set(self._names) <= set(life.names) and life.authority
        return life if is_ours else None

    def _serve(self, pair: KeyPair) -> None:
        try:
            self._certificates.take(pair)
        except CertificateError as error:
            self.trouble = f"{self._ref}: {error}"

    def _trust(self, bundle: str) -> None:
        """Has the API server trust the authorities in ``bundle``, and changes nothing else."""
        ref = Ref(VALIDATING_WEBHOOK_CONFIGURATION, "", CONFIGURATION_NAME)
        found = self._reader.get(ref)
        if isinstance(found, Failed):
            self.trouble = f"cannot get {ref}: {found.message}"
            return
        metadata = found.obj["metadata"]
        if CERT_MANAGER_ANNOTATION in (metadata.get("annotations") or {}):
            self.trouble = (
                f"{ref} has the annotation {CERT_MANAGER_ANNOTATION}, so cert-manager decides whom "
                "the API server trusts: remove it, or serve cert-manager's certificate with "
                "--webhook-cert-dir"
            )
            return
        operations = [
            {"op": "add", "path": f"/webhooks/{index}/clientConfig/caBundle", "value": bundle}
            for index, webhook in enumerate(found.obj.get("webhooks") or ())
            if webhook["clientConfig"].get("caBundle") != bundle
        ]
        if not operations:
            return
        version = metadata["resourceVersion"]
        guard = {"op": "test", "path": "/metadata/resourceVersion", "value": version}
        outcome = self._writer.patch_json(ref, [guard, *operations], FIELD_MANAGER)
        if isinstance(outcome, Failed):
            self.trouble = f"cannot patch {ref}: {outcome.message}"


def _pair_in(secret: Json, kind: str) -> KeyPair:
    data = secret.get("data") or {}
    return KeyPair(_decoded(data.get(f"{kind}.crt")), _decoded(data.get(f"{kind}.key")))


def _decoded(content: object) -> bytes:
    try:
        return b64decode(content, validate=True) if isinstance(content, str) else b""
    except Base64Error:
        return b""


def _encoded(content: bytes) -> str:
    return b64encode(content).decode("ascii")
