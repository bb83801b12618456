"""``prism-operator run``: puts the operator together and runs it until it is asked to stop."""

from __future__ import annotations

import random
import secrets
import signal
import socket
import threading
import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import structlog
import typer

from prism_operator import __version__
from prism_operator.adapters.clock import SystemClock
from prism_operator.adapters.connection import Connection, connect
from prism_operator.adapters.health import HealthServer, Page, metrics_page, verdict_page
from prism_operator.adapters.metrics import PrometheusMetrics
from prism_operator.adapters.probing.prober import AsyncProber
from prism_operator.adapters.provisioning.client import GrpcControlPlane, Routes
from prism_operator.adapters.signals import on_signals
from prism_operator.cli.access import check_cluster
from prism_operator.cli.errors import UsageError
from prism_operator.cli.webhook import Webhook, WebhookFlags, check_webhook
from prism_operator.planning.addresses import Network
from prism_operator.planning.settings import Settings
from prism_operator.runtime.cache import kept
from prism_operator.runtime.driver import Driver
from prism_operator.runtime.hash_key import HashKeyError, obtain_hash_key
from prism_operator.runtime.operator import WATCHED, Operator, Options
from prism_operator.runtime.randomness import Streams

_log = structlog.get_logger("prism_operator")


@dataclass(frozen=True, slots=True)
class RunFlags:
    """The flags of ``run`` that do not shape plans."""

    kubeconfig: str | None
    context: str | None
    watch_namespaces: tuple[str, ...]
    workers: int
    leader_elect: bool
    lease_namespace: str | None
    shard: str
    denied_cidrs: tuple[Network, ...]
    routes: Routes
    health_address: str
    metrics_address: str
    webhook: WebhookFlags


def run_operator(flags: RunFlags, settings: Settings) -> None:
    """Runs until SIGTERM or SIGINT. Raises ConnectError or UsageError before it begins."""
    check_webhook(flags.webhook, flags.watch_namespaces)
    metrics = PrometheusMetrics()
    connection = connect(flags.kubeconfig, flags.context, on_request=metrics.requested)
    try:
        _log.info(
            "Connecting",
            server=connection.server,
            context=connection.context,
            version=__version__,
        )
        options = Options(
            watch_namespaces=flags.watch_namespaces,
            workers=flags.workers,
            leader_elect=flags.leader_elect,
            lease_namespace=flags.lease_namespace or connection.namespace or "default",
            shard=flags.shard,
        )
        server_version = check_cluster(
            connection, options, webhook=flags.webhook.manages_certificate
        )
        _log.info("Connected", server=connection.server, server_version=server_version)
        settings = _with_hash_key(settings, connection, options)
        _run(connection, options, settings, metrics, flags)
    finally:
        connection.close()


def _with_hash_key(settings: Settings, connection: Connection, options: Options) -> Settings:
    try:
        key = obtain_hash_key(
            options.lease_namespace,
            reader=connection.reader(),
            writer=connection.writer(),
            make=secrets.token_bytes,
        )
    except HashKeyError as error:
        raise UsageError(f"cannot use the key for hashes of Secrets: {error}") from error
    return settings if key is None else replace(settings, hash_key=key)


def _run(
    connection: Connection,
    options: Options,
    settings: Settings,
    metrics: PrometheusMetrics,
    flags: RunFlags,
) -> None:
    streams = Streams(random.SystemRandom().getrandbits(64))
    wake = threading.Event()
    clock = SystemClock()
    trims = {resource: partial(kept, trim) for resource, trim in WATCHED.items()}
    reader = connection.reader(rng=streams.stream("watch"), notify=wake.set, trims=trims)
    writer = connection.writer()
    prober = AsyncProber(denied=flags.denied_cidrs) if settings.check_backends else None
    control_plane = GrpcControlPlane(routes=flags.routes)
    operator = Operator(
        reader=reader,
        writer=writer,
        clock=clock,
        settings=settings,
        options=options,
        metrics=metrics,
        streams=streams,
        identity=f"{socket.gethostname()}_{uuid.uuid4()}",
        prober=prober,
        control_plane=control_plane,
    )
    metrics.count_with(operator.census)
    driver = Driver(operator, clock=clock, workers=options.workers, wake=wake)
    webhook = None
    if flags.webhook.enabled:
        webhook = Webhook(
            flags.webhook,
            options,
            operator,
            reader=reader,
            writer=writer,
            clock=clock,
            settings=settings,
        )
    servers = _serve(flags, operator, metrics, webhook)
    # Stopping takes two seconds at most, so a second signal need not hasten it: wrappers like
    # timeout(1) pass one on that came to all of us already.
    on_signals((signal.SIGTERM, signal.SIGINT), driver.request_stop)
    driver.start()
    driver.wait()
    _log.info("Stopping")
    is_clean = driver.stop()
    for server in servers:
        server.close()
    if webhook is not None:
        webhook.close()
    control_plane.close()
    if prober is not None:
        prober.close()
    _log.info("Stopped", lease="released" if is_clean else "left to run out")
    if driver.crashed:
        raise typer.Exit(1)


def _serve(
    flags: RunFlags, operator: Operator, metrics: PrometheusMetrics, webhook: Webhook | None
) -> list[HealthServer]:
    def unhealthy() -> tuple[str, ...]:
        verdict = operator.verdict()
        return () if verdict.healthy else verdict.reasons

    def unready() -> tuple[str, ...]:
        verdict = operator.verdict()
        reasons = () if verdict.ready else verdict.reasons
        return reasons if webhook is None else (*reasons, *webhook.unready())

    health = {"/healthz": verdict_page(unhealthy), "/readyz": verdict_page(unready)}
    pages: dict[str, dict[str, Callable[[], Page]]] = {}
    for address, served in (
        (flags.health_address, health),
        (flags.metrics_address, {"/metrics": metrics_page(metrics.expose)}),
    ):
        if address not in ("", "0"):
            pages.setdefault(address, {}).update(served)
    servers = []
    for address, served in pages.items():
        try:
            servers.append(HealthServer(address, served))
        except ValueError as error:
            raise UsageError(f"{error}, or 0 for none") from error
        except OSError as error:
            raise UsageError(
                f"cannot listen on {address}: {error.strerror}; choose another "
                "--health-probe-bind-address and --metrics-bind-address, or 0 for none"
            ) from error
        _log.info("Serving", address=address, paths=sorted(served))
    return servers
