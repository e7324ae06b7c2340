"""The program's consumers that keep copies of changes, all on, each with its real backend beside the endpoint."""

from __future__ import annotations

import contextlib
import io
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from local.deploy import deploy
from local.endpoint import Endpoint
from tests.local.test_deploy import post
from tests.local.test_function_permissions import CALLS
from tests.local.world import wait_until

PROGRAM = Path(__file__).parents[2]
ADA = {"userId": {"S": "u1"}, "email": {"S": "ada@example.com"}, "plan": {"S": "free"}, "version": {"N": "1"}}


@pytest.fixture(scope="module")
def outputs(aws: Endpoint) -> dict[str, Any]:
    """The program's outputs, after a user was created, upgraded by the API and deleted."""
    config = {
        "weir:mailFrom": "read-models@example.com",
        "weir:functionTimeout": "4",
        "weir:auditLog": "true",
        "weir:auditHash": "email",
        "weir:auditHashKey": "pepper",
    }
    outputs = deploy(PROGRAM, "local", aws.connection, config=config, name_seed="read-models").outputs
    users = aws.client("dynamodb")
    users.put_item(TableName=outputs["usersTable"], Item=ADA)
    assert post(aws, f"{outputs['apiUrl']}/users/u1/plan", '{"plan": "pro"}')[0] == 200
    return outputs


def refusal(
    aws: Endpoint, outputs: dict[str, Any], consumer: str, service: str, operation: str, parameters: dict[str, Any]
) -> str:
    """The code of the error that a call by a function with a consumer's role ends with."""
    client, name = aws.client("lambda"), f"{consumer}-tries"
    role = client.get_function(FunctionName=outputs["functionNames"][consumer])["Configuration"]["Role"]
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as code:
        code.writestr("function.py", CALLS)
    with contextlib.suppress(client.exceptions.ResourceConflictException):
        client.create_function(
            FunctionName=name,
            Runtime="python3.13",
            Role=role,
            Handler="function.handler",
            Code={"ZipFile": archive.getvalue()},
            Timeout=10,
        )
    event = {"service": service, "operation": operation, "parameters": parameters}
    answer = json.loads(client.invoke(FunctionName=name, Payload=json.dumps(event))["Payload"].read())
    return answer["Code"]


def entries(aws: Endpoint, bucket: str) -> dict[str, Any]:
    s3 = aws.client("s3")
    keys = [each["Key"] for each in s3.list_objects_v2(Bucket=bucket).get("Contents", [])]
    return {key: json.loads(s3.get_object(Bucket=bucket, Key=key)["Body"].read()) for key in keys}


def test_every_change_is_an_object_of_the_audit_log(aws: Endpoint, outputs: dict[str, Any]) -> None:
    bucket = outputs["auditBucket"]
    wait_until(lambda: len(entries(aws, bucket)) == 2)
    found = entries(aws, bucket)
    table = outputs["usersTable"]
    assert sorted(key.partition("/")[2] for key in found) == [f"{table}/u1/1-INSERT", f"{table}/u1/2-MODIFY"]
    assert all(key.startswith(f"dt={entry['at'][:10]}/") for key, entry in found.items())
    assert "ada@example.com" not in str(found)


@pytest.mark.parametrize(
    ("operation", "parameters"),
    [
        ("put_object", {"Key": "dt=2026-01-01/x", "Body": "overwritten"}),
        ("put_object", {"Key": "elsewhere", "Body": "x", "IfNoneMatch": "*"}),
        ("delete_object", {"Key": "dt=2026-01-01/x"}),
        ("list_objects_v2", {}),
    ],
)
def test_the_audit_logs_role_overwrites_deletes_and_lists_nothing(
    aws: Endpoint, outputs: dict[str, Any], operation: str, parameters: dict[str, Any]
) -> None:
    call = {"Bucket": outputs["auditBucket"], **parameters}
    assert refusal(aws, outputs, "audit-log", "s3", operation, call) == "AccessDenied"
