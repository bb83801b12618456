"""What the operator was started with, as far as plans depend on it."""

from __future__ import annotations

from dataclasses import dataclass, field

from prism_operator.planning.hashing import PUBLIC_KEY


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings that shape plans; ``{pattern}`` in ``runner_image`` is the pattern's type."""

    proxy_image: str = "ghcr.io/prism/prism-proxy:latest"
    admin_image: str = "ghcr.io/prism/prism-admin:latest"
    runner_image: str = "ghcr.io/prism/{pattern}-runner:latest"
    allow_privileged_placement: bool = False
    # Whether somebody can be asked to look at backends; see ``Plan.check``.
    check_backends: bool = False
    # Whether somebody can be asked to call control planes; see ``Plan.call``.
    provision_namespaces: bool = False
    # The only namespaces that are seen; all of them without.
    watch_namespaces: tuple[str, ...] = ()
    # Key of the HMAC in pods' hash annotations, so that the hash of a Secret betrays nothing about
    # it. The operator brings one of its own; this one is for simulations and tests.
    hash_key: bytes = field(default=PUBLIC_KEY, repr=False)
