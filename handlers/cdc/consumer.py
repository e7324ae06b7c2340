"""`@consumer`: from a function of one change to a Lambda entry point."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar, overload

from handlers.cdc import metrics
from handlers.cdc.batch import process
from handlers.cdc.change import Change
from handlers.cdc.invocation import LambdaContext, running
from handlers.cdc.model import reader
from handlers.cdc.sources import ClaimCheck, batch_of

T = TypeVar("T")


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
        function: Callable[[Change[Any]], object],
        *,
        name: str | None = None,
        model: type | None = None,
        claim_check: ClaimCheck | None = None,
    ) -> None:
        self.function = function
        self._model = None if model is None else reader(model)
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
                failed = process(batch_of(event, self._model, self._claim_check), self.function)
        finally:
            metrics.emit()
        return {"batchItemFailures": [{"itemIdentifier": identifier} for identifier in failed]}


@overload
def consumer(function: Callable[[Change], object], /) -> Consumer: ...
@overload
def consumer(
    *, name: str | None = None, claim_check: ClaimCheck | None = None
) -> Callable[[Callable[[Change], object]], Consumer]: ...
@overload
def consumer(
    *, model: type[T], name: str | None = None, claim_check: ClaimCheck | None = None
) -> Callable[[Callable[[Change[T]], object]], Consumer]: ...
def consumer(
    function: Callable[[Any], object] | None = None,
    /,
    *,
    name: str | None = None,
    model: type | None = None,
    claim_check: ClaimCheck | None = None,
) -> Any:
    """Make a function of one `Change` the handler of a Lambda function.

    The function is called once per record, in stream order. It returns when the change is done and raises when it is
    not; then this record and those behind it are delivered again. It raises `Discard` for a record that can never
    succeed.

    Args:
        function: The function, where the decorator is used without arguments.
        name: Name of the consumer, the module's own by default.
        model: What `change.old` and `change.new` give: a dataclass, a TypedDict or a pydantic model.
        claim_check: Fetches the record, or its JSON text, for a message whose body is `{"claimCheck": …}`.
    """
    if function is None:
        return functools.partial(Consumer, name=name, model=model, claim_check=claim_check)
    return Consumer(function)
