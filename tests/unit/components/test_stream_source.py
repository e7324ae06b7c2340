"""A stream of a table that exists: looked up with what readers need, and refused where it cannot be read."""

from __future__ import annotations

import pytest

from components import Refused, Stream, StreamSource
from tests.reference import welcome_email

TABLE = "arn:aws:dynamodb:eu-central-1:123456789012:table/orders"
STREAM = f"{TABLE}/stream/2026-01-31T08:30:00.000"


def test_a_table_is_looked_up_with_its_stream_its_keys_and_its_encryption(mocked) -> None:
    def program() -> None:
        source = StreamSource.of_table("orders")
        assert (source.arn, source.table_arn, source.view_type) == (STREAM, TABLE, "NEW_AND_OLD_IMAGES")
        assert source.keys == {"orderId": "S", "at": "N"}
        assert source.kms_key_arn == "arn:aws:kms:eu-central-1:123456789012:key/1"
        assert source.reader_limit == 2
        Stream("orders", source=source).subscribe(welcome_email.handler)

    assert mocked(program).one("EventSourceMapping").inputs["eventSourceArn"] == STREAM


def test_a_global_table_serves_one_reader(mocked) -> None:
    def program() -> None:
        assert StreamSource.of_table("global").reader_limit == 1

    mocked(program)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (
            "off",
            "off: its stream is off, so there are no changes to read: turn it on with  aws dynamodb update-table ",
        ),
        ("keys-only", "keys-only: its stream carries KEYS_ONLY, and NEW_AND_OLD_IMAGES is needed: AWS cannot change a"),
    ],
)
def test_a_table_whose_stream_is_off_or_carries_too_little_is_refused(mocked, table: str, message: str) -> None:
    with pytest.raises(Refused, match=message):
        mocked(lambda: StreamSource.of_table(table))


def test_a_stream_that_carries_enough_for_its_consumers_is_taken(mocked) -> None:
    mocked(lambda: StreamSource.of_table("keys-only", view_type="KEYS_ONLY"))


def test_a_table_s_arn_where_a_stream_s_belongs_is_refused() -> None:
    with pytest.raises(Refused, match=r"orders: arn='arn:aws:.*' is not a stream's: .* let StreamSource.of_table"):
        StreamSource(arn=TABLE, table="orders")
