"""Redis and what speaks as it does: authenticates, selects the database, and sends a PING."""

from __future__ import annotations

from typing import Any

from redis.asyncio.connection import Connection, SSLConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import (
    AuthenticationError,
    BusyLoadingError,
    NoPermissionError,
    ResponseError,
)

from prism_operator.adapters.probing.peer import Peer, ProbeError
from prism_operator.planning.checks import AUTHENTICATION, NOT_FOUND, NOT_SERVING

_NOT_SERVING = ("MASTERDOWN", "CLUSTERDOWN", "LOADING", "MISCONF", "max number of clients")


async def probe(peer: Peer) -> None:
    """See ``Probe``."""
    connection = _connection(peer)
    try:
        await connection.connect()  # type: ignore[no-untyped-call]
        await connection.send_command("PING")
        await connection.read_response()
    except NoPermissionError:
        pass  # it knows us, and that is what was asked
    except (AuthenticationError, BusyLoadingError, ResponseError) as error:
        raise _explained(error) from error
    finally:
        await connection.disconnect(nowait=True)


def _connection(peer: Peer) -> Connection:
    database = peer.path or "0"
    if not database.isdecimal():
        raise ProbeError(NOT_FOUND)
    settings: dict[str, Any] = {
        "host": peer.host,
        "port": peer.port,
        "db": int(database),
        "username": peer.username if peer.password is not None else None,
        "password": peer.password if peer.password is not None else peer.username,
        "protocol": 2,
        "retry": Retry(NoBackoff(), 0),
        "driver_info": None,
    }
    if peer.tls is None:
        return Connection(**settings)
    connection = SSLConnection(**settings)
    connection.ssl_context.context = peer.tls
    return connection


def _explained(error: Exception) -> Exception:
    said = str(error)
    if isinstance(error, AuthenticationError) or said.startswith(("NOAUTH", "WRONGPASS")):
        return ProbeError(AUTHENTICATION)
    if isinstance(error, BusyLoadingError) or any(word in said for word in _NOT_SERVING):
        return ProbeError(NOT_SERVING)
    if "DB index" in said:
        return ProbeError(NOT_FOUND)
    return error
