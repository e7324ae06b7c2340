"""Every rule: its own examples, in a preview and after `up`."""

from pathlib import Path

import pytest

from local.deploy.strict import problems
from policies import rules
from policies.rules import all_rules
from tests.policy.engine import Pack, bare_preview, deployed, example, preview

ALL = all_rules()
EXAMPLES = [
    pytest.param(rule, verdict, text, id=f"{rule.id}-{verdict}-{number}")
    for rule in ALL
    for verdict in ("good", "bad")
    for number, text in enumerate(getattr(rule, verdict), start=1)
]


@pytest.mark.parametrize("rule", ALL, ids=lambda rule: rule.id)
def test_a_rule_is_the_one_file_that_is_named_after_it(rule):
    assert (Path(rules.__file__).parent / f"{rule.id.replace('-', '_')}.py").exists()


def test_the_ids_of_rules_are_unique():
    assert len({rule.id for rule in ALL}) == len(ALL)


@pytest.mark.parametrize(("rule", "verdict", "text"), EXAMPLES)
def test_examples_are_resources_that_the_provider_takes(rule, verdict, text):
    for registration in example(text, previewed=False):
        assert problems(registration.type, registration.inputs) == []


@pytest.mark.parametrize(("rule", "verdict", "text"), EXAMPLES)
def test_a_rule_agrees_with_its_own_examples_after_up(rule, verdict, text):
    findings = Pack([rule]).findings(deployed(example(text, previewed=False)))
    assert bool(findings) == (verdict == "bad")


@pytest.mark.parametrize("phase", [preview, bare_preview])
@pytest.mark.parametrize(("rule", "verdict", "text"), EXAMPLES)
def test_the_preview_of_an_empty_account_says_what_up_will_say(rule, verdict, text, phase):
    pack = Pack([rule])
    assert pack.findings(phase(example(text, previewed=True))) == pack.findings(
        deployed(example(text, previewed=False))
    )
