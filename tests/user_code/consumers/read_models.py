"""Copies elsewhere: a DynamoDB table, PostgreSQL and Redis."""

from typing import Any

import psycopg
import valkey

from handlers.cdc import Change, consumer, to_json
from handlers.cdc.projection import DynamoDBProjection, search_version
from handlers.cdc.projection_redis import RedisProjection
from handlers.cdc.projection_sql import SqlProjection

table = DynamoDBProjection("USERS_VIEW")
rows = SqlProjection("users", key=["id"], columns=["plan", "tags"])
indexed: list[dict[str, Any]] = []
hashes = RedisProjection("users:", keep_deleted=None)


@consumer
def handler(change: Change) -> None:
    with psycopg.connect("") as connection, connection.cursor() as cursor:
        if change.new is None:
            applied = rows.delete(cursor, change, change.keys)
        else:
            applied = rows.put(cursor, change, change.new)
    if applied and change.new is not None:
        table.update(change, change.keys, {"plan": change.new["plan"]})
        hashes.put(valkey.Valkey(), change, change.new["id"], to_json(change.new))
        indexed.append(search_version(change))
