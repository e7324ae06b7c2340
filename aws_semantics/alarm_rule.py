"""The rule of a composite alarm: the alarms it names, and its value for their states.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarm-combining.html
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import ceil
from typing import Literal

State = Literal["ALARM", "OK", "INSUFFICIENT_DATA"]

#: Returns the state of the alarm with a name or an ARN.
StateOf = Callable[[str], State]

_TOKEN = re.compile(r"\s*(?:(?P<quoted>\"[^\"]*\"|'[^']*')|(?P<sign>[(),])|(?P<word>[^\s(),\"']+))")
_STATES: dict[str, State] = {"ALARM": "ALARM", "OK": "OK", "INSUFFICIENT_DATA": "INSUFFICIENT_DATA"}


class WrongRule(ValueError):
    """A text that is not the rule of a composite alarm."""


@dataclass(frozen=True)
class AlarmRule:
    """A parsed rule.

    Attributes:
        alarms: The names or ARNs of the alarms it names, in order.
        holds: Evaluates it with the states of these alarms.

    Example:
        >>> rule = AlarmRule.parse('ALARM("behind") AND NOT ALARM("maintenance")')
        >>> rule.alarms
        ('behind', 'maintenance')
        >>> rule.holds(lambda name: "ALARM" if name == "behind" else "OK")
        True
    """

    alarms: tuple[str, ...]
    holds: Callable[[StateOf], bool]

    @classmethod
    def parse(cls, text: str) -> AlarmRule:
        """Parse the `AlarmRule` of PutCompositeAlarm.

        Raises:
            WrongRule: It is not one.
        """
        parser = _Parser(text)
        try:
            holds = parser.either()
        except RecursionError as deep:
            raise WrongRule("the rule is nested too deeply") from deep
        parser.end()
        return cls(tuple(dict.fromkeys(parser.alarms)), holds)


class _Parser:
    """A recursive descent: OR binds weaker than AND, and AND weaker than NOT."""

    def __init__(self, text: str) -> None:
        self.alarms: list[str] = []
        self._tokens = [*_tokens(text)]
        self._next = 0

    def either(self) -> Callable[[StateOf], bool]:
        terms = [self._both()]
        while self._took("OR"):
            terms.append(self._both())
        return lambda states: any(term(states) for term in terms)

    def end(self) -> None:
        if self._next < len(self._tokens):
            raise WrongRule(f"{self._tokens[self._next]!r} is not expected there")

    def _both(self) -> Callable[[StateOf], bool]:
        terms = [self._term()]
        while self._took("AND"):
            terms.append(self._term())
        return lambda states: all(term(states) for term in terms)

    def _term(self) -> Callable[[StateOf], bool]:
        if self._took("NOT"):
            term = self._term()
            return lambda states: not term(states)
        if self._took("("):
            inner = self.either()
            self._expect(")")
            return inner
        word = self._word()
        match word.upper():
            case "TRUE":
                return lambda _: True
            case "FALSE":
                return lambda _: False
            case "AT_LEAST":
                return self._at_least()
            case state if state in _STATES:
                self._expect("(")
                alarm = self._alarm()
                self._expect(")")
                return lambda states: states(alarm) == _STATES[state]
            case _:
                raise WrongRule(f"{word!r} is not a state, TRUE, FALSE or AT_LEAST")

    def _at_least(self) -> Callable[[StateOf], bool]:
        self._expect("(")
        wanted = self._word()
        self._expect(",")
        negated = self._took("NOT")
        state = _STATES.get(self._word().upper())
        self._expect(",")
        self._expect("(")
        alarms = [self._alarm()]
        while self._took(","):
            alarms.append(self._alarm())
        self._expect(")")
        self._expect(")")
        number = wanted.removesuffix("%")
        if state is None or not number.isdecimal():
            raise WrongRule("AT_LEAST needs a number or a percentage, a state and alarms")
        least = ceil(len(alarms) * int(number) / 100) if wanted.endswith("%") else int(number)
        return lambda states: sum((states(alarm) == state) != negated for alarm in alarms) >= least

    def _alarm(self) -> str:
        name = self._word().strip("\"'")
        self.alarms.append(name)
        return name

    def _took(self, token: str) -> bool:
        if self._next < len(self._tokens) and self._tokens[self._next].upper() == token:
            self._next += 1
            return True
        return False

    def _expect(self, token: str) -> None:
        if not self._took(token):
            raise WrongRule(f"{token!r} is missing")

    def _word(self) -> str:
        if self._next == len(self._tokens) or self._tokens[self._next] in "(),":
            raise WrongRule("a word or a name is missing")
        self._next += 1
        return self._tokens[self._next - 1]


def _tokens(text: str) -> Iterator[str]:
    rest = text.strip()
    while rest:
        found = _TOKEN.match(rest)
        if found is None:
            raise WrongRule("a quotation mark is not closed")
        yield found[0].strip()
        rest = rest[found.end() :].lstrip()
