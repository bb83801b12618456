"""What a namespace uses, read from the metrics of its proxies."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from http.client import HTTPConnection
from math import isfinite
from time import monotonic
from typing import Final

from prometheus_client.parser import text_string_to_metric_families

from prism_operator.adapters.probing.loop import GuardedLoop
from prism_operator.planning.provisioning import MetricsEndpoint, Provision, Request, Usage

KEYS: Final = "prism_namespace_keys"
CONNECTIONS: Final = "prism_namespace_connections"
REQUESTS: Final = "prism_namespace_requests_total"
_LABEL: Final = "namespace"
_NAMES: Final = (KEYS, CONNECTIONS, REQUESTS)
# Nobody waits for figures.
_TIMEOUT_S: Final = 1.0
_PAGE_BYTES_MAX: Final = 8 * 1024 * 1024
_RATE_PERIOD_MIN_S: Final = 30.0


@dataclass(frozen=True, slots=True)
class _Count:
    at_s: float
    requests: float
    per_second: float | None  # since the one before


class Usages:
    """Reads what namespaces use; remembers how many requests there were, for their rate."""

    def __init__(self, now_s: Callable[[], float] = monotonic) -> None:
        self._now_s = now_s
        self._counts: dict[tuple[str, str, str], _Count] = {}

    async def read(
        self, loop: GuardedLoop, endpoint: MetricsEndpoint, request: Provision
    ) -> Usage | None:
        """What the namespace uses; None where it cannot be read."""
        try:
            async with asyncio.timeout(_TIMEOUT_S):
                addresses = await loop.addresses_of(endpoint.host, endpoint.port)
                pages = await asyncio.gather(
                    *(loop.in_thread(lambda a=a: _page(a, endpoint)) for a in addresses)  # type: ignore[misc]
                )
            sums = _sums(pages, request.namespace)
            keys, connections = sums.get(KEYS), sums.get(CONNECTIONS)
            return Usage(
                proxies=len(addresses),
                keys=None if keys is None else int(keys),
                connections=None if connections is None else int(connections),
                requests_per_second=self._rate(_key(request), sums.get(REQUESTS)),
            )
        except Exception:  # what a proxy says of itself is a courtesy, whatever is wrong with it
            return None

    def forget(self, request: Request) -> None:
        """Nothing more will be asked about the namespace."""
        self._counts.pop(_key(request), None)

    def _rate(self, key: tuple[str, str, str], requests: float | None) -> float | None:
        before, now_s = self._counts.get(key), self._now_s()
        if requests is None or not isfinite(requests):
            self._counts.pop(key, None)
            return None
        if before is not None and now_s - before.at_s < _RATE_PERIOD_MIN_S:
            return before.per_second  # a moment says little
        rate = None
        # A counter that fell is one of a proxy that began anew.
        if before is not None and requests >= before.requests:
            rate = round((requests - before.requests) / (now_s - before.at_s), 1)
        self._counts[key] = _Count(now_s, requests, rate)
        return rate


def _key(request: Request) -> tuple[str, str, str]:
    return (*request.admin.stack, request.namespace)


def _page(address: str, endpoint: MetricsEndpoint) -> str:
    connection = HTTPConnection(address, endpoint.port, timeout=_TIMEOUT_S)
    try:
        connection.request("GET", "/metrics", headers={"Host": endpoint.host})
        answer = connection.getresponse()
        if answer.status != 200:
            raise OSError(f"status {answer.status}")
        return answer.read(_PAGE_BYTES_MAX).decode()
    finally:
        connection.close()


def _sums(pages: list[str], namespace: str) -> dict[str, float]:
    sums: dict[str, float] = {}
    for page in pages:
        # Most of a page is about something else.
        lines = [line for line in page.splitlines() if line.startswith(_NAMES)]
        for family in text_string_to_metric_families("\n".join(lines) + "\n"):
            for sample in family.samples:
                if sample.name in _NAMES and sample.labels.get(_LABEL) == namespace:
                    sums[sample.name] = sums.get(sample.name, 0.0) + sample.value
    return sums
