"""The EventBridge Pipes API for DynamoDB streams (docs/aws-semantics.md §3).

https://docs.aws.amazon.com/eventbridge/latest/pipes-reference/
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from local.clock import Clock
from local.delivery import mapping as machine
from local.delivery.documents import pipe_failure_document
from local.delivery.lane import GiveUp, Invoke
from local.delivery.outcomes import Failed, Outcome, Partial, Rejected, Succeeded
from local.delivery.records import StreamRecord
from local.destinations import Destinations
from local.errors import AwsError, NotSimulated
from local.history import GivenUp, History, Invocation, keys_of
from local.metrics import Metrics
from local.pipe_executions import Executions
from local.pipe_services import Services
from local.pipe_telemetry import Concurrency, PipeLog, PipeMetrics, Trace
from local.pipes.admission import problems, settings_of, violations
from local.pipes.targets import UnsupportedTarget, enrichment_of, service_of
from local.poller import Poller
from local.shards import ShardReader, readers_of

Parameters = Mapping[str, Any]

#: What a pipe has when nothing is said, as AWS reads it back; what else has a default is left out there.
SOURCE_DEFAULTS = {"BatchSize": 100}

#: Members of CreatePipe that a pipe keeps as they were given.
_KEPT = (
    "Description",
    "Enrichment",
    "EnrichmentParameters",
    "KmsKeyIdentifier",
    "LogConfiguration",
    "RoleArn",
    "Target",
    "TargetParameters",
)
#: Who must be able to assume a pipe's role.
_PRINCIPAL = "pipes.amazonaws.com"


@dataclass(frozen=True)
class Surroundings:
    """What pipes share: boto3 clients of the services that the API itself uses, and what executions need.

    Attributes:
        streams: A client of DynamoDB Streams; likewise `roles` of IAM and `logs` of CloudWatch Logs.
        services: What pipes send to.
        destinations: Where dead letters go.
        concurrency: Counts the executions of all pipes.
    """

    streams: Any
    roles: Any
    logs: Any
    services: Services
    destinations: Destinations
    clock: Clock
    metrics: Metrics
    concurrency: Concurrency


class Pipe:
    """One pipe: its configuration, its state and the threads that run it."""

    def __init__(
        self, configuration: dict[str, Any], *, readers: list[ShardReader], account_id: str, surroundings: Surroundings
    ) -> None:
        self.configuration = configuration
        self.history = History()
        self.state = "CREATING"
        self._readers = readers
        self._account_id = account_id
        self._with = surroundings
        self._poller: Poller | None = None

    @property
    def name(self) -> str:
        """Its name."""
        return self.configuration["Name"]

    @property
    def table_name(self) -> str:
        """Name of the table whose stream it reads."""
        return self.configuration["Source"].split("/")[1]

    @property
    def idle(self) -> bool:
        """Whether it has nothing to do: every record that was written is done with, or it is stopped."""
        return self.state == "STOPPED" or (self.state == "RUNNING" and self._poller is not None and self._poller.idle)

    @property
    def unfinished(self) -> int:
        """How many records it has read and is not done with."""
        return 0 if self._poller is None else self._poller.unfinished

    def start(self) -> None:
        """Begin to deliver, from where it was."""
        of, around = self.configuration, self._with
        executions = Executions(of, services=around.services, clock=around.clock)
        log = PipeLog(of.get("LogConfiguration", {}), pipe_arn=of["Arn"], logs=around.logs, clock=around.clock)
        metrics = PipeMetrics(around.metrics, around.clock, pipe_name=self.name, account_id=self._account_id)
        settings = settings_of(of)

        def execute(call: Invoke) -> Outcome:
            now = around.clock.now()
            age = max(0, round((now - call.records[-1].arrived) * 1000))
            with around.concurrency.one_more() as running:
                metrics.record("Concurrency", running)
                outcome, ended = executions.run(call, Trace(log, metrics))
            self.history.add(
                Invocation(
                    at=now,
                    shard_id=call.shard_id,
                    request_id=call.request_id,
                    attempt=call.attempt,
                    identifiers=[each.identifier for each in call.records],
                    keys=keys_of(call.records),
                    outcome=ended,
                    accepted=_accepted(outcome, len(call.records)),
                    error_type=None,
                    bisected=isinstance(outcome, Failed) and settings.bisect and len(call.records) > 1,
                    iterator_age_ms=age,
                )
            )
            return outcome

        self._poller = Poller(
            machine.EventSourceMapping(settings),
            self._readers,
            name=f"pipe-{self.name}",
            clock=around.clock,
            invoke=execute,
            give_up=lambda given_up: self._give_up(given_up, settings.destination),
            identify=_named_by_event_id,
        )
        self._poller.start()
        self.state = "RUNNING"

    def stop(self, then: Callable[[], None]) -> None:
        """Deliver no more, and call `then` once the executions that run now have ended."""
        poller, self._poller = self._poller, None
        if poller is None:
            then()
            return
        poller.stop()

        def finish() -> None:
            poller.join()
            then()

        threading.Thread(target=finish, name=f"pipe-{self.name}-stop", daemon=True).start()

    def wake(self) -> None:
        """The table may have changed, or time has passed."""
        if self._poller is not None:
            self._poller.wake()

    def _give_up(self, given_up: GiveUp, dead_letters: str | None) -> bool | None:
        now = self._with.clock.now()
        document: dict[str, Any] | None = None
        location: str | None = None
        if dead_letters is not None:
            document = pipe_failure_document(
                given_up,
                now=now,
                pipe_arn=self.configuration["Arn"],
                stream_arn=self.configuration["Source"],
                shard_id=given_up.shard_id,
            )
            location = self._with.destinations.send(document, dead_letters)
        self.history.add(
            GivenUp(
                at=now,
                shard_id=given_up.shard_id,
                condition=given_up.condition,
                identifiers=[record.identifier for record in given_up.records],
                keys=keys_of(given_up.records),
                document=document,
                location=location,
            )
        )
        return None if dead_letters is None else location is not None


class Pipes:
    """The API: each operation takes its parameters by AWS's names and returns the answer's status and body.

    Args:
        surroundings: What pipes work with.
        region: Of their ARNs.
        account_id: Likewise.
    """

    def __init__(self, *, surroundings: Surroundings, region: str, account_id: str) -> None:
        self._with = surroundings
        self._arn = f"arn:aws:pipes:{region}:{account_id}:pipe/"
        self._account_id = account_id
        self._pipes: dict[str, Pipe] = {}
        self._lock = threading.RLock()

    def all(self) -> list[Pipe]:
        """Every pipe."""
        with self._lock:
            return list(self._pipes.values())

    def get(self, name: str) -> Pipe:
        """One pipe.

        Raises:
            AwsError: There is none.
        """
        with self._lock:
            pipe = self._pipes.get(name)
        if pipe is None:
            raise AwsError("NotFoundException", f"Pipe {name} does not exist.", status=404)
        return pipe

    def wake(self, tables: Collection[str]) -> None:
        """Tables have changed."""
        for pipe in self.all() if tables else []:
            if pipe.table_name in tables:
                pipe.wake()

    def wake_all(self) -> None:
        """Time has passed."""
        for pipe in self.all():
            pipe.wake()

    def create_pipe(self, parameters: Parameters) -> tuple[int, dict[str, Any]]:
        """CreatePipe."""
        configuration = _configuration(parameters)
        self._check(configuration)
        self._check_role(configuration["RoleArn"])
        # Readers are made before the lock is taken: they call the endpoint, which may be waiting for it.
        readers = self._readers(configuration)
        now = self._with.clock.now()
        with self._lock:
            if parameters["Name"] in self._pipes:
                raise AwsError("ConflictException", f"Pipe {parameters['Name']} already exists.", status=409)
            arn = self._arn + parameters["Name"]
            pipe = Pipe(
                {**configuration, "Arn": arn, "CreationTime": now, "LastModifiedTime": now},
                readers=readers,
                account_id=self._account_id,
                surroundings=self._with,
            )
            self._pipes[pipe.name] = pipe
        answer = _summary(pipe)
        self._reach(pipe)
        return 200, answer

    def describe_pipe(self, parameters: Parameters) -> tuple[int, dict[str, Any]]:
        """DescribePipe."""
        pipe = self.get(parameters["Name"])
        return 200, {**pipe.configuration, "CurrentState": pipe.state}

    def update_pipe(self, parameters: Parameters) -> tuple[int, dict[str, Any]]:
        """UpdatePipe: takes effect after the executions that run now, from the same position."""
        for problem in violations("UpdatePipe", parameters):
            raise AwsError("ValidationException", problem)
        pipe = self.get(parameters["Name"])
        configuration = _updated(pipe.configuration, parameters)
        self._check(configuration)
        self._check_role(configuration["RoleArn"])
        return 200, self._change(pipe, "UPDATING", configuration)

    def start_pipe(self, parameters: Parameters) -> tuple[int, dict[str, Any]]:
        """StartPipe."""
        pipe = self.get(parameters["Name"])
        return 200, self._change(pipe, "STARTING", pipe.configuration | {"DesiredState": "RUNNING"})

    def stop_pipe(self, parameters: Parameters) -> tuple[int, dict[str, Any]]:
        """StopPipe: the position is kept."""
        pipe = self.get(parameters["Name"])
        return 200, self._change(pipe, "STOPPING", pipe.configuration | {"DesiredState": "STOPPED"})

    def delete_pipe(self, parameters: Parameters) -> tuple[int, dict[str, Any]]:
        """DeletePipe: gone after the executions that run now."""
        pipe = self.get(parameters["Name"])
        with self._lock:
            pipe.configuration = pipe.configuration | {"DesiredState": "DELETED"}
            pipe.state = "DELETING"
        answer = _summary(pipe)

        def then() -> None:
            with self._lock:
                self._pipes.pop(pipe.name, None)

        pipe.stop(then)
        return 200, answer

    def list_pipes(self, parameters: Parameters) -> tuple[int, dict[str, Any]]:
        """ListPipes, all of them on one page."""
        summaries = [
            {**_summary(pipe), **{name: pipe.configuration[name] for name in ("Source", "Target")}}
            | ({"Enrichment": pipe.configuration["Enrichment"]} if "Enrichment" in pipe.configuration else {})
            for pipe in sorted(self.all(), key=lambda pipe: pipe.name)
        ]
        for member, prefix in parameters.items():
            name = member.removesuffix("Prefix")
            if name == member:
                summaries = [each for each in summaries if each[name] == prefix]
            else:
                summaries = [each for each in summaries if each[name].startswith(prefix)]
        return 200, {"Pipes": summaries}

    def _change(self, pipe: Pipe, state: str, configuration: dict[str, Any]) -> dict[str, Any]:
        with self._lock:
            if pipe.state not in ("RUNNING", "STOPPED"):
                raise AwsError("ConflictException", f"Pipe {pipe.name} is in the state {pipe.state}.", status=409)
            pipe.configuration = configuration | {"LastModifiedTime": self._with.clock.now()}
            pipe.state = state
        answer = _summary(pipe)
        pipe.stop(lambda: self._reach(pipe))
        return answer

    def _reach(self, pipe: Pipe) -> None:
        """Bring a pipe that does not run into its desired state."""
        with self._lock:
            if pipe.configuration["DesiredState"] == "RUNNING":
                pipe.start()
            else:
                pipe.state = "STOPPED"

    def _readers(self, configuration: Parameters) -> list[ShardReader]:
        position = configuration["SourceParameters"]["DynamoDBStreamParameters"]["StartingPosition"]
        try:
            return readers_of(
                self._with.streams,
                stream_arn=configuration["Source"],
                starting_position=position,
                clock=self._with.clock.now,
            )
        except ClientError as missing:
            raise AwsError("ValidationException", f"Source {configuration['Source']} not found.") from missing

    def _check(self, configuration: Parameters) -> None:
        asked = {name: value for name, value in configuration.items() if name not in _ANSWERED}
        _refuse_what_is_not_simulated(asked)
        for problem in problems(asked):
            raise AwsError("ValidationException", problem)

    def _check_role(self, role_arn: str) -> None:
        """Refuse a role that EventBridge Pipes could not assume. What it allows is not looked at."""
        refused = AwsError(
            "ValidationException", f"Provided role '{role_arn}' cannot be assumed by principal '{_PRINCIPAL}'."
        )
        try:
            role = self._with.roles.get_role(RoleName=role_arn.rpartition("/")[2])["Role"]
        except ClientError as missing:
            raise refused from missing
        statements = role["AssumeRolePolicyDocument"].get("Statement", [])
        if not any(_lets_assume(each) for each in statements if isinstance(each, Mapping)):
            raise refused


#: Members that DescribePipe adds to what was asked for.
_ANSWERED = ("Arn", "CreationTime", "LastModifiedTime")


def _configuration(parameters: Parameters) -> dict[str, Any]:
    """What a pipe is made with: what was given, and AWS's defaults."""
    configuration = dict(parameters)
    configuration.setdefault("DesiredState", "RUNNING")
    source = parameters.get("SourceParameters")
    if isinstance(source, Mapping) and isinstance(source.get("DynamoDBStreamParameters"), Mapping):
        stream = {**SOURCE_DEFAULTS, **source["DynamoDBStreamParameters"]}
        configuration["SourceParameters"] = {**source, "DynamoDBStreamParameters": stream}
    return configuration


def _updated(configuration: Parameters, given: Parameters) -> dict[str, Any]:
    """The configuration after UpdatePipe: members of services are replaced as a whole, the others one by one."""
    updated = {**configuration, **given}
    for member in ("SourceParameters", "EnrichmentParameters", "TargetParameters"):
        if member in configuration or member in given:
            updated[member] = {**configuration.get(member, {}), **given.get(member, {})}
    source = updated["SourceParameters"]
    position = configuration["SourceParameters"]["DynamoDBStreamParameters"]["StartingPosition"]
    stream = {**SOURCE_DEFAULTS, **source["DynamoDBStreamParameters"], "StartingPosition": position}
    updated["SourceParameters"] = {**source, "DynamoDBStreamParameters": stream}
    if updated["Target"] != configuration["Target"]:
        # Those of the former target's service say nothing to the new one.
        known = {"InputTemplate", *given.get("TargetParameters", {}), _parameters_of(updated["Target"])}
        kept = {name: value for name, value in updated.get("TargetParameters", {}).items() if name in known}
        updated["TargetParameters"] = kept
    # An empty text removes what it stands for.
    for member in ("Enrichment", "KmsKeyIdentifier"):
        if updated.get(member) == "":
            del updated[member]
    for member in ("EnrichmentParameters", "TargetParameters"):
        if updated.get(member, {}).get("InputTemplate") == "":
            del updated[member]["InputTemplate"]
    return updated


def _parameters_of(target: str) -> str | None:
    try:
        return service_of(target).parameters
    except UnsupportedTarget:
        return None


def _summary(pipe: Pipe) -> dict[str, Any]:
    of = pipe.configuration
    return {
        **{name: of[name] for name in ("Arn", "Name", "DesiredState", "CreationTime", "LastModifiedTime")},
        "CurrentState": pipe.state,
    }


def _refuse_what_is_not_simulated(parameters: Parameters) -> None:
    for member, look_up in (("Target", service_of), ("Enrichment", enrichment_of)):
        arn = parameters.get(member)
        if isinstance(arn, str) and arn:
            try:
                look_up(arn)
            except UnsupportedTarget as unsupported:
                raise NotSimulated(f"{member}: {unsupported}") from unsupported
    source = parameters.get("Source")
    if isinstance(source, str) and not (":dynamodb:" in source and "/stream/" in source):
        raise NotSimulated(
            f"the local endpoint has no pipes from {source!r}: give the ARN of a table's stream (LatestStreamArn), or "
            "test this pipe on an AWS account"
        )
    for place in (
        ("TargetParameters", "EventBridgeEventBusParameters", "EndpointId"),
        ("TargetParameters", "EventBridgeEventBusParameters", "Time"),
        ("LogConfiguration", "FirehoseLogDestination"),
        ("LogConfiguration", "S3LogDestination"),
    ):
        if _given(parameters, place):
            raise NotSimulated(
                f"the local endpoint does not simulate {'.'.join(place)} of a pipe, and ignoring it would show "
                "something that AWS does not do: leave it out here, and test it on an AWS account"
            )


def _given(parameters: Any, place: tuple[str, ...]) -> bool:
    for name in place:
        if not isinstance(parameters, Mapping) or name not in parameters:
            return False
        parameters = parameters[name]
    return True


def _lets_assume(statement: Mapping[str, Any]) -> bool:
    principal = statement.get("Principal", {})
    services = principal.get("Service", []) if isinstance(principal, Mapping) else []
    return statement.get("Effect") == "Allow" and _PRINCIPAL in ([services] if isinstance(services, str) else services)


def _named_by_event_id(record: StreamRecord) -> StreamRecord:
    """A pipe names records by their event IDs (§3.5)."""
    return StreamRecord(
        record.event, arrived=record.arrived, visible=record.visible, identifier=record.event["eventID"]
    )


def _accepted(outcome: Outcome, sent: int) -> int:
    match outcome:
        case Succeeded():
            return sent
        case Partial(accepted):
            return accepted
        case Rejected(positions):
            return sent - len(positions)
        case _:
            return 0
