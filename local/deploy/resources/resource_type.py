"""`ResourceType`: the declaration of one Pulumi resource type, for the deployment by mocks and for the provider.

The deployment without the CLI creates with `begin`, `settle` and `read`. The provider's Check and Diff use the data
alone; its Create, Read, Update and Delete call the functions.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import ClientError

from local.deploy.resources.aws import Aws
from local.deploy.resources.members import Document, Members


@dataclass(frozen=True)
class Name:
    """The physical name of a resource.

    Attributes:
        property: The input that gives it.
        longest: Characters that AWS takes.
        allowed: Pattern of a single character.
        suffix: End of a generated name, by the inputs, e.g. `.fifo`.
    """

    property: str = "name"
    longest: int = 255
    allowed: str = r"[A-Za-z0-9_.-]"
    suffix: Callable[[Mapping[str, Any]], str] = lambda _inputs: ""

    def problem(self, name: str) -> str | None:
        """Explain why AWS would reject a name; `None` if it would not."""
        if len(name) > self.longest:
            return f"{name!r} has {len(name)} characters, and AWS takes {self.longest}: shorten the resource's name"
        if wrong := sorted({each for each in name if not re.fullmatch(self.allowed, each)}):
            return f"{name!r} holds {' '.join(wrong)!r}, and AWS takes only {self.allowed}: change the resource's name"
        return None


@dataclass(frozen=True)
class Found:
    """A resource as AWS describes it.

    Attributes:
        document: Its members, as far as AWS describes them.
        outputs: Outputs in wire names.
    """

    document: Document
    outputs: Mapping[str, Any]


@dataclass(frozen=True)
class Change:
    """A change of a resource that exists.

    Attributes:
        old: The members before, without code archives.
        new: The members to have.
        names: Top-level names of those that differ. Empty when a creation is repaired.
    """

    old: Document
    new: Document
    names: frozenset[str]


class Gone(Exception):
    """A resource that does not exist any more."""


Begin = Callable[[Aws, Document], str]
Settle = Callable[[Aws, str, Document], None]
Read = Callable[[Aws, str, Document], Found]
Update = Callable[[Aws, str, Change], None]
Delete = Callable[[Aws, str, Document], None]


def settled(_aws: Aws, _id: str, _request: Document) -> None:
    """Do nothing: the resource is complete once it was begun."""


@dataclass(frozen=True, kw_only=True)
class ResourceType:
    """A Pulumi resource type.

    Attributes:
        members: Its properties as data.
        begin: Makes the first call, and returns the id. What exists from here on is never forgotten.
        read: Describes it. A missing resource is `Gone` or an error of AWS that says so.
        delete: Deletes it and waits until it is gone.
        settle: Makes the remaining calls and waits until it can be used. It may run again on the same resource.
        update: Changes members in place; `None` if AWS has no such call. `settle` and `read` follow.
        updates: AWS's names of the members that `update` and `settle` change; `None` means all.
        name: Its physical name; `None` if it has none of its own.
        replaces: Paths of properties that AWS cannot change in place.
        outputs: Properties that only AWS knows.
        renews: Outputs that a change of a property makes unknown in a preview.
    """

    members: Members
    begin: Begin
    read: Read
    delete: Delete
    settle: Settle = settled
    update: Update | None = None
    updates: frozenset[str] | None = None
    name: Name | None = None
    replaces: frozenset[str] = frozenset()
    outputs: frozenset[str] = frozenset()
    renews: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])

    def generated_name(self, logical: str, digits: str, inputs: Mapping[str, Any]) -> str:
        """Generate a physical name as the provider does: the resource's name and seven hexadecimal digits."""
        return f"{logical}-{digits[:7]}{self.name.suffix(inputs) if self.name else ''}"


def words(names: str) -> frozenset[str]:
    """Split names that are separated by spaces."""
    return frozenset(names.split())


def is_gone(error: Exception) -> bool:
    """Tell whether an error means that a resource does not exist."""
    if isinstance(error, ClientError):
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
        return status == 404 or error.response.get("Error", {}).get("Code", "") in _GONE
    return isinstance(error, Gone)


#: Codes of services that answer 400 for a resource that does not exist.
_GONE = frozenset(
    {
        "AWS.SimpleQueueService.NonExistentQueue",
        "NotFoundException",
        "QueueDoesNotExist",
        "ResourceNotFoundException",
        "StateMachineDoesNotExist",
    }
)
