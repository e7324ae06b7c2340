"""What a consumer and a pipe have in common: the source that they read, and the table behind it."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any


class ReadsSource(ABC):
    """A consumer or pipe of a stream or a queue.

    Attributes:
        table_stream: ARN of the stream of the table whose changes it gets, through a fan-out or Kinesis too.
    """

    table_stream: str | None

    @property
    @abstractmethod
    def source(self) -> str:
        """ARN of the stream or queue that it reads."""

    @property
    def stream(self) -> str | None:
        """ARN of the table's stream that its changes come from, if by a fan-out or Kinesis too; `None` if unknown."""
        arn = self.table_stream if self.reads_queue or self.reads_kinesis else self.source
        return arn if arn is not None and ":dynamodb:" in arn else None

    @property
    def reads_queue(self) -> bool:
        """`True` if the source is an SQS queue."""
        return self.source.split(":")[2] == "sqs"

    @property
    def reads_kinesis(self) -> bool:
        """`True` if the source is a Kinesis stream."""
        return self.source.split(":")[2] == "kinesis"


def patterns_in(parameters: Mapping[str, Any]) -> Sequence[Any]:
    """Return the patterns of a filter of a mapping or a pipe; empty if there is none."""
    filters = parameters.get("FilterCriteria", {}).get("Filters", [])
    return tuple(json.loads(each["Pattern"]) for each in filters)
