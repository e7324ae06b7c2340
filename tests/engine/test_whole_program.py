"""The whole program under the real engine: created, left alone, changed in place and destroyed."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from rich.console import Console
from typer.testing import CliRunner

from ops.cli import app
from ops.demo.run import run_on
from tests.engine.lab import STRICT, Lab
from tests.local.test_deploy import post


@pytest.fixture(scope="module")
def deployed(engine: Lab) -> dict[str, Any]:
    """The outputs of the stack, deployed under the strict policy pack."""
    preview = engine.preview()
    assert set(preview.steps.values()) == {"create"}
    assert engine.aws.client("dynamodb").list_tables()["TableNames"] == [], "a preview has created something"
    created = engine.up(*STRICT)
    assert created.violations == set()
    assert created.steps == preview.steps
    return engine.outputs()


def test_a_second_up_and_a_refresh_find_nothing_to_do(deployed: dict[str, Any], engine: Lab) -> None:
    assert engine.up("--expect-no-changes").steps == {}
    refreshed = engine.pulumi("refresh", "--yes", "--skip-preview", "--expect-no-changes")
    assert set(refreshed.steps.values()) <= {"refresh"}


def test_the_demo_s_claims_hold_on_the_fan_out_that_the_engine_deployed(deployed: dict[str, Any], engine: Lab) -> None:
    report = run_on(engine.aws, deployed, 20, console=Console(file=io.StringIO()))
    assert [verdict.name for verdict in report.broken] == []


def test_an_upgrade_over_the_deployed_api_becomes_one_welcome_mail(deployed: dict[str, Any], engine: Lab) -> None:
    user = {"userId": {"S": "u1"}, "plan": {"S": "free"}, "email": {"S": "u1@example.com"}}
    engine.aws.client("dynamodb").put_item(TableName=deployed["usersTable"], Item=user)

    answer = post(engine.aws, f"{deployed['apiUrl']}/users/u1/plan", '{"plan": "pro"}')
    consumer = deployed["consumers"]["welcome-email"]
    engine.aws.control.wait_until_idle([deployed["forwarder"], consumer["eventSourceMapping"]], timeout=60)

    assert answer == (200, {"userId": "u1", "plan": "pro", "changed": True})
    assert [mail["To"] for mail in engine.aws.control.mails()].count(["u1@example.com"]) == 1


def test_a_change_of_handler_code_updates_its_function_alone(deployed: dict[str, Any], engine: Lab) -> None:
    with engine.edited("handlers/welcome_email.py", ("Thank you", "Thanks")):
        assert engine.up().steps == {"Function welcome-email": "update"}
    assert engine.up().steps == {"Function welcome-email": "update"}


def test_a_setting_changes_in_place(deployed: dict[str, Any], engine: Lab) -> None:
    engine.config("attempts", "4")
    assert engine.up().steps == {f"Function {name}": "update" for name in deployed["consumers"]}
    function = engine.aws.client("lambda").get_function(FunctionName=deployed["functionNames"]["welcome-email"])
    assert function["Configuration"]["Environment"]["Variables"]["QUEUE_ATTEMPTS"] == "4"
    assert engine.up("--expect-no-changes").steps == {}


def test_the_state_of_a_deployed_stack_is_analyzed_and_its_violations_become_a_baseline(
    deployed: dict[str, Any], engine: Lab
) -> None:
    preset = json.loads((engine.project / "policies" / "configs" / "adopting.json").read_text())
    demanding = engine.project / "demanding.json"
    sooner = {"iterator-age-alarm": {"enforcementLevel": "advisory", "maximum_hours": 0.01}}
    demanding.write_text(json.dumps({**preset, **sooner}))
    pack = ("policy", "analyze", "--json", "--policy-pack", "policies", "--policy-pack-config", str(demanding))
    analyzed = engine.pulumi(*pack)
    written = CliRunner().invoke(app, ["policies", "baseline", "-", "--into", str(demanding)], input=analyzed.output)
    assert written.exit_code == 0, written.output
    baseline = json.loads(demanding.read_text())["exemptions"]["exemptions"]
    assert {rule for each in baseline for rule in each["rules"]} == {"iterator-age-alarm"}
    assert '"policyEvent"' in analyzed.output
    assert '"policyEvent"' not in engine.pulumi(*pack).output
