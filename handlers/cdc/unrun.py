"""Results that say that a function has not done its work: they must still be awaited, iterated or waited for."""

from __future__ import annotations

import inspect
from typing import Any, Final

#: Built-in iterators that call a function for each member that is taken out of them.
_LAZY: Final = (map, filter)


class Unrun(TypeError):
    """A function has returned its work and not done it.

    Attributes:
        nothing_ran: Whether the work was surely not even begun.
    """

    def __init__(self, function: object, result: object, *, nothing_ran: bool) -> None:
        name = getattr(function, "__qualname__", None) or repr(function)
        super().__init__(
            f"{name} returned a {type(result).__name__}: its work is still to be done, and would count as done. Make "
            "it a plain function that awaits by one asyncio.Runner() of the module, iterates over its own generators "
            "and waits for its own futures (docs/guides/handlers.md, Asynchronous code)"
        )
        self.nothing_ran = nothing_ran


def check_it_ran(function: object, result: Any) -> None:
    """Check that a call has done its work.

    Raises:
        Unrun: `result` is a coroutine or another awaitable, a generator, an async generator, a `map` or `filter`, or a
            future that is not done.
    """
    if result is None:
        return
    if inspect.iscoroutine(result):
        nothing_ran = inspect.getcoroutinestate(result) == inspect.CORO_CREATED
        result.close()  # or Python warns that it was never awaited
    elif inspect.isgenerator(result):
        nothing_ran = inspect.getgeneratorstate(result) == inspect.GEN_CREATED
    elif inspect.isasyncgen(result) or isinstance(result, _LAZY):
        nothing_ran = True
    elif hasattr(type(result), "__await__") or (hasattr(type(result), "add_done_callback") and not result.done()):
        nothing_ran = False
    else:
        return
    raise Unrun(function, result, nothing_ran=nothing_ran)
