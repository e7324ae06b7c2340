"""The users in Valkey: a real server, with a password, whose connections break."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import redis
import valkey
from hypothesis import given
from hypothesis import strategies as st

from handlers import read_model_cache
from handlers.cdc import Change
from handlers.cdc.invocation import running
from handlers.cdc.projection_redis import RedisProjection
from handlers.cdc.redis import Cache
from handlers.cdc.secrets import Secret
from handlers.cdc.testing import Invocation, change
from handlers.cdc.time_budget import OutOfTime
from ops.demo.receivers import servers

ADA = {"userId": "u1", "email": "ada@example.com", "plan": "free", "version": 7}
DAY = 24 * 60 * 60


@pytest.fixture(scope="module")
def server() -> Iterator[valkey.Valkey]:
    with servers.redis(password="s3cret") as client:
        yield client


@pytest.fixture
def cache(server: valkey.Valkey, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cache]:
    """The consumer's cache, as in a new environment."""
    server.flushall()
    server.config_set("requirepass", "s3cret")
    made = Cache("CACHE_URL", password=Secret("CACHE_PASSWORD_SECRET"))
    monkeypatch.setenv("CACHE_URL", f"unix://{server.connection_pool.connection_kwargs['path']}")
    monkeypatch.setenv("CACHE_PASSWORD_SECRET", "arn")
    monkeypatch.setattr(made.password, "value", lambda: "s3cret")
    monkeypatch.setattr(read_model_cache, "cache", made)
    yield made
    if made._client is not None:
        made._client.close()


def write(*changes: Change) -> None:
    for each in changes:
        read_model_cache.handler.function(each)


def cached(server: valkey.Valkey, user: str = "u1") -> Any:
    item: Any = server.hget(f"users:{user}", "item")
    return None if item is None else json.loads(item)


def to(plan: str, version: int = 8) -> Change:
    return change(old={**ADA, "version": version - 1}, new={**ADA, "plan": plan, "version": version})


def test_a_user_is_read_as_json(cache: Cache, server: valkey.Valkey) -> None:
    write(change(new=ADA), to("pro"))
    assert cached(server) == {**ADA, "plan": "pro", "version": 8}


def test_a_late_or_repeated_change_does_not_undo_a_newer_one(cache: Cache, server: valkey.Valkey) -> None:
    write(to("pro", 9), to("enterprise", 8), to("pro", 9))
    assert cached(server)["plan"] == "pro"


def test_a_deleted_user_stays_deleted(cache: Cache, server: valkey.Valkey) -> None:
    write(change(new=ADA), change(old=ADA), change(new=ADA))
    assert cached(server) is None


def test_a_snapshot_without_a_version_is_left_out(cache: Cache, server: valkey.Valkey) -> None:
    write(change(new={"userId": "u2", "plan": "free"}), change(new=ADA))
    assert (cached(server, "u2"), cached(server)) == (None, ADA)


def test_a_user_whom_nobody_changes_expires_and_the_guard_stays(cache: Cache, server: valkey.Valkey) -> None:
    write(to("pro"))
    (seconds,) = server.execute_command("HTTL", "users:u1", "FIELDS", 1, "item")
    assert 29 * DAY < seconds <= 30 * DAY
    assert 399 * DAY < server.ttl("users:u1") <= 400 * DAY
    server.execute_command("HPEXPIRE", "users:u1", 0, "FIELDS", 1, "item")
    assert cached(server) is None
    write(change(new=ADA))  # late
    assert cached(server) is None
    write(to("enterprise", 9))
    assert cached(server)["plan"] == "enterprise"


def test_a_connection_that_the_server_closed_is_made_again(cache: Cache, server: valkey.Valkey) -> None:
    write(change(new=ADA))
    server.client_kill_filter(_type="normal", skipme=True)
    write(to("pro"))
    assert cached(server)["plan"] == "pro"


def test_a_rotated_password_is_read_again(cache: Cache, server: valkey.Valkey, monkeypatch: pytest.MonkeyPatch) -> None:
    forgotten: list[bool] = []
    monkeypatch.setattr(cache.password, "forget", lambda: forgotten.append(True))
    server.config_set("requirepass", "rotated")
    try:
        with pytest.raises(redis.AuthenticationError):
            write(change(new=ADA))
        assert forgotten == [True]
        monkeypatch.setattr(cache.password, "value", lambda: "rotated")
        write(change(new=ADA))
        assert cached(server) == ADA
    finally:
        server.config_set("requirepass", "s3cret")


def test_a_server_without_a_password_needs_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    with servers.redis() as open_server:
        monkeypatch.setenv("CACHE_URL", f"unix://{open_server.connection_pool.connection_kwargs['path']}")
        monkeypatch.delenv("CACHE_PASSWORD_SECRET", raising=False)
        cache = Cache("CACHE_URL", password=Secret("CACHE_PASSWORD_SECRET"))
        assert cache.run(lambda client: client.ping())
        assert cache._client is not None
        cache._client.close()


def test_a_server_that_is_not_there_fails_the_record(cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CACHE_URL", "redis://127.0.0.1:9")
    with pytest.raises(redis.ConnectionError):
        write(change(new=ADA))


def test_a_server_that_does_not_answer_ends_the_call_before_the_invocation(cache: Cache, server: valkey.Valkey) -> None:
    write(change(new=ADA))
    server.execute_command("CLIENT", "PAUSE", 60_000, "WRITE")
    try:
        with pytest.raises(redis.TimeoutError):
            write(to("pro"))
    finally:
        server.execute_command("CLIENT", "UNPAUSE")


def test_without_time_for_a_command_none_is_begun(cache: Cache) -> None:
    with running(Invocation(seconds=0.5)), pytest.raises(OutOfTime):
        write(change(new=ADA))


@pytest.mark.parametrize("lifetime", [timedelta(0), timedelta(days=-1), timedelta(days=401)])
def test_an_item_that_would_outlive_its_guard_is_refused(lifetime: timedelta) -> None:
    with pytest.raises(ValueError, match="must be positive and not longer than keep_deleted=400 days"):
        RedisProjection("users:", lifetime=lifetime)


#: Writes of users: who, and the plan; a plan of `None` is a delete.
writes = st.lists(
    st.tuples(st.sampled_from(["u1", "u2"]), st.sampled_from(["free", "pro", None])), min_size=1, max_size=8
)


@given(writes, st.data())
def test_the_cache_has_the_tables_items_after_any_history_and_any_deliveries(
    server: valkey.Valkey, done: list[Any], data: st.DataObject
) -> None:
    table: dict[str, dict[str, Any]] = {}
    changes: list[Change] = []
    for version, (user, plan) in enumerate(done, start=1):
        old = table.pop(user, None)
        if plan is not None:
            table[user] = {"userId": user, "plan": plan, "version": version}
        if old or user in table:
            changes.append(change(old=old, new=table.get(user)))
    server.flushall()
    for _ in range(2):
        for each in data.draw(st.permutations(changes)):
            read_model_cache.write(server, each)
    assert {user: cached(server, user) for user in ("u1", "u2")} == {user: table.get(user) for user in ("u1", "u2")}
