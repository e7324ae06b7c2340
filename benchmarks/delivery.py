"""Measures the delivery engine's simulation: a day of retries, and a million records with poison among them.

Run it with `python -P benchmarks/delivery.py`; `RECORDS=100000` makes the long one shorter. Seconds are CPU seconds.
"""

from __future__ import annotations

import os
import resource
import sys
import time
from collections.abc import Iterator
from typing import Any

from local.engine.actions import GiveUp, Invoke
from local.engine.clock import VirtualClock
from local.engine.outcomes import Failed, Outcome, Succeeded
from local.engine.streams.records import StreamRecord
from local.engine.streams.settings import MappingSettings
from local.simulation.parsing import parse
from local.simulation.report import Identifiers
from local.simulation.simulate import simulate
from local.simulation.stream_run import Feed, Simulation
from local.simulation.what_if import Load, poison

ARN = "arn:aws:dynamodb:us-east-1:111122223333:table/T/stream/2026-01-01T00:00:00.000"
POISON_UNDER_THE_DEFAULTS = """
eventSourceMapping: {StartingPosition: TRIM_HORIZON}
records: [{}]
handler: [{then: raise}]
"""


class Counting:
    """A sink that keeps numbers only."""

    def __init__(self) -> None:
        self.invocations = self.given_up = 0

    def invoked(self, *_: object) -> None:
        self.invocations += 1

    def gave_up(self, given_up: GiveUp, *_: object) -> None:
        self.given_up += len(given_up.records)

    def lost(self, *_: object) -> None:
        raise AssertionError("nothing is that old")

    def filtered_out(self, *_: object) -> None:
        raise AssertionError("there are no filters")


def records(count: int, per_second: int = 1000) -> Iterator[StreamRecord]:
    for number in range(count):
        written = float(number // per_second)
        event: dict[str, Any] = {
            "eventID": f"{number:032x}",
            "eventName": "MODIFY",
            "eventVersion": "1.1",
            "eventSource": "aws:dynamodb",
            "awsRegion": "us-east-1",
            "dynamodb": {
                "ApproximateCreationDateTime": written,
                "Keys": {"id": {"S": str(number)}},
                "NewImage": {"id": {"S": str(number)}, "plan": {"S": "pro"}},
                "SequenceNumber": str(10**22 + number),
                "SizeBytes": 30,
                "StreamViewType": "NEW_AND_OLD_IMAGES",
            },
            "eventSourceARN": ARN,
        }
        yield StreamRecord(event, arrived=written, visible=number / per_second)


def function(invoke: Invoke, _: float) -> tuple[Outcome, float]:
    poisoned = any(record.sequence.endswith("37") for record in invoke.records)
    return (Failed("Unhandled") if poisoned else Succeeded()), 0.0


def a_day_of_retries() -> None:
    scenario = parse(POISON_UNDER_THE_DEFAULTS)
    began = time.process_time()
    report = simulate(scenario).document
    seconds = time.process_time() - began
    print(f"a poison record under AWS's defaults: {len(report['invocations'])} invocations in {seconds:.3f} CPU s")


def many_records(count: int) -> None:
    sink, identifiers = Counting(), Identifiers()
    settings = MappingSettings(
        batch_size=100, batching_window=1, bisect=True, maximum_retry_attempts=2, destination="arn:aws:s3:::failures"
    )
    simulation = Simulation(
        settings,
        [Feed("shard", records(count))],
        function,
        sink=sink,
        clock=VirtualClock(0.0),
        until=float(count),
        new_request_id=lambda: str(identifiers.next()),
    )
    began = time.process_time()
    simulation.run()
    seconds = time.process_time() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024 if sys.platform == "linux" else 1024**2)
    print(
        f"{count:,} records, 1 % poison, batches of 100 with bisect: {sink.invocations:,} invocations, "
        f"{sink.given_up:,} dead letters in {seconds:.1f} CPU s, {peak:.0f} MB"
    )


def a_large_scenario(count: int) -> None:
    written = "\n".join(
        f'- {{at: {number // 1000}, dynamodb: {{SequenceNumber: "{10**6 + number}"}}}}' for number in range(count)
    )
    text = f"eventSourceMapping: {{StartingPosition: TRIM_HORIZON, BatchSize: 100}}\nrecords:\n{written}\n"
    began = time.process_time()
    scenario = parse(text)
    parsed = time.process_time()
    report = simulate(scenario).document
    ended = time.process_time()
    print(
        f"`weir simulate` of {count:,} records: {parsed - began:.1f} CPU s to read it, {ended - parsed:.1f} CPU s for "
        f"{len(report['invocations']):,} invocations"
    )


def a_large_rate() -> None:
    settings = MappingSettings(parallelization_factor=10, batching_window=1, bisect=True, maximum_retry_attempts=12)
    began = time.process_time()
    found = poison(settings, Load(rate=1000, duration=0.2, alarm_age=300, alarm_periods=3), "crash")
    seconds = time.process_time() - began
    print(f"`weir what-if` at 1,000 records/s and factor 10: {found.invocations} invocations in {seconds:.2f} CPU s")


if __name__ == "__main__":
    a_day_of_retries()
    many_records(int(os.environ.get("RECORDS", "1000000")))
    a_large_scenario(int(os.environ.get("RECORDS", "1000000")) // 10)
    a_large_rate()
