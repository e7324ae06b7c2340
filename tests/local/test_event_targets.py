"""Rules on the endpoint: API destinations, retries, dead letters, rates, archives and replays."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.local.world import World
from tests.partner import Partner

honours = pytest.mark.honours

ACCOUNT = "111122223333"
HOUR = 3600
INVOKE = {"Effect": "Allow", "Action": "events:InvokeApiDestination", "Resource": "*"}
API_KEY = {"ApiKeyAuthParameters": {"ApiKeyName": "x-api-key", "ApiKeyValue": "s3cret"}}


@pytest.fixture
def partner() -> Iterator[Partner]:
    with Partner().running() as server:
        yield server


class Bus:
    """A bus with one rule, whose target is an API destination with a dead-letter queue."""

    def __init__(self, world: World, partner: Partner, **target: Any) -> None:
        self.world = world
        self.events = world.client("events")
        self.name = world.name
        self.arn = self.events.create_event_bus(Name=self.name)["EventBusArn"]
        self.connection = self.events.create_connection(
            Name=self.name, AuthorizationType="API_KEY", AuthParameters=API_KEY
        )["ConnectionArn"]
        self.destination = self.events.create_api_destination(
            Name=self.name,
            ConnectionArn=self.connection,
            InvocationEndpoint=f"{partner.url}/hook",
            HttpMethod="POST",
        )["ApiDestinationArn"]
        self.rule = self.events.put_rule(
            Name=self.name, EventBusName=self.name, EventPattern=json.dumps({"source": ["weir"]})
        )["RuleArn"]
        self.queue = world.client("sqs").create_queue(QueueName=self.name)["QueueUrl"]
        queue = f"arn:aws:sqs:us-east-1:{ACCOUNT}:{self.name}"
        world.let_in(queue, "events", self.rule)
        self.role = world.make_role(self.name, INVOKE, service="events")
        self.target = {
            "Id": "partner",
            "Arn": self.destination,
            "RoleArn": self.role,
            "DeadLetterConfig": {"Arn": queue},
            **target,
        }
        self.put_target()

    def put_target(self, **changed: Any) -> None:
        self.target |= changed
        self.events.put_targets(Rule=self.name, EventBusName=self.name, Targets=[self.target])

    def put(self, *numbers: int) -> None:
        for number in numbers:
            entry = {
                "EventBusName": self.name,
                "Source": "weir",
                "DetailType": "t",
                "Detail": json.dumps({"n": number}),
            }
            assert self.events.put_events(Entries=[entry])["FailedEntryCount"] == 0

    def dead_letters(self, count: int) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []

        sqs = self.world.client("sqs")

        def received() -> bool:
            answer = sqs.receive_message(QueueUrl=self.queue, MessageAttributeNames=["All"], MaxNumberOfMessages=10)
            for message in answer.get("Messages", []):
                sqs.delete_message(QueueUrl=self.queue, ReceiptHandle=message["ReceiptHandle"])
                found.append(message)
            return len(found) >= count

        self.world.wait_until(received)
        return found


def attributes(letter: dict[str, Any]) -> dict[str, str]:
    return {name: each["StringValue"] for name, each in letter["MessageAttributes"].items()}


@honours("events:PutTargets", "Rule EventBusName Targets")
@honours("events:CreateConnection", "Name AuthorizationType AuthParameters")
@honours("events:CreateApiDestination", "Name ConnectionArn InvocationEndpoint HttpMethod")
def test_an_event_reaches_an_api_destination_with_its_key(world: World, partner: Partner) -> None:
    bus = Bus(world, partner, InputPath="$.detail", HttpParameters={"HeaderParameters": {"x-kind": "plan"}})
    bus.put(1)
    world.wait_until(lambda: partner.requests)
    (request,) = partner.requests
    assert (request["path"], json.loads(request["body"])) == ("/hook", {"n": 1})
    assert (request["headers"]["x-api-key"], request["headers"]["x-kind"]) == ("s3cret", "plan")


def test_a_partner_that_is_down_for_an_hour_loses_nothing(world: World, partner: Partner) -> None:
    bus = Bus(world, partner, InputPath="$.detail")
    partner.status = 503
    bus.put(1, 2, 3)
    world.wait_until(lambda: len(partner.refused) >= 3)
    for _ in range(6):
        refused = len(partner.refused)
        world.control.advance_clock(HOUR / 6)
        world.wait_until(lambda refused=refused: len(partner.refused) >= refused + 3)
    partner.status = 200
    world.control.advance_clock(HOUR)
    world.wait_until(lambda: len(partner.requests) == 3)
    assert sorted(each["n"] for each in partner.events()) == [1, 2, 3]


@pytest.mark.parametrize("status", [400, 403, 404, 408, 422])
def test_some_answers_are_never_tried_again(world: World, partner: Partner, status: int) -> None:
    bus = Bus(world, partner)
    partner.status = status
    bus.put(1)
    (letter,) = bus.dead_letters(1)
    assert len(partner.refused) == 1
    found = attributes(letter)
    assert (found["ERROR_CODE"], found["RETRY_ATTEMPTS"]) == ("ERROR_FROM_TARGET", "0")
    assert str(status) in found["ERROR_MESSAGE"]
    assert "EXHAUSTED_RETRY_CONDITION" not in found
    assert (found["RULE_ARN"], found["TARGET_ARN"]) == (bus.rule, bus.destination)
    assert json.loads(letter["Body"])["detail"] == {"n": 1}


@pytest.mark.parametrize("status", [401, 407, 409, 429, 500, 502])
def test_other_answers_are_tried_again(world: World, partner: Partner, status: int) -> None:
    bus = Bus(world, partner, InputPath="$.detail")
    partner.status = status
    bus.put(1)
    world.wait_until(lambda: partner.refused)
    partner.status = 200
    world.control.advance_clock(600)
    world.wait_until(lambda: partner.events() == [{"n": 1}])


def test_an_event_is_given_up_after_its_retries_or_at_its_age(world: World, partner: Partner) -> None:
    bus = Bus(world, partner, RetryPolicy={"MaximumRetryAttempts": 2})
    partner.status = 500
    bus.put(1)
    for tries in (1, 2):
        world.wait_until(lambda tries=tries: len(partner.refused) >= tries)
        world.control.advance_clock(600)
    first = attributes(bus.dead_letters(1)[0])
    assert (first["EXHAUSTED_RETRY_CONDITION"], first["RETRY_ATTEMPTS"]) == ("MaximumRetryAttempts", "2")

    bus.put_target(RetryPolicy={"MaximumEventAgeInSeconds": 60})
    bus.put(2)
    world.wait_until(lambda: len(partner.refused) >= 4)
    world.control.advance_clock(60)
    (second,) = bus.dead_letters(1)
    assert attributes(second)["EXHAUSTED_RETRY_CONDITION"] == "MaximumEventAgeInSeconds"


def test_a_partner_that_asks_for_a_pause_gets_it(world: World, partner: Partner) -> None:
    bus = Bus(world, partner)
    partner.status, partner.headers = 429, {"Retry-After": "1800"}
    bus.put(1)
    world.wait_until(lambda: partner.refused)
    partner.status = 200
    world.control.advance_clock(1000)
    assert partner.requests == []
    world.control.advance_clock(1000)
    world.wait_until(lambda: partner.requests)


def test_a_role_that_may_not_call_the_destination_is_a_dead_letter_at_once(world: World, partner: Partner) -> None:
    bus = Bus(world, partner)
    world.allow(world.name, {**INVOKE, "Resource": f"{bus.destination}-other"})
    bus.put(1)
    found = attributes(bus.dead_letters(1)[0])
    assert (found["ERROR_CODE"], found["RETRY_ATTEMPTS"]) == ("NO_PERMISSIONS", "0")
    assert partner.requests == partner.refused == []


def test_a_destination_without_a_role_is_refused(world: World, partner: Partner) -> None:
    bus = Bus(world, partner)
    with pytest.raises(ClientError, match="RoleArn is required"):
        bus.events.put_targets(Rule=bus.name, EventBusName=bus.name, Targets=[{"Id": "other", "Arn": bus.destination}])


def test_a_queue_that_is_gone_is_a_dead_letter_at_once(world: World, partner: Partner) -> None:
    bus = Bus(world, partner)
    gone = f"arn:aws:sqs:us-east-1:{ACCOUNT}:{world.name}-gone"
    world.client("sqs").create_queue(QueueName=f"{world.name}-gone")
    world.let_in(gone, "events", bus.rule)
    letters = bus.target["DeadLetterConfig"]
    queue_target = {"Id": "partner", "Arn": gone, "DeadLetterConfig": letters}
    bus.events.put_targets(Rule=bus.name, EventBusName=bus.name, Targets=[queue_target])
    world.client("sqs").delete_queue(QueueUrl=f"{world.aws.url}/{ACCOUNT}/{world.name}-gone")
    bus.put(1)
    assert attributes(bus.dead_letters(1)[0])["RETRY_ATTEMPTS"] == "0"


@honours("events:CreateApiDestination", "InvocationRateLimitPerSecond")
@honours("events:UpdateApiDestination", "Name InvocationRateLimitPerSecond")
def test_a_destination_is_called_no_more_often_than_its_rate(world: World, partner: Partner) -> None:
    bus = Bus(world, partner, InputPath="$.detail")
    bus.events.create_api_destination(
        Name=f"{bus.name}-slow",
        ConnectionArn=bus.connection,
        InvocationEndpoint=f"{partner.url}/slow",
        HttpMethod="POST",
        InvocationRateLimitPerSecond=1,
    )
    bus.events.update_api_destination(Name=bus.name, InvocationRateLimitPerSecond=1)
    bus.put(*range(120))
    world.wait_until(lambda: partner.requests)
    assert len(partner.requests) < 120
    world.control.advance_clock(120)
    world.wait_until(lambda: len(partner.requests) == 120)


def test_an_oauth_token_is_fetched_once_and_again_when_it_was_refused(world: World, partner: Partner) -> None:
    bus = Bus(world, partner)
    oauth = {
        "AuthorizationEndpoint": f"{partner.url}/token",
        "HttpMethod": "POST",
        "ClientParameters": {"ClientID": "weir", "ClientSecret": "s3cret"},
    }
    bus.events.update_connection(
        Name=bus.name,
        AuthorizationType="OAUTH_CLIENT_CREDENTIALS",
        AuthParameters={"OAuthParameters": oauth},
    )
    bus.put(1)
    world.wait_until(lambda: len(partner.requests) == 1)
    bus.put(2)
    world.wait_until(lambda: len(partner.requests) == 2)
    assert [each["headers"]["authorization"] for each in partner.requests] == ["Bearer token-1"] * 2
    partner.status = 401
    bus.put(3)
    world.wait_until(lambda: partner.refused)
    partner.status = 200
    world.control.advance_clock(600)
    world.wait_until(lambda: len(partner.requests) == 3)
    assert partner.requests[-1]["headers"]["authorization"].startswith("Bearer token-")
    assert partner.requests[-1]["headers"]["authorization"] != "Bearer token-1"


@honours("events:CreateArchive", "ArchiveName EventSourceArn EventPattern RetentionDays")
@honours("events:StartReplay", "ReplayName EventSourceArn EventStartTime EventEndTime Destination")
@honours("events:DescribeReplay", "ReplayName")
@honours("events:UpdateArchive", "ArchiveName RetentionDays")
def test_an_archive_replays_what_it_has_kept(world: World, partner: Partner) -> None:
    bus = Bus(world, partner, InputPath="$.detail")
    archive = bus.events.create_archive(
        ArchiveName=bus.name,
        EventSourceArn=bus.arn,
        EventPattern='{"detail": {"n": [{"numeric": [">", 0]}]}}',
        RetentionDays=30,
    )["ArchiveArn"]
    began = world.control.advance_clock(0)
    bus.put(0, 1)
    world.wait_until(lambda: len(partner.requests) == 2)
    world.control.advance_clock(20 * 24 * HOUR)
    bus.put(2)
    world.wait_until(lambda: len(partner.requests) == 3)

    def replay(name: str) -> None:
        bus.events.start_replay(
            ReplayName=f"{bus.name}-{name}",
            EventSourceArn=archive,
            EventStartTime=datetime.fromtimestamp(began - 60, UTC),
            EventEndTime=datetime.fromtimestamp(world.control.advance_clock(0) + 60, UTC),
            Destination={"Arn": bus.arn},
        )
        described = bus.events.describe_replay
        world.wait_until(lambda: described(ReplayName=f"{bus.name}-{name}")["State"] == "COMPLETED")

    replay("all")
    world.wait_until(lambda: len(partner.requests) == 5)
    assert sorted(each["n"] for each in partner.events()[3:]) == [1, 2]
    world.control.advance_clock(15 * 24 * HOUR)
    replay("young")
    world.wait_until(lambda: len(partner.requests) == 6)
    assert partner.events()[5:] == [{"n": 2}]
    bus.events.update_archive(ArchiveName=bus.name, RetentionDays=1)
    replay("none")
    assert len(partner.requests) == 6


@honours("events:DescribeConnection", "Name")
@honours("events:DescribeApiDestination", "Name")
@honours("events:DescribeArchive", "ArchiveName")
@honours("events:CreateArchive", "ArchiveName EventSourceArn Description")
@honours("events:CreateConnection", "Description")
@honours("events:CreateApiDestination", "Description")
@honours("events:UpdateConnection", "Name AuthorizationType AuthParameters Description")
@honours("events:UpdateApiDestination", "Name ConnectionArn InvocationEndpoint HttpMethod Description")
@honours("events:UpdateArchive", "ArchiveName EventPattern Description")
@honours("events:DeleteConnection", "Name")
@honours("events:DeleteApiDestination", "Name")
@honours("events:DeleteArchive", "ArchiveName")
def test_connections_destinations_and_archives_are_changed_and_deleted(world: World) -> None:
    events, name = world.client("events"), {"Name": world.name}
    bus = events.create_event_bus(**name)["EventBusArn"]
    events.create_connection(**name, AuthorizationType="API_KEY", AuthParameters=API_KEY, Description="a")
    arn = events.describe_connection(**name)["ConnectionArn"]
    basic = {"BasicAuthParameters": {"Username": "weir", "Password": "s3cret"}}
    events.update_connection(**name, AuthorizationType="BASIC", AuthParameters=basic, Description="b")
    described = events.describe_connection(**name)
    assert (described["AuthorizationType"], described["Description"]) == ("BASIC", "b")

    given = {"ConnectionArn": arn, "InvocationEndpoint": "https://a.example.com/", "HttpMethod": "POST"}
    events.create_api_destination(**name, **given, Description="a")
    events.update_api_destination(
        **name, **(given | {"InvocationEndpoint": "https://b.example.com/", "HttpMethod": "PUT"}), Description="b"
    )
    found = events.describe_api_destination(**name)
    assert (found["InvocationEndpoint"], found["HttpMethod"]) == ("https://b.example.com/", "PUT")
    assert found["Description"] == "b"

    archive = {"ArchiveName": world.name}
    events.create_archive(**archive, EventSourceArn=bus, Description="a")
    events.update_archive(**archive, EventPattern='{"source": ["weir"]}', Description="b")
    kept = events.describe_archive(**archive)
    assert (kept["EventPattern"], kept["Description"]) == ('{"source": ["weir"]}', "b")
    for delete, describe, named in (
        (events.delete_archive, events.describe_archive, archive),
        (events.delete_api_destination, events.describe_api_destination, name),
        (events.delete_connection, events.describe_connection, name),
    ):
        delete(**named)
        with pytest.raises(ClientError, match="ResourceNotFoundException"):
            describe(**named)
