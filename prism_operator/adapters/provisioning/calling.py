"""One call of a control plane over gRPC, and what went wrong in it."""

from __future__ import annotations

import os
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Final

# Its own messages on stderr would stand between the lines of our log.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")

import asyncio

import grpc
import grpc.aio
from google.protobuf.message import DecodeError

from prism_operator.adapters.probing.peer import ProbeError
from prism_operator.adapters.probing.tls import context_of
from prism_operator.adapters.provisioning import control_plane_pb2 as pb
from prism_operator.adapters.provisioning.messages import creation_of, revocation_of
from prism_operator.planning.checks import AUTHENTICATION, NOT_SERVING, TIMEOUT, Certificates
from prism_operator.planning.provisioning import (
    GARBAGE,
    NOT_IMPLEMENTED,
    NOT_REGISTERED,
    Admin,
    Provision,
    Request,
    Revoke,
    rejected,
    repeatable,
)

_SERVICE: Final = "/prism.ControlPlane/"
_ANSWER_BYTES_MAX: Final = 1024 * 1024
_DIAGNOSIS_S: Final = 2.0
# How gRPC itself begins where no server that speaks it said a word, whatever the status is then.
_NOT_FROM_SERVER: Final = ("failed to connect to all addresses", "Received http2 header")
_TROUBLES: Final = {
    grpc.StatusCode.DEADLINE_EXCEEDED: TIMEOUT,
    grpc.StatusCode.UNAUTHENTICATED: AUTHENTICATION,
    grpc.StatusCode.PERMISSION_DENIED: AUTHENTICATION,
    grpc.StatusCode.FAILED_PRECONDITION: NOT_REGISTERED,
    grpc.StatusCode.UNIMPLEMENTED: NOT_IMPLEMENTED,
    **dict.fromkeys(
        (
            grpc.StatusCode.UNAVAILABLE,
            grpc.StatusCode.INTERNAL,
            grpc.StatusCode.UNKNOWN,
            grpc.StatusCode.CANCELLED,
            grpc.StatusCode.DATA_LOSS,
        ),
        NOT_SERVING,
    ),
}


@dataclass(frozen=True, slots=True)
class Spot:
    """An admin, and the addresses it was found at."""

    admin: Admin
    addresses: tuple[str, ...]
    port: int

    @property
    def target(self) -> str:
        """The addresses, as gRPC wants them: all of one family."""
        v4 = [address for address in self.addresses if ":" not in address]
        if v4:
            return "ipv4:" + ",".join(f"{address}:{self.port}" for address in v4)
        return "ipv6:" + ",".join(f"[{address}]:{self.port}" for address in self.addresses)


async def call(spot: Spot, request: Request, timeout_s: float) -> str:
    """Makes the call and returns what the server said. Raises ProbeError and what sockets raise.

    Each call has a connection of its own: one that broke would be tried again on gRPC's terms.
    """
    async with _channel(spot) as channel:
        try:
            return await _ask(channel, request, timeout_s)
        except grpc.aio.AioRpcError as error:
            code, said = error.code(), error.details() or ""
    if code is grpc.StatusCode.NOT_FOUND and isinstance(request, Revoke):
        return "there is no such namespace"
    if code is grpc.StatusCode.UNAVAILABLE:
        await _connect(spot)
    if said.startswith(_NOT_FROM_SERVER):
        raise ProbeError(GARBAGE)
    raise ProbeError(_TROUBLES.get(code) or rejected(repeatable(said, request)))


async def _ask(channel: grpc.aio.Channel, request: Request, timeout_s: float) -> str:
    method, message = (
        ("CreateNamespace", creation_of(request))
        if isinstance(request, Provision)
        else ("RevokeNamespace", revocation_of(request))
    )
    ask: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes]
    ask = channel.unary_unary(f"{_SERVICE}{method}")
    answered = await ask(message.SerializeToString(), timeout=timeout_s)
    kind = (
        pb.CreateNamespaceResponse if isinstance(request, Provision) else pb.NamespaceRevocationAck
    )
    try:
        answer = kind.FromString(answered)
    except DecodeError:
        raise ProbeError(GARBAGE) from None
    said = repeatable(answer.message, request)
    if not answer.success:
        raise ProbeError(rejected(said))
    return said


def _channel(spot: Spot) -> grpc.aio.Channel:
    options = [
        ("grpc.default_authority", spot.admin.address),
        ("grpc.enable_http_proxy", 0),
        ("grpc.enable_retries", 0),
        ("grpc.max_receive_message_length", _ANSWER_BYTES_MAX),
        ("grpc.use_local_subchannel_pool", 1),
    ]
    tls = spot.admin.tls
    if tls is None:
        return grpc.aio.insecure_channel(spot.target, options)
    # The name of the Service counts, wherever it was found.
    options.append(("grpc.ssl_target_name_override", spot.admin.host))
    return grpc.aio.secure_channel(spot.target, _credentials(tls), options)


def _credentials(tls: Certificates) -> grpc.ChannelCredentials:
    authority = tls.authority.encode() if tls.authority is not None else _system_authorities()
    return grpc.ssl_channel_credentials(
        root_certificates=authority,
        private_key=tls.key.encode() if tls.key is not None else None,
        certificate_chain=tls.certificate.encode() if tls.certificate is not None else None,
    )


def _system_authorities() -> bytes | None:
    """Those that Python trusts; None, for those that gRPC brings along, where there are none."""
    file = ssl.get_default_verify_paths().cafile
    return Path(file).read_bytes() if file is not None else None


async def _connect(spot: Spot) -> None:
    """Raises why no connection can be made, which gRPC tells only in a text, if at all."""
    tls = spot.admin.tls
    context = None if tls is None else context_of(tls)
    name = None if tls is None else spot.admin.host
    async with asyncio.timeout(_DIAGNOSIS_S):
        for address in spot.addresses:
            _, writer = await asyncio.open_connection(
                address, spot.port, ssl=context, server_hostname=name
            )
            writer.transport.abort()
