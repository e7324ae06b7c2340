"""Functions on the endpoint: their runtime, their errors, their logs and their metrics."""

from __future__ import annotations

import json

import pytest
from botocore.exceptions import ClientError

honours = pytest.mark.honours


def test_a_function_that_raises_answers_its_error_and_keeps_its_process(world):
    world.function(
        "import os\n\n"
        "def handler(event, context):\n"
        "    if event:\n"
        "        raise LookupError('no such user')\n"
        "    return os.getpid()\n"
    )
    process = world.invoke({})
    answer = world.client("lambda").invoke(FunctionName=world.name, Payload='{"a": 1}')
    error = json.loads(answer["Payload"].read())
    assert answer["StatusCode"] == 200
    assert answer["FunctionError"] == "Unhandled"
    assert (error["errorType"], error["errorMessage"]) == ("LookupError", "no such user")
    assert "line 5, in handler" in error["stackTrace"][0]
    assert world.invoke({}) == process


@pytest.mark.parametrize(
    ("source", "error_type", "message"),
    [
        ("import os\n\ndef handler(event, context):\n    os._exit(7)\n", "Runtime.ExitError", "exit status 7"),
        ("import missing\n", "Runtime.ImportModuleError", "No module named 'missing'"),
        ("import local\n", "Runtime.ImportModuleError", "No module named 'local'"),
        ("handle = None\n", "Runtime.HandlerNotFound", "Handler 'handler' missing on module 'function'"),
        ("raise OSError('no disk')\n", "OSError", "no disk"),
        ("def handler(event, context):\n    return object()\n", "Runtime.MarshalError", "Unable to marshal response"),
        (
            "import time\n\ndef handler(event, context):\n    time.sleep(9)\n",
            "Sandbox.Timedout",
            "timed out after 1.00 s",
        ),
    ],
)
@honours("lambda:CreateFunction", "FunctionName Role Handler Code Timeout")
@honours("lambda:Invoke", "FunctionName")
def test_errors_have_the_types_that_lambda_gives_them(world, source, error_type, message):
    world.function(source, timeout=1)
    answer = world.client("lambda").invoke(FunctionName=world.name)
    error = json.loads(answer["Payload"].read())
    assert answer["FunctionError"] == "Unhandled"
    assert error["errorType"] == error_type
    assert message in error["errorMessage"]


def test_a_time_out_is_one_in_answer_log_metrics_and_history(world):
    stream = world.table()
    world.function(timeout=1)
    mapping = world.mapping(stream, MaximumRetryAttempts=0)
    world.put("a", do="sleep")
    world.settle(mapping)
    assert world.invocations(mapping) == [(["a"], "timeout")]
    assert world.control.metric_sum("Errors", FunctionName=world.name) == 1
    assert world.control.metric_sum("Duration", FunctionName=world.name) == 1000
    *_, last, _, report = world.log()
    assert last.endswith(" Task timed out after 1.00 seconds")
    assert "\tDuration: 1000.00 ms\t" in report
    assert report.endswith("\tStatus: timeout")


def test_the_numbers_of_dynamodb_are_numbers_in_an_answer_as_lambdas_runtime_writes_them(world):
    world.function(
        "from decimal import Decimal\n\n"
        "def handler(event, context):\n"
        "    return [Decimal(digits) for digits in event]\n"
    )
    assert world.invoke(["3", "0.1", f"{10**30}", "1E+2"]) == [3, 0.1, 10**30, 100.0]


def test_a_new_process_follows_one_that_ended(world):
    world.function("import os\n\ndef handler(event, context):\n    if event:\n        os._exit(1)\n    return 'fine'\n")
    world.client("lambda").invoke(FunctionName=world.name, Payload='{"end": 1}')
    assert world.invoke({}) == "fine"


def test_loading_a_handler_does_not_count_against_its_timeout(world):
    world.function("import time\ntime.sleep(1.2)\n\ndef handler(event, context):\n    return 'loaded'\n", timeout=1)
    assert world.invoke() == "loaded"
    report = world.log()[-1]
    assert float(report.split("\tInit Duration: ")[1].removesuffix(" ms")) > 1000
    assert float(report.split("\tDuration: ")[1].split(" ms")[0]) < 1000
    assert world.control.metric_sum("Duration", FunctionName=world.name) < 1000


def test_the_context_is_the_one_of_lambda(world):
    world.function(
        "def handler(event, context):\n"
        "    return [context.function_name, context.function_version, context.invoked_function_arn,\n"
        "            context.memory_limit_in_mb, 0 < context.get_remaining_time_in_millis() <= 3000]\n",
        timeout=3,
    )
    arn = f"arn:aws:lambda:us-east-1:111122223333:function:{world.name}"
    assert world.invoke() == [world.name, "$LATEST", arn, "128", True]


@honours("lambda:CreateFunction", "Environment")
def test_a_function_reaches_the_endpoint_by_a_plain_client(world):
    world.table()
    world.function(
        "import boto3, os\n\n"
        "def handler(event, context):\n"
        "    boto3.client('dynamodb').put_item(TableName=os.environ['TABLE'], Item={'id': {'S': 'by a function'}})\n",
        Environment={"Variables": {"TABLE": world.name}},
    )
    assert world.invoke() is None
    (item,) = world.client("dynamodb").scan(TableName=world.name)["Items"]
    assert item["id"] == {"S": "by a function"}


def test_writes_of_a_function_reach_the_consumers_of_their_table(world):
    stream = world.table()
    world.function(name=f"{world.name}-reader")
    world.function(
        "import boto3, os\n\n"
        "def handler(event, context):\n"
        "    boto3.client('dynamodb').put_item(TableName=os.environ['TABLE'], Item={'id': {'S': 'a'}})\n",
        Environment={"Variables": {"TABLE": world.name}},
    )
    mapping = world.mapping(stream, f"{world.name}-reader")
    world.invoke()
    world.settle(mapping)
    assert world.invocations(mapping) == [(["a"], "success")]


def test_only_what_is_in_its_archive_can_be_imported(world):
    world.function("from handlers import welcome_email\n")
    answer = world.client("lambda").invoke(FunctionName=world.name)
    assert json.loads(answer["Payload"].read())["errorType"] == "Runtime.ImportModuleError"


@pytest.mark.parametrize("package", ["boto3", "botocore.exceptions", "dateutil", "jmespath", "six", "urllib3"])
def test_what_lambdas_runtime_ships_can_be_imported(world, package):
    world.function(f"import {package}\n\ndef handler(event, context):\n    return {package}.__name__\n")
    assert world.invoke({}) == package


@pytest.mark.parametrize("package", ["pydantic", "pulumi", "ministack", "yaml", "pip", "handlers"])
def test_a_package_that_only_this_machine_has_is_missing_as_on_aws(world, package):
    world.function(f"import {package}\n\ndef handler(event, context):\n    pass\n")
    answer = world.client("lambda").invoke(FunctionName=world.name, Payload="{}")
    assert f"No module named '{package}'" in json.loads(answer["Payload"].read())["errorMessage"]


@honours("lambda:CreateFunction", "LoggingConfig")
@honours("logs:CreateLogGroup", "logGroupName")
def test_output_goes_to_the_log_group_that_was_configured_in_the_format_that_was_configured(world):
    world.client("logs").create_log_group(logGroupName=world.name)
    world.function(
        "import logging\n\n"
        "def handler(event, context):\n"
        "    print('printed')\n"
        "    logging.getLogger('mine').warning('seen %s', 'twice', extra={'eventId': 'e-1'})\n",
        LoggingConfig={"LogGroup": world.name, "LogFormat": "JSON"},
    )
    world.invoke()
    events = world.client("logs").filter_log_events(logGroupName=world.name)["events"]
    start, printed, logged, *_ = [event["message"] for event in events]
    line = json.loads(logged)
    assert start.startswith("START RequestId: ")
    assert printed == "printed"
    assert (line["level"], line["message"], line["logger"], line["eventId"]) == ("WARNING", "seen twice", "mine", "e-1")
    assert start.split()[2] == line["requestId"]


def test_logged_lines_carry_level_time_and_request_id_as_text_too(world):
    world.function("import logging\n\ndef handler(event, context):\n    logging.warning('beware')\n")
    world.invoke()
    (line,) = [line for line in world.log() if "beware" in line]
    level, _, request_id, message = line.split("\t")
    assert (level, message) == ("[WARNING]", "beware")
    assert f"START RequestId: {request_id} Version: $LATEST" in world.log()


def test_every_line_of_a_burst_is_logged_with_its_own_invocation(world):
    world.function("def handler(event, context):\n    for n in range(200):\n        print(event, n)\n")
    for each in (1, 2):
        world.invoke(each)
    assert [line for line in world.log() if line[0] in "12"] == [f"{each} {n}" for each in (1, 2) for n in range(200)]


def test_embedded_metrics_of_a_function_are_recorded(world):
    document = {
        "_aws": {
            "Timestamp": 0,
            "CloudWatchMetrics": [
                {"Namespace": "Weir", "Dimensions": [["FunctionName"]], "Metrics": [{"Name": "EffectsApplied"}]}
            ],
        },
        "FunctionName": world.name,
        "EffectsApplied": 3,
    }
    world.function(f"import json\n\ndef handler(event, context):\n    print(json.dumps({document!r}))\n")
    world.invoke()
    world.invoke()
    assert world.control.metric_sum("EffectsApplied", FunctionName=world.name) == 6


def test_invocations_and_errors_are_counted_whoever_invokes(world):
    stream = world.table()
    world.function()
    mapping = world.mapping(stream, MaximumRetryAttempts=0)
    world.put("a", do="raise")
    world.settle(mapping)
    world.invoke({"Records": []})
    assert world.control.metric_sum("Invocations", FunctionName=world.name) == 2
    assert world.control.metric_sum("Errors", FunctionName=world.name) == 1


def test_concurrent_invocations_run_in_processes_of_their_own(world):
    stream, other = world.table(), world.table(f"{world.name}-other")
    world.function(
        "import os, time\n\ndef handler(event, context):\n    time.sleep(0.3)\n    print('pid', os.getpid())\n"
    )
    mappings = [world.mapping(stream), world.mapping(other)]
    world.put("a")
    world.put("b", table=f"{world.name}-other")
    for mapping in mappings:
        world.settle(mapping)
    assert len({line for line in world.log() if line.startswith("pid")}) == 2


@pytest.mark.parametrize("payload", [b"{", b"nothing", b"\xff"])
def test_a_payload_that_is_not_json_is_refused(world, payload):
    world.function("def handler(event, context):\n    return event\n")
    with pytest.raises(ClientError) as refused:
        world.client("lambda").invoke(FunctionName=world.name, Payload=payload)
    assert refused.value.response["Error"]["Code"] == "InvalidRequestContentException"


@pytest.mark.parametrize("payload", ['{"a":\r\n [1,\n "ä\u2028\\n"]}', '"ö"', "1e3", "null", " [] "])
def test_a_payload_reaches_the_function_as_it_means(world, payload):
    world.function("def handler(event, context):\n    return event\n")
    answer = world.client("lambda").invoke(FunctionName=world.name, Payload=payload.encode())
    assert json.loads(answer["Payload"].read()) == json.loads(payload)
