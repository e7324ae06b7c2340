"""The whole program with every consumer switched on, under the real engine: created, left alone, destroyed in steps."""

from __future__ import annotations

import ast
import json
from typing import Any

import pytest

from tests.engine.lab import ONE_CHECKPOINT, ROOT, STRICT, Lab
from tests.everything import EVERYTHING, SECRETS


@pytest.fixture(scope="module")
def deployed(engine: Lab) -> dict[str, Any]:
    """The outputs of a stack with every consumer and an archive, deployed under the strict policy pack."""
    values = {**EVERYTHING, "weir:alarmEmail": "oncall@example.com", "weir:archiveDays": "1"}
    settings = [
        argument
        for key, value in values.items()
        if not key.startswith("weir:vpc")  # no function of this machine is in a VPC, and a deployment here says so
        for argument in ("--secret" if key in SECRETS else "--plaintext", f"{key}={value}")
    ]
    engine.environment |= ONE_CHECKPOINT
    engine.pulumi("config", "set-all", *settings)
    preview = engine.preview(*STRICT)
    assert set(preview.steps.values()) == {"create"}
    assert preview.violations == set()
    created = engine.up(*STRICT)
    assert created.violations == set()
    assert created.steps == preview.steps
    return engine.outputs()


def test_every_statement_that_subscribes_has_made_a_consumer(deployed: dict[str, Any]) -> None:
    tree = ast.parse((ROOT / "__main__.py").read_text(encoding="utf-8"))
    calls = [
        each.func.attr for each in ast.walk(tree) if isinstance(each, ast.Call) and isinstance(each.func, ast.Attribute)
    ]
    assert len(deployed["consumers"]) == calls.count("subscribe")
    assert len(deployed["pipes"]) == calls.count("pipe")


def test_a_second_up_finds_nothing_to_do(deployed: dict[str, Any], engine: Lab) -> None:
    assert engine.up("--expect-no-changes").steps == {}


def test_no_secret_is_in_clear_in_the_state_the_outputs_or_the_environment(
    deployed: dict[str, Any], engine: Lab
) -> None:
    shown = [engine.state(), json.dumps(deployed)]
    functions = engine.aws.client("lambda").get_paginator("list_functions").paginate()
    shown += [json.dumps(each.get("Environment", {})) for page in functions for each in page["Functions"]]
    assert [key for key in SECRETS for text in shown if EVERYTHING[key] in text] == []


def test_a_stack_of_every_consumer_is_destroyed_in_the_documented_steps(deployed: dict[str, Any], engine: Lab) -> None:
    assert "protected" in engine.destroy(status=1).output
    engine.config("archiveDays", "0")
    engine.config("protect", "false")
    engine.up()
    resources = json.loads(engine.state())["deployment"]["resources"]
    secrets = [each["id"] for each in resources if each["type"] == "aws:secretsmanager/secret:Secret"]
    assert len(secrets) == len(SECRETS) - 1, "EventBridge keeps the partner's key in a secret of its own"
    engine.destroy()
    client = engine.aws.client
    assert client("dynamodb").list_tables()["TableNames"] == []
    assert client("lambda").list_functions()["Functions"] == []
    assert client("lambda").list_event_source_mappings()["EventSourceMappings"] == []
    assert client("pipes").list_pipes()["Pipes"] == []
    assert [each["Name"] for each in client("events").list_event_buses()["EventBuses"]] == ["default"]
    assert client("sns").list_topics()["Topics"] == []
    assert client("sqs").list_queues().get("QueueUrls", []) == []
    assert client("s3").list_buckets()["Buckets"] == []
    assert client("scheduler").list_schedules()["Schedules"] == []
    assert all("DeletedDate" in client("secretsmanager").describe_secret(SecretId=each) for each in secrets)
    assert client("stepfunctions").list_state_machines()["stateMachines"] == []
    assert client("iam").list_roles()["Roles"] == []
    assert client("logs").describe_log_groups()["logGroups"] == []
    assert client("cloudwatch").describe_alarms()["MetricAlarms"] == []
