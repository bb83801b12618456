"""Takes secrets out of objects and texts before anything else sees them.

Free-form values (environment, arguments, annotations, config, trigger metadata) are withheld
whatever they are called: which of them is a secret cannot be told from outside. What is withheld
and looks like a secret is also cut from every text, where it may have been logged.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote, urlsplit

from prism_operator.api.meta import Json, ReadOnlyJson
from prism_operator.planning.names import (
    ADOPT_ANNOTATION,
    APPLIED_ANNOTATION,
    PAUSED_ANNOTATION,
    POD_HASHES,
)
from prism_operator.planning.secrecy import redacted

WITHHELD: Final = "[withheld]"
_CREDENTIAL: Final = (
    r"pass(?:word|wd|phrase)?|pwd|secret|token|api[-_]?key|access[-_]?key|private[-_]?key|"
    r"credentials?|authorization|auth|cookie|dsn|signature|sasl|conn(?:ection)?[-_]?str(?:ing)?"
)
CREDENTIAL_NAME: Final = re.compile(rf"(?i){_CREDENTIAL}|key|cert")
# In texts: forms in which programs print credentials. Each keeps what is in its group "kept".
_IN_TEXT: Final = (
    re.compile(r"-----BEGIN [^-]*-----.*?(?:-----END [^-]*-----|$)", re.DOTALL),
    re.compile(r"(?i)(?P<kept>\b(?:bearer|basic)\s+)[\w.~+/=-]{4,}"),
    re.compile(r"\beyJ[\w-]+\.[\w-]+\.[\w-]*"),  # a JSON web token
    re.compile(r"\b(?:gh[a-z]_|github_pat_|xox[a-z]-|AKIA|ASIA|glpat-|sk-)[\w-]{8,}"),
    # In prose a colon follows many words, like "authenticationRef: Secret x does not exist".
    re.compile(
        rf"(?i)(?P<kept>[\w.-]*(?:{_CREDENTIAL})(?:[\w.-]*\\?[\"']?(?:\s*=|:(?=\S))|\\?[\"']?\s*:)\s*)"
        r"(?!\[withheld\])(?:\\?\"(?:[^\"\\]|\\[^\"])*\\?\"|'[^']*'|[^\s\"',;&})\]]+)"
    ),
    re.compile(rf"(?i)(?P<kept>--[\w-]*(?:{_CREDENTIAL})[\w-]*\s+)(?!\[withheld\])\S+"),
    # user:password@tcp(host), as Go's database drivers have it; no digest of an image.
    re.compile(r"(?P<kept>\b[\w.%+-]+:)[^\s:@/\"']+(?=@(?!sha256:)[\w(\[])"),
)
# Escape sequences would let a container's last words rewrite the reader's terminal.
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_PLAIN: Final = re.compile(
    r"true|false|\d{1,9}|\d{4}-\d\d-\d\dT[\d:.]+(?:Z|[+-]\d\d:\d\d)", re.ASCII
)
_HASH: Final = re.compile(r"[0-9a-f]{8,64}", re.ASCII)
_HASHES: Final = frozenset({APPLIED_ANNOTATION, *POD_HASHES})
_PLAIN_ANNOTATIONS: Final = frozenset(
    {
        ADOPT_ANNOTATION,
        PAUSED_ANNOTATION,
        "deployment.kubernetes.io/revision",
        "kubectl.kubernetes.io/restartedAt",
    }
)
# The arguments the operator gives to runners and its manifests to itself.
_ARGUMENT: Final = re.compile(
    r"--(?:pattern|backend|log-level|zap-log-level|log-format|workers|watch-namespaces|"
    r"leader-elect-namespace|health-probe-bind-address|metrics-bind-address)=[\w.,:-]{1,253}|"
    r"--(?:no-)?(?:leader-elect|allow-privileged-placement)"
)
FREE_FORM: Final = frozenset(
    {
        "config",
        "backendConfig",
        "data",
        "stringData",
        "binaryData",
        "volumeAttributes",
        "options",
        "tags",
        "httpHeaders",
        "command",
        "args",
    }
)
_URLS: Final = frozenset({"url", "connectionString", "endpoint", "oidcIssuer"})
_COMMON: Final = frozenset({"true", "false", "none", "null", "default"})
_LENGTH_MIN: Final = 4
_RANDOM_LENGTH_MIN: Final = 8


@dataclass(frozen=True, slots=True)
class Redactor:
    """Knows the values that must not be seen; makes safe copies of objects and texts."""

    known: tuple[str, ...] = ()

    @classmethod
    def of(cls, objects: Iterable[Json]) -> Redactor:
        """A redactor that knows the secrets in these objects wherever else they turn up."""
        listed = list(objects)
        names = {str(part) for o in listed for part in _names(o)}
        found = {v for o in listed for v in _secrets(o) if v not in names}
        variants = {v for value in found for v in _variants(value)}
        return cls(tuple(sorted(variants, key=lambda v: (-len(v), v))))

    def obj(self, obj: ReadOnlyJson) -> Json:
        """The object without secrets and without ``managedFields`` but for who wrote when."""
        clean: Json = self._clean(obj, ())
        return clean

    def text(self, text: str) -> str:
        """The text without known secrets, what looks like one, and control characters."""
        text = _CONTROL.sub("", text)
        for value in self.known:
            text = text.replace(value, WITHHELD)
        text = redacted(text)
        for pattern in _IN_TEXT:
            text = pattern.sub(_kept, text)
        return text

    def _clean(self, value: Any, path: tuple[str, ...]) -> Any:
        key = path[-1] if path else ""
        match value:
            case dict():
                if key == "annotations":
                    return {k: self._annotation(k, v) for k, v in sorted(value.items())}
                if key == "metadata" and "triggers" in path[-3:]:
                    return {k: _withheld(v) for k, v in value.items()}
                if key in FREE_FORM:
                    return withheld_inside(value)
                return {k: self._clean(v, (*path, k)) for k, v in value.items()}
            case list():
                if key == "managedFields":
                    wanted = ("manager", "operation", "subresource", "time")
                    return [{k: e[k] for k in wanted if k in e} for e in value]
                if key in ("args", "command"):
                    return [a if _ARGUMENT.fullmatch(str(a)) else WITHHELD for a in value]
                if key in FREE_FORM:
                    return withheld_inside(value)
                if key == "env":
                    return [self._variable(entry) for entry in value]
                return [self._clean(v, (*path, "")) for v in value]
            case str():
                if key in _URLS:
                    return address_of(value)
                return self.text(value)
        return value

    def _annotation(self, name: str, value: Any) -> Any:
        text = str(value)
        if name in _HASHES and _HASH.fullmatch(text):
            return text
        return text if name in _PLAIN_ANNOTATIONS and _PLAIN.fullmatch(text) else WITHHELD

    def _variable(self, entry: Any) -> Any:
        if not isinstance(entry, dict):
            return WITHHELD
        clean = {k: self._clean(v, (k,)) for k, v in entry.items() if k != "value"}
        return clean | ({"value": WITHHELD} if "value" in entry else {})


def _withheld(value: Any) -> Any:
    """A free-form value: of all but switches, only that there is one."""
    if value is None or isinstance(value, bool):
        return value
    return WITHHELD


def withheld_inside(value: Any) -> Any:
    """A free-form value with all of its texts and numbers withheld."""
    match value:
        case dict():
            return {k: withheld_inside(v) for k, v in value.items()}
        case list():
            return [withheld_inside(v) for v in value]
    return _withheld(value)


def address_of(text: str) -> str:
    """Scheme, host and port of a URL; all else may hold credentials."""
    try:
        url = urlsplit(text)
        port = f":{url.port}" if url.port else ""
    except ValueError:
        return WITHHELD
    if not url.scheme or not url.hostname or "," in url.netloc:
        return WITHHELD
    user = "***@" if "@" in url.netloc else ""
    return f"{url.scheme}://{user}{url.hostname}{port}"


def _kept(match: re.Match[str]) -> str:
    kept = match.groupdict().get("kept") or ""
    return f"{kept}{WITHHELD}"


def _names(obj: ReadOnlyJson) -> Iterator[object]:
    meta = obj.get("metadata") or {}
    yield from (obj.get("kind", ""), meta.get("name", ""), meta.get("namespace", ""))
    yield from (meta.get("labels") or {}).values()


def _secrets(value: Any, path: tuple[str, ...] = (), name: str = "") -> Iterator[str]:
    """Values to look for in texts, from wherever people put secrets; ``name`` is the value's."""
    key = path[-1] if path else ""
    free = any(part in FREE_FORM or part == "annotations" for part in path) or (
        "metadata" in path and "triggers" in path
    )
    match value:
        case dict():
            if "name" in value and "value" in value and "env" in path:
                yield from _secrets(value["value"], (*path, "value"), str(value["name"]))
                return
            for k, v in value.items():
                if k != "managedFields":
                    yield from _secrets(v, (*path, k), k)
        case list():
            for item in value:
                yield from _secrets(item, (*path, key), name)
        case str():
            yield from _in_url(value)
            if key in ("args", "command"):
                yield from (part for part in re.split(r"[=\s]", value) if looks_random(part))
            elif (free or "env" in path) and not _PLAIN.fullmatch(value):
                named = CREDENTIAL_NAME.search(name) is not None
                if (named and _is_word(value)) or looks_random(value):
                    yield value


def _in_url(text: str) -> Iterator[str]:
    """The password of each URL in a text."""
    for userinfo in re.findall(r"//([^/?#\s@]*(?:@[^/?#\s@]*)*)@", text) if "@" in text else ():
        password = userinfo.partition(":")[2] or userinfo
        if _is_word(password):
            yield password


def _is_word(value: str) -> bool:
    return len(value) >= _LENGTH_MIN and value.lower() not in _COMMON


def looks_random(value: str) -> bool:
    """Whether it is long, of one piece, and has letters and digits, as generated secrets have."""
    return (
        len(value) >= _RANDOM_LENGTH_MIN
        and not re.search(r"\s|://|[/:@{}]", value)
        and re.search(r"\d", value) is not None
        and re.search(r"[A-Za-z]", value) is not None
    )


def _variants(value: str) -> Iterator[str]:
    """The value as it is, and as URLs, JSON and base64 have it."""
    yield value
    yield json.dumps(value)[1:-1]
    yield json.dumps(value, ensure_ascii=False)[1:-1]
    yield quote(value, safe="")
    yield base64.b64encode(value.encode()).decode().rstrip("=")
