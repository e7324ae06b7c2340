import json
from pathlib import Path

import pytest

from aws_semantics.event_patterns import matches, validate
from components.push_down.compiler import NeverTrue, push_down
from handlers.cdc import ImageNotAvailable, on

KEYS = {"userId": "S"}
GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "conditions.md"


def patterns(condition, dialect="stream", **options):
    pushed = push_down(condition, dialect, **{"key_schema": KEYS, **options})
    return [json.loads(pattern) for pattern in pushed.patterns], pushed.residue


def test_a_condition_is_split_into_what_aws_can_check_and_what_it_cannot():
    condition = on.modify & on.changed("plan") & on.new("plan").is_in(["pro", "enterprise"])
    pushed, residue = patterns(condition)
    assert pushed == [{"eventName": ["MODIFY"], "dynamodb": {"NewImage": {"plan": {"S": ["pro", "enterprise"]}}}}]
    assert repr(residue) == "on.changed('plan')"


def test_alternatives_of_one_field_share_a_pattern():
    assert patterns(on.insert | on.remove) == ([{"eventName": ["INSERT", "REMOVE"]}], None)
    assert patterns(~on.modify) == ([{"eventName": ["INSERT", "REMOVE"]}], None)


def test_alternatives_of_several_fields_are_patterns_of_their_own():
    pushed, residue = patterns(on.insert | on.new("plan").eq("pro"))
    assert pushed == [{"eventName": ["INSERT"]}, {"dynamodb": {"NewImage": {"plan": {"S": ["pro"]}}}}]
    assert residue is None


def test_not_equal_lets_missing_attributes_and_other_types_pass():
    pushed, residue = patterns(on.old("plan").ne("pro"))
    assert pushed == [{"dynamodb": {"OldImage": {"plan": {"S": [{"anything-but": ["pro"]}, {"exists": False}]}}}}]
    assert residue is None


def test_two_tests_of_one_field_become_one():
    plan = on.new("plan")
    field = lambda condition: patterns(condition)[0][0]["dynamodb"]["NewImage"]["plan"]["S"]  # noqa: E731
    assert field(plan.is_in(["a", "b", "c"]) & plan.ne("b")) == ["a", "c"]
    assert field(plan.is_in(["a", "b"]) & plan.is_in(["b", "c"])) == ["b"]
    assert field(plan.begins_with("ab") & plan.begins_with("a")) == [{"prefix": "ab"}]
    assert field(plan.begins_with("a") & plan.eq("ab")) == ["ab"]
    assert field(plan.gt("a") & plan.begins_with("b")) == [{"prefix": "b"}]
    assert field(plan.ne("a") & plan.ne("b") & plan.ne("a")) == [{"anything-but": ["a", "b"]}, {"exists": False}]


def test_two_tests_of_one_field_that_no_pattern_says_leave_a_residue():
    condition = on.new("plan").begins_with("a") & on.new("plan").ne("ab")
    pushed, residue = patterns(condition)
    assert pushed == [{"dynamodb": {"NewImage": {"plan": {"S": [{"prefix": "a"}]}}}}]
    assert repr(residue) == "~on.new('plan').eq('ab')"


def test_a_nested_combination_is_taken_apart():
    kind = on.insert | (on.modify & (on.changed("plan") & on.new("plan").exists()))
    condition = ~(on.remove | on.new("plan").eq("free")) & kind
    pushed, residue = patterns(condition)
    assert pushed == [
        {"eventName": ["INSERT", "MODIFY"], "dynamodb": {"NewImage": {"plan": {"S": [ANYTHING_BUT_FREE, ABSENT]}}}}
    ]
    assert residue == kind


ABSENT, ANYTHING_BUT_FREE = {"exists": False}, {"anything-but": ["free"]}


def test_a_range_and_a_beginning_of_one_attribute_are_the_beginning():
    for condition in (
        on.new("plan").begins_with("p") & on.new("plan").gt("a"),
        on.new("plan").gt("a") & on.new("plan").begins_with("p"),
    ):
        assert patterns(condition)[0] == [{"dynamodb": {"NewImage": {"plan": {"S": [{"prefix": "p"}]}}}}]
    with pytest.raises(NeverTrue):
        push_down(on.new("active").eq(True) & on.new("active").ne(True), "stream")


def test_a_number_passes_in_every_spelling():
    (pattern,), residue = patterns(on.new("seats").eq(101))
    for text in ("101", "101.0", "1.01E+2", "0101", "+101", "10.1e1", ".101E3"):
        assert matches(pattern, {"dynamodb": {"NewImage": {"seats": {"N": text}}}})
    for text in ("-101", "2", "110", "99"):
        assert not matches(pattern, {"dynamodb": {"NewImage": {"seats": {"N": text}}}})
    assert residue == on.new("seats").eq(101)


def test_a_removal_by_time_to_live_is_told_from_one_by_a_user():
    pushed, residue = patterns(on.ttl_delete)
    identity = {"type": ["Service"], "principalId": ["dynamodb.amazonaws.com"]}
    assert (pushed, residue) == ([{"eventName": ["REMOVE"], "userIdentity": identity}], None)
    pushed, residue = patterns(on.remove & ~on.ttl_delete)
    assert residue is None
    user = {"eventName": "REMOVE"}
    service = {**user, "userIdentity": {"type": "Service", "principalId": "dynamodb.amazonaws.com"}}
    assert any(matches(pattern, user) for pattern in pushed)
    assert not any(matches(pattern, service) for pattern in pushed)


def test_a_pipe_tells_kinds_apart_by_their_images():
    def images(old, new):
        return {
            "dynamodb": {
                image: {"userId": {"S": [{"exists": there}]}} for image, there in (("NewImage", new), ("OldImage", old))
            }
        }

    assert patterns(on.insert, "pipe") == ([images(old=False, new=True)], None)
    assert patterns(on.modify, "pipe") == ([images(old=True, new=True)], None)
    assert patterns(on.remove, "pipe") == ([images(old=True, new=False)], None)


def test_a_pipe_with_one_image_cannot_tell_all_kinds_apart():
    gone = {"dynamodb": {"NewImage": {"userId": {"S": [{"exists": False}]}}}}
    there = {"dynamodb": {"NewImage": {"userId": {"S": [{"exists": True}]}}}}
    assert patterns(on.remove, "pipe", view_type="NEW_IMAGE") == ([gone], None)
    assert patterns(~on.remove, "pipe", view_type="NEW_IMAGE") == ([there], None)
    assert patterns(on.insert, "pipe", view_type="NEW_IMAGE") == ([there], on.insert)
    assert patterns(on.insert, "pipe", view_type="KEYS_ONLY") == ([], on.insert)
    assert patterns(on.insert, "pipe", key_schema=None) == ([], on.insert)
    assert patterns(on.ttl_delete, "pipe", view_type="NEW_IMAGE") == ([gone], on.ttl_delete)


def test_a_queue_lets_pass_what_only_the_function_can_open():
    pushed, residue = patterns(on.insert, "queue")
    assert pushed == [{"body": {"eventName": ["INSERT"]}}, {"body": {"eventName": [{"exists": False}]}}]
    assert residue is None
    for body in ({"claimCheck": {"bucket": "b"}}, {"Type": "Notification", "Message": "{}"}):
        assert any(matches(pattern, {"body": body}) for pattern in pushed)


def test_a_queue_with_five_ways_takes_claim_checks_in_the_last_pattern():
    condition = on.insert
    for name in "abcd":
        condition |= on.new(name).eq("x")
    pushed, residue = patterns(condition, "queue")
    assert (len(pushed), residue) == (5, None)
    assert pushed[-1]["body"]["$or"][1] == {"eventName": [{"exists": False}]}
    assert any(matches(pattern, {"body": {"claimCheck": "x"}}) for pattern in pushed)
    assert not any(matches(pattern, {"body": {"eventName": "MODIFY", "dynamodb": {}}}) for pattern in pushed)


def test_kinesis_filters_under_data():
    assert patterns(on.insert, "kinesis") == ([{"data": {"eventName": ["INSERT"]}}], None)


def test_names_that_a_pattern_cannot_hold_are_left_to_python():
    for condition in (on.new("$or").eq("a"), on.new("list.0").eq("a"), on.new(("list", 0)).eq("a")):
        assert patterns(condition) == ([], condition)
    reserved = on.new("prefix").eq("a")
    assert patterns(reserved, "queue") == ([], reserved)
    assert patterns(reserved)[1] is None


def test_a_dotted_name_may_be_taken_for_another_so_it_is_checked_again():
    condition = on.new(("a.b",)).eq("x")
    assert patterns(condition) == ([{"dynamodb": {"NewImage": {"a.b": {"S": ["x"]}}}}], condition)
    assert patterns(~condition) == ([], ~condition)


def test_an_address_matches_its_other_spellings_so_it_is_checked_again():
    assert patterns(on.new("ip").eq("::1"))[1] is not None
    assert patterns(on.new("ip").eq("10.0.0.1"))[1] is None


def test_a_key_is_always_there():
    assert patterns(on.key("userId").exists()) == ([], None)
    assert patterns(on.key("userId").exists() & on.insert) == ([{"eventName": ["INSERT"]}], None)
    with pytest.raises(NeverTrue):
        push_down(on.key("userId").not_exists(), "stream", key_schema=KEYS)
    with pytest.raises(NeverTrue):
        push_down(on.key("other").exists(), "stream", key_schema=KEYS)


def test_a_condition_that_contradicts_itself_is_refused():
    for condition in (
        on.insert & on.remove,
        on.new("plan").eq("a") & on.new("plan").eq("b"),
        on.new("plan").begins_with("a") & on.new("plan").begins_with("b"),
        on.new("plan").eq(None) & on.new("plan").ne(None),
    ):
        with pytest.raises(NeverTrue, match="contradicts itself"):
            push_down(condition, "stream")


def test_an_image_that_the_stream_does_not_carry_is_refused_at_deploy_time():
    for condition in (on.old("plan").eq("a"), on.changed("plan"), ~on.old("plan").exists()):
        with pytest.raises(ImageNotAvailable, match="view type is NEW_IMAGE"):
            push_down(on.insert | condition, "stream", view_type="NEW_IMAGE")
    with pytest.raises(ValueError, match="no view type 'BOTH'"):
        push_down(on.insert, "stream", view_type="BOTH")


def test_six_ways_are_widened_to_five():
    condition = on.insert & on.new("x").eq("x")
    for name in "abcde":
        condition |= on.modify & on.new(name).eq("x")
    pushed, residue = patterns(condition)
    assert len(pushed) == 5
    assert residue == condition


def test_too_many_ways_to_look_at_are_widened():
    condition = on.insert | on.new("n0").eq("x")
    for number in range(1, 8):
        condition &= on.new(f"a{number}").eq("x") | on.old(f"b{number}").eq("x")
    pushed, residue = patterns(condition)
    assert pushed
    assert residue is not None
    inner = on.modify & condition | on.remove
    assert patterns(inner)[1] == inner


def test_a_pattern_that_would_be_too_long_is_widened():
    condition = on.insert & on.new("plan").is_in([f"{number:040}" for number in range(200)])
    pushed, residue = patterns(condition)
    assert pushed == [{"eventName": ["INSERT"], "dynamodb": {"NewImage": {"plan": {"S": [{"exists": True}]}}}}]
    assert residue == condition
    long_name = on.new("n" * 5000).eq("x")
    assert patterns(long_name) == ([], long_name)
    not_these = on.insert & ~on.new("plan").is_in([f"{number:040}" for number in range(200)])
    assert patterns(not_these) == ([{"eventName": ["INSERT"]}], not_these)


def test_every_pattern_is_one_that_aws_takes():
    for dialect in ("stream", "pipe", "queue", "kinesis"):
        for _, condition in LEAVES:
            for pattern in push_down(condition, dialect, key_schema=KEYS).patterns:
                validate(pattern)


LEAVES = [
    ("`on.insert`, `on.remove`", on.insert),
    ("`on.modify`", on.modify),
    ("`on.ttl_delete`", on.ttl_delete),
    ("`on.changed(path)`", on.changed("plan")),
    ("`eq`, `is_in`: strings", on.new("plan").eq("pro")),
    ("`eq`, `is_in`: numbers", on.new("seats").eq(3)),
    ("`eq`, `is_in`: `True`, `False`, `None`", on.new("active").is_in([True, None])),
    ("`eq`, `is_in`: binaries", on.new("blob").eq(b"x")),
    ("`eq`, `is_in`: sets", on.new("tags").eq({"a"})),
    ("`eq`, `is_in`: lists, maps", on.new("profile").eq({"city": "Bern"})),
    ("`begins_with`: strings", on.new("plan").begins_with("p")),
    ("`begins_with`: binaries", on.new("blob").begins_with(b"x")),
    ("`between`, `gt`, `gte`, `lt`, `lte`", on.new("seats").gt(3)),
    ("`exists`", on.new("plan").exists()),
    ("`contains`", on.new("plan").contains("p")),
    ("`key(name).exists`", on.key("userId").exists()),
    ("a path below the top level: `eq`", on.new("profile.city").eq("Bern")),
    ("a path with an index", on.new("tags.0").eq("a")),
]


def said(condition, dialect):
    try:
        pushed = push_down(condition, dialect, key_schema=KEYS)
    except NeverTrue:
        return "refused"
    return "exact" if pushed.residue is None else "approximate" if pushed.patterns else "residue"


def table():
    dialects = ("stream", "pipe", "queue", "kinesis")
    lines = [f"| leaf | {' | '.join(dialects)} | under `~` |", f"|---|{'---|' * (len(dialects) + 1)}"]
    for title, leaf in LEAVES:
        opposite = [said(~leaf, dialect) for dialect in dialects]
        under = (
            opposite[0] if len(set(opposite)) == 1 else ", ".join(map(" ".join, zip(dialects, opposite, strict=True)))
        )
        lines.append(f"| {title} | {' | '.join(said(leaf, dialect) for dialect in dialects)} | {under} |")
    return "\n".join(lines)


def test_the_guide_says_what_is_pushed_down():
    assert table() in GUIDE.read_text(), f"put this table into {GUIDE.name}:\n{table()}"
