"""STS: who a caller is, and the sessions that AssumeRole begins."""

from __future__ import annotations

import asyncio
import json
import re
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from xml.sax.saxutils import escape

from local.endpoint.api.aws_call import AwsCall
from local.endpoint.api.errors import AwsError
from local.endpoint.api.http_messages import Reply
from local.endpoint.authorization.authorizer import Authorizer
from local.endpoint.routes import PassOn, Routes

#: Seconds that a session lasts: at least and, unless the role allows more, at most.
SHORTEST_SECONDS, LONGEST_SECONDS = 900, 3600

_NAME = re.compile(r"[\w+=,.@-]{2,64}")


def sts_routes(authorizer: Authorizer) -> Routes:
    """Make the tables of STS."""

    async def assume_role(call: AwsCall, _: PassOn) -> Reply:
        return await asyncio.to_thread(_assume_role, authorizer, call)

    async def get_caller_identity(call: AwsCall, pass_on: PassOn) -> Reply:
        keys = authorizer.sessions.of(call.request.access_key_id)
        if keys is None:
            return await pass_on(call)
        arn = await asyncio.to_thread(authorizer.arn_of, keys)
        return _answer("GetCallerIdentity", UserId=_id_of(arn), Account=arn.split(":")[4], Arn=arn)

    return Routes(amended={"sts:AssumeRole": assume_role, "sts:GetCallerIdentity": get_caller_identity})


def _assume_role(authorizer: Authorizer, call: AwsCall) -> Reply:
    parameters = call.parameters
    name, seconds = parameters.get("RoleSessionName", ""), int(parameters.get("DurationSeconds", LONGEST_SECONDS))
    if not _NAME.fullmatch(name):
        raise AwsError(
            "ValidationError",
            f"1 validation error detected: Value '{name}' at 'roleSessionName' failed to satisfy constraint: "
            "Member must satisfy regular expression pattern: [\\w+=,.@-]*",
        )
    if seconds < SHORTEST_SECONDS:
        raise AwsError(
            "ValidationError",
            f"1 validation error detected: Value '{seconds}' at 'durationSeconds' failed to satisfy constraint: Member "
            f"must have value greater than or equal to {SHORTEST_SECONDS}",
        )
    if seconds > LONGEST_SECONDS:
        raise AwsError(
            "ValidationError", "The requested DurationSeconds exceeds the MaxSessionDuration set for this role."
        )
    if "Policy" in parameters:
        try:
            json.loads(parameters["Policy"])
        except ValueError:
            raise AwsError("MalformedPolicyDocument", "Syntax errors in policy.") from None
    keys = authorizer.assume(call, seconds)
    arn = authorizer.arn_of(keys)
    expiration = datetime.fromtimestamp(keys.expires_at or 0, UTC).isoformat(timespec="seconds")
    return _answer(
        "AssumeRole",
        AssumedRoleUser={"AssumedRoleId": _id_of(arn), "Arn": arn},
        Credentials={
            "AccessKeyId": keys.access_key_id,
            "SecretAccessKey": keys.secret_access_key,
            "SessionToken": keys.session_token,
            "Expiration": expiration.replace("+00:00", "Z"),
        },
    )


def _id_of(arn: str) -> str:
    _, role, name = arn.split(":")[5].split("/")
    return f"AROA{uuid.uuid5(uuid.NAMESPACE_URL, role).hex[:17].upper()}:{name}"


def _answer(operation: str, **members: str | Mapping[str, str]) -> Reply:
    body = (
        f'<{operation}Response xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><{operation}Result>{_xml(members)}'
        f"</{operation}Result><ResponseMetadata><RequestId>{uuid.uuid4()}</RequestId></ResponseMetadata>"
        f"</{operation}Response>"
    )
    return Reply(200, [(b"content-type", b"text/xml")], body.encode())


def _xml(members: Mapping[str, str | Mapping[str, str]]) -> str:
    return "".join(
        f"<{name}>{escape(value) if isinstance(value, str) else _xml(value)}</{name}>"
        for name, value in members.items()
    )
