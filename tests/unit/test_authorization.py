"""Who may do what: a role's own policies, its boundary, a session's policies, and the policy of the resource."""

from __future__ import annotations

from typing import Any

import pytest

from local.engine.roles.authorization import (
    ALLOWED,
    Session,
    Verdict,
    judge_guarded,
    judge_service,
    judge_session,
)
from local.engine.roles.policy_evaluation import decide, unevaluated

ACCOUNT = "111122223333"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/welcome"
ARN = f"arn:aws:sts::{ACCOUNT}:assumed-role/welcome/welcome"
QUEUE = f"arn:aws:sqs:us-east-1:{ACCOUNT}:mails"
TOPIC = f"arn:aws:sns:us-east-1:{ACCOUNT}:news"
NO_IDENTITY = Verdict("refused", "because no identity-based policy allows the sqs:SendMessage action")


def policy(*statements: dict[str, Any]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": list(statements)}


def allow(action: str = "sqs:SendMessage", resource: str = "*", **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": action, "Resource": resource, **more}


def deny(action: str = "sqs:SendMessage", resource: str = "*", **more: Any) -> dict[str, Any]:
    return {**allow(action, resource, **more), "Effect": "Deny"}


def to(principal: Any, statement: dict[str, Any]) -> dict[str, Any]:
    return policy({**statement, "Principal": principal})


def judged(
    *,
    identity: dict[str, Any] | None = None,
    boundary: dict[str, Any] | None = None,
    passed: dict[str, Any] | None = None,
    resource: dict[str, Any] | None = None,
    context: dict[str, Any] | None = None,
) -> Verdict:
    session = Session(
        ROLE, ARN, ACCOUNT, [identity] if identity else [], boundary, [passed] if passed is not None else []
    )
    return judge_session(session, "sqs:SendMessage", QUEUE, context or {}, resource)


YES, NO = policy(allow()), policy(allow("s3:GetObject"))


@pytest.mark.parametrize(
    ("given", "verdict"),
    [
        ({}, NO_IDENTITY),
        ({"identity": YES}, ALLOWED),
        ({"identity": NO}, NO_IDENTITY),
        (
            {"identity": policy(allow(), deny())},
            Verdict("refused", "with an explicit deny in an identity-based policy"),
        ),
        # A boundary and a session's policies limit, and give nothing.
        ({"boundary": YES}, NO_IDENTITY),
        ({"identity": YES, "boundary": YES, "passed": YES}, ALLOWED),
        (
            {"identity": YES, "boundary": NO},
            Verdict("refused", "because no permissions boundary allows the sqs:SendMessage action"),
        ),
        (
            {"identity": YES, "boundary": policy(allow("*"), deny())},
            Verdict("refused", "with an explicit deny in a permissions boundary"),
        ),
        (
            {"identity": YES, "passed": NO},
            Verdict("refused", "because no session policy allows the sqs:SendMessage action"),
        ),
        (
            {"identity": YES, "passed": policy(allow("*"), deny())},
            Verdict("refused", "with an explicit deny in a session policy"),
        ),
        # The resource's policy gives, in one account, as well as the role's.
        ({"resource": to({"AWS": ROLE}, allow())}, ALLOWED),
        ({"resource": to({"AWS": ARN}, allow())}, ALLOWED),
        ({"resource": to("*", allow())}, ALLOWED),
        ({"resource": to({"AWS": ["*"]}, allow())}, ALLOWED),
        ({"resource": to({"AWS": f"{ROLE}-other"}, allow())}, NO_IDENTITY),
        ({"resource": to({"Service": "sns.amazonaws.com"}, allow())}, NO_IDENTITY),
        ({"resource": to({"AWS": ROLE}, allow(resource=TOPIC))}, NO_IDENTITY),
        # The account's name delegates to the policies of its roles.
        ({"resource": to({"AWS": ACCOUNT}, allow())}, NO_IDENTITY),
        ({"resource": to({"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, allow())}, NO_IDENTITY),
        ({"identity": YES, "resource": to({"AWS": ACCOUNT}, allow("sqs:ReceiveMessage"))}, ALLOWED),
        # It denies whom it names, by the account too.
        *(
            (
                {"identity": YES, "resource": to(principal, deny())},
                Verdict("refused", "with an explicit deny in a resource-based policy"),
            )
            for principal in ("*", {"AWS": ROLE}, {"AWS": ARN}, {"AWS": ACCOUNT})
        ),
        ({"identity": YES, "resource": to({"AWS": f"{ROLE}-other"}, deny())}, ALLOWED),
        (
            {"identity": YES, "resource": policy({**deny(), "NotPrincipal": {"AWS": f"{ROLE}-other"}})},
            Verdict("refused", "with an explicit deny in a resource-based policy"),
        ),
        ({"identity": YES, "resource": policy({**deny(), "NotPrincipal": {"AWS": ROLE}})}, ALLOWED),
        # A grant to the role stays inside of the boundary; one to the session itself does not.
        (
            {"boundary": NO, "resource": to({"AWS": ROLE}, allow())},
            Verdict("refused", "because no permissions boundary allows the sqs:SendMessage action"),
        ),
        ({"boundary": NO, "passed": NO, "resource": to({"AWS": ARN}, allow())}, ALLOWED),
        (
            {"boundary": policy(deny()), "resource": to({"AWS": ARN}, allow())},
            Verdict("refused", "with an explicit deny in a permissions boundary"),
        ),
        # What is not evaluated is named where it decides, in whichever policy it is.
        (
            {"identity": policy(allow(Condition={"StringEquals": {"aws:SourceVpc": "v"}}))},
            Verdict("undecided", "the condition key aws:SourceVpc"),
        ),
        (
            {"identity": YES, "boundary": policy(allow(Condition={"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}))},
            Verdict("undecided", "the condition operator IpAddress"),
        ),
        (
            {"resource": to({"AWS": ROLE}, allow(Condition={"StringEquals": {"aws:SourceVpc": "v"}}))},
            Verdict("undecided", "the condition key aws:SourceVpc"),
        ),
        (
            {"identity": YES, "resource": to("*", deny(Condition={"StringEquals": {"aws:SourceVpc": "v"}}))},
            Verdict("undecided", "the condition key aws:SourceVpc"),
        ),
        (
            {
                "resource": to({"AWS": ARN}, allow()),
                "boundary": policy(deny(Condition={"StringEquals": {"aws:SourceVpc": "v"}})),
            },
            Verdict("undecided", "the condition key aws:SourceVpc"),
        ),
        ({"identity": NO, "boundary": policy(allow(Condition={"StringEquals": {"x": "v"}}))}, NO_IDENTITY),
    ],
)
def test_a_session_may_do_what_all_policies_together_allow(given: Any, verdict: Verdict) -> None:
    assert judged(**given) == verdict


@pytest.mark.parametrize(
    ("resource_policy", "verdict"),
    [
        (None, "because no resource-based policy allows the sqs:SendMessage action"),
        (to({"AWS": ROLE}, allow()), "because no resource-based policy allows the sqs:SendMessage action"),
        (to({"Service": "events.amazonaws.com"}, allow()), "because no resource-based policy"),
        (to({"Service": ["s3.amazonaws.com", "sns.amazonaws.com"]}, allow()), None),
        (to("*", allow()), None),
        (to({"Service": "sns.amazonaws.com"}, allow(Condition={"ArnEquals": {"AWS:SourceArn": TOPIC}})), None),
        (
            to({"Service": "sns.amazonaws.com"}, allow(Condition={"ArnEquals": {"aws:SourceArn": f"{TOPIC}2"}})),
            "because no resource-based policy",
        ),
        (
            policy(
                {**allow(), "Principal": "*"},
                {**deny(), "Principal": "*", "Condition": {"ArnNotEquals": {"aws:SourceArn": f"{TOPIC}2"}}},
            ),
            "with an explicit deny in a resource-based policy",
        ),
    ],
)
def test_a_service_may_do_by_itself_what_the_resource_lets_it(resource_policy: Any, verdict: str | None) -> None:
    context = {"aws:sourcearn": TOPIC, "aws:sourceaccount": ACCOUNT}
    found = judge_service("sns.amazonaws.com", "sqs:SendMessage", QUEUE, context, resource_policy)
    assert found == ALLOWED if verdict is None else found.reason.startswith(verdict)
    assert (found.outcome == "allowed") is (verdict is None)


OTHER = f"arn:aws:iam::{ACCOUNT}:role/reader"
ASSUME = policy(allow("sts:AssumeRole", OTHER))


def trust(principal: Any, **more: Any) -> dict[str, Any]:
    return policy({"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole", **more})


@pytest.mark.parametrize(
    ("identity", "trusted", "allowed"),
    [
        (None, trust({"AWS": ROLE}), True),
        (None, trust({"AWS": ARN}), True),
        (None, trust({"AWS": f"arn:aws:iam::{ACCOUNT}:root"}), False),
        (ASSUME, trust({"AWS": f"arn:aws:iam::{ACCOUNT}:root"}), True),
        (ASSUME, trust({"AWS": OTHER}), False),
        (ASSUME, trust({"Service": "lambda.amazonaws.com"}), False),
        (ASSUME, None, False),
        (ASSUME, trust({"AWS": ROLE}, Condition={"StringEquals": {"sts:ExternalId": "x"}}), True),
        (ASSUME, trust({"AWS": ROLE}, Condition={"StringEquals": {"sts:ExternalId": "y"}}), False),
        (policy(deny("sts:AssumeRole")), trust({"AWS": ROLE}), False),
    ],
)
def test_a_role_is_assumed_by_whom_it_trusts(identity: Any, trusted: Any, allowed: bool) -> None:
    session = Session(ROLE, ARN, ACCOUNT, [identity] if identity else [])
    verdict = judge_guarded(session, "sts:AssumeRole", OTHER, {"sts:externalid": "x"}, trusted)
    assert (verdict.outcome == "allowed") is allowed


@pytest.mark.parametrize(
    ("condition", "value", "holds"),
    [
        ({"ForAllValues:StringEquals": {"k": ["a", "b"]}}, ["a", "b"], True),
        ({"ForAllValues:StringEquals": {"k": ["a", "b"]}}, ["a", "c"], False),
        ({"ForAllValues:StringEquals": {"k": "a"}}, None, True),
        ({"ForAnyValue:StringLike": {"k": "a*"}}, ["b", "ab"], True),
        ({"ForAnyValue:StringLike": {"k": "a*"}}, ["b"], False),
        ({"ForAnyValue:StringEquals": {"k": "a"}}, None, False),
        ({"ForAllValues:StringNotEquals": {"k": "a"}}, ["b", "c"], True),
        ({"ForAllValues:StringNotEquals": {"k": "a"}}, ["b", "a"], False),
        ({"StringEquals": {"k": "a"}}, None, False),
        ({"StringNotEquals": {"k": "a"}}, None, True),
        ({"StringEqualsIfExists": {"k": "a"}}, None, True),
        ({"Null": {"k": "true"}}, None, True),
        ({"Null": {"k": "false"}}, None, False),
        ({"Null": {"k": "false"}}, ["a"], True),
        ({"NumericLessThan": {"k": "10"}}, "9.5", True),
        ({"NumericGreaterThanEquals": {"k": 10}}, "9", False),
        ({"NumericEquals": {"k": "10"}}, "ten", False),
        ({"NumericNotEquals": {"k": "10"}}, "11", True),
        ({"DateLessThan": {"k": "2030-01-01T00:00:00Z"}}, "2026-11-30T12:00:00+00:00", True),
        ({"DateGreaterThan": {"k": "2030-01-01"}}, "2026-11-30T12:00:00+00:00", False),
        ({"DateGreaterThan": {"k": "1700000000"}}, "2026-11-30T12:00:00Z", True),
    ],
)
def test_a_condition_holds_for_lists_numbers_dates_and_keys_that_are_absent(
    condition: Any, value: Any, holds: bool
) -> None:
    decision = decide([policy(allow(Condition=condition))], "sqs:SendMessage", QUEUE, {"k": value})
    assert (decision.outcome == "allowed") is holds


def test_what_could_decide_and_is_not_evaluated_is_listed() -> None:
    conditions = {"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}, "StringEquals": {"AWS:PrincipalArn": ROLE, "s3:x": "y"}}
    assert list(unevaluated([policy(allow(Condition=conditions)), YES], {"aws:principalarn"})) == [
        "the condition operator IpAddress",
        "the condition key aws:SourceIp",
        "the condition key s3:x",
    ]
