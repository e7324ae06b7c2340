"""`Sessions`: the access keys that the endpoint issues, and the role that each of them acts as."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from local.endpoint.clients import Connection
from local.engine.roles.policy_evaluation import Document


@dataclass(frozen=True)
class SessionKeys:
    """Temporary access keys of a role's session.

    Attributes:
        role_arn: The role's ARN.
        name: The session's name: the function's, or what AssumeRole was called with.
        access_key_id: The access key's id.
        secret_access_key: The secret that requests are signed with.
        session_token: The session's token.
        expires_at: Time at which they end, in seconds since 1970; `None` is never.
        policies: Policies that limit the session.
    """

    role_arn: str
    name: str
    access_key_id: str
    secret_access_key: str = field(repr=False)
    session_token: str = field(repr=False)
    expires_at: float | None = None
    policies: Sequence[Document] = ()


class Sessions:
    """Access keys by id: those of the endpoint's clients, who are the account's administrators, and those of sessions.

    Args:
        connection: The endpoint's address, and the keys of its clients.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._issued: dict[str, SessionKeys] = {}
        self._lock = threading.Lock()

    def __contains__(self, access_key_id: object) -> bool:
        """Check if the endpoint issued an access key."""
        return access_key_id == self._connection.access_key_id or access_key_id in self._issued

    def issue(
        self,
        role_arn: str,
        name: str,
        *,
        expires_at: float | None = None,
        policies: Sequence[Document] = (),
    ) -> SessionKeys:
        """Issue the keys of a new session."""
        keys = SessionKeys(
            role_arn,
            name,
            f"ASIA{secrets.token_hex(8).upper()}",
            secrets.token_urlsafe(30),
            secrets.token_urlsafe(60),
            expires_at,
            policies,
        )
        with self._lock:
            self._issued[keys.access_key_id] = keys
        return keys

    def of(self, access_key_id: str | None) -> SessionKeys | None:
        """Return the session of an access key; `None` for the endpoint's clients."""
        return None if access_key_id is None else self._issued.get(access_key_id)

    def connection_of(self, access_key_id: str | None) -> Connection:
        """Return the connection of the client that has an access key, to verify its signatures."""
        keys = self.of(access_key_id)
        if keys is None:
            return self._connection
        return replace(self._connection, access_key_id=keys.access_key_id, secret_access_key=keys.secret_access_key)


#: Issues the keys of a function's new environment, from the ARN of its role and its name.
IssueKeys = Callable[[str, str], SessionKeys]
