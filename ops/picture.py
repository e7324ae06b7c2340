"""Picture of a simulated run (SVG): a row for each record, a column for everything that happened.

A column holds the records of one invocation, coloured by what became of them in it, so that retries stand beside each
other, a bisect looks like the search it is, and what waits behind a poison record is seen to wait.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any
from xml.etree import ElementTree as ET

from local.simulation.report import Happening, Report
from ops.timeline import MoreLikeThese, shortened, why_given_up

#: Records and columns that are drawn at most: more would be read by nobody.
MAXIMUM_RECORDS = 1000
MAXIMUM_COLUMNS = 300

#: Pixels.
_COLUMN = 22
_ROW = 18
_SHORTEST_ROW = 2
_TALLEST_LANES = 720
_SHARD = 24
_TIMES = 60
_LETTER = 6.6

#: What a record is in a column, with the word that explains its colour.
_LEGEND = {
    "success": "done",
    "partial": "left over by a partial response",
    "error": "failed",
    "timeout": "timed out",
    "throttled": "throttled: the function was not run",
    "letter": "sent to the failure destination",
    "dropped": "given up, reached no destination",
    "filtered": "filtered out",
    "unfinished": "not finished",
}

_STYLE = """
  svg { background: #fff; font: 11px ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; }
  text { fill: #24292f; } .dim { fill: #6e7781; } .title { font-weight: bold; font-size: 13px; }
  .band { fill: #f0f3f6; } .line { stroke: #d0d7de; }
  .success { fill: #2da44e; } .partial { fill: #d4a72c; } .error { fill: #cf222e; } .timeout { fill: #82071e; }
  .throttled { fill: #8250df; } .filtered { fill: #afb8c1; } .unfinished { fill: #ddf4ff; stroke: #54aeff; }
  .letter { fill: #fff8c5; stroke: #9a6700; } .dropped { fill: #24292f; }
  @media (prefers-color-scheme: dark) {
    svg { background: #0d1117; } text { fill: #e6edf3; } .dim { fill: #8b949e; } .band { fill: #161b22; }
    .line { stroke: #30363d; } .success { fill: #3fb950; } .error { fill: #f85149; } .timeout { fill: #a40e26; }
    .letter { fill: #341a00; stroke: #d29922; } .dropped { fill: #e6edf3; } .unfinished { fill: #051d4d; }
  }
"""


class TooManyRecords(ValueError):
    """Scenario with more records than a picture can show."""


def picture(report: Report, records: Mapping[str, Sequence[str]], *, title: str) -> str:
    """Draw a finished run.

    Args:
        report: The run's report.
        records: Identifiers of the records of each shard, in stream order.
        title: Stands above it.

    Returns:
        An SVG document. The same run always gives the same one.

    Raises:
        TooManyRecords: There are more than `MAXIMUM_RECORDS`.
    """
    count = sum(len(each) for each in records.values())
    if count > MAXIMUM_RECORDS:
        raise TooManyRecords(
            f"a picture shows at most {MAXIMUM_RECORDS} records and the scenario has {count}: "
            "draw a smaller scenario, or read the report"
        )
    return _Drawing(report, records, title).text()


class _Drawing:
    def __init__(self, report: Report, records: Mapping[str, Sequence[str]], title: str) -> None:
        self._columns = list(shortened(report.timeline))
        self._left_out = max(0, len(self._columns) - MAXIMUM_COLUMNS)
        del self._columns[MAXIMUM_COLUMNS:]
        self._document = report.document
        self._used: set[str] = set()
        rows = sum(len(each) for each in records.values())
        self._row = _ROW if rows * _ROW <= _TALLEST_LANES else max(_SHORTEST_ROW, _TALLEST_LANES // rows)
        widest = max((len(_short(each)) for identifiers in records.values() for each in identifiers), default=0)
        self._left = round(max(widest, 10) * _LETTER) + 24
        #: One column more than happenings, for what never came to one.
        self._right = self._left + (len(self._columns) + 1) * _COLUMN
        self._top = 32 + _TIMES
        #: Where each shard begins, the row of its windows' final calls, and that of each record.
        self._shards: dict[str, int] = {}
        self._finals: dict[str, int] = {}
        self._y: dict[tuple[str, str], int] = {}
        with_windows = {each.shard for each in report.timeline if not each.identifiers}
        y = self._top
        for shard, identifiers in records.items():
            self._shards[shard] = y
            y += _SHARD
            for identifier in identifiers:
                self._y[shard, identifier] = y
                y += self._row
            if shard in with_windows:
                self._finals[shard] = y
                y += _ROW
        self._bottom = y + 6
        self._svg = ET.Element("svg", xmlns="http://www.w3.org/2000/svg", role="img")
        ET.SubElement(self._svg, "title").text = title
        ET.SubElement(self._svg, "style").text = _STYLE
        self._write(12, 20, title, "title")

    def text(self) -> str:
        self._times()
        self._rows()
        for index, column in enumerate(self._columns):
            x = self._left + index * _COLUMN
            match column:
                case MoreLikeThese(count, last):
                    self._write(x + 6, self._top - 8, f"{count} more", "dim", turned=True)
                    self._happening(x + _COLUMN / 4, last, width=_COLUMN / 2)
                case Happening():
                    self._happening(x, column)
        self._ends()
        below = self._legend(self._bottom + 10)
        if self._left_out:
            below += 18
            self._write(12, below, f"{self._left_out} later columns are not drawn", "dim")
        width = max(self._right + 12, 420)
        self._svg.set("viewBox", f"0 0 {width} {below + 12:g}")
        self._svg.set("width", str(width))
        self._svg.set("height", f"{below + 12:g}")
        ET.indent(self._svg)
        return ET.tostring(self._svg, encoding="unicode") + "\n"

    def _times(self) -> None:
        """Write the times, and shade every other moment, so that everything at one moment stands together."""
        moments = groupby(enumerate(self._columns), key=lambda each: _moment(each[1]))
        for number, (moment, columns) in enumerate(moments):
            at = [index for index, _ in columns]
            x = self._left + at[0] * _COLUMN
            if number % 2 == 0:
                self._rectangle(x, self._top, len(at) * _COLUMN, self._bottom - self._top, "band")
            if moment is not None:
                self._write(x + 6, self._top - 8, _clock(moment), turned=True)

    def _rows(self) -> None:
        every = -(-12 // self._row)
        for shard, y in self._shards.items():
            self._write(12, y + 16, shard or "records", "dim")
        for y in self._finals.values():
            self._label(y, "final call")
        for index, ((_, identifier), y) in enumerate(self._y.items()):
            if index % every == 0:
                self._label(y, _short(identifier))
            if self._row >= _ROW:
                line = ET.SubElement(self._svg, "line", {"class": "line"})
                for name, value in (("x1", self._left), ("x2", self._right), ("y1", y), ("y2", y)):
                    line.set(name, f"{value:g}")

    def _label(self, y: float, text: str) -> None:
        self._write(self._left - 10, y + self._row / 2 + 4, text, anchor="end")

    def _happening(self, x: float, happening: Happening, width: float = _COLUMN) -> None:
        details = _details(happening)
        colour = _colour(happening)
        if not happening.identifiers:
            self._rectangle(x + 3, self._finals[happening.shard] + 1, width - 6, _ROW - 2, colour, details)
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
            self._rectangle(x + 3, first + gap, width - 6, last - first + self._row - 2 * gap, colour, details)

    def _ends(self) -> None:
        """Mark behind the last column the records that no filter matched, and those that are left."""
        for name, colour in (("filteredOut", "filtered"), ("unfinished", "unfinished")):
            named = set(self._document[name])
            rows = [y for (_, identifier), y in self._y.items() if identifier in named]
            self._blocks(self._right - _COLUMN, rows, colour, _LEGEND[colour])

    def _legend(self, y: float) -> float:
        for colour, word in _LEGEND.items():
            if colour in self._used:
                y += 18
                self._rectangle(12, y - 10, 14, 12, colour)
                self._write(34, y, word)
        return y

    def _rectangle(self, x: float, y: float, width: float, height: float, colour: str, details: str = "") -> None:
        self._used.add(colour)
        rectangle = ET.SubElement(self._svg, "rect", {"class": colour})
        for name, value in (("x", x), ("y", y), ("width", width), ("height", height)):
            rectangle.set(name, f"{value:g}")
        if details:
            rectangle.set("rx", "2")
            ET.SubElement(rectangle, "title").text = details

    def _write(self, x: float, y: float, text: str, style: str = "", *, anchor: str = "", turned: bool = False) -> None:
        element = ET.SubElement(self._svg, "text", x=f"{x:g}", y=f"{y:g}")
        element.text = text
        if style:
            element.set("class", style)
        if anchor:
            element.set("text-anchor", anchor)
        if turned:
            element.set("transform", f"rotate(-60 {x:g} {y:g})")


def _adjacent(rows: Sequence[int], height: int) -> Iterator[tuple[int, int]]:
    """Yield the first and the last of every run of adjacent rows."""
    start = 0
    for index in range(1, len(rows) + 1):
        if index == len(rows) or rows[index] != rows[index - 1] + height:
            yield rows[start], rows[index - 1]
            start = index


def _moment(column: Happening | MoreLikeThese) -> float | None:
    return column.entry["t"] if isinstance(column, Happening) else None


def _clock(seconds: float) -> str:
    """Write seconds for people.

    >>> [_clock(seconds) for seconds in (0, 0.25, 75, 86403.75)]
    ['0 s', '0.25 s', '1:15', '24:00:04']
    """
    if seconds < 60:
        return f"{round(seconds, 3):g} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _short(identifier: str) -> str:
    return identifier if len(identifier) <= 16 else f"…{identifier[-15:]}"


def _colour(happening: Happening) -> str:
    match happening.kind:
        case "invocations":
            return happening.entry["outcome"]
        case "onFailure":
            return "letter" if happening.entry["delivered"] else "dropped"
        case "dropped":
            return "dropped"


def _details(happening: Happening) -> str:
    """Return the text for a pointer over a block."""
    entry: Mapping[str, Any] = happening.entry
    at = f"t = {_clock(entry['t'])}"
    if happening.kind == "invocations":
        return f"{at}, lane {entry['lane']}, attempt {entry['attempt']}: {entry['outcome']}"
    if happening.kind == "dropped":
        return f"{at}: dropped, {entry['reason']}"
    ended = "delivered" if entry["delivered"] else "the destination did not take it"
    return f"{at}: {why_given_up(entry['body'])}, {ended}"
