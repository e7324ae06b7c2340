"""The handler of a scenario: the first rule that applies to an invocation decides its outcome."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from local.engine.actions import Invoke
from local.engine.outcomes import Failed, Outcome, Succeeded, Throttled, read_each, read_response
from local.engine.pipes.answers import EXECUTION_SECONDS
from local.engine.queues.batches import QueueSettings
from local.engine.streams.settings import MappingSettings
from local.simulation.sections import ReportFailures, ReturnValue, Rule
from local.simulation.stream_run import Handler

#: Reads the answer to an invocation.
ReadAnswer = Callable[[Any, Invoke], Outcome]

#: The rule where none applies: the function succeeds and takes no time.
_NO_RULE = Rule()


@dataclass(frozen=True)
class Answer:
    """Answer of a call: `value`, or the input again if the rule is `succeed`."""

    value: Any = None
    echoes: bool = False


class Rules:
    """Rules in order, some of which apply only so many times.

    Args:
        rules: The scenario's rules.
        starts_at: When the scenario starts, in seconds since 1970.
    """

    def __init__(self, rules: Sequence[Rule], *, starts_at: float) -> None:
        self._rules = rules
        self._left = [rule.times for rule in rules]
        self._applied = [False] * len(rules)
        self._starts_at = starts_at

    def never_applied(self) -> list[int]:
        """Return the places of rules that applied to no call, as when they name a record that does not exist."""
        return [index for index, applied in enumerate(self._applied) if not applied]

    def call(
        self, identifiers: Sequence[str], now: float, *, limit: float
    ) -> tuple[Answer | Failed | Throttled, float]:
        """Return the answer to a call with these records, and the seconds it takes; `limit` seconds are a timeout."""
        rule = self._rule_for(identifiers, round(now - self._starts_at, 6))
        if rule.then == "throttle":
            return Throttled(), rule.takes
        if rule.then == "timeout" or rule.takes >= limit:
            return Failed("Unhandled", timed_out=True), limit
        match rule.then:
            case "raise":
                return Failed("Unhandled"), rule.takes
            case ReturnValue(value=value):
                return Answer(value), rule.takes
            case ReportFailures(identifiers=named):
                return Answer({"batchItemFailures": [{"itemIdentifier": each} for each in named]}), rule.takes
            case _:
                return Answer(echoes=True), rule.takes

    def _rule_for(self, identifiers: Sequence[str], t: float) -> Rule:
        for index, rule in enumerate(self._rules):
            if self._left[index] != 0 and _applies(rule, identifiers, t):
                self._applied[index] = True
                left = self._left[index]
                self._left[index] = None if left is None else left - 1
                return rule
        return _NO_RULE


class ReservedConcurrency:
    """Reserved concurrency of a function: calls above it are throttled, and no rule applies to them.

    Args:
        reserved: Calls that may run at a time; `None`: any number.
    """

    def __init__(self, reserved: int | None) -> None:
        self._reserved = reserved
        #: Start and end of calls, in seconds since 1970. A pipe's enrichment lets them begin in another order.
        self._calls: list[tuple[float, float]] = []

    def is_exhausted(self, now: float) -> bool:
        """Return whether another call is throttled now."""
        if self._reserved is None:
            return False
        self._calls = [call for call in self._calls if call[1] > now - EXECUTION_SECONDS]
        return sum(start <= now < end for start, end in self._calls) >= self._reserved

    def run(self, now: float, takes: float) -> None:
        """Note a call that runs for some seconds."""
        if self._reserved is not None:
            self._calls.append((now, round(now + takes, 6)))


def function(rules: Rules, read: ReadAnswer, *, timeout: float, concurrency: ReservedConcurrency) -> Handler:
    """Return the handler that answers for a mapping's function.

    Args:
        rules: The function's rules.
        read: Reads its answer.
        timeout: Seconds that it may take.
        concurrency: The function's reserved concurrency.
    """

    def call(invoke: Invoke, now: float) -> tuple[Outcome, float]:
        if concurrency.is_exhausted(now):
            return Throttled(), 0.0
        result, takes = rules.call([record.identifier for record in invoke.records], now, limit=timeout)
        concurrency.run(now, 0.0 if isinstance(result, Throttled) else takes)
        if not isinstance(result, Answer):
            return result, takes
        value = result.value
        if result.echoes and invoke.window is not None:
            value = {"state": invoke.window.state}
        return read(value, invoke), takes

    return call


def of_stream(settings: MappingSettings) -> ReadAnswer:
    """Return the reader of answers to a stream's mapping."""

    def read(value: Any, invoke: Invoke) -> Outcome:
        identifiers = [record.identifier for record in invoke.records]
        reports, windowed = settings.report_batch_item_failures, invoke.window is not None
        return read_response(value, identifiers, reports=reports, windowed=windowed)

    return read


def of_queue(settings: QueueSettings) -> ReadAnswer:
    """Return the reader of answers to a queue's mapping."""

    def read(value: Any, invoke: Invoke) -> Outcome:
        if not settings.report_batch_item_failures:
            return Succeeded()
        return read_each(value, [record.identifier for record in invoke.records])

    return read


def _applies(rule: Rule, identifiers: Sequence[str], t: float) -> bool:
    when = rule.when
    if when.contains is not None and not set(when.contains) & set(identifiers):
        return False
    if when.batch is not None and when.batch != list(identifiers):
        return False
    return when.between is None or when.between[0] <= t <= when.between[1]
