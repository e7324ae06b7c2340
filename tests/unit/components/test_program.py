"""The program of `__main__.py`, whole, for each of its stacks."""

from __future__ import annotations

import difflib
from typing import Any

import pulumi
import pytest
import yaml
from pulumi.output import Unknown

from handlers.cdc.effect_ledger import LEASE_MARGIN_SECONDS
from tools import golden

STACKS = ("dev", "prod", "local")

#: The consumers of a small stack may read the stream themselves.
DIRECT = {"weir:fanOut": "false"}


@pytest.mark.parametrize("stack", STACKS)
def test_resources_their_parents_and_dependencies_change_knowingly(stack: str) -> None:
    """Public: a change of a type or a name replaces resources of those who run Weir, so it needs an alias."""
    path = golden.FOLDER / f"{stack}.txt"
    old, new = path.read_text(encoding="utf-8").splitlines(), golden.lists()[path].splitlines()
    changes = [*difflib.unified_diff(old, new, f"golden/{stack}.txt", "the program", n=1, lineterm="")]
    assert not changes, "\n".join(["if you mean these changes, run `make golden` and commit them:", *changes])


@pytest.mark.parametrize("stack", STACKS)
def test_every_stack_deploys_with_inputs_that_the_provider_takes(program, stack: str) -> None:
    run = program(stack)  # PretendAws checks the inputs
    assert set(run.outputs) == {
        "apiUrl",
        "usersTable",
        "streamArn",
        "effectLedgerTable",
        "alarmTopicArn",
        "dashboard",
        "forwarder",
        "forwarderAlarms",
        "forwarders",
        "otherAlarms",
        "functionNames",
        "consumers",
        "pipes",
        "entitlementsTable",
        "planCountsTable",
    }


def test_a_reconciliation_is_scheduled_where_it_is_switched_on(program, configured) -> None:
    assert program("dev").all("Schedule") == []
    run = configured("dev", {"weir:reconciliation": "true"})
    assert run.outputs["reconciliation"] == "arn:aws:states:eu-central-1:123456789012:stateMachine:reconciliation"
    assert run.one("Schedule").inputs["scheduleExpression"] == "cron(0 3 * * ? *)"
    by_hand = {"weir:reconciliation": "true", "weir:reconciliationSchedule": "by hand"}
    assert configured("dev", by_hand).all("Schedule") == []


def test_each_table_whose_changes_fan_out_is_reconciled(configured) -> None:
    run = configured("dev", {"weir:reconciliation": "true", "weir:accounts": "true"})
    machines = ("reconciliation", "account-reconciliation")
    assert run.outputs["reconciliations"] == {
        name: f"arn:aws:states:eu-central-1:123456789012:stateMachine:{name}" for name in machines
    }
    assert run.outputs["reconciliation"] == run.outputs["reconciliations"]["reconciliation"]
    assert {each.name for each in run.all("Schedule")} == {*machines}
    variables = run.one("Function", "account-reconciliation").inputs["environment"]["variables"]
    assert {"SEQUENCER_TABLE", "EFFECT_LEDGER_TABLE"} <= variables.keys()


def test_a_backfill_is_there_where_consumers_are_named(configured) -> None:
    run = configured("dev", {"weir:backfill": "entitlements, welcome-email"})
    assert run.outputs["backfill"] == "arn:aws:states:eu-central-1:123456789012:stateMachine:backfill"
    assert "DescribeExport" not in run.one("RolePolicy", "backfill").inputs["policy"]


def test_a_backfill_may_read_exports_where_their_bucket_is_named(configured) -> None:
    named = {"weir:backfill": "entitlements", "weir:backfillExports": "arn:aws:s3:::exports/users"}
    policy = configured("dev", named).one("RolePolicy", "backfill").inputs["policy"]
    assert "arn:aws:s3:::exports/users/*" in policy


@pytest.mark.parametrize(
    ("overrides", "line"),
    [
        (
            {"weir:backfill": "entitlements", "weir:backfillExports": "exports"},
            "weir:backfillExports is 'exports': write arn:aws:s3:::exports, or arn:aws:s3:::exports/users",
        ),
        (
            {"weir:backfillExports": "arn:aws:s3:::exports"},
            "weir:backfillExports is set, and backfill is not, so that nothing uses it: run  ",
        ),
    ],
)
def test_a_bucket_of_exports_that_cannot_be_read_is_one_line(configured, overrides: dict[str, str], line: str) -> None:
    with pytest.raises(pulumi.RunError) as refused:
        configured("dev", overrides)
    assert str(refused.value).startswith(f"Pulumi.dev.yaml: {line}")


@pytest.mark.parametrize("schedule", ["nightly", "cron(0 3 * *)", "rate(0 hours)", "at(2026-01-31T08:30:00)"])
def test_a_schedule_that_is_none_is_one_line(configured, schedule: str) -> None:
    with pytest.raises(pulumi.RunError) as refused:
        configured("dev", {"weir:reconciliationSchedule": schedule})
    assert str(refused.value) == (
        f"Pulumi.dev.yaml: weir:reconciliationSchedule is '{schedule}': write cron(0 3 * * ? *), rate(6 hours), or by "
        "hand for only when it is started"
    )


def test_the_outputs_say_where_everything_is(program) -> None:
    outputs = program("prod").outputs
    assert outputs["apiUrl"] == "https://api.example.com"
    assert outputs["usersTable"] == "users"
    assert (
        outputs["streamArn"] == "arn:aws:dynamodb:eu-central-1:123456789012:table/users/stream/2026-01-31T08:30:00.000"
    )
    assert outputs["effectLedgerTable"] == "effects"
    assert outputs["alarmTopicArn"] == "arn:aws:sns:eu-central-1:123456789012:alarms"
    assert outputs["functionNames"] == {
        "POST /users/{userId}/plan": "upgrade-api",
        "welcome-email": "welcome-email",
        "entitlements": "entitlements",
        "plan-counts": "plan-counts",
    }
    assert outputs["forwarder"] == "uuid-of-changes-forwarder"
    assert outputs["consumers"]["welcome-email"] == {
        "eventSourceMapping": "uuid-of-welcome-email",
        "stream": outputs["streamArn"],
        "failureDestination": "arn:aws:s3:::welcome-email-failures",
        "retryHorizonSeconds": {"shortest": 1022.0, "longest": 1022.0},
        "guarded": True,
        "alarms": {
            name: f"welcome-email-{name}"
            for name in (
                "queue-age-warn",
                "queue-age-page",
                "throttles",
                "dead-letters",
                "dead-letter-queue",
                "undelivered",
            )
        },
        "deadLetterQueues": [
            f"arn:aws:sqs:eu-central-1:123456789012:welcome-email-{name}" for name in ("dead-letters", "undelivered")
        ],
        "archive": {
            "topic": "arn:aws:sns:eu-central-1:123456789012:changes",
            "claimChecks": "arn:aws:s3:::changes-claim-checks",
        },
    }


def test_each_fan_out_s_forwarder_has_the_name_that_its_alarms_give_it(configured) -> None:
    outputs = configured("dev", {"weir:accounts": "true"}).outputs
    assert outputs["forwarders"] == {
        "changes-forwarder": outputs["forwarder"],
        "account-changes-forwarder": "uuid-of-account-changes-forwarder",
    }


def test_without_the_fan_out_a_consumer_reads_the_stream_itself(configured) -> None:
    run = configured("dev", DIRECT)
    assert run.one("EventSourceMapping").inputs["eventSourceArn"] == run.outputs["streamArn"]
    assert "forwarder" not in run.outputs
    assert run.outputs["consumers"]["welcome-email"] == {
        "eventSourceMapping": "uuid-of-welcome-email",
        "stream": run.outputs["streamArn"],
        "failureDestination": "arn:aws:s3:::welcome-email-failures",
        "retryHorizonSeconds": {"shortest": 303.75, "longest": 1023.75},
        "guarded": True,
        "alarms": {
            name: f"welcome-email-{name}"
            for name in ("iterator-age-warn", "iterator-age-page", "dead-letters", "dropped", "destination-failures")
        },
        "deadLetterQueues": [],
    }


def test_a_consumer_s_entry_names_the_stream_of_the_table_that_its_changes_are_of(configured) -> None:
    consumers = configured("dev", {"weir:accounts": "true"}).outputs["consumers"]
    tables = {name: consumers[name]["stream"].split("/")[1] for name in ("account-ready", "account-ready-accounts")}
    assert tables == {"account-ready": "users", "account-ready-accounts": "accounts"}


def test_only_a_protected_stack_keeps_an_archive_and_names_it_beside_its_consumers(program) -> None:
    archived = {stack: "archivePolicy" in program(stack).one("Topic", "changes").inputs for stack in STACKS}
    assert archived == {"dev": False, "prod": True, "local": False}
    named = {stack: "archive" in program(stack).outputs["consumers"]["welcome-email"] for stack in STACKS}
    assert named == archived
    assert sorted(program("prod").outputs["consumers"]["welcome-email"]["archive"]) == ["claimChecks", "topic"]


@pytest.mark.parametrize("stack", STACKS)
def test_a_preview_knows_every_setting_and_no_name_that_aws_makes(program, stack: str) -> None:
    preview, deployed = program(stack, preview=True), program(stack)
    assert sorted(each.urn for each in preview.registrations) == sorted(each.urn for each in deployed.registrations)
    assert isinstance(preview.outputs["streamArn"], Unknown)
    mapping = preview.one("EventSourceMapping", "changes-forwarder").inputs
    assert isinstance(mapping["eventSourceArn"], Unknown)
    assert mapping["startingPosition"] == "TRIM_HORIZON"
    assert preview.run.created == {}


@pytest.mark.parametrize("stack", STACKS)
def test_every_child_has_its_component_as_parent(program, stack: str) -> None:
    run = program(stack)
    root = f"urn:pulumi:{stack}::weir::pulumi:pulumi:Stack::weir-{stack}"
    assert {each.name for each in run.registrations if each.parent == root and each.custom} == {"alarms"}
    urns = {root, *(each.urn for each in run.registrations)}
    assert all(each.parent in urns for each in run.registrations)


@pytest.mark.parametrize("stack", STACKS)
def test_every_component_registers_its_outputs(program, stack: str) -> None:
    run = program(stack)
    components = {each.urn for each in run.registrations if not each.custom}
    assert set(run.run.component_outputs) == components
    assert all(run.run.component_outputs.values())


@pytest.mark.parametrize("stack", STACKS)
def test_the_tables_of_every_stack_refuse_to_be_deleted(program, stack: str) -> None:
    assert all(table.inputs["deletionProtectionEnabled"] for table in program(stack).all("Table"))


def test_alarms_are_mailed_only_where_an_address_is_configured(program) -> None:
    assert program("prod").one("TopicSubscription", "alarms").inputs["endpoint"] == "oncall@example.com"
    assert {each.name for each in program("dev").all("TopicSubscription")} == set(program("dev").outputs["consumers"])


def test_functions_run_python_3_13_on_arm64_and_log_json_into_a_group_of_their_own(program) -> None:
    run = program("prod")
    for function in run.all("Function"):
        assert function.inputs["runtime"] == "python3.13"
        assert function.inputs["architectures"] == ["arm64"]
        assert function.inputs["loggingConfig"] == {"logFormat": "JSON", "logGroup": function.name}
        assert run.one("LogGroup", function.name).inputs["retentionInDays"] == 365


def test_retries_on_every_stack_outlast_the_lease_of_a_crashed_worker(program) -> None:
    for stack in STACKS:
        run = program(stack)
        lease = run.one("Function", "welcome-email").inputs["timeout"] + LEASE_MARGIN_SECONDS
        assert run.outputs["consumers"]["welcome-email"]["retryHorizonSeconds"]["shortest"] > lease


@pytest.mark.parametrize(
    ("key", "value", "line"),
    [
        ("mailFrom", "", "weir:mailFrom is missing: run  pulumi config set mailFrom hello@example.com"),
        ("mailFrom", "nobody", "weir:mailFrom is 'nobody', which is not an email address: write hello@example.com"),
        (
            "alarmEmail",
            "on call",
            "weir:alarmEmail is 'on call', which is not an email address: write hello@example.com",
        ),
        ("functionTimeout", "901", "weir:functionTimeout is '901': AWS takes 1 to 900 seconds"),
        ("functionTimeout", "0", "weir:functionTimeout is '0': AWS takes 1 to 900 seconds"),
        ("archiveDays", "366", "weir:archiveDays is '366': AWS takes 0 to 365 days"),
        ("attempts", "0", "weir:attempts is '0': AWS takes 1 to 1000 attempts"),
        ("batchSize", "10001", "weir:batchSize is '10001': AWS takes 1 to 10000 records"),
        ("batchingWindow", "301", "weir:batchingWindow is '301': AWS takes 0 to 300 seconds"),
        ("retryAttempts", "-2", "weir:retryAttempts is '-2': AWS takes -1 to 10000 retries"),
    ],
)
def test_a_value_out_of_range_is_one_line(configured, key: str, value: str, line: str) -> None:
    with pytest.raises(pulumi.RunError) as refused:
        configured("dev", {f"weir:{key}": value})
    assert str(refused.value) == f"Pulumi.dev.yaml: {line}"


def test_a_retention_that_cloudwatch_does_not_take_is_one_line_with_those_it_takes(configured) -> None:
    with pytest.raises(pulumi.RunError) as refused:
        configured("dev", {"weir:logRetentionDays": "31"})
    assert str(refused.value).startswith(
        "Pulumi.dev.yaml: weir:logRetentionDays is '31': AWS takes one of 1, 3, 5, 7, "
    )


def test_all_wrong_values_show_at_once(configured) -> None:
    with pytest.raises(pulumi.RunError) as refused:
        configured("dev", {"weir:functionTimeout": "0", "weir:retryAttempts": "-2"})
    assert [line.split(" is ")[0] for line in str(refused.value).splitlines()] == [
        "Pulumi.dev.yaml: weir:functionTimeout",
        "Pulumi.dev.yaml: weir:retryAttempts",
    ]


@pytest.mark.parametrize(
    ("overrides", "start"),
    [
        (
            {"weir:functionTimeout": "900", "weir:fanOut": "false"},
            "welcome-email: retries may end after 303.75 s, and an effect of a crashed worker stays claimed",
        ),
        (
            {"weir:functionTimeout": "30", "weir:attempts": "5"},
            "welcome-email: retries end after 30 s, and an effect of a crashed worker stays claimed for 31 s",
        ),
        (
            {"weir:archiveDays": "30", "weir:protect": "false"},
            "Pulumi.dev.yaml: weir:archiveDays is 30 and protect is false: the stack could not be destroyed; run  ",
        ),
    ],
)
def test_values_that_do_not_fit_each_other_are_one_line_too(configured, overrides: Any, start: str) -> None:
    with pytest.raises(pulumi.RunError) as refused:
        configured("dev", overrides)
    (line,) = str(refused.value).splitlines()
    assert line.startswith(start)


def test_a_missing_configuration_is_one_line_per_value(run) -> None:
    from components import StackConfig

    with pytest.raises(pulumi.RunError) as refused:
        run(StackConfig.load)
    lines = str(refused.value).splitlines()
    keys = yaml.safe_load((golden.ROOT / "Pulumi.yaml").read_text())["config"]
    # An empty default stands for "not set".
    needed = {"mailFrom", *(key for key, schema in keys.items() if schema["default"] not in ("", {}))}
    assert {line.split()[1].removeprefix("weir:") for line in lines} == needed
    assert all(line.startswith("Pulumi.test.yaml: weir:") and " is missing: " in line for line in lines)
