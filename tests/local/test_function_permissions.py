"""Functions act as their role: what its policies do not allow fails here as it fails on AWS."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

conforms = pytest.mark.conformance
honours = pytest.mark.honours

ACCOUNT = "111122223333"

#: Calls what the event says, with the function's own keys, and returns the error.
CALLS = """
import json
import boto3
from botocore.exceptions import ClientError

def handler(event, context):
    client = boto3.client(event["service"])
    try:
        answer = getattr(client, event["operation"])(**event.get("parameters", {}))
    except ClientError as error:
        return {**error.response["Error"], "status": error.response["ResponseMetadata"]["HTTPStatusCode"]}
    answer.pop("ResponseMetadata")
    return json.loads(json.dumps(answer, default=str))
"""


class Caller:
    """A function that makes one call, and the role that it acts as."""

    def __init__(self, world: Any) -> None:
        self.world = world
        self.role = world.make_role(world.name)
        self.arn = f"arn:aws:sts::{ACCOUNT}:assumed-role/{world.name}/{world.name}"
        world.function(CALLS, role=self.role)

    def may(self, *actions: str, resource: Any = "*", effect: str = "Allow", **more: Any) -> None:
        """Let the role do these actions, and nothing else."""
        self.world.allow(
            self.world.name,
            {"Effect": "Allow", "Action": ["sts:GetCallerIdentity"], "Resource": "*"},
            {"Effect": effect, "Action": list(actions), "Resource": resource, **more},
        )

    def call(self, service: str, operation: str, **parameters: Any) -> Any:
        return self.world.invoke({"service": service, "operation": operation, "parameters": parameters})


@pytest.fixture
def caller(world) -> Caller:
    return Caller(world)


def refusal(caller: Caller, action: str, resource: str, reason: str | None = None) -> str:
    why = reason or f"because no identity-based policy allows the {action} action"
    return f"User: {caller.arn} is not authorized to perform: {action} on resource: {resource} {why}"


@conforms("IAM-13", "documented")
def test_iam_13_a_consumer_without_permission_is_refused_in_the_words_of_each_service(world, caller):
    world.table()
    queue = world.client("sqs").create_queue(QueueName=world.name)["QueueUrl"]
    topic = world.client("sns").create_topic(Name=world.name)["TopicArn"]
    bucket = world.bucket()
    table = f"arn:aws:dynamodb:us-east-1:{ACCOUNT}:table/{world.name}"
    item = {"id": {"S": "a"}}

    def lacks(service, operation, code, status, action, resource, **parameters):
        answer = caller.call(service, operation, **parameters)
        assert (answer["Code"], answer["status"]) == (code, status), answer
        assert answer["Message"].endswith(refusal(caller, action, resource))

    denied = "AccessDeniedException"
    lacks("dynamodb", "put_item", denied, 400, "dynamodb:PutItem", table, TableName=world.name, Item=item)
    lacks("dynamodb", "scan", denied, 400, "dynamodb:Scan", table, TableName=world.name)
    lacks("sqs", "send_message", "AccessDenied", 403, "sqs:sendmessage",
          f"arn:aws:sqs:us-east-1:{ACCOUNT}:{world.name}", QueueUrl=queue, MessageBody="m")  # fmt: skip
    lacks("sns", "publish", "AuthorizationError", 403, "SNS:Publish", topic, TopicArn=topic, Message="m")
    lacks("s3", "put_object", "AccessDenied", 403, "s3:PutObject", f'"{bucket}/k"', Bucket=world.name, Key="k")
    lacks("lambda", "invoke", denied, 403, "lambda:InvokeFunction",
          f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:{world.name}", FunctionName=world.name)  # fmt: skip
    lacks("sesv2", "send_email", denied, 403, "ses:SendEmail",
          f"arn:aws:ses:us-east-1:{ACCOUNT}:identity/example.com",
          FromEmailAddress="Ada <ada@example.com>", Destination={"ToAddresses": ["bob@example.com"]},
          Content={"Simple": {"Subject": {"Data": "s"}, "Body": {"Text": {"Data": "b"}}}})  # fmt: skip
    lacks("events", "put_events", denied, 400, "events:PutEvents",
          f"arn:aws:events:us-east-1:{ACCOUNT}:event-bus/default",
          Entries=[{"Source": "s", "DetailType": "t", "Detail": "{}"}])  # fmt: skip
    machine = f"arn:aws:states:us-east-1:{ACCOUNT}:stateMachine:m"
    lacks("stepfunctions", "start_execution", denied, 400, "states:StartExecution", machine, stateMachineArn=machine)
    stream = f"arn:aws:kinesis:us-east-1:{ACCOUNT}:stream/changes"
    lacks("kinesis", "put_record", denied, 400, "kinesis:PutRecord", stream, StreamName="changes", Data="d",
          PartitionKey="p")  # fmt: skip
    head = caller.call("s3", "head_object", Bucket=world.name, Key="k")
    assert (head["Code"], head["status"]) == ("403", 403)


def test_a_role_may_do_what_its_policy_says_and_nothing_beside_it(world, caller):
    world.table()
    other = f"{world.name}-other"
    world.table(other)
    table = f"arn:aws:dynamodb:us-east-1:{ACCOUNT}:table/{world.name}"
    caller.may("dynamodb:PutItem", "dynamodb:BatchWriteItem", resource=table)
    item = {"id": {"S": "a"}}
    assert "Code" not in caller.call("dynamodb", "put_item", TableName=world.name, Item=item)
    refused = caller.call("dynamodb", "put_item", TableName=other, Item=item)
    assert refused["Message"] == refusal(caller, "dynamodb:PutItem", table + "-other")
    writes = {name: [{"PutRequest": {"Item": item}}] for name in (world.name, other)}
    refused = caller.call("dynamodb", "batch_write_item", RequestItems=writes)
    assert refused["Message"] == refusal(caller, "dynamodb:BatchWriteItem", table + "-other")
    caller.may("dynamodb:*", resource=table, effect="Deny")
    refused = caller.call("dynamodb", "put_item", TableName=world.name, Item=item)
    denied = "with an explicit deny in an identity-based policy"
    assert refused["Message"] == refusal(caller, "dynamodb:PutItem", table, denied)


@conforms("IAM-14", "documented")
def test_iam_14_a_transaction_needs_the_action_of_each_of_its_parts(world, caller):
    world.table()
    table = f"arn:aws:dynamodb:us-east-1:{ACCOUNT}:table/{world.name}"
    key = {"TableName": world.name, "Key": {"id": {"S": "a"}}}
    parts = {
        "PutItem": {"Put": {"TableName": world.name, "Item": {"id": {"S": "b"}}}},
        "UpdateItem": {
            "Update": {**key, "UpdateExpression": "ADD n :n", "ExpressionAttributeValues": {":n": {"N": "1"}}}
        },
        "DeleteItem": {"Delete": {**key, "Key": {"id": {"S": "c"}}}},
        "ConditionCheckItem": {
            "ConditionCheck": {**key, "Key": {"id": {"S": "d"}}, "ConditionExpression": "attribute_not_exists(id)"}
        },
    }
    actions = [f"dynamodb:{name}" for name in parts]
    for missing in actions:
        caller.may(*(action for action in actions if action != missing), resource=table)
        refused = caller.call("dynamodb", "transact_write_items", TransactItems=list(parts.values()))
        assert refused["Message"] == refusal(caller, missing, table)
    caller.may(*actions, resource=table)
    assert caller.call("dynamodb", "transact_write_items", TransactItems=list(parts.values())) == {}


@conforms("IAM-15", "documented")
def test_iam_15_an_object_that_is_not_there_is_hidden_from_who_may_not_list_its_bucket(world, caller):
    bucket = world.bucket()
    caller.may("s3:GetObject", resource=f"{bucket}/*")
    for operation in ("get_object", "head_object"):
        assert caller.call("s3", operation, Bucket=world.name, Key="k")["status"] == 403
    listing = {"Effect": "Allow", "Action": ["s3:GetObject", "s3:ListBucket"], "Resource": [bucket, f"{bucket}/*"]}
    world.allow(world.name, listing)
    for operation in ("get_object", "head_object"):
        assert caller.call("s3", operation, Bucket=world.name, Key="k")["status"] == 404


@conforms("IAM-12", "documented")
@honours("iam:CreateRole", "PermissionsBoundary")
@honours("iam:PutRolePermissionsBoundary", "RoleName PermissionsBoundary")
@honours("iam:DeleteRolePermissionsBoundary", "RoleName")
def test_iam_12_a_permissions_boundary_limits_a_role(world, caller):
    iam = world.client("iam")
    world.table()
    table = f"arn:aws:dynamodb:us-east-1:{ACCOUNT}:table/{world.name}"
    document = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}
    boundary = iam.create_policy(PolicyName=world.name, PolicyDocument=json.dumps(document))["Policy"]["Arn"]
    caller.may("dynamodb:PutItem", resource=table)
    put = {"TableName": world.name, "Item": {"id": {"S": "a"}}}
    assert "Code" not in caller.call("dynamodb", "put_item", **put)
    iam.put_role_permissions_boundary(RoleName=world.name, PermissionsBoundary=boundary)
    refused = caller.call("dynamodb", "put_item", **put)
    why = "because no permissions boundary allows the dynamodb:PutItem action"
    assert refused["Message"] == refusal(caller, "dynamodb:PutItem", table, why)
    iam.delete_role_permissions_boundary(RoleName=world.name)
    assert "Code" not in caller.call("dynamodb", "put_item", **put)
    trust = iam.get_role(RoleName=world.name)["Role"]["AssumeRolePolicyDocument"]
    made = iam.create_role(
        RoleName=f"{world.name}-2", AssumeRolePolicyDocument=json.dumps(trust), PermissionsBoundary=boundary
    )["Role"]
    assert made["PermissionsBoundary"]["PermissionsBoundaryArn"] == boundary


def statement(principal: Any, action: str, resource: str, effect: str = "Allow", **more: Any) -> str:
    one = {"Effect": effect, "Principal": principal, "Action": action, "Resource": resource, **more}
    return json.dumps({"Version": "2012-10-17", "Statement": [one]})


@conforms("IAM-12", "documented")
@honours("sns:SetTopicAttributes", "TopicArn AttributeName AttributeValue")
@honours("s3:PutBucketPolicy", "Bucket Policy ChecksumAlgorithm")
@honours("s3:GetBucketPolicy", "Bucket")
@honours("s3:DeleteBucketPolicy", "Bucket")
def test_iam_12_the_policy_of_a_queue_a_topic_and_a_bucket_lets_a_role_in_and_keeps_it_out(world, caller):
    sqs, sns, s3 = world.client("sqs"), world.client("sns"), world.client("s3")
    url = sqs.create_queue(QueueName=world.name)["QueueUrl"]
    queue = f"arn:aws:sqs:us-east-1:{ACCOUNT}:{world.name}"
    topic = sns.create_topic(Name=world.name)["TopicArn"]
    bucket = world.bucket()
    role = {"AWS": caller.role}

    def send():
        return caller.call("sqs", "send_message", QueueUrl=url, MessageBody="m").get("Code")

    def publish():
        return caller.call("sns", "publish", TopicArn=topic, Message="m").get("Code")

    def put():
        return caller.call("s3", "put_object", Bucket=world.name, Key="k").get("Code")

    assert (send(), publish(), put()) == ("AccessDenied", "AuthorizationError", "AccessDenied")
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": statement(role, "sqs:SendMessage", queue)})
    sns.set_topic_attributes(
        TopicArn=topic, AttributeName="Policy", AttributeValue=statement(role, "sns:Publish", topic)
    )
    allowing = statement(role, "s3:PutObject", f"{bucket}/*")
    s3.put_bucket_policy(Bucket=world.name, Policy=allowing, ChecksumAlgorithm="CRC32")
    assert (send(), publish(), put()) == (None, None, None)
    assert json.loads(s3.get_bucket_policy(Bucket=world.name)["Policy"])["Statement"][0]["Action"] == "s3:PutObject"
    s3.delete_bucket_policy(Bucket=world.name)
    assert put() == "AccessDenied"
    caller.may("sqs:SendMessage", "sns:Publish", "s3:PutObject")
    assert (send(), publish(), put()) == (None, None, None)
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": statement("*", "sqs:*", queue, "Deny")})
    refused = caller.call("sqs", "send_message", QueueUrl=url, MessageBody="m")["Message"]
    why = "with an explicit deny in a resource-based policy"
    assert refused == refusal(caller, "sqs:sendmessage", queue, why)


@conforms("IAM-18", "deduced")
def test_iam_18_a_mail_needs_the_identity_of_its_address_or_else_of_its_domain(world, caller):
    address = "ada@example.net"
    ses = world.client("sesv2")
    ses.create_email_identity(EmailIdentity="example.net")
    mail = {
        "FromEmailAddress": f"Ada <{address}>",
        "Destination": {"ToAddresses": ["Bob <bob@example.com>"]},
        "Content": {"Simple": {"Subject": {"Data": "s"}, "Body": {"Text": {"Data": "b"}}}},
    }
    domain = f"arn:aws:ses:us-east-1:{ACCOUNT}:identity/example.net"
    caller.may("ses:SendEmail", resource=domain, Condition={"StringEquals": {"ses:FromAddress": address}})
    assert "MessageId" in caller.call("sesv2", "send_email", **mail)
    caller.may("ses:SendEmail", resource=domain, Condition={"StringEquals": {"ses:FromAddress": f"{address}.org"}})
    assert caller.call("sesv2", "send_email", **mail)["Code"] == "AccessDeniedException"
    to_example = {"ForAllValues:StringLike": {"ses:Recipients": "*@example.com"}}
    caller.may("ses:SendEmail", resource=domain, Condition=to_example)
    assert "MessageId" in caller.call("sesv2", "send_email", **mail)
    ses.create_email_identity(EmailIdentity=address)
    refused = caller.call("sesv2", "send_email", **mail)
    assert refused["Message"] == refusal(caller, "ses:SendEmail", f"{domain.rpartition('/')[0]}/{address}")


def test_a_condition_key_of_the_request_decides(world, caller):
    world.table()
    leading = {"ForAllValues:StringEquals": {"dynamodb:LeadingKeys": ["a", "b"]}}
    caller.may("dynamodb:PutItem", Condition=leading)

    def put(key):
        return caller.call("dynamodb", "put_item", TableName=world.name, Item={"id": {"S": key}}).get("Code")

    assert (put("a"), put("b"), put("c")) == (None, None, "AccessDeniedException")


def test_what_cannot_be_judged_is_not_simulated_and_said_when_the_function_starts(world, caller, capfd):
    world.table()
    caller.may("dynamodb:PutItem", Condition={"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}})
    refused = caller.call("dynamodb", "put_item", TableName=world.name, Item={"id": {"S": "a"}})
    assert refused["Code"] == "NotSimulated"
    assert "the condition operator IpAddress" in refused["Message"]


@conforms("IAM-16", "documented")
@honours("sts:AssumeRole", "RoleArn RoleSessionName DurationSeconds ExternalId Policy")
def test_iam_16_a_role_is_assumed_by_whom_it_trusts_and_acts_within_the_session_s_policy(world, caller):
    world.table()
    iam, name = world.client("iam"), f"{world.name}-assumed"
    trust = {"Effect": "Allow", "Principal": {"AWS": caller.role}, "Action": "sts:AssumeRole"}
    trust["Condition"] = {"StringEquals": {"sts:ExternalId": "xx"}}
    document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    assumed = iam.create_role(RoleName=name, AssumeRolePolicyDocument=document)["Role"]["Arn"]
    world.allow(name, {"Effect": "Allow", "Action": "dynamodb:*", "Resource": "*"})
    passed = json.dumps(
        {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "dynamodb:PutItem", "Resource": "*"}]}
    )
    asked = {"RoleArn": assumed, "RoleSessionName": "mine", "DurationSeconds": 900, "Policy": passed}

    refused = caller.call("sts", "assume_role", **asked)
    assert (refused["Code"], refused["status"]) == ("AccessDenied", 403)
    assert refused["Message"].startswith(f"User: {caller.arn} is not authorized to perform: sts:AssumeRole on resource")
    with pytest.raises(ClientError, match="AccessDenied"):
        world.client("sts").assume_role(**asked, ExternalId="xx")
    keys = caller.call("sts", "assume_role", **asked, ExternalId="xx")["Credentials"]

    def client(service):
        import boto3

        return boto3.client(
            service,
            endpoint_url=world.aws.url,
            region_name="us-east-1",
            aws_access_key_id=keys["AccessKeyId"],
            aws_secret_access_key=keys["SecretAccessKey"],
            aws_session_token=keys["SessionToken"],
        )

    arn = f"arn:aws:sts::{ACCOUNT}:assumed-role/{name}/mine"
    assert client("sts").get_caller_identity()["Arn"] == arn
    client("dynamodb").put_item(TableName=world.name, Item={"id": {"S": "a"}})
    with pytest.raises(ClientError, match="because no session policy allows the dynamodb:GetItem action"):
        client("dynamodb").get_item(TableName=world.name, Key={"id": {"S": "a"}})
    world.control.advance_clock(901)
    with pytest.raises(ClientError, match="ExpiredToken"):
        client("dynamodb").put_item(TableName=world.name, Item={"id": {"S": "a"}})


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"RoleSessionName": "a b"}, "roleSessionName"),
        ({"DurationSeconds": 3601}, "exceeds the MaxSessionDuration"),
        ({"Policy": "{"}, "MalformedPolicyDocument"),
    ],
)
def test_a_session_that_aws_would_refuse_is_refused(world, given, says):
    role = world.make_role(world.name)
    with pytest.raises(ClientError, match=says):
        world.client("sts").assume_role(**{"RoleArn": role, "RoleSessionName": "mine", **given})


def test_the_endpoints_own_keys_are_the_administrators(world):
    world.table()
    world.put("a")
    assert world.client("sts").get_caller_identity()["Account"] == ACCOUNT


def test_a_function_is_who_its_role_is(world, caller):
    assert caller.call("sts", "get_caller_identity")["Arn"] == caller.arn


# What services send by themselves.


@conforms("IAM-17", "documented")
def test_iam_17_a_topic_reaches_a_queue_that_lets_it_in_only(world):
    sqs, sns = world.client("sqs"), world.client("sns")
    url = sqs.create_queue(QueueName=world.name)["QueueUrl"]
    topic = sns.create_topic(Name=world.name)["TopicArn"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=f"arn:aws:sqs:us-east-1:{ACCOUNT}:{world.name}")

    def arrived():
        sns.publish(TopicArn=topic, Message="m")
        return len(sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", []))

    assert arrived() == 0
    world.let_in(url, "sns", f"{topic}-other")
    assert arrived() == 0
    world.let_in(url, "events", topic)
    assert arrived() == 0
    world.let_in(url, "sns", topic)
    assert arrived() == 1


@conforms("IAM-17", "documented")
def test_iam_17_a_rule_reaches_a_queue_that_lets_it_in_only(world):
    sqs, events = world.client("sqs"), world.client("events")
    url = sqs.create_queue(QueueName=world.name)["QueueUrl"]
    rule = events.put_rule(Name=world.name, EventPattern=json.dumps({"source": [world.name]}), State="ENABLED")
    target = {"Id": "q", "Arn": f"arn:aws:sqs:us-east-1:{ACCOUNT}:{world.name}"}
    events.put_targets(Rule=world.name, Targets=[target])

    def arrived():
        events.put_events(Entries=[{"Source": world.name, "DetailType": "t", "Detail": "{}"}])
        return len(sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", []))

    assert arrived() == 0
    world.let_in(url, "events", rule["RuleArn"] + "-other")
    assert arrived() == 0
    world.let_in(url, "events", rule["RuleArn"])
    assert arrived() == 1


@conforms("ALARM-12", "documented")
@honours("sns:SetTopicAttributes", "AttributeName AttributeValue")
def test_alarm_12_an_alarm_reaches_a_topic_that_lets_cloudwatch_in_only(world):
    sqs, sns, cloudwatch = world.client("sqs"), world.client("sns"), world.client("cloudwatch")
    url = sqs.create_queue(QueueName=world.name)["QueueUrl"]
    topic = sns.create_topic(Name=world.name)["TopicArn"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=f"arn:aws:sqs:us-east-1:{ACCOUNT}:{world.name}")
    world.let_in(url, "sns", topic)
    cloudwatch.put_composite_alarm(AlarmName=world.name, AlarmRule="FALSE", AlarmActions=[topic], OKActions=[topic])

    def arrived():
        for state in ("OK", "ALARM"):
            cloudwatch.set_alarm_state(AlarmName=world.name, StateValue=state, StateReason="by hand")
        return len(sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", []))

    assert arrived() > 0  # the policy that a topic has by itself lets the account's alarms in
    while sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
        pass
    for service, comes in (("budgets", False), ("cloudwatch", True)):
        policy = statement({"Service": f"{service}.amazonaws.com"}, "sns:Publish", topic)
        sns.set_topic_attributes(TopicArn=topic, AttributeName="Policy", AttributeValue=policy)
        assert (arrived() > 0) is comes


@conforms("IAM-17", "documented")
@honours("lambda:AddPermission", "FunctionName StatementId Action Principal SourceAccount SourceArn")
def test_iam_17_an_http_api_calls_a_function_that_lets_it_in_only(world):
    gateway, lambda_ = world.client("apigatewayv2"), world.client("lambda")
    world.function("def handler(event, context):\n    return {'called': event['rawPath']}\n")
    api = gateway.create_api(Name=world.name, ProtocolType="HTTP")["ApiId"]
    gateway.create_stage(ApiId=api, StageName="$default", AutoDeploy=True)
    uri = f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:{world.name}"
    integration = gateway.create_integration(
        ApiId=api, IntegrationType="AWS_PROXY", IntegrationUri=uri, PayloadFormatVersion="2.0"
    )["IntegrationId"]
    for route in ("GET /users/{id}", "GET /other"):
        gateway.create_route(ApiId=api, RouteKey=route, Target=f"integrations/{integration}", AuthorizationType="NONE")
    path = world.aws.api_url(api).removeprefix(world.aws.url)
    assert world.unsigned("GET", f"{path}/users/ada") == (500, {"message": "Internal Server Error"})
    lambda_.add_permission(
        FunctionName=world.name,
        StatementId="api",
        Action="lambda:InvokeFunction",
        Principal="apigateway.amazonaws.com",
        SourceAccount=ACCOUNT,
        SourceArn=f"arn:aws:execute-api:us-east-1:{ACCOUNT}:{api}/*/GET/users/{{id}}",
    )
    assert world.unsigned("GET", f"{path}/users/ada") == (200, {"called": "/users/ada"})
    assert world.unsigned("GET", f"{path}/other")[0] == 500


def test_a_function_calls_a_signed_route_if_its_role_may(world, caller):
    gateway = world.client("apigatewayv2")
    api = gateway.create_api(Name=world.name, ProtocolType="HTTP")["ApiId"]
    gateway.create_stage(ApiId=api, StageName="$default", AutoDeploy=True)
    world.function("def handler(event, context):\n    return {}\n", name=f"{world.name}-api")
    uri = f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:{world.name}-api"
    integration = gateway.create_integration(
        ApiId=api, IntegrationType="AWS_PROXY", IntegrationUri=uri, PayloadFormatVersion="2.0"
    )["IntegrationId"]
    target = f"integrations/{integration}"
    gateway.create_route(ApiId=api, RouteKey="GET /users", Target=target, AuthorizationType="AWS_IAM")
    world.let_call(api, f"{world.name}-api")
    keys = world.aws.client("sts")  # the administrator
    assert keys.get_caller_identity()
    path = f"{world.aws.api_url(api).removeprefix(world.aws.url)}/users"
    assert world.signed("GET", path)[0] == 200

    def as_role():
        from botocore.credentials import Credentials

        trust = {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, "Action": "sts:AssumeRole"}
        document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
        world.client("iam").update_assume_role_policy(RoleName=world.name, PolicyDocument=document)
        made = world.client("sts").assume_role(RoleArn=caller.role, RoleSessionName="mine")["Credentials"]
        return Credentials(made["AccessKeyId"], made["SecretAccessKey"], made["SessionToken"])

    assert world.signed("GET", path, keys=as_role())[0] == 403
    caller.may("execute-api:Invoke", resource=f"arn:aws:execute-api:us-east-1:{ACCOUNT}:{api}/*/GET/users")
    assert world.signed("GET", path, keys=as_role())[0] == 200
