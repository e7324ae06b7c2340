"""`World`: the tables, functions, mappings and roles of one test on the endpoint."""

from __future__ import annotations

import http.client
import io
import itertools
import json
import time
import zipfile
from collections import defaultdict
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from unittest import mock

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.model import OperationModel

from components.package import runtime_files
from local.endpoint import Endpoint

#: Does to each record what the item's attribute `do` says.
SCRIPTED = """
import os, time

def handler(event, context):
    for record in event["Records"]:
        match record["dynamodb"].get("NewImage", {}).get("do", {}).get("S"):
            case "raise":
                raise ValueError("poison")
            case "exit":
                os._exit(3)
            case "sleep":
                time.sleep(30)
            case "nap":
                time.sleep(0.5)
            case "report":
                return {"batchItemFailures": [{"itemIdentifier": record["dynamodb"]["SequenceNumber"]}]}
            case "report nonsense":
                return {"batchItemFailures": [{"itemIdentifier": "nonsense"}]}
"""


#: What mappings do with the role of a function.
MAPPINGS_MAY = {
    "Effect": "Allow",
    "Action": [
        *("dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator"),
        *("kinesis:DescribeStream", "kinesis:GetRecords", "kinesis:GetShardIterator"),
        *("sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"),
        *("sqs:SendMessage", "sns:Publish", "s3:PutObject", "s3:ListBucket"),
    ],
    "Resource": "*",
}

#: What the functions of these tests call with their own keys.
FUNCTIONS_MAY = {
    "Effect": "Allow",
    "Action": [
        *("dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:DeleteItem", "sqs:ChangeMessageVisibility"),
        "sqs:GetQueueUrl",
        *("lambda:InvokeFunction", "states:StartExecution", "events:PutEvents"),
        *("logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"),
    ],
    "Resource": "*",
}

#: The files of the runtime that AWS gets.
RUNTIME = runtime_files(Path(__file__).resolve().parents[2])


#: The members of each operation that the running test has set.
members_set: defaultdict[str, set[str]] = defaultdict(set)


def note_members(params: Mapping[str, Any], model: OperationModel, **_: Any) -> None:
    """Called by botocore with what a client was called with."""
    members_set[f"{model.service_model.service_name}:{model.name}"].update(params)


def wait_until(true: Callable[[], Any], *, timeout: float = 180.0) -> None:
    """Poll a condition until it holds; the one place where these tests wait."""
    deadline = time.monotonic() + timeout
    while not true():
        if time.monotonic() > deadline:
            raise TimeoutError("the condition did not hold in time")
        time.sleep(0.01)


class World:
    """The resources of one test on the endpoint, under names of its own."""

    numbers = itertools.count(1)
    wait_until = staticmethod(wait_until)

    def __init__(self, aws: Endpoint, clients: dict[str, Any]) -> None:
        self.aws = aws
        self.control = aws.control
        self.name = f"test-{next(self.numbers)}"
        self._clients = clients
        self._mappings: list[str] = []

    def client(self, service: str) -> Any:
        """A boto3 client, made once for all tests."""
        if service not in self._clients:
            made = self._clients[service] = self.aws.client(service)
            made.meta.events.register("provide-client-params.*.*", note_members)
        return self._clients[service]

    def table(self, name: str | None = None) -> str:
        """Make a table with a stream; the stream's ARN."""
        return self.client("dynamodb").create_table(
            TableName=name or self.name,
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
            StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
        )["TableDescription"]["LatestStreamArn"]

    def function(
        self,
        source: str = SCRIPTED,
        *,
        name: str | None = None,
        timeout: int = 5,
        runtime: bool = False,
        role: str | None = None,
        **settings: Any,
    ) -> str:
        """Make a function of one module, and of `handlers.cdc` if it needs the runtime; its name."""
        archive = io.BytesIO()
        with zipfile.ZipFile(archive, "w") as code:
            code.writestr("function.py", source)
            for file in RUNTIME if runtime else ():
                code.write(file, f"handlers/cdc/{file.name}")
        self.client("lambda").create_function(
            FunctionName=name or self.name,
            Runtime="python3.13",
            Role=role or self.role,
            Handler="function.handler",
            Code={"ZipFile": archive.getvalue()},
            Timeout=timeout,
            **settings,
        )
        return name or self.name

    @property
    def role(self) -> str:
        """The ARN of the role of all functions that have none of their own: it may do what mappings and they do."""
        made = self._clients.get("role")
        if made is None:
            made = self._clients["role"] = self.make_role(
                "function", MAPPINGS_MAY, FUNCTIONS_MAY, service="lambda states"
            )
        return made

    @property
    def machine_role(self) -> str:
        """The ARN of the role of all state machines that have none of their own: it may do what functions may."""
        made = self._clients.get("machine role")
        if made is None:
            made = self._clients["machine role"] = self.make_role(
                "machine", FUNCTIONS_MAY, MAPPINGS_MAY, service="states"
            )
        return made

    def make_role(self, name: str, *statements: dict[str, Any], service: str = "lambda") -> str:
        """Make a role that functions, or the services with these names, may assume; its ARN."""
        principals = [f"{each}.amazonaws.com" for each in service.split()]
        trust = {
            "Version": "2012-10-17",
            "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": principals}}],
        }
        made = self.client("iam").create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trust))
        if statements:
            self.allow(name, *statements)
        return made["Role"]["Arn"]

    def allow(self, role: str, *statements: dict[str, Any]) -> None:
        """Make these statements the whole policy of a role."""
        document = {"Version": "2012-10-17", "Statement": list(statements)}
        self.client("iam").put_role_policy(RoleName=role, PolicyName="own", PolicyDocument=json.dumps(document))

    def let_in(self, queue: str, service: str, source: str) -> None:
        """Let a service send to a queue, by its URL or ARN, on behalf of another resource."""
        name = queue.rpartition("/")[2].rpartition(":")[2]
        url = self.client("sqs").get_queue_url(QueueName=name)["QueueUrl"]
        arn = f"arn:aws:sqs:us-east-1:111122223333:{name}"
        statement = {
            "Effect": "Allow",
            "Action": "sqs:SendMessage",
            "Resource": arn,
            "Principal": {"Service": f"{service}.amazonaws.com"},
            "Condition": {"ArnLike": {"aws:SourceArn": source}},
        }
        policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        self.client("sqs").set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})

    def let_call(self, api: str, function: str | None = None) -> None:
        """Let an HTTP API call a function."""
        self.client("lambda").add_permission(
            FunctionName=function or self.name,
            StatementId="api",
            Action="lambda:InvokeFunction",
            Principal="apigateway.amazonaws.com",
            SourceArn=f"arn:aws:execute-api:us-east-1:111122223333:{api}/*",
        )

    def invoke(self, event: Any = None, *, name: str | None = None) -> Any:
        """Invoke a function that answers; what it returns."""
        answer = self.client("lambda").invoke(FunctionName=name or self.name, Payload=json.dumps(event))
        content = json.loads(answer["Payload"].read())
        assert "FunctionError" not in answer, content
        return content

    def bucket(self) -> str:
        """Make a bucket; its ARN."""
        self.client("s3").create_bucket(Bucket=self.name)
        return f"arn:aws:s3:::{self.name}"

    def mapping(self, stream_arn: str, function: str | None = None, **settings: Any) -> str:
        """Make a mapping; its UUID."""
        made = self.client("lambda").create_event_source_mapping(
            FunctionName=function or self.name,
            EventSourceArn=stream_arn,
            **{"StartingPosition": "TRIM_HORIZON", **settings},
        )
        self._mappings.append(made["UUID"])
        return made["UUID"]

    def put(self, *ids: str, table: str | None = None, do: str | None = None) -> None:
        """Write one item per id."""
        for each in ids:
            item = {"id": {"S": each}, **({} if do is None else {"do": {"S": do}})}
            self.client("dynamodb").put_item(TableName=table or self.name, Item=item)

    def enable(self, mapping: str, *, enabled: bool = True) -> None:
        """Enable a mapping and wait until it is."""
        self.client("lambda").update_event_source_mapping(UUID=mapping, Enabled=enabled)
        self.wait_until(lambda: self.control.mapping(mapping).state == ("Enabled" if enabled else "Disabled"))

    def disable(self, mapping: str) -> None:
        """Disable a mapping and wait until it is."""
        self.enable(mapping, enabled=False)

    def to_bucket(self) -> dict[str, Any]:
        """A new bucket as the on-failure destination of a mapping."""
        return {"DestinationConfig": {"OnFailure": {"Destination": self.bucket()}}}

    def log(self, function: str | None = None) -> list[str]:
        """The lines of a function's log."""
        events = self.client("logs").filter_log_events(logGroupName=f"/aws/lambda/{function or self.name}")["events"]
        return [event["message"] for event in events]

    def unsigned(self, method: str, path: str, *, headers: dict[str, str] | None = None) -> tuple[int, Any]:
        """Send a request without a signature; status and answer."""
        status, body = self._send(method, path, b"", headers or {})
        return status, json.loads(body)

    def signed(
        self,
        method: str,
        path: str,
        document: Any = None,
        *,
        service: str = "execute-api",
        region: str = "us-east-1",
        keys: Credentials | None = None,
        at: datetime | None = None,
        headers: dict[str, str] | None = None,
        send: Any = None,
        send_path: str | None = None,
        parse: bool = True,
    ) -> tuple[int, Any]:
        """Send a signed request; status and answer. `send` and `send_path` replace what was signed."""
        keys = keys or Credentials(self.aws.access_key_id, self.aws.secret_access_key)
        body = b"" if document is None else json.dumps(document).encode()
        content = {} if document is None else {"content-type": "application/json"}
        request = AWSRequest(method, self.aws.url + path, data=body, headers=content | (headers or {}))
        signer = SigV4Auth(keys, service, region)
        with mock.patch("botocore.auth.get_current_datetime", return_value=at or datetime.now(UTC)):
            signer.add_auth(request)
        sent = body if send is None else json.dumps(send).encode()
        status, answer = self._send(method, send_path or path, sent, dict(request.headers))
        return status, json.loads(answer) if parse else answer

    def _send(self, method: str, path: str, body: bytes, headers: dict[str, str]) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection(self.aws.url.removeprefix("http://"), timeout=120)
        try:
            connection.request(method, path, body=body, headers=headers)
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    def adopt(self, mapping: str) -> None:
        """The test has made a mapping itself."""
        self._mappings.append(mapping)

    def forget(self, mapping: str) -> None:
        """The test has deleted a mapping itself."""
        self._mappings.remove(mapping)

    def invocations(self, mapping: str) -> list[tuple[list[str], str]]:
        """The ids of each batch that a function was invoked with, and what it came to."""
        return [
            ([key["id"]["S"] for key in entry["keys"]], entry["outcome"])
            for entry in self.control.history(mapping)
            if entry["kind"] == "invocation"
        ]

    def given_up(self, mapping: str) -> list[dict[str, Any]]:
        """The batches that were given up."""
        return [entry for entry in self.control.history(mapping) if entry["kind"] == "given up"]

    def settle(self, mapping: str) -> None:
        """Wait until a mapping has nothing to do."""
        self.control.wait_until_idle([mapping], timeout=60)

    def close(self) -> None:
        """Stop this test's mappings and faults."""
        for mapping in self._mappings:
            self.client("lambda").delete_event_source_mapping(UUID=mapping)
        self.control.clear_faults()
