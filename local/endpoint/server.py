"""The endpoint's process: `python -m local.endpoint.server`, started by `local.endpoint` alone.

The first line of its standard input has its settings; the first line of its standard output has its address. When
standard input ends, the parent is gone, and the endpoint ends at once with its functions, threads and directory. Only
the journal is left.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import socket
import sys
import threading
from pathlib import Path
from typing import Any

from local.endpoint.clients import Connection


def main() -> None:
    """Serve until the parent stops it or ends."""
    settings = json.loads(sys.stdin.readline())
    directory = Path(settings["directory"])
    # Everything printed here goes to the log; only `_say` reaches the parent.
    parent = os.fdopen(os.dup(1), "w")
    log = os.open(directory / "endpoint.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(log, 1)
    os.dup2(log, 2)
    try:
        listening = socket.socket()
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind(("127.0.0.1", settings["port"]))
        except OSError as refused:
            why = f"port {settings['port']} of 127.0.0.1 cannot be used: {refused.strerror}"
            _say(parent, error=f"{why}; choose another one, or 0 for a free one")
            return
        # From here on, clients that connect wait until it serves.
        listening.listen()
        port = listening.getsockname()[1]
        connection = Connection(f"http://127.0.0.1:{port}", **settings["connection"])
        _configure(connection, port, directory)
        asyncio.run(
            _serve(
                listening,
                connection,
                parent,
                directory,
                control_token=settings["control_token"],
                command=settings["command"],
            )
        )
    except Exception as failure:
        _say(parent, error=f"{type(failure).__name__}: {failure}")
        raise


def _say(parent: Any, **message: Any) -> None:
    parent.write(json.dumps(message) + "\n")
    parent.flush()


def _configure(connection: Connection, port: int, directory: Path) -> None:
    """Set the variables that ministack reads when it is imported."""
    os.environ.update(
        BIND_HOST="127.0.0.1",
        GATEWAY_PORT=str(port),
        IOT_MTLS_ENABLED="0",
        SFTP_ENABLED="0",
        LOG_LEVEL="WARNING",
        MINISTACK_ACCOUNT_ID=connection.account_id,
        # It verifies presigned URLs of S3.
        AWS_ACCESS_KEY_ID=connection.access_key_id,
        AWS_SECRET_ACCESS_KEY=connection.secret_access_key,
        MINISTACK_REGION=connection.region,
        # It would remove containers of this machine's Docker that look like its own.
        DOCKER_HOST=f"unix://{directory}/no-docker",
    )


async def _serve(
    listening: socket.socket,
    connection: Connection,
    parent: Any,
    directory: Path,
    *,
    control_token: str,
    command: str | None,
) -> None:
    from hypercorn.asyncio import serve
    from hypercorn.config import Config
    from ministack.app import app as ministack

    from local.endpoint import journal
    from local.endpoint.assembly import assemble

    assembled = assemble(ministack, connection, control_token=control_token)
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    keeper = None
    if command is not None:
        keeper = journal.Keeper(directory, command=command, url=connection.url, look=assembled.held)

    def watch_parent() -> None:
        sys.stdin.read()
        try:
            assembled.close()
            if keeper is not None:
                keeper.close()
            for left in directory.iterdir():
                if left.name != journal.NAME:
                    shutil.rmtree(left, ignore_errors=True) if left.is_dir() else left.unlink()
            if keeper is None:
                directory.rmdir()
        finally:
            # Its session: this process, and everything that its functions have started.
            os.killpg(os.getpid(), signal.SIGKILL)

    async def until_stopped() -> None:
        await stop.wait()
        assembled.close()

    config = Config()
    config.bind = [f"fd://{listening.fileno()}"]
    config.loglevel = "WARNING"
    config.graceful_timeout = 0.2
    config.shutdown_timeout = 1
    # A client that pauses keeps its connection. One that is closed just as it is used again is an error to it, and
    # clients that do not retry, such as a deployment's, end with it.
    config.keep_alive_timeout = 3600
    assembled.start()
    if keeper is not None:
        keeper.start()
    threading.Thread(target=watch_parent, name="watch-parent", daemon=True).start()
    _say(parent, url=connection.url)
    await serve(assembled.application, config, shutdown_trigger=until_stopped)  # pyright: ignore[reportArgumentType]


if __name__ == "__main__":
    main()
