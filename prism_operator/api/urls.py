"""URLs with a user name or password in them: secrets, wherever they stand."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final

from prism_operator.api.rules import Rule

# RFC 3986: user information stands between "//" and "@", and holds no "/", "?" or "#".
USER_INFORMATION: Final = "://[^/?# ]*@"


def has_user_information(text: str | None) -> bool:
    """Whether the text holds a URL with a user name or password in it."""
    return text is not None and "@" in text and re.search(USER_INFORMATION, text) is not None


def no_credentials(field: str, of: Callable[[Any], str | None]) -> Rule:
    """The rule that a URL holds no credentials, which a Secret beside it is for."""
    return Rule(
        cel=f"!has(self.{field}) || !self.{field}.matches('{USER_INFORMATION}')",
        holds=lambda model: not has_user_information(of(model)),
        message="holds a user name or password, which whoever may read this object could read:"
        " move the URL to a Secret and name that in secretRef",
        at=field,
        reason="FieldValueForbidden",
    )
