"""A reconciliation: its machine, its schedule, and the little that its roles may do."""

from __future__ import annotations

import json
from typing import Any

import pulumi
import pytest

from components import (
    Backfill,
    ChangeTable,
    CounterTable,
    EffectLedgerTable,
    FanOut,
    ProjectionTable,
    Reconciliation,
    Refused,
)
from local.endpoint.services.state_language import check_definition
from tests.reference import bare, by_sequence, counting, greeting, routed_rows, rows

ARN = "arn:aws:{}:eu-central-1:123456789012:{}"
MACHINE = ARN.format("states", "stateMachine:nightly")


def nightly(*, expecting: bool = True, **options: Any) -> Reconciliation:
    users = ChangeTable("users", hash_key="userId")
    ledger = EffectLedgerTable("effects")
    fan_out = FanOut("changes", source=users.stream)
    if expecting:
        copies = ProjectionTable("copies", hash_key="userId")
        fan_out.subscribe(greeting.handler, access=[ledger.access()])
        fan_out.subscribe(rows.handler, access=[copies.access("COPIES_TABLE")])
    counts = CounterTable("counts")
    fan_out.subscribe(counting.handler, access=[counts.access()])
    return Reconciliation("nightly", table=users, fan_out=fan_out, **options)


def statements(done: Any, policy: str) -> list[tuple[Any, Any]]:
    document = json.loads(done.one("RolePolicy", policy).inputs["policy"])
    return [(each["Action"], each["Resource"]) for each in document["Statement"]]


def test_the_walker_may_read_report_and_send_to_the_queues_and_nothing_else(run) -> None:
    assert statements(run(nightly), "nightly") == [
        (["logs:CreateLogStream", "logs:PutLogEvents"], ARN.format("logs", "log-group:nightly:*")),
        (["dynamodb:BatchGetItem"], ARN.format("dynamodb", "table/effects")),
        (["dynamodb:BatchGetItem"], ARN.format("dynamodb", "table/copies")),
        (["dynamodb:Scan", "dynamodb:BatchGetItem"], ARN.format("dynamodb", "table/users")),
        (["sqs:SendMessage"], ARN.format("sqs", "greeting")),
        (["sqs:SendMessage"], ARN.format("sqs", "rows")),
        (["s3:PutObject"], "arn:aws:s3:::nightly-reports/*"),
        (["s3:PutObject"], "arn:aws:s3:::changes-claim-checks/*"),
    ]


def test_the_machine_may_call_its_function_and_run_its_own_children(run) -> None:
    done = run(nightly)
    assert statements(done, "nightly-invoke") == [(["lambda:InvokeFunction"], ARN.format("lambda", "function:nightly"))]
    assert statements(done, "nightly-children") == [
        (["states:StartExecution"], MACHINE),
        (["states:DescribeExecution", "states:StopExecution"], ARN.format("states", "execution:nightly:*")),
    ]


def test_each_segment_is_a_child_that_knows_the_consumers_with_expectations(run) -> None:
    definition = (
        run(lambda: nightly(segments=3, concurrency=2, items_per_second=100)).one("StateMachine").inputs["definition"]
    )
    check_definition(definition)
    states = json.loads(definition)["States"]
    assert states["Segments"]["Result"] == [0, 1, 2]
    walk = states["Walk"]
    assert (walk["MaxConcurrency"], walk["ItemProcessor"]["ProcessorConfig"]["Mode"]) == (2, "DISTRIBUTED")
    assert walk["ItemSelector"]["consumers"] == {
        "greeting": {"entryPoint": "tests.reference.greeting.handler", "queueUrl": "https://queues/greeting"},
        "rows": {"entryPoint": "tests.reference.rows.handler", "queueUrl": "https://queues/rows"},
    }
    assert walk["ItemSelector"]["itemsPerSecond"] == 50


def test_the_walkers_code_has_the_handlers_that_it_asks(run) -> None:
    names = set(run(nightly).one("Function", "nightly").inputs["code"].assets)
    assert {"handlers/cdc/reconciler.py", "tests/reference/greeting.py", "tests/reference/rows.py"} <= names
    assert "tests/reference/counting.py" not in names


def test_a_schedule_starts_the_machine_so_that_it_sends(run) -> None:
    done = run(lambda: nightly(schedule="cron(0 3 * * ? *)"))
    schedule = done.one("Schedule").inputs
    assert schedule["scheduleExpression"] == "cron(0 3 * * ? *)"
    assert (schedule["target"]["arn"], json.loads(schedule["target"]["input"])) == (MACHINE, {"dryRun": False})
    assert statements(done, "nightly-schedule") == [
        (["states:StartExecution"], MACHINE),
        (["sqs:SendMessage"], ARN.format("sqs", "nightly-unstarted")),
    ]
    assert schedule["target"]["deadLetterConfig"] == {"arn": ARN.format("sqs", "nightly-unstarted")}
    assert run(nightly).all("Schedule") == []


def test_a_reconciliation_without_anything_to_expect_is_refused(run) -> None:
    with pytest.raises(Refused, match="none of the consumers counting says what an item implies"):
        run(lambda: nightly(expecting=False))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"segments": 0}, "nightly: segments=0 must be 1 to 1,000"),
        ({"segments": 1001}, "nightly: segments=1001 must be 1 to 1,000"),
        ({"concurrency": 0}, "nightly: concurrency=0 must be at least 1"),
        ({"items_per_second": 0}, "nightly: items_per_second=0 must be at least 1"),
        ({"settle_seconds": -1}, "nightly: settle_seconds=-1 must be 0 or more"),
    ],
)
def test_a_number_out_of_range_is_refused(run, options: dict[str, int], message: str) -> None:
    with pytest.raises(Refused, match=message):
        run(lambda: nightly(**options))


def filled(*consumers: str, exports: pulumi.Input[str] | None = None) -> Backfill:
    users = ChangeTable("users", hash_key="userId")
    fan_out = FanOut("changes", source=users.stream)
    fan_out.subscribe(greeting.handler, access=[EffectLedgerTable("effects").access()])
    fan_out.subscribe(counting.handler, access=[CounterTable("counts").access()])
    fan_out.subscribe(bare.handler, repeats="it does nothing")
    fan_out.subscribe(rows.handler, access=[ProjectionTable("copies", hash_key="userId").access("COPIES_TABLE")])
    fan_out.subscribe(by_sequence.handler, access=[ProjectionTable("late", hash_key="id").access("LATE_TABLE")])
    fan_out.subscribe(routed_rows.handler, access=[ProjectionTable("routed", hash_key="id").access("ROUTED_TABLE")])
    return Backfill("past", table=users, fan_out=fan_out, consumers=consumers, exports=exports)


def test_a_backfill_asks_the_queue_since_when_it_gets_changes(run) -> None:
    done = run(lambda: filled("greeting"))
    assert (["sqs:SendMessage", "sqs:GetQueueAttributes"], ARN.format("sqs", "greeting")) in statements(done, "past")
    states = json.loads(done.one("StateMachine").inputs["definition"])["States"]
    assert states["Walk"]["ItemSelector"]["purpose"] == "backfill"


@pytest.mark.parametrize(
    ("consumers", "message"),
    [
        ((), r"past: consumers=\[\] names none, and the fan-out has greeting, counting, bare, rows"),
        (("gretting",), "names gretting, and the fan-out has greeting, counting, bare, rows"),
        (("by-sequence",), "guarded by sequence numbers, which a table's items do not have"),
        (("counting",), "counting counts changes, and a table has items"),
        (("bare",), "bare has neither an effect ledger nor a projection"),
    ],
)
def test_a_consumer_that_cannot_take_the_past_is_refused(run, consumers: tuple[str, ...], message: str) -> None:
    with pytest.raises(Refused, match=message):
        run(lambda: filled(*consumers))


def test_a_backfill_from_exports_may_find_and_read_those_of_its_table_and_nothing_else(run) -> None:
    done = run(lambda: filled("rows", exports="arn:aws:s3:::exports/users"))
    own = set(map(str, statements(run(lambda: filled("rows")), "past")))
    assert [each for each in statements(done, "past") if str(each) not in own] == [
        (["dynamodb:DescribeTable"], ARN.format("dynamodb", "table/users")),
        (["dynamodb:DescribeExport"], ARN.format("dynamodb", "table/users/export/*")),
        (["s3:GetObject"], "arn:aws:s3:::exports/users/*"),
    ]


def test_the_exports_of_a_run_are_checked_once_and_then_read_by_every_segment(run) -> None:
    place = "arn:aws:s3:::exports/users"
    for given in (lambda: place, lambda: pulumi.Output.from_input(place)):  # an output is made within a program
        done = run(lambda given=given: filled("greeting", "rows", "routed-rows", exports=given()))
        definition = done.one("StateMachine").inputs["definition"]
        check_definition(definition)
        states = json.loads(definition)["States"]
        check = states["Check"]
        payload = check["Parameters"]["Payload"]
        assert (payload["check"], payload["exports.$"], payload["exportsIn"]) == (True, "$.exports", "exports/users")
        assert check["Retry"][0] == {"ErrorEquals": ["ExportRefused"], "MaxAttempts": 0}
        assert states["Walk"]["ItemSelector"]["exports.$"] == "$.found.Payload.exports"
        assert {name: each.get("notFromWindows") for name, each in payload["consumers"].items()} == {
            "greeting": "is not a projection alone (the effect ledger runs each effect once per key)",
            "rows": None,
            "routed-rows": "chooses among its functions by conditions, which cannot be asked about what lay in between",
        }


def test_a_backfill_without_a_bucket_refuses_exports(run) -> None:
    states = json.loads(run(lambda: filled("rows")).one("StateMachine").inputs["definition"])["States"]
    assert states["Source"]["Choices"] == [{"Variable": "$.exports", "IsPresent": True, "Next": "NoExports"}]
    assert states["NoExports"]["Cause"].startswith("past reads no exports: give Backfill(exports=…)")


@pytest.mark.parametrize("exports", ["exports", "arn:aws:s3:::exports/", "arn:aws:s3:::exports/*", "arn:aws:sqs:::x"])
def test_a_place_of_exports_that_is_not_a_bucket_is_refused(run, exports: str) -> None:
    with pytest.raises(Refused, match="is not the ARN of a bucket: write arn:aws:s3:::BUCKET"):
        run(lambda: filled("rows", exports=exports))
