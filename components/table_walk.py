"""`TableWalk`: a state machine that reads a whole table in segments, and sends items to consumers of a fan-out.

`Reconciliation` and `Backfill` are made of it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal

import pulumi
import pulumi_aws as aws

from components.access import Access, Statement, allow, decrypt, policy_document, trust
from components.alarms import AlarmOpinion, make_alarms
from components.change_table import ChangeTable
from components.fan_out import FanOut
from components.function_settings import FunctionSettings
from components.private_bucket import private_bucket
from components.python_function import PythonFunction
from components.queue_consumer import QueueConsumer
from components.refusal import Refused
from components.watched import Watched
from handlers.cdc import claim_check, reconciler

#: DynamoDB scans in up to a million segments; Step Functions lists this many items in one state's input.
LARGEST_SEGMENTS: Final = 1_000
#: Days that reports are kept.
_REPORT_DAYS: Final = 90
#: The ARN of a bucket, and a prefix that neither ends with a slash nor has a wildcard of IAM's in it.
_BUCKET: Final = re.compile(r"arn:[\w-]+:s3:::([a-z0-9.-]+(?:/[^*?]*[^*?/])?)")
#: Another attempt finds the same export.
_REFUSED_EXPORTS: Final = [{"ErrorEquals": ["ExportRefused"], "MaxAttempts": 0}]
_SEGMENT_RETRIES: Final = {"ErrorEquals": ["States.ALL"], "IntervalSeconds": 5, "MaxAttempts": 5, "BackoffRate": 2}


class TableWalk(pulumi.ComponentResource):
    """A Step Functions state machine with one child execution per segment of a table, each a function with a cursor.

    A child goes on over several invocations until its segment is done. An execution takes `{"dryRun": false}` as its
    input; with any other it sends nothing. A backfill takes `"exports"`, too: the ARNs of exports that are read in the
    table's place. Its output lists the results of the segments.

    Args:
        type_: Name of the component's type.
        purpose: `reconcile` sends what is missing. `backfill` sends what a new consumer has not seen, and consumers
            mark effects as done.
        table: The table.
        fan_out: The fan-out whose consumers get items.
        consumers: The consumers, by name.
        exports: ARN of the bucket that exports of the table are read from, with a prefix or without; `None` for none.
        not_from_windows: Why a consumer cannot be fed from incremental exports, by its name.
        access: Permissions beyond those to look up what the consumers' own accesses write.
        segments: Parts that the table is read in, 1 to 1,000.
        concurrency: Segments that are read at once, at least 1.
        items_per_second: Items read per second, over all segments. An item of up to 4 KB costs a read unit each.
        settle_seconds: Seconds after which what was missing is looked up once more before it counts.
        function: How the function runs; its timeout is the longest part of a walk.
        alarms: The alarms of the machine and its function.
        alarm_actions: ARNs that alarms notify, usually of SNS topics.

    Attributes:
        state_machine: The `aws.sfn.StateMachine`.
        function: The `aws.lambda_.Function` that reads a segment.
        role: The function's role.
        reports: The `aws.s3.Bucket` of reports: for each execution, a line of JSON for each missing effect or row.

    Raises:
        Refused: A number is out of range, or two consumers mean different tables by one variable.
    """

    def __init__(
        self,
        type_: str,
        name: str,
        *,
        purpose: Literal["reconcile", "backfill"],
        table: ChangeTable,
        fan_out: FanOut,
        consumers: Mapping[str, QueueConsumer],
        access: Sequence[Access],
        exports: pulumi.Input[str] | None = None,
        not_from_windows: Mapping[str, str | None] | None = None,
        segments: int,
        concurrency: int,
        items_per_second: int,
        settle_seconds: int,
        function: FunctionSettings | None,
        alarms: Sequence[AlarmOpinion],
        alarm_actions: Sequence[pulumi.Input[str]],
        opts: pulumi.ResourceOptions | None,
    ) -> None:
        _check(name, segments=segments, concurrency=concurrency, items_per_second=items_per_second)
        super().__init__(type_, name, {}, opts)
        child = pulumi.ResourceOptions(parent=self)
        self.reports, bucket_resources = private_bucket(
            f"{name}-reports", days=_REPORT_DAYS, rule="expire-reports", opts=child
        )
        made = PythonFunction(
            name,
            entry_point=f"{reconciler.__name__}.{reconciler.handler.__name__}",
            access=[*_lookups(name, consumers), *access],
            statements=[
                *self._statements(purpose, table, fan_out, list(consumers.values())),
                *_reads_exports(table, exports),
            ],
            environment={claim_check.BUCKET_VARIABLE: fan_out.claim_checks.bucket},
            settings=function or FunctionSettings(timeout=300),
            further_modules=sorted({each.consumer.module for each in consumers.values()}),
            opts=child,
        )
        self.function, self.role = made.function, made.role
        machine_role = aws.iam.Role(f"{name}-machine", assume_role_policy=trust("states.amazonaws.com"), opts=child)
        invokes = aws.iam.RolePolicy(
            f"{name}-invoke",
            role=machine_role.name,
            policy=policy_document([allow(["lambda:InvokeFunction"], self.function.arn)]),
            opts=child,
        )
        job: dict[str, Any] = {
            "purpose": purpose,
            "table": table.table.name,
            "keys": list(table.stream.keys or {}),
            "reports": self.reports.bucket,
            "segments": segments,
            "itemsPerSecond": items_per_second / min(concurrency, segments),
            "settleSeconds": settle_seconds,
            "consumers": {
                each: {"entryPoint": made.consumer.entry_point, "queueUrl": made.queue.url}
                for each, made in consumers.items()
            },
        }
        if exports is not None:
            is_known = isinstance(exports, str)
            job["exportsIn"] = (
                _place(name, exports)
                if is_known
                else pulumi.Output.from_input(exports).apply(lambda arn: _place(name, arn))
            )
            for each, reason in (not_from_windows or {}).items():
                if reason is not None:
                    job["consumers"][each]["notFromWindows"] = reason
        subscriptions = [each.subscription for each in consumers.values()]
        self.state_machine = aws.sfn.StateMachine(
            name,
            role_arn=machine_role.arn,
            definition=pulumi.Output.json_dumps(_definition(name, self.function.arn, job, segments, concurrency)),
            opts=pulumi.ResourceOptions(
                parent=self,
                depends_on=[invokes, *bucket_resources, *subscriptions],
            ),
        )
        # A distributed map runs its children as executions of the machine itself.
        aws.iam.RolePolicy(
            f"{name}-children",
            role=machine_role.name,
            policy=policy_document(
                [
                    allow(["states:StartExecution"], self.state_machine.arn),
                    allow(
                        ["states:DescribeExecution", "states:StopExecution"],
                        self.state_machine.arn.apply(lambda arn: f"{arn.replace(':stateMachine:', ':execution:')}:*"),
                    ),
                ]
            ),
            opts=child,
        )
        self.alarms = make_alarms(
            name,
            alarms,
            {"StateMachineArn": self.state_machine.arn, "FunctionName": self.function.name},
            actions=alarm_actions,
            opts=child,
        )
        self.register_outputs({"stateMachineArn": self.state_machine.arn})

    def watched(self) -> Sequence[Watched]:
        """Return what a dashboard shows of the walk: its alarms."""
        return [Watched(name=self.pulumi_resource_name, alarms=[*self.alarms.values()])]

    def _statements(
        self, purpose: str, table: ChangeTable, fan_out: FanOut, consumers: Sequence[QueueConsumer]
    ) -> list[Statement]:
        queues = [each.queue.arn for each in consumers]
        send = ["sqs:SendMessage"] if purpose == "reconcile" else ["sqs:SendMessage", "sqs:GetQueueAttributes"]
        keys = [] if fan_out.kms_key_arn is None else [allow(["kms:GenerateDataKey"], fan_out.kms_key_arn)]
        return [
            allow(["dynamodb:Scan", "dynamodb:BatchGetItem"], table.table.arn),
            *decrypt(table.kms_key_arn),
            *(allow(send, queue) for queue in queues),
            *keys,
            *decrypt(fan_out.kms_key_arn),
            allow(["s3:PutObject"], pulumi.Output.concat(self.reports.arn, "/*")),
            allow(["s3:PutObject"], pulumi.Output.concat(fan_out.claim_checks.arn, "/*")),
        ]


def _lookups(name: str, consumers: Mapping[str, QueueConsumer]) -> list[Access]:
    """Return the accesses to look up what consumers write, each once."""
    found: dict[str, Access] = {}
    for each, made in consumers.items():
        for lookup in (access.lookup for access in made.access if access.lookup is not None):
            for variable, value in lookup.environment.items():
                if variable in found and found[variable].environment[variable] is not value:
                    raise Refused(
                        f"{name}: {variable} of {each} names another table than that of a consumer before it, and one "
                        "walk has one: give the consumers' tables variables of their own"
                    )
                found[variable] = lookup
    return list(found.values())


def _reads_exports(table: ChangeTable, exports: pulumi.Input[str] | None) -> list[Statement]:
    """Return the permissions to find the table's exports and to read them."""
    if exports is None:
        return []
    return [
        allow(["dynamodb:DescribeTable"], table.table.arn),
        allow(["dynamodb:DescribeExport"], pulumi.Output.concat(table.table.arn, "/export/*")),
        allow(["s3:GetObject"], pulumi.Output.concat(exports, "/*")),
    ]


def is_bucket(arn: str) -> bool:
    """Return whether a text is the ARN of a bucket, with a prefix or without."""
    return _BUCKET.fullmatch(arn) is not None


def _place(name: str, arn: str) -> str:
    """Return the bucket of an ARN, with its prefix.

    Raises:
        Refused: It is not the ARN of a bucket.
    """
    found = _BUCKET.fullmatch(arn)
    if found is None:
        raise Refused(
            f"{name}: exports={arn!r} is not the ARN of a bucket: write arn:aws:s3:::BUCKET, or "
            "arn:aws:s3:::BUCKET/PREFIX"
        )
    return found[1]


def _source(name: str, function: pulumi.Output[str], job: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the states of a backfill that decide what is read: the table, or the exports that the input names."""
    if "exportsIn" not in job:
        missing = {
            "Type": "Fail",
            "Error": "NoExports",
            "Cause": f"{name} reads no exports: give Backfill(exports=…) the ARN of their bucket and run  pulumi up",
        }
        first, states, otherwise = "NoExports", {"NoExports": missing}, "Segments"
    else:
        check = {
            "Type": "Task",
            "Resource": "arn:aws:states:::lambda:invoke",
            "Parameters": {"FunctionName": function, "Payload": {**job, "check": True, "exports.$": "$.exports"}},
            "ResultPath": "$.found",
            "Retry": [*_REFUSED_EXPORTS, _SEGMENT_RETRIES],
            "Next": "Segments",
        }
        table = {"Type": "Pass", "Result": {"Payload": {"exports": []}}, "ResultPath": "$.found", "Next": "Segments"}
        first, states, otherwise = "Check", {"Check": check, "Table": table}, "Table"
    choice = {
        "Type": "Choice",
        "Choices": [{"Variable": "$.exports", "IsPresent": True, "Next": first}],
        "Default": otherwise,
    }
    return {"Source": choice, **states}


def _definition(
    name: str, function: pulumi.Output[str], job: Mapping[str, Any], segments: int, concurrency: int
) -> Mapping[str, Any]:
    """Return the states: all segments at once, and in each of them parts until it is done."""
    is_backfill = job["purpose"] == "backfill"
    source = _source(name, function, job) if is_backfill else {}
    begin = "Source" if is_backfill else "Segments"
    results = ("segment", "checked", "missing", "uncertain", "sent")
    part = {
        "Part": {
            "Type": "Task",
            "Resource": "arn:aws:states:::lambda:invoke",
            "Parameters": {"FunctionName": function, "Payload.$": "$"},
            "OutputPath": "$.Payload",
            "Retry": [*_REFUSED_EXPORTS, _SEGMENT_RETRIES] if "exportsIn" in job else [_SEGMENT_RETRIES],
            "Next": "IsDone",
        },
        "IsDone": {
            "Type": "Choice",
            "Choices": [{"Variable": "$.done", "BooleanEquals": True, "Next": "Results"}],
            "Default": "Part",
        },
        "Results": {"Type": "Pass", "Parameters": {f"{each}.$": f"$.{each}" for each in results}, "End": True},
    }
    return {
        "Comment": "Reads a table in segments and sends items to the consumers that miss them",
        "StartAt": "IsDryRun",
        "States": {
            "IsDryRun": {
                "Type": "Choice",
                "Choices": [
                    {
                        "And": [
                            {"Variable": "$.dryRun", "IsPresent": True},
                            {"Variable": "$.dryRun", "BooleanEquals": False},
                        ],
                        "Next": begin,
                    }
                ],
                "Default": "DryRun",
            },
            "DryRun": {"Type": "Pass", "Result": True, "ResultPath": "$.dryRun", "Next": begin},
            **source,
            "Segments": {
                "Type": "Pass",
                "Result": list(range(segments)),
                "ResultPath": "$.segments",
                "Next": "Walk",
            },
            "Walk": {
                "Type": "Map",
                "ItemsPath": "$.segments",
                "MaxConcurrency": concurrency,
                "ItemSelector": {
                    **job,
                    "segment.$": "$$.Map.Item.Value",
                    "run.$": "$$.Execution.Name",
                    "dryRun.$": "$.dryRun",
                    **({"exports.$": "$.found.Payload.exports"} if "exportsIn" in job else {}),
                },
                "ItemProcessor": {
                    "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
                    "StartAt": "Part",
                    "States": part,
                },
                "End": True,
            },
        },
    }


def _check(name: str, **numbers: int) -> None:
    for number, value in numbers.items():
        if value < 1 or (number == "segments" and value > LARGEST_SEGMENTS):
            allowed = f"1 to {LARGEST_SEGMENTS:,}" if number == "segments" else "at least 1"
            raise Refused(f"{name}: {number}={value} must be {allowed}")
