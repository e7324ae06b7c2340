"""Picture of a run with many records (SVG): sums over time, to scale."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import chain

from local.simulation.report import Report
from local.simulation.scenario import Written
from ops.svg import LINE, MEANINGS, Canvas, clock
from ops.timeline import colour_of

#: Bars at most, and pixels.
_BARS = 120
_BAR = 6
_HEIGHT = 240
_TOP = 64
_LEFT = 72
_TICKS = 4


def summary_picture(report: Report, records: Mapping[str, Sequence[Written]], *, title: str) -> str:
    """Draw the sums of a finished run over time.

    Args:
        report: The run's report.
        records: The records of each shard, in stream order.
        title: Stands above it.
    """
    canvas = Canvas(title)
    written = [each.at for each in chain.from_iterable(records.values())]
    invocations = len(report.document["invocations"])
    note = f"{len(written):,} records and {invocations:,} invocations: so many are drawn as sums, and time is to scale"
    canvas.write(12, 36, note, "dim")
    begins = min(0.0, *written) if written else 0.0
    ends = max([happening.entry["t"] for happening in report.timeline] + written, default=0.0)
    seconds = (ends - begins) / _BARS or 1.0

    def bar_of(at: float) -> int:
        return min(int((at - begins) / seconds), _BARS - 1)

    bars = [Counter[str]() for _ in range(_BARS)]
    for happening in report.timeline:
        done = len(happening.done)
        bar = bars[bar_of(happening.entry["t"])]
        bar["success"] += done
        bar[colour_of(happening)] += len(happening.identifiers) - done
    tallest = max((bar.total() for bar in bars), default=0) or 1
    _axes(canvas, tallest, begins, ends)
    for index, bar in enumerate(bars):
        y = float(_TOP + _HEIGHT)
        for colour in MEANINGS:
            if bar[colour]:
                height = bar[colour] / tallest * _HEIGHT
                y -= height
                when = clock(begins + index * seconds)
                details = f"from {when} on, {clock(seconds)}: {bar[colour]:,} {MEANINGS[colour]}"
                canvas.rectangle(_LEFT + index * _BAR, y, _BAR - 1, height, colour, details)
    sums = sum(bars, Counter[str]())
    sums["filtered"] = len(report.document["filteredOut"])
    sums["unfinished"] = len(report.document["unfinished"])
    words = {colour: f"{sums[colour]:,} {word}" for colour, word in MEANINGS.items() if sums[colour]}
    below = canvas.legend(_TOP + _HEIGHT + 2 * LINE, words)
    canvas.write(12, below + LINE, "a record counts in each invocation that had it", "dim")
    return canvas.text(below + LINE + 12)


def _axes(canvas: Canvas, tallest: int, begins: float, ends: float) -> None:
    bottom, right = _TOP + _HEIGHT, _LEFT + _BARS * _BAR
    canvas.write(_LEFT - 8, _TOP + 4, f"{tallest:,}", "dim", anchor="end")
    canvas.write(_LEFT - 8, bottom + 4, "0", "dim", anchor="end")
    canvas.line(_LEFT, _TOP, right, _TOP)
    canvas.line(_LEFT, bottom, right, bottom)
    for tick in range(_TICKS + 1):
        x = _LEFT + (right - _LEFT) * tick / _TICKS
        canvas.line(x, bottom, x, bottom + 4)
        canvas.write(x, bottom + LINE, clock(begins + (ends - begins) * tick / _TICKS), "dim", anchor="middle")
