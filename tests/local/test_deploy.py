"""The program deployed to the endpoint, and asked over its own API and tables."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as SigningCredentials

from local.deploy import DeployFailed, Deployment, Registration, deploy
from local.endpoint import Endpoint

PROGRAM = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def deployment(aws: Endpoint) -> Deployment:
    return deploy(PROGRAM, "local", aws.connection, name_seed="tests")


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
    consumer = deployment.outputs["consumers"]["welcome-email"]
    aws.control.wait_until_idle([deployment.outputs["forwarder"], consumer["eventSourceMapping"]], timeout=60)

    assert answer == (200, {"userId": "u1", "plan": "pro", "changed": True})
    assert [mail["To"] for mail in aws.control.mails() if mail["Source"] == "hello@example.com"] == [["u1@example.com"]]


def test_a_request_for_an_unknown_user_is_answered_404(deployment: Deployment, aws: Endpoint) -> None:
    assert post(aws, f"{deployment.outputs['apiUrl']}/users/nobody/plan", '{"plan": "pro"}')[0] == 404


def test_a_second_deployment_of_the_stack_is_refused_in_one_line(deployment: Deployment, aws: Endpoint) -> None:
    with pytest.raises(DeployFailed) as refused:
        deploy(PROGRAM, "local", aws.connection)
    assert "the stack is on this endpoint already" in str(refused.value)
    assert "start a fresh endpoint" in str(refused.value)
    assert "\n" not in str(refused.value)


PROJECT_OF_TWO = """
name: small
runtime: python
config:
  stop: {type: boolean, default: false}
  boundary: {type: string, default: ""}
"""
PROGRAM_OF_TWO = """
import pulumi
import pulumi_aws as aws

logs = aws.cloudwatch.LogGroup("logs", retention_in_days=7)
role = aws.iam.Role("role", assume_role_policy="{}", permissions_boundary=pulumi.Config().get("boundary") or None)
if pulumi.Config().require_bool("stop"):
    raise pulumi.RunError("stopped by the program")
pulumi.export("logs", logs.name)
"""


@pytest.fixture
def small(tmp_path: Path) -> Path:
    (tmp_path / "Pulumi.yaml").write_text(PROJECT_OF_TWO)
    (tmp_path / f"Pulumi.{tmp_path.name}.yaml").write_text("config:\n  aws:region: us-east-1\n")
    (tmp_path / "__main__.py").write_text(PROGRAM_OF_TWO)
    return tmp_path


def deploy_small(small: Path, aws: Endpoint, **options: Any) -> Deployment:
    return deploy(small, small.name, aws.connection, **options)


def test_a_program_that_stops_itself_leaves_nothing_behind(small: Path, aws: Endpoint) -> None:
    with pytest.raises(DeployFailed, match=r"^stopped by the program$"):
        deploy_small(small, aws, config={"small:stop": "true"})
    assert deploy_small(small, aws).outputs["logs"].startswith("logs-")


def test_a_resource_can_be_changed_before_it_is_created(small: Path, aws: Endpoint) -> None:
    def keep_longer(registration: Registration) -> Mapping[str, Any]:
        longer = {"retentionInDays": 30} if registration.name == "logs" else {}
        return {**registration.inputs, **longer}

    deployment = deploy_small(small, aws, change_inputs=keep_longer)
    made = deployment.resource("aws:cloudwatch/logGroup:LogGroup", "logs")
    (group,) = aws.client("logs").describe_log_groups(logGroupNamePrefix=made.id)["logGroups"]
    assert group["retentionInDays"] == 30
    assert made.registration.inputs["retentionInDays"] == 30
    with pytest.raises(KeyError, match="has no aws:sqs/queue:Queue named logs"):
        deployment.resource("aws:sqs/queue:Queue", "logs")


def test_an_input_that_would_be_ignored_is_refused_with_its_resource(small: Path, aws: Endpoint) -> None:
    with pytest.raises(DeployFailed, match=r"^role \(aws:iam/role:Role\): permissionsBoundary would be ignored"):
        deploy_small(small, aws, config={"small:boundary": "arn:aws:iam::aws:policy/PowerUserAccess"})


def test_what_the_endpoint_refuses_names_the_resource(small: Path, aws: Endpoint) -> None:
    def for_a_wrong_time(registration: Registration) -> Mapping[str, Any]:
        return {**registration.inputs, "retentionInDays": 31} if registration.name == "logs" else registration.inputs

    with pytest.raises(DeployFailed) as failed:
        deploy_small(small, aws, change_inputs=for_a_wrong_time)
    assert str(failed.value).startswith("logs (aws:cloudwatch/logGroup:LogGroup): An error occurred (")
    assert "\n" not in str(failed.value)


def test_names_are_the_program_s_with_seven_digits_that_a_seed_repeats(deployment: Deployment) -> None:
    assert deployment.outputs["usersTable"] == "users-9a11c3d"


OF_A_TABLE = """
import pulumi

from components import StreamSource

source = StreamSource.of_table("orders-that-exist")
pulumi.export("stream", source.arn)
pulumi.export("keys", source.keys)
"""


def test_the_stream_of_a_table_that_exists_on_the_endpoint_is_looked_up(aws: Endpoint, tmp_path: Path) -> None:
    for name in ("components", "aws_semantics", "handlers"):
        (tmp_path / name).symlink_to(PROGRAM / name)
    (tmp_path / "__main__.py").write_text(OF_A_TABLE)
    (tmp_path / "Pulumi.yaml").write_text("name: of-a-table\nruntime: python\n")
    (tmp_path / "Pulumi.test.yaml").write_text("config:\n  aws:region: us-east-1\n")
    with pytest.raises(DeployFailed, match="there is no table orders-that-exist on this endpoint, which begins empty"):
        deploy(tmp_path, "test", aws.connection)
    made = aws.client("dynamodb").create_table(
        TableName="orders-that-exist",
        KeySchema=[{"AttributeName": "orderId", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "orderId", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
    )
    outputs = deploy(tmp_path, "test", aws.connection).outputs
    assert outputs == {"stream": made["TableDescription"]["LatestStreamArn"], "keys": {"orderId": "S"}}
