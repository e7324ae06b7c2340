"""`StreamSource`: a stream that can be read, and the readers it has so far."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Literal

import pulumi
import pulumi_aws as aws

from aws_semantics.limits import STREAM_READERS, STREAM_READERS_OF_GLOBAL_TABLE, STREAM_RETENTION_SECONDS
from aws_semantics.permissions import READING
from components.access import Statement, allow, decrypt
from components.refusal import Refused


def check_stream(name: str, source: object) -> None:
    """Refuse a reader of a stream another source.

    Raises:
        Refused: It is not a `StreamSource`.
    """
    if not isinstance(source, StreamSource):
        raise Refused(
            f"{name}: source is {type(source).__name__}, and a consumer reads the stream of a table: pass users.stream "
            "of a ChangeTable or a StreamSource; a queue is read by a StreamPipe(source=QueueSource(queue=…)), or by a "
            "function with an aws.lambda_.EventSourceMapping"
        )


class TooManyReaders(Refused):
    """One reader more than the stream's shards serve without throttling each other."""


@dataclass(eq=False)
class StreamSource:
    """The stream of a table: of a `ChangeTable` (`users.stream`), or of one that exists already.

    Readers are counted here, by event source mapping and pipe, so keep one object per table. What other programs
    attach to the same stream cannot be seen from here.

    Attributes:
        arn: The stream's ARN, not the table's.
        table_arn: The table's ARN; by default what `arn` says of it.
        table: The table's name, for messages.
        kms_key_arn: The table's customer managed key, if it has one: its readers must be allowed to decrypt.
        view_type: The images that its records carry. If it is `None`, unknown, conditions are not checked against it.
        keys: The table's key attributes and their types, e.g. `{"userId": "S"}`; `None` if unknown.
        retention_in_seconds: How long the stream keeps a record.
        reader_limit: Readers a shard serves, 2, or 1 for a global table (docs/aws-semantics.md §1.1).
        readers: Names of the readers so far.

    Example:
        orders = StreamSource(
            arn="arn:aws:dynamodb:eu-central-1:123456789012:table/orders/stream/2026-01-31T08:30:00.000",
            table="orders",
        )
        Stream("orders", source=orders)
    """

    arn: pulumi.Input[str]
    table: str
    table_arn: pulumi.Input[str] | None = None
    kms_key_arn: pulumi.Input[str] | None = None
    view_type: str | None = None
    keys: Mapping[str, str] | None = None
    retention_in_seconds: int = STREAM_RETENTION_SECONDS
    reader_limit: int = STREAM_READERS
    readers: list[str] = field(default_factory=list[str])

    #: The language of filters on its records (components/push_down).
    dialect: ClassVar[Literal["stream", "kinesis"]] = "stream"

    @property
    def mapped(self) -> pulumi.Input[str]:
        """The ARN that an event source mapping names."""
        return self.arn

    def __post_init__(self) -> None:
        if isinstance(self.arn, str) and self.arn.startswith("arn:") and ":sqs:" in self.arn:
            raise Refused(
                f"{self.table}: arn={self.arn!r} is a queue's, and a StreamSource is the stream of a table: let "
                "FanOut.pipe(…) or FanOut.subscribe(…) make the queue that is read; a StreamPipe of any other queue "
                "takes QueueSource(queue=…), and a function an aws.lambda_.EventSourceMapping"
            )
        if isinstance(self.arn, str) and "/stream/" not in self.arn:
            raise Refused(
                f"{self.table}: arn={self.arn!r} is not a stream's: a stream's ARN is its table's with /stream/ and a "
                "time, and changes with every new stream; let StreamSource.of_table(…) look it up"
            )

    @classmethod
    def of_table(cls, table: str, *, view_type: str = "NEW_AND_OLD_IMAGES") -> StreamSource:
        """Look up the stream of a table that exists already, with its keys, its key and its replicas.

        Keep the object: it counts the readers of this program.

        Args:
            table: The table's name, in the program's account and region.
            view_type: The images that the consumers need.

        Raises:
            Refused: The table's stream is off, or its records carry other images.

        Example:
            Stream("orders", source=StreamSource.of_table("orders")).subscribe(
                welcome_email.handler, access=[ledger.access(), mail.send_access()]
            )
        """
        found = aws.dynamodb.get_table(name=table)
        enable = (
            f"aws dynamodb update-table --table-name {table} --stream-specification "
            f"StreamEnabled=true,StreamViewType={view_type}"
        )
        if not found.stream_enabled:
            raise Refused(f"{table}: its stream is off, so there are no changes to read: turn it on with  {enable}")
        if found.stream_view_type != view_type:
            raise Refused(
                f"{table}: its stream carries {found.stream_view_type}, and {view_type} is needed: AWS cannot change a "
                f"stream; turn it off when every reader is done, then on with  {enable} , or pass "
                f"view_type={found.stream_view_type!r} if that is enough"
            )
        keys = {found.hash_key, *([found.range_key] if found.range_key else [])}
        return cls(
            arn=found.stream_arn,
            table=table,
            table_arn=found.arn,
            kms_key_arn=found.server_side_encryption.kms_key_arn or None if found.server_side_encryption else None,
            view_type=found.stream_view_type,
            keys={each.name: each.type for each in found.attributes if each.name in keys},
            reader_limit=STREAM_READERS_OF_GLOBAL_TABLE if found.replicas else STREAM_READERS,
        )

    def add_reader(self, name: str) -> None:
        """Count one more reader.

        Raises:
            TooManyReaders: There are as many already as a shard serves.
        """
        if len(self.readers) >= self.reader_limit:
            raise TooManyReaders(
                f"{name} would be reader number {len(self.readers) + 1} of the stream of {self.table}, after "
                f"{', '.join(self.readers)}: a shard serves {self.reader_limit} readers and throttles them all beyond "
                "that, so every consumer would fall behind; make the one line of the Stream "
                "FanOut(…, source=…), which reads once for up to 100 consumers, and leave the subscribe statements as "
                "they are (docs/guides/fan-out.md)"
            )
        self.readers.append(name)

    def every_stream(self) -> pulumi.Input[str]:
        """The ARN of every stream of the table: while a new one takes over, the old one is still to be read."""
        if self.table_arn is not None:
            return pulumi.Output.concat(self.table_arn, "/stream/*")
        return pulumi.Output.from_input(self.arn).apply(lambda arn: f"{arn.rpartition('/')[0]}/*")

    def pipe_statements(self) -> list[Statement]:
        """Return the permissions of a pipe's role."""
        return [allow(READING["dynamodb"], self.every_stream()), *decrypt(self.kms_key_arn)]

    def read_statements(self) -> list[Statement]:
        """Return the permissions of a reader's role (docs/aws-semantics.md §6.2)."""
        return [
            allow(READING["dynamodb"], self.every_stream()),
            # AWS documents ListStreams for stream readers, and it names no resource: it lists them all.
            allow(["dynamodb:ListStreams"], "*"),
            *decrypt(self.kms_key_arn),
        ]
