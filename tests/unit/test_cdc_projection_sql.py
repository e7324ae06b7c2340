"""A projection in SQL: values of images on SQLite and on a real PostgreSQL, and what is refused."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from decimal import Decimal
from typing import Any

import psycopg
import pytest

from handlers.cdc.projection_sql import SqlProjection
from handlers.cdc.testing import change
from ops.demo.receivers.servers import postgresql

ITEM: dict[str, Any] = {
    "id": "o1",
    "line": 7,
    "title": "é",
    "count": 2**40,
    "price": Decimal("19.99"),
    "exact": Decimal("1234567890123456789.0123456789"),
    "paid": True,
    "photo": b"\x00\xff",
    "tags": {"b", "a"},
    "sizes": {Decimal(10), Decimal(9)},
    "parts": [{"sku": "s", "price": Decimal("0.10")}],
    "address": {"city": "Bern", "photo": b"x"},
    "note": None,
    "version": 1,
}
COLUMNS = [name for name in ITEM if name not in ("id", "line", "version")]
#: What `deleted` and JSON columns are in PostgreSQL comes back as Python's own values.
IN_POSTGRESQL = {
    **ITEM,
    "tags": ["a", "b"],
    "sizes": [9, 10],
    "parts": [{"sku": "s", "price": 0.10}],
    "address": {"city": "Bern", "photo": "eA=="},
}
IN_SQLITE = {
    **ITEM,
    "price": 19.99,
    "exact": "1234567890123456789.0123456789",
    "paid": 1,
    "tags": '["a","b"]',
    "sizes": "[9,10]",
    "parts": '[{"sku":"s","price":0.1}]',
    "address": '{"city":"Bern","photo":"eA=="}',
}


@pytest.fixture(scope="module")
def server() -> Iterator[psycopg.Connection]:
    with postgresql() as address, psycopg.connect(address, autocommit=True) as connection:
        yield connection


@pytest.fixture
def pg(server: psycopg.Connection) -> psycopg.Connection:
    server.execute("DROP TABLE IF EXISTS orders")
    server.execute(
        "CREATE TABLE orders (id text, line bigint, title text, count bigint, price numeric, exact numeric,"
        " paid boolean, photo bytea, tags jsonb, sizes jsonb, parts jsonb, address jsonb, note text,"
        " deleted boolean, version bigint,"
        " PRIMARY KEY (id, line))"
    )
    return server


@pytest.fixture
def lite() -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(":memory:")) as db:
        db.execute(
            "CREATE TABLE orders (id TEXT, line INTEGER, title TEXT, count INTEGER, price REAL, exact TEXT,"
            " paid BOOLEAN, photo BLOB, tags TEXT, sizes TEXT, parts TEXT, address TEXT, note TEXT,"
            " deleted BOOLEAN, version BIGINT,"
            " PRIMARY KEY (id, line))"
        )
        yield db


def stored(cursor: Any) -> dict[str, Any]:
    (row,) = cursor.execute(f"SELECT {', '.join(ITEM)}, deleted FROM orders").fetchall()
    return dict(zip([*ITEM, "deleted"], row, strict=True))


def test_every_value_of_an_image_goes_into_its_column_on_postgresql(pg: psycopg.Connection) -> None:
    orders = SqlProjection("orders", key=["id", "line"], columns=COLUMNS)
    it = change(new=ITEM, keys=["id", "line"])
    with pg.cursor() as cursor:
        assert orders.put(cursor, it, it.item)
        assert stored(cursor) == {**IN_POSTGRESQL, "deleted": False}
        assert not orders.put(cursor, it, it.item)
        removed = change(old=ITEM, keys=["id", "line"])
        assert orders.delete(cursor, removed, removed.keys)
        assert stored(cursor) == {**dict.fromkeys(ITEM), "id": "o1", "line": 7, "version": 1, "deleted": True}


def test_every_value_of_an_image_goes_into_its_column_on_sqlite(lite: sqlite3.Connection) -> None:
    orders = SqlProjection("orders", key=["id", "line"], columns=COLUMNS, placeholder="?")
    it = change(new=ITEM, keys=["id", "line"])
    cursor = lite.cursor()
    assert orders.put(cursor, it, it.item)
    assert stored(cursor) == {**IN_SQLITE, "deleted": 0}
    removed = change(old=ITEM, keys=["id", "line"])
    assert orders.delete(cursor, removed, removed.keys)
    assert stored(cursor) == {**dict.fromkeys(ITEM), "id": "o1", "line": 7, "version": 1, "deleted": 1}


@pytest.mark.parametrize(
    ("number", "in_sqlite"),
    [
        (Decimal("0"), 0),
        (Decimal("-3.0"), -3),
        (Decimal("1E+3"), 1000),
        (2**63 - 1, 2**63 - 1),
        (-(2**63), -(2**63)),
        (2**63 + 1, "9223372036854775809"),
        (Decimal("0.1"), 0.1),
        (Decimal("1E-7"), 1e-07),
        (Decimal("1E+100"), 1e100),
        (Decimal("0.12345678901234567890"), "0.12345678901234567890"),
    ],
)
def test_no_number_loses_a_digit(pg: psycopg.Connection, lite: sqlite3.Connection, number: Any, in_sqlite: Any) -> None:
    lite.execute("CREATE TABLE amounts (id TEXT PRIMARY KEY, amount, deleted BOOLEAN, version BIGINT)")
    pg.execute("CREATE TEMPORARY TABLE amounts (id text PRIMARY KEY, amount numeric, deleted boolean, version bigint)")
    it = change(new={"id": "a", "amount": number, "version": 1})
    SqlProjection("amounts", key=["id"], columns=["amount"], placeholder="?").put(lite.cursor(), it, it.item)
    SqlProjection("amounts", key=["id"], columns=["amount"]).put(pg.cursor(), it, it.item)
    ((got,),) = lite.execute("SELECT amount FROM amounts").fetchall()
    assert (got, type(got)) == (in_sqlite, type(in_sqlite))
    assert Decimal(str(got)) == number
    assert pg.execute("SELECT amount FROM amounts").fetchall() == [(number,)]
    pg.execute("DROP TABLE amounts")


def test_whole_images_are_stored_and_what_is_no_column_is_left_out(lite: sqlite3.Connection) -> None:
    orders = SqlProjection("orders", key=["id", "line"], columns=["title"], placeholder="?")
    it = change(new={**ITEM, "anything": {"else": 1}}, keys=["id", "line"])
    assert orders.put(lite.cursor(), it, it.item)
    assert stored(lite.cursor())["title"] == "é"


def test_a_nul_character_is_refused_by_its_column_on_postgresql_and_stored_on_sqlite(
    pg: psycopg.Connection, lite: sqlite3.Connection
) -> None:
    for column, value in [("title", "a\0b"), ("parts", ["\0"]), ("address", {"a": {"b\0": 1}}), ("tags", {"\0"})]:
        it = change(new={"id": "o1", "line": 1, column: value, "version": 1}, keys=["id", "line"])
        with pytest.raises(ValueError, match=rf"the column {column} cannot be written: .*U\+0000"):
            SqlProjection("orders", key=["id", "line"], columns=[column]).put(pg.cursor(), it, it.item)
    it = change(new={"id": "o1", "line": 1, "title": "a\0b", "parts": ["\\u0000"], "version": 1}, keys=["id", "line"])
    SqlProjection("orders", key=["id", "line"], columns=["parts"]).put(pg.cursor(), it, it.item)
    SqlProjection("orders", key=["id", "line"], columns=["title"], placeholder="?").put(lite.cursor(), it, it.item)
    assert stored(lite.cursor())["title"] == "a\0b"


@pytest.mark.parametrize("row", [{"line": 1}, {"id": None, "line": 1}])
def test_a_row_without_its_key_is_refused(lite: sqlite3.Connection, row: dict[str, Any]) -> None:
    orders = SqlProjection("orders", key=["id", "line"], columns=[], placeholder="?")
    it = change(new=ITEM)
    for write in (orders.put, orders.delete):
        with pytest.raises(ValueError, match="no value for id, a column of its key"):
            write(lite.cursor(), it, row)


def test_a_value_that_has_no_json_is_refused_by_its_column(lite: sqlite3.Connection) -> None:
    orders = SqlProjection("orders", key=["id", "line"], columns=["parts"], placeholder="?")
    with pytest.raises(TypeError, match=r"the column parts cannot be written: the value\[0\] is a object"):
        orders.put(lite.cursor(), change(new=ITEM), {"id": "o1", "line": 1, "parts": [object()]})


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"columns": ["version"]}, "writes version itself"),
        ({"columns": ["Deleted"]}, "writes deleted itself"),
        ({"key": ["id", "version"]}, "writes version itself"),
        ({"columns": ["sequence"], "guard_by": "sequence"}, "writes sequence itself"),
        ({"columns": ["plan", "Plan"]}, "name plan twice"),
        ({"columns": ["id"]}, "name id twice"),
        ({"key": []}, "names of its key"),
        ({"guard_by": "time"}, "guard_by='time' must be one of version, sequence"),
        ({"placeholder": ":1"}, "placeholder=':1' must be one of"),
    ],
)
def test_settings_that_every_statement_would_fail_with_are_refused(settings: Any, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        SqlProjection("users", **{"key": ["id"], "columns": ["plan"], **settings})


def test_the_version_may_be_a_column_where_the_sequence_is_the_guard() -> None:
    SqlProjection("users", key=["id"], columns=["version"], guard_by="sequence")
