"""RabbitMQ, and what else speaks AMQP 0.9.1: logs in and opens the virtual host."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Final
from urllib.parse import quote

import aiormq
from aiormq.exceptions import (
    AuthenticationError,
    ConnectionChannelError,
    ConnectionClosed,
    ConnectionInternalError,
    ConnectionNotAllowed,
    ConnectionResourceError,
    IncompatibleProtocolError,
    ProbableAuthenticationError,
)

from prism_operator.adapters.probing.peer import Peer, ProbeError
from prism_operator.planning.checks import AUTHENTICATION, NOT_FOUND, NOT_SERVING, PROTOCOL

_PART_S: Final = 0.2


async def probe(peer: Peer) -> None:
    """See ``Probe``."""
    connection = aiormq.Connection(_url(peer), context=peer.tls)
    try:
        await connection.connect({"connection_name": "prism-operator health check"})
    except (AuthenticationError, ProbableAuthenticationError) as error:
        raise ProbeError(AUTHENTICATION) from error
    except ConnectionNotAllowed as error:
        raise ProbeError(NOT_FOUND) from error
    except IncompatibleProtocolError as error:
        raise ProbeError(PROTOCOL) from error
    except (ConnectionChannelError, ConnectionInternalError, ConnectionResourceError) as error:
        raise ProbeError(NOT_SERVING) from error
    finally:
        with suppress(OSError, TimeoutError, ConnectionClosed):
            async with asyncio.timeout(_PART_S):
                await connection.close()


def _url(peer: Peer) -> str:
    user, password = peer.username or "guest", peer.password or "guest"
    host = f"[{peer.host}]" if ":" in peer.host else peer.host
    scheme = "amqp" if peer.tls is None else "amqps"
    path = quote(peer.path or "/", safe="")
    return f"{scheme}://{quote(user, safe='')}:{quote(password, safe='')}@{host}:{peer.port}/{path}"
