"""The users in PostgreSQL: a real server, whose connection breaks, whose password changes, and which may be busy."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from handlers import read_model_sql
from handlers.cdc import Change, Discard
from handlers.cdc.invocation import running
from handlers.cdc.postgresql import Database, MigrationChanged
from handlers.cdc.secrets import Secret
from handlers.cdc.testing import Invocation, change
from handlers.cdc.time_budget import OutOfTime
from ops.demo.receivers import servers

ADA = {"userId": "u1", "email": "ada@example.com", "plan": "free", "version": 7}


class Password(Secret):
    """A secret in memory."""

    def __init__(self, text: str) -> None:
        super().__init__("POSTGRESQL_PASSWORD_SECRET")
        self.text = text
        self.kept: str | None = None

    def value(self) -> str:
        self.kept = self.kept or self.text
        return self.kept

    def forget(self) -> None:
        self.kept = None


@pytest.fixture(scope="module")
def server() -> Iterator[psycopg.Connection]:
    with servers.postgresql() as address, psycopg.connect(address, autocommit=True) as admin:
        yield admin


@pytest.fixture(scope="module")
def url(server: psycopg.Connection) -> str:
    host = server.info.host
    return servers.require_password(f"postgresql://postgres:@/postgres?host={host}", "weir", "s3cret")


@pytest.fixture
def database(server: psycopg.Connection, url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Database]:
    """The consumer's database, as in a new environment, before there is a table."""
    server.execute("DROP TABLE IF EXISTS users, weir_migrations")
    server.execute("ALTER ROLE weir PASSWORD 's3cret'")
    monkeypatch.setenv("POSTGRESQL_URL", url)
    made = environment()
    monkeypatch.setattr(read_model_sql, "database", made)
    yield made
    end(made)


def environment(**settings: Any) -> Database:
    given = {"password": Password("s3cret"), "name": "users", "migrations": read_model_sql.MIGRATIONS, **settings}
    return Database("POSTGRESQL_URL", **given)


def end(database: Database) -> None:
    if database._connection is not None:
        database._connection.close()


def write(*changes: Change) -> None:
    for each in changes:
        read_model_sql.handler.function(each)


def rows(server: psycopg.Connection) -> list[Any]:
    return server.execute("SELECT userId, email, plan, item FROM users WHERE NOT deleted ORDER BY userId").fetchall()


def to(plan: str, version: int = 8) -> Change:
    return change(old={**ADA, "version": version - 1}, new={**ADA, "plan": plan, "version": version})


def test_a_user_has_a_row_with_the_whole_item_beside_the_columns(
    database: Database, server: psycopg.Connection
) -> None:
    write(change(new=ADA), to("pro"))
    assert rows(server) == [("u1", "ada@example.com", "pro", {**ADA, "plan": "pro", "version": 8})]


def test_a_late_or_repeated_change_does_not_undo_a_newer_one(database: Database, server: psycopg.Connection) -> None:
    write(to("pro", 9), to("enterprise", 8), to("pro", 9))
    assert [row[2] for row in rows(server)] == ["pro"]


def test_a_deleted_user_stays_deleted(database: Database, server: psycopg.Connection) -> None:
    write(change(new=ADA), change(old=ADA), change(new=ADA))
    assert rows(server) == []


def test_migrations_are_applied_once_by_however_many_environments(
    database: Database, server: psycopg.Connection
) -> None:
    write(change(new=ADA))
    other = environment(migrations=(*read_model_sql.MIGRATIONS, "ALTER TABLE users ADD seats integer"))
    try:
        assert other.run(lambda cursor: cursor.execute("SELECT seats FROM users").fetchall()) == [(None,)]
    finally:
        end(other)
    found = server.execute("SELECT number FROM weir_migrations WHERE name = 'users' ORDER BY number").fetchall()
    assert found == [(1,), (2,), (3,)]


def test_a_migration_that_was_applied_and_edited_is_refused(database: Database, server: psycopg.Connection) -> None:
    write(change(new=ADA))
    other = environment(migrations=("CREATE TABLE users (id integer)", *read_model_sql.MIGRATIONS[1:]))
    with pytest.raises(MigrationChanged, match="migration 1 of users was applied to the database and has been edited"):
        other.run(lambda cursor: None)
    assert other._connection is None


def test_a_migration_that_fails_leaves_nothing_behind(database: Database, server: psycopg.Connection) -> None:
    broken = environment(name="broken", migrations=("CREATE TABLE halfway (id integer)", "NOT SQL"))
    with pytest.raises(psycopg.errors.SyntaxError):
        broken.run(lambda cursor: None)
    assert server.execute("SELECT to_regclass('halfway')").fetchall() == [(None,)]


def test_an_environment_keeps_its_connection(database: Database) -> None:
    write(change(new=ADA))
    first = database._connection
    write(to("pro"))
    assert database._connection is first


def hang_up(server: psycopg.Connection) -> None:
    """End all connections of the consumer, and wait until they are gone."""
    of_weir = "FROM pg_stat_activity WHERE usename = 'weir'"
    server.execute(f"SELECT pg_terminate_backend(pid, 10000) {of_weir}")


def test_a_connection_that_the_server_closed_meanwhile_is_made_again(
    database: Database, server: psycopg.Connection
) -> None:
    write(change(new=ADA))
    hang_up(server)
    write(to("pro"))
    assert [row[2] for row in rows(server)] == ["pro"]


def test_a_connection_that_breaks_in_the_middle_rolls_back_and_the_work_is_done_again(
    database: Database, server: psycopg.Connection
) -> None:
    write(change(new=ADA))
    attempts: list[int] = []

    def work(cursor: Any) -> None:
        attempts.append(1)
        cursor.execute("UPDATE users SET plan = plan || '!'")
        if len(attempts) == 1:
            hang_up(server)
        cursor.execute("SELECT 1")

    database.run(work)
    assert (len(attempts), [row[2] for row in rows(server)]) == (2, ["free!"])


def test_a_rotated_password_is_read_again(database: Database, server: psycopg.Connection) -> None:
    write(change(new=ADA))
    server.execute("ALTER ROLE weir PASSWORD 'rotated'")
    database.password.text = "rotated"  # type: ignore[attr-defined]
    hang_up(server)
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        write(to("pro"))  # with the password that is kept; the record is delivered again
    write(to("pro"))
    assert [row[2] for row in rows(server)] == ["pro"]


def test_a_secret_as_rds_keeps_it_is_understood(database: Database) -> None:
    database.password = Password(json.dumps({"username": "weir", "password": "s3cret"}))
    write(change(new=ADA))


def test_a_server_that_is_not_there_fails_the_record(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POSTGRESQL_URL", "postgresql://weir@127.0.0.1:9/app")
    with pytest.raises(psycopg.OperationalError, match="refused"):
        write(change(new=ADA))


def test_a_statement_that_waits_ends_before_the_invocation_does(database: Database, server: psycopg.Connection) -> None:
    write(change(new=ADA))
    with psycopg.connect(f"postgresql://postgres:@/postgres?host={server.info.host}") as other:
        other.execute("SELECT * FROM users FOR UPDATE")
        with running(Invocation(seconds=0.6)), pytest.raises(psycopg.errors.QueryCanceled):
            write(to("pro"))
    write(to("pro"))
    assert [row[2] for row in rows(server)] == ["pro"]


def test_without_time_for_a_statement_none_is_begun(database: Database) -> None:
    with running(Invocation(seconds=0.1)), pytest.raises(OutOfTime):
        write(change(new=ADA))


@pytest.mark.parametrize(
    "differently",
    [{"email": "a\0b"}, {"version": 2**63}, {"note": {"a": ["\0"]}}],
    ids=str,
)
def test_an_item_that_postgresql_has_no_place_for_is_parked_at_once(
    database: Database, server: psycopg.Connection, differently: dict[str, Any]
) -> None:
    with pytest.raises(Discard, match="PostgreSQL cannot store the item"):
        write(change(new={**ADA, **differently}))
    write(change(new=ADA))  # and the connection is still good
    assert len(rows(server)) == 1


def test_a_snapshot_without_a_version_is_left_out(database: Database, server: psycopg.Connection) -> None:
    write(change(new={"userId": "u2", "plan": "free"}), change(new=ADA))
    assert [row[0] for row in rows(server)] == ["u1"]


def test_users_without_a_version_are_left_out() -> None:
    assert not read_model_sql.handler.condition(change(new={"userId": "u1", "plan": "free"}))
    assert read_model_sql.handler.condition(change(new=ADA))


#: Writes of users: who, the address and the plan; a plan of `None` is a delete.
writes = st.lists(
    st.tuples(
        st.sampled_from(["u1", "u2"]),
        st.sampled_from(["a@example.com", "é", None]),
        st.sampled_from(["free", "pro", None]),
    ),
    min_size=1,
    max_size=8,
)


@settings(max_examples=max(settings().max_examples // 3, 1))  # each costs dozens of round trips
@given(writes, st.data())
def test_the_rows_are_the_tables_after_any_history_and_any_deliveries(
    server: psycopg.Connection, url: str, done: list[Any], data: st.DataObject
) -> None:
    table: dict[str, dict[str, Any]] = {}
    changes: list[Change] = []
    for version, (user, email, plan) in enumerate(done, start=1):
        old = table.pop(user, None)
        if plan is not None:
            table[user] = {"userId": user, "plan": plan, "version": version} | ({"email": email} if email else {})
        if old or user in table:
            changes.append(change(old=old, new=table.get(user)))
    server.execute("DROP TABLE IF EXISTS users, weir_migrations")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("POSTGRESQL_URL", url)
        database = environment()
        patch.setattr(read_model_sql, "database", database)
        try:
            database.run(lambda cursor: None)
            for _ in range(2):
                write(*data.draw(st.permutations(changes)))
        finally:
            end(database)
    assert [row[3] for row in rows(server)] == [table[user] for user in sorted(table)]
