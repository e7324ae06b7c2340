"""What a rule can say about a resource: nothing (compliant), a violation, or that it does not apply."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from policies.resources import Resource


@dataclass(frozen=True, kw_only=True)
class Violation:
    """One breach of a rule, in the words of the one who has to mend it.

    Attributes:
        what: What is wrong. It quotes numbers, settings and filters, never other property values: those may be secret.
        lost: What would be lost, and when.
        fix: What to do; the rule's own remediation when not given.
        about: The resource to report, when it is another one than the rule looked at.
    """

    what: str
    lost: str
    fix: str | None = None
    about: Resource | None = None


class NotApplicable(Exception):
    """The rule has nothing to say about this resource.

    Attributes:
        reason: Why, as a clause: "an SQS queue retries by itself".
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Awaited(NotApplicable):
    """The answer depends on a value that is not known before the deployment.

    Attributes:
        value: The resource and the property awaited, e.g. `orders.eventSourceArn`.
    """

    def __init__(self, value: str) -> None:
        super().__init__(f"{value} is not known yet")
        self.value = value
