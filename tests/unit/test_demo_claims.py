"""Every claim of `weir demo` breaks when what it claims is not so: a claim that cannot break shows nothing."""

import dataclasses
from collections import Counter
from typing import Any

import pytest

from handlers.cdc.testing import record
from ops.demo.claims import ConsumerEvidence, Evidence, judge
from ops.demo.mechanisms import Mechanism
from ops.demo.plan import Plan, address_of, make_plan
from ops.demo.receivers import RECEIVERS
from ops.demo.receivers.mailbox import Mailbox
from ops.demo.run import chosen

PLAN = make_plan(20)
POISON = sorted(PLAN.poison)
HEALTHY = PLAN.healthy[0]
MAIL, CRM = "welcome-email", "crm-sync"


def _as_hoped(plan: Plan) -> Evidence:
    changes: list[dict[str, Any]] = [record(new=plan.item_of(user)) for user in plan.users]
    for user in plan.upgraded:
        item = plan.item_of(user)
        for wanted in plan.requests_of(user):
            changed = {**item, "plan": wanted}
            changes.append(record(old=item, new=changed))
            item = changed
    poison = [change for user in plan.poison for change in _upgrades_of(changes, user)]
    everything = [change["eventID"] for change in changes]
    effects = Counter(f"{change['eventID']}" for change in changes)
    mails = Counter(address_of(user) for user in plan.healthy)
    quiet = {"dead-letters": "OK", "undelivered": "INSUFFICIENT_DATA"}
    return Evidence(
        direct=True,
        requests={200: sum(len(plan.requests_of(user)) for user in plan.upgraded)},
        answers={200: sum(len(plan.requests_of(user)) for user in plan.upgraded)},
        faults={"lost answers": (1, 1), "throttled mails": (1, 1)},
        consumers={
            MAIL: ConsumerEvidence(
                claim=Mailbox.claim,
                changes=changes,
                expected=mails,
                found=mails,
                poison=plan.poison,
                processed=[each for each in everything if each not in [change["eventID"] for change in poison]],
                dead_letters=poison,
                crash_batches=[5, 2, 1],
                alarms={**quiet, "dead-letters": "ALARM"},
                counts={},
            ),
            CRM: ConsumerEvidence(
                claim="{count} effects",
                changes=changes,
                expected=effects,
                found=effects,
                processed=everything,
                alarms=quiet,
                counts={},
            ),
        },
    )


def _upgrades_of(changes: Any, user: str) -> list[dict[str, Any]]:
    return [
        change
        for change in changes
        if change["eventName"] == "MODIFY" and change["dynamodb"]["Keys"]["userId"]["S"] == user
    ]


HOPED = _as_hoped(PLAN)


def broken(consumer: str | None = None, /, **differently: Any) -> dict[str, str]:
    """The claims that the evidence breaks, with why, when some of it is different from what one hopes."""
    if consumer is not None:
        changed = dataclasses.replace(HOPED.consumers[consumer], **differently)
        differently = {"consumers": {**HOPED.consumers, consumer: changed}}
    verdicts = judge(PLAN, dataclasses.replace(HOPED, **differently))
    return {verdict.name: verdict.broken for verdict in verdicts if verdict.broken is not None}


def test_evidence_as_hoped_breaks_no_claim() -> None:
    assert broken() == {}


def test_every_claim_says_its_numbers() -> None:
    plan = make_plan(200)
    texts = {verdict.name: verdict.text for verdict in judge(plan, _as_hoped(plan))}
    assert texts[MAIL] == "each of the 147 healthy upgrades became exactly one mail, and nobody else got one"
    assert texts["dead-letters"] == "the 3 poison records, and no others, are in the failure destination, whole"


def test_without_poison_nothing_may_be_given_up_and_no_alarm_may_go_off() -> None:
    verdicts = judge(PLAN, dataclasses.replace(HOPED, consumers={CRM: HOPED.consumers[CRM]}))
    texts = {verdict.name: verdict.text for verdict in verdicts}
    assert (texts["dead-letters"], texts["alarms"]) == ("no record was given up", "no alarm went off")
    assert "crash" not in texts["faults"]


def test_an_answer_that_is_not_200_breaks_the_requests() -> None:
    assert broken(answers={200: 20, 500: 1}) == {"requests": "the API answered {200: 20, 500: 1}"}


def test_an_account_that_was_not_opened_breaks_the_requests() -> None:
    assert broken(requests={200: 21, 201: 12}, answers={200: 21, 201: 11, 409: 1}) == {
        "requests": "the API answered {200: 21, 201: 11, 409: 1}"
    }
    verdicts = judge(PLAN, dataclasses.replace(HOPED, requests={200: 21, 201: 12}))
    assert verdicts[0].text == "all 33 signed requests to the API were answered with 200 or 201"


def test_each_consumer_is_judged_by_the_changes_of_its_own_table() -> None:
    opened = [record(keys=["accountId"], new={"accountId": f"account-of-{HEALTHY}", "userId": HEALTHY})]
    assert broken(CRM, changes=opened, processed=[opened[0]["eventID"]]) == {}
    found = broken(CRM, changes=opened, processed=[])
    assert found == {"nothing-behind": f"changes of {HEALTHY} were neither processed nor kept by crm-sync"}


def test_a_fault_that_did_not_come_about_is_no_demonstration() -> None:
    faults = {"lost answers": (1, 0), "throttled mails": (1, 1)}
    assert broken(faults=faults) == {"faults": "0 of 1 lost answers"}


@pytest.mark.parametrize(("batches", "why"), [([], "no crash"), ([1, 1], "the crash had its batch to itself")])
def test_a_crash_that_shows_nothing_is_no_demonstration(batches: list[int], why: str) -> None:
    assert broken(MAIL, crash_batches=batches) == {"faults": why}


def test_a_queue_gives_each_item_a_batch_of_its_own() -> None:
    verdicts = judge(PLAN, dataclasses.replace(HOPED, direct=False))
    assert [verdict.broken for verdict in verdicts if verdict.name == "faults"] == [None]


def test_a_missing_effect_breaks_its_consumers_claim() -> None:
    found = HOPED.consumers[MAIL].found - Counter([address_of(HEALTHY)])
    assert broken(MAIL, found=found) == {MAIL: f"missing: {address_of(HEALTHY)}"}


def test_a_second_effect_breaks_its_consumers_claim() -> None:
    found = HOPED.consumers[MAIL].found + Counter([address_of(HEALTHY)])
    assert broken(MAIL, found=found) == {MAIL: f"more than once: {address_of(HEALTHY)} (2 times)"}


def test_a_strange_effect_breaks_its_consumers_claim() -> None:
    address = address_of(POISON[0])
    found = HOPED.consumers[MAIL].found + Counter([address])
    assert broken(MAIL, found=found) == {MAIL: f"not expected: {address}"}


def test_a_poison_record_that_was_not_kept_breaks_dead_letters_and_is_lost() -> None:
    found = broken(MAIL, dead_letters=HOPED.consumers[MAIL].dead_letters[1:])
    assert found.keys() == {"dead-letters", "nothing-behind"}
    assert found["dead-letters"].startswith("no dead letter for user-")


@pytest.mark.parametrize("consumer", [MAIL, CRM])
def test_a_healthy_record_in_a_failure_destination_breaks_dead_letters(consumer: str) -> None:
    stranger = _upgrades_of(HOPED.consumers[consumer].changes, HEALTHY)[0]
    kept = [*HOPED.consumers[consumer].dead_letters, stranger]
    assert broken(consumer, dead_letters=kept) == {"dead-letters": f"a dead letter for {HEALTHY} at {consumer}"}


def test_a_dead_letter_without_the_whole_record_breaks_dead_letters() -> None:
    whole, *others = HOPED.consumers[MAIL].dead_letters
    partly = {**whole, "dynamodb": {name: part for name, part in whole["dynamodb"].items() if name != "OldImage"}}
    found = broken(MAIL, dead_letters=[partly, *others])
    assert list(found) == ["dead-letters"]
    assert found["dead-letters"].startswith("not the full record of user-")


@pytest.mark.parametrize("consumer", [MAIL, CRM])
def test_a_record_that_was_not_processed_breaks_nothing_behind(consumer: str) -> None:
    found = broken(consumer, processed=HOPED.consumers[consumer].processed[:-1])
    assert list(found) == ["nothing-behind"]
    assert found["nothing-behind"].endswith(f"were neither processed nor kept by {consumer}")


def test_records_that_still_wait_break_nothing_behind() -> None:
    assert broken(CRM, unfinished=7) == {"nothing-behind": "7 records are still waiting for crm-sync"}


def test_a_newer_change_before_an_older_one_breaks_the_order() -> None:
    user = min(PLAN.returning)
    own = [change["eventID"] for change in _upgrades_of(HOPED.consumers[CRM].changes, user)]
    processed = [each for each in HOPED.consumers[CRM].processed if each not in own]
    found = broken(CRM, processed=[*processed, *reversed(own)])
    assert found == {"order": f"crm-sync processed a newer change before an older one of {user}"}


def test_a_repeated_delivery_of_an_older_change_does_not_break_the_order() -> None:
    processed = HOPED.consumers[CRM].processed
    assert broken(CRM, processed=[*processed, *processed]) == {}


@pytest.mark.parametrize(
    ("consumer", "alarms", "why"),
    [
        (MAIL, {"dead-letters": "OK"}, "dead-letters of welcome-email is OK"),
        (MAIL, {"dead-letters": "ALARM", "dropped": "ALARM"}, "dropped of welcome-email is ALARM"),
        (MAIL, {}, "welcome-email has no alarm dead-letters"),
        (CRM, {"dead-letters": "ALARM"}, "dead-letters of crm-sync is ALARM"),
    ],
)
def test_the_wrong_alarms_break_alarms(consumer: str, alarms: dict[str, str], why: str) -> None:
    assert broken(consumer, alarms=alarms) == {"alarms": why}


def test_every_consumer_of_the_demo_has_a_claim_of_its_own() -> None:
    assert len({receiver.consumer for receiver in RECEIVERS}) == len(RECEIVERS)
    assert len({receiver.claim for receiver in RECEIVERS}) == len(RECEIVERS)
    assert all("{count}" in receiver.claim for receiver in RECEIVERS)


def test_the_companions_of_a_consumer_are_shown_with_it() -> None:
    assert [each.consumer for each in chosen(["account-ready"], None, direct=False)] == [
        "account-ready",
        "account-ready-accounts",
    ]


def test_a_mechanism_of_every_consumer_can_be_switched_off_for_any() -> None:
    shown = chosen(["crm-sync"], Mechanism.PARTIAL_BATCH_RESPONSE, direct=False)
    assert [each.consumer for each in shown] == ["crm-sync"]
