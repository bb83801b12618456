"""Fixtures: a scripted server, and a connection to it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from prism_operator.adapters.connection import Connection, connect

from .server import Answer, ScriptedServer, Stream


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    """Closes what a test opened."""
    with ExitStack() as closing:
        yield closing


@pytest.fixture
def serve(stack: ExitStack) -> Callable[..., ScriptedServer]:
    """Starts a server with these answers."""

    def start(*answers: Answer | Stream | None, **kwargs: Any) -> ScriptedServer:
        return stack.enter_context(ScriptedServer(*answers, **kwargs))

    return start


@pytest.fixture
def connect_to(stack: ExitStack, tmp_path: Path) -> Callable[..., Connection]:
    """Connects to a server as a user of a kubeconfig."""

    def start(
        server: ScriptedServer, user: dict[str, Any] | None = None, **kwargs: Any
    ) -> Connection:
        connection = connect(server.kubeconfig(tmp_path / "kubeconfig", user), **kwargs)
        stack.callback(connection.close)
        return connection

    return start
