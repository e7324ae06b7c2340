"""The program deployed to the endpoint, and asked over its own API and tables."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as SigningCredentials

from local.deploy import Credentials, DeployFailed, Deployment, deploy
from local.endpoint import Endpoint

PROGRAM = Path(__file__).parents[2]


def keys_of(aws: Endpoint) -> Credentials:
    return Credentials(aws.access_key_id, aws.secret_access_key)


@pytest.fixture(scope="module")
def deployment(aws: Endpoint) -> Deployment:
    return deploy(PROGRAM, "local", endpoint_url=aws.url, credentials=keys_of(aws), name_seed="tests")


def post(aws: Endpoint, url: str, body: str) -> tuple[int, dict[str, object]]:
    request = AWSRequest("POST", url, data=body)
    credentials = SigningCredentials(aws.access_key_id, aws.secret_access_key)
    SigV4Auth(credentials, "execute-api", aws.region).add_auth(request)
    signed = urllib.request.Request(url, data=body.encode(), headers=dict(request.headers), method="POST")
    try:
        with urllib.request.urlopen(signed) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


def test_an_upgrade_over_the_deployed_api_becomes_one_welcome_mail(deployment: Deployment, aws: Endpoint) -> None:
    table = deployment.outputs["usersTable"]
    user = {"userId": {"S": "u1"}, "plan": {"S": "free"}, "email": {"S": "u1@example.com"}}
    aws.client("dynamodb").put_item(TableName=table, Item=user)

    answer = post(aws, f"{deployment.outputs['apiUrl']}/users/u1/plan", '{"plan": "pro"}')
    aws.control.wait_until_idle([deployment.outputs["consumers"]["welcome-email"]["eventSourceMapping"]], timeout=20)

    assert answer == (200, {"userId": "u1", "plan": "pro", "changed": True})
    assert [mail["To"] for mail in aws.control.mails() if mail["Source"] == "hello@example.com"] == [["u1@example.com"]]


def test_a_request_for_an_unknown_user_is_answered_404(deployment: Deployment, aws: Endpoint) -> None:
    assert post(aws, f"{deployment.outputs['apiUrl']}/users/nobody/plan", '{"plan": "pro"}')[0] == 404


def test_a_second_deployment_of_the_stack_is_refused_in_one_line(deployment: Deployment, aws: Endpoint) -> None:
    with pytest.raises(DeployFailed) as refused:
        deploy(PROGRAM, "local", endpoint_url=aws.url, credentials=keys_of(aws))
    assert "the stack is on this endpoint already" in str(refused.value)
    assert "start a fresh endpoint" in str(refused.value)
    assert "\n" not in str(refused.value)


def test_names_are_the_program_s_with_seven_digits_that_a_seed_repeats(deployment: Deployment) -> None:
    assert deployment.outputs["usersTable"] == "users-9a11c3d"
