"""Running an event source mapping: a thread per shard that polls, invokes and delivers what is given up.

The rules are the lane's (`local.delivery`); this is its I/O. Mappings share nothing, so that none waits for another.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from local.clients import error_code, request_id
from local.clock import Clock
from local.delivery.documents import failure_document, object_key
from local.delivery.filtering import select
from local.delivery.lane import GiveUp, Invoke, Lane, Lose, Wait
from local.delivery.outcomes import Failed, Outcome, Partial, Succeeded, Throttled, read_answer
from local.delivery.progress import Progress
from local.delivery.settings import MappingSettings
from local.history import FilteredOut, GivenUp, History, Invocation, keys_of
from local.history import Outcome as OutcomeName
from local.metrics import Metrics
from local.shards import ShardReader

#: Seconds before a shard is read again that could not be read.
READ_AGAIN_SECONDS = 1.0


@dataclass(frozen=True)
class Surroundings:
    """What mappings share: boto3 clients of the services they use, the clock they go by, the metrics they record."""

    streams: Any
    functions: Any
    buckets: Any
    clock: Clock
    metrics: Metrics


@dataclass(frozen=True)
class Target:
    """What a mapping connects.

    Attributes:
        uuid: Of the mapping.
        function_arn: With its alias or version where the mapping has one.
        stream_arn: Of the stream.
    """

    uuid: str
    function_arn: str
    stream_arn: str

    @property
    def function_name(self) -> str:
        """The function's name, which metrics are recorded by."""
        return self.function_arn.split(":")[6]

    @property
    def table_name(self) -> str:
        """Name of the table whose stream it is."""
        return self.stream_arn.split("/")[1]


class ShardRunner:
    """Delivers one shard until it is stopped.

    Args:
        reader: Where the records come from.
        on_result: Told of AWS's LastProcessingResult after each invocation.
    """

    def __init__(
        self,
        target: Target,
        settings: MappingSettings,
        *,
        reader: ShardReader,
        surroundings: Surroundings,
        history: History,
        on_result: Callable[[str], None],
    ) -> None:
        self._target = target
        self._settings = settings
        self._reader = reader
        self._with = surroundings
        self._history = history
        self._on_result = on_result
        self._progress = Progress()
        self._lane = Lane(settings, progress=self._progress)
        self._wake = threading.Event()
        self._stopping = False
        self._idle = False
        self._thread = threading.Thread(target=self._run, name=f"mapping-{target.uuid}", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def wake(self) -> None:
        """There may be something to read."""
        self._wake.set()

    def stop(self) -> None:
        """End after the invocation that runs now; what it did not finish is read again by the next runner."""
        self._stopping = True
        self._wake.set()

    def join(self) -> None:
        """Wait until it has ended."""
        self._thread.join()

    @property
    def idle(self) -> bool:
        """Whether every record that was written is done with."""
        return self._idle and not self._wake.is_set()

    @property
    def unfinished(self) -> int:
        """How many records that were read are not done with."""
        return len(self._lane.unfinished)

    def _run(self) -> None:
        while not self._stopping:
            self._wake.clear()
            self._idle = False
            if not self._read():
                self._wake.wait(READ_AGAIN_SECONDS)
                continue
            action = self._lane.next(self._with.clock.now())
            match action:
                case Invoke():
                    self._deliver(action)
                case GiveUp():
                    self._give_up(action)
                case Lose():
                    pass  # only with a retention, and here the stream itself forgets
                case Wait(until):
                    self._idle = until is None
                    self._wake.wait(None if until is None else max(0.0, until - self._with.clock.now()))
        self._reader.rewind(self._lane.checkpoint)

    def _read(self) -> bool:
        try:
            records = list(self._reader.read())
        except (ClientError, BotoCoreError) as failure:
            self._on_result(f"PROBLEM: {failure}")
            return False
        self._count("PolledEventCount", len(records))
        self._progress.seen(records)
        wanted, others = select(records, self._settings.filters)
        self._progress.done(others)
        self._lane.take(wanted)
        if others:
            now = self._with.clock.now()
            self._count("FilteredOutEventCount", len(others))
            self._history.add(
                FilteredOut(
                    at=now,
                    shard_id=self._reader.shard_id,
                    identifiers=[record.identifier for record in others],
                    keys=keys_of(tuple(others)),
                )
            )
        return True

    def _deliver(self, call: Invoke) -> None:
        now = self._with.clock.now()
        age = max(0, round((now - call.records[-1].arrived) * 1000))
        self._with.metrics.record("IteratorAge", age, at=now, FunctionName=self._target.function_name)
        outcome, name, error_type = self._invoke(call)
        accepted = _accepted(outcome, len(call.records))
        if not isinstance(outcome, Throttled):
            self._count("InvokedEventCount", len(call.records))
            self._count("FailedInvokeEventCount", len(call.records) - accepted)
            self._on_result("PROBLEM: Function call failed" if isinstance(outcome, Failed) else "OK")
        self._history.add(
            Invocation(
                at=now,
                shard_id=self._reader.shard_id,
                request_id=call.request_id,
                attempt=call.attempt,
                identifiers=[record.identifier for record in call.records],
                keys=keys_of(call.records),
                outcome=name,
                accepted=accepted,
                error_type=error_type,
                bisected=isinstance(outcome, Failed) and self._settings.bisect and len(call.records) > 1,
                iterator_age_ms=age,
            )
        )
        self._lane.finished(outcome, self._with.clock.now())

    def _invoke(self, call: Invoke) -> tuple[Outcome, OutcomeName, str | None]:
        payload = json.dumps({"Records": [record.event for record in call.records]})
        named = request_id.set(call.request_id)
        try:
            answer = self._with.functions.invoke(FunctionName=self._target.function_arn, Payload=payload)
            content = json.loads(answer["Payload"].read() or b"null")
        except ClientError as refused:
            # The function did not run, or nobody knows: not its failure, so the retry budget is untouched (§2.5).
            if error_code(refused) == "TooManyRequestsException":
                return Throttled(), "throttled", None
            return Throttled(), "service error", None
        except BotoCoreError:
            return Throttled(), "service error", None
        finally:
            request_id.reset(named)
        if "FunctionError" in answer:
            error_type = content.get("errorType") if isinstance(content, dict) else None
            timed_out = error_type == "Sandbox.Timedout"
            return Failed(answer["FunctionError"], timed_out), "timeout" if timed_out else "error", error_type
        if not self._settings.report_batch_item_failures:
            return Succeeded(), "success", None
        outcome = read_answer(content, [record.identifier for record in call.records])
        names: dict[type[Outcome], OutcomeName] = {Succeeded: "success", Partial: "partial", Failed: "error"}
        return outcome, names[type(outcome)], None

    def _give_up(self, given_up: GiveUp) -> None:
        now = self._with.clock.now()
        document: dict[str, Any] | None = None
        location: str | None = None
        if self._settings.destination is not None:
            document = failure_document(
                given_up,
                now=now,
                function_arn=self._target.function_arn,
                stream_arn=self._target.stream_arn,
                shard_id=self._reader.shard_id,
                payload=True,
            )
            location = self._send(document, self._settings.destination, now)
        count = len(given_up.records)
        if location is not None:
            self._count("OnFailureDestinationDeliveredEventCount", count)
        else:
            self._count("DroppedEventCount", count)
        self._history.add(
            GivenUp(
                at=now,
                shard_id=self._reader.shard_id,
                condition=given_up.condition,
                identifiers=[record.identifier for record in given_up.records],
                keys=keys_of(given_up.records),
                document=document,
                location=location,
            )
        )

    def _send(self, document: dict[str, Any], bucket_arn: str, now: float) -> str | None:
        """Where the document was put; `None` when it could not be, which AWS does not try again (§2.7)."""
        bucket = bucket_arn.rpartition(":")[2]
        key = object_key(mapping_uuid=self._target.uuid, shard_id=self._reader.shard_id, now=now)
        body = json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
        try:
            self._with.buckets.put_object(Bucket=bucket, Key=key, Body=body, ContentType="application/octet-stream")
        except (ClientError, BotoCoreError):
            self._with.metrics.record("DestinationDeliveryFailures", 1, at=now, FunctionName=self._target.function_name)
            return None
        return f"s3://{bucket}/{key}"

    def _count(self, name: str, value: int) -> None:
        if self._settings.event_count:
            self._with.metrics.record(name, value, at=self._with.clock.now(), EventSourceMappingUUID=self._target.uuid)


def _accepted(outcome: Outcome, sent: int) -> int:
    match outcome:
        case Succeeded():
            return sent
        case Partial(accepted):
            return accepted
        case _:
            return 0
