"""This project's own program, in every stack, under the strict preset."""

import json
from pathlib import Path

import pytest

from local.deploy.stack_files import read_stack_files
from tests.policy.engine import Pack, bare_preview, deployed, preview, run

ROOT = Path(__file__).resolve().parents[2]
STACKS = sorted(path.name.split(".")[1] for path in ROOT.glob("Pulumi.*.yaml"))


@pytest.mark.parametrize("stack", STACKS)
def test_the_program_passes_the_strict_preset(stack):
    config = read_stack_files(ROOT, stack).config
    strict = Pack(config=json.loads((ROOT / "policies" / "configs" / "strict.json").read_text()))
    before = run(ROOT, previewed=True, stack=stack, config=config)
    after = run(ROOT, previewed=False, stack=stack, config=config)
    assert strict.findings(preview(before)) == set()
    assert strict.findings(bare_preview(before)) == set()
    assert strict.findings(deployed(after)) == set()
