"""Which names, labels and keys are valid, and how the API server says that one is not.

From ``k8s.io/apimachinery/pkg/api/validate/content`` and ``pkg/util/validation``. Each function
returns the complaints, none for a valid text.
"""

from __future__ import annotations

import re

_LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_SUBDOMAIN = rf"{_LABEL}(\.{_LABEL})*"
_DNS_1035 = "[a-z]([-a-z0-9]*[a-z0-9])?"
_KEY = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"
_CONFIG_KEY = "[-._a-zA-Z0-9]+"
_PERCENT = "[0-9]+%"
_HEADER = "[-A-Za-z0-9]+"
_ALPHANUMERIC = (
    "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an "
    "alphanumeric character"
)


def _matches(pattern: str, text: str) -> bool:
    return re.fullmatch(pattern, text, re.ASCII) is not None


def _regex(message: str, pattern: str, *examples: str) -> str:
    shown = " or ".join(f"'{example}', " for example in examples)
    return f"{message} (e.g. {shown}regex used for validation is '{pattern}')"


def _too_long(limit: int) -> str:
    return f"must be no more than {limit} bytes"


def _length(text: str) -> int:
    return len(text.encode())


def dns_label(text: str) -> list[str]:
    """An RFC 1123 label: a namespace, a container, a port."""
    found = [_too_long(63)] if _length(text) > 63 else []
    if not _matches(_LABEL, text):
        if _matches(_SUBDOMAIN, text):
            found.append("must not contain dots")
        else:
            message = (
                "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or "
                "'-', and must start and end with an alphanumeric character"
            )
            found.append(_regex(message, _LABEL, "my-name", "123-abc"))
    return found


def dns_subdomain(text: str) -> list[str]:
    """An RFC 1123 subdomain: the name of most objects."""
    found = [_too_long(253)] if _length(text) > 253 else []
    if not _matches(_SUBDOMAIN, text):
        message = (
            "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, "
            "'-' or '.', and must start and end with an alphanumeric character"
        )
        found.append(_regex(message, _SUBDOMAIN, "example.com"))
    return found


def dns_1035_label(text: str) -> list[str]:
    """An RFC 1035 label: the name of a Service, a resource of a CRD."""
    found = ["must be no more than 63 characters"] if _length(text) > 63 else []
    if not _matches(_DNS_1035, text):
        message = (
            "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start "
            "with an alphabetic character, and end with an alphanumeric character"
        )
        found.append(_regex(message, _DNS_1035, "my-name", "abc-123"))
    return found


def path_segment(text: str) -> list[str]:
    """What can stand in a URL path: the name of a Role."""
    if text in (".", ".."):
        return [f"may not be '{text}'"]
    return path_segment_prefix(text)


def path_segment_prefix(text: str) -> list[str]:
    """The beginning of a ``path_segment``."""
    return [f"may not contain '{part}'" for part in ("/", "%") if part in text]


def qualified_name(text: str) -> list[str]:
    """The key of a label or annotation."""
    parts = text.split("/")
    found = []
    if len(parts) == 2:
        prefix, name = parts
        if not prefix:
            found.append("prefix part must be non-empty")
        else:
            found += [f"prefix part {message}" for message in dns_subdomain(prefix)]
    elif len(parts) == 1:
        name = text
    else:
        return [
            "a valid label key "
            + _regex(_ALPHANUMERIC, _KEY, "MyName", "my.name", "123-abc")
            + " with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"
        ]
    if not name:
        found.append("name part must be non-empty")
    elif _length(name) > 63:
        found.append(f"name part {_too_long(63)}")
    if not _matches(_KEY, name):
        found.append("name part " + _regex(_ALPHANUMERIC, _KEY, "MyName", "my.name", "123-abc"))
    return found


def label_value(text: str) -> list[str]:
    """The value of a label."""
    found = [_too_long(63)] if _length(text) > 63 else []
    if not _matches(f"({_KEY})?", text):
        message = f"a valid label must be an empty string or {_ALPHANUMERIC.removeprefix('must ')}"
        found.append(_regex(message, f"({_KEY})?", "MyValue", "my_value", "12345"))
    return found


def config_key(text: str) -> list[str]:
    """A key of a ConfigMap or Secret."""
    found = [_too_long(253).replace("bytes", "characters")] if _length(text) > 253 else []
    if not _matches(_CONFIG_KEY, text):
        message = "a valid config key must consist of alphanumeric characters, '-', '_' or '.'"
        found.append(_regex(message, _CONFIG_KEY, "key.name", "KEY_NAME", "key-name"))
    if text == ".":
        found.append("must not be '.'")
    elif text == "..":
        found.append("must not be '..'")
    elif text.startswith(".."):
        found.append("must not start with '..'")
    return found


def environment_variable(text: str) -> list[str]:
    """The name of an environment variable (RelaxedEnvironmentVariableValidation)."""
    if text and all(" " <= c <= "~" and c != "=" for c in text):
        return []
    return [
        "a valid environment variable name must consist only of printable ASCII characters other "
        "than '='"
    ]


def percentage(text: str) -> list[str]:
    """A percentage like ``25%``."""
    if _matches(_PERCENT, text):
        return []
    message = "a valid percent string must be a numeric string followed by an ending '%'"
    return [_regex(message, _PERCENT, "1%", "93%")]


def http_header(text: str) -> list[str]:
    """The name of an HTTP header."""
    if _matches(_HEADER, text):
        return []
    message = "a valid HTTP header must consist of alphanumeric characters or '-'"
    return [_regex(message, _HEADER, "X-Header-Name")]


def port_number(number: int) -> list[str]:
    """A port from 1 to 65535."""
    return [] if 1 <= number <= 65535 else ["must be between 1 and 65535, inclusive"]


def port_name(text: str) -> list[str]:
    """The IANA name of a port."""
    found = []
    if len(text) > 15:
        found.append("must be no more than 15 characters")
    if not _matches("[-a-z0-9]+", text):
        found.append("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)")
    if not re.search("[a-z]", text):
        found.append("must contain at least one letter (a-z)")
    if "--" in text:
        found.append("must not contain consecutive hyphens")
    if text and (text[0] == "-" or text[-1] == "-"):
        found.append("must not begin or end with a hyphen")
    return found
