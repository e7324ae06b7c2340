"""Patterns never drop a change that the condition accepts, and together with the residue they say what it says."""

import base64
import itertools
import json
from decimal import Decimal

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from aws_semantics.event_patterns import lint, matches, validate
from aws_semantics.limits import FILTER_PATTERN_CHARACTERS, FILTERS_PER_MAPPING
from components.push_down.compiler import NeverTrue, push_down
from handlers.cdc import Change, ImageNotAvailable, on
from handlers.cdc.sources import batch_of
from handlers.cdc.testing import record

DIALECTS = ["stream", "pipe", "queue", "kinesis"]
KEY_SCHEMA = {"id": "S"}

PLAIN_NAMES = ["plan", "seats", "profile", "prefix"]
#: Names that AWS, which joins names with dots, may take for something else.
DOTTED_NAMES = ["a.b", "profile.M.city", "profile.M", "plan.S", "$or", "M", "S"]

VALUES = [
    *("", "a", "ab", "b", "::1", "0:0:0:0:0:0:0:1", "101", "true"),
    *(0, 1, 10, 101, 1010, -1, Decimal("0.5"), 10**37),
    *map(Decimal, ("-0", "1.0", "1E+1", "1.01E+2")),
    *(True, False, None, b"", b"\x01", b"\x01\x02", {"a"}, {"a", "b"}, {1, 10}, {b"\x01"}),
    *([], ["a", 1], [["a"]], {}, {"city": "a"}, {"city": 1}, {"city": None}, {"M": {"city": "a"}}),
]

OPERATORS = [
    *("eq", "ne", "is_in", "begins_with", "contains", "exists", "not_exists"),
    *("between", "gt", "gte", "lt", "lte"),
]


def items(names):
    return st.dictionaries(st.sampled_from(names), st.sampled_from(VALUES), max_size=4).map(
        lambda item: {"id": "i", **item}
    )


@st.composite
def records(draw, names, view_type="NEW_AND_OLD_IMAGES"):
    kind = draw(st.sampled_from(["INSERT", "MODIFY", "REMOVE", "TTL"]))
    old = None if kind == "INSERT" else draw(items(names))
    new = None if kind in ("REMOVE", "TTL") else draw(items(names))
    return record(old=old, new=new, keys=["id"], view_type=view_type, ttl_delete=kind == "TTL", created=0)


def paths(names):
    nested = [
        ("profile", "city"),
        ("profile", "M"),
        ("profile", "M", "city"),
        ("plan", 0),
        ("plan", "1"),
        ("profile", "a.b"),
    ]
    return st.sampled_from([*((name,) for name in names), *nested])


@st.composite
def comparisons(draw, names):
    place = draw(st.sampled_from(["new", "old", "key"]))
    attribute = (
        on.key(draw(st.sampled_from(["id", "no"]))) if place == "key" else getattr(on, place)(draw(paths(names)))
    )
    value = draw(st.sampled_from(VALUES))
    operator = draw(st.sampled_from(OPERATORS))
    match operator:
        case "exists" | "not_exists":
            return getattr(attribute, operator)()
        case "is_in":
            return attribute.is_in([value, *draw(st.lists(st.sampled_from(VALUES), max_size=3))])
        case "begins_with":
            assume(isinstance(value, str | bytes))
        case "between":
            high = draw(st.sampled_from(VALUES))
            try:
                return attribute.between(value, high)
            except (TypeError, ValueError):
                assume(False)
        case "gt" | "gte" | "lt" | "lte":
            assume(isinstance(value, str | bytes | int | Decimal) and not isinstance(value, bool))
    return getattr(attribute, operator)(value)


def conditions(names):
    leaves = st.one_of(
        st.sampled_from([on.insert, on.modify, on.remove, on.ttl_delete]),
        paths(names).map(on.changed),
        comparisons(names),
        comparisons(names),
        comparisons(names),
    )
    return st.recursive(
        leaves,
        lambda inner: st.one_of(
            st.tuples(inner, inner).map(lambda pair: pair[0] & pair[1]),
            st.tuples(inner, inner).map(lambda pair: pair[0] | pair[1]),
            inner.map(lambda condition: ~condition),
        ),
        max_leaves=12,
    )


def delivered(stream_record, dialect):
    """Return a record as a dialect's filter sees it, and the change that the function would get."""
    seen = {name: value for name, value in stream_record.items() if name != "eventSourceARN"}
    match dialect:
        case "stream":
            return seen, Change(stream_record)
        case "pipe":
            return stream_record, Change(stream_record)
        case "queue":
            return {"messageId": "m", "body": seen}, Change(stream_record)
        case "kinesis":
            data = {
                **{name: seen[name] for name in ("awsRegion", "eventID", "eventName", "eventSource")},
                "userIdentity": seen.get("userIdentity"),
                "recordFormat": "application/json",
                "tableName": "users",
                "dynamodb": {
                    **{
                        name: twice_encoded(seen["dynamodb"][name])
                        for name in ("Keys", "NewImage", "OldImage")
                        if name in seen["dynamodb"]
                    },
                    "ApproximateCreationDateTime": 1706646450000,
                    "SizeBytes": 1,
                },
            }
            text = base64.b64encode(json.dumps(data).encode()).decode()
            batch = batch_of(
                {"Records": [{"eventSource": "aws:kinesis", "kinesis": {"data": text, "sequenceNumber": "1"}}]}
            )
            return {"data": data}, batch.change(0)


def twice_encoded(value):
    match value:
        case {"B": text} if len(value) == 1 and isinstance(text, str):
            return {"B": base64.b64encode(text.encode()).decode()}
        case {"BS": texts} if len(value) == 1 and isinstance(texts, list):
            return {"BS": [base64.b64encode(text.encode()).decode() for text in texts]}
        case dict():
            return {name: twice_encoded(member) for name, member in value.items()}
        case list():
            return [twice_encoded(member) for member in value]
        case _:
            return value


def passes(pushed, event):
    return not pushed.patterns or any(matches(pattern, event) for pattern in pushed.patterns)


def check_form(pushed):
    assert len(pushed.patterns) <= FILTERS_PER_MAPPING
    for pattern in pushed.patterns:
        validate(pattern)
        assert len(pattern) <= FILTER_PATTERN_CHARACTERS


@pytest.mark.parametrize(
    ("dialect", "view_type"),
    [
        *itertools.product(["stream", "pipe", "queue"], ["KEYS_ONLY", "NEW_IMAGE", "OLD_IMAGE", "NEW_AND_OLD_IMAGES"]),
        ("kinesis", "NEW_AND_OLD_IMAGES"),
    ],
)
@given(data=st.data(), schema=st.sampled_from([None, KEY_SCHEMA]))
def test_a_pattern_never_drops_what_the_condition_accepts(dialect, view_type, data, schema):
    names = [*PLAIN_NAMES, *DOTTED_NAMES]
    condition = data.draw(conditions(names))
    event, change = delivered(data.draw(records(names, view_type)), dialect)
    try:
        wanted = condition(change)
    except ImageNotAvailable:
        assume(False)
    try:
        pushed = push_down(condition, dialect, view_type=view_type, key_schema=schema)
    except ImageNotAvailable:
        return  # some other change would have been an error
    except NeverTrue:
        assert not wanted
        return
    check_form(pushed)
    if wanted:
        assert passes(pushed, event)


@pytest.mark.parametrize("dialect", DIALECTS)
@given(condition=conditions(PLAIN_NAMES), stream_record=records(PLAIN_NAMES))
def test_patterns_and_residue_together_say_what_the_condition_says(dialect, condition, stream_record):
    event, change = delivered(stream_record, dialect)
    try:
        pushed = push_down(condition, dialect, key_schema=KEY_SCHEMA)
    except NeverTrue:
        assert not condition(change)
        return
    residue_holds = pushed.residue is None or pushed.residue(change)
    assert (passes(pushed, event) and residue_holds) == condition(change)


TEXTS = ["", "a", "ab", "b", "101"]
EXACT_VALUES = st.sampled_from([*TEXTS, True, False, None])


@st.composite
def exact_literals(draw, attribute):
    value = draw(EXACT_VALUES)
    match draw(st.sampled_from(["eq", "is_in", "begins_with", "ne"])):
        case "eq":
            return attribute.eq(value)
        case "is_in":
            return attribute.is_in(draw(st.lists(st.sampled_from(TEXTS), min_size=1, max_size=3)))
        case "begins_with":
            return attribute.begins_with(draw(st.sampled_from(TEXTS)))
        case _:
            return ~attribute.is_in([value, *draw(st.lists(EXACT_VALUES, max_size=2))])


@st.composite
def exact_conditions(draw, dialect):
    kinds = [on.insert, on.modify, on.remove, ~on.insert, ~on.remove]
    if dialect != "pipe":
        kinds += [on.ttl_delete, ~on.modify]
    attributes = [on.new("plan"), on.old("plan"), on.new("prefix")]
    if dialect == "queue":
        attributes[-1] = on.new("seats")
    ways = []
    for _ in range(draw(st.integers(1, 5))):
        literals = [
            draw(exact_literals(attribute)) for attribute in draw(st.lists(st.sampled_from(attributes), unique=True))
        ]
        if draw(st.booleans()) or not literals:
            literals.append(draw(st.sampled_from(kinds)))
        ways.append(literals)
    condition = None
    for literals in ways:
        way = literals[0]
        for literal in literals[1:]:
            way &= literal
        condition = way if condition is None else condition | way
    return condition


@pytest.mark.parametrize("dialect", DIALECTS)
@given(data=st.data())
def test_a_condition_of_exact_leaves_needs_no_residue(dialect, data):
    condition = data.draw(exact_conditions(dialect))
    event, change = delivered(data.draw(records(PLAIN_NAMES)), dialect)
    pushed = push_down(condition, dialect, key_schema=KEY_SCHEMA)
    assert pushed.residue is None
    check_form(pushed)
    assert passes(pushed, event) == condition(change)


@given(
    st.lists(st.sampled_from(["plan", "seats", "profile", "prefix", "a", "b", "c"]), min_size=6, max_size=40),
    records(PLAIN_NAMES),
)
@example(["plan"] * 40, record(new={"id": "i", "plan": "1"}))
def test_more_ways_than_patterns_are_widened_not_refused(names, stream_record):
    condition = on.new(names[0]).eq("0")
    for index, name in itertools.islice(enumerate(names), 1, None):
        condition |= on.new(name).eq(str(index)) & on.old(name).begins_with(str(index))
    event, change = delivered(stream_record, "stream")
    pushed = push_down(condition, "stream")
    check_form(pushed)
    assert all(lint(pattern) == [] for pattern in pushed.patterns)
    assert not condition(change) or passes(pushed, event)
    assert (passes(pushed, event) and (pushed.residue is None or pushed.residue(change))) == condition(change)
