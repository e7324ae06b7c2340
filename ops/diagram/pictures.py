"""The pictures of a topology: SVG for documents and browsers, Mermaid for what renders it itself."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence

from ops.diagram.topology import Reader, Source
from ops.svg import LETTER, Canvas

#: Columns: title, left edge and width in pixels.
_COLUMNS = (
    ("reader", 30, 190),
    ("only", 230, 230),
    ("delivery", 470, 230),
    ("a failing change goes to", 710, 390),
    ("alarms: threshold, periods", 1110, 270),
)
_LINE = 15
_NO_BREAK = "\N{NO-BREAK SPACE}"
_TOP = 34


def svg(title: str, sources: Sequence[Source]) -> str:
    """Draw one block for each source and one row for each reader, so that forty of them stay readable."""
    canvas = Canvas(title)
    y = float(_TOP)
    for name, x, _ in _COLUMNS:
        canvas.write(x, y + 12, name, "dim")
    y += 22
    for source in sources:
        canvas.rectangle(12, y, _COLUMNS[-1][1] + _COLUMNS[-1][2] - 12, 22, "band", rounded=True)
        canvas.write(20, y + 15, f"{source.name} ({source.kind})", "title")
        canvas.write(470, y + 15, ", ".join(source.limits), "dim")
        y += 22
        top = y
        for reader in source.readers:
            y = _row(canvas, reader, y)
        canvas.line(18, top, 18, y - 10)
        y += 14
    return canvas.text(y)


def _row(canvas: Canvas, reader: Reader, y: float) -> float:
    """Draw a reader, and return the y below it."""
    arrow = [f"-> {each}" for each in reader.feeds]
    cells = (
        [reader.name, f"[{reader.kind}]", *arrow],
        [f"{'or ' * bool(number)}{each}" for number, each in enumerate(reader.filters)] or ["every change"],
        # A number stays beside its unit.
        [", ".join(each.replace(" ", _NO_BREAK) for each in reader.delivery)],
        list(reader.failures) or ["nowhere: it is lost or blocks"] * (reader.kind != "stream"),
        [each.removeprefix(f"{reader.name}-") for each in reader.alarms] or ["no alarm"],
    )
    lines = [list(_wrapped(cell, width)) for cell, (_, _, width) in zip(cells, _COLUMNS, strict=True)]
    height = max(map(len, lines)) * _LINE + 10
    canvas.line(18, y + 14, 27, y + 14)
    for column, ((_, x, _), texts) in enumerate(zip(_COLUMNS, lines, strict=True)):
        for number, text in enumerate(texts):
            style = "title" if column == 0 and number == 0 else "dim" if text in {"no alarm", "every change"} else ""
            canvas.write(x, y + 18 + number * _LINE, text, style)
    canvas.line(27, y + height, _COLUMNS[-1][1] + _COLUMNS[-1][2], y + height)
    return y + height


def _wrapped(texts: Sequence[str], width: int) -> Iterator[str]:
    for text in texts:
        for line in textwrap.wrap(text, int(width / LETTER), subsequent_indent="  ", break_on_hyphens=False):
            yield line.replace(_NO_BREAK, " ")


def mermaid(sources: Sequence[Source]) -> str:
    """Write a flowchart from left to right: source, reader, failure paths, alarms."""
    lines = ["flowchart LR"]
    ids: dict[str, str] = {}

    def node(text: str, shape: str = "[]") -> str:
        if text not in ids:
            ids[text] = f"n{len(ids)}"
            safe = text.replace('"', "'")
            lines.append(f'  {ids[text]}{shape[0]}"{safe}"{shape[1]}')
        return ids[text]

    titles = {source.name: f"{source.name}<br/>{source.kind}" for source in sources if "topic" in source.kind} | {
        source.name: f"{source.name}<br/>{source.kind}" for source in sources if source.kind == "Kinesis stream"
    }
    for source in sources:
        origin = node(f"{source.name}<br/>{source.kind}", "()" if "topic" not in source.kind else "{}")
        for reader in source.readers:
            text = "<br/>".join([f"{reader.name} [{reader.kind}]", *reader.delivery])
            # Sources may have readers of one name.
            key = node(f"{text}<br/>reads {source.name}" if text in ids else text)
            label = "<br/>or ".join(reader.filters).replace('"', "'").replace("|", "/")
            lines.append(f'  {origin} -->|"{label}"| {key}' if label else f"  {origin} --> {key}")
            lines += [f"  {key} --> {node(titles.get(each, each), '{}')}" for each in reader.feeds]
            lines += [f"  {key} -.-> {node(each)}" for each in reader.failures]
            if reader.alarms:
                alarms = [each.removeprefix(f"{reader.name}-") for each in reader.alarms]
                lines.append(f"  {key} --- {node('<br/>'.join([f'{reader.name} alarms', *alarms]))}")
    return "\n".join(lines) + "\n"


#: The way of a failing record: step by step, what happens to it from a stream and from a consumer's FIFO queue.
FAILING_RECORD = (
    (
        "a change fails",
        "The batch stops there and reports the record; the ones before it are done.",
        "The batch reports the message and goes on with other items; its item's later changes wait.",
    ),
    (
        "retry",
        "From the lowest failed record on; the pause doubles. The shard waits.",
        "The message comes back after a pause that doubles. Only its item waits.",
    ),
    (
        "a crash",
        "It names no record: Lambda halves the batch until the culprit is alone.",
        "It names no message: suspects run one at a time, each start noted before.",
    ),
    (
        "give up",
        "After maximum_retry_attempts or at the record age; Discard at once.",
        "After attempts; Discard at once. SQS's own limit, far above, leads to the dead-letter queue.",
    ),
    (
        "keep",
        "On-failure destination: the whole batch in S3, or a pointer in SQS. Discard parks the record.",
        "The runtime parks the change in the failure destination, whole.",
    ),
    (
        "alarm",
        "dead-letters names the consumer and the command; dropped: it reached no destination.",
        "dead-letters, and dead-letter-queue; undelivered: the topic did not reach the queue.",
    ),
    (
        "fix, redrive",
        "weir dead-letters list, show, redrive: to this consumer alone, and effects that ran do not run again.",
        "The same commands: back into this consumer's queue.",
    ),
)

#: Width of a step, left edges of the two ways, and characters in a line of theirs.
_STEP, _WAYS, _WAY_LETTERS = 140, (180, 530), 50


def failing_record() -> str:
    """Draw what happens to a failing record, from its first failure to the redrive."""
    canvas = Canvas("What happens to a failing record")
    for x, way in zip(_WAYS, ("read from a stream", "read from a consumer's queue"), strict=True):
        canvas.write(x, 46, way, "dim")
    y = 58.0
    for number, (step, *ways) in enumerate(FAILING_RECORD):
        texts = [textwrap.wrap(way, _WAY_LETTERS) for way in ways]
        height = max(map(len, texts)) * _LINE + 10
        if number:
            canvas.arrow(12 + _STEP / 2, y - 16, y)
        canvas.rectangle(12, y, _STEP, height, "letter" if step in {"keep", "alarm"} else "band", rounded=True)
        canvas.write(12 + _STEP / 2, y + height / 2 + 4, step, "title", anchor="middle")
        for x, lines in zip(_WAYS, texts, strict=True):
            for line, text in enumerate(lines):
                canvas.write(x, y + 17 + line * _LINE, text)
        y += height + 16
    return canvas.text(y)
