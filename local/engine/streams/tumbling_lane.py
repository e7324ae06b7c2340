"""The lane of a mapping with a tumbling window (docs/aws-semantics.md §2.9).

Batches never mix windows, and each call receives the state that the last one returned. A window ends with a *final
call*, which has no records. It is due when a record of another window is next, when the shard has ended, when the
reader has seen everything up to the window's end, or at once when the state has grown over 1 MB.

The states are those of `Lane`, with one more batch to form: where `Lane` is filling or empty and the open window's
final call is due, the batch that is formed has no records. Back-off and giving up apply to it as to any other.
"""

from __future__ import annotations

from aws_semantics.limits import TUMBLING_STATE_BYTES
from local.engine.actions import GiveUp, Lose
from local.engine.outcomes import Outcome, Partial, Succeeded, Throttled
from local.engine.records import json_bytes
from local.engine.streams.lane import Lane, OpenWindow, PendingBatch
from local.engine.streams.records import StreamRecord

_AT_ONCE = 0.0


class TumblingLane(Lane):
    """Delivers the records of one shard by windows of their arrival times.

    Attributes:
        unseen_since: When the oldest record was written that the reader has not seen yet, in seconds since 1970, or
            `None`. A window that ends later than this stays open.
        ended: Whether the shard has no more records than were added.
    """

    unseen_since: float | None = None
    ended: bool = False

    #: When the open window's final call was first due.
    _final_since: float | None = None

    @property
    def window_is_open(self) -> bool:
        """Whether a window's final call is still to come."""
        return self._window is not None

    def finished(self, outcome: Outcome, now: float) -> None:
        """Take an outcome as `Lane` does; the next call receives the state that was returned."""
        if self._window is not None and isinstance(outcome, Succeeded | Partial):
            state = self._window.state = {} if outcome.state is None else outcome.state
            self._window.state_too_large = json_bytes(state) > TUMBLING_STATE_BYTES
        if self._window is not None and not isinstance(outcome, Throttled):
            self._window.begun = True
        super().finished(outcome, now)

    def _ready_at(self) -> float | None:
        if self._window is not None and not self._window.begun:
            # Its records were given up before the function saw any: it has no state to finish.
            self._window = None
        if self._window is not None:
            closes_at = self._closes_at(self._window)
            if closes_at is not None or not self._waiting:
                return closes_at
        ready_at = super()._ready_at()
        if ready_at is None:
            return None
        first = self._waiting.first
        window = self._window or self._window_of(first)
        if not window.holds(self._waiting.last):
            # Nothing can join the window any more.
            return first.visible
        return min(ready_at, max(first.visible, window.end))

    def _form(self) -> PendingBatch:
        if self._window is not None and self._closes_at(self._window) is not None:
            return self._new_batch(())
        if self._window is None:
            self._window = self._window_of(self._waiting.first)
        return super()._form()

    def _cut(self, batch: PendingBatch, now: float) -> GiveUp | Lose | None:
        if batch.records:
            return super()._cut(batch, now)
        # A final call has no records: it is as old as it is due.
        if self._final_since is None:
            self._final_since = now
        age, retention = self._settings.maximum_record_age, self._settings.retention
        if age != -1 and now - self._final_since >= age:
            return self._give_up(batch, (), "RecordAgeExceeded", now)
        if retention is not None and now - self._final_since >= retention:
            self._leave(batch, 0, now)
            return Lose((), self.shard_id)
        return None

    def _leave(self, batch: PendingBatch, done: int, now: float) -> None:
        if not batch.records:
            self._window = self._final_since = None
        super()._leave(batch, done, now)

    def _window_of(self, record: StreamRecord) -> OpenWindow:
        length = self._settings.tumbling_window
        return OpenWindow(int(record.arrived // length) * length, length, {})

    def _closes_at(self, window: OpenWindow) -> float | None:
        """Return when the window's final call is due; `None` while its records wait or may still come."""
        if window.state_too_large:
            return _AT_ONCE
        if self._waiting:
            return None if window.holds(self._waiting.first) else _AT_ONCE
        if self.ended:
            return _AT_ONCE
        return window.end if self.unseen_since is None or self.unseen_since >= window.end else None
