"""Every rule of the pack stops a preview by the real engine, with its message, and an exemption lets one pass."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from local.pulumi_host.cli import Cli
from policies.rules import all_rules
from tests.engine.lab import ROOT, Lab, lab

RULES = {rule.id: rule for rule in all_rules()}


def token(short: str) -> str:
    """The type token of a short one, as in `aws:sqs:Queue`."""
    package, module, kind = short.split(":")
    return f"{package}:{module}/{kind[0].lower()}{kind[1:]}:{kind}"


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory, cli: Cli) -> Iterator[Lab]:
    """A program with the first bad example of each rule; every type is stood in for, so that all properties pass."""
    directory = tmp_path_factory.mktemp("broken")
    made = directory / "project"
    made.mkdir()
    examples = {rule.id: rule.bad[0] for rule in RULES.values()}
    types = {each["type"] for text in examples.values() for each in yaml.safe_load(text).values()}
    stubs = {token(each): {} for each in types}
    (made / "examples.json").write_text(json.dumps(examples))
    shutil.copy(ROOT / "tests" / "reference" / "bad_examples.py", made / "__main__.py")
    (made / "Pulumi.yaml").write_text(
        "name: broken\nruntime: {name: python, options: {toolchain: pip, virtualenv: .venv}}\n"
    )
    (made / "Pulumi.local.yaml").write_text(
        json.dumps({"config": {"aws:region": "us-east-1", "broken:localStubs": stubs}})
    )
    for name in ("policies", "aws_semantics"):
        shutil.copytree(ROOT / name, made / name, ignore=shutil.ignore_patterns("__pycache__"))
    for folder in (made, made / "policies"):
        (folder / ".venv").symlink_to(ROOT / ".venv")
    with lab(directory, cli, made) as project:
        yield project


def violations(broken: Lab, **config: Any) -> list[dict[str, Any]]:
    """The violations of a preview under the pack, all of whose rules are mandatory, that stop it."""
    file = broken.project / "pack.json"
    file.write_text(json.dumps(dict.fromkeys(RULES, "mandatory") | config))
    stopped = broken.preview("--policy-pack", "policies", "--policy-pack-config", str(file), status=1)
    return [event["policyEvent"] for event in stopped.events if "policyEvent" in event]


def own(rule: str, found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The violations of a rule in its own example."""
    return [
        each
        for each in found
        if each["policyName"] == rule and f"::{rule}-" in f"{each.get('resourceUrn', '')} {each['message']}"
    ]


def test_every_rule_stops_the_preview_and_says_what_would_be_lost_and_how_to_fix_it(broken: Lab) -> None:
    found = violations(broken)
    silent = [rule for rule in RULES if not own(rule, found)]
    assert silent == []
    for rule in RULES.values():
        for each in own(rule.id, found):
            assert each["enforcementLevel"] == "mandatory"
            assert "what would be lost: " in each["message"]
            assert "fix: " in each["message"]
            assert rule.docs in each["message"]


def test_an_exemption_with_its_reason_lets_one_resource_pass_and_no_other(broken: Lab) -> None:
    rule = "mapping-bounded-retries"
    exempt = {"urn": f"*::{rule}-*", "reason": "read by hand while the new reader is tried"}
    found = violations(broken, **{rule: {"enforcementLevel": "mandatory", "exemptions": [exempt]}})
    assert own(rule, found) == []
    assert {each["policyName"] for each in found} >= RULES.keys() - {rule}
