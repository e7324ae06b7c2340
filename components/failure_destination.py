"""`FailureDestination`: the bucket, queue or topic that receives given-up batches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pulumi
import pulumi_aws as aws

from aws_semantics.permissions import SENDING_FAILURES
from components.access import Statement, allow, deliver_policy
from components.alarms import WAITING, make_alarms
from components.delivery import Destination, destination_problem, fifo_problem, service_of
from components.names import BUCKET, QUEUE, check_name
from components.private_bucket import private_bucket
from components.protection import is_protected
from components.refusal import Refused
from handlers.cdc.discard import DESTINATION_VARIABLE

#: How long failed batches are kept in S3, in days. Shorter than the effect ledger remembers (400 days), so that a
#: late replay still finds what was done.
KEEP_FAILED_BATCHES_DAYS = 365
#: SQS keeps a message 14 days at most.
QUEUE_RETENTION_SECONDS = 14 * 24 * 60 * 60


class FailureDestination(pulumi.ComponentResource):
    """The on-failure destination of a mapping: a bucket, a queue or a topic of its own, or one that exists.

    A topic keeps nothing, so one of its own also fills a queue, which keeps each document for 14 days.

    Args:
        kind: `"s3"`, `"sqs"`, `"sns"`, a bucket, standard queue or standard topic of the program, or the ARN of one
            that exists. One that is encrypted with a customer managed key needs its own grant: pass it in the
            consumer's `access`.
        parks_only: Whether Lambda delivers nothing here, and the runtime alone parks records: for a queue's consumer.
        alarm_actions: ARNs to notify when a message waits in a queue of its own.

    Attributes:
        arn: The destination's ARN.
        statements: Permissions for the function's role: Lambda delivers batches with it, and the handler runtime
            parks single records (handlers/cdc/discard.py).
        environment: Variables that name the place to park in; empty for a topic, which keeps no record.
        bucket, queue, topic: The resources that were created; `None` for the others.
        alarms: The `aws.cloudwatch.MetricAlarm` of a queue of its own, by its opinion's name.
        resources: The resources that must exist before the first batch is delivered.

    Raises:
        Refused: `kind` is something that Lambda does not deliver failed batches to.

    Example:
        failures = FailureDestination("search-index-failures", kind="sqs", alarm_actions=[pager.arn])
        pulumi.export("failures", failures.arn)
    """

    def __init__(
        self,
        name: str,
        *,
        kind: Destination,
        parks_only: bool = False,
        alarm_actions: Sequence[pulumi.Input[str]] = (),
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        if problem := destination_problem(kind):
            raise Refused(f"{name}: kind {problem}")
        if kind in ("s3", "sqs", "sns"):
            check_name(name, BUCKET if kind == "s3" else QUEUE, of=name.removesuffix("-failures"))
        super().__init__("weir:index:FailureDestination", name, {}, opts)
        self.bucket: aws.s3.Bucket | None = None
        self.queue: aws.sqs.Queue | None = None
        self.topic: aws.sns.Topic | None = None
        self.resources: list[pulumi.Resource] = []
        self.alarms: dict[str, aws.cloudwatch.MetricAlarm] = {}
        self.arn: pulumi.Input[str]
        self.statements: list[Statement]
        match kind:
            case "s3":
                self.bucket, self.resources = private_bucket(
                    name,
                    days=KEEP_FAILED_BATCHES_DAYS,
                    rule="expire-failed-batches",
                    # Dead letters outlive their consumer, and with them the settings that keep them private.
                    opts=pulumi.ResourceOptions(parent=self, retain_on_delete=is_protected() or None),
                )
                self._say_what_stays(name, self.bucket)
                self.arn = self.bucket.arn
                service = "s3"
            case "sqs":
                self.queue = self._make_queue(name, alarm_actions)
                self.arn = self.queue.arn
                service = "sqs"
            case "sns":
                self.topic = self._make_topic(name, alarm_actions)
                self.arn = self.topic.arn
                service = "sns"
            case str():
                self.arn = kind
                service = kind.split(":")[2]
            case _:
                service = service_of(kind)
                self.resources.append(kind)
                self.arn = _standard(name, kind)
        self.statements = _send(service, self.arn, parks_only=parks_only)
        #: Permissions to deliver, and not to park: for a pipe, which has no runtime.
        self.send_statements: list[Statement] = [allow(list(SENDING_FAILURES[service]), self.arn)]
        self.environment: dict[str, pulumi.Input[str]] = {} if service == "sns" else {DESTINATION_VARIABLE: self.arn}
        self.register_outputs({"arn": self.arn})

    def _say_what_stays(self, name: str, bucket: aws.s3.Bucket) -> None:
        """Name the bucket before its consumer goes, for afterwards no output does."""
        if is_protected() and self._protect is False:
            bucket.bucket.apply(
                lambda bucket_name: pulumi.log.warn(
                    f"{name}: when its statement is removed, the bucket {bucket_name} stays, with the dead letters "
                    f"that wait in it: list them with  aws s3 ls --recursive s3://{bucket_name}/ , and redrive or "
                    "delete them (docs/guides/deploy.md)",
                    resource=bucket,
                )
            )

    def _make_topic(self, name: str, alarm_actions: Sequence[pulumi.Input[str]]) -> aws.sns.Topic:
        child = pulumi.ResourceOptions(parent=self)
        # AWS's own key, which whoever may publish may use. No alarm notifies this topic: CloudWatch could not.
        topic = aws.sns.Topic(name, kms_master_key_id="alias/aws/sns", opts=child)
        self.queue = self._make_queue(name, alarm_actions)
        policy = aws.sqs.QueuePolicy(
            name,
            queue_url=self.queue.url,
            policy=deliver_policy("sns.amazonaws.com", topic.arn, self.queue.arn),
            opts=child,
        )
        subscription = aws.sns.TopicSubscription(
            name,
            topic=topic.arn,
            protocol="sqs",
            endpoint=self.queue.arn,
            raw_message_delivery=True,
            opts=pulumi.ResourceOptions(parent=self, depends_on=[policy]),
        )
        self.resources += [topic, policy, subscription]
        return topic

    def _make_queue(self, name: str, alarm_actions: Sequence[pulumi.Input[str]]) -> aws.sqs.Queue:
        child = pulumi.ResourceOptions(parent=self)
        queue = aws.sqs.Queue(
            name, message_retention_seconds=QUEUE_RETENTION_SECONDS, sqs_managed_sse_enabled=True, opts=child
        )
        self.resources.append(queue)
        self.alarms = make_alarms(name, (WAITING,), {"QueueName": queue.name}, actions=alarm_actions, opts=child)
        return queue


def _standard(name: str, destination: aws.s3.Bucket | aws.sqs.Queue | aws.sns.Topic) -> pulumi.Output[str]:
    """Return the ARN of a destination of the program, once it is known not to be FIFO."""
    if isinstance(destination, aws.s3.Bucket):
        return destination.arn
    fifo = destination.fifo_queue if isinstance(destination, aws.sqs.Queue) else destination.fifo_topic

    def check(arn_and_fifo: Sequence[Any]) -> str:
        arn, is_fifo = arn_and_fifo
        if is_fifo:
            raise Refused(f"{name}: kind {fifo_problem(arn)}")
        return arn

    return pulumi.Output.all(destination.arn, fifo).apply(check)


def _send(service: str, arn: pulumi.Input[str], *, parks_only: bool) -> list[Statement]:
    """Return the permissions to deliver batches, and to park records as the runtime does."""
    actions = SENDING_FAILURES[service]
    if service == "s3":
        return _send_to_bucket(actions, arn, parks_only=parks_only)
    # The runtime is given the ARN of a queue, and asks for the URL.
    return [allow([*actions, *(["sqs:GetQueueUrl"] if service == "sqs" else [])], arn)]


def _send_to_bucket(actions: Mapping[str, str], arn: pulumi.Input[str], *, parks_only: bool) -> list[Statement]:
    # A deleted bucket's name can be taken by somebody else: only a bucket of this account will do.
    own = {"s3:ResourceAccount": aws.get_caller_identity_output().account_id}
    on_objects = [action for action, to in actions.items() if to == "object"]
    park = allow(on_objects, pulumi.Output.concat(arn, "/discarded/*"), StringEquals=own)
    if parks_only:
        # The runtime keeps there how often a message was started that may have ended its process.
        starts = ["s3:PutObject", "s3:GetObject", "s3:DeleteObject"]
        return [
            park,
            allow(starts, pulumi.Output.concat(arn, "/started/*"), StringEquals=own),
            # Without it S3 answers 403 and not 404 for an object that is not there.
            allow(["s3:ListBucket"], arn, StringEquals=own),
        ]
    return [
        # Lambda writes below aws/lambda/<mapping's UUID>/, and the UUID is not known before the role is.
        allow(on_objects, pulumi.Output.concat(arn, "/aws/lambda/*"), StringEquals=own),
        allow([action for action in actions if action not in on_objects], arn, StringEquals=own),
        park,
    ]
