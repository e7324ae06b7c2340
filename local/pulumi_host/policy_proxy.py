"""`PolicyProxy`: stands between the engine and a Python policy pack.

A pack reads its project, stack and configuration from environment variables; the engine sends them only with
ConfigureStack. So the proxy answers the engine at once, starts the pack when they are known, and forwards every other
call as bytes.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent import futures
from typing import Any

import grpc
from pulumi.runtime.proto import analyzer_pb2

#: Sizes of messages: a stack's resources travel in one.
LARGE = [("grpc.max_receive_message_length", 400 << 20), ("grpc.max_send_message_length", 400 << 20)]


class PolicyProxy(grpc.GenericRpcHandler):
    """A server for the engine.

    Args:
        start: Called once with the AnalyzerStackConfigureRequest, or with `None` if none came; starts the pack and
            returns its port.

    Attributes:
        port: The proxy's port.
    """

    def __init__(self, start: Callable[[Any], int]) -> None:
        self._start = start
        self._pack: Any = None
        self._failure: str | None = None
        self._lock = threading.Lock()
        self._server = grpc.server(futures.ThreadPoolExecutor(16), handlers=[self], options=LARGE)
        self.port: int = self._server.add_insecure_port("127.0.0.1:0")
        self._server.start()

    def stop(self) -> None:
        """Stop serving."""
        self._server.stop(0)

    def service(self, handler_call_details: Any) -> Any:
        method = handler_call_details.method
        return grpc.unary_unary_rpc_method_handler(lambda request, context: self._forward(method, request, context))

    def _forward(self, method: str, request: bytes, context: Any) -> Any:
        name = method.rpartition("/")[2]
        if name == "Handshake":
            return b""
        if not name:  # the engine asks whether anybody is there
            context.abort(grpc.StatusCode.UNIMPLEMENTED, "")
        pack = self._started(name, request)
        if self._failure is not None:
            context.abort(grpc.StatusCode.FAILED_PRECONDITION, self._failure)
        try:
            return pack.unary_unary(method)(request, wait_for_ready=True)
        except grpc.RpcError as failed:
            answer: Any = failed
            context.abort(answer.code(), answer.details())

    def _started(self, name: str, request: bytes) -> Any:
        with self._lock:
            if self._pack is None and self._failure is None:
                configured = name == "ConfigureStack"
                settings = analyzer_pb2.AnalyzerStackConfigureRequest.FromString(request) if configured else None
                try:
                    self._pack = grpc.insecure_channel(f"127.0.0.1:{self._start(settings)}", options=LARGE)
                except Exception as failed:  # noqa: BLE001 - whatever it is, the engine shows it
                    self._failure = str(failed)
            return self._pack
