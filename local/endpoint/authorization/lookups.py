"""`Need`: an action that a call needs; `Lookups`: what is known of the resources that it is done to."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, NamedTuple

from local.engine.roles.policy_evaluation import Context

#: The arguments of a call, by the names of the input's members.
Parameters = Mapping[str, Any]


class Need(NamedTuple):
    """An action that a call needs.

    Attributes:
        action: The action, e.g. `dynamodb:PutItem`.
        resource: The ARN of its resource, or `*`.
        keys: Condition keys of the request in lower case, and their values.
    """

    action: str
    resource: str
    keys: Context = MappingProxyType({})


@dataclass(frozen=True)
class Lookups:
    """The known resources of the account.

    Attributes:
        region: The region.
        account_id: The account.
        stream_of: Returns the stream that a shard iterator of DynamoDB Streams reads.
        identities: Returns the names of SES's identities.
        partition_key: Returns the name of a table's partition key; `None` if there is no such table.
        key: Returns the ARN of a KMS key by its id, ARN or alias; `None` if there is no such key.
        secret: Returns the ARN of a secret by its name, which lacks the ARN's random end; `None` if there is none.
        encrypted_parameters: Returns the KMS key that each SecureString of Parameter Store names, by parameter.
        dead_letter_sources: Returns the ARNs of the queues that have a queue as their dead-letter queue, by its ARN.
    """

    region: str
    account_id: str
    stream_of: Callable[[str], str | None]
    identities: Callable[[], Sequence[str]]
    partition_key: Callable[[str], str | None]
    key: Callable[[str], str | None]
    secret: Callable[[str], str | None]
    encrypted_parameters: Callable[[], Mapping[str, str]]
    dead_letter_sources: Callable[[str], Sequence[str]]

    def arn(self, service: str, resource: str) -> str:
        """Return the ARN of a resource that may have been named by it."""
        return (
            resource if resource.startswith("arn:") else f"arn:aws:{service}:{self.region}:{self.account_id}:{resource}"
        )
