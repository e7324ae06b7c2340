"""Deployments that would lose changes, or take away what is protected, are refused before anything has happened."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import pytest
from rich.console import Console

from ops.demo.run import run_on
from tests.engine.lab import Lab

TABLE = 'ChangeTable("users", hash_key="userId", deletion_protection=config.protect'
SUBSCRIBED = "changes.subscribe(welcome_email.handler, "

#: Another view type, with a condition that it can serve.
NEW_VIEW_TYPE = (
    ("__main__.py", (TABLE, f'{TABLE}, stream_view_type="NEW_IMAGE"')),
    ("handlers/welcome_email.py", ('on.changed("plan") & ', "")),
)


@pytest.fixture(scope="module")
def deployed(engine: Lab) -> dict[str, Any]:
    """The program with a consumer that reads the stream itself."""
    engine.config("fanOut", "false")
    engine.up()
    return engine.outputs()


@pytest.fixture
def new_view_type(engine: Lab) -> Iterator[None]:
    (main, in_main), (handler, in_handler) = NEW_VIEW_TYPE
    with engine.edited(main, in_main), engine.edited(handler, in_handler):
        yield


def upgrade(engine: Lab, table: str, *users: str) -> None:
    """Write users, and upgrade each."""
    dynamodb = engine.aws.client("dynamodb")
    for user in users:
        item = {"userId": {"S": user}, "email": {"S": f"{user}@example.com"}, "plan": {"S": "free"}}
        dynamodb.put_item(TableName=table, Item=item)
        dynamodb.put_item(TableName=table, Item={**item, "plan": {"S": "pro"}, "version": {"N": "1"}})


def mailed(engine: Lab) -> set[str]:
    return {mail["To"][0].partition("@")[0] for mail in engine.aws.control.mails()}


def pause(engine: Lab, function: str, *, paused: bool) -> None:
    lambda_ = engine.aws.client("lambda")
    if paused:
        lambda_.put_function_concurrency(FunctionName=function, ReservedConcurrentExecutions=0)
    else:
        lambda_.delete_function_concurrency(FunctionName=function)


def test_the_demo_s_claims_hold_on_the_stack_that_the_engine_deployed(deployed: dict[str, Any], engine: Lab) -> None:
    report = run_on(engine.aws, deployed, 20, console=Console(file=io.StringIO()))
    assert [verdict.name for verdict in report.broken] == []


@pytest.mark.usefixtures("new_view_type")
def test_a_new_stream_is_refused_before_anything_has_happened(deployed: dict[str, Any], engine: Lab) -> None:
    for refused in (engine.preview(status=1), engine.up(status=1)):
        assert "streamViewType from NEW_AND_OLD_IMAGES to NEW_IMAGE" in refused.errors
        assert f"drain=['{deployed['streamArn']}'] to each subscribe" in refused.errors
        assert "of writes while AWS switches the stream, no record exists at all" in refused.errors
    described = engine.aws.client("dynamodb").describe_table(TableName=deployed["usersTable"])["Table"]
    assert described["LatestStreamArn"] == deployed["streamArn"]
    assert engine.outputs() == deployed


def test_another_starting_position_is_refused_before_anything_has_happened(
    deployed: dict[str, Any], engine: Lab
) -> None:
    with engine.edited("__main__.py", ("=StreamDelivery(", '=StreamDelivery(starting_position="LATEST", ')):
        for refused in (engine.preview(status=1), engine.up(status=1)):
            assert "startingPosition from TRIM_HORIZON to LATEST" in refused.errors
            assert "allow_stream_change=True" in refused.errors
    engine.up("--expect-no-changes")


def test_destroy_of_a_protected_stack_does_nothing_at_all(deployed: dict[str, Any], engine: Lab) -> None:
    refused = engine.destroy(status=1)
    assert "protected" in refused.output
    assert refused.steps == {}
    engine.up("--expect-no-changes")


def test_a_consumer_of_a_protected_stack_goes_in_two_steps_and_leaves_its_dead_letters(
    deployed: dict[str, Any], engine: Lab
) -> None:
    bucket = deployed["consumers"]["welcome-email"]["failureDestination"].rpartition(":")[2]
    s3 = engine.aws.client("s3")
    s3.put_object(Bucket=bucket, Key="aws/lambda/dead", Body=b"{}")
    free = "opts=pulumi.ResourceOptions(protect=False), "
    # It is the only consumer, so the dashboard, which would have nothing to show, goes with it.
    page, exported = "page = StreamDashboard(", 'pulumi.export("dashboard"'
    gone = [(each, f"# {each}") for each in (SUBSCRIBED, page, exported)]

    with engine.edited("__main__.py", *gone):
        assert "protected" in engine.up(status=1).output
    shown = f'{page}"overview", '
    with engine.edited("__main__.py", (SUBSCRIBED, f"{SUBSCRIBED}{free}"), (shown, f"{shown}{free}")):
        warned = engine.up()
    assert f"the bucket {bucket} stays" in warned.output
    with engine.edited("__main__.py", *gone):
        removed = engine.up()
        assert removed.steps["Function welcome-email"] == "delete"
        assert s3.get_object(Bucket=bucket, Key="aws/lambda/dead")["Body"].read() == b"{}"
        assert s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"]["BlockPublicAcls"]
        assert s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]
        assert s3.get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"]
    engine.up()


def test_a_new_stream_that_was_asked_for_drains_the_old_one(engine: Lab) -> None:
    engine.config("protect", "false")
    engine.up()
    before = engine.outputs()
    old, table = before["streamArn"], before["usersTable"]
    pause(engine, before["functionNames"]["welcome-email"], paused=True)
    waiting = [f"old-{number}" for number in range(25)]
    upgrade(engine, table, *waiting)
    (main, in_main), (handler, in_handler) = NEW_VIEW_TYPE
    asked = (in_main[0], f"{in_main[1]}, allow_stream_change=True")
    drained = (SUBSCRIBED, f"{SUBSCRIBED}drain=[{old!r}], ")
    with engine.edited(main, asked, drained), engine.edited(handler, in_handler):
        steps = engine.up().steps
        after = engine.outputs()
        fresh = [f"new-{number}" for number in range(10)]
        upgrade(engine, table, *fresh)
        pause(engine, before["functionNames"]["welcome-email"], paused=False)
        engine.aws.control.wait_until_idle([after["consumers"]["welcome-email"]["eventSourceMapping"]], timeout=60)
        (mapping,) = [
            each["UUID"]
            for each in engine.aws.client("lambda").list_event_source_mappings(EventSourceArn=old)[
                "EventSourceMappings"
            ]
        ]
        engine.aws.control.wait_until_idle([mapping], timeout=60)
    assert steps["Table users"] == "update"
    assert steps["EventSourceMapping welcome-email-drain"] == "create"
    assert after["streamArn"] != old
    assert {*waiting, *fresh} <= mailed(engine)


def test_destroy_leaves_nothing(engine: Lab) -> None:
    client = engine.aws.client
    bucket = engine.outputs()["consumers"]["welcome-email"]["failureDestination"].rpartition(":")[2]
    for each in client("s3").list_objects_v2(Bucket=bucket).get("Contents", []):
        # A slow machine has dead letters, and a bucket that holds some is not deleted.
        client("s3").delete_object(Bucket=bucket, Key=each["Key"])
    engine.destroy()
    assert client("dynamodb").list_tables()["TableNames"] == []
    assert client("lambda").list_functions()["Functions"] == []
    assert client("lambda").list_event_source_mappings()["EventSourceMappings"] == []
    assert client("iam").list_roles()["Roles"] == []
    assert client("logs").describe_log_groups()["logGroups"] == []
    assert client("cloudwatch").describe_alarms()["MetricAlarms"] == []
    # The dead letters that were kept above, and nothing else.
    assert len(client("s3").list_buckets()["Buckets"]) == 1
