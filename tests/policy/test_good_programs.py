"""Programs of good teams, written in other ways than usual: no rule reports anything."""

import json

import pulumi
import pulumi_aws as aws
import pytest

from tests.policy.engine import bare_preview, deployed, preview
from tests.policy.judge import judge
from tests.policy.parts import (
    GOOD,
    MANAGED,
    READS,
    age_alarm,
    cases,
    consumer,
    dead_letters,
    delivered_alarm,
    depth_alarm,
    document,
    function,
    mails,
    pipe,
    role,
    sends,
    table,
    to,
)

CASES, judged = cases()
ROOT = {"Effect": "Allow", "Resource": "*", "Principal": {"AWS": "arn:aws:iam::111122223333:root"}, "Action": "kms:*"}
CLOUDWATCH = {"Service": "cloudwatch.amazonaws.com"}
ALLOWED = {"Effect": "Allow", "Resource": "*", "Principal": CLOUDWATCH}


# Alarms.


@judged()
def the_key_of_the_topic_lets_cloudwatch_in():
    condition = {"StringEquals": {"aws:SourceAccount": "111122223333"}}
    use = {**ALLOWED, "Action": ["kms:Decrypt", "kms:GenerateDataKey*"], "Condition": condition}
    key = aws.kms.Key("oncall-key", policy=json.dumps({"Statement": [ROOT, use]}))
    alias = aws.kms.Alias("oncall-key-name", name="alias/oncall", target_key_id=key.key_id)
    mails(aws.sns.Topic("oncall", kms_master_key_id=alias.name))


@judged()
def the_key_of_the_topic_has_its_policy_beside_it():
    key = aws.kms.Key("oncall-key")
    policy = json.dumps({"Statement": [ROOT, {**ALLOWED, "Action": "kms:*"}]})
    aws.kms.KeyPolicy("oncall-key", key_id=key.key_id, policy=policy)
    mails(aws.sns.Topic("oncall", kms_master_key_id=key.arn))


@judged()
def the_topic_has_a_key_of_another_program():
    mails(aws.sns.Topic("oncall", kms_master_key_id="arn:aws:kms:us-east-1:111122223333:key/shared"))


@judged()
def the_policy_of_the_topic_lets_the_account_publish():
    oncall = aws.sns.Topic("oncall")
    condition = {"StringEquals": {"AWS:SourceOwner": "111122223333"}}
    owner = {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": ["sns:Publish", "sns:Subscribe"]}
    insecure = {"Bool": {"aws:SecureTransport": "false"}}
    deny = {"Effect": "Deny", "Principal": "*", "Action": "sns:Publish", "Resource": "*", "Condition": insecure}
    statements = {**owner, "Resource": oncall.arn, "Condition": condition}, deny
    aws.sns.TopicPolicy("oncall", arn=oncall.arn, policy=document(*statements))
    mails(oncall)


@judged()
def one_of_two_actions_is_heard():
    mute = aws.sns.Topic("mute", kms_master_key_id="alias/aws/sns")
    oncall, users = aws.sns.Topic("oncall"), table()
    failures = dead_letters([mute.arn, oncall.arn])
    consumer("mails", users, [mute.arn, oncall.arn], failures, sends(failures))


@judged()
def everything_is_in_another_region():
    place = {"region": "eu-west-1"}
    oncall, users = aws.sns.Topic("oncall", **place), table(**place)
    failures = aws.sqs.Queue("failures", message_retention_seconds=1209600, **place)
    depth_alarm(failures, [oncall.arn], **place)
    made, _ = consumer("mails", users, [], failures, sends(failures), code=place, aged=False, **place)
    age_alarm(made, [oncall.arn], **place)


@judged()
def one_function_in_two_regions_has_an_alarm_in_each():
    for region in ("us-east-1", "eu-west-1"):
        place = {"region": region}
        oncall, users = aws.sns.Topic(f"oncall-{region}", **place), table(f"users-{region}", **place)
        failures = aws.sqs.Queue(f"failures-{region}", name="failures", message_retention_seconds=1209600, **place)
        depth_alarm(failures, [oncall.arn], **place)
        code = {**place, "name": "mails"}
        made, _ = consumer(
            f"mails-{region}", users, [], failures, sends(failures), code=code, aged=False, **place
        )  # fmt: skip
        age_alarm(made, [oncall.arn], **place)


@judged()
def one_alarm_covers_the_functions_of_the_region():
    users, failures = table(), dead_letters(["page"])
    for name in ("mails", "search"):
        consumer(name, users, ["page"], failures, sends(failures), aged=False)
    aws.cloudwatch.MetricAlarm(
        "behind",
        namespace="AWS/Lambda",
        metric_name="IteratorAge",
        statistic="Maximum",
        period=60,
        evaluation_periods=3,
        threshold=900_000,
        comparison_operator="GreaterThanThreshold",
        alarm_actions=["page"],
    )


@judged()
def one_query_covers_the_functions_of_the_region_and_another_one_function():
    users, failures = table(), dead_letters(["page"])
    whole = 'SELECT MAX(IteratorAge) FROM SCHEMA("AWS/Lambda", FunctionName) GROUP BY FunctionName'
    one = "SELECT MAX(IteratorAge) FROM \"AWS/Lambda\" WHERE FunctionName = 'search'"
    for name, expression, region in (("mails", whole, None), ("search", one, "eu-west-1")):
        place = {"region": region} if region else {}
        users = table(f"{name}-table", **place)
        failures = dead_letters(["page"], f"{name}-failures", **place)
        code = {**place, "name": name}
        consumer(name, users, [], failures, sends(failures), code=code, aged=False, **place)
        query = {"id": "age", "expression": expression, "period": 60, "return_data": True}
        aws.cloudwatch.MetricAlarm(
            f"{name}-behind",
            metric_queries=[query],
            evaluation_periods=3,
            threshold=900_000,
            comparison_operator="GreaterThanThreshold",
            alarm_actions=["page"],
            **place,
        )


@judged()
def one_datapoint_of_many_sets_the_alarm_off():
    made, _ = mails(aged=False)
    age_alarm(made, ["page"], period=900, evaluation_periods=60, datapoints_to_alarm=1)


@judged()
def a_third_of_the_messages_at_most_is_one():
    failures = aws.sqs.Queue("failures", message_retention_seconds=1209600)
    depth_alarm(failures, ["page"], 0.5)
    mails(failures=failures)


@judged()
def dead_letters_are_counted_when_they_are_sent():
    failures = aws.sqs.Queue("failures", message_retention_seconds=1209600)
    depth_alarm(failures, ["page"], 0, "NumberOfMessagesSent", statistic="Sum")
    mails(failures=failures)


@judged()
def dead_letters_are_noticed_by_their_age():
    failures = aws.sqs.Queue("failures", message_retention_seconds=1209600)
    depth_alarm(failures, ["page"], 3600, "ApproximateAgeOfOldestMessage")
    mails(failures=failures)


@judged()
def dead_letters_are_counted_by_the_mapping():
    failures = aws.sqs.Queue("failures", message_retention_seconds=1209600)
    _, reader = mails(failures=failures)
    delivered_alarm("given-up", reader, ["page"])


@judged()
def dead_letters_are_replayed_by_a_function():
    failures = aws.sqs.Queue("failures", message_retention_seconds=1209600, visibility_timeout_seconds=180)
    mails(failures=failures)
    user = role("replay", managed_policy_arns=[f"{MANAGED}/service-role/AWSLambdaSQSQueueExecutionRole"])
    aws.lambda_.EventSourceMapping(
        "replay",
        event_source_arn=failures.arn,
        function_name=function("replay", user, timeout=30).arn,
        function_response_types=["ReportBatchItemFailures"],
    )


@judged()
def a_failure_topic_writes_a_mail():
    failures = topic("failures")
    aws.sns.TopicSubscription("mail", topic=failures.arn, protocol="email", endpoint="oncall@example.com")
    to_topic(failures)


@judged()
def a_failure_topic_fills_a_watched_queue():
    failures, letters = topic("failures"), aws.sqs.Queue("letters", message_retention_seconds=1209600)
    aws.sns.TopicSubscription("letters", topic=failures.arn, protocol="sqs", endpoint=letters.arn)
    depth_alarm(letters, ["page"])
    to_topic(failures)


@judged()
def a_failure_bucket_tidies_up_elsewhere():
    failures = aws.s3.Bucket("failures")
    rules = [
        {"id": "temporary", "status": "Enabled", "filter": {"prefix": "tmp/"}, "expiration": {"days": 1}},
        {"id": "off", "status": "Disabled", "expiration": {"days": 1}},
        {"id": "old", "status": "Enabled", "expiration": {"days": 30}},
    ]
    aws.s3.BucketLifecycleConfiguration("failures", bucket=failures.bucket, rules=rules)
    writes = ("s3:PutObject", pulumi.Output.concat(failures.arn, "/*"))
    _, reader = consumer("mails", table(), ["page"], failures, writes, ("s3:ListBucket", failures.arn))
    delivered_alarm("given-up", reader, ["page"])


# Readers.


@judged()
def batches_have_one_record():
    users, failures = table(), dead_letters(["page"])
    settings = {"batch_size": 1, "bisect_batch_on_function_error": None}
    consumer("mails", users, ["page"], failures, sends(failures), **settings)
    parameters = {"batch_size": 1, "on_partial_batch_item_failure": None}
    pipe("forward", users, aws.sqs.Queue("target"), ["page"], failures, parameters=parameters)


@judged()
def few_retries_stand_beside_an_age_of_a_day():
    users, failures = table(), dead_letters(["page"])
    for name, retries, age in (("mails", 3, 86_400), ("search", 100, 604_800), ("audit", 1446, 86_400)):
        settings = {"maximum_retry_attempts": retries, "maximum_record_age_in_seconds": age}
        consumer(name, users if name != "audit" else table("audits"), ["page"], failures, sends(failures), **settings)


@judged()
def five_thousand_retries_end_before_a_week_in_kinesis():
    stream = aws.kinesis.Stream("clicks", shard_count=1, retention_period=168)
    failures = dead_letters(["page"])
    user = role(
        "clicks", sends(failures), managed_policy_arns=[f"{MANAGED}/service-role/AWSLambdaKinesisExecutionRole"]
    )
    made = function("clicks", user)
    settings = {**GOOD, **to(failures), "maximum_retry_attempts": 5000}
    aws.lambda_.EventSourceMapping("clicks", event_source_arn=stream.arn, function_name=made.arn, **settings)
    age_alarm(made, ["page"])


@judged()
def an_enhanced_fan_out_has_permissions_of_its_own():
    stream, failures = aws.kinesis.Stream("clicks", shard_count=1), dead_letters(["page"])
    reads = aws.kinesis.StreamConsumer("reads", stream_arn=stream.arn)
    user = role("clicks", sends(failures), ("kinesis:SubscribeToShard", reads.arn))
    made = function("clicks", user)
    aws.lambda_.EventSourceMapping("clicks", event_source_arn=reads.arn, function_name=made.arn, **GOOD, **to(failures))
    age_alarm(made, ["page"])


@judged()
def the_table_and_the_role_share_a_key():
    key = aws.kms.Key("users-key")
    users = table(server_side_encryption={"enabled": True, "kms_key_arn": key.arn})
    mails(source=users, granted=[("kms:Decrypt", key.arn)])


@judged()
def the_stream_itself_lets_the_role_in():
    users, failures = table(), dead_letters(["page"])
    user = role("mails", sends(failures))
    made = function("mails", user)
    statement = {"Effect": "Allow", "Principal": {"AWS": user.arn}, "Action": READS, "Resource": users.stream_arn}
    aws.dynamodb.ResourcePolicy("reads", resource_arn=users.stream_arn, policy=document(statement))
    settings = {**GOOD, **to(failures)}
    aws.lambda_.EventSourceMapping("mails", event_source_arn=users.stream_arn, function_name=made.arn, **settings)
    age_alarm(made, ["page"])


@judged()
def one_image_is_enough_and_the_filters_say_so():
    wanted = {
        "index": ("NEW_IMAGE", {"eventName": ["INSERT", "MODIFY"], "dynamodb": {"NewImage": {"k": {"S": ["p"]}}}}),
        "created": ("NEW_IMAGE", {"eventName": ["INSERT"]}),
        "archive": ("OLD_IMAGE", {"eventName": ["REMOVE"]}),
        "cache": ("KEYS_ONLY", {"dynamodb": {"Keys": {"pk": {"S": [{"prefix": "USER#"}]}}}}),
    }
    for name, (view, pattern) in wanted.items():
        failures = dead_letters(["page"], f"{name}-failures")
        filters = {"filters": [{"pattern": json.dumps(pattern)}]}
        consumer(name, table(f"{name}-table", view), ["page"], failures, sends(failures), filter_criteria=filters)


@judged()
def a_consumer_updates_what_it_does_not_read():
    users = table()
    filters = {"filters": [{"pattern": json.dumps({"eventName": ["INSERT"]})}]}
    mails(source=users, granted=[("dynamodb:UpdateItem", users.arn)], filter_criteria=filters)


@judged()
def a_consumer_marks_items_and_skips_marked_ones():
    users = table()
    pattern = {"dynamodb": {"NewImage": {"mailedAt": {"S": [{"exists": False}]}}}}
    filters = {"filters": [{"pattern": json.dumps(pattern)}]}
    mails(source=users, granted=[("dynamodb:PutItem", users.arn)], filter_criteria=filters)


@judged()
def a_function_of_another_program_runs_half_an_hour():
    mails(code={"timeout": 1800})


# Roles.


@judged()
def a_role_lists_what_cannot_be_narrowed():
    listing = [
        "sns:ListSubscriptions",
        "sns:GetSMS*",
        "s3:ListAllMyBuckets",
        "dynamodb:ListTables",
        "kinesis:ListStreams",
    ]
    mails(granted=[(listing, "*"), ("sqs:ListQueues", ["*"])])


@judged()
def a_role_writes_to_phones_and_no_topic():
    made, _ = mails(granted=[("sns:Publish", "*")])
    deny = {"Effect": "Deny", "Action": ["sns:Publish"], "Resource": ["arn:aws:sns:*:*:*"]}
    topics = aws.iam.Policy("no-topics", policy=json.dumps({"Statement": [deny]}))
    aws.iam.RolePolicyAttachment(
        "no-topics", role=made.role.apply(lambda arn: arn.split("/")[-1]), policy_arn=topics.arn
    )


@judged()
def a_denial_of_all_others_narrows_a_star():
    own = "arn:aws:sqs:us-east-1:111122223333:crm"
    deny = {"Effect": "Deny", "Action": "sqs:*", "NotResource": [own, "arn:aws:sqs:us-east-1:111122223333:failures*"]}
    mails(granted=[("sqs:DeleteMessage", "*"), deny])


@judged()
def a_condition_on_tags_narrows_a_star():
    condition = {"StringEquals": {"aws:ResourceTag/app": "crm"}}
    statement = {"Effect": "Allow", "Action": "sqs:SendMessage", "Resource": "arn:aws:sqs:us-east-1:111122223333:*"}
    keys = {"ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["crm#*"]}}
    reads = {"Effect": "Allow", "Action": "dynamodb:Query", "Resource": "*", "Condition": keys}
    mails(granted=[{**statement, "Condition": condition}, reads])


@judged()
def a_role_reads_every_stream_of_the_account():
    mails(reads=False, granted=[(READS, "arn:aws:dynamodb:*:111122223333:table/*/stream/*")])


# APIs.


@judged()
def a_program_without_a_stream_has_an_open_page():
    http = aws.apigatewayv2.Api("http", protocol_type="HTTP")
    aws.apigatewayv2.Route("page", api_id=http.id, route_key="GET /")
    hook = function("hook", role("hook"))
    aws.lambda_.FunctionUrl("hook", function_name=hook.name, authorization_type="NONE")


@judged()
def preflights_and_messages_of_a_socket_are_open():
    table()
    http = aws.apigatewayv2.Api("http", protocol_type="HTTP")
    aws.apigatewayv2.Route("order", api_id=http.id, route_key="PUT /orders/{id}", authorization_type="AWS_IAM")
    aws.apigatewayv2.Route("preflight", api_id=http.id, route_key="OPTIONS /{proxy+}")
    socket = aws.apigatewayv2.Api("socket", protocol_type="WEBSOCKET")
    aws.apigatewayv2.Route("connect", api_id=socket.id, route_key="$connect", authorization_type="AWS_IAM")
    for name, key in (("default", "$default"), ("send", "sendMessage")):
        aws.apigatewayv2.Route(name, api_id=socket.id, route_key=key)


@judged()
def a_private_rest_api_is_open_inside():
    table()
    rest = aws.apigateway.RestApi("rest", endpoint_configuration={"types": "PRIVATE"})
    aws.apigateway.Method(
        "put", rest_api=rest.id, resource_id=rest.root_resource_id, http_method="PUT", authorization="NONE"
    )


def topic(name):
    return aws.sns.Topic(name, kms_master_key_id=aws.kms.Key(f"{name}-key").arn)


def to_topic(failures):
    granted = (("sns:Publish", failures.arn), (["kms:GenerateDataKey", "kms:Decrypt"], failures.kms_master_key_id))
    consumer("mails", table(), ["page"], failures, *granted)


@pytest.mark.parametrize("phase", [deployed, preview, bare_preview])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_no_rule_reports_anything(case, phase):
    assert judge(case, phase) == []
