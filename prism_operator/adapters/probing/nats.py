"""NATS: connects, authenticates, and waits for the answer to a PING."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Final

from nats.aio.client import Client
from nats.errors import Error

from prism_operator.adapters.probing.peer import Peer, ProbeError
from prism_operator.planning.checks import AUTHENTICATION, TLS

_PART_S: Final = 0.2


async def probe(peer: Peer) -> None:
    """See ``Probe``."""
    client = Client()
    # A user without a password is how NATS URLs give a token.
    token = peer.username if peer.password is None else None
    try:
        await client.connect(
            servers=[f"nats://{_in_url(peer.host)}:{peer.port}"],
            name="prism-operator health check",
            allow_reconnect=False,
            connect_timeout=peer.timeout_s,  # type: ignore[arg-type]  # a float will do
            error_cb=_give_up,
            user=None if token else peer.username,
            password=peer.password,
            token=token,
            tls=peer.tls,
            tls_hostname=None if peer.tls is None else peer.host,
        )
        if peer.tls is not None and not client._server_info.get("tls_required"):
            # The client would go on in plain text with whoever does not ask for more.
            raise ProbeError(TLS)
    except Error as error:
        said = str(error).lower()
        if "authorization" in said or "authentication" in said:
            raise ProbeError(AUTHENTICATION) from error
        raise
    finally:
        # What was found out counts, not how they part; after a failed handshake that never ends.
        with suppress(OSError, TimeoutError):
            async with asyncio.timeout(_PART_S):
                await client.close()


async def _give_up(error: Exception) -> None:
    """Left to itself the client tries again until it is cancelled, and keeps the reason."""
    raise error


def _in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host
