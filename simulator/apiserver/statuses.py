"""``Status`` bodies of refusals, worded as ``k8s.io/apimachinery/pkg/api/errors`` words them."""

from __future__ import annotations

from collections.abc import Sequence

from prism_operator.api.meta import Json, Resource
from simulator.apiserver.causes import Cause, invalid_message

OPTIMISTIC_LOCK = (
    "the object has been modified; please apply your changes to the latest version and try again"
)


class ApiError(Exception):
    """A refused request; ``status`` is the body the client receives."""

    def __init__(self, status: Json) -> None:
        super().__init__(status.get("message", ""))
        self.status = status

    @property
    def code(self) -> int:
        """The HTTP status code."""
        return int(self.status["code"])

    @property
    def reason(self) -> str:
        """The machine-readable reason, as ``NotFound``."""
        return str(self.status.get("reason", ""))


def qualified(resource: Resource) -> str:
    """``deployments.apps``, or just ``pods`` in the core group."""
    return f"{resource.plural}.{resource.group}" if resource.group else resource.plural


def failure(code: int, reason: str, message: str, details: Json | None = None) -> ApiError:
    """A Status of kind Failure."""
    status: Json = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure"}
    status["message"] = message
    if reason:
        status["reason"] = reason
    if details is not None:
        status["details"] = details
    status["code"] = code
    return ApiError(status)


def success(details: Json) -> Json:
    """A Status of kind Success."""
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Success",
        "details": details,
    }


def details_of(resource: Resource, name: str = "", **more: object) -> Json:
    """Details that name an object; ``kind`` holds the plural, as in the real server."""
    fields = {"name": name, "group": resource.group, "kind": resource.plural, **more}
    return {key: value for key, value in fields.items() if value}


def not_found(resource: Resource, name: str) -> ApiError:
    """404: the object is absent."""
    message = f'{qualified(resource)} "{name}" not found'
    return failure(404, "NotFound", message, details_of(resource, name))


def already_exists(resource: Resource, name: str, *, being_deleted: bool = False) -> ApiError:
    """409 on create."""
    message = f'{qualified(resource)} "{name}" already exists'
    if being_deleted:
        message = f"object is being deleted: {message}"
    return failure(409, "AlreadyExists", message, details_of(resource, name))


def generate_name_conflict(resource: Resource, name: str) -> ApiError:
    """409 on create when no generated name was free."""
    message = (
        f'{qualified(resource)} "{name}" already exists, the server was not able to generate a'
        " unique name for the object"
    )
    return failure(409, "AlreadyExists", message, details_of(resource, name, retryAfterSeconds=1))


def conflict(resource: Resource, name: str, what: str = OPTIMISTIC_LOCK) -> ApiError:
    """409: a precondition or the resourceVersion does not hold."""
    message = f'Operation cannot be fulfilled on {qualified(resource)} "{name}": {what}'
    return failure(409, "Conflict", message, details_of(resource, name))


def apply_conflict(message: str, causes: Sequence[Json]) -> ApiError:
    """409: fields of a server-side apply belong to other managers."""
    return failure(409, "Conflict", message, {"causes": list(causes)})


def invalid(group: str, kind: str, name: str, causes: Sequence[Cause]) -> ApiError:
    """422: the object breaks the rules of its kind."""
    details: Json = {"name": name, "group": group, "kind": kind}
    details = {key: value for key, value in details.items() if value}
    details["causes"] = [
        {"reason": c.reason, "message": c.message, "field": c.field} for c in causes
    ]
    return failure(422, "Invalid", invalid_message(group, kind, name, causes), details)


def bad_request(message: str) -> ApiError:
    """400."""
    return failure(400, "BadRequest", message)


def unprocessable(message: str) -> ApiError:
    """422 for a patch that cannot be applied."""
    text = "the server rejected our request due to an error in our request"
    del message  # The real server drops it too, for a request without a serving resource.
    return failure(422, "Invalid", text, {})


def forbidden(resource: Resource, name: str, why: str, **details: object) -> ApiError:
    """403."""
    subject = f'{qualified(resource)} "{name}"' if name else qualified(resource)
    message = f"{subject} is forbidden: {why}"
    return failure(403, "Forbidden", message, details_of(resource, name, **details))


def expired(message: str) -> ApiError:
    """410: the resourceVersion or continue token is older than what is kept."""
    return failure(410, "Expired", message)


def method_not_allowed(resource: Resource, action: str) -> ApiError:
    """405."""
    message = f'{action} is not supported on resources of kind "{qualified(resource)}"'
    return failure(405, "MethodNotAllowed", message, details_of(resource))


def unsupported_media_type(accepted: Sequence[str]) -> ApiError:
    """415: a patch of a type that this kind does not take; it takes ``accepted``, if told."""
    if not accepted:
        return failure(415, "UnsupportedMediaType", "415: Unsupported Media Type", {})
    message = (
        "the body of the request was in an unknown format - accepted media types include: "
        + ", ".join(accepted)
    )
    return failure(415, "UnsupportedMediaType", message)


def too_large_resource_version(wanted: int, current: int) -> ApiError:
    """504: a read at a revision that does not exist yet."""
    message = f"Too large resource version: {wanted}, current: {current}"
    return failure(
        504,
        "Timeout",
        f"Timeout: {message}",
        {
            "causes": [{"reason": "ResourceVersionTooLarge", "message": message}],
            "retryAfterSeconds": 1,
        },
    )


def internal(message: str) -> ApiError:
    """500 for a condition the server did not expect."""
    return failure(
        500,
        "InternalError",
        f"Internal error occurred: {message}",
        {"causes": [{"message": message}]},
    )
