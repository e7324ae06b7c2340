"""No pattern takes more than time in proportion to its size times that of the event: steps are counted, not timed."""

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aws_semantics.event_patterns import Pattern


def steps(pattern, event):
    """Calls made by one match, of Python functions and built-in ones."""
    compiled = Pattern(pattern)
    count = 0

    def observe(frame, what, argument):
        nonlocal count
        count += what in ("call", "c_call")

    sys.setprofile(observe)
    try:
        compiled.matches(event)
    finally:
        sys.setprofile(None)
    return count


def nested(names, inner):
    for name in reversed(names):
        inner = {name: inner}
    return inner


HOSTILE = {
    "many fields that the event lacks": (lambda n: {f"k{i}": ["x"] for i in range(n)}, lambda n: {"k": "x"}),
    "a long event that the pattern ignores": (
        lambda n: {"k": ["x"]},
        lambda n: {f"j{i}": "x" for i in range(n)} | {"k": "y"},
    ),
    "many alternatives": (lambda n: {"k": [{"wildcard": f"*a{i}*b*c"} for i in range(n)]}, lambda n: {"k": "ab" * 50}),
    "a long array": (lambda n: {"k": [{"suffix": "b"}]}, lambda n: {"k": ["a"] * n}),
    "a long array of objects": (lambda n: {"k": {"a": [1], "b": [1]}}, lambda n: {"k": [{"a": 1}, {"b": 1}] * n}),
    "arrays in arrays": (lambda n: {"k": ["x"]}, lambda n: {"k": [[[["a"] * n]]]}),
    "arrays of objects in arrays of objects": (
        lambda n: nested(["a", "b", "c"], {"x": [1], "y": [1]}),
        lambda n: {"a": [{"b": [{"c": [{"x": 1}] * n}]}]},
    ),
    "$or with many branches": (lambda n: {"$or": [{f"a{i}": [1]} for i in range(n + 1)]}, lambda n: {"k": 1}),
    "$or in $or": (lambda n: _or_in_or(min(n // 10, 90)), lambda n: {"z": 0}),
    "$or beside $or": (lambda n: _or_beside_or(min(n // 100, 9)), lambda n: nested(["d"] * 9, {"a": 0})),
    "dotted names": (
        lambda n: nested("abcdefgh", ["x"]),
        lambda n: {".".join("abcdefg") + f".{i}": "x" for i in range(n)},
    ),
    "a deep pattern": (lambda n: nested(["a"] * min(n // 10, 99), ["x"]), lambda n: nested(["a"] * (n // 4), "x")),
    "absent fields in an array of objects": (
        lambda n: {"k": {"a": [{"exists": False}]}},
        lambda n: {"k": [{"b": 1}] * n},
    ),
}


def _or_in_or(levels):
    pattern = {"z": [1]}
    for level in range(levels):
        pattern = {"$or": [pattern, {f"a{level}": [1]}]}
    return pattern


def _or_beside_or(levels):
    """A choice of two on every level, all naming the same field: 2**levels combinations."""
    pattern = {"a": [1]}
    for level in reversed(range(levels)):
        deep = ["d"] * (levels - level)
        pattern = {"$or": [nested(deep, {f"x{level}": [1]}), nested(deep, {f"y{level}": [1]})], "d": pattern}
    return pattern


@pytest.mark.parametrize(("pattern", "event"), HOSTILE.values(), ids=HOSTILE)
def test_steps_grow_no_faster_than_pattern_times_event(pattern, event):
    small, large = (pattern(200), event(200)), (pattern(800), event(800))
    grown = steps(*large) / steps(*small)
    assert grown <= 1.5 * size(large[0]) * size(large[1]) / (size(small[0]) * size(small[1]))


NAMES = st.sampled_from(["a", "b", "c", "a.b", "d"])
TESTS = st.sampled_from(
    ["x", 1, None, {"prefix": "x"}, {"anything-but": "x"}, {"exists": False}, {"wildcard": "*x*x*"}]
)
PATTERNS = st.recursive(
    st.dictionaries(NAMES, st.lists(TESTS, min_size=1, max_size=3), min_size=1, max_size=3),
    lambda inner: st.one_of(
        st.dictionaries(NAMES, inner, min_size=1, max_size=3),
        st.tuples(st.dictionaries(NAMES, inner, max_size=1), st.lists(inner, min_size=2, max_size=3)).map(
            lambda parts: {**parts[0], "$or": parts[1]}
        ),
    ),
    max_leaves=8,
)
EVENTS = st.recursive(
    st.one_of(st.sampled_from(["x", "xx", "y", 1, None, True])),
    lambda inner: st.one_of(st.lists(inner, max_size=5), st.dictionaries(NAMES, inner, max_size=4)),
    max_leaves=20,
)


def size(value):
    match value:
        case dict():
            return sum(2 + len(name) + size(member) for name, member in value.items())
        case list():
            return sum(1 + size(member) for member in value)
        case _:
            return 1 + len(str(value))


@given(PATTERNS, st.dictionaries(NAMES, EVENTS, max_size=4))
def test_a_random_match_takes_few_steps_for_its_size(pattern, event):
    assert steps(pattern, event) <= 50 + 4 * size(pattern) * (1 + size(event))
