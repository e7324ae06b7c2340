"""The events that prove a pattern alive: none for a dead pattern, one for each that is meant well."""

from __future__ import annotations

import json

import pulumi_aws as aws
import pytest

from aws_semantics.event_patterns import impossible
from components import BusTarget, ChangeTable, FanOut, QueueSource, StreamPipe
from handlers.cdc import on
from ops.mocked_program import run_mocked, with_physical_name
from tests.reference import welcome_email
from tests.unit.aws_checks.events import Stream, dead_patterns, event_for
from tests.unit.test_pattern_lint import CASES

#: Patterns whose dotted names may be those of attributes with a dot: the samples have none.
DOTTED = ("a map without M", "a word for a type descriptor")


@pytest.mark.parametrize("title", [title for title in CASES if title not in DOTTED])
def test_a_stream_has_a_record_for_a_pattern_that_is_meant_well_and_none_for_a_dead_one(title: str) -> None:
    wrong, (_, _, _, *view), meant = CASES[title]
    samples = list(Stream(*view).samples())
    assert event_for(meant, samples) is not None
    assert (event_for(wrong, samples) is None) == bool(impossible(wrong, *view))


def found(program: object) -> list[str]:
    made = run_mocked(program).registrations  # pyright: ignore[reportArgumentType] - a function
    return dead_patterns([with_physical_name(each) for each in made if each.custom])


def test_the_key_of_another_table_and_an_image_that_the_stream_lacks_are_dead() -> None:
    def program() -> None:
        table = aws.dynamodb.Table(
            "users",
            hash_key="userId",
            attributes=[{"name": "userId", "type": "S"}],
            stream_enabled=True,
            stream_view_type="NEW_IMAGE",
        )
        for name, pattern in (
            ("key", {"dynamodb": {"Keys": {"orderId": {"S": ["1"]}}}}),
            ("image", {"dynamodb": {"OldImage": {"plan": {"S": ["pro"]}}}}),
            ("alive", {"dynamodb": {"Keys": {"userId": {"S": ["1"]}}, "NewImage": {"plan": {"S": ["pro"]}}}}),
        ):
            aws.lambda_.EventSourceMapping(
                name,
                event_source_arn=table.stream_arn,
                function_name="f",
                starting_position="LATEST",
                filter_criteria={"filters": [{"pattern": json.dumps(pattern)}]},
            )

    assert {line.partition(":")[0] for line in found(program)} == {"key", "image"}


def test_a_rule_for_a_source_that_no_pipe_puts_on_its_bus_is_dead() -> None:
    def program() -> None:
        bus = aws.cloudwatch.EventBus("plans")
        target = BusTarget(arn=bus.arn, source="users", detail_type="$.eventName")
        StreamPipe("to-bus", source=ChangeTable("users", hash_key="userId").stream, target=target)
        for name, pattern in (
            ("typo", {"source": ["user"]}),
            ("alive", {"source": ["users"], "detail-type": ["INSERT"], "detail": {"plan": ["pro"]}}),
        ):
            aws.cloudwatch.EventRule(name, event_bus_name=bus.name, event_pattern=json.dumps(pattern))

    assert [line.partition(":")[0] for line in found(program)] == ["typo"]


def test_a_pattern_of_a_stream_is_dead_on_a_queue_of_its_changes() -> None:
    def program() -> None:
        fan_out = FanOut("changes", source=ChangeTable("users", hash_key="userId").stream)
        fan_out.subscribe(welcome_email.handler, repeats="nothing happens twice")
        fan_out.pipe(
            "to-bus", target=BusTarget(arn="arn:aws:events:us-east-1:1:event-bus/b"), when=on.insert, repeats="-"
        )
        redrive = json.dumps({"deadLetterTargetArn": "arn:aws:sqs:us-east-1:123456789012:d", "maxReceiveCount": 5})
        queue = aws.sqs.Queue("jobs", redrive_policy=redrive)
        target = BusTarget(arn="arn:aws:events:us-east-1:123456789012:event-bus/b")
        StreamPipe("of-jobs", source=QueueSource(queue=queue), target=target)
        aws.lambda_.EventSourceMapping(
            "dead",
            event_source_arn=fan_out.pipes["to-bus"].queue.arn,
            function_name="f",
            filter_criteria={"filters": [{"pattern": '{"eventName": ["INSERT"]}'}]},
        )

    assert {line.partition(":")[0] for line in found(program)} == {"dead"}
