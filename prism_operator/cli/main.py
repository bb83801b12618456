"""The command line ``prism-operator``."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated

import typer

from prism_operator import __version__
from prism_operator.api.crd import render_crds
from prism_operator.cli.entry import run_app
from prism_operator.cli.errors import UsageError
from prism_operator.cli.logging import FORMATS, configure_logs, parse_level
from prism_operator.cli.run import RunFlags, run_operator
from prism_operator.cli.webhook import WebhookFlags
from prism_operator.planning.addresses import Network
from prism_operator.planning.settings import Settings
from prism_operator.rbac import render_rbac
from prism_operator.webhook import SERVICE_NAME

WORKERS_MAX = 256
_NAMESPACE = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_SHARD = re.compile(r"[a-z0-9]([-a-z0-9]{0,38}[a-z0-9])?")
_ROUTE = re.compile(
    r"(?P<namespace>[^/=]+)/(?P<stack>[^/=]+)="
    r"(?:\[(?P<v6>[0-9a-fA-F:]+)\]|(?P<host>[A-Za-z0-9._-]+)):(?P<port>\d{1,5})"
)
_SETTINGS = Settings()


def _workers(text: str | int) -> int:
    if not str(text).isdecimal() or not 1 <= int(text) <= WORKERS_MAX:
        raise typer.BadParameter(f'expected a number from 1 to {WORKERS_MAX}, not "{text}"')
    return int(text)


app = typer.Typer(
    name="prism-operator",
    help="Kubernetes operator for the Prism data-access layer.",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


@app.command()
def run(
    kubeconfig: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="The kubeconfig file. Default: as kubectl finds it, or the pod's own.",
        ),
    ] = None,
    context: Annotated[
        str | None, typer.Option(metavar="NAME", help="The context of the kubeconfig.")
    ] = None,
    watch_namespaces: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAMES", help="Namespaces to watch, comma-separated or repeated. Default: all."
        ),
    ] = None,
    workers: Annotated[
        int,
        typer.Option(parser=_workers, metavar="NUMBER", help="Objects worked on at a time."),
    ] = 8,
    leader_elect: Annotated[
        bool, typer.Option(help="Write only while holding the Lease, so that several may run.")
    ] = True,
    leader_elect_namespace: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="Namespace of the Lease. Default: the pod's, or the context's."
        ),
    ] = None,
    shard: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="Look after the objects with the label prism.io/shard=NAME. Default: after those "
            "without it.",
        ),
    ] = "",
    log_level: Annotated[
        str | None,
        typer.Option(
            "--log-level",
            "--zap-log-level",
            envvar="LOG_LEVEL",
            metavar="LEVEL",
            help="debug, info, warn or error. Default: info.",
        ),
    ] = None,
    log_format: Annotated[str, typer.Option(metavar="FORMAT", help="json or console.")] = "json",
    health_probe_bind_address: Annotated[
        str,
        typer.Option(
            metavar="ADDRESS", help="Where /healthz and /readyz are served; 0 for nowhere."
        ),
    ] = ":8081",
    metrics_bind_address: Annotated[
        str, typer.Option(metavar="ADDRESS", help="Where /metrics is served; 0 for nowhere.")
    ] = ":8080",
    webhook_bind_address: Annotated[
        str,
        typer.Option(
            metavar="ADDRESS",
            help="Where the admission webhook is served, such as :9443; 0 for nowhere.",
        ),
    ] = "0",
    webhook_cert_dir: Annotated[
        Path | None,
        typer.Option(
            metavar="DIRECTORY",
            help="The webhook's tls.crt and tls.key. Default: the operator makes its own.",
        ),
    ] = None,
    webhook_service_name: Annotated[
        str, typer.Option(metavar="NAME", help="The Service that the webhook is reached by.")
    ] = SERVICE_NAME,
    allow_privileged_placement: Annotated[
        bool, typer.Option(help="Allow nodeName and system-* priority classes in placements.")
    ] = False,
    check_backends: Annotated[
        bool, typer.Option(help="Connect to PrismBackends to see whether they are healthy.")
    ] = True,
    denied_cidrs: Annotated[
        list[str] | None,
        typer.Option(
            metavar="CIDRS",
            help="Addresses that health checks never connect to, comma-separated or repeated, "
            "besides link-local and clouds' metadata ones.",
        ),
    ] = None,
    control_plane: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAMESPACE/STACK=HOST:PORT",
            help="Where the admin of a stack is reached instead of at its Service, by an operator "
            "outside of the cluster; repeated.",
        ),
    ] = None,
    proxy_image: Annotated[
        str, typer.Option(metavar="IMAGE", help="Image of proxies that name none.")
    ] = _SETTINGS.proxy_image,
    admin_image: Annotated[
        str, typer.Option(metavar="IMAGE", help="Image of admins that name none.")
    ] = _SETTINGS.admin_image,
    runner_image: Annotated[
        str,
        typer.Option(
            metavar="IMAGE",
            help="Image of runners that name none; {pattern} is the pattern's type.",
        ),
    ] = _SETTINGS.runner_image,
) -> None:
    """Run the operator until SIGTERM or SIGINT."""
    try:
        level = parse_level(log_level or "info")
    except ValueError as error:
        raise UsageError(str(error)) from error
    if log_format not in FORMATS:
        raise UsageError(f'--log-format: expected {" or ".join(FORMATS)}, not "{log_format}"')
    _check_shard(shard)
    if shard and not leader_elect:
        raise UsageError("--shard: expected --leader-elect, as shards see by Leases who is alive")
    configure_logs(level, log_format)
    run_operator(
        RunFlags(
            kubeconfig=kubeconfig,
            context=context,
            watch_namespaces=_split(watch_namespaces or ()),
            workers=workers,
            leader_elect=leader_elect,
            lease_namespace=leader_elect_namespace,
            shard=shard,
            denied_cidrs=_networks(denied_cidrs or ()),
            routes=dict(_route(text) for text in control_plane or ()),
            health_address=health_probe_bind_address,
            metrics_address=metrics_bind_address,
            webhook=WebhookFlags(webhook_bind_address, webhook_cert_dir, webhook_service_name),
        ),
        Settings(
            proxy_image=proxy_image,
            admin_image=admin_image,
            runner_image=runner_image,
            allow_privileged_placement=allow_privileged_placement,
            check_backends=check_backends,
            provision_namespaces=True,
            watch_namespaces=_split(watch_namespaces or ()),
        ),
    )


@app.command()
def crds(
    output: Annotated[
        Path | None,
        typer.Option(metavar="DIRECTORY", help="Write one file for each kind into this directory."),
    ] = None,
) -> None:
    """Print the CustomResourceDefinitions."""
    files = render_crds()
    if output is None:
        typer.echo("---\n".join(files[name] for name in sorted(files)), nl=False)
        return
    try:
        output.mkdir(parents=True, exist_ok=True)
        for name in sorted(files):
            (output / name).write_text(files[name], encoding="utf-8")
    except OSError as error:
        raise UsageError(f"--output {output}: {error.strerror}") from error


@app.command()
def rbac(
    watch_namespaces: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAMES",
            help="Namespaces to watch, comma-separated or repeated: Roles there, no ClusterRoles.",
        ),
    ] = None,
    shard: Annotated[str, typer.Option(metavar="NAME", help="For an operator of this shard.")] = "",
) -> None:
    """Print the Roles that the operator needs."""
    _check_shard(shard)
    typer.echo(render_rbac(_split(watch_namespaces or ()), shard), nl=False)


@app.command()
def version() -> None:
    """Print the version."""
    typer.echo(__version__)


def main(args: Sequence[str] | None = None) -> None:
    """Runs a command and exits: 0 when done, 1 for a bug, 2 with one line for bad input."""
    sys.exit(run_app(app, "prism-operator", sys.argv[1:] if args is None else args))


def _check_shard(name: str) -> None:
    if name and not _SHARD.fullmatch(name):
        raise UsageError(
            f'--shard: "{name}" is not the name of a shard: at most 40 of a-z, 0-9 and -, '
            "like blue or team-a"
        )


def _networks(values: Sequence[str]) -> tuple[Network, ...]:
    texts = [text.strip() for value in values for text in value.split(",")]
    try:
        return tuple(ip_network(text) for text in texts if text)
    except ValueError as error:
        raise UsageError(f"--denied-cidrs: {error}; expected such as 10.0.0.0/8") from error


def _route(text: str) -> tuple[tuple[str, str], tuple[str, int]]:
    found = _ROUTE.fullmatch(text)
    if found is None or not 1 <= int(found["port"]) <= 65535:
        raise UsageError(
            f"--control-plane: expected NAMESPACE/STACK=HOST:PORT, such as "
            f'prism-system/prism-dev=localhost:8981, not "{text}"'
        )
    return (found["namespace"], found["stack"]), (found["v6"] or found["host"], int(found["port"]))


def _split(values: Sequence[str]) -> tuple[str, ...]:
    """``a,b`` and repeated flags as one list, each name once, in the order given."""
    names = [name.strip() for value in values for name in value.split(",")]
    for name in filter(None, names):
        if not _NAMESPACE.fullmatch(name):
            raise UsageError(f'--watch-namespaces: "{name}" is not the name of a namespace')
    return tuple(dict.fromkeys(filter(None, names)))
