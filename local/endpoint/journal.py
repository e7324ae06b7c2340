"""Journal of an endpoint's contents: if the endpoint is killed, the next one can say what was lost.

An endpoint keeps everything in memory. Its journal is one small file that is replaced as a whole, at most about once a
second and only after a change. Nothing can be restored from it.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

logger = logging.getLogger(__name__)

#: The journal's name in an endpoint's directory.
NAME = "journal.json"

#: Seconds between two looks at the contents.
EVERY_SECONDS = 1.0

#: Maximum of names in one line; the rest is counted.
NAMED = 8


@dataclass(frozen=True)
class Reached:
    """Point that an event source mapping or a pipe has reached.

    Attributes:
        name: The pipe's name, or the function's.
        source: ARN of the stream or queue that it reads.
        unfinished: Records or messages that it has read and not finished.
        idle: Whether it had nothing to do: no such records, and none that it had not read.
    """

    name: str
    source: str
    unfinished: int
    idle: bool


@dataclass(frozen=True)
class Held:
    """The contents of an endpoint.

    Attributes:
        tables: Number of items by table.
        queues: Number of messages by queue.
        buckets: Number of objects by bucket.
        mappings: Progress of every event source mapping.
        pipes: Progress of every pipe.
    """

    tables: Mapping[str, int] = field(default_factory=dict[str, int])
    queues: Mapping[str, int] = field(default_factory=dict[str, int])
    buckets: Mapping[str, int] = field(default_factory=dict[str, int])
    mappings: Sequence[Reached] = ()
    pipes: Sequence[Reached] = ()


@dataclass(frozen=True)
class Journal:
    """An endpoint's contents when its journal was last written.

    Attributes:
        command: The command that had started it.
        url: The endpoint's address.
        started: Time of its start, in seconds since 1970.
        written: Time of the last change, in seconds since 1970.
        held: The contents.
    """

    command: str
    url: str
    started: float
    written: float
    held: Held

    def lines(self) -> list[str]:
        """Return lines for people about what was lost with it."""
        head = f"The AWS endpoint at {self.url} ended without being stopped, and what it held in memory is lost:"
        found = [
            *_counted("tables", self.held.tables, "item"),
            *_counted("queues", self.held.queues, "message"),
            *_counted("buckets", self.held.buckets, "object"),
            *_delivered("mappings", self.held.mappings),
            *_delivered("pipes", self.held.pipes),
        ]
        when = f"{self.command}, {_time(self.started)}; last changed {_time(self.written)}"
        return [head, f"  started     {when}", *(found or ["  nothing that a deployment does not make again"])]

    def as_json(self) -> dict[str, Any]:
        """Return it as a JSON document, with times in seconds since 1970."""
        return asdict(self)


def read(directory: Path) -> Journal | None:
    """Read the journal in an endpoint's directory; `None` if there is no readable one."""
    try:
        document: dict[str, Any] = json.loads((directory / NAME).read_text(encoding="utf-8"))
        held: dict[str, Any] = document["held"]
        held |= {kind: [Reached(**each) for each in held[kind]] for kind in ("mappings", "pipes")}
        document["held"] = Held(**held)
        return Journal(**document)
    except (OSError, ValueError, TypeError, KeyError):
        return None


class Keeper:
    """Keeps the journal of a running endpoint, in a thread of its own.

    Args:
        directory: The endpoint's directory.
        command: The command that started the endpoint.
        url: The endpoint's address.
        look: Returns the endpoint's contents.
    """

    def __init__(self, directory: Path, *, command: str, url: str, look: Callable[[], Held]) -> None:
        self._path = directory / NAME
        self._command = command
        self._url = url
        self._look = look
        self._started = time.time()
        self._written: Held | None = None
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="journal", daemon=True)

    def start(self) -> None:
        """Write the journal, and begin to keep it up to date."""
        self._write()
        self._thread.start()

    def close(self) -> None:
        """Write the journal for the last time."""
        self._closed.set()
        self._thread.join(2 * EVERY_SECONDS)

    def _run(self) -> None:
        while not self._closed.wait(EVERY_SECONDS):
            self._write()
        self._write()

    def _write(self) -> None:
        held = self._look()
        if held == self._written:
            return
        journal = Journal(self._command, self._url, self._started, time.time(), held)
        new = self._path.with_suffix(".new")
        try:
            new.write_text(json.dumps(journal.as_json()), encoding="utf-8")
            new.replace(self._path)
        except OSError:
            logger.exception("the journal could not be written")
        else:
            self._written = held


def _counted(kind: str, counts: Mapping[str, int], unit: str) -> list[str]:
    full = [f"{name} {_number(count, unit)}" for name, count in sorted(counts.items()) if count]
    return [_line(kind, full)] if full else []


def _delivered(kind: str, deliveries: Sequence[Reached]) -> list[str]:
    found = [
        f"{each.name} {_number(each.unfinished, 'record')} read and not done with"
        if each.unfinished
        else f"{each.name} records not yet read"
        for each in deliveries
        if each.unfinished or not each.idle
    ]
    return [_line(kind, found)] if found else []


def _line(kind: str, found: list[str]) -> str:
    rest = [f"and {len(found) - NAMED} more"] if len(found) > NAMED else []
    return f"  {kind:10}  {', '.join(found[:NAMED] + rest)}"


def _number(count: int, unit: str) -> str:
    return f"{count:,} {unit}{'' if count == 1 else 's'}"


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
