"""`weir reread` of a range that the stream has forgotten, where the fan-out's topic keeps an archive."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from ops.local_stack import local_stack
from ops.operator.archive import PREFIX
from tests.local.operator_world import CONSUMER, Night, Said, acting_as
from tests.local.world import wait_until

#: More than the stream's 24 hours.
FROM = ("--from", "2d")


@pytest.fixture(scope="module")
def archived(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Night]:
    config = {"weir:archiveDays": "7", "weir:protect": "true"}
    with local_stack(Console(file=StringIO()), config=config) as (endpoint, deployment):
        yield Night(endpoint, deployment, tmp_path_factory.mktemp("stack") / "local.json")


@pytest.fixture
def night(archived: Night) -> Iterator[Night]:
    """The stack, in which nothing of a replay must be left behind."""
    yield archived
    assert replays(archived) == ([], [])


def replays(night: Night) -> tuple[list[str], list[str]]:
    """The queues of replays that exist, and the subscribed ones."""
    topic = night.outputs["consumers"][CONSUMER]["archive"]["topic"]
    subscribed = night.client("sns").list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]
    urls = night.client("sqs").list_queues(QueueNamePrefix=PREFIX).get("QueueUrls", [])
    return urls, [each["Endpoint"] for each in subscribed if PREFIX in each["Endpoint"]]


def reread(night: Night, *arguments: str) -> tuple[Said, dict[str, int]]:
    said = night.weir("reread", CONSUMER, *FROM, "--json", *arguments)
    assert said.code in (0, 1), said.errors
    return said, json.loads(said.output)["counts"]


def test_the_archive_s_changes_go_through_the_consumer_again_and_nothing_happens_twice(night: Night) -> None:
    night.upgrade("ada", "bob", email="{user}@example.com")
    wait_until(lambda: sorted(night.mails()) == ["ada@example.com", "bob@example.com"])
    dry, counted = reread(night)
    assert (dry.code, counted["planned"], counted["filtered out"]) == (1, 2, 2)
    said, counted = reread(night, "--yes", "--rate", "1000")
    assert (said.code, counted["applied"], counted.get("failed", 0)) == (0, 2, 0)
    assert json.loads(said.output)["forgottenUntil"] is None
    assert len(night.mails()) == 2


def test_a_change_that_only_its_claim_check_brought_is_read_from_its_bucket(night: Night) -> None:
    table, user = night.outputs["usersTable"], "cyd"
    _, before = reread(night)
    item = {"userId": {"S": user}, "plan": {"S": "free"}, "note": {"S": "x" * 380_000}}
    night.client("dynamodb").put_item(TableName=table, Item=item)
    bucket = night.outputs["consumers"][CONSUMER]["archive"]["claimChecks"].rpartition(":")[2]
    for text in ("y", "z"):  # an old and a new image in one record, of characters that JSON escapes
        item["note"] = {"S": chr(0xE9) * 190_000 + text}
        night.client("dynamodb").put_item(TableName=table, Item=item)
    wait_until(lambda: night.client("s3").list_objects_v2(Bucket=bucket).get("KeyCount", 0) > 0)
    night.endpoint.control.wait_until_idle([night.outputs["forwarder"]], timeout=120)
    _, counted = reread(night)
    assert counted["filtered out"] - before["filtered out"] == 3


def test_the_printed_policy_is_enough_and_without_the_right_to_subscribe_the_command_is_refused(
    night: Night, tmp_path: Path
) -> None:
    policy = json.loads(night.weir("reread", CONSUMER, *FROM, "--iam").output)
    said, _ = reread(acting_as(night, policy, tmp_path / "acting.json"), "--yes", "--stale", "skip")
    assert "AccessDenied" not in said.output
    narrow = json.loads(json.dumps(policy))
    for statement in narrow["Statement"]:
        statement["Action"] = [each for each in statement["Action"] if each != "sns:Subscribe"] or [
            "sts:GetCallerIdentity"
        ]
    refused = acting_as(night, narrow, tmp_path / "acting.json").weir("reread", CONSUMER, *FROM)
    assert (refused.code, "AWS refused the call" in refused.errors) == (2, True)


def test_what_a_killed_run_has_left_behind_is_removed_by_the_next_one(night: Night) -> None:
    topic = night.outputs["consumers"][CONSUMER]["archive"]["topic"]
    name = f"{PREFIX}{int(time.time()) - 90_000}-0a1b2c3d.fifo"
    url = night.client("sqs").create_queue(QueueName=name, Attributes={"FifoQueue": "true"})["QueueUrl"]
    arn = night.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    raw = {"RawMessageDelivery": "true"}
    night.client("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn, Attributes=raw)
    assert replays(night) == ([url], [arn])
    reread(night)


def test_a_range_that_the_stream_has_is_read_from_there(night: Night) -> None:
    said = night.weir("reread", CONSUMER, "--from", "1h", "--json")
    assert json.loads(said.output)["source"] == night.outputs["streamArn"]


def test_a_range_that_begins_before_the_archive_does_is_said(night: Night) -> None:
    said = night.weir("reread", CONSUMER, "--from", "9d", "--to", "8d")
    assert said.code == 1
    assert "The archive keeps 168 hours" in said.output
