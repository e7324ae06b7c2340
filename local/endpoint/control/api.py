"""The control API, `/_weir/…`, for what AWS has no API: its client is `local.endpoint.control.client`."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from local.endpoint.api.errors import AwsError
from local.endpoint.api.gate import CONTROL_PREFIX
from local.endpoint.api.http_messages import Request
from local.endpoint.control.documents import document_of, number_of
from local.endpoint.control.faults import FAULT_MEMBERS, Faults
from local.endpoint.delivery.history import GivenUp, History, Invocation, ThrottledRead
from local.endpoint.delivery.wake_ups import Readers
from local.endpoint.services.event_source_mappings import EventSourceMapping, EventSourceMappings
from local.endpoint.services.pipes import Pipe, Pipes
from local.endpoint.services.time_to_live import TimeToLive
from local.engine.alarms.metrics import Metrics
from local.engine.clock import Clock

#: Seconds of the longest jump of the clock, ten years: longer than anything lives that AWS or the program lets expire.
LONGEST_JUMP = 10 * 365 * 24 * 60 * 60

#: Seconds that the clock may be ahead of the machine's, a hundred years: dates stay valid.
FARTHEST = 10 * LONGEST_JUMP


class ControlApi:
    """Answers control requests.

    Args:
        clock: The endpoint's clock.
        mappings: All event source mappings.
        pipes: All pipes.
        readers: All readers of streams and queues, which wake up when the clock is advanced.
        time_to_live: The deletion of expired items.
        metrics: The recorded datapoints.
        faults: The faults that are set.
        throttling: Returns the shards that refused reads (`local.endpoint.readers.reader_limit`).
        mails: Returns the mails that SES accepted, oldest first.
        unjudged: Says what in the policies of functions, pipes and state machines is not evaluated here.
        evaluate_alarms: Evaluates every alarm at a time in seconds since 1970, and returns their states by name.
    """

    def __init__(
        self,
        *,
        clock: Clock,
        mappings: EventSourceMappings,
        pipes: Pipes,
        readers: Readers,
        time_to_live: TimeToLive,
        metrics: Metrics,
        faults: Faults,
        throttling: Callable[[], list[dict[str, Any]]],
        mails: Callable[[], list[dict[str, Any]]],
        unjudged: Callable[[], list[str]],
        evaluate_alarms: Callable[[float], dict[str, str]],
    ) -> None:
        self._clock = clock
        self._mappings = mappings
        self._pipes = pipes
        self._readers = readers
        self._time_to_live = time_to_live
        self._metrics = metrics
        self._faults = faults
        self._throttling = throttling
        self._mails = mails
        self._unjudged = unjudged
        self._evaluate_alarms = evaluate_alarms

    def answer(self, request: Request) -> tuple[int, Any]:
        """Answer a request with a status and a JSON document."""
        route = request.path.removeprefix(CONTROL_PREFIX).split("/")
        try:
            match request.method, *route:
                case "GET", "mappings":
                    return 200, [_status(mapping) for mapping in self._mappings.all()]
                case "GET", "mappings", uuid:
                    return 200, _status(self._mappings.get(uuid))
                case "GET", "mappings", uuid, "history":
                    return 200, self._mappings.get(uuid).history.as_json(_after(request))
                case "GET", "pipes":
                    return 200, [_pipe_status(pipe) for pipe in self._pipes.all()]
                case "GET", "pipes", name:
                    return 200, _pipe_status(self._pipes.get(name))
                case "GET", "pipes", name, "history":
                    return 200, self._pipes.get(name).history.as_json(_after(request))
                case "GET", "metrics":
                    return 200, self._metrics.summary()
                case "GET", "throttling":
                    return 200, self._throttling()
                case "GET", "mails":
                    return 200, self._mails()
                case "GET", "unjudged":
                    return 200, self._unjudged()
                case "GET", "faults":
                    return 200, [asdict(fault) for fault in self._faults.all()]
                case "POST", "faults":
                    self._faults.add(document_of(request.body, FAULT_MEMBERS))
                    return 201, {}
                case "DELETE", "faults":
                    self._faults.clear()
                    return 200, {}
                case "POST", "clock":
                    return 200, {"now": self._advance(document_of(request.body, "advance"))}
                case "POST", "alarms":
                    given = {"at": self._clock.now(), **document_of(request.body, "at")}
                    return 200, self._evaluate_alarms(number_of(given, "at", minimum=0, maximum=self._latest()))
                case _:
                    return 404, {"message": f"the control API has no {request.method} {request.path}"}
        except AwsError as missing:
            return missing.status, {"message": str(missing)}
        except ValueError as wrong:
            return 400, {"message": str(wrong)}

    def _advance(self, document: dict[str, Any]) -> float:
        most = min(LONGEST_JUMP, self._latest() - self._clock.now())
        self._clock.advance(number_of(document, "advance", minimum=0, maximum=most))
        self._readers.all()
        self._time_to_live.wake()
        return self._clock.now()

    def _latest(self) -> float:
        """Return the latest time that the endpoint's clock may show."""
        return time.time() + FARTHEST


def _status(mapping: EventSourceMapping) -> dict[str, Any]:
    return {
        "uuid": mapping.uuid,
        "functionName": mapping.function_name,
        "sourceArn": mapping.source_arn,
        "state": mapping.state,
        "idle": mapping.idle,
        "unfinished": mapping.unfinished,
        **_counts(mapping.history),
    }


def _pipe_status(pipe: Pipe) -> dict[str, Any]:
    return {
        "name": pipe.name,
        "sourceArn": pipe.source_arn,
        "state": pipe.state,
        "idle": pipe.idle,
        "unfinished": pipe.unfinished,
        **_counts(pipe.history),
    }


def _counts(history: History) -> dict[str, int]:
    return {
        "invocations": history.count(lambda entry: isinstance(entry, Invocation)),
        "retries": history.count(lambda entry: isinstance(entry, Invocation) and entry.attempt > 1),
        "bisections": history.count(lambda entry: isinstance(entry, Invocation) and entry.bisected),
        "givenUp": history.count(lambda entry: isinstance(entry, GivenUp)),
        "throttledReads": history.count(lambda entry: isinstance(entry, ThrottledRead)),
    }


def _after(request: Request) -> int:
    """Return the number of entries that the caller has seen already."""
    return int(request.query.get("after", "0"))
