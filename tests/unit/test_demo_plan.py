"""The plan of `weir demo`."""

import pytest

from ops.demo.plan import make_plan


@pytest.mark.parametrize("users", [20, 200, 999])
def test_three_upgrades_are_poison_however_many_users_there_are(users: int) -> None:
    plan = make_plan(users)
    assert (len(plan.no_address), len(plan.crashing)) == (2, 1)
    assert len(plan.upgraded) == users * 3 // 4
    assert len(plan.healthy) == len(plan.upgraded) - 3


def test_of_two_hundred_users_the_numbers_are_those_of_the_documentation() -> None:
    plan = make_plan(200)
    counts = (len(plan.upgraded), len(plan.healthy), len(plan.returning), len(plan.lost_answers), len(plan.throttled))
    assert counts == (150, 147, 30, 10, 5)
    assert (len(plan.refused), len(plan.accounts)) == (10, 122)


def test_nobody_suffers_two_misfortunes() -> None:
    plan = make_plan(200)
    groups = [plan.no_address, plan.crashing, plan.returning, plan.refused]
    groups += [set(plan.lost_answers), set(plan.throttled)]
    everybody = [user for group in groups for user in group]
    assert len(everybody) == len(set(everybody))
    assert set(everybody) <= set(plan.upgraded)


def test_the_crash_has_healthy_upgrades_on_both_sides() -> None:
    plan = make_plan(20)
    (crashing,) = plan.crashing
    position = plan.upgraded.index(crashing)
    assert set(plan.upgraded[position - 2 : position]) <= set(plan.healthy)
    assert set(plan.upgraded[position + 1 : position + 3]) <= set(plan.healthy)


@pytest.mark.parametrize("users", [20, 200, 999])
def test_whoever_a_fault_needs_an_account_of_has_one_and_some_have_none(users: int) -> None:
    plan = make_plan(users)
    assert {*plan.lost_answers, *plan.throttled, *plan.returning} <= plan.accounts < {*plan.upgraded}
    assert not {*plan.account_first} & {*plan.account_last}
    assert abs(len(plan.account_first) - len(plan.account_last)) <= 1


def test_two_runs_plan_the_same() -> None:
    assert make_plan(200) == make_plan(200)


@pytest.mark.parametrize("users", [0, 19, 5001])
def test_too_few_or_too_many_users_are_refused(users: int) -> None:
    with pytest.raises(ValueError, match="takes 20 to 5000 users"):
        make_plan(users)
