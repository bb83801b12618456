"""Kafka: asks a broker for its versions, logs in, and asks for the cluster's metadata.

Only the brokers that the URL names are asked: those a broker tells of are not the user's choice.
"""

from __future__ import annotations

from typing import Any, Final

from aiokafka.conn import AIOKafkaConnection
from aiokafka.errors import (
    AuthenticationFailedError,
    IllegalSaslStateError,
    KafkaConnectionError,
    SaslAuthenticationFailed,
    UnsupportedSaslMechanismError,
)
from aiokafka.protocol.metadata import MetadataRequest

from prism_operator.adapters.probing.peer import Peer, ProbeError
from prism_operator.planning.checks import AUTHENTICATION, LOST, NOT_SERVING

# What a broker offers is known only once it was asked for something.
_MECHANISMS: Final = ("PLAIN", "SCRAM-SHA-512", "SCRAM-SHA-256")


async def probe(peer: Peer) -> None:
    """See ``Probe``."""
    if peer.username is None:
        return await _ask(peer, {})
    for mechanism in _MECHANISMS:
        settings = {
            "sasl_mechanism": mechanism,
            "sasl_plain_username": peer.username,
            "sasl_plain_password": peer.password or "",
        }
        try:
            return await _ask(peer, settings)
        except UnsupportedSaslMechanismError:
            continue
        except (
            AuthenticationFailedError,
            SaslAuthenticationFailed,
            IllegalSaslStateError,
        ) as error:
            raise ProbeError(AUTHENTICATION) from error
    raise ProbeError(AUTHENTICATION)


async def _ask(peer: Peer, settings: dict[str, Any]) -> None:
    protocol = ("SASL_" if settings else "") + ("PLAINTEXT" if peer.tls is None else "SSL")
    connection = AIOKafkaConnection(
        peer.host,
        peer.port,
        client_id="prism-operator-health-check",
        request_timeout_ms=round(peer.timeout_s * 1000),
        security_protocol=protocol,
        ssl_context=peer.tls,
        **settings,
    )
    try:
        await connection.connect()
        try:
            metadata = await connection.send(MetadataRequest([]))
        except KafkaConnectionError as error:
            # It told its versions, and hangs up on whoever asks for more without logging in.
            raise ProbeError(LOST if settings else AUTHENTICATION) from error
        if not metadata.brokers:
            raise ProbeError(NOT_SERVING)
    finally:
        connection.close()
