"""Processing of one batch of a queue: a failed message stops its group, backs off, and is parked at its last attempt.

A queue deletes each message on its own. So in a FIFO queue only the group of the failed message stops, and in a
standard queue, which has no order to keep, nothing does. Streams have other rules: `handlers.cdc.batch`.

Back-off and parking are on where `QUEUE_ATTEMPTS` is set. A failed message becomes visible again after a pause that
doubles, and not after the queue's fixed visibility timeout. In a FIFO queue the messages behind a failing one are
received with it again and again, and a redrive policy counts that: it would move them to the dead-letter queue as well,
though none of them was tried. So the consumer parks the failing one itself and goes on with its group, and
`maxReceiveCount` is only a safety net.

A message can also end the process, by a crash or by time running out, and then no answer tells how far the batch got.
So a FIFO group is suspect whose first message was received before, by a process that did not live to remember it or by
another one. It is processed alone and one message at a time: the messages of other suspect groups are given back first,
each start is noted first (`message_starts`), and each message that is done is deleted at once. A message that was
started too often without an answer is parked unstarted.

In a standard queue no message waits for another. There the messages of a batch that was received before take turns at
being the first, and those that are done are deleted at once, so that a deadly message does not keep others from being
tried; it ends in the dead-letter queue by the queue's own redrive policy.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

from handlers.cdc.attempt import EXHAUSTED, TOO_OLD, Work, attempting, log_failed_batch, parked, settled
from handlers.cdc.change import Change
from handlers.cdc.discard import has_destination
from handlers.cdc.invocation import Running
from handlers.cdc.message_starts import MessageStarts
from handlers.cdc.metrics import count
from handlers.cdc.queues import attempts, delete, hide, pause, receive_count, sent_seconds_ago, warn_of_redrive
from handlers.cdc.retry_after import LONGEST_AGE_SECONDS, LONGEST_HIDDEN_SECONDS, RetryAfter
from handlers.cdc.sources import Batch
from handlers.cdc.time_budget import RESERVE, OutOfTime, TimeBudget
from handlers.cdc.whole_batch import call_together, open_all

logger = logging.getLogger("handlers.cdc")

#: Seconds that may lie between the receive of a message and the call of the function.
_SECONDS_BEFORE_THE_CALL: Final = 60
#: Messages of one DeleteMessageBatch.
_PER_CALL: Final = 10


def process(batch: Batch, work: Work, invocation: Running, *, reserve: float = RESERVE) -> list[str]:
    """Process the messages of a queue, each group in order.

    A message is not done when the function raised for it, when a message of its group before it failed, or when it was
    not started for lack of time, as in a stream's batch.

    Returns:
        The identifiers of the messages that are not done.

    Raises:
        OutOfTime: Less than `reserve` seconds were left before the first message.
        ValueError: `QUEUE_ATTEMPTS` is not a number of attempts.
    """
    messages = _Messages(batch, work, invocation, TimeBudget(reserve))
    fresh, suspects = messages.by_suspicion()
    messages.process_one_by_one(fresh)
    return messages.finish(suspects)


def process_together(batch: Batch, work: Work, invocation: Running) -> list[str]:
    """Give all changes of a queue's batch to one call.

    The changes succeed or fail together, unless the function names those that failed. A message that holds no change
    fails, and those behind it in its group are not handed over. Messages back off. One that was named is parked at its
    last attempt; if all failed together no one knows which of them it was, so none is. Suspect groups of a FIFO queue,
    and those that failed together, are given to the function one change at a time.

    Returns:
        The identifiers of the messages that are not done.

    Raises:
        OutOfTime: Less than `RESERVE` seconds are left.
        ValueError: `QUEUE_ATTEMPTS` is not a number of attempts.
    """
    messages = _Messages(batch, work, invocation, TimeBudget())
    fresh, suspects = messages.by_suspicion()
    messages.process_in_one_call(fresh)
    messages.work = Work(functools.partial(_alone, work), work.wants)
    return messages.finish(suspects)


def _alone(work: Work, change: Change[Any]) -> None:
    """Give one change to a function of whole batches."""
    for error in call_together(work, {0: change}).errors.values():
        raise error


class _Messages:
    """The messages of one batch, and what has become of them.

    Attributes:
        work: The consumer's work.
    """

    def __init__(self, batch: Batch, work: Work, invocation: Running, time_budget: TimeBudget) -> None:
        self.work = work
        self._batch = batch
        self._invocation = invocation
        self._limit = attempts()
        self._starts = MessageStarts(self._limit) if self._limit is not None and batch.source.is_fifo else None
        self._time_budget = time_budget
        self._began = time.monotonic()
        self._has_started = False
        self._done = 0
        #: Messages that SQS may delete, and the pauses of those that come again; `None` is the visibility timeout.
        self._finished: list[int] = []
        self._pauses: dict[int, int | None] = {}
        self._stopped_at: dict[str, int] = {}  # the failed message of each group that has stopped
        self._told: set[int] = set()  # messages whose fate SQS has been told
        self._noted: set[int] = set()  # messages whose start was noted

    def by_suspicion(self) -> tuple[Sequence[int], list[list[int]]]:
        """Return the messages that may be processed as usual, and those of each suspect group."""
        every = range(len(self._batch.records))
        if self._starts is None:
            return every, []
        groups: dict[str, list[int]] = {}
        for index in every:
            groups.setdefault(self._batch.group(index), []).append(index)
        suspects = [group for group in groups.values() if self._starts.is_suspect(self._batch.records[group[0]])]
        suspected = {index for group in suspects for index in group}
        return [index for index in every if index not in suspected], suspects

    def process_one_by_one(self, indexes: Sequence[int]) -> None:
        """Process messages in order, up to the first failure of each group."""
        indexes, may_crash = self._in_turn(indexes)
        for position, index in enumerate(indexes):
            if self._waits_behind_a_failure(index):
                if self._limit is None:
                    warn_of_redrive()
            elif self._may_start():
                self._after(index, self._attempt(index), self._earlier_starts(index))
                if may_crash and (len(indexes) <= _PER_CALL or (position + 1) % _PER_CALL == 0):
                    self._tell()
            else:
                count("TimeBudgetHits")
                self._give_back(indexes[position:])
                for left in indexes[position:]:
                    self._remember(left, self._earlier_starts(left))
                return

    def _in_turn(self, indexes: Sequence[int]) -> tuple[Sequence[int], bool]:
        """Let the messages of a standard queue that were received before take turns at being the first.

        Returns:
            The messages in their order, and whether one of them may have ended the process that last received them:
            then those behind it must get their turn, and be deleted before the next one starts.
        """
        if self._limit is None or self._starts is not None or not indexes:
            return indexes, False
        turns = max(receive_count(self._batch.records[index]) for index in indexes) - 1
        first = turns % len(indexes)
        return [*indexes[first:], *indexes[:first]], turns > 0

    def process_in_one_call(self, indexes: Sequence[int]) -> None:
        """Give the changes of messages to one call."""
        opened, unopened = open_all(self._batch, self.work, indexes)
        for index in indexes:
            if self._waits_behind_a_failure(index):
                opened.pop(index, None)
            elif index in unopened:
                self._invocation.change = None
                self._after(index, settled(self._batch, index, unopened[index]), self._earlier_starts(index))
            elif index not in opened:
                self._after(index, None, 0)
        if opened:
            self._call(opened)

    def finish(self, suspects: Sequence[Sequence[int]]) -> list[str]:
        """Process the suspect groups, tell SQS the pauses, and return the identifiers of the messages not done."""
        if suspects and self._starts is not None and self._limit is not None:
            first, *others = suspects
            for group in others:
                self._give_back(group)
            self._tell()
            self._process_suspects(first, self._starts, self._limit)
            for group in others:
                message = self._batch.records[group[0]]
                self._starts.give_back(message, self._starts.guess(message), was_answered=False)
        count("Records", self._done)
        self._hide_failed()
        return [self._batch.identifiers[index] for index in sorted(self._pauses)]

    def _process_suspects(self, indexes: Sequence[int], starts: MessageStarts, limit: int) -> None:
        for position, index in enumerate(indexes):
            message = self._batch.records[index]
            before = starts.before(message, is_first=position == 0)
            if before >= limit and has_destination():
                self._park_unstarted(index, before)
            elif self._may_start():
                starts.note(message, before + 1)
                self._noted.add(index)
                error = self._attempt(index)
                self._after(index, error, before)
                if isinstance(error, RetryAfter | OutOfTime):
                    starts.note(message, before)
            else:
                count("TimeBudgetHits")
                self._give_back(indexes[position:])
                return
            if index in self._pauses:
                self._pauses |= dict.fromkeys(indexes[position + 1 :], self._pauses[index])
                return
            if position + 1 < len(indexes):
                self._tell()

    def _call(self, changes: Mapping[int, Change[Any]]) -> None:
        self._has_started = True
        outcome = call_together(self.work, changes)
        if outcome.as_a_whole is not None:
            log_failed_batch(self._batch, list(changes), outcome.as_a_whole)
        for index, change in changes.items():
            self._invocation.change = change
            error = outcome.errors.get(index)
            if self._waits_behind_a_failure(index):
                continue  # it was handed over, and comes again behind the other, in its order
            if error is not None and outcome.as_a_whole is not None:
                self._stop(index, self._pause(error, self._earlier_starts(index) + 1))
            else:
                error = None if error is None else settled(self._batch, index, error)
                self._after(index, error, self._earlier_starts(index))

    def _attempt(self, index: int) -> BaseException | None:
        self._has_started = True
        return attempting(self._batch, self.work, self._invocation)(index)

    def _may_start(self) -> bool:
        return not self._has_started or self._time_budget.allows_another()

    def _earlier_starts(self, index: int) -> int:
        """Return how often a message was started before that is not suspect.

        In a standard queue each receive was a start.
        """
        message = self._batch.records[index]
        if self._starts is not None:
            return self._starts.remembered(message)
        return 0 if self._limit is None else (receive_count(message) - 1) % self._limit

    def _after(self, index: int, error: BaseException | None, before: int) -> None:
        """Decide the fate of a message that has just been tried, and was started `before` times already."""
        if error is None:
            self._done += 1
            self._is_over(index)
        elif self._is_parked(index, error, before):
            self._is_over(index)
        else:
            self._stop(index, self._pause(error, before + 1))
            self._remember(index, before if isinstance(error, RetryAfter | OutOfTime) else before + 1)

    def _remember(self, index: int, starts: int) -> None:
        """Remember a message that comes again, and has not ended the process."""
        if self._starts is not None:
            message = self._batch.records[index]
            self._starts.give_back(message, starts, was_answered=True, is_noted=index in self._noted)

    def _is_over(self, index: int) -> None:
        self._finished.append(index)
        if self._starts is not None:
            self._starts.forget(self._batch.records[index], is_noted=index in self._noted)

    def _is_parked(self, index: int, error: BaseException, before: int) -> bool:
        if isinstance(error, OutOfTime):
            return False
        if isinstance(error, RetryAfter):
            return self._is_too_old(index) and parked(self._batch, index, error, str(error), TOO_OLD)
        if self._limit is None or before + 1 < self._limit:
            return False
        reason = f"failed {self._limit} times, at last with {type(error).__name__}"
        return parked(self._batch, index, error, reason, EXHAUSTED)

    def _park_unstarted(self, index: int, starts: int) -> None:
        self._invocation.change = None
        with contextlib.suppress(Exception):  # it names the parked message, which is parked whole
            self._invocation.change = self._batch.change(index)
        reason = f"started {starts} times and never finished: the function failed, ended or ran out of time"
        self._noted.add(index)
        if parked(self._batch, index, None, reason, EXHAUSTED):
            self._is_over(index)
        else:
            self._stop(index, pause(starts))

    def _is_too_old(self, index: int) -> bool:
        """Return whether a message, and the change in it, are too old to be put off once more."""
        change = self._invocation.change
        written = None if change is None else change.approximate_creation_time
        age = sent_seconds_ago(self._batch.records[index])
        if written is not None:  # a message may be old by itself, as one of an archive is not, and the other way round
            age = min(age, time.time() - written.timestamp())
        return age > LONGEST_AGE_SECONDS

    def _pause(self, error: BaseException, attempt_number: int) -> int | None:
        if isinstance(error, RetryAfter):
            # SQS counts the longest time from the receive, which was before the function was called.
            spent = int(time.monotonic() - self._began) + _SECONDS_BEFORE_THE_CALL
            return min(error.seconds, LONGEST_HIDDEN_SECONDS - spent)
        if self._limit is None:
            return None
        return 0 if isinstance(error, OutOfTime) else pause(attempt_number)

    def _stop(self, index: int, seconds: int | None) -> None:
        self._stopped_at[self._batch.group(index)] = index
        self._pauses[index] = seconds

    def _waits_behind_a_failure(self, index: int) -> bool:
        """Give a message back with the failed one of its group that is before it, if there is one."""
        failed = self._stopped_at.get(self._batch.group(index))
        if failed is None or failed > index:
            return False
        self._pauses[index] = self._pauses[failed]
        return True

    def _give_back(self, indexes: Sequence[int]) -> None:
        """Leave messages unstarted: they may come again at once."""
        logger.warning("%d of %d messages are given back unstarted", len(indexes), len(self._batch.records))
        self._pauses |= dict.fromkeys(indexes, None if self._limit is None else 0)

    def _tell(self) -> None:
        """Tell SQS the fate of all messages so far, before one is started that may end the process."""
        self._hide_failed()
        finished = [index for index in self._finished if index not in self._told]
        delete([self._batch.records[index] for index in finished])
        self._told.update(finished)

    def _hide_failed(self) -> None:
        pauses = [(index, seconds) for index, seconds in self._pauses.items() if index not in self._told]
        hide([(self._batch.records[index], seconds) for index, seconds in pauses if seconds is not None])
        self._told.update(index for index, _ in pauses)
