"""The version guard in SQL: an upsert that overwrites only older rows."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal, Protocol

from handlers.cdc.change import Change
from handlers.cdc.projection import GuardBy, guard_of


class Cursor(Protocol):
    """The part of a DB-API cursor that a projection uses."""

    @property
    def rowcount(self) -> int:
        """Number of rows that the last statement wrote."""
        ...

    def execute(self, sql: str, parameters: Sequence[Any], /) -> Any:
        """Run one statement."""
        ...


class SqlProjection:
    """A projection in a table of PostgreSQL (9.5 or newer) or SQLite (3.24 or newer). Readers skip deleted rows.

    The table has its key as primary key, the other columns (NULL in a tombstone), `deleted BOOLEAN`, and
    `version BIGINT` or `sequence CHAR(40)`. The caller commits.

    Args:
        table: Name of the table, with a schema if need be.
        key: Names of the key's columns.
        columns: Names of the other columns.
        guard_by: The guard that orders changes.
        placeholder: The driver's mark for a parameter: `%s` for psycopg, `?` for sqlite3.

    Raises:
        ValueError: A name that SQL takes only in quotes.

    Example:
        >>> import sqlite3
        >>> from handlers.cdc.testing import change
        >>> db = sqlite3.connect(":memory:")
        >>> _ = db.execute("CREATE TABLE users (id PRIMARY KEY, plan, deleted BOOLEAN, version BIGINT)")
        >>> users = SqlProjection("users", key=["id"], columns=["plan"], placeholder="?")
        >>> newer, older = change(new={"id": "u1", "version": 8}), change(new={"id": "u1", "version": 7})
        >>> users.put(db.cursor(), newer, {"id": "u1", "plan": "pro"})
        True
        >>> users.put(db.cursor(), older, {"id": "u1", "plan": "free"})
        False
    """

    def __init__(
        self,
        table: str,
        *,
        key: Sequence[str],
        columns: Sequence[str],
        guard_by: GuardBy = "version",
        placeholder: Literal["%s", "?"] = "%s",
    ) -> None:
        for name in (*table.split("."), *key, *columns):
            if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
                raise ValueError(f"{name!r} is not a name that SQL takes without quotes")
        self.key = tuple(key)
        self.columns = tuple(columns)
        self.guard_by: GuardBy = guard_by
        self._put_sql = _upsert(table, self.key, self.columns, guard_by, placeholder, deleted=False)
        self._delete_sql = _upsert(table, self.key, self.columns, guard_by, placeholder, deleted=True)

    def put(self, cursor: Cursor, change: Change[Any], row: Mapping[str, Any]) -> bool:
        """Write a whole row unless a newer change was applied.

        Args:
            cursor: A DB-API cursor, in the caller's transaction.
            change: The change that the row comes from.
            row: A value for each column of the key; a column that is missing becomes NULL.

        Returns:
            True if it was written; `False` if the change is older than the stored row, and so done.

        Raises:
            GuardNotAvailable: The change has no guard.
        """
        values = [row[name] for name in self.key] + [row.get(name) for name in self.columns]
        cursor.execute(self._put_sql, (*values, guard_of(change, self.guard_by)))
        return cursor.rowcount == 1

    def delete(self, cursor: Cursor, change: Change[Any], key: Mapping[str, Any]) -> bool:
        """Replace a row by a tombstone unless a newer change was applied. Returns and raises as `put`."""
        values = [key[name] for name in self.key]
        cursor.execute(self._delete_sql, (*values, guard_of(change, self.guard_by)))
        return cursor.rowcount == 1


def _upsert(
    table: str, key: Sequence[str], columns: Sequence[str], guard: str, placeholder: str, *, deleted: bool
) -> str:
    given = (*key, guard) if deleted else (*key, *columns, guard)
    marks = ", ".join([placeholder] * len(given))
    sets = [f"{name} = {'NULL' if deleted else f'excluded.{name}'}" for name in columns]
    return (
        f"INSERT INTO {table} AS stored ({', '.join(given)}, deleted) VALUES ({marks}, {deleted}) "  # noqa: S608 - checked
        f"ON CONFLICT ({', '.join(key)}) DO UPDATE SET "
        f"{', '.join([*sets, f'{guard} = excluded.{guard}', 'deleted = excluded.deleted'])} "
        f"WHERE stored.{guard} IS NULL OR stored.{guard} {'<=' if deleted else '<'} excluded.{guard}"
    )
