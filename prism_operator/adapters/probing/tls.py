"""TLS contexts from the text of certificates: nothing is written to a disk."""

from __future__ import annotations

import os
import ssl
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import lru_cache
from typing import Final

from prism_operator.adapters.probing.peer import ProbeError
from prism_operator.planning.checks import TLS_UNUSABLE, Certificates

# Without an authority of its own a context holds all of the system's: about 1 MB.
_CONTEXTS_MAX: Final = 256


@lru_cache(maxsize=_CONTEXTS_MAX)
def context_of(certificates: Certificates) -> ssl.SSLContext:
    """A context that trusts and shows these certificates. Raises ProbeError."""
    try:
        # The system's authorities, when no other is given.
        context = ssl.create_default_context(cadata=certificates.authority)
        if certificates.certificate is not None and certificates.key is not None:
            with ExitStack() as files:
                certificate = files.enter_context(as_file(certificates.certificate))
                key = files.enter_context(as_file(certificates.key))
                # An empty password, or OpenSSL would ask for one on the terminal.
                context.load_cert_chain(certificate, key, password="")
    except (ssl.SSLError, ValueError, OSError) as error:
        raise ProbeError(TLS_UNUSABLE) from error
    return context


@contextmanager
def as_file(text: str) -> Iterator[str]:
    """A path to the text for those who only read files; in memory, where there is a way to it."""
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("pem")
        try:
            os.fchmod(descriptor, 0o600)
            os.write(descriptor, text.encode())
            yield f"/proc/self/fd/{descriptor}"
        finally:
            os.close(descriptor)
        return
    with tempfile.NamedTemporaryFile("w") as file:
        file.write(text)
        file.flush()
        yield file.name
