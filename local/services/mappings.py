"""The event source mapping API as a client sees it: one, whatever the source."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from local.services.event_source_mappings import EventSourceMapping, EventSourceMappings
from local.services.queue_mappings import QueueMapping, QueueMappings

Parameters = Mapping[str, Any]


class Mappings:
    """Takes each call to the API of its source: streams or queues."""

    def __init__(self, *, streams: EventSourceMappings, queues: QueueMappings) -> None:
        self._streams = streams
        self._queues = queues

    def all(self) -> list[EventSourceMapping | QueueMapping]:
        """Every mapping."""
        return [*self._streams.all(), *self._queues.all()]

    def get(self, mapping_uuid: str) -> EventSourceMapping | QueueMapping:
        """One mapping.

        Raises:
            AwsError: There is none.
        """
        return self._queues.find(mapping_uuid) or self._streams.get(mapping_uuid)

    def wake(self, tables: Collection[str]) -> None:
        """Tables have changed."""
        self._streams.wake(tables)

    def wake_all(self) -> None:
        """Time has passed."""
        self._streams.wake_all()
        self._queues.wake_all()

    def create_event_source_mapping(self, parameters: Parameters) -> tuple[int, dict[str, Any]]:
        """CreateEventSourceMapping."""
        if str(parameters.get("EventSourceArn", "")).startswith("arn:aws:sqs:"):
            return self._queues.create_event_source_mapping(parameters)
        return self._streams.create_event_source_mapping(parameters)

    def get_event_source_mapping(self, parameters: Parameters) -> tuple[int, dict[str, Any]]:
        """GetEventSourceMapping."""
        return 200, self.get(parameters["UUID"]).describe()

    def list_event_source_mappings(self, parameters: Parameters) -> tuple[int, dict[str, Any]]:
        """ListEventSourceMappings, all of them on one page."""
        status, answer = self._streams.list_event_source_mappings(parameters)
        described = [mapping.describe() for mapping in self._queues.all()]
        if "EventSourceArn" in parameters:
            described = [each for each in described if each["EventSourceArn"] == parameters["EventSourceArn"]]
        if "FunctionName" in parameters:
            arn = self._streams.function_arn(parameters["FunctionName"])
            described = [each for each in described if each["FunctionArn"] == arn]
        return status, {"EventSourceMappings": [*answer["EventSourceMappings"], *described]}

    def update_event_source_mapping(self, parameters: Parameters) -> tuple[int, dict[str, Any]]:
        """UpdateEventSourceMapping."""
        queue = self._queues.find(parameters["UUID"])
        if queue is not None:
            return self._queues.update_event_source_mapping(queue, parameters)
        return self._streams.update_event_source_mapping(parameters)

    def delete_event_source_mapping(self, parameters: Parameters) -> tuple[int, dict[str, Any]]:
        """DeleteEventSourceMapping."""
        queue = self._queues.find(parameters["UUID"])
        if queue is not None:
            return self._queues.delete_event_source_mapping(queue)
        return self._streams.delete_event_source_mapping(parameters)
