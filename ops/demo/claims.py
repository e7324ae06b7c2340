"""Claims of the demo, each a check of the evidence that can fail."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ops.demo.plan import Plan
from ops.demo.receivers.receiver import Change, user_of

#: The one alarm of a consumer that records which were given up must raise.
DEAD_LETTER_ALARM = "dead-letters"


@dataclass(frozen=True, kw_only=True)
class ConsumerEvidence:
    """The state of one consumer after the run.

    Attributes:
        claim: The claim about its effects; `{count}` is how many there must be.
        changes: The stream of its table from its beginning: the records of GetRecords, as JSON has them.
        expected: The effects that the changes must have had.
        found: The effects that they had, read where they are.
        poison: Users whose upgrade it must give up.
        processed: Event ids of changes that it accepted, in that order.
        filtered_out: Event ids of changes that its filter turned down.
        unfinished: Records or messages that its mapping is not done with.
        dead_letters: The records in its failure destination.
        crash_batches: Sizes of its batches that ended as a crash, in order.
        alarms: State of each of its alarms by its short name: `ALARM` if it went off at any time.
        counts: What else happened to it how often, by name.
    """

    claim: str
    changes: Sequence[Change]
    expected: Counter[str]
    found: Counter[str]
    poison: frozenset[str] = frozenset()
    processed: Sequence[str]
    filtered_out: Sequence[str] = ()
    unfinished: int = 0
    dead_letters: Sequence[Change] = ()
    crash_batches: Sequence[int] = ()
    alarms: Mapping[str, str]
    counts: Mapping[str, int]


@dataclass(frozen=True)
class Evidence:
    """The state of everything after the run, each part read where a user would read it.

    Attributes:
        direct: Whether the consumer reads the stream itself, and no queue of a fan-out.
        requests: How many requests the API must have answered with which status.
        answers: Status codes of the API's answers and how often each came.
        faults: How often each injected fault had to come about, and how often it did.
        consumers: Each consumer that was shown, by name.
    """

    direct: bool
    requests: Mapping[int, int]
    answers: Mapping[int, int]
    faults: Mapping[str, tuple[int, int]]
    consumers: Mapping[str, ConsumerEvidence]


@dataclass(frozen=True)
class Verdict:
    """A claim as it turned out.

    Attributes:
        name: For scripts and tests.
        text: For readers.
        broken: What is wrong with it, or `None`.
    """

    name: str
    text: str
    broken: str | None


def judge(plan: Plan, evidence: Evidence) -> list[Verdict]:
    """Judge every claim by the evidence."""
    of_all = [Verdict(claim.__name__.replace("_", "-"), *claim(plan, evidence)) for claim in (requests, faults)]
    of_effects = [
        Verdict(name, found.claim.format(count=found.expected.total()), _compared(found.expected, found.found))
        for name, found in evidence.consumers.items()
    ]
    of_delivery = [
        Verdict(claim.__name__.replace("_", "-"), *claim(plan, evidence))
        for claim in (dead_letters, nothing_behind, order, alarms)
    ]
    return [*of_all, *of_effects, *of_delivery]


#: Returns the text of a claim, and what is wrong with it or `None`.
Claim = Callable[[Plan, Evidence], tuple[str, str | None]]


def requests(_: Plan, evidence: Evidence) -> tuple[str, str | None]:
    """Every request to the API is answered as it must be."""
    holds = dict(evidence.answers) == dict(evidence.requests)
    broken = None if holds else f"the API answered {dict(evidence.answers)}"
    statuses = " or ".join(map(str, evidence.requests))
    return f"all {sum(evidence.requests.values())} signed requests to the API were answered with {statuses}", broken


def faults(plan: Plan, evidence: Evidence) -> tuple[str, str | None]:
    """Every fault comes about; without it, the other claims show nothing."""
    missed = [
        f"{happened} of {wanted} {name}" for name, (wanted, happened) in evidence.faults.items() if wanted != happened
    ]
    names = list(evidence.faults)
    if any(each.poison & plan.crashing for each in evidence.consumers.values()):
        batches = [size for each in evidence.consumers.values() for size in each.crash_batches]
        names.append("a crash amid healthy records" if evidence.direct else "crashes")
        if not batches:
            missed.append("no crash")
        elif evidence.direct and batches[0] == 1:
            missed.append("the crash had its batch to itself")
    return f"the faults came about: {', '.join(names)}", ", ".join(missed) or None


def dead_letters(_: Plan, evidence: Evidence) -> tuple[str, str | None]:
    """Exactly the poison records are kept, whole."""
    problems: list[str] = []
    for name, consumer in evidence.consumers.items():
        expected = {
            event_id(record): record
            for record in consumer.changes
            if record["eventName"] == "MODIFY" and user_of(record) in consumer.poison
        }
        found = {event_id(record): record for record in consumer.dead_letters}
        missing = [user_of(record) for number, record in expected.items() if number not in found]
        strangers = [user_of(record) for number, record in found.items() if number not in expected]
        changed = [
            user_of(record)
            for number, record in found.items()
            if number in expected and _content(record) != _content(expected[number])
        ]
        problems += [
            f"{what} {_some(users)}" + (f" at {name}" if len(evidence.consumers) > 1 else "")
            for what, users in (
                ("no dead letter for", missing),
                ("a dead letter for", strangers),
                ("not the full record of", changed),
            )
            if users
        ]
    poison = sum(len(consumer.poison) for consumer in evidence.consumers.values())
    kept = f"the {poison} poison records, and no others, are in the failure destination, whole"
    return kept if poison else "no record was given up", "; ".join(problems) or None


def nothing_behind(_: Plan, evidence: Evidence) -> tuple[str, str | None]:
    """Every change is processed, filtered out or kept."""
    problems: list[str] = []
    for name, consumer in evidence.consumers.items():
        dead = {event_id(record) for record in consumer.dead_letters}
        done = {*consumer.processed, *consumer.filtered_out, *dead}
        lost = [user_of(record) for record in consumer.changes if event_id(record) not in done]
        if consumer.unfinished:
            problems.append(f"{consumer.unfinished} records are still waiting for {name}")
        elif lost:
            problems.append(f"changes of {_some(lost)} were neither processed nor kept by {name}")
    poisoned = any(consumer.poison for consumer in evidence.consumers.values())
    text = "no record was left behind a poison one" if poisoned else "no record was left behind"
    return text, "; ".join(problems) or None


def order(_: Plan, evidence: Evidence) -> tuple[str, str | None]:
    """A newer change of an item is never processed before an older one."""
    problems = [
        f"{name} processed a newer change before an older one of {_some(overtaken)}"
        for name, consumer in evidence.consumers.items()
        if (overtaken := list(_overtaken(consumer)))
    ]
    return "the changes of each item were processed in their order", "; ".join(problems) or None


def _overtaken(consumer: ConsumerEvidence) -> Iterator[str]:
    place = {event_id(record): (user_of(record), at) for at, record in enumerate(consumer.changes)}
    last: dict[str, int] = {}
    # A repeat comes when it comes: the first delivery is the one in order.
    for each in dict.fromkeys(consumer.processed):
        user, at = place[each]
        if at < last.get(user, 0):
            yield user
        last[user] = at


def alarms(_: Plan, evidence: Evidence) -> tuple[str, str | None]:
    """The dead-letter alarm of a consumer with poison goes off, and no other."""
    problems: list[str] = []
    for name, consumer in evidence.consumers.items():
        problems += [
            f"{alarm} of {name} is {state}"
            for alarm, state in sorted(consumer.alarms.items())
            if (state == "ALARM") != (alarm == DEAD_LETTER_ALARM and bool(consumer.poison))
        ]
        if consumer.poison and DEAD_LETTER_ALARM not in consumer.alarms:
            problems.append(f"{name} has no alarm {DEAD_LETTER_ALARM}")
    poisoned = [name for name, consumer in evidence.consumers.items() if consumer.poison]
    text = f"the dead-letter alarm of {', '.join(poisoned)} went off, and no other" if poisoned else "no alarm went off"
    return text, "; ".join(problems) or None


def event_id(record: Change) -> str:
    """Return the event id of a record."""
    return record["eventID"]


def _compared(expected: Counter[str], found: Counter[str]) -> str | None:
    missing, strange = expected - found, found - expected
    repeated = {effect: found[effect] for effect in strange if expected[effect]}
    problems = [
        ("missing", _some(missing)),
        ("more than once", _some(f"{effect} ({count} times)" for effect, count in repeated.items())),
        ("not expected", _some(effect for effect in strange if not expected[effect])),
    ]
    return "; ".join(f"{what}: {which}" for what, which in problems if which) or None


def _content(record: Mapping[str, Any]) -> tuple[Any, ...]:
    dynamodb = record["dynamodb"]
    return record["eventID"], record["eventName"], dynamodb["Keys"], dynamodb.get("OldImage"), dynamodb.get("NewImage")


def _some(names: Iterable[str]) -> str:
    """Join the first few names, and count the rest."""
    counted = Counter(names)
    few, rest = list(counted)[:3], len(counted) - 3
    return ", ".join(few) + (f" and {rest} more" if rest > 0 else "")
