"""What a person sees who starts the operator: one clear line for whatever cannot work."""

from __future__ import annotations

import io
import json
import logging
import re
import socket
from collections.abc import Callable
from contextlib import redirect_stderr
from pathlib import Path

import pytest
import structlog

from prism_operator import __version__
from prism_operator.adapters.connection import Connection, connect_over
from prism_operator.cli.access import check_cluster
from prism_operator.cli.errors import UsageError
from prism_operator.cli.logging import configure_logs, parse_level
from prism_operator.cli.main import main
from prism_operator.runtime.operator import Options
from simulator.apiserver.server import Access, ApiServer
from simulator.apiserver.transport import InProcessAdapter

from .builders import FakeClock
from .world import World


def run(*args: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        main(args)
    captured = capsys.readouterr()
    return int(ended.value.code or 0), captured.out, captured.err


def a_kubeconfig(directory: Path, server: str) -> Path:
    path = directory / "config"
    path.write_text(
        json.dumps(
            {
                "clusters": [{"name": "c", "cluster": {"server": server}}],
                "users": [{"name": "u", "user": {}}],
                "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
                "current-context": "x",
            }
        )
    )
    return path


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("rum",), "No such command 'rum'"),
        (("run", "--workers=0"), """'--workers': expected a number from 1 to 256, not "0\""""),
        (("run", "--workers=many"), 'not "many"'),
        (("run", "--no-such-flag"), "--no-such-flag"),
        (("run", "--log-level=loud"), 'log level "loud": expected one of debug'),
        (("run", "--log-format=xml"), '--log-format: expected json or console, not "xml"'),
        (("run", "--kubeconfig=/does/not/exist"), "/does/not/exist does not exist"),
        (("run", "--watch-namespaces=a,B!"), '"B!" is not the name of a namespace'),
        (
            ("run", "--watch-namespaces=a", "--webhook-bind-address=:9443"),
            "with --watch-namespaces the webhook configuration is out of reach, so give a"
            " certificate with --webhook-cert-dir, or leave the webhook off",
        ),
        (("crds", "--output=/proc/nowhere"), "--output /proc/nowhere"),
    ],
)
def test_bad_input_ends_with_2_and_one_line_that_says_why(
    args: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = run(*args, capsys=capsys)

    assert code == 2
    assert out == ""
    assert err.startswith("prism-operator: ")
    assert said in err
    assert err.count("\n") == 1


def test_an_unreachable_server_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: refused
        server = f"http://127.0.0.1:{taken.getsockname()[1]}"
        kubeconfig = a_kubeconfig(tmp_path, server)
        code, _, err = run("run", f"--kubeconfig={kubeconfig}", capsys=capsys)

    assert code == 2
    # The server is said first, so that nobody wonders which cluster it was.
    first, *_, last = err.splitlines()
    assert json.loads(first)["server"] == server
    assert last.startswith(f"prism-operator: server {server}")
    assert "Traceback" not in err


def connection_to(server: ApiServer) -> Connection:
    return connect_over(InProcessAdapter(server, "operator"))


def test_a_cluster_without_the_crds_is_told_what_to_run() -> None:
    connection = connection_to(ApiServer(FakeClock()))

    with pytest.raises(UsageError, match="CRDs are not installed: run make install") as error:
        check_cluster(connection, Options())
    assert "prismstacks" in str(error.value)


def test_a_cluster_that_has_everything_is_accepted() -> None:
    assert check_cluster(connection_to(World().server), Options(lease_namespace="default"))


@pytest.mark.parametrize(
    ("denied", "options", "said"),
    [
        (
            lambda a: a.verb == "create" and a.resource.plural == "deployments",
            Options(leader_elect=False),
            "no permission: cannot create deployments.apps in all namespaces",
        ),
        (
            lambda a: a.resource.plural == "services" and a.verb == "watch",
            Options(leader_elect=False, watch_namespaces=("team-a",)),
            'no permission: cannot watch services in namespace "team-a"',
        ),
        (
            lambda a: a.subresource == "status",
            Options(leader_elect=False),
            "cannot patch prismstacks.prism.io/status",
        ),
        (
            lambda a: a.resource.plural == "leases" and a.namespace == "prism-system",
            Options(),
            'cannot get leases.coordination.k8s.io in namespace "prism-system"',
        ),
        (lambda a: True, Options(), "more"),
    ],
)
def test_a_missing_permission_is_named_with_verb_resource_and_namespace(
    denied: Callable[[Access], bool], options: Options, said: str
) -> None:
    server = World().server
    server.authorizer = lambda access: (
        "no" if denied(access) and access.resource.plural != "selfsubjectaccessreviews" else None
    )

    with pytest.raises(UsageError) as error:
        check_cluster(connection_to(server), options)
    assert said in str(error.value)


def test_reading_nodes_is_no_condition_for_starting() -> None:
    server = World().server
    server.authorizer = lambda access: "no" if access.resource.plural == "nodes" else None

    assert check_cluster(connection_to(server), Options(leader_elect=False))


def test_the_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("version", capsys=capsys) == (0, f"{__version__}\n", "")


def test_the_crds_are_printed_as_documents_or_written_as_files(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, out, _ = run("crds", capsys=capsys)
    run("crds", f"--output={tmp_path}", capsys=capsys)

    assert out.split("---\n") == [path.read_text() for path in sorted(tmp_path.iterdir())]
    assert re.findall("^    kind: (.*)", out, re.MULTILINE) == [
        "PrismBackend",
        "PrismNamespace",
        "PrismPattern",
        "PrismStack",
    ]


@pytest.mark.parametrize(
    ("text", "level"),
    [
        ("debug", logging.DEBUG),
        ("INFO", logging.INFO),
        ("warn", logging.WARNING),
        ("error", logging.ERROR),
        ("panic", logging.CRITICAL),
        ("0", logging.INFO),
        ("5", logging.DEBUG),
    ],
)
def test_levels_are_those_of_people_and_of_zap(text: str, level: int) -> None:
    assert parse_level(text) == level


def test_a_log_line_is_json_with_msg_level_and_ts() -> None:
    stream = io.StringIO()
    try:
        with redirect_stderr(stream):
            configure_logs(logging.INFO, "json")
            log = structlog.get_logger().bind(controller="prismstack", name="dev")
            log.debug("not shown")
            log.info("Reconciled", result="success")
    finally:
        structlog.reset_defaults()

    [line] = stream.getvalue().splitlines()
    entry = json.loads(line)
    assert entry["msg"] == "Reconciled"
    assert entry["level"] == "info"
    assert entry["ts"].endswith("Z")
    assert entry["controller"] == "prismstack"
