"""Enrichment of a pipe: a function that drops unwanted changes and prepares the others for the target.

EventBridge evaluates event patterns alone, so what no pattern says (`on.changed("plan")`) is evaluated here, between
the pipe's filter and its target (docs/aws-semantics.md §3.3).
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import Any, Final

from handlers.cdc import metrics
from handlers.cdc.change import Change
from handlers.cdc.conditions import Condition, check_condition
from handlers.cdc.invocation import LambdaContext, running
from handlers.cdc.queues import make_clients_early
from handlers.cdc.sources import batch_of

#: The member that names an event to the pipe, by the source of its events.
_IDENTIFIED_BY: Final = {"aws:sqs": "messageId"}


class Enriching:
    """The Lambda entry point of an enrichment. Made by `enrichment`.

    Attributes:
        function: The decorated function.
        condition: The changes that are wanted; the others never reach the target.
        name: The module's name, e.g. `wanted-plans`.
        module: Import path of the module that defines it.
        entry_point: The path that Lambda calls.

    Raises:
        TypeError: `when` is not a condition.
    """

    def __init__(self, function: Callable[[Change], object], when: Condition) -> None:
        self.function = function
        self.condition = check_condition(when)
        self.__doc__ = function.__doc__
        make_clients_early()

    @property
    def module(self) -> str:  # noqa: D102 - see the class
        return self.function.__module__

    @property
    def name(self) -> str:  # noqa: D102 - see the class
        return self.module.rpartition(".")[2].replace("_", "-")

    @property
    def entry_point(self) -> str:  # noqa: D102 - see the class
        names = [name for name, value in vars(sys.modules[self.module]).items() if value is self]
        return f"{self.module}.{names[0] if names else getattr(self.function, '__name__', 'handler')}"

    def __call__(self, event: Any, context: LambdaContext | None) -> list[Any]:
        """Return the events for the target, each with the identifier that a partial failure names.

        A failure fails the whole batch, which the pipe halves until the failing event is alone.

        Args:
            event: The event.
            context: Lambda's context object; `None` where nothing ends the invocation, e.g. in a test.

        Raises:
            UnknownEventShape: The event is not the array of a pipe, or holds something else than changes.
            TypeError: The function returned neither a mapping, the change, nor `None`.
        """
        if event == []:
            return []
        with running(context, self.name) as invocation:
            try:
                return self._enriched(event)
            finally:
                metrics.emit(invocation.counts)

    def _enriched(self, event: Any) -> list[Any]:
        batch = batch_of(event)
        answer: list[Any] = []
        for index, record in enumerate(batch.records):
            change = batch.change(index)
            if not self.condition(change):
                metrics.count("Unwanted")
                continue
            metrics.count("Records")
            made = self.function(change)
            if made is change:
                answer.append(record)
            elif isinstance(made, Mapping):
                named = _IDENTIFIED_BY.get(str(record.get("eventSource")), "eventID")
                answer.append({named: batch.identifiers[index], **made})
            elif made is not None:
                raise TypeError(
                    f"{self.entry_point} returned a {type(made).__name__}: return the change to pass its event on, a "
                    "mapping for the target, or None to drop it"
                )
        return answer


def enrichment(*, when: Condition) -> Callable[[Callable[[Change], object]], Enriching]:
    """Make a function the enrichment of a pipe.

    It is called with each change that satisfies the condition and returns what the target gets: the change itself for
    its event as it came, a mapping, or `None` to drop it. It must be quick: the pipe waits for it, and enrichment and
    target have five minutes together.

    Args:
        when: The condition of the pipe.

    Example:
        >>> from handlers.cdc import on
        >>> from handlers.cdc.enrichment import enrichment
        >>> from handlers.cdc.testing import change
        >>> @enrichment(when=on.changed("plan"))
        ... def handler(change):
        ...     return {"user": change.keys["id"], "plan": change.new["plan"]}
        >>> upgrade = change(old={"id": "ada", "plan": "free"}, new={"id": "ada", "plan": "pro"})
        >>> handler.condition(upgrade), handler.function(upgrade)
        (True, {'user': 'ada', 'plan': 'pro'})
    """
    return lambda function: Enriching(function, when)
