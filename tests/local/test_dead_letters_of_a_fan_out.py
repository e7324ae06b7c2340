"""`weir status` and `weir dead-letters` where each consumer has a FIFO queue: parked changes and dead-letter queues."""

from __future__ import annotations

import json
from collections.abc import Iterator
from io import StringIO
from typing import Any

import pytest
from rich.console import Console

from ops.local_stack import local_stack
from tests.local.operator_world import CONSUMER, Night
from tests.local.world import wait_until


@pytest.fixture(scope="module")
def fan_out(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Night]:
    with local_stack(Console(file=StringIO())) as (endpoint, deployment):
        yield Night(endpoint, deployment, tmp_path_factory.mktemp("stack") / "local.json")


def listed(night: Night) -> list[Any]:
    return night.weir("dead-letters", "list", CONSUMER, "--json").documents


def test_a_parked_change_goes_back_to_its_queue_under_a_new_deduplication_id(fan_out: Night) -> None:
    fan_out.break_mails()
    fan_out.upgrade("ada")
    wait_until(lambda: listed(fan_out), timeout=120)
    fan_out.repair()
    (parked,) = listed(fan_out)
    assert (parked["keys"], parked["condition"]) == (["userId=ada"], "RetryAttemptsExhausted")
    status = fan_out.weir("status", "--json")
    by_name = {each["name"]: each for each in json.loads(status.output)["consumers"]}
    assert (status.code, by_name[CONSUMER]["deadLetters"]["waiting"], "forwarder" in by_name) == (1, 1, True)

    said = fan_out.weir("dead-letters", "redrive", CONSUMER, "--yes", "--json")
    assert (said.code, [each["outcome"] for each in said.documents]) == (0, ["queued"])
    wait_until(lambda: fan_out.mails() == ["ada@example.com"])
    assert listed(fan_out) == []


def test_a_change_that_is_parked_again_waits_again(fan_out: Night) -> None:
    fan_out.break_mails()
    fan_out.upgrade("bob")
    wait_until(lambda: listed(fan_out), timeout=120)
    fan_out.weir("dead-letters", "redrive", CONSUMER, "--yes")
    assert listed(fan_out) == []
    wait_until(lambda: listed(fan_out), timeout=120)
    fan_out.repair()
    fan_out.weir("dead-letters", "redrive", CONSUMER, "--yes")
    wait_until(lambda: "bob@example.com" in fan_out.mails())
    assert fan_out.mails().count("bob@example.com") == 1


@pytest.mark.parametrize(("place", "condition"), [(0, "MaxReceiveCount"), (1, "Undelivered")])
def test_messages_of_a_dead_letter_queue_go_back_in_the_order_of_their_item(
    fan_out: Night, place: int, condition: str
) -> None:
    sqs = fan_out.client("sqs")
    arn = fan_out.outputs["consumers"][CONSUMER]["deadLetterQueues"][place]
    queue = sqs.get_queue_url(QueueName=arn.rpartition(":")[2])["QueueUrl"]
    user = f"cyd-{place}"
    fan_out.break_mails()
    fan_out.upgrade(user)
    wait_until(lambda: listed(fan_out), timeout=120)
    fan_out.repair()
    (parked,) = listed(fan_out)
    body = fan_out.client("s3").get_object(Bucket=fan_out.bucket, Key=parked["id"])["Body"].read()
    (message,) = json.loads(json.loads(body)["payload"])["Records"]
    fan_out.empty()
    sqs.send_message(
        QueueUrl=queue,
        MessageBody=message["body"],
        MessageGroupId=message["attributes"]["MessageGroupId"],
        MessageDeduplicationId=message["attributes"]["MessageDeduplicationId"],
    )
    (letter,) = listed(fan_out)
    assert (letter["condition"], letter["keys"]) == (condition, [f"userId={user}"])
    assert fan_out.weir("dead-letters", "redrive", CONSUMER, "--yes").code == 0
    wait_until(lambda: f"{user}@example.com" in fan_out.mails())
    assert listed(fan_out) == []
