"""Programs of raw `pulumi_aws` resources, each a typical mistake: exactly the expected violations, and no others."""

import importlib
from functools import cache
from pathlib import Path

import pytest

from tests.policy.engine import Finding, Pack, bare_preview, deployed, preview, run

NAMES = sorted(path.stem for path in (Path(__file__).parent / "programs").glob("*.py"))


@cache
def registrations(name, previewed):
    return run(importlib.import_module(f"tests.policy.programs.{name}").program, previewed=previewed)


def expected(name, attribute="EXPECTED"):
    module = importlib.import_module(f"tests.policy.programs.{name}")
    return {Finding(*each) for each in getattr(module, attribute, ())}


@pytest.mark.parametrize("name", NAMES)
def test_a_program_gives_exactly_the_expected_violations(name):
    assert Pack().findings(deployed(registrations(name, previewed=False))) == expected(name)


@pytest.mark.parametrize("phase", [preview, bare_preview])
@pytest.mark.parametrize("name", NAMES)
def test_its_first_preview_gives_them_too(name, phase):
    # The rule's page names the findings that a preview cannot have yet: values computed from resources to come.
    known_later = expected(name, "KNOWN_AFTER_UP")
    assert Pack().findings(phase(registrations(name, previewed=True))) == expected(name) - known_later
