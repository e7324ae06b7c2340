"""Workflows: executions of a Step Functions state machine, each started once."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from typing import Any

from handlers.cdc.bounded_client import BoundedClient
from handlers.cdc.image_json import to_json


class Workflow:
    """A state machine of type STANDARD that a consumer starts, one execution per key.

    Step Functions remembers the names of executions: a second start under the same key is refused while the first
    execution runs and for 90 days after its end, whatever was repeated (docs/aws-semantics.md §10.3, SFN-2). A key that
    may come back later than that also needs an `EffectLedger`.

    Args:
        variable: The environment variable that holds the state machine's ARN.
        client: The client of Step Functions; one that respects the time left by default.

    Example:
        >>> execution_name("onboarding:u1#7")
        'w-d58262613fd801debb9b29cd7da3e7f88422361ac7bb88837af2c5ce88d933ec'
    """

    def __init__(self, variable: str, *, client: Any = None) -> None:
        self.variable = variable
        self.client = client or BoundedClient("stepfunctions")

    def start(self, key: str, document: Mapping[str, Any]) -> bool:
        """Start the execution of a key, unless it was started before.

        Args:
            key: The identity of what the workflow does, e.g. `onboarding:u1#7`, without a time or a request id.
            document: The execution's input. It must follow from the change alone: a repeat with another input is
                refused by AWS, which counts as started too.

        Returns:
            Whether this call started it. A call whose answer was lost and that was repeated also returns `True`.

        Raises:
            RuntimeError: The variable is not set.
            botocore.exceptions.ClientError: Step Functions refuses for another reason; the change is tried again.
        """
        arn = os.environ.get(self.variable)
        if not arn:
            raise RuntimeError(
                f"{self.variable} is not set, so there is no workflow to start: give the consumer access"
            )
        try:
            self.client.start_execution(stateMachineArn=arn, name=execution_name(key), input=to_json(document))
        except self.client.exceptions.ExecutionAlreadyExists:
            return False
        return True


def execution_name(key: str) -> str:
    """Return the name of a key's execution: 66 of the 80 characters that AWS takes."""
    return f"w-{hashlib.sha256(key.encode()).hexdigest()}"
