"""The operator's own key for hashes of Secrets: made once at random, kept in a Secret.

Every replica and shard reads the same one before its first plan. It is never logged.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable

import structlog

from prism_operator.api.meta import FIELD_MANAGER, SECRET, Json, Ref
from prism_operator.ports import Failed, Ok, Outcome, Reader, Reason, Writer

NAME = "prism-operator-hash-key"
KEY_BYTES = 32
_FIELD = "key"
_LACKING = (Reason.FORBIDDEN, Reason.UNAUTHORIZED)

_log = structlog.get_logger("prism_operator.runtime.hash_key")


class HashKeyError(Exception):
    """There is a Secret, and no key in it; or the server told neither yes nor no."""


def obtain_hash_key(
    namespace: str, *, reader: Reader, writer: Writer, make: Callable[[int], bytes]
) -> bytes | None:
    """The key in the Secret of ``namespace``; ``make`` draws its bytes if there is none yet.

    None without the right to the Secret. Raises ``HashKeyError``.
    """
    ref = Ref(SECRET, namespace, NAME)
    found = reader.get(ref)
    if isinstance(found, Failed) and found.reason is Reason.NOT_FOUND:
        found = writer.create(_secret(ref, make(KEY_BYTES)), FIELD_MANAGER)
        if isinstance(found, Ok):
            _log.info("Made a key for hashes of Secrets", secret=str(ref))
        elif found.reason is Reason.ALREADY_EXISTS:  # another replica was first
            found = reader.get(ref)
    return _key_in(ref, found)


def _key_in(ref: Ref, found: Outcome) -> bytes | None:
    if isinstance(found, Failed):
        if found.reason in _LACKING:
            _log.warning(
                "No access to the key for hashes of Secrets: a key known to everybody is used "
                "instead, so whoever reads pods can test guesses of a Secret that they use; "
                "grant create, and get of this one name",
                secret=str(ref),
                error=found.message,
            )
            return None
        raise HashKeyError(f"{ref}: {found.message}")
    try:
        key = base64.b64decode((found.obj.get("data") or {}).get(_FIELD, ""), validate=True)
    except binascii.Error:
        key = b""
    if len(key) < KEY_BYTES:
        raise HashKeyError(
            f"{ref}: data.{_FIELD} is not a key of {KEY_BYTES} bytes; restore it from a backup, or "
            f"delete the Secret: the operator makes another, and no pod is restarted for that"
        )
    return key


def _secret(ref: Ref, key: bytes) -> Json:
    return {
        "apiVersion": SECRET.api_version,
        "kind": SECRET.kind,
        "metadata": {
            "name": ref.name,
            "namespace": ref.namespace,
            "labels": {"app.kubernetes.io/name": "prism-operator"},
        },
        "immutable": True,
        "type": "Opaque",
        "data": {_FIELD: base64.b64encode(key).decode()},
    }
