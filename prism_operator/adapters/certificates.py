"""Certificates for the webhook's server: issued, read, and served without a restart."""

from __future__ import annotations

import os
import ssl
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import structlog
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from prism_operator.ports import CertificateError, Certificates, KeyPair, Life

FILES_LOOK_S: Final = 1.0
_BACKDATED: Final = timedelta(minutes=5)  # clocks of nodes differ

_log = structlog.get_logger("prism_operator.webhook")


def issue(names: Sequence[str], now: datetime, validity: timedelta) -> KeyPair:
    """A serving certificate for DNS names, with its key, signed by an authority of its own.

    The authority's key is thrown away: whoever trusts its certificate trusts this one and no other.
    """
    serial = x509.random_serial_number()
    issuer = _name(f"prism-operator-webhook-ca-{serial:x}"[:64])
    authority_key, key = (
        ec.generate_private_key(ec.SECP256R1()),
        ec.generate_private_key(ec.SECP256R1()),
    )
    since, until = now - _BACKDATED, now + validity
    authority = (
        _builder(issuer, issuer, authority_key.public_key(), since, until)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs=True), critical=True)
        .sign(authority_key, hashes.SHA256())
    )
    identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key())
    serving = (
        _builder(_name(names[0][:64]), issuer, key.public_key(), since, until)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(n) for n in names]), False)
        .add_extension(identifier, critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    return KeyPair(
        certificate=_pem(serving) + _pem(authority),
        key=key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ),
    )


def life_of(pair: KeyPair) -> Life:
    """When a certificate is good, for which names, and by whose word.

    Raises CertificateError for what is no certificate with its key.
    """
    try:
        serving, *authorities = x509.load_pem_x509_certificates(pair.certificate)
        key = serialization.load_pem_private_key(pair.key, password=None)
    except (ValueError, TypeError) as error:
        raise CertificateError(f"it cannot be read: {error}") from None
    if key.public_key() != serving.public_key():
        raise CertificateError("certificate and key do not belong together")
    try:
        alternatives = serving.extensions.get_extension_for_class(x509.SubjectAlternativeName)
        names = tuple(alternatives.value.get_values_for_type(x509.DNSName))
    except x509.ExtensionNotFound:
        names = ()
    return Life(
        issued=serving.not_valid_before_utc + _BACKDATED,
        ends=serving.not_valid_after_utc,
        names=names,
        authority=b"".join(map(_pem, authorities)),
    )


class ServedCertificates:
    """Implements ``ports.Certificates``; open connections keep the certificate they began with."""

    def __init__(self) -> None:
        self._pair: KeyPair | None = None
        self._context: ssl.SSLContext | None = None

    def issue(self, names: Sequence[str], now: datetime, validity: timedelta) -> KeyPair:
        """See ``ports.Certificates``."""
        return issue(names, now, validity)

    def life_of(self, pair: KeyPair) -> Life:
        """See ``ports.Certificates``."""
        return life_of(pair)

    def take(self, pair: KeyPair) -> None:
        """See ``ports.Certificates``."""
        if pair == self._pair:
            return
        life = life_of(pair)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        try:
            with _as_file(pair.certificate + b"\n" + pair.key) as path:
                context.load_cert_chain(path)
        except ssl.SSLError as error:
            raise CertificateError(f"it cannot be served: {error.reason}") from None
        self._pair, self._context = pair, context
        _log.info("Webhook serves a certificate", ends=life.ends.isoformat(), names=life.names)

    def context(self) -> ssl.SSLContext | None:
        """The settings, None before there is a certificate."""
        return self._context


class FromFiles:
    """Serves ``tls.crt`` and ``tls.key`` of a directory, which others may replace at any time."""

    def __init__(self, directory: Path, certificates: Certificates) -> None:
        self._directory = directory
        self._certificates = certificates
        self.trouble = "its certificate was not looked at yet"

    def step(self) -> float:
        """Takes over what has changed; returns the seconds until the next look."""
        before = self.trouble
        try:
            pair = KeyPair(
                certificate=(self._directory / "tls.crt").read_bytes(),
                key=(self._directory / "tls.key").read_bytes(),
            )
            self._certificates.take(pair)
            self.trouble = ""
        except OSError as error:
            self.trouble = f"{error.filename}: {error.strerror}"
        except CertificateError as error:  # perhaps one of the two files is not replaced yet
            self.trouble = f"{self._directory}: {error}"
        if self.trouble and self.trouble != before:
            _log.warning("Webhook cannot take over a certificate", trouble=self.trouble)
        return FILES_LOOK_S


@contextmanager
def _as_file(content: bytes) -> Iterator[str]:
    """A path for a library that reads nothing else; in memory where the system allows."""
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("webhook-certificate")
        try:
            os.write(descriptor, content)
            yield f"/proc/self/fd/{descriptor}"
        finally:
            os.close(descriptor)
    else:
        with tempfile.NamedTemporaryFile() as file:
            file.write(content)
            file.flush()
            yield file.name


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePublicKey,
    since: datetime,
    until: datetime,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(since)
        .not_valid_after(until)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _usage(*, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)
