"""The limit on the readers of a shard, on a virtual clock."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aws_semantics.limits import STREAM_POLL_SECONDS, STREAM_READERS
from local.endpoint.readers.reader_limit import PATIENCE_SECONDS, ReaderLimit, SharedShard

#: Reads, each by one of the readers, after some time.
reads = st.lists(st.tuples(st.integers(0, 4), st.floats(0, 1)), max_size=60)


def played(history: list[tuple[int, float]]) -> list[tuple[float, str, bool]]:
    shard, now, seen = SharedShard(), 1_764_000_000.0, []
    for number, passed in history:
        now += passed
        seen.append((now, str(number), shard.admits(str(number), now)))
    return seen


def polled(readers: int, *, seconds: int) -> list[tuple[str, bool]]:
    """Readers at the base rate, each beginning a little later than the one before."""
    shard = SharedShard()
    times = [
        (period * STREAM_POLL_SECONDS + number * 0.01, str(number))
        for period in range(round(seconds / STREAM_POLL_SECONDS))
        for number in range(readers)
    ]
    return [(reader, shard.admits(reader, now)) for now, reader in times]


@given(reads)
def test_two_readers_are_never_refused_however_often_they_read(history: list[tuple[int, float]]):
    assert all(admitted for _, _, admitted in played([(number % STREAM_READERS, passed) for number, passed in history]))


@given(reads)
def test_no_period_serves_more_readers_than_a_shard_does(history: list[tuple[int, float]]):
    served: dict[int, set[str]] = {}
    for now, reader, admitted in played(history):
        if admitted:
            served.setdefault(int(now / STREAM_POLL_SECONDS), set()).add(reader)
    assert all(len(readers) <= STREAM_READERS for readers in served.values())


@pytest.mark.parametrize("readers", [3, 4, 5])
def test_more_readers_at_the_base_rate_share_what_two_would_have(readers: int):
    reads = polled(readers, seconds=60)
    served = Counter(reader for reader, admitted in reads if admitted)
    assert sum(served.values()) == 60 * STREAM_READERS / STREAM_POLL_SECONDS
    # Nobody has to wait longer than for everybody else's turn.
    turns = -(-readers // STREAM_READERS)
    assert min(served.values()) >= len(reads) / readers / turns - 1


def test_two_readers_at_the_base_rate_are_served_every_time():
    assert all(admitted for _, admitted in polled(2, seconds=60))


def test_a_third_reader_is_served_when_a_seat_is_free_again():
    shard = SharedShard()
    assert [shard.admits(reader, 0.0) for reader in "abc"] == [True, True, False]
    assert shard.admits("a", 0.1)
    assert not shard.admits("c", 0.2)
    assert shard.admits("c", 0.25)


def test_who_was_refused_goes_before_who_had_a_seat():
    shard = SharedShard()
    assert [shard.admits(reader, 0.0) for reader in "abcd"] == [True, True, False, False]
    assert [shard.admits(reader, 0.25) for reader in "abcd"] == [False, False, True, True]


def test_a_refused_reader_that_went_away_keeps_a_seat_no_longer_than_its_turn():
    shard = SharedShard()
    for reader in "abc":
        shard.admits(reader, 0.0)
    assert shard.admits("a", 0.5)
    assert not shard.admits("b", 0.5)
    assert shard.admits("b", PATIENCE_SECONDS)
    assert shard.admits("a", PATIENCE_SECONDS)


def test_each_shard_has_seats_of_its_own_and_counts_its_refusals():
    limit = ReaderLimit()
    for shard in ("left", "right"):
        for reader in "ab":
            assert limit.admits(reader, stream_arn="s", shard_id=shard, now=0.0)
    assert limit.throttled() == []
    assert not limit.admits("c", stream_arn="s", shard_id="left", now=0.0)
    (throttled,) = limit.throttled()
    assert (throttled["streamArn"], throttled["shardId"], throttled["throttledReads"]) == ("s", "left", 1)
    assert "more than 2 readers" in str(throttled["advice"])
