from __future__ import annotations

from pathlib import Path

import pytest

from local.endpoint import journal
from local.endpoint.journal import Held, Journal, Keeper, Reached

STREAM = "arn:aws:dynamodb:us-east-1:111122223333:table/users/stream/2026"


def told(**held) -> list[str]:
    started = 1_764_000_000.0
    return Journal("weir local up", "http://127.0.0.1:4566", started, started + 61, Held(**held)).lines()


def test_what_was_lost_is_told_by_kind_and_what_was_empty_is_not():
    assert told(
        tables={"users": 2_000, "ledger": 1, "empty": 0},
        queues={"letters": 1},
        buckets={"failures": 0},
        mappings=[
            Reached("welcome-email", STREAM, 4, idle=False),
            Reached("search", STREAM, 0, idle=False),
            Reached("done", STREAM, 0, idle=True),
        ],
        pipes=[Reached("orders", STREAM, 1, idle=False)],
    ) == [
        "The AWS endpoint at http://127.0.0.1:4566 ended without being stopped, and what it held in memory is lost:",
        "  started     weir local up, 2025-11-24 16:00:00 UTC; last changed 2025-11-24 16:01:01 UTC",
        "  tables      ledger 1 item, users 2,000 items",
        "  queues      letters 1 message",
        "  mappings    welcome-email 4 records read and not done with, search records not yet read",
        "  pipes       orders 1 record read and not done with",
    ]


def test_an_endpoint_that_held_nothing_lost_nothing():
    assert told(tables={"users": 0}, mappings=[Reached("done", STREAM, 0, idle=True)])[2:] == [
        "  nothing that a deployment does not make again"
    ]


def test_of_many_things_some_are_named_and_the_rest_is_counted():
    (line,) = [each for each in told(tables={f"t{number}": 1 for number in range(10)}) if "tables" in each]
    assert line.startswith("  tables      t0 1 item, t1 1 item, ")
    assert line.endswith("t7 1 item, and 2 more")


def keep(directory: Path, *looks: Held) -> None:
    """Look that often, the last time when the endpoint ends."""
    views = iter(looks)
    keeper = Keeper(directory, command="c", url="u", look=lambda: next(views))
    keeper.start()
    for _ in looks[2:]:
        keeper._write()
    keeper.close()


def test_a_journal_is_read_back_as_it_was_written_last(tmp_path: Path):
    held = Held(tables={"users": 1}, mappings=[Reached("f", STREAM, 1, idle=False)], pipes=[])
    keep(tmp_path, Held(), held)
    written = journal.read(tmp_path)
    assert written is not None
    assert (written.held, written.command, written.url) == (held, "c", "u")
    assert [path.name for path in tmp_path.iterdir()] == [journal.NAME]


def test_a_journal_is_written_only_when_something_changed(tmp_path: Path):
    held = Held(tables={"users": 1}, mappings=[], pipes=[])
    keeper = Keeper(tmp_path, command="c", url="u", look=lambda: held)
    keeper.start()
    (tmp_path / journal.NAME).unlink()
    keeper.close()
    assert list(tmp_path.iterdir()) == []


def test_a_journal_that_cannot_be_written_is_logged_and_ends_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    keep(tmp_path / "gone", Held(), Held(tables={"users": 1}))
    assert "the journal could not be written" in caplog.text


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"held": {}}', '{"held": {"mappings": [{}], "pipes": []}}'])
def test_what_is_no_journal_tells_nothing(tmp_path: Path, content: str):
    (tmp_path / journal.NAME).write_text(content)
    assert journal.read(tmp_path) is None
    assert journal.read(tmp_path / "gone") is None
