"""Values that are not known, secret, or of a wrong type: at every property of every example of every rule."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import pytest

from policies.rules import all_rules
from tests.policy.engine import SECRET, SIGNATURE, UNKNOWN, Asked, Pack, deployed, example

EXAMPLES = [
    pytest.param(rule, verdict, text, id=f"{rule.id}-{verdict}-{number}")
    for rule in all_rules()
    for verdict in ("good", "bad")
    for number, text in enumerate(getattr(rule, verdict), start=1)
]
WRONG = [5.5, True, "text", "", [], [{}], ["text"], {}, {"text": 1}, None]

Path = tuple[str | int, ...]


def paths(value: Any, path: Path = ()) -> Iterator[Path]:
    """Every place in a value, blocks and lists as a whole included."""
    if path:
        yield path
    if isinstance(value, Mapping):
        for key, member in value.items():
            yield from paths(member, (*path, key))
    elif isinstance(value, list):
        for index, member in enumerate(value):
            yield from paths(member, (*path, index))


def put(value: Any, path: Path, new: Any) -> Any:
    """The value with another one at a place."""
    if not path:
        return new
    first, *rest = path
    if isinstance(value, Mapping):
        return {**value, first: put(value[first], tuple(rest), new)}
    return [put(member, tuple(rest), new) if index == first else member for index, member in enumerate(value)]


def variants(program: list[Asked], new: Any) -> Iterator[tuple[str, list[Asked]]]:
    """The program with one place after another replaced, in what the program gives and in what the provider answers."""
    for number, asked in enumerate(program):
        for path in paths(asked.outputs):
            value = new(asked.outputs, path) if callable(new) else new
            inputs = put(asked.inputs, path, value) if path[0] in asked.inputs else asked.inputs
            changed = replace(asked, inputs=inputs, outputs=put(asked.outputs, path, value))
            yield f"{asked.registration.name}.{'.'.join(map(str, path))}", [
                *program[:number], changed, *program[number + 1 :]
            ]  # fmt: skip


@pytest.mark.parametrize(("rule", "verdict", "text"), EXAMPLES)
def test_an_unknown_value_is_never_guessed(rule, verdict, text):
    pack, program = Pack([rule]), deployed(example(text, previewed=False))
    known = pack.findings(program)
    for place, changed in variants(program, UNKNOWN):
        # An unknown value may silence the rule; it must not cause a finding.
        assert pack.findings(changed) <= known, place


@pytest.mark.parametrize(("rule", "verdict", "text"), EXAMPLES)
def test_a_value_of_a_wrong_type_breaks_no_rule(rule, verdict, text):
    pack, program = Pack([rule]), deployed(example(text, previewed=False))
    for wrong in WRONG:
        for _, changed in variants(program, wrong):
            pack.findings(changed)


@pytest.mark.parametrize(("rule", "verdict", "text"), EXAMPLES)
def test_a_secret_is_judged_and_not_told(rule, verdict, text):
    def secret(values: Mapping[str, Any], path: Path) -> Any:
        value: Any = values
        for key in path:
            value = value[key]
        return {SIGNATURE: SECRET, "value": value}

    pack, program = Pack([rule]), deployed(example(text, previewed=False))
    expected = pack.findings(program)
    for place, changed in variants(program, secret):
        assert pack.findings(changed) == expected, place


@pytest.mark.parametrize(("rule", "verdict", "text"), EXAMPLES)
def test_messages_tell_no_names_or_addresses_out_of_properties(rule, verdict, text):
    program = deployed(example(text, previewed=False))
    messages = [diagnostic.message for answer in Pack([rule]).answers(program) for diagnostic in answer.diagnostics]
    assert not any("arn:aws" in message or "111122223333" in message for message in messages)


def test_what_is_awaited_is_named():
    text = """
    orders:
      type: aws:lambda:EventSourceMapping
      properties:
        functionName: orders
        eventSourceArn: arn:aws:dynamodb:us-east-1:111122223333:table/users/stream/2026-01-01T00:00:00.000
        startingPosition: TRIM_HORIZON
    """
    (asked,) = deployed(example(text, previewed=False))
    asked = replace(asked, inputs={**asked.inputs, "bisectBatchOnFunctionError": UNKNOWN})
    reasons = {each.policy_name: each.reason for each in Pack().analyze(asked).not_applicable}
    assert reasons["mapping-bisect-on-error"] == "orders.bisectBatchOnFunctionError is not known yet"


@pytest.mark.parametrize(("rule", "text"), [(rule, text) for rule in all_rules() for text in rule.bad])
def test_a_rule_that_falls_silent_for_an_unknown_value_says_which_it_awaits(rule, text):
    pack, program = Pack([rule]), deployed(example(text, previewed=False))
    for place, changed in variants(program, UNKNOWN):
        answers = pack.answers(changed)
        if not any(answer.diagnostics for answer in answers):
            reasons = [each.reason for answer in answers for each in answer.not_applicable]
            assert any("is not known yet" in reason for reason in reasons), place


def test_a_value_that_is_awaited_is_named_beside_a_violation_of_another_resource():
    text = """
    orders:
      type: aws:lambda:EventSourceMapping
      properties:
        functionName: orders
        eventSourceArn: arn:aws:dynamodb:us-east-1:111122223333:table/users/stream/2026-01-01T00:00:00.000
        startingPosition: TRIM_HORIZON
    """
    (orders,) = deployed(example(text, previewed=False))
    later = replace(
        orders,
        registration=replace(orders.registration, urn=f"{orders.registration.urn}-2", name="later"),
        outputs={**orders.outputs, "maximumRetryAttempts": UNKNOWN},
    )
    answer = Pack().analyze_stack([orders, later])
    assert "mapping-bounded-retries" in {each.policyName for each in answer.diagnostics}
    reasons = {each.policy_name: each.reason for each in answer.not_applicable}
    assert reasons["mapping-bounded-retries"] == "later.maximumRetryAttempts is not known yet"


def test_a_rule_whose_own_values_are_known_speaks_beside_unknown_ones():
    text = """
    orders:
      type: aws:lambda:EventSourceMapping
      properties:
        functionName: orders
        eventSourceArn: arn:aws:dynamodb:us-east-1:111122223333:table/users/stream/2026-01-01T00:00:00.000
        startingPosition: TRIM_HORIZON
        maximumRecordAgeInSeconds: 30
        batchSize: 100
    """
    (asked,) = deployed(example(text, previewed=False))
    for key in ("batchSize", "filterCriteria", "tumblingWindowInSeconds", "functionResponseTypes", "functionName"):
        found = Pack().findings([replace(asked, inputs={**asked.inputs, key: UNKNOWN})])
        assert "mapping-settings" in {finding.rule for finding in found}, key
