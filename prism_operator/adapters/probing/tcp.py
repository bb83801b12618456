"""Connects, and makes the TLS handshake where there is one: for what nothing else is known of."""

from __future__ import annotations

import asyncio

from prism_operator.adapters.probing.peer import Peer


async def probe(peer: Peer) -> None:
    """See ``Probe``."""
    _, writer = await asyncio.open_connection(peer.host, peer.port, ssl=peer.tls)
    # Ended hard: nothing was said, so there is nothing to wait for.
    writer.transport.abort()
