"""Why there is no usable connection. The messages are for people: what is wrong, and what to do.

They carry no part of a credential and no body of an answer.
"""

from __future__ import annotations


class ConnectError(Exception):
    """No usable connection. The base of all errors that ``connect`` and ``Connection`` raise."""


class KubeconfigError(ConnectError):
    """The kubeconfig does not exist, cannot be read, or names things it does not have."""


class CredentialError(ConnectError):
    """No credential: an empty token file, an exec plugin that fails (it is named), a refusal."""


class UnreachableError(ConnectError):
    """No API server answers at the server's address."""


class CertificateError(ConnectError):
    """The server's certificate is not trusted, or does not bear the name it was called by."""
