"""The PrismPattern of one pattern of a stack."""

from __future__ import annotations

from typing import Final

from prism_operator.api.meta import PRISM_PATTERN, Json
from prism_operator.api.stack import PrismStack, StackPattern
from prism_operator.planning.labels import stack_labels
from prism_operator.planning.resources.pod_template import merged_env

# What a stack says of a pattern under the name that PrismPattern has for it, too.
_SHARED: Final = frozenset(
    str(field.alias)
    for name, field in StackPattern.model_fields.items()
    if name not in ("name", "type")
)


def build_prism_pattern(
    stack: PrismStack, pattern: StackPattern, given: Json, env: list[Json]
) -> Json:
    """The PrismPattern; ``given`` is the pattern's entry in the stack as the user wrote it.

    The stack's defaults stand in it as if the user had written them, so that it makes sense alone.
    """
    spec: Json = {
        **{key: value for key, value in given.items() if key in _SHARED},
        "pattern": pattern.type,
        "replicas": pattern.replicas,
        # A pattern that a stack made always has a Service.
        "service": given.get("service") or {"type": "ClusterIP", "port": 8080},
    }
    if merged := merged_env(env, pattern.env):
        spec["env"] = merged
    if pattern.effective_resources is None and stack.spec.resources is not None:
        spec["resources"] = stack.spec.resources
    if pattern.effective_placement.affinity is None and stack.spec.affinity is not None:
        spec["runnerSpec"] = {**(given.get("runnerSpec") or {}), "affinity": stack.spec.affinity}
    if stack.spec.image_pull_secrets:
        spec["imagePullSecrets"] = stack.spec.image_pull_secrets
    if pattern.backend_config is None and _is_backend_of(stack, pattern.backend):
        spec["backendConfig"] = {"name": pattern.backend, "namespace": stack.namespace}
    return {
        "apiVersion": PRISM_PATTERN.api_version,
        "kind": PRISM_PATTERN.kind,
        "metadata": {
            "name": pattern.name,
            "namespace": stack.namespace,
            "labels": stack_labels(stack.name),
        },
        "spec": spec,
    }


def _is_backend_of(stack: PrismStack, name: str) -> bool:
    return any(backend.name == name for backend in stack.spec.backends)
