"""The program and its components, run whole: real URNs, strict inputs, no AWS."""

from __future__ import annotations

import asyncio
import functools
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pulumi
import pytest
from pulumi.runtime import MockCallArgs, MockResourceArgs, rpc
from pulumi.runtime import settings as pulumi_settings
from pulumi.runtime.config import set_all_config

from components.testing import AwsMocks
from local.deploy import strict
from local.deploy.program import Created, ProgramRun, Registration, run_program
from local.deploy.stack_files import read_stack_files

PROGRAM = Path(__file__).parents[3]
REGION, ACCOUNT = "eu-central-1", "123456789012"


def arn(service: str, resource: str) -> str:
    return f"arn:aws:{service}:{REGION}:{ACCOUNT}:{resource}"


#: What AWS would tell about a resource of each type that is made from a name.
OUTPUTS: Mapping[str, Callable[[str], Mapping[str, Any]]] = {
    "aws:apigatewayv2/api:Api": lambda name: {"executionArn": arn("execute-api", name)},
    "aws:apigatewayv2/authorizer:Authorizer": lambda name: {},
    "aws:apigatewayv2/integration:Integration": lambda name: {},
    "aws:apigatewayv2/route:Route": lambda name: {},
    "aws:apigatewayv2/stage:Stage": lambda name: {"invokeUrl": f"https://{name}.example.com"},
    "aws:cloudwatch/logGroup:LogGroup": lambda name: {"name": name, "arn": arn("logs", f"log-group:{name}")},
    "aws:cloudwatch/compositeAlarm:CompositeAlarm": lambda name: {"arn": arn("cloudwatch", f"alarm:{name}")},
    "aws:cloudwatch/dashboard:Dashboard": lambda name: {},
    "aws:cloudwatch/metricAlarm:MetricAlarm": lambda name: {"name": name, "arn": arn("cloudwatch", f"alarm:{name}")},
    "aws:dynamodb/table:Table": lambda name: {
        "name": name,
        "arn": arn("dynamodb", f"table/{name}"),
        "streamArn": arn("dynamodb", f"table/{name}/stream/2026-01-31T08:30:00.000"),
    },
    "aws:dynamodb/kinesisStreamingDestination:KinesisStreamingDestination": lambda name: {},
    "aws:kinesis/stream:Stream": lambda name: {"name": name, "arn": arn("kinesis", f"stream/{name}")},
    "aws:kinesis/streamConsumer:StreamConsumer": lambda name: {"arn": arn("kinesis", f"stream/s/consumer/{name}:1")},
    "aws:iam/role:Role": lambda name: {"name": name, "arn": f"arn:aws:iam::{ACCOUNT}:role/{name}"},
    "aws:iam/rolePolicy:RolePolicy": lambda name: {},
    "aws:lambda/eventSourceMapping:EventSourceMapping": lambda name: {"uuid": f"uuid-of-{name}"},
    "aws:lambda/function:Function": lambda name: {
        "name": name,
        "arn": arn("lambda", f"function:{name}"),
        "invokeArn": f"invoke:{name}",
    },
    "aws:lambda/layerVersion:LayerVersion": lambda name: {"arn": arn("lambda", f"layer:{name}:1")},
    "aws:lambda/permission:Permission": lambda name: {},
    "aws:pipes/pipe:Pipe": lambda name: {"name": name, "arn": arn("pipes", f"pipe/{name}")},
    "aws:cloudwatch/eventApiDestination:EventApiDestination": lambda name: {
        "name": name,
        "arn": arn("events", f"api-destination/{name}/0"),
    },
    "aws:cloudwatch/eventArchive:EventArchive": lambda name: {"arn": arn("events", f"archive/{name}")},
    "aws:cloudwatch/eventConnection:EventConnection": lambda name: {"arn": arn("events", f"connection/{name}/0")},
    "aws:cloudwatch/eventRule:EventRule": lambda name: {"name": name, "arn": arn("events", f"rule/{name}")},
    "aws:cloudwatch/eventTarget:EventTarget": lambda name: {},
    "aws:cloudwatch/eventBus:EventBus": lambda name: {"name": name, "arn": arn("events", f"event-bus/{name}")},
    "aws:s3/bucket:Bucket": lambda name: {"bucket": name, "arn": f"arn:aws:s3:::{name}"},
    "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration": lambda name: {},
    "aws:s3/bucketOwnershipControls:BucketOwnershipControls": lambda name: {},
    "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock": lambda name: {},
    "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration": lambda name: {},
    "aws:secretsmanager/secret:Secret": lambda name: {"arn": arn("secretsmanager", f"secret:{name}"), "name": name},
    "aws:secretsmanager/secretVersion:SecretVersion": lambda name: {"arn": arn("secretsmanager", f"secret:{name}")},
    "aws:sesv2/emailIdentity:EmailIdentity": lambda name: {"arn": arn("ses", f"identity/{name}")},
    "aws:scheduler/schedule:Schedule": lambda name: {},
    "aws:scheduler/scheduleGroup:ScheduleGroup": lambda name: {
        "name": name,
        "arn": arn("scheduler", f"schedule-group/{name}"),
    },
    "aws:sfn/stateMachine:StateMachine": lambda name: {"arn": arn("states", f"stateMachine:{name}"), "name": name},
    "aws:sns/topic:Topic": lambda name: {"arn": arn("sns", name), "name": name},
    "aws:sns/topicSubscription:TopicSubscription": lambda name: {},
    "aws:sqs/queue:Queue": lambda name: {"name": name, "arn": arn("sqs", name), "url": f"https://queues/{name}"},
    "aws:sqs/queuePolicy:QueuePolicy": lambda name: {},
}


def existing_table(name: str, **differently: Any) -> dict[str, Any]:
    """What the provider answers about a table that exists."""
    return {
        "arn": arn("dynamodb", f"table/{name}"),
        "hashKey": "orderId",
        "rangeKey": "at",
        "attributes": [{"name": each, "type": "N" if each == "at" else "S"} for each in ("at", "orderId", "email")],
        "streamEnabled": True,
        "streamArn": arn("dynamodb", f"table/{name}/stream/2026-01-31T08:30:00.000"),
        "streamViewType": "NEW_AND_OLD_IMAGES",
        "replicas": [],
        "serverSideEncryption": {"enabled": True, "kmsKeyArn": arn("kms", "key/1")},
        **differently,
    }


#: Tables that exist in the account.
TABLES = {
    "orders": existing_table("orders"),
    "global": existing_table("global", replicas=[{"kmsKeyArn": "", "regionName": "eu-west-1"}]),
    "off": existing_table("off", streamEnabled=False, streamArn="", streamViewType=""),
    "keys-only": existing_table("keys-only", streamViewType="KEYS_ONLY"),
}


class PretendAws:
    """Says what AWS would say, and refuses what its provider would refuse."""

    def create(self, registration: Registration) -> Created:
        assert strict.problems(registration.type, registration.inputs) == []
        return Created(f"{registration.name}-id", OUTPUTS[registration.type](registration.name))

    def invoke(self, token: str, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        if token == "aws:index/getRegion:getRegion":
            return {"region": REGION, "name": REGION, "id": REGION, "description": "", "endpoint": ""}
        if token == "aws:dynamodb/getTable:getTable":
            return TABLES[arguments["name"]]
        assert token == "aws:index/getCallerIdentity:getCallerIdentity"
        return {"accountId": ACCOUNT, "arn": "arn", "userId": "user", "id": ACCOUNT}


@dataclass(frozen=True)
class Run:
    """A finished run, with the questions that tests ask."""

    run: ProgramRun

    @property
    def outputs(self) -> dict[str, Any]:
        return self.run.outputs

    @property
    def registrations(self) -> list[Registration]:
        return self.run.registrations

    def all(self, type_: str) -> list[Registration]:
        """Everything of a type, by the end of its token: `Table`, `StreamConsumer`."""
        return [each for each in self.registrations if each.type.rpartition(":")[2] == type_]

    def one(self, type_: str, name: str | None = None) -> Registration:
        (found,) = [each for each in self.all(type_) if name in (None, each.name)]
        return found

    def statements(self, function: str) -> list[Any]:
        """The statements of a function's only policy."""
        return json.loads(self.one("RolePolicy", function).inputs["policy"])["Statement"]


def run_function(
    program: Callable[[], object], *, preview: bool = False, config: Mapping[str, str] | None = None
) -> Run:
    return Run(run_program(program, PretendAws(), project="weir", stack="test", preview=preview, config=config))


def run_stack(stack: str, overrides: Mapping[str, str] | None = None, *, preview: bool = False) -> Run:
    files = read_stack_files(PROGRAM, stack, overrides)
    return Run(
        run_program(PROGRAM, PretendAws(), project=files.project, stack=stack, config=files.config, preview=preview)
    )


@pytest.fixture
def run() -> Callable[..., Run]:
    """Runs a function as a Pulumi program."""
    return run_function


@pytest.fixture(scope="session")
def program() -> Callable[..., Run]:
    """Runs this project's own program for a stack, once for each way of asking."""

    @functools.cache
    def once(stack: str, *, preview: bool = False) -> Run:
        return run_stack(stack, preview=preview)

    return once


@pytest.fixture(scope="module")
def configured() -> Callable[..., Run]:
    """Runs this project's own program with values in place of the stack's, once for each way of asking."""

    @functools.cache
    def once(stack: str, overrides: frozenset[tuple[str, str]], preview: bool) -> Run:
        return run_stack(stack, dict(overrides), preview=preview)

    def ask(stack: str, overrides: Mapping[str, str] | None = None, *, preview: bool = False) -> Run:
        return once(stack, frozenset((overrides or {}).items()), preview)

    return ask


@pytest.fixture
def mocks() -> Iterator[AwsMocks]:
    yield from started(preview=False)


@pytest.fixture
def preview() -> Iterator[AwsMocks]:
    yield from started(preview=True)


def _whole(value: Any) -> Any:
    """Return inputs as the provider sees them: on the way to the mocks every number becomes a float.

    Secrets come wrapped, and the engine unwraps them for the provider.
    """
    match value:
        case {rpc._special_sig_key: _, "value": secret}:
            return _whole(secret)
        case float() if value.is_integer():
            return int(value)
        case Mapping():
            return {name: _whole(each) for name, each in value.items()}
        case list():
            return [_whole(each) for each in value]
        case _:
            return value


class StrictMocks(AwsMocks):
    """`AwsMocks` that refuse what AWS's provider would refuse, and know the tables that exist."""

    def new_resource(self, args: MockResourceArgs) -> tuple[str | None, dict[str, Any]]:
        if args.typ.startswith("aws:"):
            assert strict.problems(args.typ, _whole(args.inputs)) == []
        return super().new_resource(args)

    def call(self, args: MockCallArgs) -> dict[str, Any]:
        if args.token == "aws:dynamodb/getTable:getTable":
            return TABLES[args.args["name"]]
        return super().call(args)

    def statements(self, role: str) -> list[Any]:
        """The statements of a role's only policy."""
        return json.loads(self.one("RolePolicy", role).inputs["policy"])["Statement"]


@pytest.fixture
def mocked() -> Iterator[Callable[[Callable[[], object]], StrictMocks]]:
    """Runs a function as Pulumi documents it for unit tests, under mocks of its own; returns them."""
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)

    def run(program: Callable[[], object]) -> StrictMocks:
        pulumi_settings.ROOT.set(None)
        set_all_config({}, [])
        mocks = StrictMocks(region=REGION, account_id=ACCOUNT)
        pulumi.runtime.set_mocks(mocks, project="weir", stack="test")

        @pulumi.runtime.test
        def of_pulumi() -> None:
            program()

        of_pulumi()
        return mocks

    yield run
    pulumi_settings.ROOT.set(None)
    loop.close()
    asyncio.set_event_loop_policy(None)


def started(*, preview: bool) -> Iterator[AwsMocks]:
    """Set the mocks, with an event loop and a stack of the test's own."""
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    pulumi_settings.ROOT.set(None)
    set_all_config({}, [])
    mocks = AwsMocks()
    pulumi.runtime.set_mocks(mocks, project="weir", stack="test", preview=preview)
    yield mocks
    # Setting mocks registers the stack: wait for that in tests that run no program.
    pulumi.runtime.test(lambda: None)()
    pulumi_settings.ROOT.set(None)
    loop.close()
    asyncio.set_event_loop_policy(None)
