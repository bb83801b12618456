"""The ConfigMap with a pattern's configuration file."""

from __future__ import annotations

import yaml

from prism_operator.api.meta import CONFIG_MAP, Json
from prism_operator.planning.labels import Labels

CONFIG_DIRECTORY = "/etc/prism"
CONFIG_KEY = "config.yaml"
CONFIG_FILE = f"{CONFIG_DIRECTORY}/{CONFIG_KEY}"


def build_config_map(name: str, namespace: str, labels: Labels, content: Json) -> Json:
    """The ConfigMap; the same content gives the same bytes."""
    return {
        "apiVersion": CONFIG_MAP.api_version,
        "kind": CONFIG_MAP.kind,
        "metadata": {"name": name, "namespace": namespace, "labels": dict(labels)},
        "data": {
            CONFIG_KEY: yaml.safe_dump(content, sort_keys=True, allow_unicode=True, width=4096)
        },
    }
