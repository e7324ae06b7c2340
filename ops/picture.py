"""Picture of a simulated run (SVG): a row for each record, a column for everything that happened.

A column holds the records of one invocation, coloured by what became of them in it, so that retries stand beside each
other, a bisect looks like the search it is, and what waits behind a poison record is seen to wait. Of more records than
rows can show, `summary_picture` draws the sums over time.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

from local.simulation.report import Happening, Report
from local.simulation.scenario import Written
from ops.summary_picture import summary_picture
from ops.svg import LETTER, LINE, MEANINGS, Canvas, clock, height_of_turned
from ops.timeline import MoreLikeThese, colour_of, shortened, why_given_up

#: Records and columns that are drawn at most: more would be read by nobody.
MAXIMUM_RECORDS = 1000
MAXIMUM_COLUMNS = 300

#: Pixels.
_COLUMN = 22
_ROW = LINE
_SHORTEST_ROW = 2
_TALLEST_LANES = 720
_SHARD = 24
_LANE = 14
_HEAD = 44
_GAP = 14

_NOTE = "a column for everything that happened, in order: time is not to scale"


def picture(report: Report, records: Mapping[str, Sequence[Written]], *, title: str) -> str:
    """Draw a finished run.

    Args:
        report: The run's report.
        records: The records of each shard, in stream order.
        title: Stands above it.

    Returns:
        An SVG document. The same run always gives the same one. More than `MAXIMUM_RECORDS` records are drawn as sums.
    """
    if sum(len(each) for each in records.values()) > MAXIMUM_RECORDS:
        return summary_picture(report, records, title=title)
    return _Drawing(report, records, title).text()


class _Drawing:
    """Picture with a row for each record."""

    def __init__(self, report: Report, records: Mapping[str, Sequence[Written]], title: str) -> None:
        self._columns = list(shortened(report.timeline))
        self._left_out = max(0, len(self._columns) - MAXIMUM_COLUMNS)
        del self._columns[MAXIMUM_COLUMNS:]
        self._document = report.document
        self._canvas = Canvas(title)
        self._used: set[str] = set()
        self._written = {(shard, each.identifier): each.at for shard, rows in records.items() for each in rows}
        rows = len(self._written)
        self._row = _ROW if rows * _ROW <= _TALLEST_LANES else max(_SHORTEST_ROW, _TALLEST_LANES // rows)
        names = [_short(identifier) for _, identifier in self._written]
        times = [clock(at) for at in self._written.values()]
        #: The right ends of the columns of names and of times, and where the first happening's column begins.
        self._names_end = 12 + round(max(map(len, (*names, "final call"))) * LETTER)
        self._times_end = self._names_end + _GAP + round(max(map(len, (*times, "written"))) * LETTER)
        self._left = self._times_end + 10
        #: One column more than happenings, for what never came to one.
        self._right = self._left + (len(self._columns) + 1) * _COLUMN
        self._top = (
            _HEAD + round(max((height_of_turned(each) for each in map(_heading, self._columns)), default=0)) + 22
        )
        self._place(report, records)

    def _place(self, report: Report, records: Mapping[str, Sequence[Written]]) -> None:
        """Find the place of each shard, of its lanes' marks, its records and its windows' final calls."""
        invocations = [each for each in report.timeline if each.kind == "invocations"]
        with_windows = {each.shard for each in invocations if not each.identifiers}
        with_lanes = {each.shard for each in invocations if each.entry["lane"]}
        self._shards: dict[str, int] = {}
        self._lanes: dict[str, int] = {}
        self._finals: dict[str, int] = {}
        self._y: dict[tuple[str, str], int] = {}
        #: The rows of each shard, from the first to the last.
        self._spans: list[tuple[int, int]] = []
        y = self._top
        for shard, written in records.items():
            self._shards[shard] = y
            y += _SHARD
            if shard in with_lanes:
                self._lanes[shard] = y
                y += _LANE
            begins = y
            for each in written:
                self._y[shard, each.identifier] = y
                y += self._row
            if shard in with_windows:
                self._finals[shard] = y
                y += _ROW
            self._spans.append((begins, y))
        self._bottom = y + 6

    def text(self) -> str:
        """Draw everything, and return the document."""
        self._canvas.write(12, 36, _NOTE, "dim")
        self._headings()
        self._rows()
        for index, column in enumerate(self._columns):
            x = self._left + index * _COLUMN
            match column:
                case MoreLikeThese(_, last):
                    self._happening(x + _COLUMN / 4, last, width=_COLUMN / 2)
                case Happening():
                    self._happening(x, column)
                    self._mark_lane(x, column)
        self._ends()
        below = self._canvas.legend(
            self._bottom + 10, {colour: word for colour, word in MEANINGS.items() if colour in self._used}
        )
        if self._left_out:
            below += LINE
            self._canvas.write(12, below, f"{self._left_out} later columns are not drawn", "dim")
        return self._canvas.text(below + 12)

    def _headings(self) -> None:
        """Write the times, and shade every other moment, so that everything at one moment stands together."""
        moments = groupby(enumerate(self._columns), key=lambda each: _moment(each[1]))
        for number, (moment, columns) in enumerate(moments):
            at = [index for index, _ in columns]
            x = self._left + at[0] * _COLUMN
            if number % 2 == 0:
                for begins, ends in self._spans:
                    self._canvas.rectangle(x, begins, len(at) * _COLUMN, ends - begins, "band")
            heading = _heading(self._columns[at[0]])
            self._canvas.write(x + 9, self._top - 4, heading, "dim" if moment is None else "", turned=True)

    def _rows(self) -> None:
        if self._written:
            self._canvas.write(self._names_end, self._top - 4, "record", "dim", anchor="end")
            self._canvas.write(self._times_end, self._top - 4, "written", "dim", anchor="end")
        every = -(-12 // self._row)
        for shard, y in self._shards.items():
            self._canvas.write(12, y + 16, shard or "records", "dim")
        for y in self._lanes.values():
            self._canvas.write(self._times_end, y + 11, "lane", "dim", anchor="end")
        for y in self._finals.values():
            self._label(y, "final call")
        for index, ((shard, identifier), y) in enumerate(self._y.items()):
            if index % every == 0:
                self._label(y, _short(identifier), clock(self._written[shard, identifier]))
            if self._row >= _ROW:
                self._canvas.line(self._left, y, self._right, y)

    def _label(self, y: float, name: str, written: str = "") -> None:
        baseline = y + self._row / 2 + 4
        self._canvas.write(self._names_end, baseline, name, anchor="end")
        if written:
            self._canvas.write(self._times_end, baseline, written, "dim", anchor="end")

    def _mark_lane(self, x: float, happening: Happening) -> None:
        y = self._lanes.get(happening.shard)
        if y is not None and happening.kind == "invocations":
            self._canvas.write(x + _COLUMN / 2, y + 11, str(happening.entry["lane"]), "dim", anchor="middle")

    def _happening(self, x: float, happening: Happening, width: float = _COLUMN) -> None:
        details = _details(happening)
        colour = colour_of(happening)
        if not happening.identifiers:
            y = self._finals[happening.shard]
            self._block(x + 3, y + 1, width - 6, _ROW - 2, colour, details)
            return
        done = set(happening.done)
        left = [each for each in happening.identifiers if each not in done]
        self._blocks(x, self._rows_of(happening.shard, happening.done), "success", details, width)
        self._blocks(x, self._rows_of(happening.shard, left), colour, details, width)

    def _rows_of(self, shard: str, identifiers: Iterable[str]) -> list[int]:
        return [self._y[shard, each] for each in identifiers]

    def _blocks(self, x: float, rows: Iterable[int], colour: str, details: str, width: float = _COLUMN) -> None:
        """Colour these rows; adjacent ones are one block."""
        gap = 1 if self._row >= 6 else 0
        for first, last in _adjacent(sorted(rows), self._row):
            self._block(x + 3, first + gap, width - 6, last - first + self._row - 2 * gap, colour, details)

    def _block(self, x: float, y: float, width: float, height: float, colour: str, details: str) -> None:
        self._used.add(colour)
        self._canvas.rectangle(x, y, width, height, colour, details, rounded=True)

    def _ends(self) -> None:
        """Mark behind the last column the records that no filter matched, and those that are left."""
        for name, colour in (("filteredOut", "filtered"), ("unfinished", "unfinished")):
            named = set(self._document[name])
            rows = [y for (_, identifier), y in self._y.items() if identifier in named]
            self._blocks(self._right - _COLUMN, rows, colour, MEANINGS[colour])


def _adjacent(rows: Sequence[int], height: int) -> Iterator[tuple[int, int]]:
    """Yield the first and the last of every run of adjacent rows."""
    start = 0
    for index in range(1, len(rows) + 1):
        if index == len(rows) or rows[index] != rows[index - 1] + height:
            yield rows[start], rows[index - 1]
            start = index


def _moment(column: Happening | MoreLikeThese) -> float | None:
    return column.entry["t"] if isinstance(column, Happening) else None


def _heading(column: Happening | MoreLikeThese) -> str:
    return clock(column.entry["t"]) if isinstance(column, Happening) else f"{column.count} more"


def _short(identifier: str) -> str:
    return identifier if len(identifier) <= 16 else f"…{identifier[-15:]}"


def _details(happening: Happening) -> str:
    """Return the text for a pointer over a block."""
    entry: Mapping[str, Any] = happening.entry
    at = f"t = {clock(entry['t'])}"
    match colour_of(happening), happening.kind:
        case _, "invocations":
            return f"{at}, lane {entry['lane']}, attempt {entry['attempt']}: {entry['outcome']}"
        case _, "dropped":
            return f"{at}: dropped, {entry['reason']}"
        case "redriven", _:
            return f"{at}: moved to the dead-letter queue, {why_given_up(entry['body'])}"
        case _:
            ended = "delivered" if entry["delivered"] else "the destination did not take it"
            return f"{at}: {why_given_up(entry['body'])}, {ended}"
