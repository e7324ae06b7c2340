"""Enrichments of a pipe, and targets that run or call something."""

from __future__ import annotations

import gzip
import http.server
import json
import re
import threading
import zlib

import pytest

from tests.local.pipe_world import ids

conforms = pytest.mark.conformance
honours = pytest.mark.honours

#: Answers with what each event is about.
KEYS = """
def handler(events, context):
    return [{"eventID": event["eventID"], "id": event["dynamodb"]["Keys"]["id"]["S"]} for event in events]
"""
OPERATIONS = {"StartAt": "Pass", "States": {"Pass": {"Type": "Pass", "End": True}}}
FAILS = {"StartAt": "Fail", "States": {"Fail": {"Type": "Fail", "Error": "Refused", "Cause": "no"}}}


class Api(http.server.ThreadingHTTPServer):
    """Keeps the requests it got and gives the answers that were set."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.requests: list[tuple[str, str, dict[str, str], str]] = []
        self.statuses: list[int] = []
        self.answer = b""
        self.encoding = ""


class _Handler(http.server.BaseHTTPRequestHandler):
    server: Api

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"])).decode()
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.requests.append((self.command, self.path, headers, body))
        status = self.server.statuses.pop(0) if self.server.statuses else 200
        self.send_response(status)
        if self.server.encoding:
            self.send_header("content-encoding", self.server.encoding)
        self.send_header("content-length", str(len(self.server.answer)))
        self.end_headers()
        self.wfile.write(self.server.answer)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def api():
    server = Api()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def destination(pipes, api):
    """The ARN of an API destination of that server, with a wildcard in its path."""
    events = pipes.client("events")
    connection = events.create_connection(
        Name=pipes.name,
        AuthorizationType="API_KEY",
        AuthParameters={
            "ApiKeyAuthParameters": {"ApiKeyName": "x-key", "ApiKeyValue": "secret"},
            "InvocationHttpParameters": {"HeaderParameters": [{"Key": "x-from", "Value": "connection"}]},
        },
    )["ConnectionArn"]
    return events.create_api_destination(
        Name=pipes.name,
        ConnectionArn=connection,
        InvocationEndpoint=f"http://127.0.0.1:{api.server_port}/users/*",
        HttpMethod="POST",
    )["ApiDestinationArn"]


@conforms("PIPE-SHAPE-1", "documented")
@honours("pipes:CreatePipe", "Name Source Target Enrichment")
def test_pipe_shape_1_a_function_enriches_a_batch_before_it_is_sent(pipes):
    queue = pipes.queue()
    pipes.deliver(queue, "ab", Enrichment=pipes.function(KEYS))
    assert [message["id"] for message in pipes.messages(queue)] == ["a", "b"]


@conforms("PIPE-SHAPE-4", "documented")
@honours("pipes:CreatePipe", "EnrichmentParameters TargetParameters")
def test_pipe_shape_4_an_enrichment_gets_what_its_template_makes_and_the_target_what_its_own_makes_of_the_answer(pipes):
    queue = pipes.queue()
    double = "def handler(events, context):\n    return [{'twice': 2 * event['id']} for event in events]\n"
    pipes.deliver(
        queue,
        "ab",
        Enrichment=pipes.function(double),
        EnrichmentParameters={"InputTemplate": '{"id": <$.dynamodb.Keys.id.S>}'},
        TargetParameters={"InputTemplate": '{"result": <$.twice>}'},
    )
    assert pipes.messages(queue) == [{"result": "aa"}, {"result": "bb"}]


@conforms("PIPE-SHAPE-2", "documented")
def test_pipe_shape_2_an_empty_answer_of_an_enrichment_skips_the_target(pipes):
    queue = pipes.queue()
    pipes.deliver(queue, "ab", Enrichment=pipes.function("def handler(events, context):\n    return []\n"))
    assert pipes.messages(queue) == []
    assert pipes.executions() == [("ab", "success")]


@conforms("PIPE-OPS-3", "documented")
@conforms("PIPE-SHAPE-1", "documented")
def test_pipe_shape_1_an_enrichment_that_fails_costs_the_batch_a_retry(pipes):
    queue = pipes.queue()
    fails = pipes.function("def handler(events, context):\n    raise ValueError('poison')\n")
    pipes.deliver(queue, "ab", Enrichment=fails, source={"MaximumRetryAttempts": 1})
    assert pipes.executions() == [("ab", "error"), ("ab", "error")]
    assert (pipes.metric("EnrichmentStageFailed"), pipes.metric("TargetStageFailed")) == (2, 0)


#: Answers texts, the one of "b" with a character that a queue refuses, until it is asked about "b" alone.
ONCE_INVALID = """
def handler(events, context):
    def text(event):
        return "\\x01" if len(events) > 1 and event["dynamodb"]["Keys"]["id"]["S"] == "b" else "fine"

    return [{"eventID": IDENTIFIER, "text": text(event)} for event in events]
"""


@conforms("PIPE-FAIL-2", "documented")
def test_pipe_fail_2_what_a_queue_refused_goes_through_the_enrichment_again(pipes):
    queue = pipes.queue()
    enrichment = pipes.function(ONCE_INVALID.replace("IDENTIFIER", 'event["eventID"]'))
    pipes.deliver(queue, "abc", Enrichment=enrichment, TargetParameters={"InputTemplate": '"<$.text>"'})
    assert pipes.executions() == [("abc", "partial"), ("b", "success")]
    assert pipes.messages(queue) == ["fine"] * 3


@conforms("PIPE-SHAPE-3", "documented")
def test_pipe_shape_3_without_the_event_ids_in_an_enrichments_answer_the_whole_batch_fails(pipes):
    queue = pipes.queue()
    enrichment = pipes.function(ONCE_INVALID.replace("IDENTIFIER", '"lost"'))
    pipes.deliver(
        queue,
        "abc",
        Enrichment=enrichment,
        source={"MaximumRetryAttempts": 0},
        TargetParameters={"InputTemplate": '"<$.text>"'},
    )
    assert pipes.executions() == [("abc", "error")]


@conforms("PIPE-SHAPE-1", "documented")
@honours("stepfunctions:CreateStateMachine", "name definition type")
def test_pipe_shape_1_an_express_workflow_enriches_a_batch(pipes):
    queue = pipes.queue()
    pipes.deliver(queue, "ab", Enrichment=pipes.machine(OPERATIONS))
    assert ids(pipes.messages(queue)) == ["a", "b"]


def test_an_express_workflow_is_waited_for(pipes):
    pipes.deliver(pipes.machine(FAILS), "ab", source={"MaximumRetryAttempts": 0})
    assert pipes.executions() == [("ab", "error")]


@conforms("PIPE-FAIL-3", "documented")
def test_pipe_fail_3_an_express_workflow_names_failed_events(pipes):
    output = {"batchItemFailures": [{"itemIdentifier.$": "$[1].eventID"}]}
    reports = {"StartAt": "Report", "States": {"Report": {"Type": "Pass", "Parameters": output, "End": True}}}
    pipes.deliver(pipes.machine(reports), "ab", source={"MaximumRetryAttempts": 0})
    assert pipes.executions()[0] == ("ab", "partial")


@conforms("PIPE-TARGET-5", "documented")
def test_pipe_target_5_a_standard_workflow_is_started_with_the_batch_and_its_failure_hidden(pipes):
    machine = pipes.machine(FAILS, kind="STANDARD")
    invocation = {"StepFunctionStateMachineParameters": {"InvocationType": "FIRE_AND_FORGET"}}
    pipes.deliver(machine, "ab", TargetParameters=invocation)
    assert pipes.executions() == [("ab", "success")]
    (execution,) = pipes.client("stepfunctions").list_executions(stateMachineArn=machine)["executions"]
    started = pipes.client("stepfunctions").describe_execution(executionArn=execution["executionArn"])
    assert ids(json.loads(started["input"])) == ["a", "b"]


def test_a_standard_workflow_cannot_be_waited_for(pipes):
    pipes.deliver(pipes.machine(OPERATIONS, kind="STANDARD"), "a", source={"MaximumRetryAttempts": 0})
    assert pipes.executions() == [("a", "error")]


@conforms("PIPE-TARGET-2", "documented")
def test_pipe_target_2_an_event_bus_takes_no_more_than_1_mb(pipes):
    queue = pipes.queue()
    source = {"MaximumRetryAttempts": 0, "OnPartialBatchItemFailure": "AUTOMATIC_BISECT"}
    # Two of them have less than 1 MB, and three have more.
    items = dict.fromkeys("abc", "x" * 349_600)
    template = {"InputTemplate": '{"do": <$.dynamodb.NewImage.do.S>}'}
    pipes.deliver(pipes.bus(queue), items, source=source, TargetParameters=template)
    assert pipes.executions() == [("abc", "error"), ("a", "success"), ("bc", "success")]


@conforms("PIPE-TARGET-2", "documented")
def test_pipe_target_2_a_workflow_takes_no_more_than_262144_characters(pipes):
    template = '"' + "x" * 8000 + '"'
    items = [f"{index:02d}" for index in range(33)]
    machine = pipes.machine(OPERATIONS)
    source = {"BatchSize": 100, "MaximumRetryAttempts": 0, "OnPartialBatchItemFailure": "AUTOMATIC_BISECT"}
    pipes.deliver(machine, dict.fromkeys(items), source=source, TargetParameters={"InputTemplate": template})
    assert [outcome for _, outcome in pipes.executions()] == ["error", "success", "success"]


@conforms("PIPE-TARGET-3", "documented")
@honours("events:CreateApiDestination", "Name ConnectionArn InvocationEndpoint HttpMethod")
@honours("events:CreateConnection", "Name AuthorizationType AuthParameters")
def test_pipe_target_3_an_api_destination_gets_each_event_with_what_its_connection_adds(pipes, api, destination):
    pipes.deliver(
        destination,
        "ab",
        source={"BatchSize": 1},
        TargetParameters={
            "InputTemplate": '{"user": <$.dynamodb.Keys.id.S>}',
            "HttpParameters": {
                "PathParameterValues": ["$.dynamodb.Keys.id.S"],
                "HeaderParameters": {"x-kind": "change", "x-from": "pipe"},
                "QueryStringParameters": {"event": "$.eventName"},
            },
        },
    )
    assert [(method, path, json.loads(body)) for method, path, _, body in api.requests] == [
        ("POST", "/users/a?event=INSERT", {"user": "a"}),
        ("POST", "/users/b?event=INSERT", {"user": "b"}),
    ]
    headers = api.requests[0][2]
    assert (headers["x-key"], headers["x-kind"], headers["x-from"]) == ("secret", "change", "connection")


@conforms("PIPE-SHAPE-5", "recorded")
def test_pipe_shape_5_the_headers_of_an_enrichment_are_read_from_the_event_before_its_template(pipes, api, destination):
    pipes.deliver(
        pipes.queue(),
        "a",
        source={"BatchSize": 1},
        Enrichment=destination,
        EnrichmentParameters={
            "InputTemplate": '{"eventName": "template"}',
            "HttpParameters": {
                "PathParameterValues": ["$.dynamodb.Keys.id.S"],
                "HeaderParameters": {"x-event": "$.eventName", "x-from": "$.eventName"},
            },
        },
    )
    ((_, path, headers, body),) = api.requests
    assert (path, json.loads(body)) == ("/users/a", {"eventName": "template"})
    assert (headers["x-event"], headers["x-from"]) == ("INSERT", "connection")


def test_an_api_destination_that_refuses_costs_a_retry_and_one_that_is_overloaded_does_not(pipes, api, destination):
    api.statuses[:] = [429, 500]
    http = {"HttpParameters": {"PathParameterValues": ["a"]}}
    source = {"BatchSize": 1, "MaximumRetryAttempts": 1}
    pipes.deliver(destination, "a", source=source, TargetParameters=http)
    assert pipes.executions() == [("a", "throttled"), ("a", "error"), ("a", "success")]


def test_an_api_destination_that_does_not_answer_costs_a_retry(pipes, destination, api):
    api.server_close()
    http = {"HttpParameters": {"PathParameterValues": ["a"]}}
    source = {"BatchSize": 1, "MaximumRetryAttempts": 0}
    pipes.deliver(destination, "a", source=source, TargetParameters=http)
    assert pipes.executions() == [("a", "error")]


@conforms("PIPE-SHAPE-1", "documented")
def test_pipe_shape_1_an_api_destination_enriches_an_event(pipes, api, destination):
    api.answer = b'{"answered": true}'
    queue = pipes.queue()
    pipes.deliver(
        queue,
        "a",
        source={"BatchSize": 1},
        Enrichment=destination,
        EnrichmentParameters={"HttpParameters": {"PathParameterValues": ["$.dynamodb.Keys.id.S"]}},
    )
    assert pipes.messages(queue) == [{"answered": True}]
    assert api.requests[0][1] == "/users/a"


PLAN = b'[{"plan": "pro"}]'


@conforms("PIPE-SHAPE-7", "recorded")
@pytest.mark.parametrize(
    ("encoding", "answer"),
    [
        ("gzip", gzip.compress(PLAN)),
        ("deflate", zlib.compress(PLAN)),
        ("deflate", zlib.compress(PLAN)[2:-4]),
        ("", PLAN),
    ],
    ids=["gzip", "zlib", "raw deflate", "plain"],
)
def test_pipe_shape_7_an_encoded_answer_of_an_enrichment_is_decoded(pipes, api, destination, encoding, answer):
    queue = pipes.queue()
    api.answer, api.encoding = answer, encoding
    made = {"Enrichment": destination, "EnrichmentParameters": {"HttpParameters": {"PathParameterValues": ["a"]}}}
    pipes.deliver(queue, "a", **made, source={"BatchSize": 1}, TargetParameters={"InputTemplate": '{"plan": <$.plan>}'})
    assert pipes.messages(queue) == [{"plan": "pro"}]
    assert set(re.split(", ?", api.requests[0][2]["accept-encoding"])) == {"gzip", "deflate"}


@conforms("PIPE-SHAPE-7", "deduced")
def test_pipe_shape_7_an_answer_that_is_not_encoded_as_it_says_fails_the_enrichment(pipes, api, destination):
    queue = pipes.queue()
    api.answer, api.encoding = PLAN, "gzip"
    made = {"Enrichment": destination, "EnrichmentParameters": {"HttpParameters": {"PathParameterValues": ["a"]}}}
    pipes.deliver(queue, "a", **made, source={"BatchSize": 1, "MaximumRetryAttempts": 0})
    assert pipes.messages(queue) == []
    assert [outcome for _, outcome in pipes.executions()] != ["success"]
