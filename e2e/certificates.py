"""The local control plane's certificate authority: server, client and service account keys."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_VALIDITY = timedelta(days=365)
_CLOCK_SKEW = timedelta(minutes=5)


class Authority:
    """Signs server and client certificates; what it hands out is PEM."""

    def __init__(self, key: ec.EllipticCurvePrivateKey, certificate: x509.Certificate) -> None:
        self._key = key
        self._certificate = certificate

    @classmethod
    def create(cls) -> Authority:
        """A fresh authority, valid for a year."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "prism-local-ca")])
        certificate = (
            _builder(name, name, key.public_key())
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_key_usage(signs_certificates=True), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
            .sign(key, hashes.SHA256())
        )
        return cls(key, certificate)

    @classmethod
    def load(cls, key_pem: bytes, certificate_pem: bytes) -> Authority:
        """The authority whose ``key`` and ``certificate`` were written to files earlier."""
        key = serialization.load_pem_private_key(key_pem, password=None)
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        return cls(key, x509.load_pem_x509_certificate(certificate_pem))

    @property
    def key(self) -> bytes:
        """The authority's own private key."""
        return _private_pem(self._key)

    @property
    def certificate(self) -> bytes:
        """The certificate that clients trust."""
        return self._certificate.public_bytes(serialization.Encoding.PEM)

    def server(
        self,
        addresses: Sequence[str],
        names: Sequence[str],
        *,
        expired_for: timedelta = timedelta(),
        also_client: bool = False,
    ) -> tuple[bytes, bytes]:
        """Certificate and key of a server at these IP addresses and DNS names.

        With ``also_client`` it may show the same certificate to others of its kind.
        """
        alternatives = [
            *(x509.IPAddress(ipaddress.ip_address(a)) for a in addresses),
            *(x509.DNSName(n) for n in names),
        ]
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
        ends = datetime.now(UTC) - expired_for if expired_for else None
        usages = [ExtendedKeyUsageOID.SERVER_AUTH]
        if also_client:
            usages.append(ExtendedKeyUsageOID.CLIENT_AUTH)
        return self._issue(subject, usages, alternatives, ends)

    def client(self, user: str, groups: Sequence[str]) -> tuple[bytes, bytes]:
        """Certificate and key of a user: the API server reads the name off CN, groups off O."""
        subject = x509.Name(
            [
                x509.NameAttribute(NameOID.COMMON_NAME, user),
                *(x509.NameAttribute(NameOID.ORGANIZATION_NAME, g) for g in groups),
            ]
        )
        return self._issue(subject, [ExtendedKeyUsageOID.CLIENT_AUTH], [])

    def _issue(
        self,
        subject: x509.Name,
        usages: Sequence[x509.ObjectIdentifier],
        alternatives: Sequence[x509.GeneralName],
        ends: datetime | None = None,
    ) -> tuple[bytes, bytes]:
        key = ec.generate_private_key(ec.SECP256R1())
        issuer_key = self._key.public_key()
        builder = (
            _builder(subject, self._certificate.subject, key.public_key(), ends)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_key_usage(signs_certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key), False)
        )
        if alternatives:
            builder = builder.add_extension(x509.SubjectAlternativeName(alternatives), False)
        certificate = builder.sign(self._key, hashes.SHA256())
        return certificate.public_bytes(serialization.Encoding.PEM), _private_pem(key)


def service_account_key() -> bytes:
    """A private key that signs service account tokens."""
    return _private_pem(ec.generate_private_key(ec.SECP256R1()))


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePublicKey,
    ends: datetime | None = None,
) -> x509.CertificateBuilder:
    ends = ends or datetime.now(UTC) + _VALIDITY
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(ends - _VALIDITY - _CLOCK_SKEW)
        .not_valid_after(ends)
    )


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _private_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    )
