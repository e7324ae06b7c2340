"""Functions, APIs, workflows, roles and mails: what each member of their operations does."""

from __future__ import annotations

import base64
import json

import pytest
from botocore.exceptions import ClientError

honours = pytest.mark.honours

ECHO = """
import json, os

def handler(event, context):
    print("was called")
    return {"statusCode": 200, "body": json.dumps({"path": event["rawPath"], "route": event["routeKey"]})}
"""


@honours("apigatewayv2:CreateApi", "Name ProtocolType")
@honours("apigatewayv2:CreateStage", "ApiId StageName AutoDeploy")
@honours("apigatewayv2:CreateIntegration", "ApiId IntegrationType IntegrationUri PayloadFormatVersion")
@honours("apigatewayv2:CreateRoute", "ApiId RouteKey Target AuthorizationType")
@honours("apigatewayv2:GetApi", "ApiId")
@honours("apigatewayv2:GetStage", "ApiId StageName")
@honours("apigatewayv2:GetIntegrations", "ApiId")
@honours("apigatewayv2:GetRoutes", "ApiId")
def test_an_http_api_is_described_as_it_was_made_and_calls_its_function(world):
    gateway = world.client("apigatewayv2")
    world.function(ECHO)
    api = gateway.create_api(Name=world.name, ProtocolType="HTTP")["ApiId"]
    gateway.create_stage(ApiId=api, StageName="$default", AutoDeploy=True)
    integration = {
        "IntegrationType": "AWS_PROXY",
        "IntegrationUri": f"arn:aws:lambda:us-east-1:111122223333:function:{world.name}",
        "PayloadFormatVersion": "2.0",
    }
    world.let_call(api)
    target = gateway.create_integration(ApiId=api, **integration)["IntegrationId"]
    route = {"RouteKey": "GET /hello", "Target": f"integrations/{target}", "AuthorizationType": "AWS_IAM"}
    gateway.create_route(ApiId=api, **route)

    described = gateway.get_api(ApiId=api)
    assert (described["Name"], described["ProtocolType"]) == (world.name, "HTTP")
    assert gateway.get_stage(ApiId=api, StageName="$default")["AutoDeploy"] is True
    (found,) = gateway.get_integrations(ApiId=api)["Items"]
    assert {member: found[member] for member in integration} == integration
    (found,) = gateway.get_routes(ApiId=api)["Items"]
    assert {member: found[member] for member in route} == route
    path = f"{world.aws.api_url(api).removeprefix(world.aws.url)}/hello"
    assert world.signed("GET", path) == (200, {"path": "/hello", "route": "GET /hello"})
    assert world.unsigned("GET", path)[0] == 403


@honours("lambda:CreateFunction", "Runtime MemorySize Architectures")
@honours("lambda:GetFunction", "FunctionName")
@honours("lambda:GetFunctionConfiguration", "FunctionName")
def test_a_function_is_described_as_it_was_made(world):
    given = {"MemorySize": 256, "Architectures": ["arm64"], "Environment": {"Variables": {"A": "b"}}}
    world.function(**given)
    read = world.client("lambda")
    for found in (
        read.get_function(FunctionName=world.name)["Configuration"],
        read.get_function_configuration(FunctionName=world.name),
    ):
        assert {member: found[member] for member in given} == given
        assert (found["Runtime"], found["Handler"], found["Timeout"]) == ("python3.13", "function.handler", 5)
        assert found["Role"] == world.role


@honours("lambda:AddPermission", "FunctionName StatementId Action Principal SourceArn")
@honours("lambda:GetPolicy", "FunctionName")
def test_the_policy_of_a_function_is_read_back(world):
    world.function()
    source = "arn:aws:execute-api:us-east-1:111122223333:api/*"
    given = {"StatementId": "api", "Action": "lambda:InvokeFunction", "Principal": "apigateway.amazonaws.com"}
    world.client("lambda").add_permission(FunctionName=world.name, **given, SourceArn=source)
    policy = json.loads(world.client("lambda").get_policy(FunctionName=world.name)["Policy"])
    (statement,) = policy["Statement"]
    assert (statement["Sid"], statement["Action"]) == ("api", "lambda:InvokeFunction")
    assert statement["Principal"] == {"Service": "apigateway.amazonaws.com"}
    assert statement["Condition"] == {"ArnLike": {"AWS:SourceArn": source}}


@honours("lambda:Invoke", "FunctionName InvocationType LogType Payload")
def test_an_invocation_is_awaited_with_its_log_or_queued_or_only_tried(world):
    world.function("def handler(event, context):\n    print('got', event)\n    return event\n")
    invoke = world.client("lambda").invoke
    awaited = invoke(FunctionName=world.name, InvocationType="RequestResponse", LogType="Tail", Payload=b"1")
    assert json.loads(awaited["Payload"].read()) == 1
    assert "got 1" in base64.b64decode(awaited["LogResult"]).decode()
    assert "LogResult" not in invoke(FunctionName=world.name, Payload=b"2")
    assert invoke(FunctionName=world.name, InvocationType="DryRun", Payload=b"3")["StatusCode"] == 204
    assert invoke(FunctionName=world.name, InvocationType="Event", Payload=b"4")["StatusCode"] == 202
    world.wait_until(lambda: "got 4" in world.log())
    assert [line for line in world.log() if line.startswith("got")] == ["got 1", "got 2", "got 4"]


@honours("lambda:PutFunctionConcurrency", "FunctionName ReservedConcurrentExecutions")
@honours("lambda:GetFunctionConcurrency", "FunctionName")
@honours("lambda:DeleteFunctionConcurrency", "FunctionName")
def test_a_function_without_concurrency_is_throttled(world):
    world.function()
    lambda_, of = world.client("lambda"), {"FunctionName": world.name}
    lambda_.put_function_concurrency(**of, ReservedConcurrentExecutions=0)
    assert lambda_.get_function_concurrency(**of)["ReservedConcurrentExecutions"] == 0
    with pytest.raises(ClientError, match="TooManyRequestsException"):
        lambda_.invoke(**of)
    lambda_.delete_function_concurrency(**of)
    assert "ReservedConcurrentExecutions" not in lambda_.get_function_concurrency(**of)
    assert world.invoke({"Records": []}) is None


@honours("iam:CreateRole", "RoleName AssumeRolePolicyDocument")
@honours("iam:GetRole", "RoleName")
@honours("iam:PutRolePolicy", "RoleName PolicyName PolicyDocument")
@honours("iam:GetRolePolicy", "RoleName PolicyName")
@honours("iam:DeleteRolePolicy", "RoleName PolicyName")
@honours("iam:UpdateAssumeRolePolicy", "RoleName PolicyDocument")
def test_a_role_and_its_policy_are_read_back(world):
    iam = world.client("iam")
    statement = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
    trust = {"Version": "2012-10-17", "Statement": [statement]}
    iam.create_role(RoleName=world.name, AssumeRolePolicyDocument=json.dumps(trust))
    role = iam.get_role(RoleName=world.name)["Role"]
    assert role["AssumeRolePolicyDocument"] == trust
    assert role["Arn"] == f"arn:aws:iam::111122223333:role/{world.name}"
    policy = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}],
    }
    iam.put_role_policy(RoleName=world.name, PolicyName="own", PolicyDocument=json.dumps(policy))
    assert iam.get_role_policy(RoleName=world.name, PolicyName="own")["PolicyDocument"] == policy
    iam.delete_role_policy(RoleName=world.name, PolicyName="own")
    with pytest.raises(iam.exceptions.NoSuchEntityException):
        iam.get_role_policy(RoleName=world.name, PolicyName="own")
    other = {**trust, "Statement": [{**statement, "Principal": {"Service": "pipes.amazonaws.com"}}]}
    iam.update_assume_role_policy(RoleName=world.name, PolicyDocument=json.dumps(other))
    assert iam.get_role(RoleName=world.name)["Role"]["AssumeRolePolicyDocument"] == other


@honours("iam:CreatePolicy", "Path Description")
@honours("iam:GetPolicy", "PolicyArn")
@honours("iam:GetPolicyVersion", "PolicyArn VersionId")
@honours("iam:ListPolicyVersions", "PolicyArn")
@honours("iam:DeletePolicyVersion", "PolicyArn VersionId")
def test_the_versions_of_a_managed_policy_are_read_back_until_they_are_deleted(world):
    iam = world.client("iam")
    documents = [
        {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": action, "Resource": "*"}]}
        for action in ("s3:GetObject", "s3:PutObject")
    ]
    made = iam.create_policy(
        PolicyName=world.name, PolicyDocument=json.dumps(documents[0]), Path="/weir/", Description="read"
    )["Policy"]
    policy = {"PolicyArn": f"arn:aws:iam::111122223333:policy/weir/{world.name}"}
    assert made["Arn"] == policy["PolicyArn"]
    iam.create_policy_version(**policy, PolicyDocument=json.dumps(documents[1]), SetAsDefault=True)
    found = iam.get_policy(**policy)["Policy"]
    assert (found["Path"], found["Description"], found["DefaultVersionId"]) == ("/weir/", "read", "v2")
    for version, document in zip(("v1", "v2"), documents, strict=True):
        assert iam.get_policy_version(**policy, VersionId=version)["PolicyVersion"]["Document"] == document

    def versions():
        return sorted(each["VersionId"] for each in iam.list_policy_versions(**policy)["Versions"])

    assert versions() == ["v1", "v2"]
    iam.delete_policy_version(**policy, VersionId="v1")
    assert versions() == ["v2"]


@pytest.mark.parametrize("kind", ["STANDARD", "EXPRESS"])
@honours("stepfunctions:CreateStateMachine", "name definition type roleArn")
@honours("stepfunctions:DescribeStateMachine", "stateMachineArn")
def test_a_state_machine_is_described_as_it_was_made(world, kind):
    arn = machine(world, kind)
    described = world.client("stepfunctions").describe_state_machine(stateMachineArn=arn)
    assert (described["name"], described["type"], described["roleArn"]) == (world.name, kind, world.machine_role)
    assert json.loads(described["definition"]) == DOUBLE


@honours("stepfunctions:StartExecution", "stateMachineArn name input")
@honours("stepfunctions:DescribeExecution", "executionArn")
@honours("stepfunctions:ListExecutions", "stateMachineArn")
def test_an_execution_runs_what_the_definition_says(world):
    machines, arn = world.client("stepfunctions"), machine(world, "STANDARD")
    started = machines.start_execution(stateMachineArn=arn, name="one", input='{"a": 1}')["executionArn"]
    world.wait_until(lambda: machines.describe_execution(executionArn=started)["status"] != "RUNNING")
    done = machines.describe_execution(executionArn=started)
    assert (done["name"], done["status"], json.loads(done["output"])) == ("one", "SUCCEEDED", {"both": [1, 1]})
    assert [each["name"] for each in machines.list_executions(stateMachineArn=arn)["executions"]] == ["one"]


@honours("stepfunctions:ListMapRuns", "executionArn")
@honours("stepfunctions:DescribeMapRun", "mapRunArn")
def test_a_distributed_map_says_how_many_of_its_items_are_done(world):
    machines = world.client("stepfunctions")
    each = {"ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}, **DOUBLE}
    states = {"Each": {"Type": "Map", "ItemsPath": "$.all", "ItemProcessor": each, "End": True}}
    arn = machines.create_state_machine(
        name=world.name, definition=json.dumps({"StartAt": "Each", "States": states}), roleArn=world.machine_role
    )["stateMachineArn"]
    runs = {}
    for size in (2, 3):
        given = json.dumps({"all": [{"a": number} for number in range(size)]})
        started = machines.start_execution(stateMachineArn=arn, input=given)["executionArn"]
        world.wait_until(
            lambda started=started: machines.describe_execution(executionArn=started)["status"] == "SUCCEEDED"
        )
        (runs[size],) = machines.list_map_runs(executionArn=started)["mapRuns"]
    for size, run in runs.items():
        found = machines.describe_map_run(mapRunArn=run["mapRunArn"])
        counted = {name: found["itemCounts"][name] for name in ("total", "succeeded", "running", "failed")}
        assert (found["status"], counted) == (
            "SUCCEEDED",
            {"total": size, "succeeded": size, "running": 0, "failed": 0},
        )


@honours("stepfunctions:StartSyncExecution", "stateMachineArn name input")
def test_an_express_execution_is_awaited(world):
    arn = machine(world, "EXPRESS")
    done = world.client("stepfunctions").start_sync_execution(stateMachineArn=arn, name="one", input='{"a": 1}')
    assert (done["name"], done["status"], json.loads(done["output"])) == ("one", "SUCCEEDED", {"both": [1, 1]})


DOUBLE = {
    "StartAt": "Double",
    "States": {"Double": {"Type": "Pass", "End": True, "Parameters": {"both.$": "States.Array($.a, $.a)"}}},
}


def machine(world, kind):
    return world.client("stepfunctions").create_state_machine(
        name=world.name, definition=json.dumps(DOUBLE), type=kind, roleArn=world.machine_role
    )["stateMachineArn"]


@honours("sesv2:CreateEmailIdentity", "EmailIdentity")
@honours("sesv2:GetEmailIdentity", "EmailIdentity")
@honours("sesv2:SendEmail", "FromEmailAddress Destination Content")
def test_a_mail_is_sent_from_an_identity(world):
    ses, sender, reader = world.client("sesv2"), f"{world.name}@example.com", f"{world.name}@example.org"
    ses.create_email_identity(EmailIdentity=sender)
    found = ses.get_email_identity(EmailIdentity=sender)
    assert (found["IdentityType"], found["VerifiedForSendingStatus"]) == ("EMAIL_ADDRESS", True)
    content = {"Simple": {"Subject": {"Data": "Welcome"}, "Body": {"Text": {"Data": "to pro"}}}}
    ses.send_email(FromEmailAddress=sender, Destination={"ToAddresses": [reader]}, Content=content)
    (mail,) = [each for each in world.control.mails() if each["Source"] == sender]
    assert (mail["To"], mail["Subject"], mail["BodyText"]) == ([reader], "Welcome", "to pro")


@honours("sts:GetCallerIdentity")
def test_the_caller_is_of_the_account(world):
    assert world.client("sts").get_caller_identity()["Account"] == "111122223333"
