"""A connection to PostgreSQL that an environment keeps: made at its first change, and made again when it broke.

The driver is psycopg 3, which the consumer brings (`requirements=`).
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar

from handlers.cdc.clients import lazy_import
from handlers.cdc.invocation import remaining_seconds
from handlers.cdc.secrets import Secret
from handlers.cdc.time_budget import OutOfTime

T = TypeVar("T")

psycopg = lazy_import("psycopg")

#: Seconds that a connection and a statement may take, if as much time is left.
CONNECT_SECONDS: Final = 3.0
STATEMENT_SECONDS: Final = 5.0
#: Seconds kept back, so that the batch can still be answered.
ANSWER_SECONDS: Final = 0.3

#: The lock under which migrations are applied, so that new environments do not race.
_MIGRATION_LOCK: Final = 0x77656972
_MIGRATIONS_TABLE: Final = (
    "CREATE TABLE IF NOT EXISTS weir_migrations"
    " (name text, number integer, sha256 text NOT NULL, PRIMARY KEY (name, number))"
)


class MigrationChanged(RuntimeError):
    """A migration that was applied reads differently now. Write a new one behind it."""


class Database:
    """A PostgreSQL database, with the migrations that its tables need.

    Args:
        variable: The environment variable that holds the database's URL, without a password.
        password: The password: a text in Secrets Manager, or a JSON document with a `password`, as RDS keeps it.
        name: Name of the migrations' series; each consumer has its own.
        migrations: SQL statements that are applied once each, in this order. Append, and never edit.

    Example:
        >>> database = Database(
        ...     "POSTGRESQL_URL",
        ...     password=Secret("POSTGRESQL_PASSWORD_SECRET"),
        ...     name="users",
        ...     migrations=["CREATE TABLE users (id text PRIMARY KEY)", "ALTER TABLE users ADD plan text"],
        ... )
        >>> database.variable
        'POSTGRESQL_URL'
    """

    def __init__(self, variable: str, *, password: Secret, name: str, migrations: Sequence[str]) -> None:
        self.variable = variable
        self.password = password
        self._name = name
        self._migrations = migrations
        self._connection: Any = None

    def run(self, work: Callable[[Any], T]) -> T:
        """Run work in a transaction of its own, and once more if the connection turns out to be broken.

        Lambda freezes an environment between invocations, and a connection that the server closed meanwhile looks open
        until its next use. So the work must be safe to repeat, as the writes of a projection are.

        Args:
            work: Called with a cursor. The transaction is committed when it returns, and rolled back when it raises.

        Raises:
            OutOfTime: Too little time is left for a statement.
            MigrationChanged: A migration that was applied has been edited.
            psycopg.Error: The database cannot be reached, or refuses.
        """
        kept = self._connection is not None
        try:
            return self._transaction(work)
        except psycopg.OperationalError:
            if not kept or self._connection is not None:
                raise
        return self._transaction(work)

    def _transaction(self, work: Callable[[Any], T]) -> T:
        connection = self._connection
        if connection is None or connection.closed:
            connection = self._connection = self._connected()
        try:
            with connection.transaction(), connection.cursor() as cursor:
                milliseconds = int(_bounded(STATEMENT_SECONDS) * 1000)
                cursor.execute(f"SET LOCAL statement_timeout = {milliseconds}")
                return work(cursor)
        finally:
            if connection.closed:  # also when the server hung up, and the driver has noticed
                self._connection = None

    def _connected(self) -> Any:
        seconds = _bounded(CONNECT_SECONDS)
        try:
            connection = psycopg.connect(
                self._url(),
                password=self._password(),
                autocommit=True,
                connect_timeout=max(2, int(seconds)),  # libpq takes no less
                # A server that vanished without a word is noticed within the time of a statement.
                tcp_user_timeout=int(STATEMENT_SECONDS * 1000),
                keepalives_idle=2,
                keepalives_interval=1,
                keepalives_count=3,
                application_name=os.environ.get("AWS_LAMBDA_FUNCTION_NAME", "weir"),
            )
        except psycopg.OperationalError:
            self.password.forget()  # it may have been rotated
            raise
        try:
            self._migrate(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _migrate(self, connection: Any) -> None:
        with connection.transaction(), connection.cursor() as cursor:
            cursor.execute(f"SET LOCAL statement_timeout = {int(_bounded(STATEMENT_SECONDS) * 1000)}")
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", (_MIGRATION_LOCK,))
            cursor.execute(_MIGRATIONS_TABLE)
            cursor.execute("SELECT number, sha256 FROM weir_migrations WHERE name = %s", (self._name,))
            applied = dict(cursor.fetchall())
            for number, statement in enumerate(self._migrations, start=1):
                digest = hashlib.sha256(statement.encode()).hexdigest()
                if number not in applied:
                    cursor.execute(statement)
                    cursor.execute("INSERT INTO weir_migrations VALUES (%s, %s, %s)", (self._name, number, digest))
                elif applied[number] != digest:
                    raise MigrationChanged(
                        f"migration {number} of {self._name} was applied to the database and has been edited since: "
                        "bring its text back, and append a migration that changes what it made"
                    )

    def _password(self) -> str:
        text = self.password.value()
        try:
            document: Any = json.loads(text)
        except ValueError:
            return text
        return document["password"] if isinstance(document, dict) and "password" in document else text

    def _url(self) -> str:
        url = os.environ.get(self.variable)
        if not url:
            raise RuntimeError(f"{self.variable} is not set, so there is no database to write to")
        return url


def _bounded(seconds: float) -> float:
    left = remaining_seconds()
    bounded = seconds if left is None else min(seconds, left - ANSWER_SECONDS)
    if bounded <= 0:
        raise OutOfTime("too little time is left for a statement of the database")
    return bounded
