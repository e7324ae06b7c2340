"""A program of every component under the real engine: created, left alone by a second `up`, destroyed in two steps."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator

import pulumi
import pytest

import components
from local.pulumi_host.cli import Cli
from tests.engine.lab import ONE_CHECKPOINT, ROOT, Lab, copy_project, lab
from tests.local.world import wait_until
from tests.partner import Partner
from tests.wheels import lock, wheel

PROGRAM = ROOT / "tests" / "reference" / "every_component.py"


@pytest.fixture(scope="module")
def globex() -> Iterator[Partner]:
    """The partner of the program that gives tokens to OAuth clients."""
    with Partner().running() as server:
        yield server


@pytest.fixture(scope="module")
def every(tmp_path_factory: pytest.TempPathFactory, cli: Cli, globex: Partner) -> Iterator[Lab]:
    """A protected stack of the program, whose fan-out keeps an archive, deployed."""
    directory = tmp_path_factory.mktemp("every")
    project = copy_project(directory)
    shutil.copy(PROGRAM, project / "__main__.py")
    shutil.copytree(PROGRAM.parent, project / "tests" / "reference", ignore=shutil.ignore_patterns("__pycache__"))
    (project / "done.asl.json").write_text(json.dumps({"StartAt": "Done", "States": {"Done": {"Type": "Succeed"}}}))
    lock(project / "packages.txt", wheel(directory, "said", "WORD = 'said'\n"))
    with lab(directory, cli, project) as made:
        made.aws.client("dynamodb").create_table(
            TableName="existing",
            KeySchema=[{"AttributeName": "userId", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "userId", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
            StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
        )
        made.environment |= ONE_CHECKPOINT
        made.config("archiveDays", "1")
        made.config("globex", globex.url)
        made.up()
        yield made


def test_the_program_uses_every_component(every: Lab) -> None:
    exported = {name: value for name, value in vars(components).items() if name in components.__all__}
    wanted = {
        name
        for name, value in exported.items()
        if isinstance(value, type) and issubclass(value, pulumi.ComponentResource)
    }
    resources = json.loads(every.state())["deployment"]["resources"]
    assert wanted <= {each["type"].removeprefix("weir:index:") for each in resources}


def test_a_second_up_and_a_refresh_find_nothing_to_do(every: Lab) -> None:
    assert every.up("--expect-no-changes").steps == {}
    refreshed = every.pulumi("refresh", "--yes", "--skip-preview", "--expect-no-changes")
    assert set(refreshed.steps.values()) <= {"refresh"}


def test_what_opens_a_partner_s_door_is_in_clear_nowhere_and_the_partner_is_called_with_its_token(
    every: Lab, globex: Partner
) -> None:
    state = every.state()
    assert [text for text in ("the key of acme", "the secret of globex", "of the hashes") if text in state] == []
    entry = {"Source": "webhooks", "DetailType": "account changed", "Detail": '{"accountId": "a1"}'}
    bus = every.outputs()["webhookBus"]
    every.aws.client("events").put_events(Entries=[{**entry, "EventBusName": bus}])
    wait_until(lambda: globex.requests)
    assert globex.events() == [{"accountId": "a1"}]
    assert globex.requests[0]["headers"]["authorization"] == f"Bearer {globex.tokens[0]}"
    assert b"client_secret=the+secret+of+globex" in globex.clients[0]["body"]


def test_a_pipe_that_would_begin_elsewhere_is_refused_before_anything_has_happened(every: Lab) -> None:
    latest = ("PipeDelivery(", 'PipeDelivery(starting_position="LATEST", ')
    with every.edited("__main__.py", latest):
        for refused in (every.preview(status=1), every.up(status=1)):
            assert "startingPosition from TRIM_HORIZON to LATEST" in refused.errors
            assert "allow_stream_change=True" in refused.errors
            assert not {"update", "replace", "create-replacement", "delete"} & set(refused.steps.values())


def test_a_pipe_that_would_leave_what_waits_in_its_queue_is_refused(every: Lab) -> None:
    other = (
        "QueueSource(queue=jobs)",
        'QueueSource(queue=aws.sqs.Queue("others", redrive_policy=jobs.redrive_policy))',
    )
    with every.edited("__main__.py", other):
        refused = every.preview(status=1)
        assert "stream from the queue jobs to the queue others" in refused.errors
        assert "wait until that is empty and pass allow_stream_change=True" in refused.errors


def test_a_stack_with_an_archive_is_destroyed_in_the_documented_steps(every: Lab) -> None:
    assert "protected" in every.destroy(status=1).output
    every.config("protect", "false")
    refused = every.preview(status=1)
    assert "run  pulumi config set archiveDays 0  and  pulumi up  first" in refused.errors
    every.config("archiveDays", "0")
    assert every.up().steps["Topic changes"] == "update"
    every.destroy()
    client = every.aws.client
    assert client("dynamodb").list_tables()["TableNames"] == ["existing"]
    assert client("lambda").list_functions()["Functions"] == []
    assert client("lambda").list_event_source_mappings()["EventSourceMappings"] == []
    assert client("pipes").list_pipes()["Pipes"] == []
    assert client("sns").list_topics()["Topics"] == []
    assert client("sqs").list_queues().get("QueueUrls", []) == []
    assert client("s3").list_buckets()["Buckets"] == []
    assert client("iam").list_roles()["Roles"] == []
    assert client("cloudwatch").describe_alarms()["MetricAlarms"] == []
