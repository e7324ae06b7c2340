"""Images as JSON: plain for other systems, and DynamoDB JSON, which comes back as it was."""

import enum
import json
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pytest

from handlers.cdc import Image, from_dynamodb_json, from_json, to_dynamodb_json, to_json
from handlers.cdc.attribute_values import encode_item
from handlers.cdc.testing import change

EVERYTHING: dict[str, Any] = {
    "id": "a",
    "whole": 3,
    "long": 2**70,
    "price": Decimal("19.990"),
    "exact": Decimal("0.1234567890123456789012345678901234567"),
    "tiny": Decimal("1E-7"),
    "huge": Decimal("1E+40"),
    "yes": True,
    "nothing": None,
    "photo": b"\x00\xff",
    "tags": {"b", "a"},
    "numbers": {Decimal(10), Decimal(9)},
    "photos": {b"x"},
    "parts": [{"sku": "s", "n": 2}],
    "text": 'é "quoted" \u2028 \n',
}


def test_an_image_is_plain_json_with_all_digits_of_its_numbers() -> None:
    assert to_json(Image(encode_item(EVERYTHING))) == (
        '{"id":"a","whole":3,"long":1180591620717411303424,"price":19.99,'
        '"exact":0.1234567890123456789012345678901234567,"tiny":0.0000001,'
        '"huge":10000000000000000000000000000000000000000,"yes":true,"nothing":null,"photo":"AP8=",'
        '"tags":["a","b"],"numbers":[9,10],"photos":["eA=="],"parts":[{"sku":"s","n":2}],'
        '"text":"é \\"quoted\\" \u2028 \\n"}'
    )


def test_plain_json_comes_back_with_exact_numbers() -> None:
    item = {name: value for name, value in EVERYTHING.items() if name not in ("photo", "photos", "tags", "numbers")}
    assert from_json(to_json(change(new=item).item)) == item


def test_dynamodb_json_comes_back_as_it_was() -> None:
    image = change(new=EVERYTHING).item
    again = from_dynamodb_json(to_dynamodb_json(image))
    assert again == image == EVERYTHING
    assert isinstance(again["tags"], set)
    assert again["photo"] == b"\x00\xff"


def test_an_image_that_botocore_read_is_written_too() -> None:
    image = Image({"id": {"S": "a"}, "photo": {"B": b"x"}, "photos": {"BS": [b"y"]}})
    assert json.loads(to_dynamodb_json(image)) == {"id": {"S": "a"}, "photo": {"B": "eA=="}, "photos": {"BS": ["eQ=="]}}
    assert to_json(image) == '{"id":"a","photo":"eA==","photos":["eQ=="]}'


def test_an_image_is_written_inside_of_a_message_of_ones_own() -> None:
    class Kind(enum.StrEnum):
        UPGRADE = "upgrade"

    @dataclass
    class User:
        id: str
        seats: int

    upgrade = change(old={"id": "u1", "seats": 1}, new={"id": "u1", "seats": 2}, model=User)
    message = {"kind": Kind.UPGRADE, "user": upgrade.item, "was": change(new={"id": "u1"}).new, "rate": 0.5}
    assert to_json(message) == '{"kind":"upgrade","user":{"id":"u1","seats":2},"was":{"id":"u1"},"rate":0.5}'


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (change(new={"id": 1}), r"the value is a Change, which has no JSON: write its \.item, \.new or \.old"),
        ({"a": [object()]}, r"a\[0\] is a object"),
        ({"a": {"b": {object()}}}, r"a\.b\[\] is a object"),
        ({1: "a"}, "the value has a key that is a int"),
        ({"a": {1: 2}}, "a has a key that is a int"),
    ],
)
def test_a_value_that_has_no_json_is_named_by_its_place(value: Any, says: str) -> None:
    with pytest.raises(TypeError, match=says):
        to_json(value)


@pytest.mark.parametrize("number", [float("nan"), float("inf"), Decimal("NaN"), Decimal("-Infinity")])
def test_a_number_that_is_not_finite_is_refused(number: Any) -> None:
    with pytest.raises(ValueError, match="a is"):
        to_json({"a": number})


@pytest.mark.parametrize("text", ["NaN", "{", "[1,]", '{"a":Infinity}'])
def test_what_is_not_json_is_refused(text: str) -> None:
    for read in (from_json, from_dynamodb_json):
        with pytest.raises(ValueError, match=r"is not JSON|Expecting|Illegal trailing comma"):
            read(text)


@pytest.mark.parametrize(
    "text",
    [
        "[]",
        '{"a":1}',
        '{"a":{}}',
        '{"a":{"X":1}}',
        '{"a":{"N":"x"}}',
        '{"a":{"S":1}}',
        '{"a":{"SS":"abc"}}',
        '{"a":{"L":[{"M":{"b":{"BOOL":1}}}]}}',
        '{"a":{"M":1}}',
        '{"a":{"SS":1}}',
    ],
)
def test_what_is_not_an_item_in_dynamodb_json_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="DynamoDB JSON"):
        from_dynamodb_json(text)


def test_a_whole_change_is_not_an_item() -> None:
    with pytest.raises(TypeError, match=r"a Change: write its \.item"):
        to_dynamodb_json(change(new={"id": 1}))  # pyright: ignore[reportArgumentType] - the mistake
