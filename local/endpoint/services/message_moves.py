"""Message move tasks of SQS: the messages of a dead-letter queue go back to where they came from, or to another queue.

https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-configure-dead-letter-queue-redrive.html
and docs/aws-semantics.md, REPLAY-1, SQS-5 and SQS-11 to SQS-14.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from local.endpoint.api.aws_call import AwsCall
from local.endpoint.api.errors import AwsError
from local.endpoint.routes import Routes
from local.engine.clock import Clock
from local.engine.queues.move_task import MoveTask, read_handle

#: Messages per second that a task may be asked for.
MOST_PER_SECOND = 500

#: Tasks of a queue that are kept, and listed at most.
_MOST_LISTED = 10

#: Seconds for which a message is hidden that is being moved.
_MOVING_SECONDS = 30


class MessageMoves:
    """The tasks of all queues. Each runs in a thread, by the endpoint's clock.

    Args:
        queues: A boto3 client of SQS.
        sources: Returns the ARNs of the queues that have a queue as their dead-letter queue, by its ARN.
        clock: The endpoint's clock.
    """

    def __init__(self, queues: Any, sources: Callable[[str], Sequence[str]], clock: Clock) -> None:
        self._queues = queues
        self._sources = sources
        self._clock = clock
        self._lock = threading.Lock()
        self._tasks: dict[str, list[MoveTask]] = {}

    @property
    def routes(self) -> Routes:
        """The tables of the three operations."""
        return Routes(
            answered={
                "sqs:StartMessageMoveTask": self.start_message_move_task,
                "sqs:ListMessageMoveTasks": self.list_message_move_tasks,
                "sqs:CancelMessageMoveTask": self.cancel_message_move_task,
            },
            tells={"sqs:DeleteQueue": [self._forget]},
        )

    def start_message_move_task(self, parameters: Mapping[str, Any]) -> tuple[int, dict[str, Any]]:
        """Answer StartMessageMoveTask."""
        source, destination = parameters["SourceArn"], parameters.get("DestinationArn")
        rate = parameters.get("MaxNumberOfMessagesPerSecond")
        url = self._url(source, "SourceArn")
        if destination is not None:
            self._url(destination, "DestinationArn")
            if source.endswith(".fifo") != destination.endswith(".fifo"):
                raise _invalid("The destination queue must be of the same type as the source queue.")
        if not self._sources(source):
            raise _invalid("Source queue must be configured as a Dead Letter Queue.")
        if rate is not None and not 1 <= rate <= MOST_PER_SECOND:
            raise _invalid(
                f"Value {rate} for parameter MaxNumberOfMessagesPerSecond is invalid. "
                f"Reason: Must be between 1 and {MOST_PER_SECOND}, if provided."
            )
        counted = self._queues.get_queue_attributes(QueueUrl=url, AttributeNames=["ApproximateNumberOfMessages"])
        task = MoveTask(
            source,
            url,
            destination=destination,
            rate=rate,
            to_move=int(counted["Attributes"]["ApproximateNumberOfMessages"]),
            started=self._clock.now(),
        )
        with self._lock:
            tasks = self._tasks.setdefault(source, [])
            if any(each.is_active for each in tasks):
                raise _invalid(
                    "There is already a task running. Only one active task is allowed for a source queue arn at a "
                    "given time."
                )
            tasks.insert(0, task)
            del tasks[_MOST_LISTED:]
        threading.Thread(target=self._run, args=[task], name=f"move-{task.id}", daemon=True).start()
        return 200, {"TaskHandle": task.handle}

    def list_message_move_tasks(self, parameters: Mapping[str, Any]) -> tuple[int, dict[str, Any]]:
        """Answer ListMessageMoveTasks: the latest task first."""
        source, most = parameters["SourceArn"], parameters.get("MaxResults", 1)
        self._url(source, "SourceArn")
        if not 1 <= most <= _MOST_LISTED:
            raise _invalid(
                f"Value {most} for parameter MaxResults is invalid. Reason: Must be between 1 and {_MOST_LISTED}."
            )
        with self._lock:
            return 200, {"Results": [each.described() for each in self._tasks.get(source, [])[:most]]}

    def cancel_message_move_task(self, parameters: Mapping[str, Any]) -> tuple[int, dict[str, Any]]:
        """Answer CancelMessageMoveTask. What was moved stays where it is."""
        named = read_handle(parameters["TaskHandle"])
        if named is None:
            raise _invalid("Value for parameter TaskHandle is invalid.")
        source, identity = named
        self._url(source, "SourceArn")
        with self._lock:
            task = next((each for each in self._tasks.get(source, []) if each.id == identity), None)
            if task is None:
                raise AwsError("ResourceNotFoundException", "Task does not exist.", status=404)
            if task.status != "RUNNING":
                raise AwsError("UnsupportedOperation", f"A task is cancelled while it is RUNNING; it is {task.status}.")
            task.cancel()
        self._clock.wake()
        return 200, {"ApproximateNumberOfMessagesMoved": task.moved}

    def close(self) -> None:
        """End every task."""
        with self._lock:
            for each in self._tasks.values():
                _cancel(each)
        self._clock.wake()

    def _forget(self, call: AwsCall) -> None:
        """Forget the tasks of a deleted queue, so that a new one of its name has none."""
        name = call.parameters["QueueUrl"].rpartition("/")[2]
        with self._lock:
            for arn in [each for each in self._tasks if each.endswith(f":{name}")]:
                _cancel(self._tasks.pop(arn))
        self._clock.wake()

    def _url(self, arn: str, parameter: str) -> str:
        try:
            return self._queues.get_queue_url(QueueName=arn.rpartition(":")[2])["QueueUrl"]
        except ClientError as missing:
            message = f"The resource that you specified for the {parameter} parameter doesn't exist."
            raise AwsError("ResourceNotFoundException", message, status=404) from missing

    def _run(self, task: MoveTask) -> None:
        """Move the messages that were there at the start, one after the other, so that groups keep their order."""
        try:
            while task.status == "RUNNING" and task.moved < task.to_move and self._move_one(task):
                task.moved += 1
                if task.moved < task.to_move:
                    self._clock.wait_until(task.due, lambda: task.status != "RUNNING")
        except ClientError as refused:
            self._end(task, refused.response.get("Error", {}).get("Code", "InternalError"))
        except _SourceUnknown:
            self._end(task, "CouldNotDetermineMessageSource")
        except BotoCoreError:
            self._end(task, "InternalError")  # the endpoint ends
        else:
            self._end(task)

    def _end(self, task: MoveTask, failure: str | None = None) -> None:
        with self._lock:
            task.end(failure)

    def _move_one(self, task: MoveTask) -> bool:
        """Move the oldest message that is visible; return whether there was one.

        Raises:
            ClientError: A queue does not exist, or refuses the message; it stays where it was.
            _SourceUnknown: The message was sent to the dead-letter queue itself, and the task names no other queue.
        """
        messages = self._queues.receive_message(
            QueueUrl=task.url,
            WaitTimeSeconds=0,
            VisibilityTimeout=_MOVING_SECONDS,
            AttributeNames=["All"],
            MessageAttributeNames=["All"],
        ).get("Messages", [])
        if not messages:
            return False
        (message,) = messages
        try:
            self._send(message, task)
        except (ClientError, _SourceUnknown):
            self._queues.change_message_visibility(
                QueueUrl=task.url, ReceiptHandle=message["ReceiptHandle"], VisibilityTimeout=0
            )
            raise
        self._queues.delete_message(QueueUrl=task.url, ReceiptHandle=message["ReceiptHandle"])
        return True

    def _send(self, message: Mapping[str, Any], task: MoveTask) -> None:
        attributes = message["Attributes"]
        destination = task.destination or attributes.get("DeadLetterQueueSourceArn")
        if destination is None:
            raise _SourceUnknown
        order: dict[str, str] = {}
        if task.source.endswith(".fifo"):
            # SQS gives a dead letter its message id as its deduplication id (SQS-11), so that no move is a repeat.
            order = {
                "MessageGroupId": attributes["MessageGroupId"],
                "MessageDeduplicationId": message["MessageId"],
            }
        url = self._queues.get_queue_url(QueueName=destination.rpartition(":")[2])["QueueUrl"]
        self._queues.send_message(
            QueueUrl=url,
            MessageBody=message["Body"],
            MessageAttributes=message.get("MessageAttributes", {}),
            **order,
        )


class _SourceUnknown(Exception):
    """A message of a dead-letter queue that came from no queue."""


def _cancel(tasks: Iterable[MoveTask]) -> None:
    for each in tasks:
        each.cancel()


def _invalid(message: str) -> AwsError:
    return AwsError("InvalidParameterValue", message)
