"""References between resources as people write them, in a preview of an empty account and after `up`."""

import pytest

from policies.rules import all_rules
from tests.policy.engine import Pack, bare_preview, deployed, example, preview

RULES = {rule.id: rule for rule in all_rules()}
COMPUTED = "arn:aws:dynamodb:us-east-1:111122223333:table/${users.name}/stream/2026"
STREAM = "arn:aws:dynamodb:us-east-1:111122223333:table/users/stream/2026-01-01T00:00:00.000"

TABLE = """
users:
  type: aws:dynamodb:Table
  properties: {hashKey: id, attributes: [{name: id, type: S}], streamEnabled: true, streamViewType: NEW_AND_OLD_IMAGES}
"""
FUNCTION = """
orders: {type: aws:lambda:Function, properties: {role: "arn:aws:iam::111122223333:role/orders"}}
"""
ALIAS = """
live: {type: aws:lambda:Alias, properties: {name: live, functionName: "${orders.arn}", functionVersion: "1"}}
"""


def mapping(name="mapping", function="${orders.arn}", source=STREAM, **settings):
    more = "".join(f", {key}: {value}" for key, value in settings.items())
    return (
        f'\n{name}: {{type: aws:lambda:EventSourceMapping, properties: {{functionName: "{function}", '
        f'eventSourceArn: "{source}", startingPosition: TRIM_HORIZON{more}}}}}\n'
    )


def alarm(dimensions, **settings):
    usual = {
        "namespace": "AWS/Lambda",
        "metricName": "IteratorAge",
        "statistic": "Maximum",
        "period": 60,
        "evaluationPeriods": 1,
        "threshold": 600000,
        "comparisonOperator": "GreaterThanThreshold",
        "alarmActions": "[page]",
    }
    given = "".join(f", {key}: {value}" for key, value in {**usual, **settings}.items())
    return f"\nalarm: {{type: aws:cloudwatch:MetricAlarm, properties: {{dimensions: {dimensions}{given}}}}}\n"


def role(policy_type, properties):
    return f"""
role: {{type: aws:iam:Role, properties: {{assumeRolePolicy: "{{}}"}}}}
policy: {{type: aws:iam:{policy_type}, properties: {properties}}}
orders: {{type: aws:lambda:Function, properties: {{role: "${{role.arn}}"}}}}
"""


ITS_NAME = '{FunctionName: "${orders.name}"}'
DESTINATION = '{onFailure: {destinationArn: "${failures.arn}"}}'
QUEUE = "\nfailures: {type: aws:sqs:Queue, properties: {messageRetentionSeconds: 1209600}}\n"
ON_A_QUEUE = {"namespace": "AWS/SQS", "metricName": "ApproximateNumberOfMessagesVisible", "threshold": 1}

#: What is right, although it is written in another way than usual.
RIGHT = {
    "a function by name": ("iterator-age-alarm", FUNCTION + mapping(function="${orders.name}") + alarm(ITS_NAME)),
    "a version of a function": (
        "iterator-age-alarm",
        FUNCTION + mapping(function="${orders.qualifiedArn}") + alarm(ITS_NAME),
    ),
    "a partial ARN": (
        "iterator-age-alarm",
        FUNCTION + mapping(function="111122223333:function:${orders.name}") + alarm(ITS_NAME),
    ),
    "an alias": ("iterator-age-alarm", FUNCTION + ALIAS + mapping(function="${live.arn}") + alarm(ITS_NAME)),
    "an alias by concatenation, and the alarm on the alias": (
        "iterator-age-alarm",
        FUNCTION
        + ALIAS
        + mapping(function="${orders.arn}:${live.name}")
        + alarm('{FunctionName: "${orders.name}", Resource: "${orders.name}:${live.name}"}'),
    ),
    "an alarm on what the mapping invokes, beside an alias that it does not": (
        "iterator-age-alarm",
        FUNCTION + ALIAS + mapping() + alarm('{FunctionName: "${orders.name}", Resource: "${orders.name}"}'),
    ),
    "a function of another program": (
        "iterator-age-alarm",
        mapping(function="arn:aws:lambda:us-east-1:111122223333:function:others:live")
        + alarm("{FunctionName: others}"),
    ),
    "a table named in a computed ARN": (
        "stream-reader-limit",
        TABLE + mapping(source=COMPUTED, function="f"),
    ),
    "enhanced fan-out of a stream that is kept for two days": (
        "mapping-bounded-retries",
        """
changes: {type: aws:kinesis:Stream, properties: {retentionPeriod: 48}}
reader: {type: aws:kinesis:StreamConsumer, properties: {streamArn: "${changes.arn}"}}
"""
        + mapping(function="f", source="${reader.arn}", maximumRecordAgeInSeconds=100000),
    ),
    "a dead letter queue that a name in another alarm's math stands for": (
        "dead-letter-alarm",
        QUEUE
        + mapping(function="f", destinationConfig=DESTINATION)
        + """
alarm:
  type: aws:cloudwatch:MetricAlarm
  properties:
    metricQueries:
      - id: visible
        metric:
          namespace: AWS/SQS
          metricName: ApproximateNumberOfMessagesVisible
          dimensions: {QueueName: "${failures.name}"}
          stat: Maximum
          period: 60
      - id: hidden
        metric:
          namespace: AWS/SQS
          metricName: ApproximateNumberOfMessagesNotVisible
          dimensions: {QueueName: "${failures.name}"}
          stat: Maximum
          period: 60
      - {id: all, expression: visible + hidden, returnData: true}
    evaluationPeriods: 1
    threshold: 1
    comparisonOperator: GreaterThanOrEqualToThreshold
    alarmActions: [page]
""",
    ),
    "a queue whose own policy names the role": (
        "on-failure-destination-permission",
        QUEUE
        + role("RolePolicyAttachment", '{role: "${role.name}", policyArn: "arn:aws:iam::aws:policy/AWSLambdaRole"}')
        + mapping(destinationConfig=DESTINATION)
        + """
own:
  type: aws:sqs:QueuePolicy
  properties:
    queueUrl: ${failures.url}
    policy:
      fn::toJSON:
        Statement:
          {Effect: Allow, Principal: {AWS: "${role.arn}"}, Action: "sqs:SendMessage", Resource: "${failures.arn}"}
""",
    ),
    "a key behind an alias": (
        "on-failure-destination-permission",
        """
key: {type: aws:kms:Key}
name: {type: aws:kms:Alias, properties: {name: alias/failures, targetKeyId: "${key.keyId}"}}
failures: {type: aws:sqs:Queue, properties: {kmsMasterKeyId: "${name.name}"}}
"""
        + role(
            "RolePolicy",
            '{role: "${role.name}", policy: {"fn::toJSON": {Statement: ['
            '{Effect: Allow, Action: "sqs:SendMessage", Resource: "${failures.arn}"}, '
            '{Effect: Allow, Action: ["kms:GenerateDataKey*", "kms:Decrypt"], Resource: ["${key.arn}"]}]}}}',
        )
        + mapping(destinationConfig=DESTINATION),
    ),
    "a bucket beside another one that has a key": (
        "on-failure-destination-permission",
        """
failures: {type: aws:s3:Bucket}
archive: {type: aws:s3:Bucket}
key: {type: aws:kms:Key}
encrypted:
  type: aws:s3:BucketServerSideEncryptionConfiguration
  properties:
    bucket: ${archive.bucket}
    rules: [{applyServerSideEncryptionByDefault: {sseAlgorithm: "aws:kms", kmsMasterKeyId: "${key.arn}"}}]
"""
        + role(
            "RolePolicy",
            '{role: "${role.name}", policy: {"fn::toJSON": {Statement: ['
            '{Effect: Allow, Action: "s3:PutObject", Resource: "${failures.arn}/*"}, '
            '{Effect: Allow, Action: "s3:ListBucket", Resource: "${failures.arn}"}]}}}',
        )
        + mapping(destinationConfig=DESTINATION),
    ),
    "a filter of a queue's mapping, which is no reader of a stream": (
        "filter-can-match",
        FUNCTION
        + mapping(
            source="arn:aws:sqs:us-east-1:111122223333:orders",
            filterCriteria='{filters: [{pattern: \'{"body": "no list"}\'}]}',
        ),
    ),
}

#: What is wrong, although something that looks right is near.
WRONG = {
    "a third reader of a table named in a computed ARN": (
        "stream-reader-limit",
        TABLE
        + "".join(
            mapping(f"m{number}", f"f{number}", COMPUTED)
            for number in range(3)
        ),
    ),
    "a third reader of another program's table": (
        "stream-reader-limit",
        "".join(mapping(f"m{number}", f"f{number}") for number in range(3)),
    ),
    "a replica that is a resource of its own": (
        "stream-reader-limit",
        TABLE
        + '\nreplica: {type: aws:dynamodb:TableReplica, properties: {globalTableArn: "${users.arn}"}}\n'
        + "".join(mapping(f"m{number}", f"f{number}", "${users.streamArn}") for number in range(2)),
    ),
    "one of two mappings of a function whose records are cut before the alarm": (
        "iterator-age-alarm",
        FUNCTION
        + mapping()
        + mapping("short", source=STREAM.replace("users", "orders"), maximumRecordAgeInSeconds=300)
        + alarm(ITS_NAME),
    ),
    "an alarm on an alias that the mapping does not invoke": (
        "iterator-age-alarm",
        FUNCTION.replace("properties: {", "properties: {name: orders, ")
        + ALIAS
        + mapping(function="orders")
        + alarm('{FunctionName: "${orders.name}", Resource: "${orders.name}:live"}'),
    ),
    "an alarm on a version's executions": (
        "iterator-age-alarm",
        FUNCTION + mapping() + alarm('{FunctionName: "${orders.name}", ExecutedVersion: "1"}'),
    ),
    "endless retries on another program's Kinesis stream": (
        "mapping-bounded-retries",
        mapping(function="f", source="arn:aws:kinesis:us-east-1:111122223333:stream/clicks", maximumRetryAttempts=-1),
    ),
    "a literal ARN that names the program's queue": (
        "dead-letter-alarm",
        "\nfailures: {type: aws:sqs:Queue, properties: {name: failures}}\n"
        + mapping(
            function="f",
            destinationConfig='{onFailure: {destinationArn: "arn:aws:sqs:us-east-1:111122223333:failures"}}',
        ),
    ),
    "an alarm on another queue": (
        "dead-letter-alarm",
        QUEUE
        + "\nother: {type: aws:sqs:Queue}\n"
        + mapping(function="f", destinationConfig=DESTINATION)
        + alarm('{QueueName: "${other.name}"}', **ON_A_QUEUE),
    ),
    "a notification of other objects": (
        "failure-archive-alarm",
        """
failures: {type: aws:s3:BucketV2}
notify:
  type: aws:s3:BucketNotification
  properties:
    bucket: ${failures.bucket}
    lambdaFunctions: [{lambdaFunctionArn: f, events: ["s3:ObjectCreated:*"], filterPrefix: uploads/}]
"""
        + mapping(function="f", destinationConfig=DESTINATION),
    ),
    "a managed policy that cannot send": (
        "on-failure-destination-permission",
        QUEUE
        + role(
            "RolePolicyAttachment",
            '{role: "${role.name}", policyArn: "arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole"}',
        )
        + mapping(destinationConfig=DESTINATION),
    ),
    "a queue that lets a topic in and not the role": (
        "on-failure-destination-permission",
        QUEUE.replace("1209600", '1209600, policy: \'{"Statement": [{"Effect": "Allow", "Principal": "*", "Action": '
                      '"sqs:SendMessage", "Resource": "*", "Condition": {"ArnEquals": {"aws:SourceArn": "t"}}}]}\'')
        + role("RolePolicyAttachment", '{role: "${role.name}", policyArn: "arn:aws:iam::aws:policy/AWSLambdaRole"}')
        + mapping(destinationConfig=DESTINATION),
    ),
    "full access by a managed policy in a list": (
        "stream-role-least-privilege",
        """
role:
  type: aws:iam:Role
  properties: {assumeRolePolicy: "{}", managedPolicyArns: ["arn:aws:iam::aws:policy/AmazonS3FullAccess"]}
"""
        + FUNCTION.replace("arn:aws:iam::111122223333:role/orders", "${role.arn}")
        + mapping(),
    ),
    "a policy of the program attached to several roles": (
        "stream-role-least-privilege",
        """
role: {type: aws:iam:Role, properties: {assumeRolePolicy: "{}"}}
wide:
  type: aws:iam:Policy
  properties: {policy: '{"Statement": {"Effect": "Allow", "NotAction": "iam:*", "Resource": "*"}}'}
attached: {type: aws:iam:PolicyAttachment, properties: {roles: ["${role.name}"], policyArn: "${wide.arn}"}}
"""
        + FUNCTION.replace("arn:aws:iam::111122223333:role/orders", "${role.arn}")
        + mapping(),
    ),
}  # fmt: skip


def speaks(case, phase):
    rule, text = case
    return Pack([RULES[rule]]).findings(phase(example(text, previewed=phase is not deployed))) != set()


@pytest.mark.parametrize("phase", [preview, bare_preview, deployed])
@pytest.mark.parametrize("name", RIGHT)
def test_a_rule_accepts(name, phase):
    assert not speaks(RIGHT[name], phase)


@pytest.mark.parametrize("phase", [preview, bare_preview, deployed])
@pytest.mark.parametrize("name", WRONG)
def test_a_rule_finds(name, phase):
    assert speaks(WRONG[name], phase)


@pytest.mark.parametrize(
    "source",
    [
        {"eventSourceArn": "${broker.arn}", "queues": "orders"},
        {"eventSourceArn": "${cluster.arn}", "topics": ["orders"], "startingPosition": "LATEST", "enabled": False},
        {"topics": ["orders"], "startingPosition": "LATEST", "selfManagedEventSource": {"endpoints": {"a": "b"}}},
        {
            "eventSourceArn": "${cluster.arn}",
            "documentDbEventSourceConfig": {"databaseName": "orders"},
            "startingPosition": "LATEST",
        },
    ],
)
@pytest.mark.parametrize("phase", [preview, bare_preview])
def test_mappings_of_other_sources_are_left_alone_while_their_arn_is_not_known(source, phase):
    text = f"""
broker: {{type: aws:mq:Broker, properties: {{}}}}
cluster: {{type: aws:msk:Cluster, properties: {{}}}}
mapping:
  type: aws:lambda:EventSourceMapping
  properties: {{functionName: orders, {", ".join(f"{key}: {value!r}" for key, value in source.items())}}}
""".replace("True", "true").replace("False", "false")
    assert Pack().findings(phase(example(text, previewed=True))) == set()
