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
        Unrun: `result`, or a member of it if it is a list, tuple or set, is a coroutine or another awaitable, a
            generator, an async generator, a `map` or `filter`, or a future that is not done.
        BaseException: A future failed with it.
    """
    if result is None:
        return
    members: list[Any] = list(result) if isinstance(result, list | tuple | set) else [result]
    unrun = [(member, nothing_ran) for member in members if (nothing_ran := _ran_nothing(member)) is not None]
    for member, _ in unrun:
        if inspect.iscoroutine(member):
            member.close()  # or Python warns that it was never awaited
    if unrun:
        raise Unrun(function, unrun[0][0], nothing_ran=len(unrun) == len(members) and all(sure for _, sure in unrun))


def _ran_nothing(result: Any) -> bool | None:
    """Return whether work was surely not begun; `None` for a result that is no work to be done."""
    if inspect.iscoroutine(result):
        return inspect.getcoroutinestate(result) == inspect.CORO_CREATED
    if inspect.isgenerator(result):
        # A pool's `map` has begun its work when it returns this one.
        is_of_a_pool = result.gi_code.co_qualname.startswith("Executor.map.")
        return inspect.getgeneratorstate(result) == inspect.GEN_CREATED and not is_of_a_pool
    if inspect.isasyncgen(result) or isinstance(result, _LAZY):
        return True
    kind = type(result)
    if hasattr(kind, "add_done_callback") and hasattr(kind, "exception") and result.done():
        if (error := result.exception()) is not None:
            raise error
        return None
    return False if hasattr(kind, "__await__") or hasattr(kind, "add_done_callback") else None
