"""Measures the handler runtime beside its alternatives, all in one run: `make benchmark`.

A batch is 100 MODIFY records of about 1 KB with both images, in which one attribute of the new image is read and one is
compared. Each figure is the best of several rounds, and the rounds of the rivals take turns, so that a busy machine
slows all of them down.
"""

from __future__ import annotations

import contextlib
import io
import json
import logging
import os
import statistics
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

os.environ["POWERTOOLS_TRACE_DISABLED"] = "1"

from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response
from aws_lambda_powertools.utilities.data_classes.dynamo_db_stream_event import DynamoDBRecord, DynamoDBRecordEventName
from boto3.dynamodb.types import TypeDeserializer

from components.package import handler_package
from handlers import welcome_email
from handlers.cdc import Change, consumer, metrics, on
from handlers.cdc.image import Image
from handlers.cdc.invocation import running
from handlers.cdc.testing import record, stream_event

RECORDS = 100
ROUNDS = 200
ROOT = Path(__file__).parents[1]


def user(number: int, plan: str) -> dict[str, Any]:
    return {
        "userId": f"user-{number:06d}",
        "email": f"user{number}@example.com",
        "plan": plan,
        "version": 1_767_225_600_000 + number,
        "name": "Ada Lovelace",
        "createdAt": "2026-01-01T00:00:00Z",
        "active": True,
        "credits": number,
        "tags": ["early", "swiss", "annual"],
        "address": {"street": "Main street 1", "city": "Bern", "zip": "3000", "country": "CH"},
        "settings": {"theme": "dark", "locale": "de-CH", "newsletter": False, "limits": {"daily": 5, "monthly": 100}},
        "roles": ["user", "editor"],
        "bio": "x" * 300,
    }


def order(number: int, plan: str) -> dict[str, Any]:
    return {
        "orderId": f"order-{number:06d}",
        "plan": plan,
        "version": 1_767_225_600_000 + number,
        "email": f"user{number}@example.com",
        "address": {"street": "Main street 1", "city": "Bern", "position": {"north": 46948, "east": 7447}},
        "lines": [{"sku": "a-1", "count": 2, "price": 1999}, {"sku": "b-2", "count": 1, "price": 500}],
        "tags": {"early", "annual"},
        "active": True,
        "settings": {"theme": "dark", "limits": {"daily": 5, "monthly": 100}},
    }


NESTED = json.dumps(stream_event(*(record(old=order(n, "free"), new=order(n, "pro")) for n in range(RECORDS))))
EVENT = json.dumps(stream_event(*(record(old=user(n, "free"), new=user(n, "pro")) for n in range(RECORDS))))
IMAGES = [each["dynamodb"]["NewImage"] for each in json.loads(EVENT)["Records"]]


class Context:
    """As much of Lambda's context as both libraries read."""

    function_name = "benchmark"

    def get_remaining_time_in_millis(self) -> int:
        return 30_000


def consumers(fails: Callable[[str], bool]) -> dict[str, Callable[[Any], Any]]:
    """The same work three times: with this runtime, with Powertools, and by hand as the limit."""

    @consumer
    def ours(change: Change) -> None:
        if change.changed("plan") and fails(change.new["email"]):
            raise RuntimeError

    processor = BatchProcessor(event_type=EventType.DynamoDBStreams)

    def powertools(record: DynamoDBRecord) -> None:
        images = record.dynamodb
        assert images is not None
        if images.old_image["plan"] != images.new_image["plan"] and fails(images.new_image["email"]):
            raise RuntimeError

    def by_hand(event: Any) -> Any:
        for each in event["Records"]:
            try:
                images = each["dynamodb"]
                new = images["NewImage"]
                if images["OldImage"]["plan"]["S"] != new["plan"]["S"] and fails(new["email"]["S"]):
                    raise RuntimeError
            except Exception:  # noqa: BLE001 - as a handler must
                return {"batchItemFailures": [{"itemIdentifier": each["dynamodb"]["SequenceNumber"]}]}
        return {"batchItemFailures": []}

    return {
        "handlers.cdc": lambda event: ours(event, Context()),
        "Powertools BatchProcessor": lambda event: process_partial_response(
            event=event, record_handler=powertools, processor=processor, context=Context()
        ),
        "by hand (the limit)": by_hand,
    }


def hot_path() -> dict[str, Callable[[Any], Any]]:
    """A declared condition and one attribute that is read, and the same work without this runtime."""
    plans = frozenset({"pro", "enterprise"})

    @consumer(when=on.modify & on.changed("plan") & on.new("plan").is_in(plans))
    def ours(change: Change) -> None:
        _ = change.item["email"]

    processor = BatchProcessor(event_type=EventType.DynamoDBStreams)

    def powertools(record: DynamoDBRecord) -> None:
        images = record.dynamodb
        assert images is not None
        if record.event_name is DynamoDBRecordEventName.MODIFY:
            old, new = images.old_image, images.new_image
            if old["plan"] != new["plan"] and new["plan"] in plans:
                _ = new["email"]

    return {
        "handlers.cdc, a condition of three leaves": lambda event: ours(event, Context()),
        "json.loads of the event": lambda _: json.loads(NESTED),
        "Powertools BatchProcessor": lambda event: process_partial_response(
            event=event, record_handler=powertools, processor=processor, context=Context()
        ),
    }


def best(rivals: dict[str, Callable[[Any], Any]], argument: Callable[[], Any]) -> dict[str, float]:
    """Return the microseconds of the best round of each rival; they take turns."""
    times = dict.fromkeys(rivals, float("inf"))
    with contextlib.redirect_stdout(io.StringIO()):  # where the metrics line goes
        for _ in range(ROUNDS):
            for name, function in rivals.items():
                given = argument()
                start = time.thread_time()
                function(given)
                times[name] = min(times[name], (time.thread_time() - start) * 1e6)
    return times


def table(title: str, times: dict[str, float], unit: str = "µs", floor: float | None = None) -> None:
    """Print the figures, each with its ratio to the first; `floor` is the least that the second must be."""
    print(f"\n{title}")
    ours = next(iter(times.values()))
    for index, (name, value) in enumerate(times.items()):
        wanted = "" if floor is None or index != 1 else f"   wanted: at least {floor:g} x"
        print(f"  {name:<42}{value:>10.1f} {unit}{value / ours:>9.2f} x{wanted}")


def fresh_import(statement: str) -> tuple[float, float, float]:
    """Measure a statement in a new interpreter, beyond the imports of every consumer: ms, ms of CPU, MB."""
    script = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "import json, logging, decimal, dataclasses, time\n"
        "def resident(): return int(open('/proc/self/statm').read().split()[1]) * 4096 / 1e6\n"
        "before, start, cpu = resident(), time.perf_counter(), time.process_time()\n"
        f"{statement}\n"
        "took, cpu = time.perf_counter() - start, time.process_time() - cpu\n"
        "print(took * 1000, cpu * 1000, resident() - before)"
    )
    runs: list[tuple[float, ...]] = []
    for _ in range(9):
        done = subprocess.run([sys.executable, "-c", script, str(ROOT)], capture_output=True, text=True, check=True)
        runs.append(tuple(map(float, done.stdout.split())))
    took, cpu, memory = zip(*runs, strict=True)
    return min(took), min(cpu), statistics.median(memory)


def metrics_line(_: Any) -> None:
    """Everything that one invocation does for its metrics."""
    with running(Context()) as invocation:
        for _record in range(RECORDS):
            metrics.count("Records")
            metrics.count("EffectsApplied")
        metrics.emit(invocation.counts)


def package_size() -> tuple[float, float]:
    """KB of a consumer's archive, packed and unpacked."""
    archive = handler_package(welcome_email.__name__).assets
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, asset in archive.items():
            packed.write(asset.path, name)
    return len(target.getvalue()) / 1024, sum(Path(asset.path).stat().st_size for asset in archive.values()) / 1024


def main() -> None:
    logging.disable(logging.CRITICAL)  # what logging costs is the same for all, and depends on its handlers
    ours, loads, powertools = (hot := best(hot_path(), lambda: json.loads(NESTED))).values()
    print(f"{RECORDS} records with nested images of nine attributes, {len(NESTED) // RECORDS} bytes each")
    print(f"  {ours / loads:.2f} x json.loads of the event   wanted: at most 0.3 x")
    print(f"  {powertools / ours:.1f} x faster than Powertools   wanted: at least 10 x")
    table("The same in figures, for the batch", hot)

    print(f"\n{RECORDS} MODIFY records, images of {len(json.dumps(IMAGES[0]))} bytes, best of {ROUNDS} rounds")
    table("A batch, all records succeed", best(consumers(lambda _: False), lambda: json.loads(EVENT)), floor=8)
    failing = consumers(lambda email: email == f"user{RECORDS - 1}@example.com")
    table("A batch whose last record fails", best(failing, lambda: json.loads(EVENT)), floor=8)

    deserializer = TypeDeserializer()
    whole = {
        "handlers.cdc, every attribute": lambda _: [dict(Image(image)) for image in IMAGES],
        "boto3 TypeDeserializer": lambda _: [
            {name: deserializer.deserialize(value) for name, value in image.items()} for image in IMAGES
        ],
    }
    table("Reading 100 images in full", best(whole, lambda: None), floor=1.5)
    table("The metrics of an invocation (wanted: under 1000 µs)", best({"count and print": metrics_line}, lambda: None))

    print("\nImporting, over json, logging, decimal and dataclasses")
    for statement in (
        "import handlers.cdc",
        "import handlers.cdc.counters",
        "import aws_lambda_powertools.utilities.batch",
    ):
        took, cpu, memory = fresh_import(statement)
        wanted = "   wanted: at most 15 ms and 5 MB" if statement == "import handlers.cdc" else ""
        print(f"  {statement:<48}{took:>7.1f} ms ({cpu:.1f} of CPU){memory:>7.1f} MB{wanted}")
    packed, unpacked = package_size()
    print(f"\nThe welcome email's package: {packed:.0f} KB ({unpacked:.0f} KB unpacked)   wanted: at most 100 KB")


if __name__ == "__main__":
    main()
