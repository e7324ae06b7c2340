"""Evaluates alarms at the end of every period of the endpoint's clock, and on request."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable
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


class AlarmEvaluation:
    """Evaluates every alarm of the endpoint. ministack evaluates a composite alarm when one of its alarms changes.

    Args:
        cloudwatch: A boto3 client of CloudWatch, which keeps the alarms and runs their actions.
        queues: A boto3 client of SQS, for the depth of queues that alarms watch.
        metrics: The recorded datapoints.
        clock: The clock of the periods.
    """

    def __init__(self, cloudwatch: Any, queues: Any, metrics: Metrics, clock: Clock) -> None:
        self._cloudwatch = cloudwatch
        self._queues = queues
        self._metrics = metrics
        self._clock = clock
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
        """Record the depth of the queues among these metrics, as SQS does every minute."""
        for metric in set(watched):
            queue = dict(metric.dimensions).get("QueueName")
            if metric.namespace != "AWS/SQS" or metric.name not in QUEUE_DEPTHS or queue is None:
                continue
            attribute = QUEUE_DEPTHS[metric.name]
            try:
                url = self._queues.get_queue_url(QueueName=queue)["QueueUrl"]
                held = self._queues.get_queue_attributes(QueueUrl=url, AttributeNames=[attribute])["Attributes"]
            except ClientError:
                continue  # no queue, no datapoint
            self._metrics.record(
                metric.name, float(held[attribute]), at=self._clock.now(), namespace="AWS/SQS", QueueName=queue
            )

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
