"""HTTP requests to one API server: a session per thread, a fresh credential per request.

pykube gives the session and the server's certificates. Its timeouts, authentication, error
handling and object classes are not used.
"""

from __future__ import annotations

import socket
import threading
import weakref
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import orjson
import pykube
import pykube.http
import requests
import urllib3
from requests.adapters import BaseAdapter
from requests.structures import CaseInsensitiveDict
from urllib3.connection import HTTPConnection

from prism_operator import __version__
from prism_operator.adapters.auth import Credential, CredentialSource
from prism_operator.adapters.errors import ConnectError
from prism_operator.adapters.kubeconfig import Target
from prism_operator.adapters.outcomes import failure_of_error, outcome_of
from prism_operator.api.meta import Json, Resource
from prism_operator.ports import Failed, Outcome, Reason

CONNECT_TIMEOUT_S = 5.0
READ_TIMEOUT_S = 30.0
OnRequest = Callable[[str, str, str], None]  # method, host, code

# A half-open connection is noticed after 30 + 3 × 10 s (kubernetes-client/python#1148).
_KEEPALIVE = [
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    *(
        (socket.IPPROTO_TCP, getattr(socket, name), value)
        for name, value in (("TCP_KEEPIDLE", 30), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 3))
        if hasattr(socket, name)  # not on every platform
    ),
]


class _Adapter(pykube.http.KubernetesHTTPAdapter):  # type: ignore[misc]  # pykube has no types
    """pykube's adapter for the server's certificates, with TCP keepalive and no authentication."""

    def _setup_request_auth(self, config: Any, request: Any, kwargs: Any) -> None:
        """Credentials are attached by ``Client``."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """See ``requests.adapters.HTTPAdapter``."""
        options = [*HTTPConnection.default_socket_options, *_KEEPALIVE]
        super().init_poolmanager(*args, socket_options=options, **kwargs)


class Client:
    """Sends requests. Thread-safe: psf/requests#6979 disputes that a session is."""

    def __init__(
        self,
        target: Target,
        credentials: CredentialSource,
        *,
        http_adapter: BaseAdapter | None = None,
        on_request: OnRequest | None = None,
    ) -> None:
        self.server = target.server
        self.in_process = http_adapter is not None
        self._host = urlsplit(target.server).netloc
        self._config = pykube.KubeConfig(
            {
                "clusters": [{"name": "self", "cluster": target.cluster}],
                # Without the user: credentials are none of pykube's business.
                "contexts": [{"name": "self", "context": {"cluster": "self"}}],
                "current-context": "self",
            }
        )
        # Looked up once: requests would read the whole environment for every request.
        with requests.Session() as session:
            environment = session.merge_environment_settings(
                target.server, _proxies_of(target.cluster), None, None, None
            )
        self._proxies = environment["proxies"]
        self._verify = environment["verify"] or True  # unless the cluster brings its authority
        self._headers = {
            "User-Agent": f"prism-operator/{__version__}",
            "Accept": "application/json",
            "Accept-Encoding": (
                "identity" if target.cluster.get("disable-compression") else "gzip"
            ),
        }
        if target.cluster.get("insecure-skip-tls-verify"):
            # The kubeconfig asks for it; one warning per request would drown everything else.
            urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
        self._credentials = credentials
        self._http_adapter = http_adapter
        self._on_request = on_request
        self._thread = threading.local()
        self._lock = threading.Lock()
        self._sessions: weakref.WeakSet[requests.Session] = weakref.WeakSet()

    def call(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        timeout: tuple[float, float] = (CONNECT_TIMEOUT_S, READ_TIMEOUT_S),
        stream: bool = False,
        session: requests.Session | None = None,
    ) -> requests.Response:
        """One answer; after a 401, the answer with a renewed credential if there is another one.

        ``timeout`` is for connecting and for every read, in seconds. Raises
        ``requests.RequestException`` and ``ConnectError``.
        """
        session = session or self._thread_session()
        url = self.server + path + (f"?{urlencode(params)}" if params else "")

        def send(credential: Credential) -> requests.Response:
            code = "<error>"  # as client-go counts what had no answer
            given = {**(headers or {}), **_authorization(credential)}
            try:
                # Not session.request: for cookies, hooks, ~/.netrc and redirects, which are not
                # wanted here (a credential goes to the server it was made for), it takes as long
                # as all the rest of a call.
                response = session.get_adapter(url).send(
                    self._prepared(method, url, given, body),
                    timeout=timeout,
                    stream=True,
                    cert=credential.certificate,
                    verify=self._verify,
                    proxies=self._proxies,
                )
                if not stream:
                    response.content  # noqa: B018 - reads the body, and gives the connection back
                code = str(response.status_code)
            finally:
                if self._on_request is not None:
                    self._on_request(method, self._host, code)
            return response

        credential = self._credentials.current()
        response = send(credential)
        if response.status_code == requests.codes.unauthorized:
            renewed = self._credentials.renew(credential)
            if renewed:
                response.close()
                response = send(self._credentials.current())
        return response

    def outcome(
        self, method: str, path: str | Failed, *, confidential: bool = False, **kwargs: Any
    ) -> Outcome:
        """The outcome of ``call``; a ``path`` that is already a failure is the outcome."""
        if isinstance(path, Failed):
            return path
        try:
            response = self.call(method, path, **kwargs)
        except (requests.RequestException, urllib3.exceptions.HTTPError, ConnectError) as error:
            return failure_of_error(error, f"{method} {self.server}{path}")
        return outcome_of(response, confidential=confidential)

    def send_json(
        self,
        method: str,
        path: str | Failed,
        body: Any,
        *,
        content_type: str = "application/json",
        **kwargs: Any,
    ) -> Outcome:
        """The outcome of a call with a JSON body."""
        return self.outcome(
            method,
            path,
            body=orjson.dumps(body),
            headers={"Content-Type": content_type},
            **kwargs,
        )

    def new_session(self) -> requests.Session:
        """A session of its own, for a watch. The caller closes it."""
        adapter = self._http_adapter or _Adapter(self._config)
        session: requests.Session = pykube.HTTPClient(self._config, http_adapter=adapter).session
        with self._lock:
            self._sessions.add(session)
        return session

    def close(self) -> None:
        """Closes every session. Idempotent."""
        with self._lock:
            sessions = list(self._sessions)
        for session in sessions:
            session.close()

    def _prepared(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None
    ) -> requests.PreparedRequest:
        request = requests.PreparedRequest()
        request.method, request.url, request.body = method, url, body
        request.headers = CaseInsensitiveDict({**self._headers, **headers})
        if body is not None:
            request.headers["Content-Length"] = str(len(body))
        return request

    def _thread_session(self) -> requests.Session:
        if not hasattr(self._thread, "session"):
            self._thread.session = self.new_session()
        session: requests.Session = self._thread.session
        return session


def path_of(
    resource: Resource, namespace: str = "", name: str = "", subresource: str = ""
) -> str | Failed:
    """The URL path, or INVALID for a namespace or name that would lead to another resource.

    The rule is the API server's own for path segments
    (k8s.io/apimachinery/pkg/api/validation/path/name.go).
    """
    for segment in (namespace, name):
        if segment in (".", "..") or "/" in segment or "%" in segment:
            return Failed(Reason.INVALID, f'{resource.kind}: "{segment}" cannot be a name')
    return resource.path(quote(namespace, safe=":"), quote(name, safe=":"), subresource)


def _authorization(credential: Credential) -> dict[str, str]:
    return {"Authorization": credential.authorization} if credential.authorization else {}


def _proxies_of(cluster: Json) -> dict[str, str] | None:
    """``proxy-url``, which pykube ignores; without it those of the environment hold."""
    proxy = cluster.get("proxy-url")
    return {"http": proxy, "https": proxy} if proxy else None
