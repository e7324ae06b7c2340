"""Everything that the endpoint uses from inside ministack, and that a new version of it may change.

tests/local/test_pinned.py fails if one of these means something else.
"""

from __future__ import annotations

import hashlib
import json
import time
import uuid
from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime
from types import MappingProxyType, SimpleNamespace
from typing import Any, Protocol

from ministack import app
from ministack.services import (
    apigateway,
    cloudwatch,
    cloudwatch_logs,
    dynamodb,
    dynamodb_streams,
    eventbridge,
    kinesis,
    kms,
    lambda_svc,
    s3,
    secretsmanager,
    ses,
    ses_v2,
    sns,
    sqs,
    ssm,
    stepfunctions,
)

from local.engine.pipes.requests import HttpRequest

_app: Any = app
_apigateway: Any = apigateway
_cloudwatch: Any = cloudwatch
_dynamodb: Any = dynamodb
_dynamodbstreams: Any = dynamodb_streams
_eventbridge: Any = eventbridge
_kinesis: Any = kinesis
_kms: Any = kms
_lambda: Any = lambda_svc
_logs: Any = cloudwatch_logs
_s3: Any = s3
_secretsmanager: Any = secretsmanager
_ses: Any = ses
_sesv2: Any = ses_v2
_sns: Any = sns
_sqs: Any = sqs
_ssm: Any = ssm
_stepfunctions: Any = stepfunctions

#: Status, headers and body of an answer.
Response = tuple[int, Mapping[str, str], bytes]

#: Answers method, path, headers, body and query of a request.
Handler = Callable[[str, str, Mapping[str, str], bytes, Mapping[str, Any]], Awaitable[Response]]

#: Makes ministack's form of an outcome from function record, configuration, event, request id and start time.
Execute = Callable[[Mapping[str, Any], Mapping[str, Any], Any, str, float], dict[str, Any]]


def run_functions_by(execute: Execute) -> None:
    """Replace ministack's function runner, and its metrics, which count direct calls only."""
    _lambda._execute_function_dispatch = execute
    _lambda._emit_lambda_metrics = _nothing


def keep_time_by(clock: Callable[[], float]) -> None:
    """Run tables, both kinds of streams, queues, and what sends to queues by a clock.

    Records are then as old as mappings think, and a message from a topic or a rule is not too old for its queue.
    """

    def gmtime(seconds: float | None = None) -> time.struct_time:
        return time.gmtime(clock() if seconds is None else seconds)

    shifted = SimpleNamespace(**{**vars(time), "time": clock, "gmtime": gmtime})
    for module in (_dynamodb, _dynamodbstreams, _eventbridge, _kinesis, _sns, _sqs):
        module.time = shifted
    _dynamodb._stream_label = lambda: datetime.fromtimestamp(clock(), UTC).isoformat(timespec="milliseconds")[:-6]


def stream_changes_as(
    make: Callable[[str, str, Mapping[str, Any], str, bool], Sequence[tuple[str, bytes]]],
    fits: Callable[[str, str, bytes], bool],
    wake: Callable[[str], None],
) -> None:
    """Put a table's changes into Kinesis in AWS's shape; ministack's records differ.

    Args:
        make: Makes partition keys and data from the table, the stream's ARN, the change record, the precision of its
            time and whether a transaction made the change.
        fits: Returns whether a stream takes a record, from the table, the stream's ARN and the data. It is skipped
            otherwise.
        wake: Called with the name of each stream that got a record.
    """
    transact = _dynamodb._transact_write_items
    transacting = False

    def in_transaction(request: Any) -> Any:
        nonlocal transacting
        transacting = True
        try:
            return transact(request)
        finally:
            transacting = False

    def fan_out(table: str, record: Mapping[str, Any]) -> None:
        for destination in _dynamodb._kinesis_destinations.get(table, []):
            if destination["DestinationStatus"] != "ACTIVE":
                continue
            arn, precision = destination["StreamArn"], destination["ApproximateCreationDateTimePrecision"]
            for key, data in make(table, arn, record, precision, transacting):
                if fits(table, arn, data):
                    _kinesis.put_record_internal(arn, key, data)
                    wake(arn.rpartition("/")[2])

    _dynamodb._transact_write_items = in_transaction
    _dynamodb._fan_out_to_kinesis = fan_out


def find_kinesis_stream(name: str) -> MutableMapping[str, Any] | None:
    """Return a Kinesis stream as ministack keeps it, by its name or ARN; `None` if there is no such stream."""
    _, stream = _kinesis._resolve_stream({"StreamARN" if name.startswith("arn:") else "StreamName": name})
    return stream


def read_iterator(iterator: str) -> tuple[str, str] | None:
    """Return stream ARN and shard of an iterator of a table's stream; `None` if the text is not one."""
    match _dynamodbstreams._decode_iterator(iterator):
        case {"arn": str(stream_arn), "s": str(shard_id)}:
            return stream_arn, shard_id
        case _:
            return None


def resource_policy(arn: str) -> str | None:
    """Return the policy of a queue, topic, bucket, object, function or key as JSON text; `None` if it has none."""
    service = arn.split(":")[2]
    match service:
        case "sqs":
            queue = _sqs._queue_by_arn(arn)
            return (queue["attributes"].get("Policy") if queue else None) or None
        case "sns":
            topic = _sns._topics.get(arn)
            return (topic["attributes"].get("Policy") if topic else None) or None
        case "s3":
            found = _s3.bucket_policy_for_arn(arn)
            return (found[0] if found else None) or None
        case "lambda":
            found = _lambda.function_policy_for_arn(arn)
            return json.dumps(found[0]) if found else None
        case "kms":
            found = _kms.key_policy_for_arn(arn)
            return found[0] if found else None
        case _:
            return None


def email_identities() -> list[str]:
    """Return the names of SES's identities: addresses and domains."""
    return [*_sesv2._identities, *_ses._identities]


def partition_key(table: str) -> str | None:
    """Return the name of a table's partition key; `None` if there is no such table."""
    found = _dynamodb._tables.get(table)
    schema = found["KeySchema"] if found else []
    return next((each["AttributeName"] for each in schema if each["KeyType"] == "HASH"), None)


def key_arn(reference: str) -> str | None:
    """Return the ARN of a KMS key by its id, ARN or alias; `None` if there is no such key."""
    found = _kms._resolve_key(reference)
    return found["Arn"] if found else None


def secret_arn(name: str) -> str | None:
    """Return the ARN of a secret by its name; `None` if there is no such secret."""
    _, found = _secretsmanager._resolve(name)
    return found["ARN"] if found else None


def encrypted_parameters() -> dict[str, str]:
    """Return the key that each SecureString of Parameter Store names, by the parameter's name."""
    return {name: each["KeyId"] for name, each in _ssm._parameters.items() if each["Type"] == "SecureString"}


def list_streams() -> list[tuple[str, str, str]]:
    """Return ARN, table and label of every stream that can be read; ministack does not list closed ones."""
    _dynamodb._sweep_closed_streams()
    open_ones = [_dynamodbstreams._enabled_stream_info(name) for name in list(_dynamodb._tables.keys())]
    found = [(each["StreamArn"], each["TableName"], each["StreamLabel"]) for each in open_ones if each]
    for (_, _, arn), closed in _dynamodb._closed_streams.all_items():
        found.append((arn, closed["TableName"], closed["StreamLabel"]))
    return found


def measure_pages_at_once() -> None:
    """Measure a page of a table's stream as a whole, and record by record only if it may be too large."""
    cap = _dynamodbstreams._cap_page_bytes

    def capped(page: list[Any]) -> list[Any]:
        # ASCII with spaces is never shorter than what ministack measures.
        fits = len(json.dumps(page, default=str)) <= _dynamodbstreams._GET_RECORDS_MAX_BYTES
        return page if fits else cap(page)

    _dynamodbstreams._cap_page_bytes = capped


def describe_tables_without_stream() -> None:
    """Describe a table whose stream is off as AWS does: without a StreamSpecification, but with its latest stream."""
    describe = _dynamodb._table_description

    def described(name: str) -> dict[str, Any]:
        table = describe(name)
        if not (table.get("StreamSpecification") or {"StreamEnabled": True})["StreamEnabled"]:
            del table["StreamSpecification"]
            if _dynamodb.closed_stream(table["LatestStreamArn"]) is None:
                del table["LatestStreamArn"], table["LatestStreamLabel"]
        return table

    _dynamodb._table_description = described


def note_writes_by(note: Callable[[str, Any, Any], None]) -> None:
    """Call `note` with each write to a table: its name, and the item before and after, `None` where there is none."""
    emit = _dynamodb._emit_stream_event

    def noted(table: str, event_name: str, old: Any, new: Any, *more: Any, **named: Any) -> None:
        emit(table, event_name, old, new, *more, **named)
        note(table, old, new)

    _dynamodb._emit_stream_event = noted


def ignore_order_of_sets() -> None:
    """Ignore the order of a set: writing the same members in another order is no change."""
    emit = _dynamodb._emit_stream_event

    def unless_equal(table: str, event_name: str, old: Any, new: Any, *more: Any, **named: Any) -> None:
        emit(table, event_name, old, old if event_name == "MODIFY" and _same(old, new) else new, *more, **named)

    _dynamodb._emit_stream_event = unless_equal


def _same(one: Any, other: Any) -> bool:
    """Return whether two attribute values, or two items, are equal."""
    match one, other:
        case {}, {}:
            sets = one.keys() & other.keys() & {"SS", "NS", "BS"}
            if len(one) == 1 and sets and all(isinstance(each[name], list) for each in (one, other) for name in sets):
                (name,) = sets
                return sorted(one[name]) == sorted(other[name])
            return one.keys() == other.keys() and all(_same(one[name], other[name]) for name in one)
        case [*_], [*_]:
            return len(one) == len(other) and all(map(_same, one, other))
        case _:
            return one == other


def complete_change_records(by_time_to_live: Callable[[], bool]) -> None:
    """Give changes AWS's event ID, and mark a deletion as DynamoDB's own if `by_time_to_live` returns true."""
    build = _dynamodb._build_change_record

    def with_identity(*change: Any) -> dict[str, Any]:
        record = build(*change)
        record["eventID"] = uuid.uuid4().hex
        if by_time_to_live():
            record["userIdentity"] = {"Type": "Service", "PrincipalId": "dynamodb.amazonaws.com"}
        return record

    _dynamodb._build_change_record = with_identity


def when_messages_come(wake: Callable[[], None]) -> None:
    """Call `wake` whenever a queue gets a message: from a client, a topic, a rule or a redrive."""
    _sqs.esm_wake = _sns.esm_wake = _eventbridge.esm_wake = SimpleNamespace(set=wake)


def find_topic(arn: str) -> tuple[Mapping[str, str], list[Mapping[str, str]]] | None:
    """Return a topic's attributes and those of its subscriptions; `None` if there is no such topic."""
    topic = _sns._topics.get(arn)
    if topic is None:
        return None
    return topic["attributes"], [each["attributes"] for each in topic["subscriptions"] if each["confirmed"]]


def put_message(
    queue_arn: str, body: str, *, group: str = "", attributes: Mapping[str, str] = MappingProxyType({})
) -> str | None:
    """Put a message into a queue.

    Args:
        queue_arn: The queue's ARN.
        body: The message.
        group: The group, for a FIFO queue; the content is its deduplication id.
        attributes: Attributes of the message, all text.

    Returns:
        The error; `None` if there is none.
    """
    queue = _sqs._queue_by_arn(queue_arn)
    if queue is None:
        return "QueueDoesNotExist"
    content = hashlib.sha256(body.encode()).hexdigest()
    order = {"MessageGroupId": group, "MessageDeduplicationId": content} if queue["is_fifo"] else {}
    texts = {name: {"DataType": "String", "StringValue": value} for name, value in attributes.items()}
    request = {"QueueUrl": queue["url"], "MessageBody": body, "MessageAttributes": texts, **order}
    try:
        _sqs._act_send_message(request, queue["url"])
    except _sqs._Err as refused:
        return str(refused.code)
    return None


def send_from_topic(queue_arn: str, topic_arn: str, body: str, group: str, deduplication_id: str) -> str | None:
    """Put a topic's message into a queue, if the queue's policy lets SNS send on behalf of the topic.

    Returns:
        The error that SNS gets; `None` if there is none.
    """
    queue = _sqs._queue_by_arn(queue_arn)
    if queue is None:
        return "QueueDoesNotExist"
    account = topic_arn.split(":")[4]
    if not _sqs.queue_policy_allows(queue_arn, "sns.amazonaws.com", topic_arn, account):
        return "AccessDenied"
    order = {"MessageGroupId": group, "MessageDeduplicationId": deduplication_id} if queue["is_fifo"] else {}
    try:
        _sqs._act_send_message({"QueueUrl": queue["url"], "MessageBody": body, **order}, queue["url"])
    except _sqs._Err as refused:
        return str(refused.code)
    return None


def publish_with_attributes(topic_arn: str, message: str, attributes: Mapping[str, Any]) -> None:
    """Publish a message with message attributes to a standard topic."""
    _sns._fanout(topic_arn, str(uuid.uuid4()), message, "", message_attributes=attributes)


def dead_letter_sources(arn: str) -> list[str]:
    """Return the ARNs of the queues that have a queue as their dead-letter queue."""
    attributes = [queue["attributes"] for _, queue in _sqs._queues.items()]
    return [
        each["QueueArn"]
        for each in attributes
        if json.loads(each.get("RedrivePolicy") or "{}").get("deadLetterTargetArn") == arn
    ]


def oldest_message(queue: str) -> float | None:
    """Return when the oldest message of a queue was sent, in seconds since 1970; `None` if it holds none."""
    url = _sqs._queue_name_to_url.get(queue)
    found = url and _sqs._queues.get(url)
    return min((message["sent_at"] for message in found["messages"]), default=None) if found else None


class RawJson(str):
    """An event that is JSON text already, so that nothing parses and writes it between its sender and the function."""

    __slots__ = ()


async def invoke(name: str, qualifier: str | None, event: RawJson, headers: Mapping[str, str]) -> Response:
    """Invoke a function, and wait for its answer."""
    return await _lambda._invoke(name, event, headers, qualifier, {})


def send_dead_letters_by(send: Callable[[str, Any, Mapping[str, Any]], None]) -> None:
    """Send the events of failed asynchronous invocations by `send`, from the target's ARN, the event and the result."""

    def route(target: str, _: str, event: Any, result: Mapping[str, Any]) -> None:
        send(target, event, result)

    _lambda._route_async_failure = route


#: Handlers of services that need nothing of what ministack does before and after them.
HANDLERS: Mapping[str, Handler] = {
    "dynamodb": _dynamodb.handle_request,
    "dynamodbstreams": _dynamodbstreams.handle_request,
    "kinesis": _kinesis.handle_request,
    "sqs": _sqs.handle_request,
}


def has_log_group(name: str) -> bool:
    """Check if a log group exists."""
    return name in _logs._log_groups


def write_log(group: str, stream: str, lines: Sequence[str]) -> None:
    """Append lines to a log stream, which is created if it is missing, as is its group."""
    if group not in _logs._log_groups:
        _logs._create_log_group({"logGroupName": group})
    if stream not in _logs._log_groups[group]["streams"]:
        _logs._create_log_stream({"logGroupName": group, "logStreamName": stream})
    now = int(time.time() * 1000)
    events = [{"timestamp": now, "message": line, "ingestionTime": now} for line in lines]
    _logs._append_log_events(_logs._log_groups[group]["streams"][stream], events)


def stop_evaluating_alarms() -> None:
    """Stop ministack from evaluating metric alarms; it evaluates composite ones as AWS does."""
    _cloudwatch._evaluate_alarm = _nothing


#: Decides whether a service may do an action to a resource on behalf of another one, by its ARN.
ServiceMay = Callable[[str, str, str, str], bool]


def judge_services_by(may: ServiceMay) -> None:
    """Deliver from topics and HTTP APIs only what the policy of the queue or the function lets through."""
    _sqs.queue_policy_allows = lambda queue, service, source, _: may(service, "sqs:SendMessage", queue, source)
    invoke_function = _apigateway._invoke_lambda_proxy

    async def to_function(
        integration: Mapping[str, Any], api_id: str, stage: str, path: str, method: str, *arguments: Any, **named: Any
    ) -> Any:
        function = _apigateway._extract_lambda_ref_from_integration_uri(integration["integrationUri"])
        # Headers, body, query, and then the key of the route.
        route = arguments[3] if len(arguments) > 3 else named.get("route_key", "$default")
        region, account = function.split(":")[3:5]
        verb, _, resource = route.partition(" ")
        called = route if route == "$default" else f"{method if verb == 'ANY' else verb}{resource}"
        source = f"arn:aws:execute-api:{region}:{account}:{api_id}/{stage}/{called}"
        if not may("apigateway.amazonaws.com", "lambda:InvokeFunction", function, source):
            return 500, {"Content-Type": "application/json"}, b'{"message":"Internal Server Error"}'
        return await invoke_function(integration, api_id, stage, path, method, *arguments, **named)

    _apigateway._invoke_lambda_proxy = to_function


def deliver_matches_by(deliver: Callable[[str, Mapping[str, Any], str, str], None]) -> None:
    """Deliver the events that match a rule.

    Args:
        deliver: Called with the rule's ARN, the target, the text for the target and the event itself.
    """
    invoke_target = _eventbridge._invoke_target
    matched: ContextVar[tuple[str, Mapping[str, Any], str]] = ContextVar("matched")

    def to_target(target: Mapping[str, Any], event: Any, rule: Mapping[str, Any], view: Any = None) -> None:
        view = view or _eventbridge._pattern_event_view(event)
        matched.set((rule["Arn"], target, json.dumps(view.event_with_detail())))
        invoke_target(target, event, rule, view)

    def handed_over(_spec: Any, payload: str, resolved: Mapping[str, Any] | None = None) -> None:
        rule, target, event = matched.get()
        parameters = {"HttpParameters": (resolved or {}).get("HttpParameters")} if "HttpParameters" in target else {}
        deliver(rule, {**target, **parameters}, payload, event)

    _eventbridge._invoke_target = to_target
    _eventbridge._dispatch_to_sqs = _eventbridge._dispatch_to_api_destination = handed_over


def api_destination_rate(name: str) -> int | None:
    """Return the calls per second that an API destination takes; `None` if there is none of this name."""
    found = _eventbridge._api_destinations.get(name)
    return None if found is None else int(found["InvocationRateLimitPerSecond"])


def forget_expired_events(archive: str, now: float) -> None:
    """Forget the events that an archive has kept for its days; it keeps them for ever if it has none."""
    found = _eventbridge._archives.get(archive)
    if found is not None and found["RetentionDays"]:
        oldest = now - int(found["RetentionDays"]) * 24 * 60 * 60
        found["Events"] = [each for each in found.get("Events", []) if each["Time"] >= oldest]


def notify_of_alarms_by(make: Callable[[Mapping[str, Any], str], tuple[str, str]], may: ServiceMay) -> None:
    """Publish the subject and message that `make` makes from an alarm and its former state; ministack's lack fields.

    Args:
        make: Makes the subject and the message.
        may: Decides whether CloudWatch may publish to a topic.
    """

    def notify(alarm: Mapping[str, Any], before: str, state: str, _: str) -> None:
        actions = {"ALARM": "AlarmActions", "OK": "OKActions", "INSUFFICIENT_DATA": "InsufficientDataActions"}[state]
        for topic in alarm[actions] if alarm["ActionsEnabled"] else ():
            if not may("cloudwatch.amazonaws.com", "sns:Publish", topic, alarm["AlarmArn"]):
                continue
            subject, message = make(alarm, before)
            _sns._fanout(topic, str(uuid.uuid4()), message, subject)

    _cloudwatch._dispatch_alarm_actions = notify


def keep_alarm_metrics(name: str, metrics: list[dict[str, Any]]) -> None:
    """Keep an alarm's metrics and expressions; such an alarm has no metric, statistic and period of its own."""
    alarm = _cloudwatch._alarms[name]
    alarm["Metrics"] = metrics
    for member in ("MetricName", "Namespace", "Statistic", "ExtendedStatistic", "Period", "Dimensions", "Unit"):
        alarm.pop(member, None)


def layer_content(arn: str) -> bytes:
    """Return the zipped content of a layer's version, also of one that was deleted after a function took it."""
    content = _lambda._resolve_layer_zip(arn)
    if content is None:
        raise LookupError(f"the layer {arn} has no content here: publish it on this endpoint")
    return content


def held_counts() -> tuple[dict[str, int], dict[str, int], dict[str, int]]:
    """Count the items of each table, the messages of each queue and the objects of each bucket, by name."""
    return (
        {name: table["ItemCount"] for name, table in _dynamodb._tables.items()},
        {queue["name"]: len(queue["messages"]) for _, queue in _sqs._queues.items()},
        {name: len(bucket["objects"]) for name, bucket in _s3._buckets.items()},
    )


def sent_mails() -> list[dict[str, Any]]:
    """Return the mails that SES accepted, oldest first."""
    return [mail for kept in _ses._sent_emails.to_dict().values() for mail in kept]


def route_authorization(host: str, method: str, path: str) -> str | None:
    """Return the authorization type of the route that a request to an HTTP API reaches; `None` if it reaches none.

    ministack itself parses the address, so that the checked route is the one that it will serve.
    """
    found = _app._parse_execute_api_url(host, path)
    if found is None:
        return None
    api_id, first, rest = found
    stage, route_path = _app._resolve_stage_and_path(api_id, first, rest)
    return apigateway.route_authorization_type(api_id, stage, method, route_path)


def api_destination_request(
    name: str, http_parameters: Mapping[str, Any], body: str, *, renew: bool = False
) -> HttpRequest | None:
    """Make the request to an API destination, with the parameters and the authorization of its connection.

    Args:
        name: The destination's name.
        http_parameters: HttpParameters of the target.
        body: The body.
        renew: Whether to ask for a new OAuth token: the former one may have been refused.

    Returns:
        The request; `None` if the destination or its connection does not exist.
    """
    destination = _eventbridge._api_destinations.get(name)
    connection = destination and _eventbridge._connections.get(destination["ConnectionArn"].rpartition("/")[2])
    if not connection:
        return None
    made = _eventbridge._build_api_destination_request(destination, connection, http_parameters, body)
    headers = {**made["headers"], **_eventbridge._connection_auth_headers(connection, connection["Name"], renew)}
    return HttpRequest(made["method"], made["url"], _eventbridge._finalize_api_dest_headers(headers), made["body"])


@dataclass(frozen=True)
class Execution:
    """An execution of a state machine that ministack walks through.

    Attributes:
        arn: Its ARN.
        role_arn: ARN of the machine's role when it started.
        definition: The machine's definition when it started.
        record: ministack's record of it.
    """

    arn: str
    role_arn: str
    definition: Mapping[str, Any]
    record: dict[str, Any]

    @property
    def machine_arn(self) -> str:
        """ARN of its state machine."""
        return str(self.record["stateMachineArn"])

    @property
    def status(self) -> str:
        """Its status, e.g. `RUNNING`."""
        return str(self.record["status"])

    def is_running(self) -> bool:
        """Return whether it has not ended."""
        return self.status == "RUNNING"

    def time_out(self) -> None:
        """End it as timed out, as AWS describes it."""
        if self.is_running():
            self.record.update(status="TIMED_OUT", error="States.Timeout", stopDate=_stepfunctions.now_iso())
            details = {"executionTimedOutEventDetails": {"error": "States.Timeout"}}
            _stepfunctions._add_event(self.record, "ExecutionTimedOut", details)
            _stepfunctions._emit_execution_status_event(self.record)


class ExecutionSteps(Protocol):
    """The steps between the states of executions (`local.endpoint.services.executions`)."""

    #: The error that ends a task, which has `error` and `cause`.
    failure: type[Exception]

    def run(self, execution: Execution, walk: Callable[[], None]) -> None:
        """Walk through an execution."""
        ...

    def pause(self, seconds: float) -> None:
        """Let seconds pass."""
        ...

    def pause_until(self, moment: str) -> None:
        """Let time pass up to a moment."""
        ...

    def now(self) -> str:
        """Return the time."""
        ...

    def ask(self, resource: str, given: Any, ask: Callable[[str, Any], Any]) -> Any:
        """Do what a task's resource names."""
        ...

    def ask_and_wait(self, token: str, state: Mapping[str, Any], ask: Callable[[], Any]) -> Any:
        """Do what a task's resource names, and wait for the answer to its token."""
        ...


def run_executions_by(steps: ExecutionSteps) -> None:
    """Let executions keep the endpoint's time, wait for answers and act as their role.

    Args:
        steps: Does what happens between the states.
    """
    walk, fail, invoke = _stepfunctions._run_execution, _stepfunctions._fail_execution, _stepfunctions._invoke_resource

    def failing(function: Callable[..., Any]) -> Callable[..., Any]:
        def with_its_error(*arguments: Any) -> Any:
            try:
                return function(*arguments)
            except steps.failure as failed:
                error: Any = failed
                raise _stepfunctions._ExecutionError(error.error, error.cause) from failed

        return with_its_error

    def run(arn: str) -> None:
        record = _stepfunctions._executions.get(arn)
        machine = record and _stepfunctions._state_machines.get(record["stateMachineArn"])
        if machine:
            execution = Execution(arn, machine["roleArn"], json.loads(machine["definition"]), record)
            steps.run(execution, lambda: walk(arn))

    def fail_unless_ended(record: Mapping[str, Any], error: str, cause: str) -> None:
        if record["status"] == "RUNNING":
            fail(record, error, cause)

    def call_back(resource: str, given: Any, token: str, state: Mapping[str, Any]) -> Any:
        plain = resource.replace(".waitForTaskToken", "")
        return steps.ask_and_wait(token, state, lambda: steps.ask(plain, given, invoke))

    _stepfunctions._run_execution = run
    _stepfunctions._fail_execution = fail_unless_ended
    _stepfunctions._invoke_resource = failing(lambda resource, given: steps.ask(resource, given, invoke))
    _stepfunctions._invoke_with_callback = failing(call_back)
    _stepfunctions._scaled_sleep = failing(steps.pause)
    _stepfunctions._sleep_until = failing(steps.pause_until)
    _stepfunctions.now_iso = steps.now

    matches = _stepfunctions._error_matches

    def also_heartbeats(names: Sequence[str], error: str) -> bool:
        # "either ran longer than TimeoutSeconds, or failed to send a heartbeat" (SFN-12)
        if error == "States.HeartbeatTimeout":
            return bool({"States.ALL", "States.HeartbeatTimeout", "States.Timeout", "States.TaskFailed"} & set(names))
        return matches(names, error)

    _stepfunctions._error_matches = also_heartbeats


def _nothing(*_: Any, **__: Any) -> None:
    """Replace a function of ministack that must not run."""
