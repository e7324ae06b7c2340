"""The local endpoint's own event source mapping beside ministack's: throughput, latency, and what idle mappings cost.

Both run the same handler with batches of 100 from the same records, one after the other in this run. The handler notes
in a file how many records it got and when; nothing else tells how far a mapping is. Beside the time by the clock stands
the CPU time of the endpoint and its functions, which other load on the machine changes little. ministack waits 50 ms
for the log of each invocation without using the CPU. Part of the CPU time is the start of a function's process, which
weighs the more the fewer the records are: docs/guides/performance.md has a second length.
"""

from __future__ import annotations

import contextlib
import functools
import io
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from local.endpoint import Endpoint

RECORDS = 5_000
LATENCY_WRITES = 60
IDLE_MAPPINGS = 100
IDLE_SECONDS = 10.0

HANDLER = """
import os, time

def handler(event, context):
    with open(os.environ["SEEN"], "a") as seen:
        seen.write(f"{len(event['Records'])} {time.time()}\\n")
"""

Client = Callable[[str], Any]


def main() -> None:
    with tempfile.TemporaryDirectory() as directory:
        seen = Path(directory) / "seen"
        with ministack(Path(directory)) as client:
            theirs = records_per_second(client, seen)
        with Endpoint(state=Path(directory) / "state", command="the benchmark") as aws:
            client = functools.cache(aws.client)
            ours = records_per_second(client, seen)
            used = _cpu_seconds()
            latency = write_to_handler_seconds(client, seen)
            used = (_cpu_seconds() - used) / LATENCY_WRITES
            idle = idle_share_of_a_core(client, seen)
    head = f"throughput, batch 100, {RECORDS:,} records"
    print(f"{head:52} {'records/s':>10} {'ratio':>7} {'records/CPU s':>14}")
    for name, (rate, by_cpu) in (("ministack, its own mapping", theirs), ("this endpoint", ours)):
        print(f"{name:52} {rate:10,.0f} {rate / theirs[0]:7.2f} {by_cpu:14,.0f}")
    print()
    print(f"{'write to handler at window 0, median of ' + str(LATENCY_WRITES):52} {latency * 1000:7.1f} ms")
    print(f"{'CPU of one such write, its reading and its handler':52} {used * 1000:7.1f} ms")
    print(f"{'CPU of ' + str(IDLE_MAPPINGS) + ' idle mappings, share of one core':52} {idle:9.1%}")


def records_per_second(client: Client, seen: Path) -> tuple[float, float]:
    """Records that a new mapping takes from a full stream, per second and per second of CPU time."""
    stream, table = _table(client, "throughput")
    items = [{"PutRequest": {"Item": {"id": {"S": str(n)}, "text": {"S": "x" * 200}}}} for n in range(RECORDS)]
    for start in range(0, RECORDS, 25):
        client("dynamodb").batch_write_item(RequestItems={table: items[start : start + 25]})
    seen.write_text("")
    _function(client, "throughput", seen)
    started, used = time.perf_counter(), _cpu_seconds()
    mapping = _map(client, "throughput", stream, BatchSize=100)
    _wait(lambda: sum(count for count, _ in _seen(seen)) >= RECORDS)
    taken, used = time.perf_counter() - started, _cpu_seconds() - used
    client("lambda").delete_event_source_mapping(UUID=mapping)
    return RECORDS / taken, RECORDS / used


def write_to_handler_seconds(client: Client, seen: Path) -> float:
    """The median time from before a write to the handler's first line, one write at a time."""
    stream, table = _table(client, "latency")
    seen.write_text("")
    _function(client, "latency", seen)
    mapping = _map(client, "latency", stream, BatchSize=100)
    dynamodb = client("dynamodb")
    times: list[float] = []
    for number in range(LATENCY_WRITES):
        written = time.time()
        dynamodb.put_item(TableName=table, Item={"id": {"S": str(number)}})
        _wait(lambda number=number: len(_seen(seen)) > number)
        times.append(_seen(seen)[number][1] - written)
    client("lambda").delete_event_source_mapping(UUID=mapping)
    return statistics.median(times)


def idle_share_of_a_core(client: Client, seen: Path) -> float:
    """CPU time of this process's children, the endpoint and its functions, while nothing happens."""
    _function(client, "idle", seen)
    for number in range(IDLE_MAPPINGS):
        stream, _ = _table(client, f"idle-{number}")
        _map(client, "idle", stream, BatchSize=100)
    time.sleep(1.0)  # the last mapping reads its empty stream once
    before = _cpu_seconds()
    time.sleep(IDLE_SECONDS)
    return (_cpu_seconds() - before) / IDLE_SECONDS


@contextlib.contextmanager
def ministack(directory: Path) -> Iterator[Client]:
    """ministack by itself, as its own command starts it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(directory),
        "TMPDIR": str(directory),
        "BIND_HOST": "127.0.0.1",
        "GATEWAY_PORT": str(port),
        "IOT_MTLS_ENABLED": "0",
        "LOG_LEVEL": "ERROR",
    }
    process = subprocess.Popen(
        [Path(sys.executable).with_name("ministack")],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    session = boto3.session.Session("test", "test", region_name="us-east-1")

    @functools.cache
    def client(service: str) -> Any:
        return session.client(
            service, endpoint_url=f"http://127.0.0.1:{port}", config=Config(retries={"total_max_attempts": 1})
        )

    def listens() -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    try:
        _wait(listens)
        yield client
    finally:
        process.terminate()
        process.wait(10)


def _table(client: Client, name: str) -> tuple[str, str]:
    made = client("dynamodb").create_table(
        TableName=name,
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
    )["TableDescription"]
    return made["LatestStreamArn"], name


def _function(client: Client, name: str, seen: Path) -> None:
    code = io.BytesIO()
    with zipfile.ZipFile(code, "w") as archive:
        archive.writestr("consumer.py", HANDLER)
    trust = {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
        ],
    }
    role = client("iam").create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]
    allowed = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "dynamodb:*", "Resource": "*"}]}
    client("iam").put_role_policy(RoleName=name, PolicyName=name, PolicyDocument=json.dumps(allowed))
    client("lambda").create_function(
        FunctionName=name,
        Runtime="python3.13",
        Role=role,
        Handler="consumer.handler",
        Timeout=30,
        Code={"ZipFile": code.getvalue()},
        Environment={"Variables": {"SEEN": str(seen)}},
    )


def _map(client: Client, function: str, stream: str, **settings: Any) -> str:
    return client("lambda").create_event_source_mapping(
        FunctionName=function,
        EventSourceArn=stream,
        StartingPosition="TRIM_HORIZON",
        MaximumBatchingWindowInSeconds=0,
        **settings,
    )["UUID"]


def _seen(path: Path) -> list[tuple[int, float]]:
    lines = path.read_text().splitlines()
    return [(int(count), float(at)) for count, at in (line.split() for line in lines if line.count(" ") == 1)]


def _wait(true: Callable[[], bool], seconds: float = 120.0) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() > deadline:
            raise TimeoutError(f"nothing came in {seconds:g} s")
        time.sleep(0.002)


def _cpu_seconds() -> float:
    """User and system time of every descendant of this process so far."""
    parents: dict[int, int] = {}
    ticks: dict[int, int] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            fields = stat.read_text().rpartition(")")[2].split()
            parents[int(stat.parent.name)] = int(fields[1])
            ticks[int(stat.parent.name)] = int(fields[11]) + int(fields[12])
    family = {os.getpid()}
    while grown := {pid for pid, parent in parents.items() if parent in family} - family:
        family |= grown
    return sum(ticks[pid] for pid in family - {os.getpid()} if pid in ticks) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    main()
