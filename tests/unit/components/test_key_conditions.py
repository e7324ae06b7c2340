"""A condition on a key that the table lacks matches nothing for ever, so `subscribe` refuses it."""

import pytest

from components.push_down.key_schema import WrongKey, check_keys
from handlers.cdc import Condition, on

KEYS = {"pk": "S", "sk": "N"}


@pytest.mark.parametrize(
    ("condition", "says"),
    [
        (
            on.key("SK").eq("PROFILE"),
            r"the key of the table is pk \(a string\) and sk \(a number\); did you mean 'sk'\?",
        ),
        (on.key("userId").begins_with("u"), r"the key of the table is pk \(a string\) and sk \(a number\)$"),
        (on.key("PK").exists(), "did you mean 'pk'"),
        (~on.key("PK").exists(), "did you mean 'pk'"),
        (on.modify & (on.new("plan").eq("pro") | on.key("Pk").ne("a")), "did you mean 'pk'"),
        (on.key("pk").eq(10), "the key pk is a string, and the value is a number"),
        (on.key("pk").is_in(["a", 10]), "the key pk is a string, and the value is a number"),
        (on.key("sk").between("a", "b"), "the key sk is a number, and the value is a string"),
        (on.key("sk").begins_with("1"), "the key sk is a number"),
        (on.key("pk").eq(b"x"), "and the value is binary"),
        (on.key("pk").eq(None), "and the value is of the type NULL"),
        (on.new("pk").eq(10), "the key pk is a string"),
        (on.old("sk").gt("a"), "the key sk is a number"),
        (on.new("pk.name").eq("a"), "pk is a key, so it is a string with nothing in it"),
        (on.old("pk[0]").exists(), "with nothing in it"),
    ],
    ids=repr,
)
def test_a_key_that_the_table_lacks_or_has_in_another_type_is_refused(condition: Condition, says: str) -> None:
    with pytest.raises(WrongKey, match=says):
        check_keys(condition, KEYS)


@pytest.mark.parametrize(
    "condition",
    [
        on.key("pk").begins_with("USER#") & on.key("sk").gte(0),
        on.key("pk").is_in(["a", "b"]) | ~on.key("sk").between(1, 2),
        on.key("pk").exists(),
        on.new("SK").eq("any attribute may have any type"),
        on.changed("pk") & on.insert & ~on.ttl_delete,
    ],
    ids=repr,
)
def test_the_tables_own_keys_are_accepted(condition: Condition) -> None:
    check_keys(condition, KEYS)
