"""`Sequencer`: the table behind `handlers.cdc.sequencer.Sequencer`, and its time-outs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pulumi
import pulumi_aws as aws

from components.access import Access, allow, decrypt, policy_document, trust
from components.alarms import TIME_OUT_ALARMS, AlarmOpinion, make_alarms
from components.function_settings import FunctionSettings
from components.needs import check_needs
from components.python_function import PythonFunction
from components.refusal import Refused
from components.watched import Watched, waiting
from handlers.cdc.sequencer import TABLE_VARIABLE, TimeOut
from handlers.cdc.sequencer_timer import TIMER_VARIABLE

_FOURTEEN_DAYS = 1_209_600


class Sequencer(pulumi.ComponentResource):
    """A DynamoDB table of items that wait until the changes of several items have arrived. It has no stream.

    Consumers of several tables' changes share it: each brings a part, and whoever completes an item runs the effect,
    through an effect ledger. With `timed_out`, each item that waits has a one-time schedule in EventBridge Scheduler,
    which calls a function of the sequencer's own when the wait is over. Guide: docs/guides/sequencing.md; the reasons:
    docs/decisions/0067-a-sequence-is-one-item-and-the-ledger.md and
    docs/decisions/0075-a-time-out-takes-the-effect-s-key.md.

    Args:
        timed_out: The handler of time-outs, of a sequencer with `patience`; without one, nothing ends a wait.
        access: Permissions of that handler beyond those to read the table, e.g. the ledger's.
        function: How the function of that handler runs.
        kms_key_arn: A customer managed key; without one the account's AWS managed key encrypts the table.
        deletion_protection: Refuse to delete the table: without it, parts that have arrived would be forgotten.
        alarms: The alarms of time-outs that failed, `TIME_OUT_ALARMS` by default.
        alarm_actions: ARNs that alarms notify, usually of SNS topics.

    Attributes:
        table: The `aws.dynamodb.Table`, with the key `sequenceKey` and the TTL attribute `expiresAt`.
        group: The `aws.scheduler.ScheduleGroup` of the time-outs; `None` without them.
        time_outs: The `PythonFunction` that they call; `None` without them.
        dead_letters: The `aws.sqs.Queue` of time-outs that failed; `None` without them.
        alarms: Each `aws.cloudwatch.MetricAlarm`, by name.

    Raises:
        Refused: The handler's sequencer has no `patience`, or the handler lacks an access.

    Example:
        waiting = Sequencer("waiting")
        access = [waiting.access(), ledger.access(), mail.send_access()]
    """

    def __init__(
        self,
        name: str,
        *,
        timed_out: TimeOut | None = None,
        access: Sequence[Access] = (),
        function: FunctionSettings | None = None,
        kms_key_arn: pulumi.Input[str] | None = None,
        deletion_protection: bool = True,
        alarms: Sequence[AlarmOpinion] = TIME_OUT_ALARMS,
        alarm_actions: Sequence[pulumi.Input[str]] = (),
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("weir:index:Sequencer", name, {}, opts)
        self._name = name
        self.kms_key_arn = kms_key_arn
        self.table = aws.dynamodb.Table(
            name,
            billing_mode="PAY_PER_REQUEST",
            hash_key="sequenceKey",
            attributes=[{"name": "sequenceKey", "type": "S"}],
            ttl={"attribute_name": "expiresAt", "enabled": True},
            point_in_time_recovery={"enabled": True},
            server_side_encryption=aws.dynamodb.TableServerSideEncryptionArgs(enabled=True, kms_key_arn=kms_key_arn),
            deletion_protection_enabled=deletion_protection,
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.group: aws.scheduler.ScheduleGroup | None = None
        self.time_outs: PythonFunction | None = None
        self.dead_letters: aws.sqs.Queue | None = None
        self.alarms: Mapping[str, aws.cloudwatch.MetricAlarm] = {}
        self._starts: Access | None = None
        if timed_out is not None:
            self._end_waits(timed_out, access, function, alarms, alarm_actions)
        self.register_outputs({"tableName": self.table.name})

    def access(self, variable: str = TABLE_VARIABLE) -> Access:
        """Permission to bring parts and to start their time-outs, and neither to scan nor to delete items.

        Args:
            variable: The environment variable that the sequencer takes the table's name from.
        """
        # UpdateItem also returns the item; it needs no permission to read.
        writes = allow(["dynamodb:UpdateItem"], self.table.arn)
        starts = Access([]) if self._starts is None else self._starts
        return Access(
            [writes, *decrypt(self.kms_key_arn), *starts.statements],
            {variable: self.table.name, **starts.environment},
            lookup=self.read_access(variable),
        )

    def read_access(self, variable: str = TABLE_VARIABLE) -> Access:
        """Return the permission to look waiting items up by their keys, for a `Reconciliation`.

        Args:
            variable: The environment variable that the sequencer takes the table's name from.
        """
        reads = allow(["dynamodb:BatchGetItem"], self.table.arn)
        return Access([reads, *decrypt(self.kms_key_arn)], {variable: self.table.name})

    def watched(self) -> Sequence[Watched]:
        """Return what a dashboard shows of the time-outs; nothing without them."""
        if self.dead_letters is None:
            return []
        return [Watched(name=self._name, dead_letters=waiting(self.dead_letters), alarms=[*self.alarms.values()])]

    def _end_waits(
        self,
        timed_out: TimeOut,
        access: Sequence[Access],
        function: FunctionSettings | None,
        alarms: Sequence[AlarmOpinion],
        alarm_actions: Sequence[pulumi.Input[str]],
    ) -> None:
        """Make the function of time-outs, and what calls it."""
        name, child = f"{self._name}-time-out", pulumi.ResourceOptions(parent=self)
        sequencer = timed_out.sequencer
        if sequencer.patience is None:
            raise Refused(
                f"{self._name}: the sequencer {sequencer.name} has no patience, so nothing starts a time-out: give it "
                "one, e.g. patience=timedelta(days=1), or take timed_out= away"
            )
        reads = Access(
            [allow(["dynamodb:GetItem"], self.table.arn), *decrypt(self.kms_key_arn)], {TABLE_VARIABLE: self.table.name}
        )
        # It ends waits and starts none.
        check_needs(name, timed_out.module, [reads, *access], [TIMER_VARIABLE])
        self.group = aws.scheduler.ScheduleGroup(self._name, opts=child)
        self.dead_letters = aws.sqs.Queue(
            f"{name}-dead-letters",
            sqs_managed_sse_enabled=True,
            message_retention_seconds=_FOURTEEN_DAYS,
            opts=child,
        )
        self.time_outs = PythonFunction(
            name,
            entry_point=timed_out.entry_point,
            access=[reads, *access],
            settings=function,
            dead_letters=self.dead_letters.arn,
            opts=child,
        )
        called = self.time_outs.function.arn
        role = aws.iam.Role(f"{name}-schedule", assume_role_policy=trust("scheduler.amazonaws.com"), opts=child)
        calls = aws.iam.RolePolicy(
            f"{name}-schedule",
            role=role.name,
            policy=policy_document(
                [
                    allow(["lambda:InvokeFunction"], called),
                    allow(["sqs:SendMessage"], self.dead_letters.arn),
                ]
            ),
            opts=child,
        )
        # A group's ARN is that of its schedules, apart from the kind.
        schedules = self.group.arn.apply(lambda arn: f"{str(arn).replace(':schedule-group/', ':schedule/')}/*")
        passed = {"iam:PassedToService": "scheduler.amazonaws.com"}
        self._starts = Access(
            [
                allow(["scheduler:CreateSchedule"], schedules),
                # A schedule may call its target as soon as the policy is there.
                allow(["iam:PassRole"], pulumi.Output.all(role.arn, calls.id)[0], StringEquals=passed),
            ],
            {
                TIMER_VARIABLE: pulumi.Output.json_dumps(
                    {
                        "group": self.group.name,
                        "function": called,
                        "role": role.arn,
                        "deadLetters": self.dead_letters.arn,
                    }
                )
            },
        )
        self.alarms = make_alarms(
            self._name, alarms, {"QueueName": self.dead_letters.name}, actions=alarm_actions, opts=child
        )
