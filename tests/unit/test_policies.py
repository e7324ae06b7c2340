"""Evaluation of a role's policies."""

from __future__ import annotations

from typing import Any

import pytest

from local.engine.roles.policy_evaluation import Decision, assumable, decide

QUEUE = "arn:aws:sqs:us-east-1:111122223333:orders"
OBJECT = "arn:aws:s3:::failed/aws/lambda/1/shard"
OWN = {"StringEquals": {"s3:ResourceAccount": "111122223333"}}
CONTEXT = {
    "s3:resourceaccount": "111122223333",
    "aws:principalarn": "arn:aws:iam::111122223333:role/orders",
    "aws:securetransport": "true",
}


def statement(actions: Any, resources: Any, effect: str = "Allow", **more: Any) -> dict[str, Any]:
    return {"Effect": effect, "Action": actions, "Resource": resources, **more}


def policy(*statements: Any, version: str = "2012-10-17") -> dict[str, Any]:
    return {"Version": version, "Statement": list(statements)}


def undecided(unknown: str) -> Decision:
    return Decision("undecided", unknown)


ALLOWED, DENIED, NOT_ALLOWED = Decision("allowed"), Decision("denied"), Decision("not allowed")
SEND = statement("sqs:SendMessage", QUEUE)


@pytest.mark.parametrize(
    ("statements", "action", "resource", "decision"),
    [
        ([], "sqs:SendMessage", QUEUE, NOT_ALLOWED),
        (SEND, "sqs:SendMessage", QUEUE, ALLOWED),
        ([SEND], "sqs:ReceiveMessage", QUEUE, NOT_ALLOWED),
        ([SEND], "sqs:SendMessage", QUEUE + "2", NOT_ALLOWED),
        ([statement(["sns:Publish", "SQS:send*"], ["x", QUEUE])], "sqs:SendMessage", QUEUE, ALLOWED),
        ([statement("sqs:SendMessag?", "arn:aws:sqs:*:*:ord?rs")], "sqs:SendMessage", QUEUE, ALLOWED),
        ([statement("*", "*")], "sqs:SendMessage", QUEUE, ALLOWED),
        ([statement("sqs:*", QUEUE.upper())], "sqs:SendMessage", QUEUE, NOT_ALLOWED),
        ([statement("sqs.SendMessage", "*")], "sqs:SendMessage", QUEUE, NOT_ALLOWED),
        ([SEND, statement("sqs:*", "*", "Deny")], "sqs:SendMessage", QUEUE, DENIED),
        ([statement("sqs:*", "*", "Deny"), SEND], "sqs:SendMessage", QUEUE, DENIED),
        ([SEND, statement("sqs:Receive*", "*", "Deny")], "sqs:SendMessage", QUEUE, ALLOWED),
        ([{"Effect": "Allow", "NotAction": "iam:*", "Resource": "*"}], "sqs:SendMessage", QUEUE, ALLOWED),
        ([{"Effect": "Allow", "NotAction": "sqs:*", "Resource": "*"}], "sqs:SendMessage", QUEUE, NOT_ALLOWED),
        ([{"Effect": "Allow", "Action": "*", "NotResource": OBJECT}], "sqs:SendMessage", QUEUE, ALLOWED),
        ([{"Effect": "Allow", "Action": "*", "NotResource": QUEUE}], "sqs:SendMessage", QUEUE, NOT_ALLOWED),
        ([SEND, {"Effect": "Deny", "Action": "*", "NotResource": OBJECT}], "sqs:SendMessage", QUEUE, DENIED),
        ([{"Effect": "Allow", "Action": "*"}], "sqs:SendMessage", QUEUE, NOT_ALLOWED),
        ([statement("s3:PutObject", "arn:aws:s3:::failed/aws/*", Condition=OWN)], "s3:PutObject", OBJECT, ALLOWED),
    ],
)
def test_a_statement_allows_what_it_names_and_a_deny_wins(statements, action, resource, decision):
    assert decide([{"Version": "2012-10-17", "Statement": statements}], action, resource, CONTEXT) == decision


@pytest.mark.parametrize(
    ("condition", "allow", "deny"),
    [
        (OWN, ALLOWED, DENIED),
        ({"StringEquals": {"S3:resourceAccount": ["1", "111122223333"]}}, ALLOWED, DENIED),
        ({"StringEquals": {"s3:ResourceAccount": "999988887777"}}, NOT_ALLOWED, ALLOWED),
        ({"StringEqualsIfExists": {"s3:ResourceAccount": "111122223333"}}, ALLOWED, DENIED),
        ({"StringEqualsIfExists": {"s3:ResourceAccount": "999988887777"}}, NOT_ALLOWED, ALLOWED),
        ({"StringEqualsIgnoreCase": {"aws:SecureTransport": "TRUE"}}, ALLOWED, DENIED),
        ({"StringNotEquals": {"s3:ResourceAccount": "999988887777"}}, ALLOWED, DENIED),
        ({"StringNotEquals": {"s3:ResourceAccount": "111122223333"}}, NOT_ALLOWED, ALLOWED),
        ({"StringNotEqualsIgnoreCase": {"aws:SecureTransport": "TRUE"}}, NOT_ALLOWED, ALLOWED),
        ({"StringLike": {"s3:ResourceAccount": "1111*"}}, ALLOWED, DENIED),
        ({"StringNotLike": {"s3:ResourceAccount": "1111*"}}, NOT_ALLOWED, ALLOWED),
        ({"ArnLike": {"aws:PrincipalArn": "arn:aws:iam::*:role/*"}}, ALLOWED, DENIED),
        ({"ArnEquals": {"aws:PrincipalArn": "arn:aws:iam:*:role/*"}}, NOT_ALLOWED, ALLOWED),
        ({"ArnNotLike": {"aws:PrincipalArn": "arn:aws:iam::*:role/*"}}, NOT_ALLOWED, ALLOWED),
        ({"Bool": {"aws:SecureTransport": True}}, ALLOWED, DENIED),
        ({"Bool": {"aws:SecureTransport": "false"}}, NOT_ALLOWED, ALLOWED),
        ({"Null": {"aws:SecureTransport": "false"}}, ALLOWED, DENIED),
        ({"Null": {"aws:SecureTransport": "true"}}, NOT_ALLOWED, ALLOWED),
        ({**OWN, "StringLike": {"s3:ResourceAccount": "9*"}}, NOT_ALLOWED, ALLOWED),
        ({"ArnLike": {"aws:PrincipalArn": "arn:aws:iam::${s3:ResourceAccount}:role/*"}}, ALLOWED, DENIED),
    ],
)
def test_a_condition_limits_an_allow_and_a_deny(condition, allow, deny):
    allowing = policy(statement("*", "*", Condition=condition))
    assert decide([allowing], "s3:PutObject", OBJECT, CONTEXT) == allow
    denying = policy(statement("*", "*"), statement("*", "*", "Deny", Condition=condition))
    assert decide([denying], "s3:PutObject", OBJECT, CONTEXT) == deny


@pytest.mark.parametrize(
    ("condition", "unknown"),
    [
        ({"StringEquals": {"aws:SourceVpc": "vpc-1"}}, "the condition key aws:SourceVpc"),
        ({"StringNotEqualsIfExists": {"aws:SourceVpc": "vpc-1"}}, "the condition key aws:SourceVpc"),
        ({"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}, "the condition operator IpAddress"),
        ({"ForSomeValues:StringEquals": {"a": "b"}}, "the condition operator ForSomeValues:StringEquals"),
        ({"ForAllValues:StringEquals": {"aws:TagKeys": "a"}}, "the condition key aws:TagKeys"),
        ({**OWN, "BinaryEquals": {"aws:CurrentTime": "2030"}}, "the condition operator BinaryEquals"),
        ({"StringLike": {"s3:ResourceAccount": "${aws:userid}"}}, "the policy variable ${aws:userid}"),
    ],
)
def test_what_is_not_evaluated_is_named_where_it_decides(condition, unknown):
    conditional = statement("*", "*", Condition=condition)
    assert decide([policy(conditional)], "s3:PutObject", OBJECT, CONTEXT) == undecided(unknown)
    denial = statement("*", "*", "Deny", Condition=condition)
    assert decide([policy(statement("*", "*"), denial)], "s3:PutObject", OBJECT, CONTEXT) == undecided(unknown)


@pytest.mark.parametrize(
    ("statements", "decision"),
    [
        # Another statement allows it.
        ([statement("*", "*"), statement("*", "*", Condition={"DateLessThan": {"x": "1"}})], ALLOWED),
        # Another denies it.
        ([statement("*", "*", "Deny"), statement("*", "*", "Deny", Condition={"DateLessThan": {"x": "1"}})], DENIED),
        # It is about something else.
        ([SEND, statement("s3:*", "*", "Deny", Condition={"DateLessThan": {"x": "1"}})], ALLOWED),
        ([SEND, statement("*", OBJECT, "Deny", Condition={"DateLessThan": {"x": "1"}})], ALLOWED),
        # Another condition does not hold.
        (
            [statement("*", "*", Condition={"Bool": {"x": "1"}, "StringEquals": {"s3:ResourceAccount": "9"}})],
            NOT_ALLOWED,
        ),
        # Nothing would be allowed without it either.
        ([statement("*", "*", "Deny", Condition={"DateLessThan": {"x": "1"}})], NOT_ALLOWED),
    ],
)
def test_what_is_not_evaluated_is_not_named_where_it_does_not_decide(statements, decision):
    assert decide([policy(*statements)], "sqs:SendMessage", QUEUE, CONTEXT) == decision


def test_a_policy_variable_stands_for_the_value_of_its_key():
    buckets = statement("s3:PutObject", "arn:aws:s3:::failed-${s3:resourceaccount}/*")
    written = "arn:aws:s3:::failed-111122223333/shard"
    assert decide([policy(buckets)], "s3:PutObject", written, CONTEXT) == ALLOWED
    assert decide([policy(buckets)], "s3:PutObject", OBJECT, CONTEXT) == NOT_ALLOWED
    # Before this version there were none.
    assert decide([policy(buckets, version="2008-10-17")], "s3:PutObject", written, CONTEXT) == NOT_ALLOWED


def test_one_of_several_policies_is_enough_and_any_of_them_can_deny():
    allowing, denying = policy(SEND), policy(statement("sqs:*", "*", "Deny"))
    assert decide([policy(), allowing], "sqs:SendMessage", QUEUE, {}) == ALLOWED
    assert decide([allowing, denying], "sqs:SendMessage", QUEUE, {}) == DENIED


def trust(service: Any = "pipes.amazonaws.com", effect: str = "Allow", **more: Any) -> dict[str, Any]:
    return {"Effect": effect, "Principal": {"Service": service}, "Action": "sts:AssumeRole", **more}


SOURCE = {"StringEquals": {"aws:SourceAccount": "111122223333"}}


@pytest.mark.parametrize(
    ("statements", "decision"),
    [
        ([], NOT_ALLOWED),
        ([trust()], ALLOWED),
        ([trust(["lambda.amazonaws.com", "pipes.amazonaws.com"])], ALLOWED),
        ([trust(Action="sts:*")], ALLOWED),
        ([trust("lambda.amazonaws.com")], NOT_ALLOWED),
        ([trust(Action="sts:TagSession")], NOT_ALLOWED),
        ([trust(), trust(effect="Deny")], DENIED),
        ([{"Effect": "Allow", "Principal": {"AWS": "111122223333"}, "Action": "sts:AssumeRole"}], NOT_ALLOWED),
        ([trust(Condition=SOURCE)], ALLOWED),
        ([trust(Condition={"StringEquals": {"aws:SourceAccount": "9"}})], NOT_ALLOWED),
        ([trust(Condition={"ArnLike": {"aws:SourceArn": "*"}})], undecided("the condition key aws:SourceArn")),
    ],
)
def test_a_role_can_be_assumed_by_the_services_that_its_trust_policy_names(statements, decision):
    context = {"aws:sourceaccount": "111122223333"}
    assert assumable(policy(*statements), "pipes.amazonaws.com", context) == decision
