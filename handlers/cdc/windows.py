"""`@windowed`: a consumer that keeps a state over each tumbling window.

Lambda carries the state from call to call: each gets the state that the last one returned, and a window ends with a
call that has no records (docs/aws-semantics.md §2.9).
"""

from __future__ import annotations

import contextlib
import functools
import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple, cast, overload

from handlers.cdc.change import Change, Model
from handlers.cdc.conditions import Condition
from handlers.cdc.consumer import Consumer
from handlers.cdc.image import Image
from handlers.cdc.invocation import Running
from handlers.cdc.metrics import count
from handlers.cdc.sources import UnknownEventShape, batch_of, outline
from handlers.cdc.time_budget import TimeBudget
from handlers.cdc.unrun import check_it_ran
from handlers.cdc.whole_batch import open_all

#: A JSON object that each call of a window passes to the next.
State = dict[str, Any]


class Window(NamedTuple):
    """The window that a call belongs to. Windows are aligned to the epoch, and each shard has its own.

    Attributes:
        start: The first instant of the window, in UTC.
        end: The first instant after it.
        shard_id: The shard.
        is_final: This call ends the window: it has no changes, and its state is the window's result.
        is_terminated_early: The window ends before its time, because the state has grown over 1 MB. The next one begins
            with the state `{}` under the same start and end.
    """

    start: datetime
    end: datetime
    shard_id: str
    is_final: bool = False
    is_terminated_early: bool = False


#: Takes the changes of a batch, the state so far and the window; returns the new state.
Aggregate = Callable[[Sequence[Change[Model]], State, Window], State]


class WindowedConsumer(Consumer):
    """A Lambda handler that gives a batch's changes and its window's state to one function. Made by `windowed`.

    Calling it is what Lambda does: `handler(event, context)` answers with the new state, and with no failures. A batch
    succeeds or fails as a whole, and when it fails the handler raises: the final call has no record to report, and
    the state stays what it was before the batch. Lambda then bisects and retries as after any error.

    `handler.function(changes, state, window)` is the function itself, for unit tests.

    The arguments are those of `windowed`, the attributes those of `Consumer`.
    """

    _arguments = 3

    def __init__(
        self,
        function: Aggregate[Any],
        *,
        when: Condition | None = None,
        model: type | None = None,
        name: str | None = None,
    ) -> None:
        super().__init__(function, when=when, model=model, name=name)

    def _answer(self, event: Any, invocation: Running) -> dict[str, Any]:  # noqa: ARG002 - no record is named
        window, state = _window_of(event)
        batch = batch_of({name: member for name, member in event.items() if name != "window"}, self._model)
        TimeBudget()
        try:
            opened, unopened = open_all(batch, self._work, range(len(batch.records)))
            for error in unopened.values():
                raise error
            wanted = list(opened.values())
            if wanted or window.is_final:
                result = self.function(wanted, state, window)
                check_it_ran(self.function, result)
                state = _carried(result)
        except Exception:
            count("Failures")
            raise
        count("Records", len(batch.records))
        return {"state": state, "batchItemFailures": []}


def _window_of(event: Any) -> tuple[Window, State]:
    if not isinstance(event, Mapping) or "window" not in event:
        raise UnknownEventShape(
            f"expected the event of a tumbling window, got {outline(event)}: give the consumer's delivery a "
            "tumbling_window_in_seconds, or make its function with @consumer"
        )
    match cast("Mapping[str, Any]", event):
        case {
            "window": {"start": str(start), "end": str(end)},
            "state": dict(state),
            "shardId": str(shard_id),
            "isFinalInvokeForWindow": bool(final),
            "isWindowTerminatedEarly": bool(early),
        }:
            try:
                return Window(_time(start), _time(end), shard_id, final, early), state
            except (ValueError, OverflowError):
                raise UnknownEventShape("the window's start and end are not ISO 8601 times") from None
        case _:
            raise UnknownEventShape(f"the event of a tumbling window lacks something: it is {outline(event)}")


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def _carried(state: Any) -> State:
    """Return the state, if the next call gets just this: on the way a `Decimal` becomes a float, and a key text."""
    if not isinstance(state, dict):
        raise TypeError(f"a windowed function returns the new state, a dict, and this one returned {outline(state)}")
    with contextlib.suppress(TypeError, ValueError):
        if json.loads(json.dumps(state, allow_nan=False)) == state:
            return cast("State", state)
    raise TypeError(
        "the new state would not come back as it is: it is carried as JSON, so keys are text and values are text, int, "
        "float, bool, None, lists and dicts; of a Decimal keep the int or the str"
    )


@overload
def windowed(function: Aggregate[Image], /) -> WindowedConsumer: ...
@overload
def windowed(
    *, when: Condition | None = None, model: None = None, name: str | None = None
) -> Callable[[Aggregate[Image]], WindowedConsumer]: ...
@overload
def windowed(
    *, when: Condition | None = None, model: type[Model], name: str | None = None
) -> Callable[[Aggregate[Model]], WindowedConsumer]: ...
def windowed(
    function: Aggregate[Any] | None = None,
    /,
    *,
    when: Condition | None = None,
    model: type | None = None,
    name: str | None = None,
) -> Any:
    """Make a function of changes, a state and a `Window` the handler of a Lambda function.

    The function is called once per batch, and once more when the window ends. It returns the new state, a JSON object,
    and raises when the batch is not done. Its mapping has a tumbling window: `tumbling_window_in_seconds`.

    Args:
        function: The function, where the decorator is used without arguments.
        when: The changes the function is for; every change by default. A mapping with a tumbling window has no
            filter, so the function is called with those that are left, and not at all for a batch without any.
        model: As for `consumer`.
        name: As for `consumer`.
    """
    make = functools.partial(WindowedConsumer, when=when, model=model, name=name)
    return make if function is None else make(function)
