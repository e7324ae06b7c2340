"""The language of a pipe's input templates and dynamic target parameters (docs/aws-semantics.md §3.3)."""

from __future__ import annotations

import re

#: A placeholder of a template: a JSON path or a reserved variable in angle brackets.
PLACEHOLDER = re.compile(r"<([^<>]+)>")
#: A JSON path into the event, in the subset that pipes take.
PATH = re.compile(r"\$((\.[\w/-]+|\[(\d+|\*)\])*)")

#: Reserved variables that are the same for every event of a pipe.
CONSTANTS = ("pipe-arn", "pipe-name", "source-arn", "enrichment-arn", "target-arn")
VARIABLES = tuple(f"aws.pipes.{name}" for name in (*CONSTANTS, "event.ingestion-time", "event", "event.json"))

#: Members of an event from a queue (PIPE-SQS-2).
MESSAGE_MEMBERS = (
    *("messageId", "receiptHandle", "body", "attributes", "messageAttributes", "md5OfBody", "md5OfMessageAttributes"),
    *("eventSource", "eventSourceARN", "awsRegion"),
)

#: Characters of a template.
TEMPLATE_CHARACTERS = 8_192


def is_path(value: str) -> bool:
    """Return whether a target parameter is read from the event.

    >>> is_path("$.dynamodb.Keys.id.S"), is_path("orders")
    (True, False)
    """
    return PATH.fullmatch(value) is not None


def paths_of(text: str) -> list[str]:
    """Return the JSON paths in an input template.

    >>> paths_of('{"user": <$.body.user>, "pipe": <aws.pipes.pipe-name>}')
    ['$.body.user']
    """
    return [name for name in PLACEHOLDER.findall(text) if PATH.fullmatch(name)]


def template_problem(text: str) -> str | None:
    """Explain why AWS refuses an input template; `None` if it does not.

    >>> template_problem('{"user": <$.dynamodb.Keys.id.S>}')
    >>> template_problem("<dynamodb.Keys>")[:39]
    '<dynamodb.Keys> in the input template i'
    """
    if len(text) > TEMPLATE_CHARACTERS:
        return f"the input template has {len(text)} characters, and AWS takes {TEMPLATE_CHARACTERS}"
    for name in PLACEHOLDER.findall(text):
        if name not in VARIABLES and not PATH.fullmatch(name):
            return (
                f"<{name}> in the input template is neither a JSON path such as <$.eventID> "
                f"nor one of {', '.join(f'<{variable}>' for variable in VARIABLES)}"
            )
    return None
