"""What stands in a Secret that an object refers to, or why that cannot be used."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass

from prism_operator.api.common import ConnectionSecretRef, ObjectReference
from prism_operator.api.meta import SECRET, Json, Ref
from prism_operator.planning.checks import Certificates
from prism_operator.planning.consent import ALLOWED_NAMESPACES, is_for
from prism_operator.planning.observed import Snapshot


@dataclass
class ObstacleError(Exception):
    """Nothing can be done until somebody does something."""

    reason: str
    message: str


def secret_ref(reference: ObjectReference, namespace: str) -> Ref:
    """The Secret that an object of ``namespace`` refers to."""
    return Ref(SECRET, reference.namespace or namespace, reference.name)


def secret_data(
    reference: ObjectReference, namespace: str, cluster: Snapshot, *, field: str
) -> Json:
    """The data of a Secret that objects of ``namespace`` may use. Raises ObstacleError."""
    ref = secret_ref(reference, namespace)
    found = cluster.get(ref)
    if found is None:
        message = f"{field}: {ref} does not exist, or the operator may not read it"
        raise ObstacleError("SecretNotFound", message)
    if not is_for(found, namespace):
        message = (
            f"{field}: {ref} is not for namespace {namespace}: list it in the Secret's"
            f" annotation {ALLOWED_NAMESPACES}"
        )
        raise ObstacleError("SecretNotAllowed", message)
    data: Json = found.get("data") or {}
    return data


def text_under(data: Json, key: str) -> str | None:
    """The text under a key without the line's end that files bring along; None for nothing.

    Raises ObstacleError.
    """
    try:
        return base64.b64decode(data.get(key) or "").decode().rstrip("\r\n") or None
    except (binascii.Error, UnicodeDecodeError) as error:
        raise ObstacleError("SecretKeyMissing", f'key "{key}" of the Secret is not text') from error


def credentials_of(
    reference: ConnectionSecretRef, namespace: str, cluster: Snapshot
) -> tuple[str, str | None, str | None]:
    """URL, user name and password of a backend's Secret. Raises ObstacleError."""
    data = secret_data(reference, namespace, cluster, field="spec.connection.secretRef")
    keys = reference.keys
    url = text_under(data, keys.url)
    if url is None:
        ref = secret_ref(reference, namespace)
        raise ObstacleError("SecretKeyMissing", f'{ref} has no key "{keys.url}" with the URL')
    return url, text_under(data, keys.username), text_under(data, keys.password)


def certificates_in(
    reference: ObjectReference, namespace: str, cluster: Snapshot, *, field: str
) -> Certificates:
    """The certificates in a Secret. Raises ObstacleError."""
    data = secret_data(reference, namespace, cluster, field=field)
    found = {key: text_under(data, key) for key in ("ca.crt", "tls.crt", "tls.key")}
    ref = secret_ref(reference, namespace)
    if (found["tls.crt"] is None) != (found["tls.key"] is None):
        raise ObstacleError(
            "SecretKeyMissing", f"{ref} has one of tls.crt and tls.key: both or none"
        )
    if not any(found.values()):
        raise ObstacleError("SecretKeyMissing", f"{ref} has none of ca.crt, tls.crt and tls.key")
    return Certificates(found["ca.crt"], found["tls.crt"], found["tls.key"])
