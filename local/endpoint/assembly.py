"""Puts an endpoint together: every service, the threads that deliver, and the application in front of ministack.

A new service is a module of its own in `local.endpoint.services`, and one line here that gathers its routes.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from local.endpoint import journal, ministack_internals
from local.endpoint.alarm_evaluation import AlarmEvaluation
from local.endpoint.api.gate import Gate
from local.endpoint.application import Application, Asgi
from local.endpoint.authorization.authorizer import Authorizer
from local.endpoint.authorization.lookups import Lookups
from local.endpoint.authorization.sessions import Sessions
from local.endpoint.authorization.sts import sts_routes
from local.endpoint.clients import Connection, expired
from local.endpoint.control.api import ControlApi
from local.endpoint.control.faults import Faults
from local.endpoint.delivery.destinations import Destinations
from local.endpoint.delivery.pipe import PipeDependencies
from local.endpoint.delivery.pipe_services import PipeServices
from local.endpoint.delivery.pipe_telemetry import Concurrency
from local.endpoint.delivery.queue_mapping import QueueMappingDependencies
from local.endpoint.delivery.schedule_targets import ScheduleTargets
from local.endpoint.delivery.stream_mapping import StreamMappingDependencies
from local.endpoint.delivery.targets import Delivery, TargetDeliveries
from local.endpoint.delivery.wake_ups import Readers
from local.endpoint.functions.environments import Functions
from local.endpoint.in_process import InProcess
from local.endpoint.readers.reader_limit import ReaderLimit
from local.endpoint.region_names import region_name
from local.endpoint.roles import Roles
from local.endpoint.routes import gathered
from local.endpoint.services.cloudwatch import CloudWatch
from local.endpoint.services.continuous_backups import ContinuousBackups
from local.endpoint.services.email_identities import email_identity_routes
from local.endpoint.services.event_buses import EventTargets, event_bus_routes, is_api_destination, rule_delivery
from local.endpoint.services.event_source_mappings import EventSourceMappings
from local.endpoint.services.executions import Executions
from local.endpoint.services.exports import Exports
from local.endpoint.services.fifo_topics import FifoTopics, Topic
from local.endpoint.services.functions import FunctionService
from local.endpoint.services.iam import iam_routes
from local.endpoint.services.kinesis_source import KinesisSource
from local.endpoint.services.kinesis_streams import KinesisStreams
from local.endpoint.services.layers import routes as layer_routes
from local.endpoint.services.logs import log_routes
from local.endpoint.services.message_moves import MessageMoves
from local.endpoint.services.parameters import parameter_routes
from local.endpoint.services.pipe_sources import PipeSources
from local.endpoint.services.pipes import Pipes
from local.endpoint.services.queue_source import QueueSource
from local.endpoint.services.queues import queue_routes
from local.endpoint.services.read_capacity import read_capacity_routes
from local.endpoint.services.schedules import Schedules
from local.endpoint.services.state_machines import StateMachines
from local.endpoint.services.stream_source import StreamSource
from local.endpoint.services.stream_specifications import stream_specification_routes
from local.endpoint.services.streaming_destinations import Reenabled, streaming_destination_routes
from local.endpoint.services.streams import Streams
from local.endpoint.services.time_to_live import TimeToLive
from local.endpoint.services.update_expressions import update_expression_routes
from local.engine.alarms import notifications
from local.engine.alarms.metrics import Metrics
from local.engine.clock import Clock
from local.engine.topics.fifo_topic import TopicMessage


@dataclass(frozen=True)
class Assembled:
    """An endpoint that is ready to be served.

    Attributes:
        application: The ASGI application.
        start: Starts the threads that evaluate alarms and delete expired items; called by the running event loop.
        close: Ends those threads, and every function.
        held: Returns what the endpoint holds in memory.
    """

    application: Application
    start: Callable[[], None]
    close: Callable[[], None]
    held: Callable[[], journal.Held]


def assemble(ministack: Asgi, connection: Connection, *, control_token: str) -> Assembled:
    """Put an endpoint together, and adapt ministack to it.

    Args:
        ministack: ministack's application.
        connection: The endpoint's address and keys.
        control_token: The token of the control API.
    """
    clock, metrics, faults, limit, reenabled = Clock(), Metrics(), Faults(), ReaderLimit(), Reenabled()
    own = InProcess(connection)
    buckets, cloudwatch, functions, iam, kinesis, logs, machines, queues, streams, tables, topics = (
        own.client(name)
        for name in (
            *("s3", "cloudwatch", "lambda", "iam", "kinesis", "logs", "stepfunctions", "sqs", "dynamodbstreams"),
            *("dynamodb", "sns"),
        )
    )
    roles = Roles(iam, region=connection.region, account_id=connection.account_id)
    lookups = _lookups(connection)
    authorizer = Authorizer(
        Sessions(connection), roles, lookups, resource_policy=ministack_internals.resource_policy, clock=clock.now
    )
    executions = Executions(roles, lookups, clock, metrics)
    environments = Functions(
        connection=connection,
        clock=clock,
        metrics=metrics,
        issue_keys=authorizer.issue_for_function,
        may_log=authorizer.may_log,
    )
    destinations = Destinations(
        buckets=buckets, queues=queues, topics=topics, publish=ministack_internals.publish_with_attributes
    )
    stream_dependencies = StreamMappingDependencies(streams, functions, destinations, roles, clock, metrics)
    mappings = EventSourceMappings(
        sources=[
            StreamSource(stream_dependencies),
            KinesisSource(stream_dependencies, kinesis),
            QueueSource(QueueMappingDependencies(queues, functions, roles, clock, metrics)),
        ],
        functions=functions,
        region=connection.region,
        account_id=connection.account_id,
    )
    pipes = Pipes(
        sources=PipeSources(streams=streams, kinesis=kinesis, queues=queues, clock=clock),
        dependencies=PipeDependencies(
            logs=logs,
            queues=queues,
            services=PipeServices(
                own.client,
                lambda arn: f"{connection.url}/{'/'.join(arn.split(':')[4:])}",
                api_request=ministack_internals.api_destination_request,
            ),
            destinations=destinations,
            roles=roles,
            clock=clock,
            metrics=metrics,
            concurrency=Concurrency(),
        ),
        region=connection.region,
        account_id=connection.account_id,
    )
    targets = EventTargets(
        roles,
        may=authorizer.service_may,
        put_message=ministack_internals.put_message,
        make_request=ministack_internals.api_destination_request,
        rate_of=ministack_internals.api_destination_rate,
    )
    deliveries = TargetDeliveries(targets.send, targets.park, targets.rate, clock)
    schedules = Schedules(
        ScheduleTargets(roles, functions=functions, machines=machines, queues=queues, url=connection.url),
        roles,
        clock,
        region=connection.region,
        account_id=connection.account_id,
    )
    readers = Readers([mappings, pipes])
    kinesis_streams = KinesisStreams(ministack_internals.find_kinesis_stream, metrics=metrics, clock=clock)
    time_to_live = TimeToLive(tables, clock)
    moves = MessageMoves(queues, ministack_internals.dead_letter_sources, clock)
    backups = ContinuousBackups(tables, clock)
    alarms = AlarmEvaluation(cloudwatch, queues, metrics, clock, oldest_message=ministack_internals.oldest_message)
    function_service = FunctionService(
        connection=connection, functions=functions, roles=roles, metrics=metrics, clock=clock
    )
    routes = gathered(
        [
            mappings.routes,
            pipes.routes,
            schedules.routes,
            readers.routes,
            time_to_live.routes,
            backups.routes,
            Exports(tables, buckets, backups, clock).routes,
            function_service.routes,
            CloudWatch(metrics, ministack_internals.keep_alarm_metrics).routes,
            Streams(
                limit,
                clock=clock,
                metrics=metrics,
                iterator=ministack_internals.read_iterator,
                streams=ministack_internals.list_streams,
            ).routes,
            email_identity_routes(own.client("sesv2")),
            iam_routes(iam, roles, readers),
            layer_routes(),
            event_bus_routes(lambda archive: ministack_internals.forget_expired_events(archive, clock.now())),
            log_routes(),
            parameter_routes(ministack_internals.key_arn),
            read_capacity_routes(),
            queue_routes(),
            moves.routes,
            sts_routes(authorizer),
            update_expression_routes(),
            StateMachines(machines, roles).routes,
            executions.routes,
            FifoTopics(_topic, _send_from_topic, metrics=metrics, clock=clock).routes,
            kinesis_streams.routes,
            stream_specification_routes(tables),
            streaming_destination_routes(tables=tables, kinesis=kinesis, reenabled=reenabled),
        ]
    )
    control = ControlApi(
        clock=clock,
        mappings=mappings,
        pipes=pipes,
        readers=readers,
        time_to_live=time_to_live,
        metrics=metrics,
        faults=faults,
        throttling=limit.throttled,
        mails=ministack_internals.sent_mails,
        unjudged=lambda: _unjudged(authorizer, functions, machines, pipes, schedules),
        evaluate_alarms=alarms.evaluate,
    )
    ministack_internals.note_writes_by(backups.note)
    _adapt_ministack(connection, clock, readers, environments, authorizer, reenabled, fits=kinesis_streams.fits)
    ministack_internals.send_dead_letters_by(destinations.send_dead_letter)
    ministack_internals.run_executions_by(executions)
    ministack_internals.deliver_matches_by(
        lambda rule, target, payload, event: _deliver_match(
            deliveries, rule_delivery(rule, target, payload, event, clock.now())
        )
    )
    application = Application(
        ministack,
        connection=connection,
        gate=Gate(port=connection.port, issued=authorizer.sessions, control_token=control_token),
        routes=routes,
        authorizer=authorizer,
        faults=faults,
        control=control,
        crashed=function_service.crashed,
        kill=environments.kill,
        authorization=ministack_internals.route_authorization,
        handlers=ministack_internals.HANDLERS,
    )

    def start() -> None:
        own.open(application, asyncio.get_running_loop())
        deliveries.start()
        schedules.start()
        alarms.start()
        time_to_live.start()

    def close() -> None:
        alarms.close()
        moves.close()
        time_to_live.close()
        schedules.close()
        deliveries.close()
        environments.close()

    return Assembled(application, start, close, lambda: _held(mappings, pipes))


def _deliver_match(deliveries: TargetDeliveries, delivery: Delivery) -> None:
    """Put an event into a queue before PutEvents is answered, and call an API destination later."""
    if is_api_destination(delivery.target["Arn"]):
        deliveries.deliver(delivery)
    else:
        deliveries.attempt(delivery)


def _lookups(connection: Connection) -> Lookups:
    return Lookups(
        connection.region,
        connection.account_id,
        stream_of=lambda iterator: (ministack_internals.read_iterator(iterator) or (None,))[0],
        identities=ministack_internals.email_identities,
        partition_key=ministack_internals.partition_key,
        key=ministack_internals.key_arn,
        secret=ministack_internals.secret_arn,
        encrypted_parameters=ministack_internals.encrypted_parameters,
        dead_letter_sources=ministack_internals.dead_letter_sources,
    )


def _adapt_ministack(
    connection: Connection,
    clock: Clock,
    readers: Readers,
    environments: Functions,
    authorizer: Authorizer,
    reenabled: Reenabled,
    *,
    fits: Callable[[str, str, bytes], bool],
) -> None:
    """Replace the parts of ministack that differ from AWS."""
    region = region_name(connection.region)

    def notification(alarm: Mapping[str, Any], before: str) -> tuple[str, str]:
        document = notifications.message(
            alarm, before=before, at=clock.now(), account_id=connection.account_id, region=region
        )
        return notifications.subject(alarm, region), json.dumps(document)

    ministack_internals.run_functions_by(environments.execute)
    ministack_internals.keep_time_by(clock.now)
    ministack_internals.stop_evaluating_alarms()
    ministack_internals.judge_services_by(authorizer.service_may)
    ministack_internals.notify_of_alarms_by(notification, authorizer.service_may)
    ministack_internals.when_messages_come(readers.queues)
    ministack_internals.stream_changes_as(
        lambda table, arn, record, precision, transactional: reenabled.changes(
            record, table=table, stream_arn=arn, now=clock.now(), precision=precision, transactional=transactional
        ),
        fits,
        readers.kinesis,
    )
    ministack_internals.describe_tables_without_stream()
    ministack_internals.measure_pages_at_once()
    ministack_internals.ignore_order_of_sets()
    ministack_internals.complete_change_records(expired.get)


def _topic(arn: str) -> Topic | None:
    found = ministack_internals.find_topic(arn)
    return None if found is None else Topic(arn, *found)


def _send_from_topic(queue_arn: str, topic_arn: str, message: TopicMessage) -> str | None:
    return ministack_internals.send_from_topic(queue_arn, topic_arn, *message)


def _unjudged(authorizer: Authorizer, functions: Any, machines: Any, pipes: Pipes, schedules: Schedules) -> list[str]:
    """Say what in the policies of everything that acts with a role is not evaluated here."""
    listed = [each for page in functions.get_paginator("list_functions").paginate() for each in page["Functions"]]
    arns = [each["stateMachineArn"] for each in machines.list_state_machines()["stateMachines"]]
    roles = [
        *(each["Role"] for each in listed),
        *(each.configuration["RoleArn"] for each in pipes.all()),
        *(machines.describe_state_machine(stateMachineArn=each)["roleArn"] for each in arns),
        *schedules.role_arns,
    ]
    return [sentence for role in dict.fromkeys(roles) for sentence in authorizer.unjudged(role)]


def _held(mappings: EventSourceMappings, pipes: Pipes) -> journal.Held:
    tables, queues, buckets = ministack_internals.held_counts()
    return journal.Held(
        tables,
        queues,
        buckets,
        mappings=[
            journal.Reached(each.function_name, each.source_arn, each.unfinished, each.idle) for each in mappings.all()
        ],
        pipes=[journal.Reached(each.name, each.source_arn, each.unfinished, each.idle) for each in pipes.all()],
    )
