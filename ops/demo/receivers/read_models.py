"""The users' copies in PostgreSQL and in Valkey: real servers, each on a Unix socket."""

from __future__ import annotations

import contextlib
import json
import secrets
from abc import abstractmethod
from collections import Counter
from collections.abc import Generator, Sequence
from typing import Any, ClassVar

from ops.demo.mechanisms import Mechanism
from ops.demo.plan import Plan
from ops.demo.receivers import servers
from ops.demo.receivers.receiver import Change, Deployed, Receiver, Served, plan_after, plan_changes, user_of


class ReadModel(Receiver):
    """A copy of the users whom the API has upgraded, on a server beside the endpoint."""

    has_server: ClassVar[bool] = True
    mechanisms: ClassVar[tuple[Mechanism, ...]] = (Mechanism.VERSION_GUARD,)

    def __init__(self) -> None:
        self._forgets = False

    @contextlib.contextmanager
    def serving(self, without: Mechanism | None) -> Generator[Served]:
        """Run a block with the server, whose password only Secrets Manager has."""
        self._forgets = without is Mechanism.VERSION_GUARD
        with self.server(secrets.token_urlsafe()) as served:
            yield served

    def begin(self, deployed: Deployed, plan: Plan, without: Mechanism | None) -> None:
        """Do nothing: the mechanism is switched off before old changes come again."""

    def before_repeats(self, deployed: Deployed) -> None:  # noqa: ARG002 - the server is no part of the stack
        """Without the mechanism, forget the versions, so that every old change looks newer."""
        if self._forgets:
            self.forget_versions()

    def expected(self, plan: Plan, changes: Sequence[Change]) -> Counter[str]:  # noqa: ARG002 - the changes know
        """Return each changed user with the latest plan."""
        latest = {user_of(change): plan_after(change) for change in plan_changes(changes)}
        return Counter(f"{user} has {latest[user]}" for user in latest)

    @abstractmethod
    def server(self, password: str) -> contextlib.AbstractContextManager[Served]:
        """Run a block with the server."""

    @abstractmethod
    def forget_versions(self) -> None:
        """Take the guard off every copy."""


class PostgresqlUsers(ReadModel):
    """The rows in PostgreSQL."""

    consumer: ClassVar[str] = "read-model-sql"
    claim: ClassVar[str] = "each of the {count} upgraded users is one row in PostgreSQL, with the latest plan"

    def __init__(self) -> None:
        super().__init__()
        self._address = ""

    @contextlib.contextmanager
    def server(self, password: str) -> Generator[Served]:
        """Run a block with PostgreSQL, and a user of it that needs a password."""
        with servers.postgresql() as self._address:
            url = servers.require_password(self._address, "weir", password)
            yield Served({"weir:postgresqlUrl": url}, {"weir:postgresqlPassword": password})

    def forget_versions(self) -> None:
        """Let every row have a version that is older than any."""
        self._execute("UPDATE users SET version = 0")

    def found(self, deployed: Deployed) -> Counter[str]:  # noqa: ARG002 - the server is no part of the stack
        """Return the rows; none before the consumer has made the table."""
        if self._execute("SELECT to_regclass('users')") == [(None,)]:
            return Counter()
        rows = self._execute("SELECT userId, plan FROM users WHERE NOT deleted")
        return Counter(f"{user} has {plan}" for user, plan in rows)

    def _execute(self, statement: Any) -> list[Any]:
        import psycopg

        with psycopg.connect(self._address) as connection:
            cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description is not None else []


class CachedUsers(ReadModel):
    """The hashes in Valkey."""

    consumer: ClassVar[str] = "read-model-cache"
    claim: ClassVar[str] = "each of the {count} upgraded users is one hash in Valkey, with the latest plan"

    def __init__(self) -> None:
        super().__init__()
        self._client: Any = None

    @contextlib.contextmanager
    def server(self, password: str) -> Generator[Served]:
        """Run a block with Valkey, which needs a password."""
        with servers.redis(password=password) as self._client:
            socket = self._client.connection_pool.connection_kwargs["path"]
            yield Served({"weir:cacheUrl": f"unix://{socket}"}, {"weir:cachePassword": password})

    def forget_versions(self) -> None:
        """Let every hash have a guard that is older than any."""
        for key in self._client.scan_iter("users:*"):
            self._client.hset(key, "guard", "")

    def found(self, deployed: Deployed) -> Counter[str]:  # noqa: ARG002 - the server is no part of the stack
        """Return the users of the hashes, and their plans."""
        items = [self._client.hget(key, "item") for key in self._client.scan_iter("users:*")]
        users = [json.loads(item) for item in items if item is not None]
        return Counter(f"{user['userId']} has {user['plan']}" for user in users)
