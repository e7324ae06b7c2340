"""`@consumer`: from a function of one change to a Lambda entry point."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, Literal, overload

from handlers.cdc import metrics
from handlers.cdc.batch import process, process_together
from handlers.cdc.change import Change, T
from handlers.cdc.invocation import LambdaContext, running
from handlers.cdc.model import reader
from handlers.cdc.sources import ClaimCheck, batch_of


class Consumer:
    """A Lambda handler that gives each change of a batch to one function, in order.

    Calling it is what Lambda does: `handler(event, context)` answers with the partial batch response
    (docs/aws-semantics.md §2.6). `handler.function(change)` is the function itself, for unit tests.

    Attributes:
        function: The decorated function.
        name: Name of the consumer, the module's own by default (`welcome_email` gives `welcome-email`).
        module: Import path of the module that defines it, e.g. `handlers.welcome_email`.
        entry_point: What Lambda calls, e.g. `handlers.welcome_email.handler`.

    The arguments are those of `consumer`.
    """

    def __init__(
        self,
        function: Callable[[Any], object],
        *,
        model: type | None = None,
        whole_batch: bool = False,
        name: str | None = None,
        claim_check: ClaimCheck | None = None,
    ) -> None:
        self.function = function
        self._model = None if model is None else reader(model)
        self._process = process_together if whole_batch else process
        self._claim_check = claim_check
        self.module: str = function.__module__
        self.entry_point: str = f"{self.module}.{function.__name__}"
        self.name: str = name or self.module.rpartition(".")[2].replace("_", "-")
        self.__doc__ = function.__doc__

    def __repr__(self) -> str:
        return f"<Consumer {self.name}: {self.entry_point}>"

    def __call__(self, event: Any, context: LambdaContext) -> dict[str, list[dict[str, str]]]:
        """Process a batch and report the records that are not done, in the terms of what delivered them.

        Raises:
            UnknownEventShape: The event is not one of those that `handlers.cdc.sources` decodes.
            OutOfTime: Not even the first record could be started.
        """
        metrics.start()
        try:
            with running(context):
                failed = self._process(batch_of(event, self._model, self._claim_check), self.function)
        finally:
            metrics.emit()
        return {"batchItemFailures": [{"itemIdentifier": identifier} for identifier in failed]}


@overload
def consumer(function: Callable[[Change], object], /) -> Consumer: ...
@overload
def consumer(
    *,
    model: type[T] | None = None,
    whole_batch: Literal[False] = False,
    name: str | None = None,
    claim_check: ClaimCheck | None = None,
) -> Callable[[Callable[[Change[T]], object]], Consumer]: ...
@overload
def consumer(
    *,
    model: type[T] | None = None,
    whole_batch: Literal[True],
    name: str | None = None,
    claim_check: ClaimCheck | None = None,
) -> Callable[[Callable[[Sequence[Change[T]]], object]], Consumer]: ...
def consumer(
    function: Callable[[Any], object] | None = None,
    /,
    *,
    model: type | None = None,
    whole_batch: bool = False,
    name: str | None = None,
    claim_check: ClaimCheck | None = None,
) -> Any:
    """Make a function of one `Change` the handler of a Lambda function.

    The function is called once per record, in stream order. It returns when the change is done and raises when it is
    not; then this record and those behind it are delivered again. It raises `Discard` for a record that can never
    succeed.

    Args:
        function: The function, where the decorator is used without arguments.
        model: What `change.old` and `change.new` give: a dataclass, a TypedDict or a pydantic model.
        whole_batch: Call the function once per batch, with all its changes. They succeed or fail together, so this
            is for work that is cheaper in bulk and that may be repeated, e.g. `Counters.add_all`.
        name: Name of the consumer, the module's own by default.
        claim_check: Fetches the record, or its JSON text, for a message whose body is `{"claimCheck": …}`.
    """
    make = functools.partial(Consumer, model=model, whole_batch=whole_batch, name=name, claim_check=claim_check)
    return make if function is None else make(function)
