"""Programs in which changes are lost, or would be unnoticed: each is reported, by the right rule and no other."""

import json
from dataclasses import replace

import pulumi
import pulumi_aws as aws
import pytest

from tests.policy.engine import Finding, Pack, bare_preview, deployed, preview, run
from tests.policy.judge import judge
from tests.policy.parts import (
    GOOD,
    MANAGED,
    READS,
    age_alarm,
    alarm,
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
MUTE = (("iterator-age-alarm", "mails"), ("dead-letter-alarm", "failures"))
ROOT = {"Effect": "Allow", "Resource": "*", "Principal": {"AWS": "arn:aws:iam::111122223333:root"}, "Action": "kms:*"}
CLOUDWATCH = {"Service": "cloudwatch.amazonaws.com"}


# Alarms that nobody hears.


@judged(*MUTE, says="alias/aws/sns")
def the_topic_of_the_alarms_has_the_key_of_sns():
    mails(aws.sns.Topic("oncall", kms_master_key_id="alias/aws/sns"))


@judged(*MUTE, says="alias/aws/sns")
def the_topic_of_the_alarms_has_the_key_of_sns_by_its_arn():
    key = "arn:aws:kms:us-east-1:111122223333:alias/aws/sns"
    mails(aws.sns.Topic("oncall", kms_master_key_id=key))


@judged(*MUTE, says="key policy|policy of oncall-key")
def the_key_of_the_topic_lets_cloudwatch_decrypt_alone():
    half = {"Effect": "Allow", "Resource": "*", "Principal": CLOUDWATCH, "Action": "kms:Decrypt"}
    key = aws.kms.Key("oncall-key", policy=json.dumps({"Statement": [ROOT, half]}))
    mails(aws.sns.Topic("oncall", kms_master_key_id=key.arn))


@judged(*MUTE)
def the_key_of_the_topic_has_the_policy_that_aws_gives():
    key = aws.kms.Key("oncall-key")
    alias = aws.kms.Alias("oncall-key-name", name="alias/oncall", target_key_id=key.key_id)
    mails(aws.sns.Topic("oncall", kms_master_key_id=alias.name))


@judged(*MUTE)
def the_key_of_the_topic_denies_cloudwatch():
    open_ = {"Effect": "Allow", "Resource": "*", "Principal": "*", "Action": "kms:*"}
    deny = {"Effect": "Deny", "Resource": "*", "Principal": CLOUDWATCH, "Action": "kms:GenerateDataKey*"}
    key = aws.kms.Key("oncall-key")
    aws.kms.KeyPolicy("oncall-key", key_id=key.key_id, policy=json.dumps({"Statement": [open_, deny]}))
    mails(aws.sns.Topic("oncall", kms_master_key_id=key.arn))


@judged(*MUTE, says="publish")
def the_policy_of_the_topic_lets_only_eventbridge_publish():
    allowed = {"Effect": "Allow", "Principal": {"Service": "events.amazonaws.com"}, "Action": "sns:Publish"}
    mails(aws.sns.Topic("oncall", policy=json.dumps({"Statement": [{**allowed, "Resource": "*"}]})))


@judged(*MUTE, after_up=True)
def the_policy_of_the_topic_is_a_resource_that_forgets_cloudwatch():
    oncall = aws.sns.Topic("oncall")
    allowed = {"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111122223333:root"}, "Action": "sns:Publish"}
    aws.sns.TopicPolicy("oncall", arn=oncall.arn, policy=document({**allowed, "Resource": oncall.arn}))
    mails(oncall)


@judged(*MUTE)
def the_policy_beside_the_topic_replaces_the_one_that_aws_gave():
    given = {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sns:Publish", "Resource": "*"}
    owner = {"StringEquals": {"AWS:SourceOwner": "111122223333"}}
    oncall = aws.sns.Topic("oncall", policy=json.dumps({"Statement": [{**given, "Condition": owner}]}))
    only = {"Effect": "Allow", "Principal": {"Service": "events.amazonaws.com"}, "Action": "sns:Publish"}
    aws.sns.TopicPolicy("oncall", arn=oncall.arn, policy=json.dumps({"Statement": [{**only, "Resource": "*"}]}))
    mails(oncall)


@judged(("iterator-age-alarm", "mails"), after_up=True, says="is in eu-west-1")
def the_action_of_the_alarm_is_in_another_region():
    made, _ = mails(aged=False)
    age_alarm(made, ["arn:aws:sns:eu-west-1:111122223333:oncall"])


@judged(("iterator-age-alarm", "mails"), says="another region")
def the_topic_of_the_alarm_is_in_another_region():
    made, _ = mails(aged=False)
    age_alarm(made, [aws.sns.Topic("far", region="eu-west-1").arn])


@judged(("iterator-age-alarm", "mails"))
def the_composite_alarm_is_disabled():
    made, _ = mails(aged=False)
    child = age_alarm(made, None)
    rule = child.name.apply(lambda name: f'ALARM("{name}")')
    aws.cloudwatch.CompositeAlarm(
        "behind", alarm_name="behind", alarm_rule=rule, actions_enabled=False, alarm_actions=["page"]
    )


@judged(("iterator-age-alarm", "mails"))
def the_topic_of_the_composite_alarm_has_the_key_of_sns():
    made, _ = mails(aged=False)
    child = age_alarm(made, None)
    far = aws.sns.Topic("far", kms_master_key_id="alias/aws/sns")
    rule = child.name.apply(lambda name: f"ALARM({name})")
    aws.cloudwatch.CompositeAlarm("behind", alarm_name="behind", alarm_rule=rule, alarm_actions=[far.arn])


# Alarms that look elsewhere.


@judged(("iterator-age-alarm", "mails"))
def the_alarm_is_in_another_region_than_the_function():
    place = {"region": "eu-west-1"}
    near, far = aws.sns.Topic("oncall"), aws.sns.Topic("oncall-eu", **place)
    failures = aws.sqs.Queue("failures", message_retention_seconds=1209600, **place)
    depth_alarm(failures, [far.arn], **place)
    users = table(**place)
    made, _ = consumer(
        "mails", users, [], failures, sends(failures), code=place, aged=False, **place
    )  # fmt: skip
    age_alarm(made, [near.arn])


@judged(("dead-letter-alarm", "failures"))
def the_alarm_is_in_another_region_than_the_queue_of_the_same_name():
    oncall = aws.sns.Topic("oncall")
    failures = aws.sqs.Queue("failures", name="failures", message_retention_seconds=1209600)
    far = aws.sqs.Queue("far", name="failures", region="eu-west-1")
    depth_alarm(far, [aws.sns.Topic("oncall-eu", region="eu-west-1").arn], region="eu-west-1")
    mails(oncall, failures=failures)


@judged(("pipe-alarms", "forward"))
def the_alarm_is_in_another_region_than_the_pipe():
    oncall, target = aws.sns.Topic("oncall", region="eu-west-1"), aws.sqs.Queue("target")
    failures = dead_letters(["page"])
    pipe("forward", table(), target, [oncall.arn], failures, alarm_more={"region": "eu-west-1"})


@judged(("iterator-age-alarm", "mails"), says="anomaly detector", never_says="later than")
def the_alarm_is_an_anomaly_detector():
    made, _ = mails(aged=False)
    metric = {"namespace": "AWS/Lambda", "metric_name": "IteratorAge", "period": 60, "stat": "Maximum"}
    aws.cloudwatch.MetricAlarm(
        "unusual",
        comparison_operator="GreaterThanUpperThreshold",
        evaluation_periods=3,
        threshold_metric_id="band",
        alarm_actions=["page"],
        metric_queries=[
            {"id": "band", "expression": "ANOMALY_DETECTION_BAND(age, 3)", "return_data": True},
            {"id": "age", "return_data": True, "metric": {**metric, "dimensions": {"FunctionName": made.name}}},
        ],
    )


@judged(("iterator-age-alarm", "mails"), says="later than 12 h")
def a_query_over_all_functions_comes_too_late():
    mails(aged=False)
    query = {"id": "age", "expression": 'SELECT MAX(IteratorAge) FROM "AWS/Lambda"', "period": 60, "return_data": True}
    aws.cloudwatch.MetricAlarm(
        "behind",
        metric_queries=[query],
        evaluation_periods=1,
        threshold=80_000_000,
        comparison_operator="GreaterThanThreshold",
        alarm_actions=["page"],
    )


@judged(("dead-letter-alarm", "failures"), says="anomaly detector")
def the_alarm_on_dead_letters_is_an_anomaly_detector():
    failures = aws.sqs.Queue("failures", message_retention_seconds=1209600)
    mails(failures=failures)
    metric = {"namespace": "AWS/SQS", "metric_name": "ApproximateNumberOfMessagesVisible", "period": 60}
    metric |= {"stat": "Maximum", "dimensions": {"QueueName": failures.name}}
    aws.cloudwatch.MetricAlarm(
        "unusual",
        comparison_operator="GreaterThanUpperThreshold",
        evaluation_periods=3,
        threshold_metric_id="band",
        alarm_actions=["page"],
        metric_queries=[
            {"id": "band", "expression": "ANOMALY_DETECTION_BAND(letters, 3)", "return_data": True},
            {"id": "letters", "return_data": True, "metric": metric},
        ],
    )


@judged(("stream-view-type", "users"), says="replaces the stream")
def a_consumer_of_one_image_selects_changes_without_it():
    mails(
        source=table(view="NEW_IMAGE"),
        filter_criteria={"filters": [{"pattern": json.dumps({"eventName": ["MODIFY", "REMOVE"]})}]},
    )


@judged(("iterator-age-alarm", "clicks"), says="168 h after it stopped")
def a_kinesis_stream_that_is_kept_for_a_week_has_no_age_alarm():
    clicks(kinesis(retention_period=168))


@judged(("iterator-age-alarm", "clicks"), says="24 h \\(or as long")
def an_existing_kinesis_stream_has_no_age_alarm():
    clicks("arn:aws:kinesis:us-east-1:111122223333:stream/clicks")


# Readers that read nothing.


@judged(("stream-read-permission", "mails-role"), after_up=True, levels={"stream-read-permission": "mandatory"})
def the_role_may_read_the_stream_of_another_table():
    orders = table("orders")
    mails(reads=False, granted=[(READS, orders.stream_arn)])


@judged(("stream-read-permission", "mails-role"), after_up=True, says="kms:Decrypt")
def the_role_may_not_decrypt_the_table():
    key = aws.kms.Key("users-key")
    mails(source=table(server_side_encryption={"enabled": True, "kms_key_arn": key.arn}))


@judged(("stream-read-permission", "mails-role"), after_up=True, says="dynamodb:GetRecords")
def the_role_lost_one_of_three_actions():
    users = table()
    mails(source=users, reads=False, granted=[([READS[0], READS[2]], users.stream_arn)])


@judged(("stream-read-permission", "mails-role"), after_up=True)
def a_denial_takes_the_reads_away():
    deny = {"Effect": "Deny", "Action": "dynamodb:Get*", "Resource": "*"}
    mails(granted=[deny])


@judged(("stream-read-permission", "forward-role"), after_up=True)
def the_role_of_a_pipe_may_not_decrypt_the_table():
    users = table(server_side_encryption={"enabled": True, "kms_key_arn": aws.kms.Key("users-key").arn})
    pipe("forward", users, aws.sqs.Queue("target"), ["page"], dead_letters(["page"]))


@judged(("stream-read-permission", "clicks-role"), after_up=True)
def the_role_of_a_kinesis_consumer_may_only_log():
    made = clicks(kinesis(), managed="service-role/AWSLambdaBasicExecutionRole")
    age_alarm(made, ["page"])


@judged(("mapping-settings", "mails-mapping"), says="streamArn")
def a_table_is_named_instead_of_its_stream():
    users = table(name="users")
    mails(source=users, event_source_arn="arn:aws:dynamodb:us-east-1:111122223333:table/users")


@judged(("mapping-settings", "mails-mapping"), after_up=True)
def a_table_of_the_program_is_named_instead_of_its_stream():
    users = table()
    mails(source=users, event_source_arn=users.arn)


@judged(("mapping-enabled", "sync-mapping"), ("mapping-enabled", "forward"))
def the_function_may_not_run_and_the_pipe_is_stopped():
    users, failures = table(), dead_letters(["page"])
    code = {"reserved_concurrent_executions": 0}
    consumer("sync", users, ["page"], failures, sends(failures), code=code)
    pipe("forward", users, aws.sqs.Queue("target"), ["page"], failures, desired_state="STOPPED")


@judged(("filter-can-match", "wrong-mapping"), says="pk \\(S\\) and sk \\(N\\)")
def a_filter_asks_for_a_key_that_the_table_lacks():
    attributes = [{"name": "pk", "type": "S"}, {"name": "sk", "type": "N"}]
    orders, failures = table("orders", range_key="sk", attributes=attributes), dead_letters(["page"])
    for name, keys in (("wrong", {"SK": {"N": ["1"]}}), ("right", {"sk": {"N": ["1"]}})):
        filters = {"filters": [{"pattern": json.dumps({"dynamodb": {"Keys": keys}})}]}
        consumer(name, orders, ["page"], failures, sends(failures), filter_criteria=filters)


@judged(("filter-can-match", "mails-mapping"))
def a_filter_asks_for_a_key_of_another_type():
    pattern = {"dynamodb": {"Keys": {"pk": {"N": ["1"]}}}}
    mails(filter_criteria={"filters": [{"pattern": json.dumps(pattern)}]})


# Retries.


@judged(("mapping-bounded-retries", "mails-mapping"), ("pipe-bounded-retries", "forward"), says="longer than the 24 h")
def retries_take_longer_than_the_stream_remembers():
    users, failures = table(), dead_letters(["page"])
    consumer("mails", users, ["page"], failures, sends(failures), maximum_retry_attempts=1447)
    parameters = {"maximum_retry_attempts": 5000}
    pipe("forward", users, aws.sqs.Queue("target"), ["page"], failures, parameters=parameters)


@judged(("mapping-bounded-retries", "mails-mapping"))
def many_retries_and_an_age_of_a_week_bound_nothing():
    mails(maximum_retry_attempts=10_000, maximum_record_age_in_seconds=604_800)


@judged(
    ("retries-outlast-an-outage", "mails-mapping"),
    ("retries-outlast-an-outage", "forward"),
    levels={"retries-outlast-an-outage": "advisory"},
    says="spend no retry",
)
def a_few_retries_are_spent_within_seconds():
    users, failures = table(), dead_letters(["page"])
    consumer("mails", users, ["page"], failures, sends(failures), maximum_retry_attempts=2)
    parameters = {"maximum_retry_attempts": 7}
    pipe("forward", users, aws.sqs.Queue("target"), ["page"], failures, parameters=parameters)


@judged(("retries-outlast-an-outage", "mails-mapping"))
def a_few_retries_are_not_saved_by_an_age_of_hours():
    mails(maximum_retry_attempts=3, maximum_record_age_in_seconds=3600)


# Dead letters.


@judged(("dead-letter-alarm", "failures"), says="does not fire at 1 message")
def the_alarm_on_dead_letters_begins_at_a_thousand():
    failures = aws.sqs.Queue("failures", message_retention_seconds=1209600)
    depth_alarm(failures, ["page"], 1000)
    mails(failures=failures)


@judged(("dead-letter-alarm", "failures"))
def the_alarm_on_sent_dead_letters_begins_at_ten():
    failures = aws.sqs.Queue("failures", message_retention_seconds=1209600)
    depth_alarm(failures, ["page"], 10, "NumberOfMessagesSent", statistic="Sum")
    mails(failures=failures)


@judged(("dead-letter-retention", "failures"), says="2 days")
def a_failure_bucket_tidies_up():
    bucket_of_failures(aws.s3.Bucket("failures", lifecycle_rules=[{"enabled": True, "expiration": {"days": 2}}]))


@judged(("dead-letter-retention", "failures"), says="7 days")
def a_failure_bucket_has_a_configuration_that_tidies_up():
    failures = aws.s3.Bucket("failures")
    rules = [{"id": "all", "status": "Enabled", "filter": {"prefix": "aws/"}, "expiration": {"days": 7}}]
    aws.s3.BucketLifecycleConfiguration("failures", bucket=failures.bucket, rules=rules)
    bucket_of_failures(failures)


@judged(("dead-letter-retention", "failures"))
def a_failure_topic_has_no_subscriber():
    topic_of_failures(aws.sns.Topic("failures", kms_master_key_id=aws.kms.Key("k").arn), watched=True)


@judged(("dead-letter-alarm", "letters"))
def the_queue_behind_a_failure_topic_is_not_watched():
    failures = aws.sns.Topic("failures", kms_master_key_id=aws.kms.Key("k").arn)
    letters = aws.sqs.Queue("letters", message_retention_seconds=1209600)
    aws.sns.TopicSubscription("letters", topic=failures.arn, protocol="sqs", endpoint=letters.arn)
    topic_of_failures(failures)


@judged(("failure-path-encryption", "oncall"), says="cloudwatch.amazonaws.com", never_says='"alias/aws/sns"')
def a_topic_of_failures_and_alarms_gets_a_key_that_keeps_the_alarms():
    oncall = aws.sns.Topic("oncall")
    aws.sns.TopicSubscription("pager", topic=oncall.arn, protocol="https", endpoint="https://pager.example.com")
    made, reader = consumer("mails", table(), [], oncall, ("sns:Publish", oncall.arn), aged=False)
    age_alarm(made, [oncall.arn])
    delivered_alarm("given-up", reader, [oncall.arn])


# Ways on.


@judged(("stream-write-back", "mails-mapping"), after_up=True, levels={"stream-write-back": "advisory"})
def a_consumer_updates_the_table_it_reads():
    users = table()
    mails(source=users, granted=[("dynamodb:UpdateItem", users.arn)])


@judged(("kinesis-destination-alarm", "copy"))
def a_table_is_copied_to_kinesis_and_nobody_watches_it():
    aws.dynamodb.KinesisStreamingDestination("copy", table_name=table().name, stream_arn=kinesis().arn)


@judged(
    ("subscription-dead-letter", "mails"),
    ("event-target-dead-letter", "crm"),
    ("schedule-dead-letter", "nightly"),
    levels=dict.fromkeys(("subscription-dead-letter", "event-target-dead-letter", "schedule-dead-letter"), "advisory"),
)
def what_queues_rules_and_schedules_refuse_is_lost():
    table()
    changes, queue = aws.sns.Topic("changes"), aws.sqs.Queue("queue")
    aws.sns.TopicSubscription("mails", topic=changes.arn, protocol="sqs", endpoint=queue.arn)
    rule = aws.cloudwatch.EventRule("upgrades", event_pattern="{}")
    connection = aws.cloudwatch.EventConnection(
        "crm", authorization_type="API_KEY", auth_parameters={"api_key": {"key": "k", "value": "v"}}
    )
    destination = aws.cloudwatch.EventApiDestination(
        "crm", connection_arn=connection.arn, http_method="POST", invocation_endpoint="https://crm.example.com"
    )
    aws.cloudwatch.EventTarget("crm", rule=rule.name, arn=destination.arn, role_arn="arn:aws:iam::111122223333:role/e")
    aws.scheduler.Schedule(
        "nightly",
        schedule_expression="rate(1 day)",
        flexible_time_window={"mode": "OFF"},
        target={"arn": queue.arn, "role_arn": "arn:aws:iam::111122223333:role/s"},
    )


@judged(("api-authorisation", "put"))
def a_rest_api_takes_a_write_from_anybody():
    table()
    rest = aws.apigateway.RestApi("rest")
    orders = aws.apigateway.Resource("orders", rest_api=rest.id, parent_id=rest.root_resource_id, path_part="orders")
    for name, method, authorization in (
        ("put", "PUT", "NONE"),
        ("get", "GET", "AWS_IAM"),
        ("options", "OPTIONS", "NONE"),
    ):
        aws.apigateway.Method(
            name, rest_api=rest.id, resource_id=orders.id, http_method=method, authorization=authorization
        )


@judged(("api-authorisation", "any"), ("api-authorisation", "rest-of-all"))
def an_api_takes_anything_at_its_root():
    table()
    rest = aws.apigateway.RestApi("rest")
    settings = {"http_method": "ANY", "authorization": "NONE", "api_key_required": True}
    aws.apigateway.Method("any", rest_api=rest.id, resource_id=rest.root_resource_id, **settings)
    http = aws.apigatewayv2.Api("http", protocol_type="HTTP")
    aws.apigatewayv2.Route("rest-of-all", api_id=http.id, route_key="$default")


@judged(("stream-role-least-privilege", "mails-role"), after_up=True, says="the named queue", never_says="every queue")
def every_action_of_one_queue_is_allowed():
    oncall = aws.sns.Topic("oncall")
    failures = dead_letters([oncall.arn])
    mails(oncall, failures=failures, granted=[("sqs:*", failures.arn)])


@judged(("stream-role-least-privilege", "clicks-role"), says="every stream")
def every_kinesis_stream_may_be_written():
    made = clicks(kinesis(), managed="AmazonKinesisFullAccess")
    age_alarm(made, ["page"])


@judged(("stream-role-least-privilege", "mails-role"), after_up=True)
def a_condition_on_the_network_narrows_no_resource():
    condition = {"Bool": {"aws:SecureTransport": "true"}}
    mails(granted=[{"Effect": "Allow", "Action": "sqs:SendMessage", "Resource": "*", "Condition": condition}])


@judged(("queue-visibility-headroom", "orders"), levels={"queue-visibility-headroom": "advisory"})
def the_batching_window_eats_the_visibility_timeout():
    jobs("orders", 120, timeout=20, maximum_batching_window_in_seconds=120)


@judged(("queue-visibility-timeout", "orders"), levels={"queue-visibility-timeout": "mandatory"})
def a_message_comes_back_before_the_function_ends():
    jobs("orders", 30, timeout=45)


def kinesis(**more):
    return aws.kinesis.Stream("clicks", shard_count=1, **more)


def clicks(stream, managed="service-role/AWSLambdaKinesisExecutionRole"):
    failures = dead_letters(["page"])
    user = role("clicks", sends(failures), managed_policy_arns=[f"{MANAGED}/{managed}"])
    made = function("clicks", user)
    source = stream if isinstance(stream, str) else stream.arn
    aws.lambda_.EventSourceMapping(
        "clicks-mapping", event_source_arn=source, function_name=made.arn, **to(failures), **GOOD
    )
    return made


def bucket_of_failures(failures):
    writes = ("s3:PutObject", pulumi.Output.concat(failures.arn, "/*"))
    _, reader = consumer("mails", table(), ["page"], failures, writes, ("s3:ListBucket", failures.arn))
    delivered_alarm("given-up", reader, ["page"])


def topic_of_failures(failures, watched=False):
    granted = (("sns:Publish", failures.arn), (["kms:GenerateDataKey", "kms:Decrypt"], failures.kms_master_key_id))
    _, reader = consumer("mails", table(), ["page"], failures, *granted)
    if watched:
        delivered_alarm("given-up", reader, ["page"])


def jobs(name, hidden, timeout, **more):
    dead = aws.sqs.Queue("dead")
    redrive = pulumi.Output.json_dumps({"deadLetterTargetArn": dead.arn, "maxReceiveCount": 5})
    queue = aws.sqs.Queue(name, visibility_timeout_seconds=hidden, redrive_policy=redrive)
    user = role("work", managed_policy_arns=[f"{MANAGED}/service-role/AWSLambdaSQSQueueExecutionRole"])
    worker = function("work", user, timeout=timeout)
    aws.lambda_.EventSourceMapping(
        "work-mapping",
        event_source_arn=queue.arn,
        function_name=worker.arn,
        function_response_types=["ReportBatchItemFailures"],
        **more,
    )


@pytest.mark.parametrize("phase", [deployed, preview, bare_preview])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_loss_is_reported(case, phase):
    assert judge(case, phase) == []


def test_an_alarm_of_an_explicit_provider_is_in_the_region_of_that_provider():
    def program():
        oncall = aws.sns.Topic("oncall")
        alarm("unused", "AWS/Lambda", "Errors", {}, 0, [oncall.arn])
        mails(oncall)

    asked = deployed(run(program, previewed=False))
    home, abroad = ("default_7_51_1", {"region": "us-east-1"}), ("abroad", {"region": "eu-west-1"})

    def placed(each, provider):
        outputs = {key: value for key, value in each.outputs.items() if key != "arn"}
        return replace(each, provider=provider, outputs=outputs)

    def findings(alarms_in):
        return Pack().findings(
            [placed(each, alarms_in if each.registration.name == "mails-age" else home) for each in asked]
        )

    assert findings(home) == set()
    assert findings(abroad) == {Finding("iterator-age-alarm", "mails")}
