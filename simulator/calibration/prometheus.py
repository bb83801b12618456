"""Range queries of a Prometheus server."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from simulator.inputs import BadInputError

POINTS_MAX = 11_000  # of a series, in one answer of Prometheus
_TIMEOUT_S = 60


@dataclass(frozen=True, slots=True)
class Series:
    """What a query answered for one set of labels: Unix times and values, without gaps' NaN."""

    labels: Mapping[str, str]
    points: tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True)
class Prometheus:
    """A server, by its address; with ``token`` for what stands before it."""

    url: str
    token: str | None = None

    def one(self, query: str, start: datetime, end: datetime, step_s: int) -> Series:
        """The only series of a range query.

        Raises:
            BadInputError: There is none, or several; the server is not reached or refuses.
        """
        found = self.range(query, start, end, step_s)
        if len(found) != 1:
            hint = "take the sum(…) of them" if found else "is it scraped, and kept so long?"
            message = f"expected one series from {_at(start)} to {_at(end)}, got {len(found)}"
            raise BadInputError([f"{query}: {message}; {hint}"])
        return found[0]

    def range(self, query: str, start: datetime, end: datetime, step_s: int) -> list[Series]:
        """All series of a range query, by their labels; asked for in parts, if there is much.

        Raises:
            BadInputError: The server is not reached, or refuses.
        """
        labels: dict[tuple[tuple[str, str], ...], Mapping[str, str]] = {}
        points: dict[tuple[tuple[str, str], ...], list[tuple[float, float]]] = {}
        first, last = round(start.timestamp()), round(end.timestamp())
        for begin in range(first, last + 1, POINTS_MAX * step_s):
            until = min(last, begin + (POINTS_MAX - 1) * step_s)
            for result in self._ask(query, begin, until, step_s):
                key = tuple(sorted(result["metric"].items()))
                labels[key] = result["metric"]
                points.setdefault(key, []).extend(
                    (float(at), float(value))
                    for at, value in result["values"]
                    if math.isfinite(float(value))
                )
        return [Series(labels[key], tuple(points[key])) for key in sorted(points) if points[key]]

    def _ask(self, query: str, start: int, end: int, step_s: int) -> list[dict[str, Any]]:
        import requests  # no other command of prism-sim needs it, and it takes a tenth of a second

        where = urlsplit(self.url)._replace(query="", fragment="")
        shown = where._replace(netloc=where.netloc.rpartition("@")[2]).geturl()
        if where.scheme not in ("http", "https") or not where.hostname:
            raise BadInputError([f'--prometheus: expected http://host:9090, got "{shown}"'])
        try:
            answer = requests.post(
                f"{where.geturl().rstrip('/')}/api/v1/query_range",
                data={"query": query, "start": start, "end": end, "step": step_s},
                headers={"Authorization": f"Bearer {self.token}"} if self.token else None,
                timeout=_TIMEOUT_S,
            )
        except requests.RequestException as error:
            # Its text holds the address, which may hold a password.
            raise BadInputError([f"{shown}: is not reached: {type(error).__name__}"]) from None
        try:
            told = answer.json()
            if told["status"] == "success" and told["data"]["resultType"] == "matrix":
                return list(told["data"]["result"])
            message = str(told.get("error", "it answers something else than a matrix"))
        except (ValueError, KeyError, TypeError, AttributeError):
            message = f"expected Prometheus' JSON, got HTTP status {answer.status_code}"
        raise BadInputError([f"{shown}: {query}: {message}"])


def _at(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
