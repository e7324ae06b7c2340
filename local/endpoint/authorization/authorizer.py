"""`Authorizer`: judges the calls of roles' sessions, and what services do by themselves."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from local.endpoint.api.aws_call import AwsCall
from local.endpoint.api.errors import AwsError, NotSimulated
from local.endpoint.api.http_messages import Reply
from local.endpoint.authorization.lookups import Lookups, Need
from local.endpoint.authorization.needs import needs_of
from local.endpoint.authorization.refusals import refused
from local.endpoint.authorization.sessions import SessionKeys, Sessions
from local.endpoint.roles import Roles
from local.engine.roles.authorization import Session, Verdict, judge_guarded, judge_service, judge_session
from local.engine.roles.policy_evaluation import Context, Document, unevaluated

logger = logging.getLogger(__name__)

#: Answers a call that is authorized.
Serve = Callable[[AwsCall], Awaitable[Reply]]

#: Condition keys whose values depend on the request, where it has them.
_OF_REQUESTS = frozenset(
    {
        *("dynamodb:leadingkeys", "events:source", "events:detail-type", "iam:policyarn"),
        *("kms:calleraccount", "kms:requestalias", "kms:viaservice", "kms:encryptioncontextkeys"),
        "kms:encryptioncontext:parameter_arn",
        *("s3:prefix", "s3:delimiter", "s3:if-none-match", "ses:fromaddress", "ses:fromdisplayname", "ses:recipients"),
        *("sns:protocol", "sns:endpoint"),
    }
)


class Authorizer:
    """The judge of what roles' sessions call. The endpoint's own keys are the account's administrator's.

    Args:
        sessions: The access keys that the endpoint issued.
        roles: The account's roles.
        lookups: What is known of the account's resources.
        resource_policy: Returns the policy of a resource as JSON text; `None` if it has none.
        clock: Returns seconds since 1970.
    """

    def __init__(
        self,
        sessions: Sessions,
        roles: Roles,
        lookups: Lookups,
        *,
        resource_policy: Callable[[str], str | None],
        clock: Callable[[], float],
    ) -> None:
        self.sessions = sessions
        self._roles = roles
        self._lookups = lookups
        self._resource_policy = resource_policy
        self._clock = clock
        self._warned: set[str] = set()
        self._lock = threading.Lock()

    def issue_for_function(self, role_arn: str, function: str) -> SessionKeys:
        """Issue the keys of a function's new environment, and say what in its role's policies is not judged here."""
        self._warn(role_arn)
        return self.sessions.issue(role_arn, function)

    def may_log(self, role_arn: str, function: str, group: str, stream: str, *, new_group: bool) -> bool:
        """Decide whether a function's role lets it write its log (IAM-20).

        What is not evaluated here lets it, since the function has no answer that could say so: it is said at its start.

        Args:
            role_arn: The role.
            function: The function's name.
            group: The log group.
            stream: The log stream of the function's environment.
            new_group: Whether the log group has to be created first.
        """
        role = self._roles.known(role_arn)
        if role is None:
            return False
        session = self._roles.session(role, function)
        named = {"logGroupName": group, "logStreamName": stream}
        needed = ("CreateLogGroup",) * new_group + ("CreateLogStream", "PutLogEvents")
        needs = [need for each in needed for need in needs_of("logs", each, named, self._lookups)]
        return all(self._verdict(session, need).outcome != "refused" for need in needs)

    async def answer(self, call: AwsCall, serve: Serve) -> Reply:
        """Answer a call, if its caller may make it.

        Raises:
            AwsError: The caller's role does not allow it, or its keys have expired.
            NotSimulated: Something that is not evaluated here decides.
        """
        keys = self.sessions.of(call.request.access_key_id)
        if keys is None:
            return await serve(call)
        await asyncio.to_thread(self.check, call, keys)
        reply = await serve(call)
        if reply.status == 404 and call.operation in ("GetObject", "HeadObject"):
            await asyncio.to_thread(self._check_that_it_may_know, call, keys)
        return reply

    def check(self, call: AwsCall, keys: SessionKeys) -> None:
        """Check that a session may make a call.

        Raises:
            AwsError: Its role does not allow it, or its keys have expired.
            NotSimulated: Something that is not evaluated here decides.
        """
        if keys.expires_at is not None and keys.expires_at < self._clock():
            raise AwsError("ExpiredToken", "The security token included in the request is expired", status=403)
        session = self._session(keys)
        for need in needs_of(call.service, call.operation, call.parameters, self._lookups):
            self._check_need(call, session, need)

    def arn_of(self, keys: SessionKeys) -> str:
        """Return the ARN of a session."""
        return self._session(keys).arn

    def may_invoke_api(self, keys: SessionKeys, api_id: str, method: str, route: str) -> bool:
        """Check if a session may call a route of an HTTP API."""
        session = self._session(keys)
        arn = self._lookups.arn("execute-api", f"{api_id}/$default/{method}/{route}")
        return judge_session(session, "execute-api:Invoke", arn, self._context(session)).outcome == "allowed"

    def service_may(self, service: str, action: str, resource: str, source: str) -> bool:
        """Decide whether a service may do something by itself, by the policy of the resource; log why if it may not.

        Args:
            service: The service, such as `sns.amazonaws.com`.
            action: The action.
            resource: The resource's ARN.
            source: ARN of what the service acts for: a topic, a rule, an alarm, a route of an API.
        """
        account = self._lookups.account_id
        keys: Context = {
            **self._roles.context(""),
            **self._at(self._clock()),
            "aws:sourcearn": source,
            "aws:sourceaccount": account,
            # The default policy of a topic lets the account's alarms in by this key (ALARM-12), and no rule.
            "aws:sourceowner": None if service == "events.amazonaws.com" else account,
            "aws:principalisawsservice": "true",
            "aws:principalservicename": service,
            "aws:principalarn": None,
            "aws:principalaccount": None,
        }
        verdict = judge_service(service, action, resource, keys, self._policy_of(resource))
        if verdict.outcome == "allowed":
            return True
        logger.warning("%s may not %s on %s for %s: %s", service, action, resource, source, verdict.reason)
        return False

    def assume(self, call: AwsCall, duration: float) -> SessionKeys:
        """Issue the keys of a session that AssumeRole begins.

        Raises:
            AwsError: The role does not exist, or does not trust the caller.
        """
        arn, name = call.parameters["RoleArn"], call.parameters["RoleSessionName"]
        caller = self.sessions.of(call.request.access_key_id)
        role = self._roles.known(arn)
        identity = f"arn:aws:iam::{self._lookups.account_id}:root"
        # The endpoint's clients are the account's administrator, whose own policy allows everything.
        administrator = Session(identity, identity, self._lookups.account_id, [_EVERYTHING])
        session = administrator if caller is None else self._session(caller)
        context: Context = {
            **self._context(session),
            "sts:externalid": call.parameters.get("ExternalId"),
            "sts:rolesessionname": name,
        }
        verdict = judge_guarded(session, "sts:AssumeRole", arn, context, role and role.trust)
        need = Need("sts:AssumeRole", arn)
        if verdict.outcome == "refused":
            raise refused(call, need, session.arn, verdict.reason)
        if verdict.outcome == "undecided":
            raise _undecided(need, verdict, arn)
        passed = call.parameters.get("Policy")
        return self.sessions.issue(
            arn, name, expires_at=self._clock() + duration, policies=[json.loads(passed)] if passed else []
        )

    def _check_need(self, call: AwsCall, session: Session, need: Need) -> None:
        if need.action == "sts:AssumeRole":
            return  # judged with the role's trust policy
        verdict = self._verdict(session, need)
        if verdict.outcome == "refused":
            raise refused(call, need, session.arn, verdict.reason)
        if verdict.outcome == "undecided":
            raise _undecided(need, verdict, session.role_arn)

    def _verdict(self, session: Session, need: Need) -> Verdict:
        context = {**self._context(session), **need.keys}
        policy = self._policy_of(need.resource)
        guarded = need.resource.startswith("arn:aws:kms:") and ":key/" in need.resource and policy is not None
        judge = judge_guarded if guarded else judge_session
        return judge(session, need.action, need.resource, context, policy)

    def _check_that_it_may_know(self, call: AwsCall, keys: SessionKeys) -> None:
        """Refuse to say that an object does not exist to a caller who may not list its bucket, as S3 does."""
        bucket = call.parameters["Bucket"]
        absent: Context = {"s3:prefix": None, "s3:delimiter": None, "s3:if-none-match": None}
        self._check_need(call, self._session(keys), Need("s3:ListBucket", f"arn:aws:s3:::{bucket}", absent))

    def _session(self, keys: SessionKeys) -> Session:
        role = self._roles.known(keys.role_arn)
        if role is None:
            invalid = "The security token included in the request is invalid."
            raise AwsError("UnrecognizedClientException", invalid, status=403)
        return self._roles.session(role, keys.name, keys.policies)

    def _context(self, session: Session) -> Context:
        return {
            **self._roles.context(session.role_arn),
            **self._at(self._clock()),
            "aws:principalisawsservice": "false",
            "aws:principaltype": "AssumedRole",
            # Of a service's request, of a user's, and of one with a second factor.
            **dict.fromkeys(("aws:sourcearn", "aws:sourceaccount", "aws:sourceowner", "aws:username")),
            "aws:multifactorauthpresent": None,
        }

    def _at(self, now: float) -> Context:
        return {
            "aws:currenttime": datetime.fromtimestamp(now, UTC).isoformat(timespec="seconds"),
            "aws:epochtime": str(int(now)),
            "aws:viaawsservice": "false",
        }

    def _policy_of(self, resource: str) -> Document | None:
        text = self._resource_policy(resource) if resource.startswith("arn:") else None
        return None if text is None else json.loads(text)

    def unjudged(self, role_arn: str) -> list[str]:
        """Say what in the policies of a role is not evaluated here, one sentence each."""
        role = self._roles.known(role_arn)
        if role is None:
            return []
        nobody = Session(role_arn, role_arn, self._lookups.account_id, [])
        known = {*self._context(nobody), *_OF_REQUESTS}
        limits = [role.boundary] if role.boundary is not None else []
        unknown = dict.fromkeys(unevaluated([*role.policies, *limits], known))
        return [
            f"{role_arn}: {each} is not evaluated here; a call that it decides is refused as NotSimulated"
            for each in unknown
        ]

    def _warn(self, role_arn: str) -> None:
        for message in self.unjudged(role_arn):
            with self._lock:
                new = message not in self._warned
                self._warned.add(message)
            if new:
                logger.warning("%s", message)


_EVERYTHING: Mapping[str, Any] = {"Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}


def _undecided(need: Need, verdict: Verdict, role_arn: str) -> NotSimulated:
    return NotSimulated(
        f"whether {role_arn} allows {need.action} on {need.resource} depends on {verdict.reason}, which the local "
        "endpoint does not evaluate: leave it out here, or run this against an AWS account"
    )
