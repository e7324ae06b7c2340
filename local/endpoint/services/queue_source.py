"""SQS queues as the source of event source mappings.

https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from botocore.exceptions import ClientError

from aws_semantics.permissions import reading
from local.endpoint.api.errors import invalid_parameter
from local.endpoint.delivery.polling_thread import PollingThread
from local.endpoint.delivery.queue_mapping import QueueMapping, QueueMappingDependencies, poll_queue
from local.endpoint.roles import refused_call, role_of
from local.endpoint.services.event_source_mappings import EventSourceMapping, Parameters
from local.engine.queues.admission import MAPPING_DEFAULTS, mapping_problems, mapping_settings_of, visibility_problem


class QueueSource:
    """`MappingSource` of SQS queues.

    Args:
        dependencies: The services that the mappings share.
    """

    defaults: Mapping[str, Any] = MAPPING_DEFAULTS
    fixed: Sequence[str] = ()
    updatable: Sequence[str] = (*defaults, "FilterCriteria", "MetricsConfig", "ScalingConfig")
    #: A queue's mapping has no LastProcessingResult.
    described: Mapping[str, Any] = {"StateTransitionReason": "USER_INITIATED"}

    def __init__(self, dependencies: QueueMappingDependencies) -> None:
        self._with = dependencies

    def reads(self, arn: str) -> bool:
        """Return whether an ARN is a queue's."""
        return arn.startswith("arn:aws:sqs:")

    def check(self, arn: str, parameters: Parameters) -> None:
        """Refuse the settings that AWS refuses, in its words."""
        for problem in mapping_problems(parameters, fifo=arn.endswith(".fifo")):
            raise invalid_parameter(problem)

    def conflict(self, arn: str, function_arn: str, mapping_uuid: str) -> str:
        """Return AWS's message for a second mapping of the same function and queue."""
        return (
            f'An event source mapping with SQS arn (" {arn} ") and function (" {function_arn.split(":", 6)[6]} ") '
            f"already exists. Please update or delete the existing mapping with UUID {mapping_uuid}"
        )

    def connect(
        self,
        parameters: Parameters,
        function: Mapping[str, Any],  # noqa: ARG002 - `MappingSource`
    ) -> Callable[[EventSourceMapping], PollingThread]:
        """Find the queue."""
        arn = parameters["EventSourceArn"]
        url, _ = self._queue(arn)

        def poller(mapping: EventSourceMapping) -> PollingThread:
            return poll_queue(
                QueueMapping(mapping.uuid, mapping.function_arn, arn, url, role_of(mapping.function)),
                mapping_settings_of(mapping.configuration),
                dependencies=self._with,
                history=mapping.history,
            )

        return poller

    def check_function(self, parameters: Parameters, function: Mapping[str, Any]) -> None:
        """Refuse a function whose role may not read the queue, or whose timeout is longer than messages are hidden."""
        arn = parameters["EventSourceArn"]
        role = role_of(function)
        refusal = self._with.roles.refusal(role, reading(arn))
        if refusal is not None:
            raise refused_call(
                refusal,
                "InvalidParameterValueException",
                f"The provided execution role does not have permissions to call {refusal.operation} on SQS",
            )
        _, attributes = self._queue(arn)
        problem = visibility_problem(int(attributes["VisibilityTimeout"]), function["Timeout"])
        if problem is not None:
            raise invalid_parameter(problem)

    def _queue(self, arn: str) -> tuple[str, dict[str, str]]:
        try:
            url = self._with.queues.get_queue_url(QueueName=arn.rpartition(":")[2])["QueueUrl"]
            return url, self._with.queues.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
        except ClientError as missing:
            raise invalid_parameter(
                "Error occurred while ReceiveMessage. SQS Error Code: AWS.SimpleQueueService.NonExistentQueue. "
                "SQS Error Message: The specified queue does not exist."
            ) from missing
