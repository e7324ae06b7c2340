"""`weir policies baseline`: from the violations of today to a configuration of the policy pack."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ops.cli import app
from policies.rules import all_rules
from tests.policy.engine import Finding, Pack, changed, deployed, example

ORDERS = "urn:pulumi:prod::shop::aws:lambda/eventSourceMapping:EventSourceMapping::orders"
FAILURES = "urn:pulumi:prod::shop::aws:sqs/queue:Queue::failures"


def event(rule, urn, pack="weir", level="mandatory", **more):
    body = {"policyName": rule, "policyPackName": pack, "enforcementLevel": level, "message": "…", **more}
    return {"sequence": 1, "policyEvent": {"resourceUrn": urn, **body} if urn else body}


EVENTS = [
    {"sequence": 0, "preludeEvent": {"config": {}}},
    event("starting-position", ORDERS, level="warning"),
    event("mapping-bisect-on-error", ORDERS),
    event("mapping-bisect-on-error", ORDERS),
    event("dead-letter-alarm", FAILURES),
    event("no-public-buckets", FAILURES, pack="company"),
]
BASELINE = [
    {"urn": ORDERS, "rules": ["mapping-bisect-on-error", "starting-position"], "reason": "baseline 2026-11-30"},
    {"urn": FAILURES, "rules": ["dead-letter-alarm"], "reason": "baseline 2026-11-30"},
]


def run(text, *arguments):
    return CliRunner().invoke(app, ["policies", "baseline", "-", "--date", "2026-11-30", *arguments], input=text)


@pytest.mark.parametrize(
    "text",
    [
        "\n".join(map(json.dumps, EVENTS)),
        "Analyzing stack (prod)\n" + "\n".join(map(json.dumps, EVENTS)) + "\nerror: policy violations\n",
        json.dumps(EVENTS),
        json.dumps({"events": EVENTS}),
    ],
)
def test_each_resource_gets_one_exemption_for_the_rules_it_breaks(text):
    done = run(text)
    assert done.exit_code == 0
    assert json.loads(done.stdout) == {"exemptions": {"enforcementLevel": "advisory", "exemptions": BASELINE}}
    assert done.stderr == "2 exemptions added for 3 violations\n"


def test_a_baseline_silences_the_pack_and_a_new_violation_is_reported():
    rule = next(rule for rule in all_rules() if rule.id == "mapping-bisect-on-error")
    program = deployed(example(rule.bad[0], previewed=False))
    found = Pack().findings(program)
    urn = program[0].registration.urn
    text = "\n".join(json.dumps(event(finding.rule, urn)) for finding in found if finding.rule != "starting-position")
    config = json.loads(run(text).stdout)
    assert Pack(config=config).findings(program) == set()
    latest = deployed([changed(program[0].registration, startingPosition="LATEST")])
    assert Pack(config=config).findings(latest) == {Finding("starting-position", "orders")}


def test_a_baseline_is_added_to_a_configuration_and_a_second_time_changes_nothing(tmp_path: Path):
    config = tmp_path / "policies.json"
    config.write_text(json.dumps({"starting-position": "disabled", "exemptions": {"exemptions": [BASELINE[1]]}}))
    text = "\n".join(map(json.dumps, EVENTS))
    assert run(text, "--into", str(config)).exit_code == 0
    once = config.read_text()
    assert json.loads(once) == {
        "starting-position": "disabled",
        "exemptions": {"enforcementLevel": "advisory", "exemptions": [BASELINE[1], BASELINE[0]]},
    }
    assert run(text, "--into", str(config)).stderr == "0 exemptions added for 3 violations\n"
    assert config.read_text() == once


def test_a_violation_of_the_whole_stack_is_told():
    done = run(json.dumps(event("exemptions-check", "")))
    assert json.loads(done.stdout)["exemptions"]["exemptions"] == []
    assert "1 violations name no resource and cannot be exempted" in done.stderr


@pytest.mark.parametrize(
    ("text", "arguments", "told"),
    [
        ("no events at all", [], "pulumi policy analyze --json"),
        ("", [], "pulumi policy analyze --json"),
        ("[]", ["--date", "tomorrow"], "write it like 2026-11-30"),
    ],
)
def test_what_cannot_be_read_is_refused_with_what_to_give(text, arguments, told):
    done = run(text, *arguments)
    assert done.exit_code == 2
    assert told in done.stderr


@pytest.mark.parametrize("content", ["{", "[]", '{"exemptions": []}', '{"exemptions": {"exemptions": {}}}'])
def test_a_configuration_of_another_shape_is_left_alone(content, tmp_path: Path):
    config = tmp_path / "policies.json"
    config.write_text(content)
    assert run(json.dumps(EVENTS), "--into", str(config)).exit_code == 2
    assert config.read_text() == content


def test_a_file_that_is_not_there_is_named(tmp_path: Path):
    done = CliRunner().invoke(app, ["policies", "baseline", str(tmp_path / "events.json")])
    assert done.exit_code == 2
    assert "events.json: No such file" in done.stderr
