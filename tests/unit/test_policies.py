"""What the identity policies of a role allow."""

from __future__ import annotations

from typing import Any

import pytest

from local.policies import decide

QUEUE = "arn:aws:sqs:us-east-1:111122223333:orders"
OBJECT = "arn:aws:s3:::failed/aws/lambda/1/shard"
OWN = {"StringEquals": {"s3:ResourceAccount": "111122223333"}}


def statement(actions: Any, resources: Any, effect: str = "Allow", **more: Any) -> dict[str, Any]:
    return {"Effect": effect, "Action": actions, "Resource": resources, **more}


SEND = statement("sqs:SendMessage", QUEUE)


@pytest.mark.parametrize(
    ("statements", "action", "resource", "decision"),
    [
        ([], "sqs:SendMessage", QUEUE, "not allowed"),
        (SEND, "sqs:SendMessage", QUEUE, "allowed"),
        ([SEND], "sqs:ReceiveMessage", QUEUE, "not allowed"),
        ([SEND], "sqs:SendMessage", QUEUE + "2", "not allowed"),
        ([statement(["sns:Publish", "SQS:send*"], ["x", QUEUE])], "sqs:SendMessage", QUEUE, "allowed"),
        ([statement("sqs:SendMessag?", "arn:aws:sqs:*:*:ord?rs")], "sqs:SendMessage", QUEUE, "allowed"),
        ([statement("*", "*")], "sqs:SendMessage", QUEUE, "allowed"),
        ([statement("sqs:*", QUEUE.upper())], "sqs:SendMessage", QUEUE, "not allowed"),
        ([statement("sqs.SendMessage", "*")], "sqs:SendMessage", QUEUE, "not allowed"),
        ([SEND, statement("sqs:*", "*", "Deny")], "sqs:SendMessage", QUEUE, "denied"),
        ([statement("sqs:*", "*", "Deny"), SEND], "sqs:SendMessage", QUEUE, "denied"),
        ([SEND, statement("sqs:Receive*", "*", "Deny")], "sqs:SendMessage", QUEUE, "allowed"),
        ([{"Effect": "Allow", "NotAction": "iam:*", "Resource": "*"}], "sqs:SendMessage", QUEUE, "allowed"),
        ([{"Effect": "Allow", "NotAction": "sqs:*", "Resource": "*"}], "sqs:SendMessage", QUEUE, "not allowed"),
        ([{"Effect": "Allow", "Action": "*", "NotResource": OBJECT}], "sqs:SendMessage", QUEUE, "allowed"),
        ([{"Effect": "Allow", "Action": "*", "NotResource": QUEUE}], "sqs:SendMessage", QUEUE, "not allowed"),
        ([SEND, {"Effect": "Deny", "Action": "*", "NotResource": OBJECT}], "sqs:SendMessage", QUEUE, "denied"),
        ([{"Effect": "Allow", "Action": "*"}], "sqs:SendMessage", QUEUE, "not allowed"),
        ([statement("s3:PutObject", "arn:aws:s3:::failed/aws/*", Condition=OWN)], "s3:PutObject", OBJECT, "allowed"),
    ],
)
def test_a_statement_allows_what_it_names_and_a_deny_wins(statements, action, resource, decision):
    context = {"s3:resourceaccount": "111122223333"}
    assert decide([{"Version": "2012-10-17", "Statement": statements}], action, resource, context) == decision


@pytest.mark.parametrize(
    ("condition", "allow", "deny"),
    [
        (OWN, "allowed", "denied"),
        ({"StringEquals": {"S3:resourceAccount": ["1", "111122223333"]}}, "allowed", "denied"),
        ({"StringEquals": {"s3:ResourceAccount": "999988887777"}}, "not allowed", "allowed"),
        ({"StringEquals": {"aws:Missing": "1"}}, "not allowed", "allowed"),
        ({"StringNotEquals": {"s3:ResourceAccount": "999988887777"}}, "allowed", "denied"),
        ({"StringNotEquals": {"s3:ResourceAccount": "111122223333"}}, "not allowed", "allowed"),
        ({"StringNotEquals": {"aws:Missing": "1"}}, "allowed", "denied"),
        ({"StringLike": {"s3:ResourceAccount": "1111*"}}, "allowed", "denied"),
        ({"StringNotLike": {"s3:ResourceAccount": "1111*"}}, "not allowed", "allowed"),
        ({"ArnLike": {"aws:SourceArn": "arn:aws:lambda:*:*:function:*"}}, "allowed", "denied"),
        ({"ArnEquals": {"aws:SourceArn": "arn:aws:lambda:*:function:*"}}, "not allowed", "allowed"),
        ({"ArnNotLike": {"aws:SourceArn": "arn:aws:lambda:*:*:function:*"}}, "not allowed", "allowed"),
        ({**OWN, "StringLike": {"s3:ResourceAccount": "9*"}}, "not allowed", "allowed"),
        # An operator that is not known is never in the caller's favour, unless another says no already.
        ({"Bool": {"aws:SecureTransport": "true"}}, "not allowed", "denied"),
        ({**OWN, "Bool": {"aws:SecureTransport": "true"}}, "not allowed", "denied"),
        ({"Bool": {"x": "true"}, "StringEquals": {"s3:ResourceAccount": "9"}}, "not allowed", "allowed"),
        ({"StringLike": {"s3:ResourceAccount": "${aws:PrincipalAccount}"}}, "not allowed", "denied"),
    ],
)
def test_a_condition_limits_an_allow_and_a_deny(condition, allow, deny):
    context = {"s3:resourceaccount": "111122223333", "aws:sourcearn": "arn:aws:lambda:us-east-1:1:function:f"}
    allowing = {"Statement": statement("*", "*", Condition=condition)}
    assert decide([allowing], "s3:PutObject", OBJECT, context) == allow
    denying = {"Statement": [statement("*", "*"), statement("*", "*", "Deny", Condition=condition)]}
    assert decide([denying], "s3:PutObject", OBJECT, context) == deny


def test_one_of_several_policies_is_enough_and_any_of_them_can_deny():
    allowing, denying = {"Statement": SEND}, {"Statement": statement("sqs:*", "*", "Deny")}
    assert decide([{"Statement": []}, allowing], "sqs:SendMessage", QUEUE, {}) == "allowed"
    assert decide([allowing, denying], "sqs:SendMessage", QUEUE, {}) == "denied"
