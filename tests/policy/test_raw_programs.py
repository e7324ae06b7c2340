"""Programs of raw `pulumi_aws` resources, each a typical mistake: exactly the expected violations, and no others."""

import importlib
from pathlib import Path

import pytest

from tests.policy.engine import Finding, Pack, bare_preview, deployed, preview, run

NAMES = sorted(path.stem for path in (Path(__file__).parent / "programs").glob("*.py"))


def expected(module):
    return {Finding(*each) for each in module.EXPECTED}


@pytest.mark.parametrize("name", NAMES)
def test_a_program_gives_exactly_the_expected_violations(name):
    module = importlib.import_module(f"tests.policy.programs.{name}")
    assert Pack().findings(deployed(run(module.program, previewed=False))) == expected(module)


@pytest.mark.parametrize("phase", [preview, bare_preview])
@pytest.mark.parametrize("name", NAMES)
def test_its_first_preview_gives_them_too(name, phase):
    module = importlib.import_module(f"tests.policy.programs.{name}")
    # What a preview cannot know yet stands on the page of the rule: policies computed from resources to come.
    later = {Finding(*each) for each in getattr(module, "KNOWN_AFTER_UP", ())}
    assert Pack().findings(phase(run(module.program, previewed=True))) == expected(module) - later
