"""CloudWatch Logs: filter patterns, which ministack only resembles.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/FilterAndPatternSyntax.html
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace

from local.endpoint.api.aws_call import AwsCall
from local.endpoint.api.errors import AwsError, NotSimulated
from local.endpoint.api.http_messages import Reply
from local.endpoint.routes import PassOn, Routes

#: A term with its sign: a phrase in quotes, or a word without characters that would need quotes.
_TERM = re.compile(r'(?P<sign>[?-]?)(?:"(?P<phrase>[^"]*)"|(?P<word>[A-Za-z0-9_]+))(?=\s|$)')


def log_routes() -> Routes:
    """Make the tables of CloudWatch Logs."""
    return Routes(amended={"logs:FilterLogEvents": _filter})


async def _filter(call: AwsCall, pass_on: PassOn) -> Reply:
    pattern = call.parameters.get("filterPattern", "")
    if not pattern:
        return await pass_on(call)
    matches = matcher(pattern)
    unfiltered = {name: value for name, value in call.parameters.items() if name != "filterPattern"}
    request = call.request.with_body(json.dumps(unfiltered).encode())
    reply = await pass_on(replace(call, parameters=unfiltered, request=request))
    if reply.status != 200:
        return reply
    answer = json.loads(reply.body)
    answer["events"] = [each for each in answer["events"] if matches(each["message"])]
    return reply.with_body(json.dumps(answer).encode())


def matcher(pattern: str) -> Callable[[str], bool]:
    """Return the test of a filter pattern of terms: all of them, or any of those with `?`, and none of those with `-`.

    >>> [matcher(each)("[ERROR] it failed") for each in ('ERROR', 'error', '"it failed"', 'ERROR -failed', '?no ?it')]
    [True, False, True, False, True]

    Raises:
        NotSimulated: The pattern is in JSON, a list of columns, or has a regular expression.
        AwsError: The pattern is invalid.
    """
    text = pattern.strip()
    if text.startswith(("{", "[")) or "%" in text:
        raise NotSimulated(
            f"the local endpoint does not evaluate the filter pattern {pattern!r}: it knows terms, phrases in quotes, "
            "?any and -none; read the events and filter them yourself, or run this against an AWS account"
        )
    terms: dict[str, list[str]] = {"": [], "?": [], "-": []}
    at = 0
    while at < len(text):
        found = _TERM.match(text, at)
        if found is None:
            raise AwsError("InvalidParameterException", "Invalid filter pattern")
        terms[found["sign"]].append(found["phrase"] if found["word"] is None else found["word"])
        at = found.end()
        at += len(text[at:]) - len(text[at:].lstrip())
    needed, any_of, none_of = terms[""], terms["?"], terms["-"]

    def matches(message: str) -> bool:
        return (
            all(term in message for term in needed)
            and (not any_of or any(term in message for term in any_of))
            and not any(term in message for term in none_of)
        )

    return matches
