"""Implements ``ports.ControlPlane``: calls over gRPC from an event loop in a thread of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from time import monotonic
from typing import Final, TypeAlias

import structlog

from prism_operator.adapters.probing.answering import Answering
from prism_operator.adapters.probing.tls import context_of
from prism_operator.adapters.probing.troubles import trouble_of
from prism_operator.adapters.provisioning.usage import Usages
from prism_operator.api.meta import Ref
from prism_operator.planning.addresses import Network
from prism_operator.planning.checks import Trouble
from prism_operator.planning.provisioning import Answer, Call, Provision, Request

# Where the admin of a stack, by namespace and name, is reached instead of at its Service.
Routes: TypeAlias = Mapping[tuple[str, str], tuple[str, int]]

# What is left of the time for an answer when the server's has run out: a second.
_RESERVE_S: Final = 0.5
_log = structlog.get_logger("prism_operator.adapters.provisioning")


class GrpcControlPlane(Answering[Call, Answer]):
    """Calls control planes; an answer comes within a call's timeout, whatever the server does."""

    def __init__(self, *, denied: Sequence[Network] = (), routes: Routes | None = None) -> None:
        self._routes = routes or {}
        self._usages = Usages()
        super().__init__("control-plane", denied)

    async def _answer(self, key: Ref, asked: Call) -> Answer:
        request, began_s = asked.target, monotonic()
        trouble: Trouble | None = None
        said = ""
        try:
            async with asyncio.timeout(asked.timeout_s + _RESERVE_S):
                said = await self._call(request, asked.timeout_s)
        except Exception as error:  # whatever it is, the next call is made in a while
            trouble = trouble_of(error)
            _log.debug("Call failed", namespace=str(key), why=trouble.reason)
        if trouble is not None:
            return Answer(request, datetime.now(UTC), trouble)
        latency_s = monotonic() - began_s
        usage = None
        if asked.metrics is not None and isinstance(request, Provision):
            usage = await self._usages.read(self._loop, asked.metrics, request)
        else:
            self._usages.forget(request)
        return Answer(request, datetime.now(UTC), None, said, latency_s, usage)

    async def _call(self, request: Request, timeout_s: float) -> str:
        # gRPC takes a while to import, and who has no namespaces need not wait for it.
        calling = await self._loop.in_thread(_import_calling)
        admin = request.admin
        host, port = self._routes.get(admin.stack, (admin.host, admin.port))
        if admin.tls is not None:
            context_of(admin.tls)  # says which certificate cannot be used, which gRPC does not
        until_s = monotonic() + timeout_s
        # Resolved here, where addresses are judged and what goes wrong has a name.
        addresses = await self._loop.addresses_of(host, port)
        spot = calling.Spot(admin, tuple(addresses), port)
        said: str = await calling.call(spot, request, until_s - monotonic())
        return said


def _import_calling():  # type: ignore[no-untyped-def]  # a module
    from prism_operator.adapters.provisioning import calling

    return calling
