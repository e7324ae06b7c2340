"""A whole batch that is counted at once, and a state over a tumbling window."""

from collections.abc import Sequence
from decimal import Decimal

from handlers.cdc import Change, consumer
from handlers.cdc.counters import Counters
from handlers.cdc.windows import State, Window, windowed

revenue = Counters("revenue", shards=4)


@consumer(whole_batch=True)
def handler(changes: Sequence[Change]) -> None:
    amounts: dict[str, dict[str, Decimal | int]] = {}
    for change in changes:
        if change.new is not None and change.old is None:
            amounts[change.event_id] = {"total": change.new["price"], "orders": 1}
    counted: int = revenue.add_all(amounts)
    assert counted <= len(changes)


@windowed
def per_minute(changes: Sequence[Change], state: State, window: Window) -> State:
    return {"orders": state.get("orders", 0) + len(changes), "final": window.is_final}
