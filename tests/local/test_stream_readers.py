"""The limit on the readers of a shard of a table's stream."""

from __future__ import annotations

import pytest
from botocore.exceptions import ClientError

conforms = pytest.mark.conformance


def read(world, mapping):
    """The ids that a mapping has delivered, in order."""
    return [each for batch, _ in world.invocations(mapping) for each in batch]


def throttled(world, stream):
    """Count the reads of a stream that were refused."""
    return sum(each["throttledReads"] for each in world.control.throttling() if each["streamArn"] == stream)


def mappings(world, stream, number):
    """Mappings of as many functions."""
    names = [world.function(name=f"{world.name}-{each}") for each in range(number)]
    return [world.mapping(stream, name) for name in names]


def put_until(world, true):
    """Write items, one after the other, until something holds; their ids."""
    ids: list[str] = []

    def tried():
        ids.append(str(len(ids)))
        world.put(ids[-1])
        return true()

    world.wait_until(tried)
    return ids


@conforms("DDB-LIMIT-6", "deduced", partly="one reader of a global table, which is refused itself")
def test_ddb_limit_6_the_third_reader_of_a_stream_is_throttled_and_loses_nothing(world):
    stream = world.table()
    three = mappings(world, stream, 3)
    ids = put_until(world, lambda: throttled(world, stream) > 2)
    for mapping in three:
        world.settle(mapping)
        assert read(world, mapping) == ids
    refused = throttled(world, stream)
    assert sum(world.control.mapping(each).throttledReads for each in three) == refused
    assert world.control.metric_sum("ThrottledRequests", TableName=world.name, Operation="GetRecords") == refused
    (told,) = [each for each in world.control.throttling() if each["streamArn"] == stream]
    assert "let one of them forward the changes" in told["advice"]


@conforms("DDB-LIMIT-6", "deduced")
def test_ddb_limit_6_two_readers_are_never_throttled(world):
    stream = world.table()
    two = mappings(world, stream, 2)
    ids = [str(number) for number in range(100)]
    world.put(*ids)
    for mapping in two:
        world.settle(mapping)
        assert read(world, mapping) == ids
        # It goes on as the same reader.
        world.disable(mapping)
        world.enable(mapping)
    world.put("last")
    for mapping in two:
        world.settle(mapping)
    assert throttled(world, stream) == 0


def test_a_mapping_begins_at_the_latest_record_although_the_stream_has_too_many_readers(world):
    stream = world.table()
    many = [
        *mappings(world, stream, 3),
        *(
            world.mapping(stream, world.function(name=f"{world.name}-{name}"), StartingPosition="LATEST")
            for name in "ab"
        ),
    ]
    world.put("a")
    for mapping in many:
        world.settle(mapping)
        assert read(world, mapping) == ["a"]


@conforms("DDB-LIMIT-6", "deduced")
def test_ddb_limit_6_a_pipe_is_a_reader_too(world, pipes):
    pipes.stream = stream = world.table()
    two = mappings(world, stream, 2)
    pipes.create(pipes.queue(), source={"BatchSize": 1})
    ids = put_until(world, lambda: world.control.pipe(world.name).throttledReads)
    pipes.settle()
    assert sorted(each for each, _ in pipes.executions()) == sorted(ids)
    for mapping in two:
        world.settle(mapping)


@conforms("DDB-LIMIT-6", "documented")
def test_ddb_limit_6_a_client_beyond_the_limit_gets_the_error_of_the_stream(world):
    stream, clients = world.table(), [world.aws.client("dynamodbstreams") for _ in range(3)]
    position = {"StreamArn": stream, "ShardIteratorType": "TRIM_HORIZON"}
    shard = clients[0].describe_stream(StreamArn=stream)["StreamDescription"]["Shards"][0]["ShardId"]
    iterator = clients[0].get_shard_iterator(ShardId=shard, **position)["ShardIterator"]
    refused: set[tuple[str, str]] = set()

    def read_by_all():
        for client in clients:
            try:
                client.get_records(ShardIterator=iterator)
            except ClientError as error:
                refused.add((error.response["Error"]["Code"], error.response["Error"]["Message"]))
        return refused

    world.wait_until(read_by_all)
    assert refused == {("LimitExceededException", "Too many operations for a given subscriber.")}
    # One client alone may read as often as it likes, from any iterator.
    world.control.advance_clock(1)
    for _ in range(20):
        iterator = clients[0].get_shard_iterator(ShardId=shard, **position)["ShardIterator"]
        clients[0].get_records(ShardIterator=iterator)
