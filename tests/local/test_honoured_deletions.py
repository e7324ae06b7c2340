"""Operations that change or delete what exists: afterwards AWS describes it so, or does not know it any more."""

from __future__ import annotations

import io
import json
import zipfile

import pytest
from botocore.exceptions import ClientError

from local.deploy.resources.resource_type import is_gone as is_gone_error

honours = pytest.mark.honours

ECHO = "def handler(event, context):\n    return {'statusCode': 200, 'body': '\"first\"'}\n"


def is_gone(call, **arguments) -> bool:
    try:
        call(**arguments)
    except ClientError as error:
        return is_gone_error(error)
    return False


@honours("dynamodb:DeleteTable", "TableName")
def test_a_deleted_table_is_gone(world):
    world.table()
    dynamodb = world.client("dynamodb")
    dynamodb.delete_table(TableName=world.name)
    assert is_gone(dynamodb.describe_table, TableName=world.name)


@honours("dynamodb:UpdateTable", "TableName DeletionProtectionEnabled")
def test_a_protected_table_is_not_deleted_until_its_protection_is_off(world):
    world.table()
    dynamodb = world.client("dynamodb")
    dynamodb.update_table(TableName=world.name, DeletionProtectionEnabled=True)
    with pytest.raises(ClientError, match="deletion protection"):
        dynamodb.delete_table(TableName=world.name)
    dynamodb.update_table(TableName=world.name, DeletionProtectionEnabled=False)
    dynamodb.delete_table(TableName=world.name)
    assert is_gone(dynamodb.describe_table, TableName=world.name)


@honours("dynamodb:TagResource", "ResourceArn Tags")
@honours("dynamodb:UntagResource", "ResourceArn TagKeys")
def test_tags_of_a_table_are_added_and_removed(world):
    world.table()
    dynamodb, arn = world.client("dynamodb"), f"arn:aws:dynamodb:us-east-1:111122223333:table/{world.name}"
    dynamodb.tag_resource(ResourceArn=arn, Tags=[{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}])
    dynamodb.untag_resource(ResourceArn=arn, TagKeys=["a"])
    assert dynamodb.list_tags_of_resource(ResourceArn=arn)["Tags"] == [{"Key": "b", "Value": "2"}]


def zipped(source: str) -> bytes:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as code:
        code.writestr("function.py", source)
    return archive.getvalue()


@honours("lambda:UpdateFunctionCode", "FunctionName ZipFile Architectures")
def test_a_function_runs_its_new_code(world):
    world.function("def handler(event, context):\n    return 'first'\n")
    assert world.invoke() == "first"
    before = world.client("lambda").get_function(FunctionName=world.name)["Configuration"]["CodeSha256"]
    updated = world.client("lambda").update_function_code(
        FunctionName=world.name,
        ZipFile=zipped("def handler(event, context):\n    return 'second'\n"),
        Architectures=["arm64"],
    )
    assert updated["CodeSha256"] != before
    assert world.client("lambda").get_function(FunctionName=world.name)["Configuration"]["Architectures"] == ["arm64"]
    assert world.invoke() == "second"


@honours(
    "lambda:UpdateFunctionConfiguration",
    "FunctionName Role Handler Timeout Environment LoggingConfig Runtime MemorySize",
)
def test_a_function_runs_with_its_new_settings(world):
    world.function("import os\ndef other(event, context):\n    return os.environ.get('A')\n")
    world.client("logs").create_log_group(logGroupName=world.name)
    settings = {
        "Role": world.make_role(f"{world.name}-other"),
        "Handler": "function.other",
        "Timeout": 9,
        "Environment": {"Variables": {"A": "b"}},
        "LoggingConfig": {"LogFormat": "JSON", "LogGroup": world.name},
        "Runtime": "python3.12",
        "MemorySize": 512,
    }
    world.client("lambda").update_function_configuration(FunctionName=world.name, **settings)
    found = world.client("lambda").get_function(FunctionName=world.name)["Configuration"]
    described = {name: found[name] for name in settings}
    described["LoggingConfig"] = {name: found["LoggingConfig"][name] for name in settings["LoggingConfig"]}
    assert described == settings
    assert world.invoke() == "b"


@honours("lambda:DeleteFunction", "FunctionName")
def test_a_deleted_function_is_gone(world):
    world.function()
    world.client("lambda").delete_function(FunctionName=world.name)
    assert is_gone(world.client("lambda").get_function, FunctionName=world.name)


@honours("lambda:RemovePermission", "FunctionName StatementId")
def test_a_removed_permission_is_gone(world):
    world.function()
    lambda_ = world.client("lambda")
    for sid in ("one", "two"):
        lambda_.add_permission(
            FunctionName=world.name, StatementId=sid, Action="lambda:InvokeFunction", Principal="s3.amazonaws.com"
        )
    lambda_.remove_permission(FunctionName=world.name, StatementId="one")
    statements = json.loads(lambda_.get_policy(FunctionName=world.name)["Policy"])["Statement"]
    assert [each["Sid"] for each in statements] == ["two"]


@honours("iam:DeleteRole", "RoleName")
def test_a_role_is_deleted_once_it_has_no_policy(world):
    world.make_role(world.name, {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"})
    iam = world.client("iam")
    with pytest.raises(ClientError, match="DeleteConflict"):
        iam.delete_role(RoleName=world.name)
    iam.delete_role_policy(RoleName=world.name, PolicyName="own")
    iam.delete_role(RoleName=world.name)
    assert is_gone(iam.get_role, RoleName=world.name)


@honours("logs:DeleteRetentionPolicy", "logGroupName")
@honours("logs:DeleteLogGroup", "logGroupName")
def test_a_log_group_keeps_for_ever_again_and_is_deleted(world):
    logs = world.client("logs")
    logs.create_log_group(logGroupName=world.name)
    logs.put_retention_policy(logGroupName=world.name, retentionInDays=7)
    logs.delete_retention_policy(logGroupName=world.name)
    (group,) = logs.describe_log_groups(logGroupNamePrefix=world.name)["logGroups"]
    assert "retentionInDays" not in group
    logs.delete_log_group(logGroupName=world.name)
    assert logs.describe_log_groups(logGroupNamePrefix=world.name)["logGroups"] == []


@honours("s3:DeleteObject", "Bucket Key")
@honours("s3:DeleteBucket", "Bucket")
def test_a_bucket_is_deleted_once_it_is_empty(world):
    world.bucket()
    s3 = world.client("s3")
    s3.put_object(Bucket=world.name, Key="k", Body=b"1")
    with pytest.raises(ClientError, match="BucketNotEmpty"):
        s3.delete_bucket(Bucket=world.name)
    s3.delete_object(Bucket=world.name, Key="k")
    s3.delete_bucket(Bucket=world.name)
    assert is_gone(s3.head_bucket, Bucket=world.name)


@honours("s3:DeleteBucketLifecycle", "Bucket")
@honours("s3:DeleteBucketOwnershipControls", "Bucket")
@honours("s3:DeletePublicAccessBlock", "Bucket")
def test_settings_of_a_bucket_are_removed(world):
    world.bucket()
    s3, where = world.client("s3"), {"Bucket": world.name}
    rule = {"ID": "r", "Status": "Enabled", "Filter": {"Prefix": ""}, "Expiration": {"Days": 1}}
    s3.put_bucket_lifecycle_configuration(**where, LifecycleConfiguration={"Rules": [rule]})
    s3.put_bucket_ownership_controls(**where, OwnershipControls={"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]})
    s3.put_public_access_block(**where, PublicAccessBlockConfiguration={"BlockPublicAcls": True})
    s3.delete_bucket_lifecycle(**where)
    s3.delete_bucket_ownership_controls(**where)
    s3.delete_public_access_block(**where)
    assert is_gone(s3.get_bucket_lifecycle_configuration, **where)
    assert is_gone(s3.get_bucket_ownership_controls, **where)
    assert is_gone(s3.get_public_access_block, **where)


@honours("s3:DeleteBucketEncryption", "Bucket")
def test_a_bucket_without_a_setting_of_its_own_is_encrypted_by_s3(world):
    world.bucket()
    s3, where = world.client("s3"), {"Bucket": world.name}
    by_kms = {"Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms"}}]}
    s3.put_bucket_encryption(**where, ServerSideEncryptionConfiguration=by_kms)
    s3.delete_bucket_encryption(**where)
    (rule,) = s3.get_bucket_encryption(**where)["ServerSideEncryptionConfiguration"]["Rules"]
    assert rule["ApplyServerSideEncryptionByDefault"] == {"SSEAlgorithm": "AES256"}


@honours("sesv2:DeleteEmailIdentity", "EmailIdentity")
def test_a_deleted_identity_sends_nothing(world):
    ses, sender = world.client("sesv2"), f"{world.name}@example.com"
    ses.create_email_identity(EmailIdentity=sender)
    ses.delete_email_identity(EmailIdentity=sender)
    assert is_gone(ses.get_email_identity, EmailIdentity=sender)


def test_an_identity_exists_once_in_an_account(world):
    ses, sender = world.client("sesv2"), f"{world.name}@example.com"
    ses.create_email_identity(EmailIdentity=sender)
    with pytest.raises(ClientError, match="AlreadyExistsException"):
        ses.create_email_identity(EmailIdentity=sender)


@honours("sns:GetTopicAttributes", "TopicArn")
@honours("sns:GetSubscriptionAttributes", "SubscriptionArn")
@honours("sns:Unsubscribe", "SubscriptionArn")
@honours("sns:DeleteTopic", "TopicArn")
def test_a_subscription_and_its_topic_are_deleted(world):
    sns = world.client("sns")
    topic = sns.create_topic(Name=world.name)["TopicArn"]
    queue = f"arn:aws:sqs:us-east-1:111122223333:{world.name}"
    world.client("sqs").create_queue(QueueName=world.name)
    made = sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=queue, ReturnSubscriptionArn=True)["SubscriptionArn"]
    attributes = sns.get_subscription_attributes(SubscriptionArn=made)["Attributes"]
    assert (attributes["TopicArn"], attributes["Endpoint"]) == (topic, queue)
    sns.unsubscribe(SubscriptionArn=made)
    assert is_gone(sns.get_subscription_attributes, SubscriptionArn=made)
    assert sns.get_topic_attributes(TopicArn=topic)["Attributes"]["TopicArn"] == topic
    sns.delete_topic(TopicArn=topic)
    assert is_gone(sns.get_topic_attributes, TopicArn=topic)


@honours("sqs:DeleteQueue", "QueueUrl")
def test_a_deleted_queue_is_gone(world):
    sqs = world.client("sqs")
    url = sqs.create_queue(QueueName=world.name)["QueueUrl"]
    sqs.delete_queue(QueueUrl=url)
    assert is_gone(sqs.get_queue_attributes, QueueUrl=url, AttributeNames=["All"])


@honours("events:DescribeEventBus", "Name")
@honours("events:ListTargetsByRule", "Rule EventBusName")
@honours("events:RemoveTargets", "Rule EventBusName Ids")
@honours("events:DeleteRule", "Name EventBusName")
@honours("events:DeleteEventBus", "Name")
def test_a_rule_is_deleted_after_its_targets_and_a_bus_after_its_rules(world):
    events, bus = world.client("events"), {"EventBusName": world.name}
    world.client("sqs").create_queue(QueueName=world.name)
    events.create_event_bus(Name=world.name)
    events.put_rule(Name="r", **bus, EventPattern='{"source": ["mine"]}', State="ENABLED")
    target = {"Id": "q", "Arn": f"arn:aws:sqs:us-east-1:111122223333:{world.name}"}
    events.put_targets(Rule="r", **bus, Targets=[target])
    assert events.list_targets_by_rule(Rule="r", **bus)["Targets"] == [target]
    events.remove_targets(Rule="r", **bus, Ids=["q"])
    assert events.list_targets_by_rule(Rule="r", **bus)["Targets"] == []
    events.delete_rule(Name="r", **bus)
    assert is_gone(events.describe_rule, Name="r", **bus)
    assert events.describe_event_bus(Name=world.name)["Arn"].endswith(f"event-bus/{world.name}")
    events.delete_event_bus(Name=world.name)
    assert is_gone(events.describe_event_bus, Name=world.name)


@honours("apigatewayv2:UpdateApi", "ApiId Name")
@honours("apigatewayv2:UpdateIntegration", "ApiId IntegrationId IntegrationType IntegrationUri PayloadFormatVersion")
@honours("apigatewayv2:UpdateRoute", "ApiId RouteId RouteKey Target AuthorizationType")
@honours("apigatewayv2:GetIntegration", "ApiId IntegrationId")
@honours("apigatewayv2:GetRoute", "ApiId RouteId")
@honours("apigatewayv2:DeleteRoute", "ApiId RouteId")
@honours("apigatewayv2:DeleteIntegration", "ApiId IntegrationId")
@honours("apigatewayv2:DeleteStage", "ApiId StageName")
@honours("apigatewayv2:DeleteApi", "ApiId")
def test_an_http_api_is_changed_and_deleted_piece_by_piece(world):
    gateway = world.client("apigatewayv2")
    api = {"ApiId": gateway.create_api(Name=world.name, ProtocolType="HTTP")["ApiId"]}
    stage = {**api, "StageName": "$default"}
    gateway.create_stage(**stage, AutoDeploy=True)
    uri = f"arn:aws:lambda:us-east-1:111122223333:function:{world.name}"
    to_function = {"IntegrationType": "AWS_PROXY", "PayloadFormatVersion": "2.0"}
    made = gateway.create_integration(**api, IntegrationUri=f"{uri}-old", **to_function)["IntegrationId"]
    integration = {**api, "IntegrationId": made}
    open_to_all = {"Target": f"integrations/{made}", "AuthorizationType": "NONE"}
    route = {**api, "RouteId": gateway.create_route(**api, RouteKey="GET /old", **open_to_all)["RouteId"]}

    gateway.update_api(**api, Name=f"{world.name}-renamed")
    gateway.update_integration(**integration, IntegrationUri=uri, **to_function)
    gateway.update_route(**route, RouteKey="GET /new", **open_to_all)

    assert gateway.get_api(**api)["Name"] == f"{world.name}-renamed"
    assert gateway.get_integration(**integration)["IntegrationUri"] == uri
    assert gateway.get_route(**route)["RouteKey"] == "GET /new"
    world.function(ECHO)
    world.let_call(api["ApiId"])
    path = world.aws.api_url(api["ApiId"]).removeprefix(world.aws.url)
    assert world.signed("GET", f"{path}/new")[0] == 200
    assert world.signed("GET", f"{path}/old")[0] == 404

    gateway.delete_route(**route)
    assert is_gone(gateway.get_route, **route)
    gateway.delete_integration(**integration)
    assert is_gone(gateway.get_integration, **integration)
    gateway.delete_stage(**stage)
    assert is_gone(gateway.get_stage, **stage)
    gateway.delete_api(**api)
    assert is_gone(gateway.get_api, **api)


@honours("stepfunctions:UpdateStateMachine", "stateMachineArn definition roleArn")
@honours("stepfunctions:DeleteStateMachine", "stateMachineArn")
def test_a_state_machine_is_changed_and_deleted(world):
    machines, role = world.client("stepfunctions"), world.make_role(world.name, service="states")
    definitions = [
        json.dumps({"StartAt": each, "States": {each: {"Type": "Pass", "End": True}}}) for each in ("First", "Second")
    ]
    arn = machines.create_state_machine(name=world.name, definition=definitions[0], roleArn=role)["stateMachineArn"]
    machines.update_state_machine(stateMachineArn=arn, definition=definitions[1], roleArn=role)
    assert machines.describe_state_machine(stateMachineArn=arn)["definition"] == definitions[1]
    machines.delete_state_machine(stateMachineArn=arn)
    assert is_gone(machines.describe_state_machine, stateMachineArn=arn)
