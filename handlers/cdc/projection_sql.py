"""The version guard in SQL: an upsert that writes only over something older."""

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
        """How many rows the last statement wrote."""
        ...

    def execute(self, sql: str, parameters: Sequence[Any], /) -> Any:
        """Run one statement."""
        ...


class SqlProjection:
    """A projection in a table of PostgreSQL (9.5 or newer) or SQLite (3.24 or newer). Readers leave out deleted rows.

    The table has its key as primary key, the other columns (which a tombstone leaves NULL), `deleted BOOLEAN`, and
    `version BIGINT` or `sequence CHAR(40)`. Committing is the caller's.

    Args:
        table: Its name, with a schema if need be.
        key: Names of the key's columns.
        columns: Names of the other columns.
        guard_by: What says which change is newer.
        placeholder: The driver's mark for a parameter: `%s` for psycopg, `?` for sqlite3.

    Raises:
        ValueError: A name is none that SQL takes without quotes.

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
            Whether it was written; `False` says that the change is old news, and done.

        Raises:
            GuardNotAvailable: Nothing says whether the change is newer.
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
