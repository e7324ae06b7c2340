"""Every claim of `weir demo` breaks when what it claims is not so: a claim that cannot break shows nothing."""

import dataclasses
import json
from collections.abc import Mapping
from typing import Any

import pytest

from handlers.cdc.testing import record
from ops.demo.claims import CLAIMS, Evidence, judge
from ops.demo.plan import Plan, address_of, make_plan

PLAN = make_plan(20)
POISON = sorted(PLAN.poison)
HEALTHY = PLAN.healthy[0]


def _dead_letter(*records: Mapping[str, Any]) -> dict[str, Any]:
    return {"payload": json.dumps({"Records": records})}


def _as_hoped(plan: Plan) -> Evidence:
    changes: list[dict[str, Any]] = [record(new=plan.item_of(user)) for user in plan.users]
    for user in plan.upgraded:
        item = plan.item_of(user)
        for wanted in plan.requests_of(user):
            changed = {**item, "plan": wanted}
            changes.append(record(old=item, new=changed))
            item = changed
    numbers = {user: _upgrades_of(changes, user) for user in plan.poison}
    poison = [change for upgrades in numbers.values() for change in upgrades]
    return Evidence(
        answers={200: sum(len(plan.requests_of(user)) for user in plan.upgraded)},
        changes=changes,
        processed=[change["dynamodb"]["SequenceNumber"] for change in changes if change not in poison],
        unfinished=0,
        mails={address_of(user): 1 for user in plan.healthy},
        dead_letters=[_dead_letter(change) for change in poison],
        alarms={"dead-letters": "ALARM", "dropped": "OK", "iterator-age-page": "INSUFFICIENT_DATA"},
        faults={"lost answers": len(plan.lost_answers), "throttled mails": len(plan.throttled)},
        crash_batches=[5, 2, 1],
    )


def _upgrades_of(changes: list[dict[str, Any]], user: str) -> list[dict[str, Any]]:
    return [
        change
        for change in changes
        if change["eventName"] == "MODIFY" and change["dynamodb"]["Keys"]["userId"]["S"] == user
    ]


HOPED = _as_hoped(PLAN)


def broken(**differently: Any) -> dict[str, str]:
    """The claims that the evidence breaks, with why, when some of it is different from what one hopes."""
    verdicts = judge(PLAN, dataclasses.replace(HOPED, **differently))
    return {verdict.name: verdict.broken for verdict in verdicts if verdict.broken is not None}


def test_evidence_as_hoped_breaks_no_claim() -> None:
    assert broken() == {}


def test_every_claim_says_its_numbers() -> None:
    texts = {verdict.name: verdict.text for verdict in judge(make_plan(200), HOPED)}
    assert texts["one-mail"] == "each of the 147 healthy upgrades became exactly one mail"
    assert texts.keys() == {claim.name for claim in CLAIMS}


def test_an_answer_that_is_not_200_breaks_the_requests() -> None:
    assert broken(answers={200: 20, 500: 1}) == {"requests": "the API answered {200: 20, 500: 1}"}


@pytest.mark.parametrize(
    ("faults", "crash_batches", "why"),
    [
        ({"lost answers": 0, "throttled mails": 1}, [5, 1], "0 of 1 lost answers"),
        ({"lost answers": 1}, [5, 1], "0 of 1 throttled mails"),
        ({"lost answers": 1, "throttled mails": 1}, [], "no crash"),
        ({"lost answers": 1, "throttled mails": 1}, [1, 1], "the crash had its batch to itself"),
    ],
)
def test_a_fault_that_did_not_come_about_is_no_demonstration(
    faults: dict[str, int], crash_batches: list[int], why: str
) -> None:
    assert broken(faults=faults, crash_batches=crash_batches) == {"faults": why}


def test_a_missing_mail_breaks_one_mail() -> None:
    mails = {**HOPED.mails}
    del mails[address_of(HEALTHY)]
    assert broken(mails=mails) == {"one-mail": f"no mail for {HEALTHY}"}


def test_a_second_mail_breaks_one_mail() -> None:
    assert broken(mails={**HOPED.mails, address_of(HEALTHY): 2}) == {"one-mail": f"more than one for {HEALTHY} (2)"}


def test_a_mail_to_a_poison_user_breaks_no_other_mail() -> None:
    address = address_of(POISON[0])
    assert broken(mails={**HOPED.mails, address: 1}) == {"no-other-mail": f"mails went to {address}"}


def test_a_poison_record_that_was_not_kept_breaks_dead_letters_and_is_lost() -> None:
    found = broken(dead_letters=HOPED.dead_letters[1:])
    assert found.keys() == {"dead-letters", "nothing-behind"}
    assert found["dead-letters"].startswith("no dead letter for user-")


def test_a_healthy_record_in_the_failure_destination_breaks_dead_letters() -> None:
    stranger = _upgrades_of(list(HOPED.changes), HEALTHY)[0]
    assert broken(dead_letters=[*HOPED.dead_letters, _dead_letter(stranger)]) == {
        "dead-letters": f"a dead letter for {HEALTHY}"
    }


def test_a_dead_letter_without_the_whole_record_breaks_dead_letters() -> None:
    whole = json.loads(HOPED.dead_letters[0]["payload"])["Records"][0]
    partly = {**whole, "dynamodb": {name: part for name, part in whole["dynamodb"].items() if name != "OldImage"}}
    found = broken(dead_letters=[_dead_letter(partly), *HOPED.dead_letters[1:]])
    assert list(found) == ["dead-letters"]
    assert found["dead-letters"].startswith("not the full record of user-")


def test_a_record_that_was_not_processed_breaks_nothing_behind() -> None:
    found = broken(processed=HOPED.processed[:-1])
    assert list(found) == ["nothing-behind"]
    assert found["nothing-behind"].endswith("were neither processed nor kept")


def test_records_that_still_wait_break_nothing_behind() -> None:
    assert broken(unfinished=7) == {"nothing-behind": "7 records are still waiting"}


def test_a_newer_change_before_an_older_one_breaks_the_order() -> None:
    (user,) = PLAN.returning if len(PLAN.returning) == 1 else sorted(PLAN.returning)[:1]
    numbers = [change["dynamodb"]["SequenceNumber"] for change in _upgrades_of(list(HOPED.changes), user)]
    processed = [number for number in HOPED.processed if number not in numbers]
    found = broken(processed=[*processed, *reversed(numbers)])
    assert found == {"order": f"a newer change was processed before an older one of {user}"}


def test_a_repeated_delivery_of_an_older_change_does_not_break_the_order() -> None:
    assert broken(processed=[*HOPED.processed, *HOPED.processed]) == {}


@pytest.mark.parametrize(
    ("alarms", "why"),
    [
        ({"dead-letters": "OK"}, "dead-letters is OK"),
        ({"dead-letters": "ALARM", "dropped": "ALARM"}, "dropped is ALARM"),
        ({}, "there is no alarm dead-letters"),
    ],
)
def test_the_wrong_alarms_break_alarms(alarms: dict[str, str], why: str) -> None:
    assert broken(alarms=alarms) == {"alarms": why}
