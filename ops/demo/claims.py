"""Claims of the demo, each a check of the evidence that can fail."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ops.demo.plan import Plan, address_of

#: The one alarm that three given-up records must raise.
DEAD_LETTER_ALARM = "dead-letters"


@dataclass(frozen=True)
class Evidence:
    """The state of everything after the run, each part read where a user would read it.

    Attributes:
        answers: Status codes of the API's answers and how often each came.
        changes: The table's stream from its beginning: the records of GetRecords, as JSON has them.
        processed: Sequence numbers of records that the consumer accepted, in that order.
        unfinished: Records that the mapping is not done with.
        mails: How many mails each address got.
        dead_letters: The documents in the failure destination.
        alarms: State of every alarm of the consumer, by the alarm's short name.
        faults: How often each injected fault came about.
        crash_batches: Sizes of the batches that ended as a crash, in order.
        filtered_out: Sequence numbers of records that the mapping's filter turned down.
    """

    answers: Mapping[int, int]
    changes: Sequence[Mapping[str, Any]]
    processed: Sequence[str]
    unfinished: int
    mails: Mapping[str, int]
    dead_letters: Sequence[Mapping[str, Any]]
    alarms: Mapping[str, str]
    faults: Mapping[str, int]
    crash_batches: Sequence[int]
    filtered_out: Sequence[str] = ()


@dataclass(frozen=True)
class Claim:
    """One sentence that holds or does not.

    Attributes:
        name: For scripts and tests.
        text: For readers; `{…}` are numbers of the plan.
        broken: What is wrong with it, or `None`.
    """

    name: str
    text: str
    broken: Callable[[Plan, Evidence], str | None]


@dataclass(frozen=True)
class Verdict:
    """A claim as it turned out; `broken` says why it does not hold."""

    name: str
    text: str
    broken: str | None


def judge(plan: Plan, evidence: Evidence) -> list[Verdict]:
    """Judge every claim by the evidence."""
    numbers = {
        "healthy": len(plan.healthy),
        "poison": len(plan.poison),
        "requests": sum(len(plan.requests_of(user)) for user in plan.upgraded),
    }
    return [Verdict(claim.name, claim.text.format(**numbers), claim.broken(plan, evidence)) for claim in CLAIMS]


def _requests_answered(plan: Plan, evidence: Evidence) -> str | None:
    expected = {200: sum(len(plan.requests_of(user)) for user in plan.upgraded)}
    return None if dict(evidence.answers) == expected else f"the API answered {dict(evidence.answers)}"


def _faults_happened(plan: Plan, evidence: Evidence) -> str | None:
    expected = {"lost answers": len(plan.lost_answers), "throttled mails": len(plan.throttled)}
    missed = [f"{evidence.faults.get(name, 0)} of {n} {name}" for name, n in expected.items()
              if evidence.faults.get(name, 0) != n]  # fmt: skip
    if not evidence.crash_batches:
        missed.append("no crash")
    elif evidence.crash_batches[0] == 1:
        missed.append("the crash had its batch to itself")
    return ", ".join(missed) or None


def _one_mail_each(plan: Plan, evidence: Evidence) -> str | None:
    counts = {user: evidence.mails.get(address_of(user), 0) for user in plan.healthy}
    missing = [user for user, count in counts.items() if count == 0]
    repeated = [f"{user} ({count})" for user, count in counts.items() if count > 1]
    problems: list[str] = []
    if missing:
        problems.append(f"no mail for {_some(missing)}")
    if repeated:
        problems.append(f"more than one for {_some(repeated)}")
    return "; ".join(problems) or None


def _no_other_mail(plan: Plan, evidence: Evidence) -> str | None:
    expected = {address_of(user) for user in plan.healthy}
    others = sorted(address for address in evidence.mails if address not in expected)
    return f"mails went to {_some(others)}" if others else None


def _poison_kept_whole(plan: Plan, evidence: Evidence) -> str | None:
    expected = {
        _identifier(record): record
        for record in evidence.changes
        if record["eventName"] == "MODIFY" and _user(record) in plan.poison
    }
    found: dict[str, Mapping[str, Any]] = {}
    for document in evidence.dead_letters:
        for record in json.loads(document["payload"])["Records"]:
            found[_identifier(record)] = record
    missing = [_user(record) for number, record in expected.items() if number not in found]
    strangers = [_user(record) for number, record in found.items() if number not in expected]
    changed = [
        _user(record)
        for number, record in found.items()
        if number in expected and _content(record) != _content(expected[number])
    ]
    problems = [
        f"{what} {_some(users)}"
        for what, users in (
            ("no dead letter for", missing),
            ("a dead letter for", strangers),
            ("not the full record of", changed),
        )
        if users
    ]
    return "; ".join(problems) or None


def _nothing_behind(_: Plan, evidence: Evidence) -> str | None:
    dead = {
        _identifier(record)
        for document in evidence.dead_letters
        for record in json.loads(document["payload"])["Records"]
    }
    done = {*evidence.processed, *evidence.filtered_out, *dead}
    lost = [_user(record) for record in evidence.changes if _identifier(record) not in done]
    if evidence.unfinished:
        return f"{evidence.unfinished} records are still waiting"
    return f"changes of {_some(lost)} were neither processed nor kept" if lost else None


def _order_kept(_: Plan, evidence: Evidence) -> str | None:
    item_of = {_identifier(record): _user(record) for record in evidence.changes}
    last: dict[str, int] = {}
    seen: set[str] = set()
    overtaken: list[str] = []
    for number in evidence.processed:
        if number in seen:
            continue
        seen.add(number)
        user = item_of[number]
        if int(number) < last.get(user, 0):
            overtaken.append(user)
        last[user] = int(number)
    return f"a newer change was processed before an older one of {_some(overtaken)}" if overtaken else None


def _alarms_right(_: Plan, evidence: Evidence) -> str | None:
    problems = [
        f"{name} is {state}"
        for name, state in sorted(evidence.alarms.items())
        if (state == "ALARM") != (name == DEAD_LETTER_ALARM)
    ]
    if DEAD_LETTER_ALARM not in evidence.alarms:
        problems.append(f"there is no alarm {DEAD_LETTER_ALARM}")
    return "; ".join(problems) or None


CLAIMS = (
    Claim("requests", "all {requests} signed requests to the API were answered with 200", _requests_answered),
    Claim("faults", "the faults came about: lost answers, throttled mails, a crash amid healthy records", _faults_happened),  # noqa: E501
    Claim("one-mail", "each of the {healthy} healthy upgrades became exactly one mail", _one_mail_each),
    Claim("no-other-mail", "nobody else got a mail", _no_other_mail),
    Claim("dead-letters", "the {poison} poison records, and no others, are in the failure destination, whole", _poison_kept_whole),  # noqa: E501
    Claim("nothing-behind", "no record was left behind a poison one", _nothing_behind),
    Claim("order", "the changes of each item were processed in their order", _order_kept),
    Claim("alarms", "the dead-letter alarm is in ALARM, and no other", _alarms_right),
)  # fmt: skip


def _identifier(record: Mapping[str, Any]) -> str:
    return record["dynamodb"]["SequenceNumber"]


def _user(record: Mapping[str, Any]) -> str:
    return record["dynamodb"]["Keys"]["userId"]["S"]


def _content(record: Mapping[str, Any]) -> tuple[Any, ...]:
    dynamodb = record["dynamodb"]
    return record["eventID"], record["eventName"], dynamodb["Keys"], dynamodb.get("OldImage"), dynamodb.get("NewImage")


def _some(names: Iterable[str]) -> str:
    """Join the first few names, and count the rest."""
    counted = Counter(names)
    few, rest = list(counted)[:3], len(counted) - 3
    return ", ".join(few) + (f" and {rest} more" if rest > 0 else "")
