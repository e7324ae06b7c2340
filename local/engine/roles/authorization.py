"""Decisions on requests: of a role's session, and of a service that acts for itself.

| what decides | allows | limits |
|---|---|---|
| the role's policies | what a statement allows | what a statement denies |
| its permissions boundary, the session's policies | nothing | what they deny or do not allow |
| the resource's policy | what a statement allows: to the role; to the session, past the second row | as the first |

A role's trust policy and a KMS key's policy come first: what they do not allow, to the caller or to the account,
nothing else allows. All is in one account.
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from local.engine.roles.policy_evaluation import Context, Decision, Document, decide, decide_for


@dataclass(frozen=True)
class Session:
    """A session of a role.

    Attributes:
        role_arn: The role's ARN.
        arn: The session's own, as it stands in AWS's messages.
        account_id: The account.
        policies: The policies of the role.
        boundary: The role's permissions boundary.
        session_policies: Policies that were passed to AssumeRole.
    """

    role_arn: str
    arn: str
    account_id: str
    policies: Sequence[Document]
    boundary: Document | None = None
    session_policies: Sequence[Document] = field(default=())


@dataclass(frozen=True)
class Verdict:
    """The decision on one action.

    Attributes:
        outcome: `undecided` if something that is not evaluated here decides.
        reason: AWS's words, after action and resource; the part that is not evaluated, if it is undecided.
    """

    outcome: Literal["allowed", "refused", "undecided"]
    reason: str = ""


ALLOWED = Verdict("allowed")

#: A policy that allows everything to everyone: beside it, only what another policy denies is left to decide.
_EVERYTHING: Document = {"Statement": [{"Effect": "Allow", "Principal": "*", "Action": "*", "Resource": "*"}]}


def judge_session(
    session: Session, action: str, resource: str, context: Context, resource_policy: Document | None = None
) -> Verdict:
    """Decide whether a role's session may do something.

    Args:
        session: The session.
        action: The action, such as `sqs:SendMessage`.
        resource: The ARN of its resource.
        context: The values of all condition keys that are known.
        resource_policy: The resource's policy, if it has one.
    """
    boundary = () if session.boundary is None else (session.boundary,)
    limits = ((boundary, "permissions boundary"), (session.session_policies, "session policy"))
    of_resource = [] if resource_policy is None else [resource_policy]
    names = {session.role_arn, session.arn, "*", session.account_id, f"arn:aws:iam::{session.account_id}:root"}
    denials = [
        (decide([*session.policies, _EVERYTHING], action, resource, context), "an identity-based policy"),
        (decide_for([*of_resource, _EVERYTHING], names, action, resource, context), "a resource-based policy"),
        *((decide([*each, _EVERYTHING], action, resource, context), f"a {name}") for each, name in limits),
    ]
    for decision, name in denials:
        if decision.outcome == "denied":
            return Verdict("refused", f"with an explicit deny in {name}")
    perhaps_denied = _unknown([decision for decision, _ in denials])
    # The account's own name delegates to IAM: it grants nothing by itself.
    if decide_for(of_resource, {session.arn}, action, resource, context).outcome == "allowed":
        return Verdict("undecided", perhaps_denied) if perhaps_denied else ALLOWED
    grant = decide_for(of_resource, {session.role_arn, "*"}, action, resource, context)
    identity = decide(session.policies, action, resource, context)
    if identity.outcome == "allowed" or grant.outcome == "not allowed":
        grant = identity
    needed = [(grant, "identity-based policy")]
    needed += [(decide(each, action, resource, context), name) for each, name in limits if each]
    for decision, name in needed:
        if decision.outcome == "not allowed":
            return Verdict("refused", f"because no {name} allows the {action} action")
    unknown = _unknown([decision for decision, _ in needed]) or perhaps_denied
    return Verdict("undecided", unknown) if unknown else ALLOWED


def judge_guarded(
    session: Session, action: str, resource: str, context: Context, resource_policy: Document | None
) -> Verdict:
    """Decide whether a session may assume a role, or use a KMS key.

    The role's trust policy, or the key's policy, has to name the caller, or the account, whose own policies then decide
    (https://docs.aws.amazon.com/kms/latest/developerguide/key-policies.html).

    Args:
        session: The caller.
        action: The action, such as `sts:AssumeRole`.
        resource: The ARN of the role or the key.
        context: The values of all condition keys that are known.
        resource_policy: The trust policy or the key's policy; `None` if there is no such role or key.
    """
    policies = [] if resource_policy is None else [resource_policy]
    names = {session.role_arn, session.arn, "*", session.account_id, f"arn:aws:iam::{session.account_id}:root"}
    named = decide_for(policies, names, action, resource, context)
    match named.outcome:
        case "allowed":
            return judge_session(session, action, resource, context, resource_policy)
        case "undecided":
            return Verdict("undecided", named.unknown)
        case "denied":
            return Verdict("refused", "with an explicit deny in a resource-based policy")
        case "not allowed":
            return Verdict("refused", f"because no resource-based policy allows the {action} action")


def judge_service(
    service: str, action: str, resource: str, context: Context, resource_policy: Document | None
) -> Verdict:
    """Decide whether a service may do something to a resource by itself: only the resource's policy can let it.

    Args:
        service: The service, such as `sns.amazonaws.com`.
        action: The action.
        resource: The resource's ARN.
        context: The values of all condition keys that are known, such as `aws:sourcearn`.
        resource_policy: The resource's policy, if it has one.
    """
    policies = [] if resource_policy is None else [resource_policy]
    decision = decide_for(policies, {f"Service:{service}", "*"}, action, resource, context)
    match decision.outcome:
        case "allowed":
            return ALLOWED
        case "undecided":
            return Verdict("undecided", decision.unknown)
        case "denied":
            return Verdict("refused", "with an explicit deny in a resource-based policy")
        case "not allowed":
            return Verdict("refused", f"because no resource-based policy allows the {action} action")


def _unknown(decisions: Sequence[Decision]) -> str:
    """Return what is not evaluated and decides; empty if everything is known."""
    return next((each.unknown for each in decisions if each.outcome == "undecided"), "")
