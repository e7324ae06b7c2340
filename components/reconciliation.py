"""`Reconciliation`: looks every effect and row up that a table's items imply, and has what is missing brought about."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Final

import pulumi
import pulumi_aws as aws

from components.access import Access, allow, policy_document, trust
from components.alarms import AlarmOpinion, make_alarms
from components.change_table import ChangeTable
from components.fan_out import FanOut
from components.function_settings import FunctionSettings
from components.refusal import Refused
from components.table_walk import TableWalk

#: A reconciliation that fails repairs nothing, and one that finds something missing is the only sign of a loss.
RECONCILIATION_ALARMS: Final = (
    AlarmOpinion(
        name="walk-failed",
        namespace="AWS/States",
        metric="ExecutionsFailed",
        dimension="StateMachineArn",
        statistic="Sum",
        threshold=1,
        description="A walk over the table has failed. The execution's history in Step Functions has the reason.",
        command="weir reconcile",
    ),
    AlarmOpinion(
        name="effects-missing",
        namespace="Weir",
        metric="Missing",
        dimension="FunctionName",
        statistic="Sum",
        threshold=1,
        description="Effects or rows were missing, so a consumer has lost changes. The report in S3 names each.",
        command="weir reconcile",
    ),
    AlarmOpinion(
        name="walk-not-started",
        namespace="AWS/SQS",
        metric="ApproximateNumberOfMessagesVisible",
        dimension="QueueName",
        statistic="Maximum",
        threshold=1,
        description="EventBridge Scheduler could not start a walk that was due, for a day: nobody looks for what is "
        "missing.",
        command="weir reconcile",
    ),
)


class Reconciliation(TableWalk):
    """A scheduled walk over a table: what its items imply and no consumer has done is done.

    Consumers declare what an item implies with `@handler.expects`. What is missing is sent to the queue of the
    consumer, whose own function brings it about: through its ledger or its guard, so that nothing happens twice. Guide:
    docs/guides/reconciliation.md; the reasons: docs/decisions/0035-reconcile-through-the-consumers-queue.md.

    Args:
        table: The table.
        fan_out: The fan-out whose consumers get what they miss: those that declare `expects`.
        access: Permissions beyond those to look up what the consumers' own accesses write, e.g. a key to decrypt.
        schedule: Time of the walks, as EventBridge Scheduler writes it, in UTC: `cron(0 3 * * ? *)` is every night at
            three, `rate(6 hours)` four times a day; `None` for none. A scheduled walk sends what is missing.
        segments: Parts that the table is read in, 1 to 1,000.
        concurrency: Segments that are read at once, at least 1.
        items_per_second: Items read per second, over all segments: a read unit for each 4 KB of each.
        settle_seconds: Seconds after which what was missing is looked up once more before it counts, 0 or more: an
            effect may have been on its way.
        function: How the function runs that reads a segment; its timeout is the longest part of a walk.
        alarms: The alarms, `RECONCILIATION_ALARMS` by default; those of a queue are made where there is a schedule.
        alarm_actions: ARNs that alarms notify, usually of SNS topics.

    Attributes:
        state_machine: The `aws.sfn.StateMachine`; start it with `{"dryRun": true}` for a report alone.
        function: The `aws.lambda_.Function` that reads a segment.
        role: The function's role, which may only read, report, and send to the queues.
        reports: The `aws.s3.Bucket` of reports: for each execution, a line of JSON for each missing effect or row.
        schedule: The `aws.scheduler.Schedule`; `None` without one.

    Raises:
        Refused: A number is out of range, or no consumer declares `expects`.

    Example:
        fan_out.subscribe(welcome_email.handler, access=[ledger.access(), mail.send_access()])
        Reconciliation("reconciliation", table=users, fan_out=fan_out, schedule="cron(0 3 * * ? *)")
    """

    def __init__(
        self,
        name: str,
        *,
        table: ChangeTable,
        fan_out: FanOut,
        access: Sequence[Access] = (),
        schedule: str | None = None,
        segments: int = 16,
        concurrency: int = 4,
        items_per_second: int = 500,
        settle_seconds: int = 15,
        function: FunctionSettings | None = None,
        alarms: Sequence[AlarmOpinion] = RECONCILIATION_ALARMS,
        alarm_actions: Sequence[pulumi.Input[str]] = (),
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        consumers = {each: made for each, made in fan_out.consumers.items() if made.consumer.has_expectations}
        if not consumers:
            raise Refused(
                f"{name}: none of the consumers {', '.join(fan_out.consumers) or '(there are none)'} says what an item "
                "implies, so nothing could be found missing: declare it with @handler.expects, and make the "
                "reconciliation after the subscribe statements"
            )
        if settle_seconds < 0:
            raise Refused(f"{name}: settle_seconds={settle_seconds} must be 0 or more")
        super().__init__(
            "weir:index:Reconciliation",
            name,
            purpose="reconcile",
            table=table,
            fan_out=fan_out,
            consumers=consumers,
            access=access,
            segments=segments,
            concurrency=concurrency,
            items_per_second=items_per_second,
            settle_seconds=settle_seconds,
            function=function,
            alarms=[each for each in alarms if "QueueName" not in each.dimensions],
            alarm_actions=alarm_actions,
            opts=opts,
        )
        unstarted = [each for each in alarms if "QueueName" in each.dimensions]
        self.schedule = None if schedule is None else self._scheduled(name, schedule, unstarted, alarm_actions)

    def _scheduled(
        self,
        name: str,
        expression: str,
        alarms: Sequence[AlarmOpinion],
        alarm_actions: Sequence[pulumi.Input[str]],
    ) -> aws.scheduler.Schedule:
        child = pulumi.ResourceOptions(parent=self)
        role = aws.iam.Role(f"{name}-schedule", assume_role_policy=trust("scheduler.amazonaws.com"), opts=child)
        unstarted = aws.sqs.Queue(
            f"{name}-unstarted", sqs_managed_sse_enabled=True, message_retention_seconds=1_209_600, opts=child
        )
        self.alarms |= make_alarms(name, alarms, {"QueueName": unstarted.name}, actions=alarm_actions, opts=child)
        starts = aws.iam.RolePolicy(
            f"{name}-schedule",
            role=role.name,
            policy=policy_document(
                [
                    allow(["states:StartExecution"], self.state_machine.arn),
                    allow(["sqs:SendMessage"], unstarted.arn),
                ]
            ),
            opts=child,
        )
        return aws.scheduler.Schedule(
            name,
            schedule_expression=expression,
            flexible_time_window={"mode": "OFF"},
            target={
                "arn": self.state_machine.arn,
                "role_arn": role.arn,
                "input": json.dumps({"dryRun": False}),
                "dead_letter_config": {"arn": unstarted.arn},
            },
            opts=pulumi.ResourceOptions(parent=self, depends_on=[starts]),
        )
