"""Renders what the API server needs to ask the operator: a Service and a webhook configuration.

``python -m prism_operator.webhook --write`` brings ``config/webhook`` up to date; ``--check`` names
the files that differ, and exits 1 if there are any.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

from prism_operator import generated
from prism_operator.admission.review import PATH
from prism_operator.api.meta import (
    GROUP,
    PRISM_RESOURCES,
    SERVICE,
    VALIDATING_WEBHOOK_CONFIGURATION,
    VERSION,
    Json,
)
from prism_operator.rbac import ACCOUNT, NAMESPACE
from prism_operator.runtime.certificates import CONFIGURATION_NAME

SERVICE_NAME: Final = "prism-operator-webhook-service"
# A stack of the largest kind takes a tenth of it; who waits is a person.
_TIMEOUT_S: Final = 3
_HEADER: Final = "# Generated from prism_operator/webhook.py by `make manifests`: edit that file.\n"
_LABELS: Final = {"app.kubernetes.io/name": "prism-operator"}
_ANNOTATIONS: Final = (
    "(has({0}.metadata.annotations) ? {0}.metadata.annotations : dyn({{}}))".format
)


def build_webhook(
    namespace: str = NAMESPACE, service: str = SERVICE_NAME, account: str = ACCOUNT
) -> dict[str, Json]:
    """The objects by the names of their files, without ``.yaml``; the operator runs as ``account``.

    The bundle of trusted authorities is left out: the operator or cert-manager fills it in.
    """
    return {
        "service": _service(namespace, service),
        "manifests": _configuration(namespace, service, account),
    }


def _service(namespace: str, name: str) -> Json:
    return {
        "apiVersion": SERVICE.api_version,
        "kind": SERVICE.kind,
        "metadata": {"name": name, "namespace": namespace, "labels": dict(_LABELS)},
        "spec": {
            "selector": {**_LABELS, "control-plane": "controller-manager"},
            "ports": [{"name": "https", "port": 443, "targetPort": "webhook", "protocol": "TCP"}],
        },
    }


def _configuration(namespace: str, service: str, account: str) -> Json:
    old, new = _ANNOTATIONS("oldObject"), _ANNOTATIONS("object")
    operator = f"system:serviceaccount:{namespace}:{account}"
    conditions = {
        # A webhook that is wrong must not stop the operator from repairing anything.
        "not-the-operator": f"request.userInfo.username != '{operator}'",
        "not-being-deleted": "!has(object.metadata.deletionTimestamp)",
        "asks-for-something-else": f"oldObject == null || object.spec != oldObject.spec"
        f" || {new} != {old}",
    }
    return {
        "apiVersion": VALIDATING_WEBHOOK_CONFIGURATION.api_version,
        "kind": VALIDATING_WEBHOOK_CONFIGURATION.kind,
        "metadata": {"name": CONFIGURATION_NAME, "labels": dict(_LABELS)},
        "webhooks": [
            {
                "name": f"validate.{GROUP}",
                "admissionReviewVersions": ["v1"],
                "clientConfig": {
                    "service": {
                        "name": service,
                        "namespace": namespace,
                        "path": PATH,
                        "port": 443,
                    }
                },
                # The conditions of our objects say the same, later.
                "failurePolicy": "Ignore",
                "matchPolicy": "Equivalent",
                "sideEffects": "None",
                "timeoutSeconds": _TIMEOUT_S,
                "rules": [
                    {
                        "apiGroups": [GROUP],
                        "apiVersions": [VERSION],
                        "operations": ["CREATE", "UPDATE"],
                        "resources": [resource.plural for resource in PRISM_RESOURCES],
                        "scope": "Namespaced",
                    }
                ],
                "matchConditions": [
                    {"name": name, "expression": expression}
                    for name, expression in conditions.items()
                ],
            }
        ],
    }


def generated_files(root: Path) -> dict[Path, str]:
    """What belongs in ``config/webhook`` below ``root``, the project's folder."""
    folder = root / "config" / "webhook"
    objects: dict[str, Json] = build_webhook()
    kustomization = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": sorted(f"{name}.yaml" for name in objects),
    }
    return {
        folder / f"{name}.yaml": _HEADER + generated.dump_yaml(obj)
        for name, obj in {**objects, "kustomization": kustomization}.items()
    }


if __name__ == "__main__":
    sys.exit(generated.main("python -m prism_operator.webhook", sys.argv[1:], generated_files))
