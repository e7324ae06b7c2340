"""Decoded values against boto3's own deserializer, over random nested items."""

import base64
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from boto3.dynamodb.types import Binary, TypeDeserializer
from hypothesis import given
from hypothesis import strategies as st

from handlers.cdc.attribute_values import encode_item, same
from handlers.cdc.image import Image
from handlers.cdc.image_json import from_dynamodb_json, from_json, to_dynamodb_json, to_json
from handlers.cdc.sources import batch_of
from handlers.cdc.testing import kinesis_change, kinesis_event

numbers = st.one_of(
    st.integers(-(10**37), 10**37).map(Decimal),
    st.decimals(allow_nan=False, allow_infinity=False, places=6, min_value=-(10**20), max_value=10**20),
)
scalars = st.one_of(st.none(), st.booleans(), st.text(), st.binary(), numbers)
sets = st.one_of(
    st.frozensets(st.text(), min_size=1), st.frozensets(numbers, min_size=1), st.frozensets(st.binary(), min_size=1)
).map(set)
values = st.recursive(
    scalars | sets,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.text(), inner, max_size=4)),
    max_leaves=12,
)
items = st.dictionaries(st.text(), values, max_size=6)


def as_boto3_reads_it(value: Any) -> Any:
    """The wire format as botocore's parser leaves it: binary already decoded once."""
    if isinstance(value, Mapping):
        if set(value) == {"B"} and isinstance(value["B"], str):
            return {"B": base64.b64decode(value["B"])}
        if set(value) == {"BS"}:
            return {"BS": [base64.b64decode(member) for member in value["BS"]]}
        if set(value) == {"M"}:
            return {"M": {name: as_boto3_reads_it(member) for name, member in value["M"].items()}}
        if set(value) == {"L"}:
            return {"L": [as_boto3_reads_it(member) for member in value["L"]]}
    return value


def plain(value: Any) -> Any:
    """boto3's value with `bytes` in place of its `Binary`."""
    match value:
        case Binary():
            return value.value
        case dict():
            return {name: plain(member) for name, member in value.items()}
        case list():
            return [plain(member) for member in value]
        case set():
            return {plain(member) for member in value}
    return value


@given(items)
def test_decoding_gives_what_boto3s_deserializer_gives_with_plain_bytes(item: dict[str, Any]) -> None:
    wire = encode_item(item)
    boto3s = {name: plain(TypeDeserializer().deserialize(as_boto3_reads_it(value))) for name, value in wire.items()}
    ours = dict(Image(wire))
    assert ours == boto3s
    assert types(ours) == types(boto3s)


@given(items)
def test_decoding_undoes_encoding(item: dict[str, Any]) -> None:
    assert dict(Image(encode_item(item))) == item


@given(values, values)
def test_wire_values_are_the_same_exactly_when_their_decoded_values_are(left: Any, right: Any) -> None:
    wires = encode_item({"left": left, "right": right})
    assert same(wires["left"], wires["left"])
    assert same(wires["left"], wires["right"]) == (types(left) == types(right) and left == right)


#: Names that are also type descriptors: an attribute called "B" is no binary.
tricky = st.dictionaries(st.sampled_from(["B", "BS", "S", "M", "L", "N"]) | st.text(max_size=3), values, max_size=4)


@given(tricky)
def test_the_kinesis_routes_second_base64_is_taken_off_binaries_and_nothing_else(item: dict[str, Any]) -> None:
    image = {"id": "u1", **item}
    given_change = batch_of(kinesis_event(kinesis_change(old=image, new=image, keys=["id"]))).change(0)
    assert given_change.new == image
    assert given_change.old == image


@given(items)
def test_an_image_is_the_item_whichever_attribute_is_read_first(item: dict[str, Any]) -> None:
    image = Image(encode_item(item))
    for name in reversed(list(item)):
        assert image[name] == item[name]
    assert image == item
    assert dict(image) == item


def types(value: Any) -> Any:
    """The shape of a value: its types, all the way down."""
    match value:
        case dict():
            return {name: types(member) for name, member in value.items()}
        case list():
            return [types(member) for member in value]
        case set():
            return (set, {type(member) for member in value})
    return type(value)


@given(items)
def test_dynamodb_json_comes_back_as_it_was_and_plain_json_keeps_every_digit(item: dict[str, Any]) -> None:
    image = Image(encode_item(item))
    assert from_dynamodb_json(to_dynamodb_json(image)) == image
    assert from_json(to_json(image)) == plain_json(item)


def plain_json(value: Any) -> Any:
    """What plain JSON keeps of a value: sets as lists in order, binaries as base64."""
    match value:
        case bytes():
            return base64.b64encode(value).decode()
        case dict():
            return {name: plain_json(member) for name, member in value.items()}
        case set():
            return [plain_json(member) for member in sorted(value)]
        case list():
            return [plain_json(member) for member in value]
    return value
