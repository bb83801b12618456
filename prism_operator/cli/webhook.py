"""Puts the webhook together: the server, its certificate, and who answers."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

import structlog

from prism_operator.adapters.webhook_server import WebhookServer
from prism_operator.admission.review import PATH
from prism_operator.cli.errors import UsageError
from prism_operator.planning.settings import Settings
from prism_operator.ports import Clock, Reader, Writer
from prism_operator.runtime.admission import Reviewer
from prism_operator.runtime.certificates import SelfManaged
from prism_operator.runtime.operator import Operator, Options

_AFTER_A_BUG_S: Final = 30.0

_log = structlog.get_logger("prism_operator.webhook")


@dataclass(frozen=True, slots=True)
class WebhookFlags:
    """The flags of ``run`` about the webhook; without an ``address`` there is none."""

    address: str = "0"
    certificates: Path | None = None
    service: str = ""

    @property
    def enabled(self) -> bool:
        """Whether there is a webhook."""
        return self.address not in ("", "0")

    @property
    def manages_certificate(self) -> bool:
        """Whether the operator makes the certificate itself."""
        return self.enabled and self.certificates is None


def check_webhook(flags: WebhookFlags, watch_namespaces: Sequence[str]) -> None:
    """Raises UsageError for flags that cannot go together."""
    if flags.manages_certificate and watch_namespaces:
        raise UsageError(
            "--webhook-bind-address: with --watch-namespaces the webhook configuration is out of "
            "reach, so give a certificate with --webhook-cert-dir, or leave the webhook off"
        )


class _Source(Protocol):
    trouble: str

    def step(self) -> float: ...


class Webhook:
    """A webhook that serves until ``close``. Raises UsageError when it cannot."""

    def __init__(
        self,
        flags: WebhookFlags,
        options: Options,
        operator: Operator,
        *,
        reader: Reader,
        writer: Writer,
        clock: Clock,
        settings: Settings,
    ) -> None:
        try:
            from prism_operator.adapters.certificates import FromFiles, ServedCertificates
        except ImportError as error:
            raise UsageError(
                f"--webhook-bind-address: the package {error.name} is missing: install "
                "prism-operator[webhook]"
            ) from error
        served = ServedCertificates()
        self._context = served.context
        self._source: _Source
        if flags.certificates is not None:
            self._source = FromFiles(flags.certificates, served)
        else:
            namespace = options.lease_namespace
            host = f"{flags.service}.{namespace}.svc"
            self._source = SelfManaged(
                reader=reader,
                writer=writer,
                clock=clock,
                namespace=namespace,
                names=[host, f"{host}.cluster.local"],
                certificates=served,
            )
        reviewer = Reviewer(
            cache=operator.cache,
            reader=reader,
            clock=clock,
            settings=settings,
            covers=operator.knows,
        )
        try:
            self._server = WebhookServer(flags.address, PATH, reviewer.respond, served.context)
        except ValueError as error:
            raise UsageError(f"--webhook-bind-address: {error}, or 0 for none") from error
        except OSError as error:
            raise UsageError(
                f"cannot listen on {flags.address}: {error.strerror}; choose another "
                "--webhook-bind-address, or 0 for none"
            ) from error
        _log.info("Serving webhook", address=flags.address, port=self._server.port)
        self._stopping = threading.Event()
        self._thread = threading.Thread(
            target=self._keep_certificate, name="webhook-certificate", daemon=True
        )
        self._thread.start()

    def unready(self) -> tuple[str, ...]:
        """Why it cannot serve, if it cannot."""
        if self._context() is not None:
            return ()
        return (f"webhook has no certificate: {self._source.trouble or 'not yet'}",)

    def close(self) -> None:
        """Stops serving."""
        self._stopping.set()
        self._server.close()

    def _keep_certificate(self) -> None:
        while not self._stopping.wait(_after(self._source.step)):
            pass


def _after(step: Callable[[], float]) -> float:
    try:
        return step()
    except Exception:  # the edge of the loop: what is served goes on being served
        _log.exception("Webhook certificate failed")
        return _AFTER_A_BUG_S
