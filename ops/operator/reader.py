"""`ReadsSource`: the source that a consumer or a pipe reads, and the table behind it."""

from __future__ import annotations

import json
import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any


class ReadsSource(ABC):
    """A consumer or pipe of a stream or a queue.

    Attributes:
        name: Its name in the program.
        table_stream: ARN of the stream of the table whose changes it gets, through a fan-out or Kinesis too.
    """

    name: str
    table_stream: str | None

    @property
    @abstractmethod
    def source(self) -> str:
        """ARN of the stream or queue that it reads."""

    @property
    @abstractmethod
    def state(self) -> str:
        """State of its mapping, or the pipe's own."""

    @property
    @abstractmethod
    def changed_at(self) -> float:
        """Time of its last change, stop or start, in seconds since 1970."""

    @property
    @abstractmethod
    def record_age(self) -> float:
        """Age in seconds at which it gives records up; infinite without one."""

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


def age_in(parameters: Mapping[str, Any]) -> float:
    """Return the record age in the settings of a mapping or a pipe's source; infinite if there is none."""
    age = parameters.get("MaximumRecordAgeInSeconds", -1)
    return math.inf if age == -1 else age


def patterns_in(parameters: Mapping[str, Any]) -> Sequence[Any]:
    """Return the patterns of a filter of a mapping or a pipe; empty if there is none."""
    filters = parameters.get("FilterCriteria", {}).get("Filters", [])
    return tuple(json.loads(each["Pattern"]) for each in filters)
