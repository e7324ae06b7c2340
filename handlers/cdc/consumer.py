"""`@consumer`: from a function of one change to a Lambda entry point."""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, NamedTuple, TypeVar, overload

from handlers.cdc import batch as stream_batch
from handlers.cdc import metrics, queue_batch
from handlers.cdc.attempt import Work
from handlers.cdc.change import Change, EventName, Model
from handlers.cdc.conditions import Condition, can_hold, check_condition
from handlers.cdc.discard import Discard
from handlers.cdc.expectations import Expectations, Expected, listed
from handlers.cdc.image import Image
from handlers.cdc.invocation import LambdaContext, Running, acting_for, running
from handlers.cdc.model import check_annotation, reader
from handlers.cdc.namespace import check_namespace
from handlers.cdc.queues import make_clients_early
from handlers.cdc.sources import ClaimCheck, batch_of
from handlers.cdc.unrun import check_it_ran

#: Origins of changes that a condition is not asked about: a snapshot has no old image, and an export hides what lay
#: between its two.
_UNASKED = ("snapshot", "export")

F = TypeVar("F", bound=Callable[..., object])
ReturnedByFunction = TypeVar("ReturnedByFunction")


class _Route(NamedTuple):
    """A function of a `Consumer`, with the changes and the model it is for."""

    condition: Condition
    function: Callable[[Change[Any]], object]
    read: Callable[[Image], Any] | None


class NotDone(RuntimeError):
    """Records of an event whose answer no one reads are not done, so the invocation itself fails.

    That is an event of a bus or a topic, and a replay: a function is usually invoked asynchronously with those, and
    Lambda takes any answer as a success. It retries the invocation, and then sends it to where failed ones go.
    """


class Consumer:
    """A Lambda handler that gives each change of a batch to one function, in order.

    Lambda calls it: `handler(event, context)` answers with the partial batch response
    (docs/aws-semantics.md §2.6). `handler.function(change)` is the function itself, for unit tests.

    Made by `consumer` for one function. For several, `Consumer()` is the handler and `on` adds the functions:

        handler = Consumer()

        @handler.on(on.insert)
        def created(change: Change) -> None: ...

        @handler.on(on.modify & on.changed("plan"))
        def plan_changed(change: Change) -> None: ...

    A change goes to the first function whose condition it satisfies, in the order they were added; with
    `match="all"` to each of them. When one fails, the record is delivered again and starts from the first.

    Attributes:
        function: The decorated function; with several, the one that chooses among them.
        condition: The changes that are wanted, for `components` to push down to AWS; `None` for every change. A change
            that it turns down is done, not failed, whether AWS filtered it or not.
        name: Name of the consumer, under which its effects live; the module's own by default (`welcome_email` gives
            `welcome-email`).
        module: Import path of the module that defines it, e.g. `handlers.welcome_email`.
        entry_point: The path that Lambda calls, e.g. `handlers.welcome_email.handler`.

    The arguments are those of `consumer`, and `match`. Several functions get one change at a time.

    Raises:
        TypeError: `when` is not a condition, a whole batch is to go to several functions, or the function could not do
            its work when it is called: it is `async`, a generator, or takes other arguments.
    """

    #: How many arguments the function is called with.
    _arguments = 1

    def __init__(
        self,
        function: Callable[..., object] | None = None,
        *,
        when: Condition | None = None,
        match: Literal["first", "all"] = "first",
        model: type | None = None,
        whole_batch: bool = False,
        name: str | None = None,
        claim_check: ClaimCheck | None = None,
    ) -> None:
        if function is None and (when is not None or model is not None or whole_batch):
            raise TypeError(
                "Consumer() takes conditions and models by .on(condition, model=), and its functions take one change "
                "at a time"
            )
        self._routes: list[_Route] = []
        self._own_function = None if function is None else self._checked(function, model)
        self._match = match
        self._model = None if model is None else reader(model)
        self._whole_batch = whole_batch
        self._claim_check = claim_check
        self._name = None if name is None else check_namespace(name)
        self._expectations: Callable[[Any], Expectations] | None = None
        self.condition: Condition | None = None if when is None else check_condition(when)
        self.function: Callable[..., object] = self._route if function is None else function
        if function is not None:
            self.__doc__ = function.__doc__
        make_clients_early()

    def __repr__(self) -> str:
        return f"<Consumer {self.name}: {self.entry_point}>"

    @overload
    def on(
        self, when: Condition
    ) -> Callable[[Callable[[Change], ReturnedByFunction]], Callable[[Change], ReturnedByFunction]]: ...
    @overload
    def on(
        self, when: Condition, *, model: type[Model]
    ) -> Callable[[Callable[[Change[Model]], ReturnedByFunction]], Callable[[Change[Model]], ReturnedByFunction]]: ...
    def on(self, when: Condition, *, model: type | None = None) -> Any:
        """Add a function for the changes that satisfy a condition.

        Args:
            when: The condition.
            model: The class whose instances `old`, `new` and `item` are for this function, as for `consumer`.

        Raises:
            TypeError: The consumer has a function of its own, `when` is not a condition, `model` is not a model, or
                the function is one that `consumer` does not take.
        """
        if self._own_function is not None:
            raise TypeError(f"{self!r} has a function already: start with Consumer() to give it several")
        condition = check_condition(when)
        read = None if model is None else reader(model)

        def add(function: F) -> F:
            self._routes.append(_Route(condition, self._checked(function, model), read))
            self.condition = condition if self.condition is None else self.condition | condition
            return function

        return add

    def expects(self, function: Callable[[Any], Expectations]) -> Callable[[Any], Expectations]:
        """Declare the effects and rows that the present content of an item implies, for `Reconciliation`.

        What is missing of them is brought about by the consumer's own function: it gets a change of origin `snapshot`,
        with the item as its new image and without an old one. `when` is not asked about it.

        Args:
            function: Called with an item, as `change.item` has it. Returns `ledger.expected(key)`,
                `projection.expected(item, key)`, `sequencer.expected(part, key)`, a list of them, or `None` for an item
                that implies nothing.

        Raises:
            TypeError: The consumer has several functions, of which none could be chosen for a snapshot, or there is an
                expectation already.

        Example:
            >>> from handlers.cdc import Change, EffectLedger, consumer, on
            >>> mails = EffectLedger()
            >>> @consumer(when=on.modify & on.changed("plan"))
            ... def handler(change: Change) -> None:
            ...     mails.once(f"welcome:{change.item['userId']}", print, "welcome!")
            >>> @handler.expects
            ... def welcomed(user):
            ...     return mails.expected(f"welcome:{user['userId']}") if user["plan"] == "pro" else None
        """
        if self._own_function is None:
            raise TypeError(
                "expects is for a consumer of one function, and Consumer() chooses one by conditions, which a snapshot "
                "does not satisfy: make a consumer of its own for these effects"
            )
        if self._expectations is not None:
            raise TypeError(f"{self!r} has its expectations already: return a list for several")
        self._expectations = function
        return function

    @property
    def takes_whole_batches(self) -> bool:
        """Is true if the function gets all changes of a batch in one call."""
        return self._whole_batch

    @property
    def has_expectations(self) -> bool:
        """Is true if `expects` has declared what items imply."""
        return self._expectations is not None

    @property
    def has_several_functions(self) -> bool:
        """Is true if conditions choose among functions."""
        return self._own_function is None

    def expected(self, item: Image) -> list[Expected]:
        """Return the effects and rows that an item implies.

        Raises:
            TypeError: The function of `expects` returned something else.
        """
        if self._expectations is None:
            return []
        with acting_for(self.name):
            return listed(self._expectations(item if self._model is None else self._model(item)))

    def _checked(self, function: F, model: type | None) -> F:
        name = getattr(function, "__name__", repr(function))
        kinds = inspect.iscoroutinefunction, inspect.isgeneratorfunction, inspect.isasyncgenfunction
        if any(is_kind(function) for is_kind in kinds):
            raise TypeError(
                f"{name} is async or a generator: calling it would run nothing, and its changes would count as done; "
                "make it a plain function (docs/guides/handlers.md, Asynchronous code, if it has to await)"
            )
        try:
            inspect.signature(function).bind(*range(self._arguments))
        except TypeError:
            wanted = "one argument" if self._arguments == 1 else f"{self._arguments} arguments"
            raise TypeError(
                f"{name}{inspect.signature(function)} cannot be called: it is given {wanted}, and no Lambda event or "
                "context (docs/guides/batches.md)"
            ) from None
        check_annotation(function, model)
        return function

    @property
    def module(self) -> str:  # noqa: D102 - see the class
        if self._own_function is None and not self._routes:
            raise TypeError("this Consumer() has no functions: add one with .on(condition)")
        return (self._own_function or self._routes[0].function).__module__

    @property
    def entry_point(self) -> str:  # noqa: D102 - see the class
        names = [name for name, value in vars(sys.modules[self.module]).items() if value is self]
        return f"{self.module}.{names[0] if names else getattr(self._own_function, '__name__', 'handler')}"

    @property
    def name(self) -> str:  # noqa: D102 - see the class
        # Built-in functions have no module.
        return self._name or (self.module or "").rpartition(".")[2].replace("_", "-")

    def __call__(self, event: Any, context: LambdaContext | None) -> dict[str, Any]:
        """Process a batch and report the records that are not done, in the terms of what delivered them.

        Args:
            event: The event.
            context: Lambda's context object; `None` where nothing ends the invocation, e.g. in a test.

        Raises:
            UnknownEventShape: The event is not one of those that `handlers.cdc.sources` decodes.
            OutOfTime: Not even the first record could be started.
            NotDone: Records are not done of an event whose answer no one reads.
        """
        with running(context, self.name) as invocation:
            try:
                return self._answer(event, invocation)
            finally:
                metrics.emit(invocation.counts)

    def _answer(self, event: Any, invocation: Running) -> dict[str, Any]:
        batch = batch_of(event, self._model, self._claim_check)
        rules = stream_batch if batch.source.group is None else queue_batch
        process = rules.process_together if self._whole_batch else rules.process
        failed = process(batch, self._work, invocation)
        if failed and not batch.source.is_answered:
            raise NotDone(
                f"{len(failed)} of {len(batch.records)} records of {batch.source.name} are not done, the first is "
                f"{failed[0]}: the log has the reason"
            )
        return {"batchItemFailures": [{"itemIdentifier": identifier} for identifier in failed]}

    @property
    def _work(self) -> Work:
        if self._own_function is None or self.condition is None:
            return Work(self.function)
        condition, matches = self.condition, self.condition.matches
        return Work(
            self.function,
            lambda record: _may_take(condition, record) if record.get("origin") in _UNASKED else matches(record),
        )

    def _route(self, change: Change[Any]) -> None:
        wanted = False
        discards: list[Discard] = []
        for condition, function, read in self._routes:
            if condition(change):
                wanted = True
                try:
                    check_it_ran(function, function(change if read is None else change.with_model(read)))
                except Discard as discarded:
                    discards.append(discarded)
                if self._match == "first":
                    break
        if discards:
            raise Discard.of_several(discards)
        if not wanted:
            metrics.count("Unwanted")


def _may_take(condition: Condition, record: Mapping[str, Any]) -> bool:
    """Return whether a consumer gets a record that its condition cannot judge: unless it takes none of the kind."""
    if record["origin"] == "snapshot":
        return True
    # The last change of an item that is there was an insertion or a modification, whatever the images show.
    kinds: tuple[EventName, ...] = ("REMOVE",) if record["eventName"] == "REMOVE" else ("INSERT", "MODIFY")
    return any(can_hold(condition, kind) for kind in kinds)


@overload
def consumer(function: Callable[[Change], object], /) -> Consumer: ...
@overload
def consumer(
    *,
    when: Condition | None = None,
    model: None = None,
    whole_batch: Literal[False] = False,
    name: str | None = None,
    claim_check: ClaimCheck | None = None,
) -> Callable[[Callable[[Change], object]], Consumer]: ...
@overload
def consumer(
    *,
    when: Condition | None = None,
    model: None = None,
    whole_batch: Literal[True],
    name: str | None = None,
    claim_check: ClaimCheck | None = None,
) -> Callable[[Callable[[Sequence[Change]], object]], Consumer]: ...
@overload
def consumer(
    *,
    when: Condition | None = None,
    model: type[Model],
    whole_batch: Literal[False] = False,
    name: str | None = None,
    claim_check: ClaimCheck | None = None,
) -> Callable[[Callable[[Change[Model]], object]], Consumer]: ...
@overload
def consumer(
    *,
    when: Condition | None = None,
    model: type[Model],
    whole_batch: Literal[True],
    name: str | None = None,
    claim_check: ClaimCheck | None = None,
) -> Callable[[Callable[[Sequence[Change[Model]]], object]], Consumer]: ...
def consumer(
    function: Callable[[Any], object] | None = None,
    /,
    *,
    when: Condition | None = None,
    model: type | None = None,
    whole_batch: bool = False,
    name: str | None = None,
    claim_check: ClaimCheck | None = None,
) -> Any:
    """Make a function of one `Change` the handler of a Lambda function.

    The function is called once per record, in stream order. It returns when the change is done and raises when it is
    not; then this record and those behind it are delivered again. It raises `Discard` for a record that can never
    succeed, and `RetryAfter` for one that can succeed later.

    Args:
        function: The function, where the decorator is used without arguments.
        when: The changes the function is for, e.g. `on.modify & on.changed("plan")`; every change by default.
        model: The class whose instances `change.old`, `new` and `item` are: a dataclass, a TypedDict or a pydantic
            model.
        whole_batch: Call the function once per batch, with all its changes. They succeed or fail together, unless it
            returns pairs of a change and its error, or raises `SomeFailed`. For work that is cheaper in bulk and that
            may be repeated, e.g. `Counters.add_all`.
        name: Name of the consumer, the module's own by default. Its effects live under it (`EffectLedger`).
        claim_check: Fetches the record, or its JSON text, for a message whose body is `{"claimCheck": …}`.
    """
    make = functools.partial(
        Consumer, when=when, model=model, whole_batch=whole_batch, name=name, claim_check=claim_check
    )
    return make if function is None else make(function)
