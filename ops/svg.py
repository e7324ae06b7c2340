"""`Canvas`: the marks, texts and colours that pictures of simulated runs are made of (SVG)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from xml.etree import ElementTree as ET

#: Pixels of a letter, and of a line of text.
LETTER = 6.6
LINE = 18

#: Meaning of each colour in a picture.
MEANINGS: Mapping[str, str] = {
    "success": "done",
    "partial": "left over by a partial response",
    "error": "failed",
    "timeout": "timed out",
    "throttled": "throttled: the function was not run",
    "letter": "sent to the failure destination",
    "redriven": "moved to the dead-letter queue by the redrive policy",
    "dropped": "given up, reached no destination",
    "filtered": "filtered out",
    "unfinished": "not finished",
}

_TURNED = 60
_STYLE = """
  svg { background: #fff; font: 11px ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; }
  text { fill: #24292f; } .dim { fill: #6e7781; } .title { font-weight: bold; font-size: 13px; }
  .band { fill: #f0f3f6; } .line { stroke: #d0d7de; }
  .success { fill: #2da44e; } .partial { fill: #d4a72c; } .error { fill: #cf222e; } .timeout { fill: #82071e; }
  .throttled { fill: #8250df; } .filtered { fill: #afb8c1; } .unfinished { fill: #ddf4ff; stroke: #54aeff; }
  .letter, .redriven { fill: #fff8c5; stroke: #9a6700; } .dropped { fill: #24292f; }
  @media (prefers-color-scheme: dark) {
    svg { background: #0d1117; } text { fill: #e6edf3; } .dim { fill: #8b949e; } .band { fill: #161b22; }
    .line { stroke: #30363d; } .success { fill: #3fb950; } .error { fill: #f85149; } .timeout { fill: #a40e26; }
    .letter, .redriven { fill: #341a00; stroke: #d29922; } .dropped { fill: #e6edf3; }
    .unfinished { fill: #051d4d; }
  }
"""


class Canvas:
    """SVG document that grows with what is drawn on it.

    Args:
        title: Stands above the picture.
    """

    def __init__(self, title: str) -> None:
        self._svg = ET.Element("svg", xmlns="http://www.w3.org/2000/svg", role="img")
        ET.SubElement(self._svg, "title").text = title
        ET.SubElement(self._svg, "style").text = _STYLE
        self._width = 420.0
        self.write(12, 20, title, "title")

    def rectangle(
        self, x: float, y: float, width: float, height: float, colour: str, details: str = "", *, rounded: bool = False
    ) -> None:
        """Draw a rectangle; a pointer over it shows the details."""
        rectangle = ET.SubElement(self._svg, "rect", {"class": colour})
        for name, value in (("x", x), ("y", y), ("width", width), ("height", height)):
            rectangle.set(name, f"{value:g}")
        if rounded:
            rectangle.set("rx", "2")
        if details:
            ET.SubElement(rectangle, "title").text = details
        self._grow(x + width)

    def line(self, x1: float, y1: float, x2: float, y2: float) -> None:
        """Draw a line."""
        line = ET.SubElement(self._svg, "line", {"class": "line"})
        for name, value in (("x1", x1), ("x2", x2), ("y1", y1), ("y2", y2)):
            line.set(name, f"{value:g}")
        self._grow(max(x1, x2))

    def arrow(self, x: float, y1: float, y2: float) -> None:
        """Draw an arrow that points down."""
        self.line(x, y1, x, y2)
        for side in (-4, 4):
            self.line(x + side, y2 - 5, x, y2)

    def write(self, x: float, y: float, text: str, style: str = "", *, anchor: str = "", turned: bool = False) -> None:
        """Write a text, which may be turned to rise to the right."""
        element = ET.SubElement(self._svg, "text", x=f"{x:g}", y=f"{y:g}")
        element.text = text
        if style:
            element.set("class", style)
        if anchor:
            element.set("text-anchor", anchor)
        if turned:
            element.set("transform", f"rotate(-{_TURNED} {x:g} {y:g})")
        across = math.cos(math.radians(_TURNED)) if turned else 1
        after = {"": 1.0, "middle": 0.5, "end": 0.0}[anchor]
        self._grow(x + len(text) * LETTER * across * after)

    def legend(self, y: float, words: Mapping[str, str]) -> float:
        """Explain colours below each other, and return the y of the last line."""
        for colour, word in words.items():
            y += LINE
            self.rectangle(12, y - 10, 14, 12, colour)
            self.write(34, y, word)
        return y

    def text(self, height: float) -> str:
        """Return the document, which ends below this height."""
        width = math.ceil(self._width + 12)
        self._svg.set("viewBox", f"0 0 {width} {height:g}")
        self._svg.set("width", str(width))
        self._svg.set("height", f"{height:g}")
        ET.indent(self._svg)
        return ET.tostring(self._svg, encoding="unicode") + "\n"

    def _grow(self, right: float) -> None:
        self._width = max(self._width, right)


def height_of_turned(text: str) -> float:
    """Return the pixels that a turned text rises."""
    return len(text) * LETTER * math.sin(math.radians(_TURNED))


def clock(seconds: float) -> str:
    """Write seconds for people.

    >>> [clock(seconds) for seconds in (0, 0.25, -3, 75, 86403.75)]
    ['0 s', '0.25 s', '-3 s', '1:15', '24:00:04']
    """
    if seconds < 60:
        return f"{round(seconds, 3):g} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
