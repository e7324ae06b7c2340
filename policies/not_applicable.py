"""The answers of a rule that has no verdict about a resource: it does not apply, or awaits a value."""

from __future__ import annotations


class NotApplicable(Exception):
    """A rule does not apply to a resource.

    Attributes:
        reason: The reason as a clause: "an SQS queue retries by itself".
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
