"""Evaluates alarms at the end of every period of the endpoint's clock, and on request."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from local.engine.alarms.evaluation import evaluate, metrics_of, period_of
from local.engine.alarms.metrics import Metric, Metrics
from local.engine.clock import Clock

logger = logging.getLogger(__name__)

#: Attributes of a queue by SQS's metric of them.
QUEUE_DEPTHS = {
    "ApproximateNumberOfMessagesVisible": "ApproximateNumberOfMessages",
    "ApproximateNumberOfMessagesNotVisible": "ApproximateNumberOfMessagesNotVisible",
    "ApproximateNumberOfMessagesDelayed": "ApproximateNumberOfMessagesDelayed",
}

#: Maximum of seconds between two evaluations: a standard metric has a datapoint a minute.
LONGEST_PERIOD = 60


#: The metric of a queue's oldest message, in seconds.
QUEUE_AGE = "ApproximateAgeOfOldestMessage"


class AlarmEvaluation:
    """Evaluates every alarm of the endpoint. ministack evaluates a composite alarm when one of its alarms changes.

    Args:
        cloudwatch: A boto3 client of CloudWatch, which keeps the alarms and runs their actions.
        queues: A boto3 client of SQS, for the depth of queues that alarms watch.
        metrics: The recorded datapoints.
        clock: The clock of the periods.
        oldest_message: Returns when a queue's oldest message was sent, by the queue's name; `None` if it holds none.
    """

    def __init__(
        self,
        cloudwatch: Any,
        queues: Any,
        metrics: Metrics,
        clock: Clock,
        *,
        oldest_message: Callable[[str], float | None],
    ) -> None:
        self._cloudwatch = cloudwatch
        self._queues = queues
        self._metrics = metrics
        self._clock = clock
        self._oldest_message = oldest_message
        self._lock = threading.Lock()
        self._closed = False
        self._replan = threading.Event()
        self._shortest = LONGEST_PERIOD
        self._thread = threading.Thread(target=self._run, name="alarms", daemon=True)

    def start(self) -> None:
        """Begin to evaluate at the end of every period."""
        self._thread.start()

    def close(self) -> None:
        """Stop evaluating."""
        self._closed = True
        self._replan.set()

    def evaluate(self, at: float) -> dict[str, str]:
        """Evaluate every alarm at a time, in seconds since 1970; return all states by name, composite ones included."""
        with self._lock:
            # For a moment after it was put, an alarm on metric math has no metrics yet.
            alarms = [each for each in self._alarms("MetricAlarm") if each.get("Metrics") or each.get("Namespace")]
            shortest = min([LONGEST_PERIOD, *map(period_of, alarms)])
            if shortest != self._shortest:
                self._shortest = shortest
                self._replan.set()
            self._measure(metric for alarm in alarms for metric in metrics_of(alarm))
            states: dict[str, str] = {}
            for alarm in alarms:
                state, reason = evaluate(alarm, self._metrics.datapoints, now=at)
                states[alarm["AlarmName"]] = state
                if state != alarm["StateValue"]:
                    self._cloudwatch.set_alarm_state(AlarmName=alarm["AlarmName"], StateValue=state, StateReason=reason)
            return states | {alarm["AlarmName"]: alarm["StateValue"] for alarm in self._alarms("CompositeAlarm")}

    def _measure(self, watched: Iterable[Metric]) -> None:
        """Record the depth and age of the queues among these metrics, as SQS does every minute."""
        for metric in set(watched):
            queue = dict(metric.dimensions).get("QueueName")
            if metric.namespace != "AWS/SQS" or queue is None:
                continue
            now = self._clock.now()
            if metric.name in QUEUE_DEPTHS:
                value = self._depth(queue, QUEUE_DEPTHS[metric.name])
            elif metric.name == QUEUE_AGE:
                sent = self._oldest_message(queue)
                value = None if sent is None else now - sent
            else:
                continue
            if value is not None:
                self._metrics.record(metric.name, value, at=now, namespace="AWS/SQS", QueueName=queue)

    def _depth(self, queue: str, attribute: str) -> float | None:
        try:
            url = self._queues.get_queue_url(QueueName=queue)["QueueUrl"]
            held = self._queues.get_queue_attributes(QueueUrl=url, AttributeNames=[attribute])["Attributes"]
        except ClientError:
            return None  # no queue, no datapoint
        return float(held[attribute])

    def _alarms(self, kind: str) -> list[dict[str, Any]]:
        pages = self._cloudwatch.get_paginator("describe_alarms").paginate(AlarmTypes=[kind])
        return [alarm for page in pages for alarm in page[f"{kind}s"]]

    def _run(self) -> None:
        while not self._closed:
            self._replan.clear()
            if self._replan.wait(self._shortest - self._clock.now() % self._shortest):
                continue
            try:
                self.evaluate(self._clock.now())
            except (ClientError, BotoCoreError):
                if not self._closed:
                    logger.exception("the alarms could not be evaluated")
