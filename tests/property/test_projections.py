"""Projections: whatever is delivered again and in whatever order, the newest change stands."""

import sqlite3
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import psycopg
import pytest
import valkey
from hypothesis import given, settings
from hypothesis import strategies as st

from handlers.cdc import Change
from handlers.cdc.projection import DynamoDBProjection, GuardNotAvailable, guard_of, search_version
from handlers.cdc.projection_redis import RedisProjection
from handlers.cdc.projection_sql import SqlProjection
from handlers.cdc.testing import InMemoryProjection, InMemoryRedis, change, kinesis_change, kinesis_event, record
from ops.demo.receivers import servers

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
    with servers.redis() as client:
        yield client


@pytest.fixture(scope="module")
def postgresql() -> Iterator[psycopg.Connection]:
    with servers.postgresql() as address, psycopg.connect(address, autocommit=True) as connection:
        connection.execute(
            "CREATE TABLE users (id text PRIMARY KEY, plan text, deleted boolean, version bigint, sequence char(40))"
        )
        yield connection


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


@settings(max_examples=max(settings().max_examples // 4, 1))  # of a server, each costs a dozen round trips
@given(deliveries, guards)
def test_in_postgresql_the_newest_change_stands_after_any_deliveries(
    postgresql: psycopg.Connection, order: list[int], guard: Any
) -> None:
    postgresql.execute("TRUNCATE users")
    changes = history()
    users = SqlProjection("public.users", key=["id"], columns=["plan"], guard_by=guard)
    with postgresql.cursor() as cursor:
        for index in order:
            it = changes[index]
            if it.new is None:
                users.delete(cursor, it, it.keys)
            else:
                users.put(cursor, it, it.new)
        ((plan, deleted),) = cursor.execute("SELECT plan, deleted FROM users").fetchall()
    newest = changes[max(order)].new
    assert (plan, deleted) == ((None, True) if newest is None else (newest["plan"], False))


#: An operation of a projection on one item, by the version of its change.
operations = st.lists(
    st.tuples(
        st.sampled_from(["put", "update", "delete"]),
        st.dictionaries(st.sampled_from(["a", "b", "c"]), st.integers(0, 9), min_size=1),
    ),
    min_size=1,
    max_size=6,
)


def applied(
    projection: DynamoDBProjection, version: int, operation: str, attributes: dict[str, int], guard: Any
) -> bool:
    raw = record(new={"id": "u1", "version": version})
    raw["dynamodb"]["SequenceNumber"] = str(10**22 + version)
    it, key = Change(raw), {"id": "u1"}
    match operation:
        case "put":
            return projection.put(it, {**key, **attributes})
        case "update":
            return projection.update(it, key, attributes)
        case _:
            return projection.delete(it, key)


@given(operations, st.data(), guards)
def test_in_dynamodb_every_attribute_ends_as_the_newest_change_wrote_it(
    done: list[tuple[str, dict[str, int]]], data: st.DataObject, guard: Any
) -> None:
    expected: dict[str, Any] | None = None
    for operation, attributes in done:
        match operation:
            case "put":
                expected = dict(attributes)
            case "update":
                expected = {**(expected or {}), **attributes}
            case _:
                expected = None
    store = InMemoryProjection(key=["id"])
    projection = DynamoDBProjection("VIEW", guard_by=guard, store=store)
    numbers = st.permutations(range(len(done)))
    for number in [*data.draw(numbers), *data.draw(numbers)]:
        applied(projection, number + 1, *done[number], guard)
    assert store.items == ([] if expected is None else [{"id": "u1", **expected}])


@given(deliveries, guards)
def test_in_redis_the_newest_change_stands_after_any_deliveries(
    redis: valkey.Valkey, order: list[int], guard: Any
) -> None:
    redis.flushall()
    changes = history()
    users, memory = RedisProjection("users:", guard_by=guard), InMemoryRedis()
    for index in order:
        it = changes[index]
        if it.new is None:
            assert users.delete(redis, it, "u1") is users.delete(memory, it, "u1")
        else:
            assert users.put(redis, it, "u1", it.new["plan"]) is users.put(memory, it, "u1", it.new["plan"])
        assert redis.hget("users:u1", "item") == memory.hget("users:u1", "item")
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


def test_a_tombstone_in_redis_may_stay_for_ever(redis: valkey.Valkey) -> None:
    redis.flushall()
    first, _, removed, *_ = history()
    users = RedisProjection("users:", keep_deleted=None)
    assert users.put(redis, first, "u1", "free")
    assert users.delete(redis, removed, "u1")
    assert redis.ttl("users:u1") == -1
    assert not users.put(redis, first, "u1", "free")


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
