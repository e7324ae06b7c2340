"""`AwsMocks`: components and the whole program in unit tests as Pulumi documents them."""

from __future__ import annotations

import json
import runpy
from pathlib import Path
from typing import Any

import pulumi
import pulumi_aws as aws
import pytest
from pulumi.runtime import MockCallArgs, MockResourceArgs
from pulumi.runtime.config import set_all_config

from components import (
    ChangeTable,
    EffectLedgerTable,
    EmailSender,
    FailureDestination,
    HttpApi,
    PythonFunction,
    Sequencer,
    Stream,
    StreamConsumer,
    StreamSource,
)
from components.testing import AwsMocks
from handlers import welcome_email
from local.deploy.stack_files import read_stack_files
from tests.reference import upgrade_api
from tests.reference import welcome_email as plain

PROGRAM = Path(__file__).parents[3]
STREAM = "arn:aws:dynamodb:us-east-1:123456789012:table/users/stream/2026-01-31T08:30:00.000"


def test_a_consumer_reads_the_tables_stream_and_keeps_what_it_gives_up(mocks: AwsMocks) -> None:
    seen: list[Any] = []

    @pulumi.runtime.test
    def program() -> pulumi.Output[None]:
        users = ChangeTable("users", hash_key="userId")
        ledger = EffectLedgerTable("effects")
        mail = EmailSender("mail", mail_from="you@example.com")
        changes = Stream("changes", source=users.stream)
        consumer = changes.subscribe(welcome_email.handler, access=[ledger.access(), mail.send_access()])
        mapping = consumer.event_source_mapping
        return pulumi.Output.all(mapping.event_source_arn, mapping.bisect_batch_on_function_error).apply(seen.extend)

    program()
    assert seen == [STREAM, True]
    mapping = mocks.one("EventSourceMapping").inputs
    assert mapping["functionResponseTypes"] == ["ReportBatchItemFailures"]
    assert mapping["destinationConfig"]["onFailure"]["destinationArn"].startswith("arn:aws:s3:::")
    policy = json.loads(mocks.one("RolePolicy").inputs["policy"])
    reads = [each for each in policy["Statement"] if "dynamodb:GetRecords" in each["Action"]]
    assert [each["Resource"] for each in reads] == [f"{STREAM.rpartition('/')[0]}/*"]


COMPONENTS = {
    "ChangeTable": lambda: ChangeTable("users", hash_key="userId"),
    "EffectLedgerTable": lambda: EffectLedgerTable("effects"),
    "EmailSender": lambda: EmailSender("mail", mail_from="you@example.com"),
    "FailureDestination": lambda: [FailureDestination(kind, kind=kind) for kind in ("s3", "sqs", "sns")],
    "HttpApi": lambda: HttpApi("api").route("POST /users/{userId}/plan", upgrade_api.handler),
    "PythonFunction": lambda: PythonFunction("mail", entry_point="handlers.welcome_email.handler"),
    "Sequencer": lambda: Sequencer("waiting"),
    "StreamConsumer": lambda: StreamConsumer(
        "mail", consumer=plain.handler, source=StreamSource(arn=STREAM, table="users")
    ),
    "Stream": lambda: Stream("changes", source=StreamSource(arn=STREAM, table="users")),
}


@pytest.mark.parametrize("component", COMPONENTS)
@pytest.mark.parametrize("phase", ["mocks", "preview"])
def test_every_component_runs(component: str, phase: str, request: pytest.FixtureRequest) -> None:
    mocks: AwsMocks = request.getfixturevalue(phase)

    @pulumi.runtime.test
    def program() -> None:
        COMPONENTS[component]()

    program()
    assert mocks.registered


@pytest.mark.parametrize("stack", ["dev", "prod", "local"])
def test_the_whole_program_runs(mocks: AwsMocks, stack: str) -> None:
    set_all_config(read_stack_files(PROGRAM, stack).config, [])

    @pulumi.runtime.test
    def program() -> None:
        runpy.run_path(str(PROGRAM / "__main__.py"), run_name="__main__")

    program()
    assert mocks.one("Table", "users").inputs["streamViewType"] == "NEW_AND_OLD_IMAGES"


def test_computed_outputs_are_unknown_in_a_preview(preview: AwsMocks) -> None:
    known: list[bool] = []

    @pulumi.runtime.test
    async def program() -> None:
        table = aws.dynamodb.Table("users", hash_key="userId", attributes=[{"name": "userId", "type": "S"}])
        known.extend([await table.stream_arn.is_known(), await table.hash_key.is_known()])

    program()
    assert known == [False, True]


@pytest.mark.parametrize(
    ("type_", "inputs", "output", "value"),
    [
        ("aws:sqs/queue:Queue", {}, "arn", "arn:aws:sqs:eu-west-1:111122223333:orders"),
        ("aws:sqs/queue:Queue", {"fifoQueue": True}, "name", "orders.fifo"),
        ("aws:sns/topic:Topic", {"fifoTopic": True, "name": "given.fifo"}, "name", "given.fifo"),
        ("aws:s3/bucket:Bucket", {"bucket": "given"}, "arn", "arn:aws:s3:::given"),
        ("aws:dynamodb/table:Table", {}, "streamArn", ""),
        ("aws:kms/key:Key", {}, "arn", "arn:aws:kms:eu-west-1:111122223333:orders"),
    ],
)
def test_a_resource_has_the_name_and_arn_of_its_service(
    mocks: AwsMocks, type_: str, inputs: dict[str, Any], output: str, value: str
) -> None:
    elsewhere = AwsMocks(region="eu-west-1", account_id="111122223333")
    assert elsewhere.new_resource(MockResourceArgs(type_, "orders", inputs))[1][output] == value


def test_where_the_program_runs_is_answered() -> None:
    mocks = AwsMocks(region="eu-west-1", account_id="111122223333")
    tokens = [f"aws:index/get{name}:get{name}" for name in ("CallerIdentity", "Region", "Partition")]
    identity, region, partition = (mocks.call(MockCallArgs(token, {}, "")) for token in tokens)
    assert (identity["accountId"], region["region"], partition["partition"]) == ("111122223333", "eu-west-1", "aws")


def test_what_lies_in_an_account_is_not_made_up() -> None:
    with pytest.raises(LookupError, match=r"AwsMocks does not answer aws:ec2/getVpc:getVpc.*write a subclass"):
        AwsMocks().call(MockCallArgs("aws:ec2/getVpc:getVpc", {}, ""))


def test_a_resource_that_is_not_there_is_named_beside_those_that_are(mocks: AwsMocks) -> None:
    mocks.new_resource(MockResourceArgs("aws:sqs/queue:Queue", "orders", {}))
    with pytest.raises(LookupError, match="0 resources match Queue payments, not one; registered of this type: orders"):
        mocks.one("Queue", "payments")
