"""The queue that a mapping reads, and the times that must fit: its visibility timeout and the function's timeout."""

from __future__ import annotations

from policies.aws_types import QUEUE
from policies.graph import Stack
from policies.not_applicable import NotApplicable
from policies.resources import Resource
from policies.stream_readers import invoked, source, source_kind

#: AWS's defaults, in seconds.
_DEFAULT_VISIBILITY, _DEFAULT_TIMEOUT = 30.0, 3.0


def queue_of(mapping: Resource, stack: Stack) -> Resource:
    """Find the queue of the program that a mapping reads.

    Raises:
        NotApplicable: It reads none.
    """
    if source_kind(mapping) not in ("sqs", "stream"):
        raise NotApplicable(f"{mapping.name} reads no queue")
    queue = source(stack, mapping)
    if not isinstance(queue, Resource) or queue.type != QUEUE:
        raise NotApplicable(f"{mapping.name} reads no queue of this program")
    return queue


def visibility_timeout(queue: Resource) -> float:
    """Return the seconds for which a queue hides a message that is being worked on."""
    hidden = queue.props.number("visibilityTimeoutSeconds")
    return _DEFAULT_VISIBILITY if hidden is None else hidden


def function_timeout(mapping: Resource, stack: Stack) -> float | None:
    """Return the seconds that the function of a mapping may run; `None` when it is not in the program."""
    function = invoked(stack, mapping).function
    return None if function is None else function.props.number("timeout") or _DEFAULT_TIMEOUT
