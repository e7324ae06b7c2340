"""The parts that rules are made of: names, alarms, composite alarms, permissions."""

import json

import pytest

from policies.aws_types import FUNCTION, KINESIS_STREAM, QUEUE, ROLE, TABLE
from policies.iam import UNKNOWN, Permissions, parse_document
from policies.names import FunctionName, physical_name
from policies.not_applicable import Awaited
from policies.resources import every, some
from policies.rules import all_rules
from tests.policy.engine import Pack, deployed, example, preview

ITERATOR_AGE = next(rule for rule in all_rules() if rule.id == "iterator-age-alarm")


@pytest.mark.parametrize(
    ("text", "name", "qualifier"),
    [
        ("orders", "orders", None),
        ("orders:live", "orders", "live"),
        ("arn:aws:lambda:us-east-1:111122223333:function:orders", "orders", None),
        ("arn:aws:lambda:us-east-1:111122223333:function:orders:7", "orders", "7"),
        ("111122223333:function:orders", "orders", None),
        ("111122223333:function:orders:live", "orders", "live"),
    ],
)
def test_a_function_is_recognised_by_name_and_by_full_and_partial_arn(text, name, qualifier):
    assert FunctionName.parse(text) == FunctionName(name, qualifier)
    assert physical_name(FUNCTION, text) == name


@pytest.mark.parametrize(
    ("type_", "text", "name"),
    [
        (TABLE, "arn:aws-cn:dynamodb:cn-north-1:111122223333:table/users/stream/2026-01-01T00:00:00.000", "users"),
        (TABLE, "arn:aws:dynamodb:us-east-1:111122223333:table/users", "users"),
        (KINESIS_STREAM, "arn:aws:kinesis:us-east-1:111122223333:stream/clicks/consumer/reader:1767225600", "clicks"),
        (ROLE, "arn:aws:iam::111122223333:role/service/orders", "orders"),
        (ROLE, "arn:aws:iam::111122223333:policy/orders", None),
        (QUEUE, "https://sqs.us-east-1.amazonaws.com/111122223333/failures", "failures"),
        (QUEUE, "arn:aws:s3:::failures", None),
    ],
)
def test_a_physical_name_is_found_in_what_names_a_resource(type_, text, name):
    assert physical_name(type_, text) == name


COMPOSITE = """
orders:
  type: aws:lambda:EventSourceMapping
  properties:
    functionName: orders
    eventSourceArn: arn:aws:dynamodb:us-east-1:111122223333:table/users/stream/2026-01-01T00:00:00.000
    startingPosition: TRIM_HORIZON
child:
  type: aws:cloudwatch:MetricAlarm
  properties:
    name: child
    namespace: AWS/Lambda
    metricName: IteratorAge
    dimensions: {FunctionName: orders}
    statistic: Maximum
    period: 60
    evaluationPeriods: 1
    threshold: 600000
    comparisonOperator: GreaterThanThreshold
parent:
  type: aws:cloudwatch:CompositeAlarm
  properties:
    alarmName: parent
    alarmRule: RULE
    alarmActions: ACTIONS
"""


@pytest.mark.parametrize(
    ("rule", "actions", "heard"),
    [
        ("ALARM(child)", "[page]", True),
        ('ALARM("child") OR ALARM("other")', "[page]", True),
        ("ALARM(arn:aws:cloudwatch:us-east-1:111122223333:alarm:child)", "[page]", True),
        ("ALARM(child) AND NOT ALARM(maintenance)", "[page]", True),
        ("(ALARM(other) OR ALARM(child)) AND TRUE", "[page]", True),
        ("ALARM(child) AND ALARM(other)", "[page]", False),
        ("NOT ALARM(child)", "[page]", False),
        ("OK(child)", "[page]", False),
        ("ALARM(other)", "[page]", False),
        ("ALARM(child)", "[]", False),
    ],
)
@pytest.mark.parametrize("phase", [preview, deployed])
def test_a_composite_alarm_is_heard_when_its_child_alone_sets_it_off(rule, actions, heard, phase):
    text = COMPOSITE.replace("RULE", json.dumps(rule)).replace("ACTIONS", actions)
    found = Pack([ITERATOR_AGE]).findings(phase(example(text, previewed=phase is preview)))
    assert (found == set()) == heard


def test_composite_alarms_may_be_nested():
    text = COMPOSITE.replace("RULE", "ALARM(child)").replace("ACTIONS", "[]")
    text += """
grandparent:
  type: aws:cloudwatch:CompositeAlarm
  properties: {alarmName: grandparent, alarmRule: ALARM(parent), alarmActions: [page]}
"""
    assert Pack([ITERATOR_AGE]).findings(deployed(example(text, previewed=False))) == set()


@pytest.mark.parametrize(
    ("expression", "fires"),
    [
        ("IF(age > 600000, 1, 0)", True),
        ("if(age > 600000 && age > 0, 1, 0)", True),
        ("IF(age > 99999999999 AND age > 0, 1000, 0)", False),
        ("IF(age > 99999999999 && age > 0, 1000, 0)", False),
        ("if(age > 99999999999 and age > 0, 1000, 0)", False),
        ("IF(age > 99999999999 OR age < 0, 1000, 0)", False),
        ('CEIL(MAX(METRICS("a")) / 600000)', True),
        ("FLOOR(MIN([age, 0.5]))", False),
        # Without an answer here, or without data, the alarm gets the benefit of the doubt.
        ("RATE(age)", True),
        ("age / 0", True),
        ("True", True),
        ("age >", True),
    ],
)
def test_an_alarm_on_an_expression_that_never_fires_is_not_accepted(expression, fires):
    alarm = {
        "metricQueries": [
            {"id": "late", "expression": expression, "returnData": True},
            {
                "id": "age",
                "metric": {
                    "namespace": "AWS/Lambda",
                    "metricName": "IteratorAge",
                    "dimensions": {"FunctionName": "orders"},
                    "stat": "Maximum",
                    "period": 60,
                },
            },
        ],
        "evaluationPeriods": 1,
        "threshold": 0,
        "comparisonOperator": "GreaterThanThreshold",
        "alarmActions": ["page"],
    }
    assert accepts(alarm) == fires


@pytest.mark.parametrize(
    ("threshold", "comparison", "fires"),
    [
        (0, "GreaterThanThreshold", True),
        (1, "GreaterThanOrEqualToThreshold", True),
        (1, "GreaterThanThreshold", False),
        (0, "LessThanOrEqualToThreshold", False),
    ],
)
def test_an_alarm_on_a_comparison_fires_above_its_threshold_only(threshold, comparison, fires):
    alarm = {
        "metricQueries": [
            {"id": "late", "expression": "age > 600000", "returnData": True},
            {
                "id": "age",
                "metric": {
                    "namespace": "AWS/Lambda",
                    "metricName": "IteratorAge",
                    "dimensions": {"FunctionName": "orders"},
                    "stat": "Maximum",
                    "period": 60,
                },
            },
        ],
        "evaluationPeriods": 1,
        "threshold": threshold,
        "comparisonOperator": comparison,
        "alarmActions": ["page"],
    }
    assert accepts(alarm) == fires


@pytest.mark.parametrize("comparison", ["GreaterThanThreshold", "GreaterThanOrEqualToThreshold"])
@pytest.mark.parametrize(
    ("record_age", "threshold", "in_time"),
    [
        (-1, 43_140_000, True),
        (-1, 43_140_001, False),
        (3600, 3_539_999, True),
        (3600, 3_540_000, False),
    ],
)
def test_an_alarm_in_time_is_so_to_the_millisecond(comparison, record_age, threshold, in_time):
    alarm = {
        "namespace": "AWS/Lambda",
        "metricName": "IteratorAge",
        "dimensions": {"FunctionName": "orders"},
        "statistic": "Maximum",
        "period": 60,
        "evaluationPeriods": 1,
        "threshold": threshold,
        "comparisonOperator": comparison,
        "alarmActions": ["page"],
    }
    assert accepts(alarm, maximumRecordAgeInSeconds=record_age) == in_time


def accepts(alarm, **settings):
    mapping = {
        "functionName": "orders",
        "eventSourceArn": "arn:aws:dynamodb:us-east-1:111122223333:table/users/stream/2026-01-01T00:00:00.000",
        "startingPosition": "TRIM_HORIZON",
        **settings,
    }
    program = {
        "orders": {"type": "aws:lambda:EventSourceMapping", "properties": mapping},
        "behind": {"type": "aws:cloudwatch:MetricAlarm", "properties": alarm},
    }
    return Pack([ITERATOR_AGE]).findings(deployed(example(json.dumps(program), previewed=False))) == set()


def allowed(*statements):
    return Permissions(parse_document({"Statement": list(statements)}, "policy"), (), ())


SEND = {"Effect": "Allow", "Action": "sqs:SendMessage", "Resource": "arn:aws:sqs:*:*:failures"}
QUEUE_ARN = "arn:aws:sqs:us-east-1:111122223333:failures"


def test_a_statement_allows_what_its_patterns_cover_whatever_the_case_of_the_action():
    assert allowed(SEND).allow("SQS:sendmessage", QUEUE_ARN)
    assert not allowed(SEND).allow("sqs:SendMessage", f"{QUEUE_ARN}-2")
    assert not allowed(SEND).allow("sqs:ReceiveMessage", QUEUE_ARN)


def test_a_denial_wins_and_a_conditional_one_is_not_counted():
    deny = {"Effect": "Deny", "Action": "sqs:*", "Resource": "*"}
    assert not allowed(SEND, deny).allow("sqs:SendMessage", QUEUE_ARN)
    insecure = {**deny, "Condition": {"Bool": {"aws:SecureTransport": "false"}}}
    assert allowed(SEND, insecure).allow("sqs:SendMessage", QUEUE_ARN)


def test_not_action_and_not_resource_allow_the_rest():
    rest = {"Effect": "Allow", "NotAction": "iam:*", "NotResource": f"{QUEUE_ARN}-2"}
    assert allowed(rest).allow("sqs:SendMessage", QUEUE_ARN)
    assert not allowed(rest).allow("sqs:SendMessage", f"{QUEUE_ARN}-2")
    assert not allowed(rest).allow("iam:PassRole", QUEUE_ARN)


def test_an_arn_with_unknown_parts_is_decided_by_the_parts_that_are_known():
    to_come = f"arn:{UNKNOWN}:sqs:{UNKNOWN}:{UNKNOWN}:failures-{UNKNOWN}"
    everywhere = {**SEND, "Resource": "arn:aws:sqs:*:*:*"}
    with pytest.raises(Awaited):
        allowed(everywhere).allow("sqs:SendMessage", to_come)
    assert allowed({**SEND, "Resource": "*"}).allow("sqs:SendMessage", to_come)
    assert not allowed({**SEND, "Resource": "arn:aws:sqs:*:*:orders"}).allow("sqs:SendMessage", to_come)


@pytest.mark.parametrize("document", ["", "{", "[]", "null", '{"Statement": 5}', '{"Statement": ["x"]}', 7, None, []])
def test_what_is_no_policy_document_says_nothing(document):
    assert parse_document(document, "policy") == ()


def unknown():
    raise Awaited("value")


def test_a_known_answer_is_not_hidden_by_an_unknown_one():
    assert some((unknown, lambda: True), lambda ask: ask())
    assert not every(unknown, lambda: False)
    for combined in (
        lambda: some((unknown, lambda: False), lambda ask: ask()),
        lambda: every(unknown, lambda: True),
    ):
        with pytest.raises(Awaited):
            combined()
