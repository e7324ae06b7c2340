"""`TargetSender`: sends records through a pipe's enrichment and input template to its target, as the pipe does."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from local.endpoint.clients import LazyClient
from local.endpoint.delivery.pipe_services import PipeServices
from local.engine.actions import Invoke
from local.engine.outcomes import Succeeded
from local.engine.pipes.execution import Executions
from local.engine.pipes.sources import as_event
from local.engine.streams.records import StreamRecord
from ops.operator.dead_letters.letters import event_id_of, key_text, keys_of, sequence_of
from ops.operator.pipes import Pipe
from ops.operator.sending import Record
from ops.operator.stack import Stack


class TargetSender:
    """A `Sender` to the target of a pipe that reads a stream; each record is an execution of its own.

    AWS has no call that lets a pipe process records again. So the execution takes place here, by the pipe's description
    and with the caller's own permissions.

    Args:
        stack: The stack.
        pipe: The pipe, without a `problem`.
        pause: Called before each execution, to limit the rate.
    """

    def __init__(self, stack: Stack, pipe: Pipe, pause: Callable[[], None]) -> None:
        def queue_url(arn: str) -> str:
            account, name = arn.split(":")[4:]
            return stack.client("sqs").get_queue_url(QueueName=name, QueueOwnerAWSAccountId=account)["QueueUrl"]

        services = PipeServices(
            lambda service: LazyClient(lambda: stack.client(service)), queue_url, api_request=lambda *_: None
        )
        self._executions = Executions(pipe.described, services=services, refusal=lambda _: None, now=time.time)
        self._pause = pause
        self.blocked: set[str] = set()

    def send(self, records: Sequence[Record]) -> tuple[list[str], str]:  # noqa: D102 - see `Sender`
        done: list[str] = []
        note = ""
        for record in records:
            item = key_text(keys_of(record))
            if item in self.blocked:
                continue
            self._pause()
            if problem := self._execute(record):
                self.blocked.add(item)
                note = note or problem
            else:
                done.append(event_id_of(record))
        return done, note

    def _execute(self, record: Record) -> str:
        """Execute the pipe for one record; returns the reason of a failure, empty on success."""
        now = time.time()
        event = as_event(StreamRecord(record, arrived=now, visible=now, sequence=sequence_of(record)))
        said = _LastError()
        outcome, name = self._executions.run(Invoke((event,), request_id=str(uuid.uuid4()), attempt=1), said)
        if isinstance(outcome, Succeeded):
            return ""
        return said.message or f"the target reported the record ({name}); its log has the reason"


class _LastError:
    """`Trace` that keeps the message of the last error."""

    def __init__(self) -> None:
        self.message = ""

    def step(self, name: str, *, error: Mapping[str, Any] | None = None, **data: Any) -> None:  # noqa: ARG002
        if error is not None:
            self.message = str(error["message"])

    def count(self, name: str, value: float = 1) -> None:
        """Ignore a metric: it would count the operator's executions as the pipe's."""
