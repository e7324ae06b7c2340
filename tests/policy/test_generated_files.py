"""The files that are written from the rules are current."""

import json

import pytest

from policies.rules import all_rules
from tools.policy_docs import ROOT, stale


def test_pages_index_and_presets_say_what_the_rules_say():
    assert [str(path.relative_to(ROOT)) for path in stale()] == [], "run  make docs"


@pytest.mark.parametrize(
    ("preset", "levels"),
    [("strict", {"mandatory"}), ("adopting", {"advisory"}), ("default", {"mandatory", "advisory"})],
)
def test_a_preset_names_every_rule_with_its_level(preset, levels):
    chosen = json.loads((ROOT / "policies" / "configs" / f"{preset}.json").read_text())
    assert chosen.keys() == {rule.id for rule in all_rules()}
    assert set(chosen.values()) == levels
