"""Whether a Secret may be used from another namespace: its owner says so on it."""

from __future__ import annotations

from typing import Final

from prism_operator.api.meta import Json

ALLOWED_NAMESPACES: Final = "prism.io/allowed-namespaces"


def is_for(secret: Json, namespace: str) -> bool:
    """Whether objects of ``namespace`` may use the Secret: those of its own always may.

    The annotation lists names, separated by commas. There is no wildcard: a namespace that is made
    tomorrow was not meant.
    """
    metadata = secret["metadata"]
    listed = (metadata.get("annotations") or {}).get(ALLOWED_NAMESPACES, "")
    return namespace in (metadata["namespace"], *(name.strip() for name in listed.split(",")))
