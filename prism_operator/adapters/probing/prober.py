"""Implements ``ports.Prober`` on an event loop in a thread of its own."""

from __future__ import annotations

import asyncio
import importlib
import logging
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from time import monotonic
from typing import Final

import structlog

from prism_operator.adapters.probing import tcp
from prism_operator.adapters.probing.answering import Answering
from prism_operator.adapters.probing.peer import Peer, Probe
from prism_operator.adapters.probing.tls import context_of
from prism_operator.adapters.probing.troubles import trouble_of
from prism_operator.api.meta import Ref
from prism_operator.planning.addresses import Network
from prism_operator.planning.checks import LOST, TIMEOUT, Check, Depth, Finding, Target, Trouble

PROVIDERS: Final = ("nats", "redis", "postgres", "kafka", "rabbitmq", "sqs")
_MIN_TIMEOUT_S: Final = 0.05
_log = structlog.get_logger("prism_operator.adapters.probing")


def import_probe(provider: str) -> Probe:
    """The probe of a provider. Raises ImportError without its client."""
    module = importlib.import_module(f"prism_operator.adapters.probing.{provider}")
    probe: Probe = module.probe
    return probe


class AsyncProber(Answering[Check, Finding]):
    """Checks backends; a check's finding comes within its timeout, even of a client that hangs."""

    def __init__(
        self,
        *,
        denied: Sequence[Network] = (),
        find_probe: Callable[[str], Probe] = import_probe,
    ) -> None:
        self._find_probe = find_probe
        self._probes: dict[str, tuple[Probe, Depth]] = {}
        _quieten_clients()
        super().__init__("prober", denied)

    async def _answer(self, key: Ref, asked: Check) -> Finding:
        target, began_s = asked.target, monotonic()
        trouble: Trouble | None = TIMEOUT
        depth = Depth.PROTOCOL
        task = self._loop.create_task(self._ask(target, asked.timeout_s))
        # Not awaited when it is late: a client may catch its own cancellation and hang.
        done, _ = await asyncio.wait({task}, timeout=asked.timeout_s)
        if not done:
            task.cancel()
            self._tasks.add(task)
            task.add_done_callback(self._end)
        elif task.cancelled():
            trouble = LOST  # a client that gave itself up
        elif error := task.exception():
            trouble = trouble_of(error)
            _log.debug(
                "Check failed", backend=str(key), why=trouble.reason, error=type(error).__name__
            )
        else:
            trouble, depth = None, task.result()
        latency_s = monotonic() - began_s if trouble is None else None
        return Finding(target, datetime.now(UTC), trouble, latency_s, depth)

    async def _ask(self, target: Target, timeout_s: float) -> Depth:
        """Asks the hosts one after the other; one that is well will do."""
        probe, depth = await self._probe_of(target.provider)
        tls = None if target.tls is None else context_of(target.tls)
        until_s = monotonic() + timeout_s
        hosts = target.endpoint.hosts
        for number, (host, port) in enumerate(hosts):
            share_s = max(_MIN_TIMEOUT_S, (until_s - monotonic()) / (len(hosts) - number))
            names = target.username, target.password
            peer = Peer(self._loop, target, host, port, share_s, tls, *names)
            is_last = number == len(hosts) - 1
            try:
                async with asyncio.timeout(None if is_last else share_s):
                    await probe(peer)
            except Exception:
                if is_last:
                    raise
            else:
                break
        return depth

    async def _probe_of(self, provider: str) -> tuple[Probe, Depth]:
        if provider not in PROVIDERS:
            return tcp.probe, Depth.UNKNOWN_PROVIDER
        if provider not in self._probes:
            try:
                # Some clients take half a second to import.
                probe = await self._loop.in_thread(lambda: self._find_probe(provider))
                self._probes[provider] = probe, Depth.PROTOCOL
            except ImportError:
                _log.warning(
                    "A client is missing: install prism-operator[backends]", provider=provider
                )
                self._probes[provider] = tcp.probe, Depth.NO_CLIENT
        return self._probes[provider]

    def _end(self, task: asyncio.Task[Depth]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # looked at, so that nobody complains about it


def _quieten_clients() -> None:
    """Their logs repeat what servers say."""
    for name in ("nats", "redis", "psycopg", "aiokafka", "aiormq", "botocore", "boto3", "asyncio"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
