"""A request and a response as values, and the options a request carries in its query."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from prism_operator.api.meta import Json
from simulator.apiserver.causes import FORBIDDEN, INVALID, NOT_SUPPORTED, REQUIRED, TOO_LONG, Cause
from simulator.apiserver.statuses import bad_request, invalid
from simulator.apiserver.watch import Subscription

FIELD_MANAGER_MAX_LENGTH = 128


@dataclass(frozen=True, slots=True)
class Request:
    """An HTTP request; ``body`` is decoded JSON (YAML for an apply), or bytes that are neither."""

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Any = None
    user: str = "system:admin"


@dataclass(frozen=True, slots=True)
class Response:
    """An HTTP response: ``body`` is JSON, plain text for a path nobody serves, or a watch."""

    status: int
    body: Json | str | Subscription
    warnings: tuple[str, ...] = ()

    @property
    def headers(self) -> dict[str, str]:
        """The headers a client may look at."""
        is_text = isinstance(self.body, str)
        headers = {"Content-Type": "text/plain; charset=utf-8" if is_text else "application/json"}
        if self.warnings:
            quoted = (w.replace("\\", "\\\\").replace('"', '\\"') for w in self.warnings)
            headers["Warning"] = ", ".join(f'299 - "{w}"' for w in quoted)
        if isinstance(self.body, dict) and self.body.get("kind") == "Status":
            retry_after_s = (self.body.get("details") or {}).get("retryAfterSeconds")
            if retry_after_s:
                headers["Retry-After"] = str(retry_after_s)
        return headers


@dataclass(frozen=True, slots=True)
class WriteOptions:
    """CreateOptions, UpdateOptions and PatchOptions."""

    manager: str
    dry_run: bool = False
    field_validation: str = "Warn"
    force: bool = False


def write_options(request: Request, kind: str, *, apply: bool = False) -> WriteOptions:
    """The options of a write; ``kind`` is the name of the options' kind, for complaints.

    Raises:
        ApiError: 422, an option has a value it may not have.
    """
    query = request.query
    if not query and not apply:
        return WriteOptions(_manager_of(request.headers))
    manager, validation = query.get("fieldManager", ""), query.get("fieldValidation", "")
    dry_run, force = query.get("dryRun", ""), query.get("force")
    causes = []
    if apply and not manager:
        causes.append(
            Cause(REQUIRED, "Required value: is required for apply patch", "fieldManager")
        )
    if kind == "PatchOptions" and not apply and force is not None:
        causes.append(
            Cause(FORBIDDEN, "Forbidden: may not be specified for non-apply patch", "force")
        )
    if len(manager.encode()) > FIELD_MANAGER_MAX_LENGTH:
        causes.append(
            Cause(
                TOO_LONG,
                f"Too long: may not be more than {FIELD_MANAGER_MAX_LENGTH} bytes",
                "fieldManager",
            )
        )
    for position, character in _unprintable(manager):
        causes.append(
            Cause(
                INVALID,
                f'Invalid value: "{manager}": invalid character U+{ord(character):04X}'
                f" (at position {position})",
                "fieldManager",
            )
        )
    causes += _dry_run_causes(dry_run)
    if validation not in ("", "Ignore", "Warn", "Strict"):
        causes.append(
            Cause(
                NOT_SUPPORTED,
                f'Unsupported value: "{validation}": supported values: "", "Ignore", "Strict",'
                ' "Warn"',
                "fieldValidation",
            )
        )
    if causes:
        raise invalid("meta.k8s.io", kind, "", causes)
    return WriteOptions(
        manager=manager or _manager_of(request.headers),
        dry_run=bool(dry_run),
        field_validation=validation or "Warn",
        force=force in ("true", "1", "t", "T", "TRUE", "True"),
    )


@dataclass(frozen=True, slots=True)
class DeleteOptions:
    """DeleteOptions, from the body, or from the query when there is no body."""

    dry_run: bool = False
    propagation: str = ""
    orphan_dependents: bool | None = None
    grace_period_s: int | None = None
    uid: str | None = None
    resource_version: str | None = None


def delete_options(request: Request) -> DeleteOptions:
    """The options of a delete.

    Raises:
        ApiError: 400 or 422, the options cannot be read or contradict each other.
    """
    body = request.body
    if body is None or body == b"":
        if not request.query:
            return DeleteOptions()
        body = _delete_options_from(request.query)
    if not isinstance(body, dict):
        raise bad_request("couldn't get version/kind; json parse error: not an object")
    dry_run = body.get("dryRun") or []
    propagation, orphan = body.get("propagationPolicy"), body.get("orphanDependents")
    causes = []
    if propagation is not None and orphan is not None:
        causes.append(
            Cause(
                INVALID,
                f'Invalid value: "{propagation}": orphanDependents and deletionPropagation cannot'
                " be both set",
                "propagationPolicy",
            )
        )
    if propagation not in (None, "Foreground", "Background", "Orphan"):
        causes.append(
            Cause(
                NOT_SUPPORTED,
                f'Unsupported value: "{propagation}": supported values: "Foreground",'
                ' "Background", "Orphan", "nil"',
                "propagationPolicy",
            )
        )
    for value in dry_run:
        causes += _dry_run_causes(value)
    if causes:
        raise invalid("meta.k8s.io", "DeleteOptions", "", causes)
    preconditions = body.get("preconditions") or {}
    grace = body.get("gracePeriodSeconds")
    return DeleteOptions(
        dry_run=bool(dry_run),
        propagation=propagation or "",
        orphan_dependents=orphan,
        grace_period_s=None if grace is None else (1 if grace < 0 else grace),
        uid=preconditions.get("uid"),
        resource_version=preconditions.get("resourceVersion"),
    )


def _delete_options_from(query: Mapping[str, str]) -> Json:
    body: Json = {}
    if "propagationPolicy" in query:
        body["propagationPolicy"] = query["propagationPolicy"]
    if "gracePeriodSeconds" in query:
        body["gracePeriodSeconds"] = int_option(query, "gracePeriodSeconds")
    if "orphanDependents" in query:
        body["orphanDependents"] = flag(query, "orphanDependents")
    if query.get("dryRun"):
        body["dryRun"] = [query["dryRun"]]
    return body


def flag(query: Mapping[str, str], name: str) -> bool:
    """A boolean option; anything but a false word counts as true, as the real server counts."""
    value = query.get(name)
    return value is not None and value.lower() not in ("false", "0")


def int_option(query: Mapping[str, str], name: str) -> int:
    """A whole number, 0 when absent.

    Raises:
        ApiError: 400, it is no whole number.
    """
    text = query.get(name) or "0"
    try:
        return int(text)
    except ValueError:
        raise bad_request(f'strconv.ParseInt: parsing "{text}": invalid syntax') from None


def _dry_run_causes(value: str) -> list[Cause]:
    if value in ("", "All"):
        return []
    return [
        Cause(
            NOT_SUPPORTED,
            f'Unsupported value: ["{value}"]: supported values: "All"',
            "dryRun",
        )
    ]


def _unprintable(text: str) -> list[tuple[int, str]]:
    return [(i, c) for i, c in enumerate(text) if not c.isprintable()]


def _manager_of(headers: Mapping[str, str]) -> str:
    """The field manager of a client that names none: its user agent up to the first slash."""
    agent = headers.get("User-Agent") or headers.get("user-agent") or "unknown"
    name = "".join(c for c in agent.split("/")[0] if c.isprintable())
    return name.encode()[:FIELD_MANAGER_MAX_LENGTH].decode(errors="ignore")
