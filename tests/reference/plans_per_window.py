"""A consumer that keeps a state over each tumbling window."""

from __future__ import annotations

from collections.abc import Sequence

from handlers.cdc import Change
from handlers.cdc.windows import State, Window, windowed


@windowed
def handler(changes: Sequence[Change], state: State, window: Window) -> State:
    """Count the changes of a window."""
    return {"changes": state.get("changes", 0) + len(changes)}
