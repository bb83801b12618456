"""Manifests without secrets that can still be played.

Literal environment, arguments and the data of Secrets and ConfigMaps are withheld whatever they are
called. Settings of patterns and triggers are kept, since what pods are called and how they are
scaled depends on them, unless they are called or written like a credential.
"""

from __future__ import annotations

import base64
import binascii
from typing import Any

from prism_operator.api.meta import Json
from prism_operator.diagnosis.redaction import (
    CREDENTIAL_NAME,
    FREE_FORM,
    WITHHELD,
    Redactor,
    address_of,
    looks_random,
    withheld_inside,
)
from prism_operator.planning.consent import ALLOWED_NAMESPACES
from prism_operator.planning.names import ADOPT_ANNOTATION, PAUSED_ANNOTATION

# Those by which somebody tells the operator what to do.
_ANNOTATIONS = (ADOPT_ANNOTATION, PAUSED_ANNOTATION, ALLOWED_NAMESPACES)
_LISTS = ("args", "command")
_SETTINGS = ("config", "backendConfig", "tags")
_REFERENCES = ("FromEnv", "Ref", "Name")  # what ends so names where the credential is


def without_secrets(obj: Json) -> Json:
    """A copy in which no secret is left; a Secret keeps its keys, and the address in a URL."""
    if obj.get("kind") == "Secret":
        return _secret(obj)
    clean: Json = _clean(obj, "")
    return clean


def _secret(obj: Json) -> Json:
    data = {key: _data(text) for key, text in (obj.get("data") or {}).items()}
    for key, text in (obj.get("stringData") or {}).items():
        data[key] = _encoded(_kept(str(text)))
    # Without its type, whose keys would have to hold what they are for.
    kept = {k: v for k, v in obj.items() if k in ("apiVersion", "kind")}
    return {**kept, "metadata": _clean(obj.get("metadata") or {}, "metadata"), "data": data}


def _data(text: Any) -> str:
    try:
        value = base64.b64decode(str(text)).decode()
    except (binascii.Error, UnicodeDecodeError):
        value = ""
    return _encoded(_kept(value))


def _kept(value: str) -> str:
    """Of a secret only where it leads to."""
    return address_of(value).replace("***@", "") if "://" in value else WITHHELD


def _encoded(value: str) -> str:
    return base64.b64encode(value.encode()).decode()


def _clean(value: Any, key: str) -> Any:
    match value:
        case dict():
            if key == "annotations":
                return {k: v for k, v in value.items() if k in _ANNOTATIONS}
            if key in _SETTINGS:
                return {k: _setting(k, v) for k, v in value.items()}
            if key in FREE_FORM:
                return withheld_inside(value)
            return {k: _clean(v, k) for k, v in value.items() if k != "managedFields"}
        case list():
            if key in _LISTS:
                return [WITHHELD for _ in value]
            if key == "env":
                return [_variable(entry) for entry in value]
            if key == "triggers":
                return [_trigger(trigger) for trigger in value]
            return [_clean(item, "") for item in value]
        case str():
            return value if key == "image" else _TEXTS.text(value)
    return value


def _variable(entry: Any) -> Any:
    if not isinstance(entry, dict):
        return WITHHELD
    return {k: WITHHELD if k == "value" else _clean(v, k) for k, v in entry.items()}


def _trigger(trigger: Any) -> Any:
    if not isinstance(trigger, dict) or not isinstance(trigger.get("metadata"), dict):
        return _clean(trigger, "")
    # What names a queue may look like anything.
    metadata = {k: _setting(k, v, named=True) for k, v in trigger["metadata"].items()}
    return {**_clean(trigger, ""), "metadata": metadata}


def _setting(name: str, value: Any, *, named: bool = False) -> Any:
    if isinstance(value, dict):
        return {k: _setting(k, v) for k, v in value.items()}
    if isinstance(value, list):
        return [_setting(name, item) for item in value]
    if isinstance(value, str) and "://" in value:
        return value if not set(value) & set("@?#") else _kept(value)
    if CREDENTIAL_NAME.search(name) and not name.endswith(_REFERENCES):
        return value if isinstance(value, bool) else WITHHELD
    if isinstance(value, str) and looks_random(value) and not named:
        return WITHHELD
    return _clean(value, "")


_TEXTS = Redactor()
