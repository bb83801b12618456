"""A Prometheus that scrapes pods and numbers of a scenario, and what its adapter makes of them.

``rate`` extrapolates as ``extrapolatedRate`` in ``promql/functions.go`` of Prometheus 3 does. The
adapter offers a counter ``…_total`` as ``…_per_second`` and gauges by their names, as in its
walkthrough's rules; a sample older than 5 minutes is stale.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

from simulator.autoscaling.keda.kafka import BrokerError
from simulator.autoscaling.replicas import Sample
from simulator.kernel import SECOND_US, Kernel, Us
from simulator.series import Recorder
from simulator.workloads.host import Workloads

STALE_US = 300 * SECOND_US
_COUNTER, _RATE = "_total", "_per_second"


@dataclass(frozen=True, slots=True)
class Query:
    """What a query of a trigger asks for: a number that is recorded, or the rate of a counter."""

    series: str
    rate_window_us: Us | None = None


class Prometheus:
    """The samples of the last while, and queries over them. While it ``is_down`` none is answered.

    ``window_us`` is that of the adapter's rates.
    """

    def __init__(
        self,
        kernel: Kernel,
        workloads: Workloads,
        recorder: Recorder,
        queries: Mapping[str, Query],
        *,
        scrape_us: Us,
        window_us: Us,
        started_us: Us,
    ) -> None:
        self._kernel, self._workloads, self._recorder = kernel, workloads, recorder
        self._queries = {" ".join(text.split()): query for text, query in queries.items()}
        self._scrape_us, self._window_us, self._started_us = scrape_us, window_us, started_us
        windows = [q.rate_window_us or 0 for q in queries.values()]
        self._kept_us = max([STALE_US, window_us, *windows])
        self._samples: dict[tuple[str, str], deque[tuple[Us, float]]] = {}
        self.is_down = False

    def scrape(self) -> Us:
        """Looks at all targets; answers when to look again."""
        now_us = self._kernel.now_us
        if not self.is_down:
            for uid, metrics in self._workloads.pod_metrics():
                for name, value in metrics.items():
                    self._take(uid, name, value)
            for name in sorted({query.series for query in self._queries.values()}):
                series = self._recorder.get(name)
                if series is not None:
                    self._take("", name, series.last)
        return now_us + self._scrape_us

    def has_query(self, text: str) -> bool:
        """Whether the scenario says what a query asks for."""
        return " ".join(text.split()) in self._queries

    def answer(self, text: str) -> float | None:
        """The value of a query now; None: it has no result. Raises BrokerError while down."""
        if self.is_down:
            raise BrokerError("Prometheus does not answer")
        query = self._queries[" ".join(text.split())]
        if query.rate_window_us is not None:
            return self._rate("", query.series, query.rate_window_us)
        return self._latest("", query.series)

    def custom(self, pod_uid: str, name: str) -> Sample | None:
        """A pod's metric as the adapter answers for it, in thousandths."""
        if self.is_down:
            return None
        if name.endswith(_RATE):
            counter = name.removesuffix(_RATE) + _COUNTER
            value = self._rate(pod_uid, counter, self._window_us)
        else:
            value = self._latest(pod_uid, name)
        if value is None:
            return None
        return Sample(round(value * 1000), self._started_us + self._kernel.now_us, self._window_us)

    def _take(self, of: str, name: str, value: float) -> None:
        now_us = self._kernel.now_us
        samples = self._samples.setdefault((of, name), deque())
        samples.append((now_us, value))
        while samples[0][0] < now_us - self._kept_us:
            samples.popleft()

    def _latest(self, of: str, name: str) -> float | None:
        samples = self._samples.get((of, name))
        if not samples or samples[-1][0] < self._kernel.now_us - STALE_US:
            return None
        return samples[-1][1]

    def _rate(self, of: str, name: str, window_us: Us) -> float | None:
        now_us = self._kernel.now_us
        begin_us = now_us - window_us
        inside = [s for s in self._samples.get((of, name), ()) if s[0] > begin_us]
        if len(inside) < 2:
            return None
        (first_us, first), (last_us, last) = inside[0], inside[-1]
        increase = last - first
        for (_, before), (_, after) in pairwise(inside):
            if after < before:  # the counter began anew
                increase += before
        sampled, to_start, to_end = last_us - first_us, first_us - begin_us, now_us - last_us
        between = sampled / (len(inside) - 1)
        if to_start >= between * 1.1:
            to_start = round(between / 2)
        if increase > 0 and first >= 0:
            to_start = min(to_start, round(sampled * (first / increase)))
        if to_end >= between * 1.1:
            to_end = round(between / 2)
        factor = (sampled + to_start + to_end) / sampled
        return increase * factor / (window_us / SECOND_US)
