"""Helm, built as a Go tool, against a cluster of the tests and with files of its own."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from e2e.build import HELM, build
from e2e.cluster import Cluster, Json

ROOT = Path(__file__).parent.parent
CHART = ROOT / "charts" / "prism-operator"
_TIMEOUT_S = 180.0


class HelmError(Exception):
    """Helm ended with an error; the message is what it printed."""


class Helm:
    """Runs helm; ``home`` keeps its caches from the user's."""

    def __init__(self, home: Path, cluster: Cluster | None = None) -> None:
        self._program = str(build(HELM))
        kubeconfig = str(cluster.kubeconfig) if cluster else "/nowhere"
        self._environment = {
            **{k: v for k, v in os.environ.items() if not k.startswith("HELM_")},
            "HELM_CACHE_HOME": str(home / "cache"),
            "HELM_CONFIG_HOME": str(home / "config"),
            "HELM_DATA_HOME": str(home / "data"),
            "KUBECONFIG": kubeconfig,
        }

    def __call__(self, *arguments: str, values: Mapping[str, Any] | None = None) -> str:
        """What helm prints. ``values`` are given to it as a file.

        Raises:
            HelmError: when it ends with an error.
        """
        command = [self._program, *arguments, *(["--values=-"] if values is not None else [])]
        result = subprocess.run(
            command,
            input=json.dumps(values) if values is not None else "",
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_S,
        )
        if result.returncode:
            raise HelmError(result.stderr.strip() or result.stdout.strip())
        return result.stdout

    def template(self, *flags: str, values: Mapping[str, Any] | None = None) -> list[Json]:
        """The objects of the chart, as the release prism-operator in prism-system has them."""
        place = ("prism-operator", str(CHART), "--namespace=prism-system")
        printed = self("template", *place, *flags, values=values or {})
        return [obj for obj in yaml.load_all(printed, yaml.CSafeLoader) if obj]
