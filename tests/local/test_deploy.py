"""The program deployed to an AWS endpoint, and asked over its own API and tables."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as SigningCredentials

from local.deploy import Credentials, DeployFailed, Deployment, deploy

PROGRAM = Path(__file__).parents[2]
CREDENTIALS = Credentials("test", "test")


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """ministack as it is: what is deployed here needs nothing of the endpoint's own event source mappings."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    directory = tmp_path_factory.mktemp("ministack")
    environment = {
        "PATH": os.environ["PATH"],
        "TMPDIR": str(directory),
        "BIND_HOST": "127.0.0.1",
        "IOT_MTLS_ENABLED": "0",
        "GATEWAY_PORT": str(port),
        "LOG_LEVEL": "ERROR",
    }
    with (directory / "log").open("w") as log:
        process = subprocess.Popen([sys.executable, "-m", "ministack"], env=environment, stdout=log, stderr=log)
        try:
            deadline = time.monotonic() + 30
            while True:
                try:
                    with urllib.request.urlopen(f"http://127.0.0.1:{port}/_ministack/health") as answer:
                        answer.read()
                    break
                except OSError:
                    assert process.poll() is None, (directory / "log").read_text()
                    assert time.monotonic() < deadline, "ministack does not answer"
                    time.sleep(0.02)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(timeout=10)


@pytest.fixture(scope="module")
def deployment(endpoint: str) -> Deployment:
    return deploy(PROGRAM, "local", endpoint_url=endpoint, credentials=CREDENTIALS, name_seed="tests")


def client(service: str, endpoint: str):
    return boto3.client(
        service,
        endpoint_url=endpoint,
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )


def post(url: str, body: str) -> tuple[int, dict[str, object]]:
    request = AWSRequest("POST", url, data=body)
    SigV4Auth(SigningCredentials("test", "test"), "execute-api", "us-east-1").add_auth(request)
    signed = urllib.request.Request(url, data=body.encode(), headers=dict(request.headers), method="POST")
    try:
        with urllib.request.urlopen(signed) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


def test_the_deployed_api_answers_and_writes_to_the_deployed_table(deployment: Deployment, endpoint: str) -> None:
    dynamodb = client("dynamodb", endpoint)
    table = deployment.outputs["usersTable"]
    dynamodb.put_item(TableName=table, Item={"userId": {"S": "u1"}, "plan": {"S": "free"}})

    answer = post(f"{deployment.outputs['apiUrl']}/users/u1/plan", '{"plan": "pro"}')

    assert answer == (200, {"userId": "u1", "plan": "pro", "changed": True})
    assert dynamodb.get_item(TableName=table, Key={"userId": {"S": "u1"}})["Item"]["plan"] == {"S": "pro"}


def test_a_request_for_an_unknown_user_is_answered_404(deployment: Deployment) -> None:
    assert post(f"{deployment.outputs['apiUrl']}/users/nobody/plan", '{"plan": "pro"}')[0] == 404


def test_a_second_deployment_of_the_stack_is_refused_in_one_line(deployment: Deployment, endpoint: str) -> None:
    with pytest.raises(DeployFailed) as refused:
        deploy(PROGRAM, "local", endpoint_url=endpoint, credentials=CREDENTIALS)
    assert "is on this endpoint already" in str(refused.value)
    assert "start a fresh endpoint" in str(refused.value)
    assert "\n" not in str(refused.value)


def test_names_are_the_program_s_with_seven_digits_that_a_seed_repeats(deployment: Deployment) -> None:
    assert deployment.outputs["usersTable"] == "users-9a11c3d"
