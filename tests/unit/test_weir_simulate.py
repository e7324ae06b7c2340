"""The commands `weir simulate` and `weir what-if`, as a user calls them."""

from __future__ import annotations

import inspect
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from components.delivery import StreamDelivery
from ops.cli import app
from ops.what_if import what_if

SCENARIO = """
version: 1
eventSourceMapping: {StartingPosition: TRIM_HORIZON, MaximumRetryAttempts: 1}
records: [{dynamodb: {SequenceNumber: "101"}}, {at: 5, dynamodb: {SequenceNumber: "102"}}]
handler: [{when: {contains: ["101"]}, then: raise}]
"""

cli = CliRunner()
conforms = pytest.mark.conformance


def written(folder: Path, text: str, name: str = "scenario.yaml") -> str:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_the_report_is_the_same_byte_for_byte(tmp_path: Path):
    runs = [cli.invoke(app, ["simulate", written(tmp_path, SCENARIO), "--json"]) for _ in range(2)]
    assert runs[0].exit_code == 0
    assert runs[0].stdout == runs[1].stdout
    assert list(json.loads(runs[0].stdout)) == [
        "version",
        "invocations",
        "onFailure",
        "dropped",
        "filteredOut",
        "metrics",
        "checkpoints",
        "unfinished",
    ]


def test_the_report_can_be_written_whatever_the_terminal_can_show(tmp_path: Path):
    scenario = written(
        tmp_path,
        "{eventSourceMapping: {StartingPosition: LATEST}, records: [{shard: 日, eventID: 本}],"
        " stream: {shards: [{id: 日}]}}",
    )
    ran = cli.invoke(app, ["simulate", scenario, "--json"])
    assert ran.stdout.isascii()
    assert json.loads(ran.stdout)["invocations"][0]["shard"] == "日"


def test_half_a_character_in_a_state_is_taken_as_it_is():
    state = {"then": {"return": {"state": {"half": "\ud800"}}}}
    mapping = {"StartingPosition": "TRIM_HORIZON", "TumblingWindowInSeconds": 5}
    document = {"eventSourceMapping": mapping, "records": [{}], "handler": [state]}
    ran = cli.invoke(app, ["simulate", "-", "--json"], input=json.dumps(document))
    assert [each["outcome"] for each in json.loads(ran.stdout)["invocations"]] == ["success", "success"]


def test_a_scenario_can_come_from_standard_input_and_be_json():
    document = {"eventSourceMapping": {"StartingPosition": "LATEST"}, "records": [{}]}
    ran = cli.invoke(app, ["simulate", "-", "--json"], input=json.dumps(document))
    assert json.loads(ran.stdout)["invocations"][0]["outcome"] == "success"


def test_the_timeline_shows_what_happened_in_order(tmp_path: Path):
    ran = cli.invoke(app, ["simulate", written(tmp_path, SCENARIO)])
    words = [line.split() for line in ran.stdout.splitlines()]
    events = [word for line in words for word in line[1:3] if word in ("error", "dropped", "success")]
    assert events == ["error", "error", "dropped", "success"]
    assert "3 invocations: 1 success, 2 error" in ran.stdout


def test_the_timeline_of_a_queue_shows_what_its_redrive_policy_moved(tmp_path: Path):
    queue = """
eventSourceMapping: {EventSourceArn: "arn:aws:sqs:us-east-1:111122223333:orders"}
queue: {maxReceiveCount: 2}
records: [{messageId: a}]
handler: [{then: raise}]
"""
    ran = cli.invoke(app, ["simulate", written(tmp_path, queue)])
    lines = [" ".join(line.split()) for line in ran.stdout.splitlines()]
    assert "30.000 0 error 2 a 30.0 s" in lines
    assert "60.000 redrive a (received 2 times)" in lines


PIPE = """
pipe:
  Name: orders
  RoleArn: arn:aws:iam::111122223333:role/pipe
  Source: arn:aws:sqs:us-east-1:111122223333:orders
  Target: arn:aws:lambda:us-east-1:111122223333:function:orders
  LogConfiguration:
    Level: "LEVEL"
    IncludeExecutionData: [ALL]
    CloudwatchLogsLogDestination: {LogGroupArn: "arn:aws:logs:us-east-1:111122223333:log-group:pipes"}
records: [{messageId: a, body: hello}]
handler: [{times: 1, takes: 2, then: raise}]
"""


def logged(folder: Path, level: str) -> list[str]:
    ran = cli.invoke(app, ["simulate", written(folder, PIPE.replace("LEVEL", level))])
    lines = [" ".join(line.split()) for line in ran.stdout.splitlines()]
    return [line for line in lines if " log " in line]


@conforms("PIPE-OPS-1", "documented")
@conforms("PIPE-OPS-2", "documented")
def test_pipe_ops_2_the_timeline_of_a_pipe_has_the_log_records_of_its_level(tmp_path: Path):
    assert logged(tmp_path, "OFF") == []
    assert logged(tmp_path, "ERROR") == [
        "2.000 log ERROR TARGET_INVOCATION_FAILED: Lambda function failed",
        "2.000 log ERROR TARGET_STAGE_FAILED: Lambda function failed",
        "2.000 log ERROR EXECUTION_FAILED: Lambda function failed",
    ]
    of_info = [line.split(":")[0] for line in logged(tmp_path, "INFO")]
    assert of_info[:2] == ["0.000 log INFO EXECUTION_STARTED", "0.000 log INFO TARGET_STAGE_ENTERED"]
    assert of_info[-1] == "30.000 log INFO EXECUTION_SUCCEEDED"
    assert "30.000 log TRACE TARGET_INVOCATION_SUCCEEDED" in logged(tmp_path, "TRACE")


def test_the_report_does_not_depend_on_what_a_pipe_logs(tmp_path: Path):
    reports = [
        cli.invoke(app, ["simulate", written(tmp_path, PIPE.replace("LEVEL", level)), "--json"]).stdout
        for level in ("OFF", "TRACE")
    ]
    assert reports[0] == reports[1] != ""


def test_every_problem_has_a_line_on_standard_error(tmp_path: Path):
    ran = cli.invoke(
        app,
        ["simulate", written(tmp_path, "eventSourceMapping: {BatchSize: 0}\nrecord: []\nhandler: [{then: explode}]")],
    )
    assert ran.exit_code == 2
    assert ran.stdout == ""
    aws = "eventSourceMapping: 1 validation error detected: Value"
    failed = "failed to satisfy constraint: Member must"
    assert ran.stderr.splitlines() == [
        (
            "handler.0.then: is not one of "
            "raise, timeout, throttle, succeed, {return: a value} and {report: [identifiers]}"
        ),
        "record: unknown key, did you mean records?",
        f"{aws} '0' at 'batchSize' {failed} have value greater than or equal to 1",
        f"{aws} null at 'startingPosition' {failed} not be null.",
    ]


def test_a_value_of_the_wrong_type_hides_no_other_problem(tmp_path: Path):
    scenario = """
    eventSourceMapping:
      BatchSize: many
      StartingPosition: AT_TIMESTAMP
      FunctionResponseTypes: [Bad]
      TumblingWindowInSeconds: 10
      ParallelizationFactor: 2
    handler: [{when: {between: [20, 10]}, then: raise}]
    """
    ran = cli.invoke(app, ["simulate", written(tmp_path, scenario)])
    assert ran.exit_code == 2
    said = [line.removeprefix("eventSourceMapping: ") for line in ran.stderr.splitlines()]
    assert [line[:70] for line in said] == [
        "handler.0.when.between: ends before it begins, so that the rule would ",
        "BatchSize='many' is not a whole number",
        "Unsupported starting position for arn type: arn:aws:dynamodb:us-east-1",
        "1 validation error detected: Value '[Bad]' at 'functionResponseTypes' ",
        "Parallelization factor must be equal to 1 when tumbling window period ",
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "eventSourceMapping: {StartingPosition: LATEST}\nhandler: []\nhandler: [{then: raise}]",
            "line 3: the key handler",
        ),
        (
            '{"eventSourceMapping": {"StartingPosition": "LATEST", "StartingPosition": "TRIM_HORIZON"}}',
            "StartingPosition",
        ),
    ],
)
def test_a_key_that_is_there_twice_is_refused_because_one_would_be_ignored(tmp_path: Path, text: str, said: str):
    ran = cli.invoke(app, ["simulate", written(tmp_path, text)])
    assert ran.exit_code == 2
    (line,) = ran.stderr.splitlines()
    assert said in line
    assert "is there twice in one object" in line


def test_yaml_may_begin_like_json(tmp_path: Path):
    ran = cli.invoke(app, ["simulate", written(tmp_path, "{eventSourceMapping: {StartingPosition: LATEST}}"), "--json"])
    assert ran.exit_code == 0
    assert json.loads(ran.stdout)["invocations"] == []


def test_made_up_names_are_in_the_streams_region_and_account(tmp_path: Path):
    stream = "arn:aws:dynamodb:eu-west-1:444455556666:table/orders/stream/2026-01-01T00:00:00.000"
    document = {
        "eventSourceMapping": {
            "EventSourceArn": stream,
            "FunctionName": "mailer:7",
            "StartingPosition": "TRIM_HORIZON",
            "MaximumRetryAttempts": 0,
            "DestinationConfig": {"OnFailure": {"Destination": "arn:aws:s3:::failures"}},
        },
        "records": [{}],
        "handler": [{"then": "raise"}],
    }
    ran = cli.invoke(app, ["simulate", written(tmp_path, json.dumps(document)), "--json"])
    (failure,) = json.loads(ran.stdout)["onFailure"]
    assert failure["body"]["requestContext"]["functionArn"] == "arn:aws:lambda:eu-west-1:444455556666:function:mailer:7"
    assert failure["body"]["responseContext"]["executedVersion"] == "7"
    assert json.loads(failure["body"]["payload"])["Records"][0]["awsRegion"] == "eu-west-1"


def test_a_mistake_is_told_with_what_was_meant(tmp_path: Path):
    text = """
    eventSourceMaping: {StartingPosition: LATEST}
    Records: [{dynamodb: {SequenceNumber: 1}}]
    start: 5
    records: [{dynamodb: {SequenceNumber: 1}}, a, {dynamodb: {SequenceNumber: "\\u0661"}}]
    handler: [{then: {return: .nan}}, {when: {contain: ["1"]}}]
    """
    ran = cli.invoke(app, ["simulate", written(tmp_path, text)])
    assert ran.exit_code == 2
    assert sorted(ran.stderr.splitlines()) == [
        "Records: unknown key, did you mean records?",
        "eventSourceMaping: unknown key, did you mean eventSourceMapping?",
        "handler.0.then: returns something that is not a JSON value",
        "handler.1.when.contain: unknown key, did you mean contains?",
        "records.0.dynamodb.SequenceNumber: is a number, and a text is wanted: put it in quotes",
        "records.1: is not an object with members",
        "records.2.dynamodb.SequenceNumber: is not a sequence number, which has 1 to 4300 digits",
        "start: is not a time; write one like 2026-01-01T00:00:00Z",
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("timeout: 5", "timeout: unknown key, did you mean function.Timeout?"),
        ("BatchSize: 5", "BatchSize: unknown key, did you mean eventSourceMapping.BatchSize?"),
        ("visibilityTimeout: 5", "visibilityTimeout: unknown key, did you mean queue.visibilityTimeout?"),
        ("shards: []", "shards: unknown key, did you mean stream.shards?"),
        ("mapping: {}", "mapping: unknown key"),
        ("function: {timeout: 5}", "function.timeout: unknown key, did you mean Timeout?"),
        ("queue: {visibilityTimout: 5}", "queue.visibilityTimout: unknown key, did you mean visibilityTimeout?"),
        (
            'records: [{SequenceNumber: "1"}]',
            "records.0.SequenceNumber: unknown key, did you mean records.dynamodb.SequenceNumber?",
        ),
        (
            'records: [{dynamodb: {sequenceNumber: "1"}}]',
            "records.0.dynamodb.sequenceNumber: unknown key, did you mean SequenceNumber?",
        ),
        ("handler: [{contains: ['1']}]", "handler.0.contains: unknown key, did you mean handler.when.contains?"),
        ("handler: [{then: rasie}]", "{report: [identifiers]}, did you mean raise?"),
        ("handler: [{then: {reprot: ['1']}}]", "{report: [identifiers]}, did you mean report?"),
    ],
)
def test_an_unknown_key_names_the_one_that_was_meant(tmp_path: Path, text: str, said: str):
    mapping = "eventSourceMapping: {StartingPosition: TRIM_HORIZON}"
    ran = cli.invoke(app, ["simulate", written(tmp_path, f"{mapping}\n{text}")])
    assert ran.exit_code == 2
    assert ran.stderr.strip().endswith(said)


def test_an_unknown_parameter_names_the_one_that_was_meant(tmp_path: Path):
    wrong = {
        "eventSourceMapping: {StartingPosition: LATEST, BatchSise: 5}": "did you mean BatchSize?",
        "eventSourceMapping: {EventSourceArn: 'arn:aws:sqs:us-east-1:111122223333:q', batchSize: 5}": "mean BatchSize?",
        "pipe: {Name: p, Sorce: a}": "Sorce is not a parameter of CreatePipe, did you mean Source?",
    }
    for text, said in wrong.items():
        ran = cli.invoke(app, ["simulate", written(tmp_path, text)])
        assert (ran.exit_code, said in ran.stderr) == (2, True)


def test_what_was_skipped_of_a_pasted_answer_is_said_beside_the_report(tmp_path: Path):
    text = "eventSourceMapping: {StartingPosition: TRIM_HORIZON, UUID: u, State: Enabled}\nrecords: [{}]"
    file = written(tmp_path, text)
    ran = cli.invoke(app, ["simulate", file, "--json"])
    assert ran.stderr == f"{file}: eventSourceMapping: skipped, because they are no settings: UUID, State\n"
    assert (ran.exit_code, json.loads(ran.stdout)["unfinished"]) == (0, [])


def test_text_that_cannot_be_read_is_told_with_its_line_or_depth(tmp_path: Path):
    unreadable = {
        "a: 1\n b: 2\n": "neither YAML nor JSON: line 2, column 3: mapping values are not allowed",
        '{"records": ' + "[" * 100_000: "nested too deeply",
        "eventSourceMapping: &a {StartingPosition: LATEST, X: *a}": "a YAML alias stands inside its anchor",
    }
    for text, told in unreadable.items():
        ran = cli.invoke(app, ["simulate", written(tmp_path, text)])
        assert ran.exit_code == 2
        assert told in ran.stderr
        assert len(ran.stderr.splitlines()) == 1


def test_a_time_in_yaml_needs_no_quotes(tmp_path: Path):
    text = SCENARIO + "start: 2026-02-03T04:05:06+02:00"
    quoted = SCENARIO + 'start: "2026-02-03T02:05:06Z"'
    runs = [cli.invoke(app, ["simulate", "--json", written(tmp_path, each)]) for each in (text, quoted)]
    assert runs[0].exit_code == 0
    assert runs[0].stdout == runs[1].stdout


def test_with_several_scenarios_a_problem_names_its_file(tmp_path: Path):
    right, wrong = written(tmp_path, SCENARIO), written(tmp_path, SCENARIO + "until: soon", "wrong.yaml")
    ran = cli.invoke(app, ["simulate", right, wrong])
    assert ran.stderr == f"{wrong}: until: input should be a valid number\n"


def test_a_rule_that_met_no_invocation_is_told(tmp_path: Path):
    wrong = SCENARIO.replace('contains: ["101"]', 'contains: ["1O1"]')
    assert "handler.0 applied to no invocation" in cli.invoke(app, ["simulate", written(tmp_path, wrong)]).stdout
    assert "applied to no" not in cli.invoke(app, ["simulate", written(tmp_path, SCENARIO)]).stdout


def test_a_shard_is_named_where_there_are_several_and_shown_as_it_is_written(tmp_path: Path):
    assert "lane" in cli.invoke(app, ["simulate", written(tmp_path, SCENARIO)]).stdout
    assert "  shard  " not in cli.invoke(app, ["simulate", written(tmp_path, SCENARIO)]).stdout
    text = """
    eventSourceMapping: {StartingPosition: TRIM_HORIZON}
    stream: {shards: [{id: "[red]a"}, {id: "[/]"}]}
    records: [{shard: "[red]a"}, {shard: "[/]"}]
    """
    shown = cli.invoke(app, ["simulate", written(tmp_path, text)]).stdout
    assert "  [red]a     0  success" in shown
    assert "  [/]        0  success" in shown


def test_help_fits_a_narrow_terminal_with_every_option_in_full(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("COLUMNS", "80")
    shown = cli.invoke(app, ["what-if", "-h"]).stdout
    for name in inspect.signature(what_if).parameters:
        assert name == "as_json" or f"--{name.replace('_', '-')}" in shown
    assert "MaximumBatchingWindowInSeconds" in shown
    assert max(map(len, shown.splitlines())) <= 80


def test_contradictions_in_a_scenario_are_named(tmp_path: Path):
    ran = cli.invoke(
        app,
        [
            "simulate",
            written(
                tmp_path,
                """
    eventSourceMapping: {StartingPosition: LATEST, EventSourceArn: "arn:aws:kafka:us-east-1:111122223333:cluster/c/1"}
    """,
            ),
        ],
    )
    assert "'arn:aws:kafka:us-east-1:111122223333:cluster/c/1' is not a source that is simulated" in ran.stderr
    ran = cli.invoke(
        app,
        [
            "simulate",
            written(
                tmp_path,
                """
    eventSourceMapping: {StartingPosition: LATEST}
    enrichment: [{then: raise}]
    stream: {shards: [{id: a, parent: b}, {id: b, parent: a}, {id: c, parent: d}, {id: c}]}
    records: [{shard: e}, {}, {shard: a, eventID: x, dynamodb: {SequenceNumber: "1"}},
              {shard: a, eventID: x, dynamodb: {SequenceNumber: "01"}}]
    """,
            ),
        ],
    )
    assert ran.stderr.splitlines() == [
        "enrichment: only a pipe has one",
        "stream.shards: c is there twice",
        "stream.shards: c has the parent d, which is not a shard of it",
        "stream.shards: a is among its own ancestors",
        "stream.shards: b is among its own ancestors",
        "records.0.shard: e is not a shard of the stream",
        "records.1.shard: the stream has several shards, and the record names none",
        "records: sequence number 1 is there twice in a shard",
        "records: eventID x is there twice",
    ]


def test_what_is_no_scenario_at_all_is_said_without_a_traceback(tmp_path: Path):
    for text in ("[1, 2", "- just\n- a list", '{"broken": '):
        ran = cli.invoke(app, ["simulate", written(tmp_path, text)])
        assert ran.exit_code == 2
        assert len(ran.stderr.splitlines()) == 1
    assert cli.invoke(app, ["simulate", str(tmp_path / "nothing.yaml")]).exit_code == 2
    assert cli.invoke(app, ["simulate", written(tmp_path, "records: 3")]).exit_code == 2


def test_values_that_are_no_dynamodb_items_are_refused(tmp_path: Path):
    ran = cli.invoke(
        app,
        [
            "simulate",
            written(
                tmp_path,
                """
    eventSourceMapping: {StartingPosition: LATEST}
    start: yesterday
    records: [{dynamodb: {Keys: {pk: {X: a}}}}, {dynamodb: {NewImage: {n: {N: many}}}}]
    """,
            ),
        ],
    )
    assert ran.stderr.splitlines() == [
        "start: is not a time; write one like 2026-01-01T00:00:00Z",
        "records.0.dynamodb.Keys: attribute 'pk' is not a DynamoDB value such as {S: text}",
        "records.1.dynamodb.NewImage: is not a DynamoDB item: a value does not fit its type",
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("start: '0001-01-01T00:00:00Z'", "start: is not in the years 1970 to 2999"),
        ("records: [{at: -1.0e+300}]", "records.0.at: input should be greater than or equal to -1000000000"),
    ],
)
def test_a_moment_that_no_calendar_has_is_refused(tmp_path: Path, text: str, said: str):
    mapping = "eventSourceMapping: {StartingPosition: TRIM_HORIZON}"
    ran = cli.invoke(app, ["simulate", written(tmp_path, f"{mapping}\n{text}")])
    assert (ran.exit_code, ran.stderr.strip()) == (2, said)


def test_what_if_shows_that_the_programs_defaults_park_the_poison_and_lose_nothing():
    ran = cli.invoke(app, ["what-if", "--json"])
    found = json.loads(ran.stdout)
    for failure in ("crash", "report"):
        assert found[failure]["endsAs"] == "dead letter"
        assert found[failure]["lossAfterSeconds"] is None
        assert 303 < found[failure]["blockedSeconds"] < 320
    assert found["retryHorizonSeconds"] == 303.75
    assert found["behindAfterSeconds"] is None


def test_what_if_shows_that_awss_defaults_block_a_shard_for_a_day():
    aws = "--batching-window 0 --retries -1 --record-age -1 --no-bisect --no-partial-responses --no-destination"
    found = json.loads(cli.invoke(app, ["what-if", *aws.split(), "--json"]).stdout)["crash"]
    assert found["endsAs"] == "lost"
    assert 86_400 <= found["blockedSeconds"] <= 86_500
    assert found["alarmAfterSeconds"] == 480
    assert found["invocations"] > 1400


def test_what_if_prints_a_table_and_says_when_a_shard_cannot_keep_up():
    ran = cli.invoke(app, ["what-if", "--rate", "100", "--duration", "2", "--batch-size", "10"])
    assert "its lane is blocked for" in ran.stdout
    assert "records are lost after" in ran.stdout


def test_what_if_says_in_words_that_a_function_takes_no_time():
    ran = cli.invoke(app, ["what-if", "--duration", "0"])
    assert "capacity is any number of records a second" in ran.stdout


def test_what_if_refuses_what_aws_refuses():
    ran = cli.invoke(app, ["what-if", "--record-age", "30"])
    assert ran.exit_code == 2
    assert "must be either -1 (forever) or between 60 and 604800" in ran.stderr


def test_the_defaults_of_what_if_are_those_of_a_consumer():
    defaults = {name: each.default for name, each in inspect.signature(what_if).parameters.items()}
    of = StreamDelivery()
    assert defaults["batch_size"] == of.batch_size
    assert defaults["batching_window"] == of.maximum_batching_window_in_seconds
    assert defaults["parallelization_factor"] == of.parallelization_factor
    assert defaults["retries"] == of.maximum_retry_attempts
    assert defaults["record_age"] == of.maximum_record_age_in_seconds
    assert defaults["bisect"] == of.bisect_batch_on_function_error
    assert defaults["partial_responses"] == of.report_batch_item_failures


def test_records_that_name_the_first_shard_and_records_that_name_none_are_numbered_together(tmp_path: Path):
    scenario = """
    eventSourceMapping: {StartingPosition: TRIM_HORIZON}
    stream: {shards: [{id: s1}]}
    records: [{}, {shard: s1}, {}]
    """
    ran = cli.invoke(app, ["simulate", "--json", written(tmp_path, scenario)])
    [invocation] = json.loads(ran.stdout)["invocations"]
    assert len(set(invocation["identifiers"])) == 3


def test_a_number_without_quotes_is_the_text_that_the_stream_would_show(tmp_path: Path):
    scenario = """
    eventSourceMapping:
      StartingPosition: TRIM_HORIZON
      MaximumRetryAttempts: 0
      FilterCriteria: {Filters: [{Pattern: '{"dynamodb":{"NewImage":{"age":{"N":["5"]}}}}'}]}
      DestinationConfig: {OnFailure: {Destination: "arn:aws:s3:::failures"}}
    records: [{dynamodb: {NewImage: {age: {N: 5}, of: {M: {all: {L: [{NS: [1.5, "2"]}]}}}}}}]
    handler: [{then: raise}]
    """
    ran = cli.invoke(app, ["simulate", "--json", written(tmp_path, scenario)])
    [letter] = json.loads(ran.stdout)["onFailure"]
    [record] = json.loads(letter["body"]["payload"])["Records"]
    assert record["dynamodb"]["NewImage"] == {"age": {"N": "5"}, "of": {"M": {"all": {"L": [{"NS": ["1.5", "2"]}]}}}}


@pytest.mark.parametrize("value", ["{N: true}", "{N: [5]}", "{NS: 5}", "{N: five}", "{L: [5]}", "{M: {a: 5}}"])
def test_what_is_no_number_is_not_made_one(value: str, tmp_path: Path):
    scenario = f"eventSourceMapping: {{StartingPosition: LATEST}}\nrecords: [{{dynamodb: {{Keys: {{a: {value}}}}}}}]"
    ran = cli.invoke(app, ["simulate", written(tmp_path, scenario)])
    assert (ran.exit_code, ran.stderr.count("\n")) == (2, 1)
    assert "is not a DynamoDB item: a value does not fit its type" in ran.stderr
