"""Serves the language host until the engine interrupts it, or is gone."""

from __future__ import annotations

import os
import signal
import sys
import threading
from concurrent import futures

import grpc
from pulumi.runtime.proto import language_pb2_grpc

from local.pulumi_host.children import Children
from local.pulumi_host.language_runtime import LanguageRuntime
from local.pulumi_host.policy_proxy import LARGE


def main() -> None:
    """Serve until the engine interrupts the host, or is gone."""
    engine = sys.argv[-1] if len(sys.argv) > 1 else ""
    children = Children()
    # Each plugin holds a thread for as long as its process lives.
    server = grpc.server(futures.ThreadPoolExecutor(64), options=LARGE)
    runtime = LanguageRuntime(engine, children, os.environ.get("WEIR_PULUMI_VERSION", ""))
    language_pb2_grpc.add_LanguageRuntimeServicer_to_server(runtime, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    interrupted, parent = threading.Event(), os.getppid()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: interrupted.set())
    sys.stdout.write(f"{port}\n")
    sys.stdout.flush()
    while not interrupted.wait(1) and os.getppid() == parent:
        pass
    children.stop_all()
    server.stop(0)
    sys.stdout.flush()
    # gRPC's threads would keep the process, and the engine waits for its end.
    os._exit(0)
