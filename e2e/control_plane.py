"""A reference control plane: a real gRPC server that keeps what it is told, for tests.

``python -m e2e.control_plane`` serves it in a process. Two files beside it are all there is to say:
``behaviour`` holds what it does from now on, a word of ``Behaviour``; ``namespaces.json`` is what
it knows, written before each answer, and read again when it starts.
"""

from __future__ import annotations

import argparse
import json
import threading
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

import grpc
from google.protobuf.json_format import MessageToDict

from prism_operator.adapters.provisioning import control_plane_pb2 as pb

PARTITIONS: Final = 256
NOT_YET: Final = "namespace revocation is not implemented yet"


class Behaviour(StrEnum):
    """What it does when it is called."""

    UP = "up"
    SLOW = "slow"
    NO_PROXY = "no-proxy"
    UNIMPLEMENTED = "unimplemented"
    ACKNOWLEDGING = "acknowledging"  # it says that it revoked, and that it cannot do so yet
    REFUSING = "refusing"
    UNAVAILABLE = "unavailable"
    UNAUTHENTICATED = "unauthenticated"
    BROKEN = "broken"  # its handler raises
    ECHOING = "echoing"  # it refuses, and repeats all it was told


_CODES: Final = {
    Behaviour.NO_PROXY: (grpc.StatusCode.FAILED_PRECONDITION, "no proxies registered"),
    Behaviour.UNIMPLEMENTED: (grpc.StatusCode.UNIMPLEMENTED, "unknown method"),
    Behaviour.UNAVAILABLE: (grpc.StatusCode.UNAVAILABLE, "no leader"),
    Behaviour.UNAUTHENTICATED: (grpc.StatusCode.UNAUTHENTICATED, "who are you"),
}


class ReferenceControlPlane:
    """What the server does, without the network."""

    def __init__(self, directory: Path, slow_s: float) -> None:
        self._behaviour = directory / "behaviour"
        self._file = directory / "namespaces.json"
        self._slow_s = slow_s
        self._lock = threading.Lock()
        self._proxies: set[str] = set()
        self._namespaces: dict[str, Any] = (
            json.loads(self._file.read_text()) if self._file.exists() else {}
        )

    def register_proxy(
        self, request: pb.ProxyRegistration, context: grpc.ServicerContext
    ) -> pb.ProxyRegistrationAck:
        """See ``RegisterProxy``."""
        self._behave(context)
        with self._lock:
            self._proxies.add(request.proxy_id)
        whole = pb.PartitionRange(start=0, end=PARTITIONS - 1)
        return pb.ProxyRegistrationAck(success=True, partition_ranges=[whole])

    def create_namespace(
        self, request: pb.CreateNamespaceRequest, context: grpc.ServicerContext
    ) -> pb.CreateNamespaceResponse:
        """See ``CreateNamespace``."""
        behaviour = self._behave(context)
        if behaviour is Behaviour.REFUSING:
            return pb.CreateNamespaceResponse(success=False, message="quota of the cluster is used")
        if behaviour is Behaviour.ECHOING:
            return pb.CreateNamespaceResponse(success=False, message=str(request))
        with self._lock:
            before = self._namespaces.get(request.namespace, {"version": 0})
            self._namespaces[request.namespace] = {
                "proxy": request.requesting_proxy,
                "principal": request.principal,
                "config": MessageToDict(request.config, preserving_proto_field_name=True),
                "version": before["version"] + 1,
            }
            self._store()
        return pb.CreateNamespaceResponse(
            success=True,
            assigned_partition=zlib.crc32(request.namespace.encode()) % PARTITIONS,
            assigned_proxy=request.requesting_proxy,
        )

    def revoke_namespace(
        self, request: pb.NamespaceRevocation, context: grpc.ServicerContext
    ) -> pb.NamespaceRevocationAck:
        """See ``RevokeNamespace``."""
        behaviour = self._behave(context)
        if behaviour is Behaviour.ACKNOWLEDGING:
            return pb.NamespaceRevocationAck(success=True, message=NOT_YET)
        if behaviour is Behaviour.REFUSING:
            return pb.NamespaceRevocationAck(success=False, message="it is in use")
        with self._lock:
            self._namespaces.pop(request.namespace, None)
            self._store()
        return pb.NamespaceRevocationAck(success=True, revoked_at=int(time.time()))

    def _behave(self, context: grpc.ServicerContext) -> Behaviour:
        said = self._behaviour.read_text().strip() if self._behaviour.exists() else ""
        behaviour = Behaviour(said or Behaviour.UP)
        if behaviour is Behaviour.SLOW:
            time.sleep(self._slow_s)
        if behaviour is Behaviour.BROKEN:
            raise RuntimeError("as it was told to")
        if behaviour in _CODES:
            context.abort(*_CODES[behaviour])
        return behaviour

    def _store(self) -> None:
        written = self._file.with_suffix(".new")
        written.write_text(json.dumps(self._namespaces, indent=1, sort_keys=True))
        written.replace(self._file)


def serve(directory: Path, port: int, *, tls: bool, slow_s: float) -> grpc.Server:
    """A server that runs: on ``localhost``, with ``tls.crt`` and ``tls.key`` of ``directory``."""
    plane = ReferenceControlPlane(directory, slow_s)
    methods: dict[str, tuple[Any, Any]] = {
        "RegisterProxy": (plane.register_proxy, pb.ProxyRegistration),
        "CreateNamespace": (plane.create_namespace, pb.CreateNamespaceRequest),
        "RevokeNamespace": (plane.revoke_namespace, pb.NamespaceRevocation),
    }
    handlers: dict[str, grpc.RpcMethodHandler[Any, Any]] = {
        name: grpc.unary_unary_rpc_method_handler(
            method,
            request_deserializer=message.FromString,
            response_serializer=lambda answer: answer.SerializeToString(),
        )
        for name, (method, message) in methods.items()
    }
    # One server a port: two would share it.
    server = grpc.server(ThreadPoolExecutor(16), options=[("grpc.so_reuseport", 0)])
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler("prism.ControlPlane", handlers),)
    )
    address = f"localhost:{port}"
    if tls:
        pair = ((directory / "tls.key").read_bytes(), (directory / "tls.crt").read_bytes())
        server.add_secure_port(address, grpc.ssl_server_credentials([pair]))
    else:
        server.add_insecure_port(address)
    server.start()
    return server


def main() -> None:
    """Serves until it is killed."""
    parser = argparse.ArgumentParser(prog="python -m e2e.control_plane")
    parser.add_argument("--directory", type=Path, required=True)
    parser.add_argument("--port", type=int, default=8981)
    parser.add_argument("--tls", action="store_true")
    parser.add_argument("--slow-s", type=float, default=3.0)
    options = parser.parse_args()
    server = serve(options.directory, options.port, tls=options.tls, slow_s=options.slow_s)
    print(f"Serving prism.ControlPlane on localhost:{options.port}", flush=True)
    server.wait_for_termination()


if __name__ == "__main__":
    main()
