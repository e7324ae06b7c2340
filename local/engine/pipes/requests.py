"""Requests of a pipe to its target for the events of a batch (docs/aws-semantics.md §3.3, §3.4).

A dynamic parameter, `$.path`, is read from the event as it reached the stage, before the stage's input template.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from local.engine.pipes.sources import EventSource
from local.engine.pipes.templates import resolve

Parameters = Mapping[str, Any]
Entry = dict[str, Any]


@dataclass(frozen=True)
class PipeEvent:
    """Event on its way to an enrichment or a target.

    Attributes:
        event: The event as it reached the stage and as dynamic parameters see it (`local.engine.pipes.sources.opened`).
        payload: The result of the stage's input template.
    """

    event: Any
    payload: Any


@dataclass(frozen=True)
class HttpRequest:
    """Request to an API destination."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: str


#: Makes the request to the API destination of this name from HttpParameters and a body; `None` if there is none.
MakeHttpRequest = Callable[[str, Mapping[str, Any], str], HttpRequest | None]


def text_of(payload: Any) -> str:
    """Return a payload as the text for a queue, a topic or an API: a JSON document, or the text as it is.

    >>> text_of({"id": "u1"}), text_of("hello")
    ('{"id":"u1"}', 'hello')
    """
    return payload if isinstance(payload, str) else _json(payload)


def document_of(messages: Sequence[PipeEvent]) -> str:
    """Return the payloads as the JSON list that code receives, even for a single one."""
    return _json([message.payload for message in messages])


def queue_entries(messages: Sequence[PipeEvent], parameters: Parameters) -> list[Entry]:
    """Return the entries of SendMessageBatch, by the members of SqsQueueParameters."""
    return [
        {
            "Id": str(index),
            "MessageBody": text_of(message.payload),
            **{name: resolve(value, message.event) for name, value in parameters.items()},
        }
        for index, message in enumerate(messages)
    ]


def topic_entries(messages: Sequence[PipeEvent]) -> list[Entry]:
    """Return the entries of PublishBatch."""
    return [{"Id": str(index), "Message": text_of(message.payload)} for index, message in enumerate(messages)]


def bus_entries(
    messages: Sequence[PipeEvent], parameters: Parameters, *, pipe_name: str, source: EventSource, bus_arn: str
) -> list[Entry]:
    """Return the entries of PutEvents, by the members of EventBridgeEventBusParameters.

    Without parameters an event's source is `Pipe <name>` and its detail type names the service that it comes from.
    """
    detail_type = parameters.get("DetailType", f"Event from {source.event_source}")
    return [
        {
            "EventBusName": bus_arn,
            "Source": resolve(parameters.get("Source", f"Pipe {pipe_name}"), message.event),
            "DetailType": resolve(detail_type, message.event),
            "Detail": text_of(message.payload),
            "Resources": [resolve(each, message.event) for each in parameters.get("Resources", [])],
        }
        for message in messages
    ]


def http_parameters(message: PipeEvent, parameters: Parameters) -> dict[str, Any]:
    """Return HttpParameters with the values for one event."""

    def resolved(member: str) -> dict[str, str]:
        return {name: resolve(value, message.event) for name, value in parameters.get(member, {}).items()}

    return {
        "PathParameterValues": [resolve(each, message.event) for each in parameters.get("PathParameterValues", [])],
        "QueryStringParameters": resolved("QueryStringParameters"),
        "HeaderParameters": resolved("HeaderParameters"),
    }


def identifier_of(event: Any, source: EventSource) -> str:
    """Return the source's identifier of an event, or an empty text when an enrichment left it out."""
    identifier = event.get(source.identifier) if isinstance(event, Mapping) else None
    return identifier if isinstance(identifier, str) else ""


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
