"""Input templates and dynamic target parameters of a pipe (docs/aws-semantics.md §3.3).

A template is text with placeholders in angle brackets: a JSON path into the event, `<$.dynamodb.NewImage.id.S>`, or a
reserved variable, `<aws.pipes.pipe-name>`. It is applied to each event of a batch. Inside a quoted string a placeholder
becomes text, an object or a list without its quotes; elsewhere it becomes JSON. A path that finds nothing leaves
nothing inside a string, and `""` elsewhere.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from aws_semantics.pipe_templates import PLACEHOLDER, is_path, template_problem

_STEP = re.compile(r"\.([\w/-]+)|\[(\d+|\*)\]")


class InvalidTemplate(ValueError):
    """Input template that AWS would refuse, or whose result is not JSON. The message names the place."""


class InputTemplate:
    """Input template, ready to be applied.

    Args:
        text: The template; empty: events pass unchanged.

    Raises:
        InvalidTemplate: A placeholder is neither a JSON path nor a reserved variable.

    Example:
        >>> template = InputTemplate('{"user": <$.dynamodb.Keys.id.S>, "note": "from <aws.pipes.pipe-name>"}')
        >>> template.render({"dynamodb": {"Keys": {"id": {"S": "u1"}}}}, {"pipe-name": "mails"}, ingested="")
        {'user': 'u1', 'note': 'from mails'}
    """

    def __init__(self, text: str) -> None:
        self._text = text
        if problem := template_problem(text):
            raise InvalidTemplate(problem)

    def render(self, event: Any, constants: Mapping[str, str], *, ingested: str, raw: Any = None) -> Any:
        """Apply the template to an event: the result is a JSON value, or a text when it is not JSON.

        Args:
            event: The event as paths and `<aws.pipes.event.json>` see it (`local.engine.pipes.sources.opened`).
            constants: Values of the reserved variables in `CONSTANTS` of `aws_semantics.pipe_templates`.
            ingested: When the pipe received the event, as ISO 8601.
            raw: The event as it came, for `<aws.pipes.event>`; the same by default.

        Raises:
            InvalidTemplate: The template is an object or a list, and its result is not JSON.
        """
        raw = event if raw is None else raw
        if not self._text:
            return raw
        values = {
            **{f"aws.pipes.{name}": value for name, value in constants.items()},
            "aws.pipes.event.ingestion-time": ingested,
            "aws.pipes.event": raw,
            "aws.pipes.event.json": event,
        }
        text = "".join(self._pieces(event, values))
        try:
            return json.loads(text)
        except ValueError as error:
            if text.lstrip()[:1] in ("{", "["):
                raise InvalidTemplate(f"the input template makes no JSON of an event: {text}") from error
            return text

    def _pieces(self, event: Any, values: Mapping[str, Any]) -> Iterator[str]:
        quoted = False
        end = 0
        for found in PLACEHOLDER.finditer(self._text):
            literal = self._text[end : found.start()]
            quoted ^= _quotes(literal) % 2 == 1
            end = found.end()
            yield literal
            value = find(found[1], event) if found[1].startswith("$") else values.get(found[1])
            yield _text_of(value, quoted=quoted)
        yield self._text[end:]


def resolve(value: str, event: Any) -> str:
    """Return the value of a target parameter, which may be a path into the event as a whole, such as MessageGroupId.

    A path that finds nothing gives an empty text, which most services refuse.

    >>> resolve("$.dynamodb.Keys.id.S", {"dynamodb": {"Keys": {"id": {"S": "u1"}}}})
    'u1'
    >>> resolve("orders", {}), resolve("$.nothing", {})
    ('orders', '')
    """
    if not is_path(value):
        return value
    found = find(value, event)
    if found is None:
        return ""
    return found if isinstance(found, str) else json.dumps(found)


def find(path: str, event: Any) -> Any:
    """Return the value that a JSON path finds in an event, or `None`; `[*]` finds a list, with each element's value."""
    steps: list[tuple[str, str]] = _STEP.findall(path)
    return _walk(event, steps)


def _walk(value: Any, steps: list[tuple[str, str]]) -> Any:
    for place, (name, index) in enumerate(steps):
        if name:
            value = value.get(name) if isinstance(value, Mapping) else None
        elif not isinstance(value, list):
            return None
        elif index == "*":
            return [_walk(each, steps[place + 1 :]) for each in value]
        else:
            value = value[int(index)] if int(index) < len(value) else None
    return value


def _text_of(value: Any, *, quoted: bool) -> str:
    if not quoted:
        return json.dumps("" if value is None else value, ensure_ascii=False)
    if value is None:
        return ""
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)[1:-1]
    # An object inside a string loses its quotes (PIPE-SHAPE-6).
    return json.dumps(json.dumps(value, ensure_ascii=False).replace('"', ""), ensure_ascii=False)[1:-1]


def _quotes(text: str) -> int:
    return len(re.findall(r'(?<!\\)"', text))
