"""`KinesisSource`: the Kinesis stream with a table's changes, and the consumers that it has so far."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import pulumi

from aws_semantics.limits import (
    KINESIS_ENHANCED_CONSUMERS,
    KINESIS_ENHANCED_CONSUMERS_OF_ADVANTAGE,
    KINESIS_READERS,
)
from aws_semantics.permissions import READING
from components.access import Statement, allow, decrypt
from components.stream_source import StreamSource, TooManyReaders


@dataclass(eq=False)
class KinesisSource(StreamSource):
    """The Kinesis stream of a table, as `KinesisChanges` makes it.

    Its records carry both images of an item, whatever the view type of the table's own stream, and no sequence number
    of it (docs/aws-semantics.md §4).

    Attributes:
        on_demand_advantage: Whether the account has the setting On-demand Advantage, which allows 50 consumers with
            enhanced fan-out instead of 20.
        enhanced: ARN of the registered consumer that a mapping reads as, with enhanced fan-out; `None` for shared
            reads.
        enhanced_readers: Names of the consumers with enhanced fan-out so far.
        table_stream: ARN of the table's own stream; `None` if it has none.
    """

    on_demand_advantage: bool = False
    enhanced: pulumi.Input[str] | None = None
    enhanced_readers: list[str] = field(default_factory=list[str])
    table_stream: pulumi.Input[str] | None = None

    dialect = "kinesis"

    def __post_init__(self) -> None:
        self.reader_limit = KINESIS_READERS

    @property
    def mapped(self) -> pulumi.Input[str]:
        """The ARN that an event source mapping names."""
        return self.arn if self.enhanced is None else self.enhanced

    def with_enhanced_fan_out(self, consumer_arn: pulumi.Input[str]) -> KinesisSource:
        """Return the same stream, read by a registered consumer with a throughput of its own."""
        return replace(self, enhanced=consumer_arn)

    def check_enhanced(self, name: str) -> None:
        """Refuse one more consumer with enhanced fan-out than AWS takes.

        Raises:
            TooManyReaders: There are as many already.
        """
        advantage = self.on_demand_advantage
        limit = KINESIS_ENHANCED_CONSUMERS_OF_ADVANTAGE if advantage else KINESIS_ENHANCED_CONSUMERS
        if len(self.enhanced_readers) >= limit:
            more = (
                "let one consumer do the work of several (Consumer().on(…))"
                if advantage
                else "pass on_demand_advantage=True if the account has that setting (50), or let some share the shards"
            )
            raise TooManyReaders(
                f"{name} would be consumer number {len(self.enhanced_readers) + 1} with enhanced fan-out of the "
                f"Kinesis stream of {self.table}, and AWS registers {limit}: {more}"
            )

    def add_reader(self, name: str) -> None:
        """Count one more reader.

        Raises:
            TooManyReaders: There are as many already as a shard serves, or as AWS registers.
        """
        if self.enhanced is not None:
            self.check_enhanced(name)
            self.enhanced_readers.append(name)
            return
        if len(self.readers) >= self.reader_limit:
            raise TooManyReaders(
                f"{name} would be reader number {len(self.readers) + 1} of the Kinesis stream of {self.table}, after "
                f"{', '.join(self.readers)}: a shard is read {self.reader_limit} times a second by all of them "
                "together, so every consumer would fall behind; give it a throughput of its own with "
                "subscribe(…, enhanced_fan_out=True), or put a FanOut before it (docs/guides/kinesis.md)"
            )
        self.readers.append(name)

    def pipe_statements(self) -> list[Statement]:
        """Return the permissions of a pipe's role."""
        return self.read_statements()

    def read_statements(self) -> list[Statement]:
        """Return the permissions of a consumer's role (docs/aws-semantics.md §6.2)."""
        shared = allow([*READING["kinesis"], "kinesis:DescribeStreamSummary", "kinesis:ListShards"], self.arn)
        own = [] if self.enhanced is None else [allow(["kinesis:SubscribeToShard"], self.enhanced)]
        return [
            shared,
            *own,
            # It names no resource: it lists all streams.
            allow(["kinesis:ListStreams"], "*"),
            *decrypt(self.kms_key_arn),
        ]
