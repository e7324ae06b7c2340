"""Permissions of the roles that functions and pipes act with (docs/aws-semantics.md §6.2).

AWS reads a source, and writes to a destination or a target, with that role, not with rights of its own.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from aws_semantics.permissions import Need
from local.endpoint.api.errors import AwsError, NotSimulated
from local.endpoint.clients import error_code
from local.engine.roles.authorization import Session, judge_session
from local.engine.roles.policy_evaluation import Context, Decision, assumable
from local.engine.roles.refusals import Refusal

logger = logging.getLogger(__name__)

LAMBDA = "lambda.amazonaws.com"
PIPES = "pipes.amazonaws.com"
STATES = "states.amazonaws.com"
EVENTS = "events.amazonaws.com"
SCHEDULER = "scheduler.amazonaws.com"


@dataclass(frozen=True)
class Caller:
    """A function, a pipe, an execution, a rule or a schedule that acts with its role.

    Attributes:
        role_arn: The role's ARN.
        service: The service that assumes the role: `LAMBDA`, `PIPES`, `STATES`, `EVENTS` or `SCHEDULER`.
        arn: ARN of what acts; the group's for a schedule.
    """

    role_arn: str
    service: str
    arn: str

    @property
    def session(self) -> str:
        """The name of the role's session in AWS's messages: the function's, the pipe's or the execution's name."""
        match self.service:
            case "lambda.amazonaws.com":
                return self.arn.split(":")[6]
            case "states.amazonaws.com":
                return self.arn.split(":")[7]
            case _:
                return self.arn.rpartition("/")[2]


def role_of(function: Mapping[str, Any]) -> Caller:
    """Return the caller for a function, from GetFunctionConfiguration's answer."""
    return Caller(function["Role"], LAMBDA, function["FunctionArn"])


def role_of_pipe(pipe: Mapping[str, Any]) -> Caller:
    """Return the caller for a pipe, from DescribePipe's answer."""
    return Caller(pipe["RoleArn"], PIPES, pipe["Arn"])


def refused_call(refusal: Refusal, code: str, message: str) -> AwsError:
    """Make the error of a call that needs a refused permission.

    Args:
        refusal: The reason.
        code: AWS's code.
        message: AWS's message.

    Returns:
        AWS's error, or `NotSimulated` if it is not known whether AWS would refuse the call.
    """
    return AwsError(code, message) if refusal.simulated else NotSimulated(refusal.message)


@dataclass(frozen=True)
class Role:
    """A role.

    Attributes:
        arn: Its ARN.
        trust: Its trust policy.
        policies: Its policies.
        boundary: Its permissions boundary.
    """

    arn: str
    trust: Mapping[str, Any]
    policies: Sequence[Mapping[str, Any]]
    boundary: Mapping[str, Any] | None


class Roles:
    """The account's roles, each read once and again after `forget`.

    Args:
        iam: A boto3 client of IAM.
        region: The region they act in.
        account_id: The account of the roles and of all resources.
    """

    def __init__(self, iam: Any, *, region: str, account_id: str) -> None:
        self._iam = iam
        self._region = region
        self._account_id = account_id
        self._known: dict[str, Role | None] = {}

    def forget(self) -> None:
        """Read roles again when they are needed next: roles or policies have changed."""
        # A new dictionary: a role that is being read right now may be old, and goes into the former one.
        self._known = {}

    def known(self, arn: str) -> Role | None:
        """Return a role; `None` if there is none."""
        known = self._known
        if arn not in known:
            known[arn] = self._read(arn)
        return known[arn]

    def refusal(self, caller: Caller, needs: Iterable[Need] = ()) -> Refusal | None:
        """Return why a role cannot be assumed or does not allow one of the needs; `None` if it allows all."""
        try:
            role = self.known(caller.role_arn)
        except (ClientError, BotoCoreError) as failure:
            # Its policies are not known, so it is refused now, and read again the next time.
            return Refusal("AssumeRole", str(failure))
        refused = self._unassumable(caller, role)
        if role is not None and refused is None:
            refusals = (self._denial(caller, role, action, resource) for action, resource in needs)
            refused = next((each for each in refusals if each is not None), None)
        if refused is not None and not refused.simulated:
            logger.warning("%s", refused.message)
        return refused

    def admit(self, caller: Caller, needs: Iterable[Need]) -> None:
        """Check that a role allows all of the needs.

        Raises:
            ClientError: It does not; the call itself would fail in the same way.
        """
        refused = self.refusal(caller, needs)
        if refused is not None:
            raise ClientError(
                {"Error": {"Code": "AccessDeniedException", "Message": refused.message}}, refused.operation
            )

    def check_decidable(self, caller: Caller, needs: Iterable[Need]) -> None:
        """Check that each need can be judged here.

        Raises:
            NotSimulated: It depends on something that is not evaluated here; the message names it.
        """
        for need in needs:
            refused = self.refusal(caller, [need])
            if refused is not None and not refused.simulated:
                raise NotSimulated(refused.message)

    def _unassumable(self, caller: Caller, role: Role | None) -> Refusal | None:
        # Pipes send their ARN and account, Scheduler those of the group; it is documented nowhere that Lambda does.
        named = caller.service in (PIPES, SCHEDULER)
        source = {"aws:sourceaccount": self._account_id, "aws:sourcearn": caller.arn} if named else {}
        decision = Decision("not allowed") if role is None else assumable(role.trust, caller.service, source)
        match decision.outcome:
            case "allowed":
                return None
            case "undecided":
                return _undecided("AssumeRole", caller, decision.unknown, f"{caller.service} may assume it")
            case _ if caller.service == LAMBDA:
                return Refusal("AssumeRole", "The role defined for the function cannot be assumed by Lambda.")
            case _ if caller.service == STATES:
                message = (
                    f"Neither the global service principal {STATES}, nor the regional one is authorized to assume the "
                    "provided role."
                )
                return Refusal("AssumeRole", message)
            case _:
                message = f"Provided role '{caller.role_arn}' cannot be assumed by principal '{caller.service}'."
                return Refusal("AssumeRole", message)

    def _denial(self, caller: Caller, role: Role, action: str, resource: str) -> Refusal | None:
        session = self.session(role, caller.session)
        verdict = judge_session(session, action, resource, self.context(role.arn))
        operation = action.partition(":")[2]
        match verdict.outcome:
            case "allowed":
                return None
            case "undecided":
                return _undecided(operation, caller, verdict.reason, f"it allows {action} on {resource}")
            case "refused":
                what = f"{action} on resource: {resource}"
                message = f"User: {session.arn} is not authorized to perform: {what} {verdict.reason}"
                return Refusal(operation, message)

    def session(self, role: Role, name: str, policies: Sequence[Mapping[str, Any]] = ()) -> Session:
        """Return a session of a role.

        Args:
            role: The role.
            name: The session's name.
            policies: Policies that limit the session.
        """
        arn = f"arn:aws:sts::{self._account_id}:assumed-role/{role.arn.rpartition('/')[2]}/{name}"
        return Session(role.arn, arn, self._account_id, role.policies, role.boundary, policies)

    def context(self, role_arn: str) -> Context:
        """Return the condition keys of every request of a role in an endpoint with one account."""
        return {
            "aws:principalaccount": self._account_id,
            "aws:principalarn": role_arn,
            "aws:requestedregion": self._region,
            "aws:resourceaccount": self._account_id,
            "aws:securetransport": "true",
            "s3:resourceaccount": self._account_id,
        }

    def _read(self, arn: str) -> Role | None:
        name = arn.rpartition("/")[2]
        try:
            role = self._iam.get_role(RoleName=name)["Role"]
            inline = self._iam.list_role_policies(RoleName=name)["PolicyNames"]
            attached = self._iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"]
        except ClientError as missing:
            if error_code(missing) == "NoSuchEntity":
                return None
            raise
        if role["Arn"] != arn:
            return None
        policies = [self._iam.get_role_policy(RoleName=name, PolicyName=each)["PolicyDocument"] for each in inline]
        policies += [self._managed(each["PolicyArn"]) for each in attached]
        limit = role.get("PermissionsBoundary", {}).get("PermissionsBoundaryArn")
        boundary = _parsed(self._managed(limit)) if limit else None
        return Role(arn, _parsed(role["AssumeRolePolicyDocument"]), [_parsed(each) for each in policies], boundary)

    def _managed(self, arn: str) -> Any:
        version = self._iam.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"]
        return self._iam.get_policy_version(PolicyArn=arn, VersionId=version)["PolicyVersion"]["Document"]


def _undecided(operation: str, caller: Caller, unknown: str, what: str) -> Refusal:
    return Refusal(
        operation,
        f"whether {what} depends on {unknown} in a policy of {caller.role_arn}, which the local endpoint does "
        "not evaluate: leave it out here, or run this against an AWS account",
        simulated=False,
    )


def _parsed(document: Any) -> Mapping[str, Any]:
    return json.loads(document) if isinstance(document, str) else document
