"""Mistakes of configuration and code, failures in the middle, drift, and commands that are killed."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
from typer.testing import CliRunner

from ops.cli import app
from ops.engine import Engine
from tests.engine.lab import Lab

BARE = """
aws.lambda_.EventSourceMapping(
    "bare",
    function_name=changes.consumers["welcome-email"].function.arn,
    event_source_arn=users.table.stream_arn,
    starting_position="LATEST",
)
"""


@pytest.fixture
def stack_file(engine: Lab) -> Iterator[None]:
    file = engine.project / "Pulumi.local.yaml"
    before = file.read_text()
    yield
    file.write_text(before)


@pytest.mark.usefixtures("stack_file")
@pytest.mark.parametrize(
    ("key", "value", "options", "message"),
    [
        ("batchSize", "many", (), "must be of type 'integer'"),
        ("batchSize", "20000", (), "weir:batchSize is '20000': AWS takes 1 to 10000 records"),
        ("mailFrom", "nobody", (), "weir:mailFrom is 'nobody', which is not an email address"),
        ("batchSize", "30", ("--secret",), "weir:batchSize is a secret, and numbers and switches become settings"),
        ("mailFrom", "hello@example.com", ("--secret",), "the id of its identity would be the address"),
    ],
)
def test_a_wrong_value_is_one_line(engine: Lab, key: str, value: str, options: tuple[str, ...], message: str) -> None:
    engine.config(key, value, *options)
    refused = engine.preview(status=1)
    assert message in refused.output
    assert "Traceback" not in refused.output


@pytest.mark.usefixtures("stack_file")
def test_a_missing_value_says_how_to_give_it_and_a_misspelt_one_is_told(engine: Lab) -> None:
    engine.pulumi("config", "rm", "mailFrom")
    engine.config("mailfrom", "hello@example.com")
    refused = engine.preview(status=1).errors
    assert "weir:mailFrom is missing: run  pulumi config set mailFrom hello@example.com" in refused
    assert "weir:mailfrom is read by nothing: did you mean weir:mailFrom?" in refused


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "import os\n",
            "import os\nimport not_installed\n",
            "handlers/welcome_email.py:6: ModuleNotFoundError: No module named 'not_installed': add the package",
        ),
        ("import os\n", "import os\nthis is\n", "handlers/welcome_email.py:6: SyntaxError: invalid syntax: this is"),
    ],
)
def test_a_mistake_in_a_handler_module_is_one_line_with_file_and_line(
    engine: Lab, old: str, new: str, message: str
) -> None:
    with engine.edited("handlers/welcome_email.py", (old, new)):
        refused = engine.preview(status=1)
    assert message in refused.errors
    assert "Traceback" not in refused.output


def test_a_baseline_of_a_preview_lets_the_next_one_pass_and_a_new_mistake_stops_it(engine: Lab) -> None:
    main, settings = engine.project / "__main__.py", engine.project / "baseline.json"
    before = main.read_text()
    main.write_text(before + BARE)
    config = ("--policy-pack", "policies", "--policy-pack-config", str(settings))
    try:
        refused = engine.preview("--policy-pack", "policies", status=1)
        events = "\n".join(map(json.dumps, refused.events))
        written = CliRunner().invoke(app, ["policies", "baseline", "-", "--into", str(settings)], input=events)
        assert written.exit_code == 0, written.output
        passed = engine.preview(*config)
        main.write_text(before + BARE.replace("bare", "new"))
        stopped = engine.preview(*config, status=1)
    finally:
        main.write_text(before)
    assert passed.violations == set()
    # The resource of the baseline is gone, which is told; the new one is judged.
    assert {("exemptions-check", "advisory"), ("mapping-bounded-retries", "mandatory")} <= stopped.violations


def test_a_creation_that_fails_in_the_middle_is_repaired_by_the_retry(engine: Lab) -> None:
    engine.config("protect", "false")
    engine.aws.control.fail("dynamodb:UpdateTimeToLive")
    failed = engine.up(status=1)
    (table,) = re.findall(r"creating (\S+): An error occurred", failed.errors)
    repaired = engine.up()
    assert repaired.steps[f"Table {table}"] == "update"
    dynamodb = engine.aws.client("dynamodb")
    (name,) = [name for name in dynamodb.list_tables()["TableNames"] if name.startswith(f"{table}-")]
    described = dynamodb.describe_time_to_live(TableName=name)["TimeToLiveDescription"]
    assert described["TimeToLiveStatus"] == "ENABLED"
    assert engine.up("--expect-no-changes").steps == {}


def test_a_refresh_finds_what_was_changed_behind_the_program_and_up_restores_it(engine: Lab) -> None:
    outputs: dict[str, Any] = engine.outputs()
    function = outputs["functionNames"]["welcome-email"]
    engine.aws.client("lambda").update_function_configuration(
        FunctionName=function, Role=_role(engine, function), Handler="handlers.welcome_email.handler", Timeout=9
    )
    # AWS does not let go of an alarm that a composite one rests on, but of that one.
    cloudwatch = engine.aws.client("cloudwatch")
    (composite,) = cloudwatch.describe_alarms(AlarmTypes=["CompositeAlarm"])["CompositeAlarms"]
    cloudwatch.delete_alarms(AlarmNames=[composite["AlarmName"]])
    assert engine.pulumi("refresh", "--yes", "--skip-preview", "--expect-no-changes", status=None).status != 0
    restored = engine.up().steps
    assert restored["Function welcome-email"] == "update"
    assert list(restored.values()).count("create") == 1
    assert engine.aws.client("lambda").get_function(FunctionName=function)["Configuration"]["Timeout"] == 2


def _role(engine: Lab, function: str) -> str:
    return engine.aws.client("lambda").get_function(FunctionName=function)["Configuration"]["Role"]


@pytest.mark.parametrize("moment", ["Topic more-3", "Topic more-27"])
def test_a_killed_command_is_recovered_from_by_the_next(engine: Lab, moment: str) -> None:
    main = engine.project / "__main__.py"
    before = main.read_text()
    main.write_text(before + "\nfor number in range(30):\n    aws.sns.Topic(f'more-{number}')\n")
    try:
        killed = subprocess.Popen(
            ["pulumi", "up", "--yes", "--skip-preview", "--non-interactive", "--color", "never"],
            cwd=engine.project,
            env=engine.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert killed.stdout is not None
        while f"{moment} creating" not in killed.stdout.readline():
            pass
        os.kill(killed.pid, signal.SIGKILL)
        killed.communicate()
        locks = engine.project.parent / "state" / ".pulumi" / "locks"
        assert list(locks.rglob("*.json")), "the killed command has left no lock"
        again = Engine(engine.project, "local", engine.environment)
        assert again.run("up", "--yes", "--skip-preview", "--non-interactive") == 0
        assert engine.up("--expect-no-changes").steps == {}
    finally:
        main.write_text(before)
        engine.up()
