"""Parts of programs with raw resources that every rule accepts, and the right verdicts about programs."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pulumi
import pulumi_aws as aws

READS = ["dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator"]
#: Settings of a mapping that every rule accepts, without its destination.
GOOD = {
    "starting_position": "TRIM_HORIZON",
    "bisect_batch_on_function_error": True,
    "maximum_retry_attempts": 12,
    "function_response_types": ["ReportBatchItemFailures"],
    "metrics_config": {"metrics": ["EventCount"]},
}
MANAGED = "arn:aws:iam::aws:policy"


@dataclass(frozen=True)
class Judged:
    """A program and its right verdict.

    Attributes:
        program: The program.
        reports: The right findings: rule and resource.
        after_up: Those of them that a preview of an empty account cannot have yet.
        levels: The level of a rule's findings.
        says: A text in the message of a finding.
        never_says: A text that must not be in it.
    """

    program: Callable[[], object]
    reports: frozenset[tuple[str, str]]
    after_up: frozenset[tuple[str, str]] = frozenset()
    levels: Mapping[str, str] = field(default_factory=dict[str, str])
    says: str = ""
    never_says: str = ""

    @property
    def name(self) -> str:
        """The name of the program, as a sentence."""
        return self.program.__name__


def trust(service):
    principal = {"Service": f"{service}.amazonaws.com"}
    return json.dumps({"Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": principal}]})


def document(*statements):
    """A policy: each statement is (actions, resources), or a whole one."""
    return pulumi.Output.json_dumps(
        {
            "Version": "2012-10-17",
            "Statement": [
                each if isinstance(each, dict) else {"Effect": "Allow", "Action": each[0], "Resource": each[1]}
                for each in statements
            ],
        }
    )


def role(name, *statements, service="lambda", **more):
    made = aws.iam.Role(f"{name}-role", assume_role_policy=trust(service), **more)
    if statements:
        aws.iam.RolePolicy(f"{name}-policy", role=made.id, policy=document(*statements))
    return made


def function(resource, user, **more):
    code = pulumi.AssetArchive({"app.py": pulumi.StringAsset("")})
    return aws.lambda_.Function(
        resource, role=user.arn, runtime="python3.13", handler="app.handler", code=code, **more
    )  # fmt: skip


def table(name="users", view="NEW_AND_OLD_IMAGES", **more):
    return aws.dynamodb.Table(
        name,
        **{
            "hash_key": "pk",
            "attributes": [{"name": "pk", "type": "S"}],
            "billing_mode": "PAY_PER_REQUEST",
            "stream_enabled": True,
            "stream_view_type": view,
            "point_in_time_recovery": {"enabled": True},
            "deletion_protection_enabled": True,
            **more,
        },
    )


def alarm(name, namespace, metric, dimensions, threshold, actions, statistic="Maximum", **more):
    return aws.cloudwatch.MetricAlarm(
        name,
        **{
            "namespace": namespace,
            "metric_name": metric,
            "dimensions": dimensions,
            "statistic": statistic,
            "period": 60,
            "evaluation_periods": 3,
            "threshold": threshold,
            "comparison_operator": "GreaterThanThreshold",
            "alarm_actions": actions,
            **more,
        },
    )


def age_alarm(code, actions, name=None, **more):
    name = name or f"{code._name}-age"
    return alarm(name, "AWS/Lambda", "IteratorAge", {"FunctionName": code.name}, 900_000, actions, **more)


def depth_alarm(queue, actions, threshold=0, metric="ApproximateNumberOfMessagesVisible", **more):
    name = f"{queue._name}-depth"
    return alarm(name, "AWS/SQS", metric, {"QueueName": queue.name}, threshold, actions, **more)


def delivered_alarm(name, mapping, actions):
    dimensions = {"EventSourceMappingUUID": mapping.uuid}
    return alarm(name, "AWS/Lambda", "OnFailureDestinationDeliveredEventCount", dimensions, 0, actions, "Sum")


def dead_letters(actions, name="failures", **more):
    """A failure queue that every rule accepts."""
    queue = aws.sqs.Queue(name, message_retention_seconds=1209600, **more)
    depth_alarm(queue, actions, **{key: more[key] for key in ("region",) if key in more})
    return queue


def to(destination):
    return {"destination_config": {"on_failure": {"destination_arn": destination.arn}}}


def consumer(name, source, actions, destination, *statements, code=None, aged=True, reads=True, **mapping):
    """A reader that every rule accepts: its function and its mapping."""
    granted = [(READS, source.stream_arn)] if reads else []
    made = function(name, role(name, *granted, *statements), **(code or {}))
    settings = {"event_source_arn": source.stream_arn, "function_name": made.arn, **GOOD, **to(destination), **mapping}
    reader = aws.lambda_.EventSourceMapping(f"{name}-mapping", **settings)
    if aged:
        age_alarm(made, actions)
    return made, reader


def pipe(name, source, target, actions, destination, *statements, parameters=None, alarm_more=None, **more):
    """A pipe from a stream that every rule accepts."""
    user = role(
        name,
        (READS, source.stream_arn),
        ("sqs:SendMessage", [target.arn, destination.arn]),
        *statements,
        service="pipes",
    )
    logs = aws.cloudwatch.LogGroup(f"{name}-logs")
    settings = {
        "starting_position": "TRIM_HORIZON",
        "batch_size": 10,
        "maximum_retry_attempts": 12,
        "on_partial_batch_item_failure": "AUTOMATIC_BISECT",
        "dead_letter_config": {"arn": destination.arn},
        **(parameters or {}),
    }
    made = aws.pipes.Pipe(
        name,
        role_arn=user.arn,
        source=source.stream_arn,
        target=target.arn,
        source_parameters={"dynamodb_stream_parameters": settings},
        log_configuration={"level": "ERROR", "cloudwatch_logs_log_destination": {"log_group_arn": logs.arn}},
        **more,
    )
    dimensions = {"PipeName": made.name}
    alarm(
        f"{name}-failing",
        "AWS/EventBridge/Pipes",
        "ExecutionFailed",
        dimensions,
        0,
        actions,
        "Sum",
        **(alarm_more or {}),
    )
    return made


def sends(queue):
    return ("sqs:SendMessage", queue.arn)


def mails(oncall=None, *, source=None, failures=None, granted=(), **more):
    """The usual program: a table, a consumer, a failure queue and a topic for alarms."""
    oncall = oncall or aws.sns.Topic("oncall")
    source = source or table()
    failures = failures or dead_letters([oncall.arn])
    return consumer("mails", source, [oncall.arn], failures, sends(failures), *granted, **more)


def cases() -> tuple[list[Judged], Any]:
    """A list of judged programs, and the decorator that adds to it."""
    found: list[Judged] = []

    def judged(*reports, **more):
        def add(program):
            more["after_up"] = frozenset(reports if more.get("after_up") is True else more.get("after_up", ()))
            found.append(Judged(program, frozenset(reports), **more))
            return program

        return add

    return found, judged
