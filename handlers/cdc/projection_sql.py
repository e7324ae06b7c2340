"""The version guard in SQL: an upsert that overwrites only older rows."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final, Literal, NamedTuple, Protocol

from handlers.cdc.change import Change
from handlers.cdc.image_json import to_json
from handlers.cdc.projection import GuardBy, check_settings, guard_of

_DELETED: Final = "deleted"


class Cursor(Protocol):
    """The part of a DB-API cursor that a projection uses."""

    @property
    def rowcount(self) -> int:
        """Number of rows that the last statement wrote."""
        ...

    def execute(self, sql: Any, parameters: Any, /) -> Any:  # the drivers differ in their types of a statement
        """Run one statement."""
        ...


class SqlProjection:
    """A projection in a table of PostgreSQL (9.5 or newer) or SQLite (3.24 or newer). Readers skip deleted rows.

    The table has its key as primary key, the other columns (NULL in a tombstone), `deleted BOOLEAN`, and
    `version BIGINT` or `sequence CHAR(40)`. The caller commits. An attribute of an image goes into these columns:

    | attribute | PostgreSQL | SQLite |
    |---|---|---|
    | string | `text` | `TEXT` |
    | number | `numeric`; `bigint` if it is whole | `INTEGER`, `REAL`; see below |
    | boolean | `boolean` | `BOOLEAN`: 0 or 1 |
    | binary | `bytea` | `BLOB` |
    | list, map, set | `jsonb`, as `to_json` writes it | `TEXT`, the same JSON |
    | NULL, or no attribute | NULL | NULL |

    SQLite has no decimals: a whole number of 64 bits is stored as an integer, another one as a real if that is exact to
    its 15 digits, and any other as its digits in a text, which keeps them all in a column of type `TEXT` or `BLOB`.

    Args:
        table: Name of the table, with a schema if need be.
        key: Names of the key's columns.
        columns: Names of the other columns.
        guard_by: The guard that orders changes.
        placeholder: The driver's mark for a parameter: `%s` for psycopg (PostgreSQL), `?` for sqlite3.

    Raises:
        ValueError: A name that SQL takes only in quotes, a column that is named twice or is the projection's own
            (the guard, `deleted`), no key, or a guard or a placeholder that does not exist.

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
        check_settings(guard_by, None)
        if placeholder not in _DIALECTS:
            raise ValueError(f"placeholder={placeholder!r} must be one of {', '.join(_DIALECTS)}")
        if not key:
            raise ValueError("a projection needs the names of its key's columns")
        names = [name.lower() for name in (*key, *columns)]  # as SQL reads names without quotes
        if own := sorted({guard_by, _DELETED} & set(names)):
            raise ValueError(f"the projection writes {', '.join(own)} itself: leave it out of key and columns")
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"key and columns name {', '.join(twice)} twice")
        self.key = tuple(key)
        self.columns = tuple(columns)
        self.guard_by: GuardBy = guard_by
        self._dialect = _DIALECTS[placeholder]
        self._put_sql = _upsert(table, self.key, self.columns, guard_by, placeholder, deleted=False)
        self._delete_sql = _upsert(table, self.key, self.columns, guard_by, placeholder, deleted=True)

    def put(self, cursor: Cursor, change: Change[Any], row: Mapping[str, Any]) -> bool:
        """Write a whole row unless a newer change was applied.

        Args:
            cursor: A DB-API cursor, in the caller's transaction.
            change: The change that the row comes from.
            row: A value for each column of the key; another column that is missing becomes NULL. What is not among
                the columns is left out, so that it may be a whole image.

        Returns:
            True if it was written; `False` if the change is older than the stored row, and so done.

        Raises:
            GuardNotAvailable: The change has no guard.
            ValueError: A column of the key has no value, or a value cannot be stored. The message names the column.
            TypeError: A value has no JSON. The message names the column.
        """
        values = [*self._key_of(row), *(self._value(name, row.get(name)) for name in self.columns)]
        cursor.execute(self._put_sql, (*values, guard_of(change, self.guard_by)))
        return cursor.rowcount == 1

    def delete(self, cursor: Cursor, change: Change[Any], key: Mapping[str, Any]) -> bool:
        """Replace a row by a tombstone unless a newer change was applied. Returns and raises as `put`."""
        cursor.execute(self._delete_sql, (*self._key_of(key), guard_of(change, self.guard_by)))
        return cursor.rowcount == 1

    def _key_of(self, row: Mapping[str, Any]) -> list[Any]:
        if missing := [name for name in self.key if row.get(name) is None]:
            raise ValueError(f"the row has no value for {', '.join(missing)}, a column of its key")
        return [self._value(name, row[name]) for name in self.key]

    def _value(self, column: str, value: Any) -> Any:
        try:
            if not self._dialect.takes_nul and _has_nul(value):
                raise ValueError("PostgreSQL's text and jsonb take no character U+0000")
            nested = isinstance(value, Mapping | list | tuple | set | frozenset)
            return self._dialect.bound(to_json(value) if nested else value)
        except (TypeError, ValueError) as error:
            raise type(error)(f"the column {column} cannot be written: {error}") from None


def _has_nul(value: Any) -> bool:
    match value:
        case str():
            return "\0" in value
        case Mapping():
            return any(map(_has_nul, value.items()))
        case list() | tuple() | set() | frozenset():
            return any(map(_has_nul, value))
        case _:
            return False


def _bound_by_sqlite(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        return value
    number = Decimal(value)
    if number == number.to_integral_value() and -(2**63) <= number < 2**63:
        return int(number)
    real = float(number)
    return real if Decimal(repr(real)) == number else format(number, "f")


class _Dialect(NamedTuple):
    """A database, as far as values differ in it.

    Attributes:
        bound: Turns a value into one that the database's driver takes.
        takes_nul: The database stores the character U+0000 in texts.
    """

    bound: Callable[[Any], Any]
    takes_nul: bool


#: Databases by their driver's placeholder.
_DIALECTS: Final[Mapping[str, _Dialect]] = {
    "%s": _Dialect(lambda value: value, takes_nul=False),
    "?": _Dialect(_bound_by_sqlite, takes_nul=True),
}


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
