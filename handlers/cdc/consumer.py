"""`@consumer`: from a function of one change to a Lambda entry point."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from handlers.cdc import metrics
from handlers.cdc.batch import first_failure
from handlers.cdc.change import Change
from handlers.cdc.invocation import LambdaContext, running
from handlers.cdc.sources import changes_of


class Consumer:
    """A Lambda handler that gives each change of a batch to one function, in order.

    Calling it is what Lambda does: `handler(event, context)` answers with the partial batch response
    (docs/aws-semantics.md §2.6). `handler.function(change)` is the function itself, for unit tests.

    Attributes:
        function: The decorated function.
        name: Name of the consumer, the module's own by default (`welcome_email` gives `welcome-email`).
        module: Import path of the module that defines it, e.g. `handlers.welcome_email`.
        entry_point: What Lambda calls, e.g. `handlers.welcome_email.handler`.
    """

    def __init__(self, function: Callable[[Change], object], *, name: str | None = None) -> None:
        self.function = function
        self.module: str = function.__module__
        self.entry_point: str = f"{self.module}.{function.__name__}"
        self.name: str = name or self.module.rpartition(".")[2].replace("_", "-")
        self.__doc__ = function.__doc__

    def __repr__(self) -> str:
        return f"<Consumer {self.name}: {self.entry_point}>"

    def __call__(self, event: Any, context: LambdaContext) -> dict[str, list[dict[str, str]]]:
        """Process a batch and report the first record that is not done.

        Raises:
            UnknownEventShape: The event is not a DynamoDB stream event.
            OutOfTime: Not even the first record could be started.
        """
        metrics.start()
        try:
            changes = changes_of(event)
            with running(context):
                failed = first_failure(changes, self.function)
            metrics.count("Records", len(changes) if failed is None else changes.index(failed))
        finally:
            metrics.emit()
        return {"batchItemFailures": [] if failed is None else [{"itemIdentifier": failed.sequence_number}]}


def consumer(function: Callable[[Change], object]) -> Consumer:
    """Make a function of one `Change` the handler of a Lambda function.

    The function is called once per record, in stream order. It returns when the change is done and raises when it is
    not; then this record and those behind it are delivered again.
    """
    return Consumer(function)
