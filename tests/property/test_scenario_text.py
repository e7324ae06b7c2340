"""Scenarios are read as PyYAML's safe loader reads them, but for times, repeated keys and types that JSON lacks."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from local.simulation.scenario_text import RepeatedKey, read

scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
values = st.recursive(scalars, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=20)


@given(values, st.booleans())
def test_what_pyyaml_writes_is_read_back(value: Any, flow: bool):
    text = yaml.safe_dump(value, default_flow_style=flow)
    assert read(text) == yaml.safe_load(text)


PLAIN = ["yes", "No", "on", "~", "null", "0x1F", "0o17", "017", "1_000", "1e3", "1.5e+3", ".inf", "-.INF", "12:30:00"]
WRITTEN = ("", "'1'", '"\\u00e9"', "!!str 1", "!!int '7'", "! 1", "|\n  a\n  b", ">\n  a\n  b")


@pytest.mark.parametrize("text", [*PLAIN, *WRITTEN])
def test_a_scalar_has_the_type_that_pyyaml_gives_it(text: str):
    document = f"key: {text}\n"
    assert read(document) == yaml.safe_load(document)


def test_a_time_stays_a_text():
    assert read("at: 2026-01-01T00:00:00Z\nday: 2026-01-01") == {"at": "2026-01-01T00:00:00Z", "day": "2026-01-01"}


@pytest.mark.parametrize(
    "text",
    [
        "a: &x [1, 2]\nb: *x",
        "base: &x {a: 1, b: 2}\nother: {<<: *x, b: 3}",
        "one: &x {a: 1}\ntwo: &y {a: 2, b: 2}\nboth: {<<: [*x, *y], c: 3}",
        "? a\n: 1",
        "- - 1\n  - 2\n- {}\n- []",
    ],
)
def test_anchors_and_merges_are_those_of_yaml(text: str):
    assert read(text) == yaml.safe_load(text)


@pytest.mark.parametrize(
    "text", ["a: *nowhere", "a: &x [*x]", "!!set {a, b}", "!!binary aGk=", "!!python/name:os.system x", "--- 1\n--- 2"]
)
def test_what_is_not_one_document_of_json_types_is_refused(text: str):
    with pytest.raises(yaml.YAMLError):
        read(text)


@pytest.mark.parametrize("text", ["{a: 1, a: 2}", '{"a": 1, "a": 2}', "a: {b: 1, b: 1}"])
def test_a_key_that_is_there_twice_is_refused(text: str):
    with pytest.raises(RepeatedKey):
        read(text)
