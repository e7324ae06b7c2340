"""The rules of composite alarms."""

from __future__ import annotations

import pytest

from aws_semantics.alarm_rule import AlarmRule, WrongRule

ARN = "arn:aws:cloudwatch:us-east-1:111122223333:alarm:a"


def holds(rule, **states):
    return AlarmRule.parse(rule).holds(lambda name: states.get(name, "OK"))


@pytest.mark.parametrize(
    ("rule", "in_alarm"),
    [
        ("ALARM(a)", True),
        ('ALARM("a")', True),
        ("ALARM('a')", True),
        ("ALARM( a )", True),
        ("ALARM(b)", False),
        ("OK(a)", False),
        ("OK(b)", True),
        ("INSUFFICIENT_DATA(a)", False),
        ("ALARM(a) OR ALARM(b)", True),
        ("ALARM(a) AND ALARM(b)", False),
        ("ALARM(b) AND ALARM(b) OR ALARM(a)", True),
        ("ALARM(a) OR ALARM(b) AND ALARM(b)", True),
        ("(ALARM(a) OR ALARM(b)) AND ALARM(b)", False),
        ("NOT ALARM(a)", False),
        ("NOT (ALARM(b) OR OK(a))", True),
        ("NOT NOT ALARM(a)", True),
        ("ALARM(a) AND NOT ALARM(b)", True),
        ("TRUE", True),
        ("FALSE OR ALARM(a)", True),
        ("alarm(a) and not alarm(b)", True),
        ("AT_LEAST(1, ALARM, (a, b, c))", True),
        ("AT_LEAST(2, ALARM, (a, b, c))", False),
        ("AT_LEAST(2, NOT ALARM, (a, b, c))", True),
        ("AT_LEAST(50%, OK, (a, b, c))", True),
        ("AT_LEAST(67%, OK, (a, b, c))", False),
    ],
)
def test_a_rule_holds_for_the_states_of_its_alarms(rule, in_alarm):
    assert holds(rule, a="ALARM") == in_alarm


def test_a_rule_names_its_alarms_once_each():
    rule = AlarmRule.parse(f'ALARM("two words, (a)") OR NOT OK({ARN}) AND AT_LEAST(1, ALARM, (x, {ARN}))')
    assert rule.alarms == ("two words, (a)", ARN, "x")


@pytest.mark.parametrize(
    "rule",
    [
        "",
        "ALARM",
        "ALARM()",
        "ALARM(a",
        "ALARM(a) ALARM(b)",
        "ALARM(a) AND",
        "a",
        '"a"',
        'ALARM("a)',
        "ALARM(a))",
        "AT_LEAST(x, ALARM, (a))",
        "AT_LEAST(1, BUSY, (a))",
        "AT_LEAST(1, ALARM, ())",
        "(" * 10_000,
    ],
)
def test_what_is_no_rule_is_refused(rule):
    with pytest.raises(WrongRule):
        AlarmRule.parse(rule)
