"""Measures `weir dead-letters` on the local endpoint: listing and redriving documents, and the memory that it takes."""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from handlers.cdc.failure_document import BatchRange, of_mapping
from local.endpoint import Endpoint
from ops.operator.consumers import Consumer
from ops.operator.dead_letters.bucket import BucketLetters
from ops.operator.dead_letters.redrive import Redrive
from ops.operator.stack import Stack

#: Dead letters, one record each.
LETTERS = int(os.environ.get("DEAD_LETTERS", "10000"))
BUCKET, FUNCTION = "failures", "consumer"
STREAM = "arn:aws:dynamodb:us-east-1:111122223333:table/users/stream/2026-01-31T00:00:00.000"
SOURCE = "def handler(event, context):\n    return {'batchItemFailures': []}\n"


def main() -> None:
    with Endpoint() as aws:
        stack = Stack(
            "local",
            {},
            {
                "AWS_ENDPOINT_URL": aws.url,
                "AWS_REGION": aws.region,
                "AWS_ACCESS_KEY_ID": aws.access_key_id,
                "AWS_SECRET_ACCESS_KEY": aws.secret_access_key,
            },
        )
        function = make_function(aws)
        fill(aws)
        store = BucketLetters(stack.client("s3"), BUCKET)
        before = peak()
        print(f"{LETTERS} dead letters of one record each; peak memory before: {before:.0f} MB")
        per_thousand("count, as `weir status` does", store.waiting)
        per_thousand("read, as `weir dead-letters list` does", lambda: sum(1 for _ in store.letters()))
        consumer = Consumer(FUNCTION, "uuid", {"FunctionArn": function, "EventSourceArn": STREAM}, {}, {})
        run = Redrive(stack, consumer, "benchmark", stale="apply", dry_run=False)
        done = per_thousand("redrive", lambda: sum(1 for _ in run.run(store.letters(), store.settle)))
        assert done == LETTERS
        assert store.waiting()[0] == 0
        print(f"peak memory after: {peak():.0f} MB, {(peak() - before) * 1024 / LETTERS:.2f} KB more per dead letter")


def per_thousand(name: str, work: Callable[[], Any]) -> Any:
    """Run something, and print its time per thousand dead letters: of this process's CPUs, and as it passes."""
    wall, cpu = time.perf_counter(), time.process_time()
    result = work()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    print(f"{name:42} {cpu * 1000 / LETTERS:7.2f} CPU s, {wall * 1000 / LETTERS:7.2f} s per thousand")
    return result


def peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def fill(aws: Endpoint) -> None:
    s3 = aws.client("s3")
    s3.create_bucket(Bucket=BUCKET)
    for number in range(LETTERS):
        sequence = str(10**20 + number)
        payload = json.dumps({"Records": [record(sequence, number)]})
        document = of_mapping(
            BatchRange(STREAM, "shard", 1, sequence, sequence, 1.0, 1.0),
            function_arn=f"arn:aws:lambda:us-east-1:111122223333:function:{FUNCTION}",
            request_id="request",
            condition="RetryAttemptsExhausted",
            invoke_count=13,
            response=None,
            payload=payload,
            now=1.0,
        )
        s3.put_object(Bucket=BUCKET, Key=f"aws/lambda/uuid/{number:06d}", Body=json.dumps(document).encode())


def record(sequence: str, number: int) -> Mapping[str, Any]:
    key = {"id": {"S": f"user-{number}"}}
    return {
        "eventID": f"{number:032x}",
        "eventName": "MODIFY",
        "eventSource": "aws:dynamodb",
        "dynamodb": {"Keys": key, "NewImage": {**key, "text": {"S": "x" * 500}}, "SequenceNumber": sequence},
        "eventSourceARN": STREAM,
    }


def make_function(aws: Endpoint) -> str:
    import io
    import zipfile

    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as code:
        code.writestr("function.py", SOURCE)
    trust = {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "lambda.amazonaws.com"}}
        ],
    }
    role = aws.client("iam").create_role(RoleName="function", AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]
    return aws.client("lambda").create_function(
        FunctionName=FUNCTION,
        Runtime="python3.13",
        Role=role,
        Handler="function.handler",
        Code={"ZipFile": archive.getvalue()},
    )["FunctionArn"]


if __name__ == "__main__":
    main()
