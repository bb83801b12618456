"""PostgreSQL: logs in to the database and selects a constant."""

from __future__ import annotations

import asyncio
import ssl
import struct
from contextlib import ExitStack
from math import ceil
from typing import Any, Final

import psycopg

from prism_operator.adapters.probing.peer import Peer, ProbeError
from prism_operator.adapters.probing.tls import as_file
from prism_operator.planning.checks import (
    AUTHENTICATION,
    LOST,
    NOT_FOUND,
    NOT_SERVING,
    REFUSED,
    TIMEOUT,
    TLS,
    TLS_CLIENT,
    TLS_EXPIRED,
    TLS_NAME,
    TLS_UNTRUSTED,
    TLS_UNUSABLE,
    Trouble,
)

# https://www.postgresql.org/docs/current/protocol-message-formats.html#PROTOCOL-MESSAGE-FORMATS-SSLREQUEST
_SSL_REQUEST: Final = struct.pack("!ii", 8, 80877103)
_NOWHERE: Final = "/nonexistent"
# https://www.postgresql.org/docs/current/errcodes-appendix.html
_BY_STATE: Final = {"28": AUTHENTICATION, "3D": NOT_FOUND, "57": NOT_SERVING, "53": NOT_SERVING}
# libpq has no codes for what happens before the server's first answer, and servers speak the
# language they were installed with; these are libpq's own words, and the usual ones of servers.
_BY_TEXT: Final[tuple[tuple[str, Trouble], ...]] = (
    ("certificate has expired", TLS_EXPIRED),
    ("certificate is not yet valid", TLS_EXPIRED),
    ("does not match host name", TLS_NAME),
    ("certificate verify failed", TLS_UNTRUSTED),
    ("requires a valid client certificate", TLS_CLIENT),
    ("alert certificate required", TLS_CLIENT),
    ("alert unknown ca", TLS_CLIENT),
    ("alert bad certificate", TLS_CLIENT),
    ("could not read root certificate", TLS_UNUSABLE),
    ("could not load private key", TLS_UNUSABLE),
    ("could not read certificate file", TLS_UNUSABLE),
    ("server does not support SSL", TLS),
    ("SSL error", TLS),
    ("password authentication failed", AUTHENTICATION),
    ("no password supplied", AUTHENTICATION),
    ("no pg_hba.conf entry", AUTHENTICATION),
    ("role", AUTHENTICATION),
    ("database", NOT_FOUND),
    ("starting up", NOT_SERVING),
    ("shutting down", NOT_SERVING),
    ("in recovery mode", NOT_SERVING),
    ("too many", NOT_SERVING),
    ("remaining connection slots", NOT_SERVING),
    ("Connection refused", REFUSED),
    ("timeout expired", TIMEOUT),
    ("closed the connection unexpectedly", LOST),
    ("reset by peer", LOST),
)


async def probe(peer: Peer) -> None:
    """See ``Probe``."""
    addresses = await peer.loop.addresses_of(peer.host, peer.port)
    with ExitStack() as files:
        settings = _settings(peer, files) | {
            "host": ",".join([peer.host] * len(addresses)),
            "hostaddr": ",".join(addresses),
        }
        try:
            connection = await psycopg.AsyncConnection.connect(**settings, autocommit=True)
        except psycopg.OperationalError as error:
            if peer.tls is not None and "certificate verify failed" in str(error):
                await _shake_hands(peer, peer.tls)
            raise _explained(error) from error
        try:
            await connection.execute("SELECT 1")
        finally:
            await connection.close()


async def _shake_hands(peer: Peer, tls: ssl.SSLContext) -> None:
    """Raises why the server's certificate is refused, which libpq keeps to itself."""
    reader, writer = await asyncio.open_connection(peer.host, peer.port)
    try:
        writer.write(_SSL_REQUEST)
        if await reader.readexactly(1) == b"S":
            await writer.start_tls(tls, server_hostname=peer.host)
    finally:
        writer.transport.abort()


def _settings(peer: Peer, files: ExitStack) -> dict[str, Any]:
    user = peer.username or "postgres"
    settings: dict[str, Any] = {
        "port": peer.port,
        "dbname": peer.path or user,
        "user": user,
        "password": peer.password or "",
        "application_name": "prism-operator health check",
        "connect_timeout": max(2, ceil(peer.timeout_s)),
        "gssencmode": "disable",
        # Of the operator's own environment and home nothing counts.
        "passfile": _NOWHERE,
        "sslmode": "prefer",
        "sslcert": _NOWHERE,
        "sslkey": _NOWHERE,
    }
    certificates = peer.target.tls
    if certificates is None:
        return settings
    settings["sslmode"] = "verify-full"
    settings["sslrootcert"] = "system"
    if certificates.authority is not None:
        settings["sslrootcert"] = files.enter_context(as_file(certificates.authority))
    if certificates.certificate is not None and certificates.key is not None:
        settings["sslcert"] = files.enter_context(as_file(certificates.certificate))
        settings["sslkey"] = files.enter_context(as_file(certificates.key))
    return settings


def _explained(error: psycopg.OperationalError) -> Exception:
    if error.sqlstate and (known := _BY_STATE.get(error.sqlstate[:2])):
        return ProbeError(known)
    said = str(error)
    return ProbeError(next((t for words, t in _BY_TEXT if words in said), NOT_SERVING))
