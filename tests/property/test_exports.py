"""Exports of a table's past: whatever was written, they agree with the table and with one another."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from local.engine.tables.history import ItemWrite, changes_within, items_at

Items = dict[str, dict[str, Any]]

#: Writes of three items: the seconds since the last one, the item, and its new text; `None` deletes it.
writes = st.lists(
    st.tuples(st.integers(0, 2), st.sampled_from("abc"), st.sampled_from(["1", "2", None])), min_size=1, max_size=12
)


def history(done: list[tuple[int, str, str | None]]) -> tuple[list[ItemWrite], list[Items]]:
    """The writes, and the table's items after each second."""
    table: Items = {}
    noted: list[ItemWrite] = []
    states: list[Items] = [{}]
    for pause, name, text in done:
        states += [dict(table) for _ in range(pause)]
        old = table.pop(name, None)
        if text is not None:
            table[name] = {"id": {"S": name}, "text": {"S": text}}
        if old != table.get(name):
            noted.append(ItemWrite(len(states) - 1, old, table.get(name)))
        states[-1] = dict(table)
    return noted, states


def by_id(items: list[Any]) -> Items:
    return {item["id"]["S"]: item for item in items}


@given(writes)
def test_a_full_export_of_any_time_has_the_items_of_that_time(done: list[tuple[int, str, str | None]]) -> None:
    noted, states = history(done)
    for time, state in enumerate(states):
        assert by_id(items_at(time, states[-1].values(), noted, ["id"])) == state


@given(writes, st.data())
def test_windows_that_meet_lead_from_a_full_export_to_the_present(
    done: list[tuple[int, str, str | None]], data: st.DataObject
) -> None:
    noted, states = history(done)
    middle = data.draw(st.integers(0, len(states)))
    table: Items = {}
    for since, until in ((0, middle), (middle, len(states))):
        lines = list(changes_within(since, until, noted, ["id"], old_images=True))
        names = [line["Keys"]["id"]["S"] for line in lines]
        assert len(names) == len(set(names))
        for name, line in zip(names, lines, strict=True):
            assert table.pop(name, None) == line.get("OldImage")
            if "NewImage" in line:
                table[name] = line["NewImage"]
    assert table == states[-1]
