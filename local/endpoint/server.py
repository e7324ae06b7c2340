"""The endpoint's process: `python -m local.endpoint.server`, started by `local.endpoint` and by nobody else.

Its first line of standard input says what to be; its first line of standard output says where it is. When standard
input ends the parent is gone, and so is the endpoint at once: its functions, its threads and its directory, of which
the journal alone is left.
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
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from local.endpoint.clients import Connection, LazyClient, expired
from local.engine.alarms.metrics import Metrics
from local.engine.clock import Clock


def main() -> None:
    """Serve until the parent says or dies."""
    told = json.loads(sys.stdin.readline())
    directory = Path(told["directory"])
    # What anything here prints goes to the log; only `_say` reaches the parent.
    parent = os.fdopen(os.dup(1), "w")
    log = os.open(directory / "endpoint.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(log, 1)
    os.dup2(log, 2)
    try:
        listening = socket.socket()
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind(("127.0.0.1", told["port"]))
        except OSError as refused:
            why = f"port {told['port']} of 127.0.0.1 cannot be used: {refused.strerror}"
            _say(parent, error=f"{why}; choose another one, or 0 for a free one")
            return
        # Whoever connects from here on waits until it serves.
        listening.listen()
        port = listening.getsockname()[1]
        connection = Connection(f"http://127.0.0.1:{port}", **told["connection"])
        _configure(connection, port, directory)
        asyncio.run(_serve(listening, connection, parent, directory, command=told["command"]))
    except Exception as failure:
        _say(parent, error=f"{type(failure).__name__}: {failure}")
        raise


def _say(parent: Any, **message: Any) -> None:
    parent.write(json.dumps(message) + "\n")
    parent.flush()


def _configure(connection: Connection, port: int, directory: Path) -> None:
    """Set what ministack reads from the environment when it is imported."""
    os.environ.update(
        BIND_HOST="127.0.0.1",
        GATEWAY_PORT=str(port),
        IOT_MTLS_ENABLED="0",
        SFTP_ENABLED="0",
        LOG_LEVEL="WARNING",
        MINISTACK_ACCOUNT_ID=connection.account_id,
        MINISTACK_REGION=connection.region,
        # It would remove containers of this machine's Docker that look like its own.
        DOCKER_HOST=f"unix://{directory}/no-docker",
    )


async def _serve(
    listening: socket.socket, connection: Connection, parent: Any, directory: Path, *, command: str | None
) -> None:
    from hypercorn.asyncio import serve
    from hypercorn.config import Config
    from ministack.app import app as ministack

    from local.endpoint import journal, ministack_internals
    from local.endpoint.alarm_evaluation import AlarmEvaluation
    from local.endpoint.application import Front
    from local.endpoint.control.api import ControlApi
    from local.endpoint.control.faults import Faults
    from local.endpoint.delivery.destinations import Destinations
    from local.endpoint.delivery.pipe import Surroundings as PipeSurroundings
    from local.endpoint.delivery.pipe_services import Services
    from local.endpoint.delivery.pipe_telemetry import Concurrency
    from local.endpoint.delivery.queue_mapping import QueueSurroundings
    from local.endpoint.delivery.stream_mapping import Surroundings
    from local.endpoint.functions.environments import Functions
    from local.endpoint.readers.reader_limit import ReaderLimit
    from local.endpoint.region_names import region_name
    from local.endpoint.roles import Roles
    from local.endpoint.services.event_source_mappings import EventSourceMappings
    from local.endpoint.services.kinesis_source import KinesisSource
    from local.endpoint.services.pipe_sources import PipeSources
    from local.endpoint.services.pipes import Pipes
    from local.endpoint.services.queue_source import QueueSource
    from local.endpoint.services.stream_source import StreamSource
    from local.endpoint.services.streaming_destinations import streamed_change
    from local.endpoint.services.streams import Streams
    from local.endpoint.services.time_to_live import TimeToLive
    from local.engine.alarms import notifications

    clock, metrics, faults = Clock(), Metrics(), Faults()
    functions = Functions(connection=connection, clock=clock, metrics=metrics)
    functions.install()
    ministack_internals.keep_time_by(clock.now)
    ministack_internals.leave_alarms_alone()

    region = region_name(connection.region)

    def told_of_alarm(alarm: Mapping[str, Any], before: str) -> tuple[str, str]:
        document = notifications.message(
            alarm, before=before, at=clock.now(), account_id=connection.account_id, region=region
        )
        return notifications.subject(alarm, region), json.dumps(document)

    ministack_internals.tell_of_alarms_by(told_of_alarm)
    aws = {
        name: LazyClient(connection, name)
        for name in (
            "dynamodb",
            "dynamodbstreams",
            "lambda",
            "s3",
            "cloudwatch",
            "iam",
            "kinesis",
            "logs",
            "sns",
            "sqs",
            "stepfunctions",
        )
    }
    destinations = Destinations(buckets=aws["s3"], queues=aws["sqs"], topics=aws["sns"])
    roles = Roles(aws["iam"], region=connection.region, account_id=connection.account_id)
    surroundings = Surroundings(
        streams=aws["dynamodbstreams"],
        functions=aws["lambda"],
        destinations=destinations,
        roles=roles,
        clock=clock,
        metrics=metrics,
    )
    mappings = EventSourceMappings(
        sources=[
            StreamSource(surroundings),
            KinesisSource(surroundings, aws["kinesis"]),
            QueueSource(QueueSurroundings(aws["sqs"], aws["lambda"], roles, clock, metrics)),
        ],
        functions=aws["lambda"],
        region=connection.region,
        account_id=connection.account_id,
    )
    pipes = Pipes(
        sources=PipeSources(streams=aws["dynamodbstreams"], kinesis=aws["kinesis"], queues=aws["sqs"], clock=clock),
        surroundings=PipeSurroundings(
            logs=aws["logs"],
            queues=aws["sqs"],
            services=Services(connection, api_request=ministack_internals.api_destination_request),
            destinations=destinations,
            roles=roles,
            clock=clock,
            metrics=metrics,
            concurrency=Concurrency(),
        ),
        region=connection.region,
        account_id=connection.account_id,
    )

    def wake_readers_of_queues() -> None:
        mappings.wake_readers_of_queues()
        pipes.wake_readers_of_queues()

    def wake_readers_of_kinesis(stream: str) -> None:
        mappings.wake_readers_of_kinesis(stream)
        pipes.wake_readers_of_kinesis(stream)

    ministack_internals.when_messages_come(wake_readers_of_queues)
    time_to_live = TimeToLive(aws["dynamodb"], clock)
    ministack_internals.stream_changes_as(
        lambda table, record, precision: streamed_change(record, table=table, now=clock.now(), precision=precision),
        wake_readers_of_kinesis,
    )
    ministack_internals.describe_tables_without_stream()
    ministack_internals.leave_sets_in_no_order()
    ministack_internals.record_who_deletes(expired.get)
    limit = ReaderLimit()
    alarms = AlarmEvaluation(aws["cloudwatch"], aws["sqs"], metrics, clock)

    front = Front(
        ministack,
        connection=connection,
        streams=Streams(
            limit,
            clock=clock,
            metrics=metrics,
            iterator=ministack_internals.read_iterator,
            streams=ministack_internals.list_streams,
        ),
        time_to_live=time_to_live,
        machines=aws["stepfunctions"],
        tables=aws["dynamodb"],
        kinesis=aws["kinesis"],
        iam=aws["iam"],
        clock=clock,
        mappings=mappings,
        pipes=pipes,
        roles=roles,
        metrics=metrics,
        faults=faults,
        control=ControlApi(
            clock=clock,
            mappings=mappings,
            pipes=pipes,
            time_to_live=time_to_live,
            metrics=metrics,
            faults=faults,
            throttling=limit.throttled,
            mails=ministack_internals.sent_mails,
            evaluate_alarms=alarms.evaluate,
        ),
        routes=ministack_internals.route_authorization,
        keep_alarm_metrics=ministack_internals.keep_alarm_metrics,
    )
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stop.set)

    def held() -> journal.Held:
        tables, queues, buckets = ministack_internals.held_counts()
        return journal.Held(
            tables,
            queues,
            buckets,
            mappings=[
                journal.Delivery(each.function_name, each.source_arn, each.unfinished, each.idle)
                for each in mappings.all()
            ],
            pipes=[journal.Delivery(each.name, each.source_arn, each.unfinished, each.idle) for each in pipes.all()],
        )

    keeper = None if command is None else journal.Keeper(directory, command=command, url=connection.url, look=held)

    def watch_parent() -> None:
        sys.stdin.read()
        try:
            functions.close()
            if keeper is not None:
                keeper.close()
            for left in directory.iterdir():
                if left.name != journal.NAME:
                    shutil.rmtree(left, ignore_errors=True) if left.is_dir() else left.unlink()
            if keeper is None:
                directory.rmdir()
        finally:
            # Its session: this process, and whatever its functions have started.
            os.killpg(os.getpid(), signal.SIGKILL)

    config = Config()
    config.bind = [f"fd://{listening.fileno()}"]
    config.loglevel = "WARNING"
    config.graceful_timeout = 0.2
    config.shutdown_timeout = 1

    async def until_stopped() -> None:
        await stop.wait()
        alarms.close()
        time_to_live.close()
        functions.close()

    alarms.start()
    time_to_live.start()
    if keeper is not None:
        keeper.start()
    threading.Thread(target=watch_parent, name="watch-parent", daemon=True).start()
    _say(parent, url=connection.url)
    await serve(front, config, shutdown_trigger=until_stopped)  # pyright: ignore[reportArgumentType]


if __name__ == "__main__":
    main()
