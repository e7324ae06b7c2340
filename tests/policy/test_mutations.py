"""Mutations of a program that satisfies every rule: each is reported by the right rule, and by no other."""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest

from local.deploy.program import Registration
from tests.policy.engine import Finding, Pack, deployed, preview, run
from tests.policy.programs import well_made


@pytest.fixture(scope="module")
def previewed():
    return run(well_made.program, previewed=True)


@pytest.fixture(scope="module")
def up():
    return run(well_made.program, previewed=False)


def put(inputs: Mapping[str, Any], path: str, value: Any) -> dict[str, Any]:
    """Inputs with another value at a dotted path; `None` removes it."""
    key, _, rest = path.partition(".")
    if rest:
        return {**inputs, key: put(inputs.get(key, {}), rest, value)}
    if value is None:
        return {name: member for name, member in inputs.items() if name != key}
    return {**inputs, key: value}


def set_(kind: str, name: str, path: str, value: Any) -> Callable[[list[Registration]], list[Registration]]:
    """A mutation: one property of one resource."""

    def mutate(program: list[Registration]) -> list[Registration]:
        hit = [each for each in program if each.type.endswith(f":{kind}") and each.name == name]
        assert len(hit) == 1, f"{kind} {name}"
        inputs = put(hit[0].inputs, path, value)
        assert inputs != hit[0].inputs, f"{path} is {value} already"
        return [replace(each, inputs=inputs) if each in hit else each for each in program]

    return mutate


def without(kind: str, name: str) -> Callable[[list[Registration]], list[Registration]]:
    """A mutation: one resource is missing."""

    def mutate(program: list[Registration]) -> list[Registration]:
        left = [each for each in program if not (each.type.endswith(f":{kind}") and each.name == name)]
        assert len(left) == len(program) - 1, f"{kind} {name}"
        return left

    return mutate


def both(*mutations: Callable[[list[Registration]], list[Registration]]):
    """A mutation: several, one after another."""

    def mutate(program: list[Registration]) -> list[Registration]:
        for each in mutations:
            program = each(program)
        return program

    return mutate


DYNAMODB = "sourceParameters.dynamodbStreamParameters"
MUTATIONS = [
    # The table and the ledger.
    (set_("Table", "users", "streamViewType", "NEW_IMAGE"), {("stream-view-type", "users")}),
    (set_("Table", "users", "pointInTimeRecovery", {"enabled": False}), {("stream-table-protection", "users")}),
    (set_("Table", "users", "pointInTimeRecovery", None), {("stream-table-protection", "users")}),
    (set_("Table", "users", "deletionProtectionEnabled", False), {("stream-table-protection", "users")}),
    (set_("Table", "users", "replicas", [{"regionName": "eu-west-1"}]), {("stream-reader-limit", "users")}),
    (set_("Table", "effects", "ttl.enabled", False), {("effect-ledger-expiry", "effects")}),
    (set_("Table", "effects", "ttl", None), {("effect-ledger-expiry", "effects")}),
    # The mapping.
    (set_("EventSourceMapping", "mails", "bisectBatchOnFunctionError", None), {("mapping-bisect-on-error", "mails")}),
    (set_("EventSourceMapping", "mails", "bisectBatchOnFunctionError", False), {("mapping-bisect-on-error", "mails")}),
    (
        set_("EventSourceMapping", "mails", "functionResponseTypes", []),
        {("mapping-report-batch-item-failures", "mails")},
    ),
    (set_("EventSourceMapping", "mails", "destinationConfig", None), {("mapping-on-failure-destination", "mails")}),
    (
        set_("EventSourceMapping", "mails", "destinationConfig.onFailure.destinationArn", ""),
        {("mapping-on-failure-destination", "mails")},
    ),
    (
        both(
            set_("EventSourceMapping", "mails", "maximumRecordAgeInSeconds", 86400),
            set_("EventSourceMapping", "mails", "maximumRetryAttempts", None),
        ),
        {("mapping-bounded-retries", "mails")},
    ),
    (
        both(
            set_("EventSourceMapping", "mails", "maximumRecordAgeInSeconds", None),
            set_("EventSourceMapping", "mails", "maximumRetryAttempts", 9999),
        ),
        {("mapping-bounded-retries", "mails")},
    ),
    (set_("EventSourceMapping", "mails", "maximumRetryAttempts", 7), {("retries-outlast-an-outage", "mails")}),
    (
        set_("EventSourceMapping", "mails", "eventSourceArn", "arn:aws:dynamodb:r:a:table/users"),
        {("mapping-settings", "mails")},
    ),
    (set_("Function", "mails", "reservedConcurrentExecutions", 0), {("mapping-enabled", "mails")}),
    (set_("EventSourceMapping", "mails", "startingPosition", "LATEST"), {("starting-position", "mails")}),
    (set_("EventSourceMapping", "mails", "metricsConfig", None), {("mapping-event-count-metrics", "mails")}),
    (set_("EventSourceMapping", "mails", "enabled", False), {("mapping-enabled", "mails")}),
    (set_("EventSourceMapping", "mails", "batchSize", 0), {("mapping-settings", "mails")}),
    (set_("EventSourceMapping", "mails", "batchSize", 10.5), {("mapping-settings", "mails")}),
    (set_("EventSourceMapping", "mails", "maximumRecordAgeInSeconds", 59), {("mapping-settings", "mails")}),
    (set_("EventSourceMapping", "mails", "tumblingWindowInSeconds", 60), {("mapping-settings", "mails")}),
    (set_("EventSourceMapping", "mails", "parallelizationFactor", 11), {("mapping-settings", "mails")}),
    (
        set_("EventSourceMapping", "mails", "filterCriteria.filters", [{"pattern": '{"eventName": ["UPDATE"]}'}]),
        {("filter-can-match", "mails")},
    ),
    (
        set_("EventSourceMapping", "mails", "filterCriteria.filters", [{"pattern": "{"}]),
        {("filter-can-match", "mails")},
    ),
    (set_("EventSourceMapping", "mails", "maximumRecordAgeInSeconds", 3600), {("iterator-age-alarm", "mails")}),
    # Its alarms.
    (without("MetricAlarm", "mails-behind"), {("iterator-age-alarm", "mails")}),
    (set_("MetricAlarm", "mails-behind", "statistic", "Minimum"), {("iterator-age-alarm", "mails")}),
    (set_("MetricAlarm", "mails-behind", "threshold", 43200000), {("iterator-age-alarm", "mails")}),
    (set_("MetricAlarm", "mails-behind", "evaluationPeriods", 720), {("iterator-age-alarm", "mails")}),
    (set_("MetricAlarm", "mails-behind", "actionsEnabled", False), {("iterator-age-alarm", "mails")}),
    (set_("MetricAlarm", "mails-behind", "alarmActions", []), {("iterator-age-alarm", "mails")}),
    (set_("MetricAlarm", "mails-behind", "namespace", "Custom"), {("iterator-age-alarm", "mails")}),
    (set_("MetricAlarm", "mails-behind", "metricName", "Duration"), {("iterator-age-alarm", "mails")}),
    (set_("MetricAlarm", "mails-behind", "dimensions", {"FunctionName": "others"}), {("iterator-age-alarm", "mails")}),
    (set_("MetricAlarm", "clicks-behind", "threshold", 24), {("iterator-age-alarm", "clicks")}),
    (without("MetricAlarm", "mails-dead-letters"), {("dead-letter-alarm", "mails-failures")}),
    (set_("MetricAlarm", "mails-dead-letters", "alarmActions", None), {("dead-letter-alarm", "mails-failures")}),
    (
        set_("MetricAlarm", "mails-dead-letters", "metricName", "NumberOfMessagesDeleted"),
        {("dead-letter-alarm", "mails-failures")},
    ),
    (set_("MetricAlarm", "mails-dead-letters", "threshold", 2), {("dead-letter-alarm", "mails-failures")}),
    (set_("MetricAlarm", "mails-behind", "region", "eu-west-1"), {("iterator-age-alarm", "mails")}),
    (set_("MetricAlarm", "mails-behind", "thresholdMetricId", "band"), {("iterator-age-alarm", "mails")}),
    (
        set_("MetricAlarm", "mails-dead-letters", "comparisonOperator", "LessThanThreshold"),
        {("dead-letter-alarm", "mails-failures")},
    ),
    (without("MetricAlarm", "clicks-given-up"), {("failure-archive-alarm", "clicks")}),
    (set_("MetricAlarm", "clicks-given-up", "alarmActions", []), {("failure-archive-alarm", "clicks")}),
    # Its failure queue.
    (set_("Queue", "mails-failures", "messageRetentionSeconds", None), {("dead-letter-retention", "mails-failures")}),
    (set_("Queue", "mails-failures", "messageRetentionSeconds", 86400), {("dead-letter-retention", "mails-failures")}),
    (
        set_("Queue", "webhooks-failures", "sqsManagedSseEnabled", False),
        {("failure-path-encryption", "webhooks-failures")},
    ),
    # The Kinesis stream and its reader.
    (set_("Stream", "clicks", "retentionPeriod", 24), {("mapping-bounded-retries", "clicks")}),
    (
        set_("EventSourceMapping", "clicks", "maximumRecordAgeInSeconds", None),
        {("mapping-bounded-retries", "clicks")},
    ),
    (
        set_("EventSourceMapping", "clicks", "maximumRecordAgeInSeconds", -1),
        {("mapping-bounded-retries", "clicks")},
    ),
    # The pipe.
    (set_("Pipe", "webhooks", f"{DYNAMODB}.deadLetterConfig", None), {("pipe-dead-letter", "webhooks")}),
    (set_("Pipe", "webhooks", f"{DYNAMODB}.onPartialBatchItemFailure", None), {("pipe-bisect", "webhooks")}),
    (
        both(
            set_("Pipe", "webhooks", f"{DYNAMODB}.maximumRecordAgeInSeconds", 604800),
            set_("Pipe", "webhooks", f"{DYNAMODB}.maximumRetryAttempts", 2000),
        ),
        {("pipe-bounded-retries", "webhooks")},
    ),
    (set_("Pipe", "webhooks", f"{DYNAMODB}.maximumRetryAttempts", 2), {("retries-outlast-an-outage", "webhooks")}),
    (set_("Pipe", "webhooks", "desiredState", "STOPPED"), {("mapping-enabled", "webhooks")}),
    (set_("Pipe", "webhooks", f"{DYNAMODB}.startingPosition", "LATEST"), {("starting-position", "webhooks")}),
    (set_("Pipe", "webhooks", "logConfiguration.level", "OFF"), {("pipe-logging", "webhooks")}),
    (set_("Pipe", "webhooks", "logConfiguration", None), {("pipe-logging", "webhooks")}),
    (without("MetricAlarm", "webhooks-failing"), {("pipe-alarms", "webhooks")}),
    (set_("MetricAlarm", "webhooks-failing", "metricName", "Invocations"), {("pipe-alarms", "webhooks")}),
    (
        set_("Pipe", "webhooks", "sourceParameters.filterCriteria.filters", [{"pattern": '{"body": {"a": [1]}}'}]),
        {("filter-can-match", "webhooks")},
    ),
    # The queue and its worker.
    (set_("Queue", "jobs", "visibilityTimeoutSeconds", 359), {("queue-visibility-headroom", "jobs")}),
    (set_("EventSourceMapping", "jobs", "maximumBatchingWindowInSeconds", 1), {("queue-visibility-headroom", "jobs")}),
    (set_("Queue", "jobs", "visibilityTimeoutSeconds", 59), {("queue-visibility-timeout", "jobs")}),
    (set_("Queue", "jobs", "visibilityTimeoutSeconds", None), {("queue-visibility-timeout", "jobs")}),
    (set_("Queue", "jobs", "redrivePolicy", None), {("queue-visibility-timeout", "jobs")}),
    (set_("Function", "jobs", "timeout", 61), {("queue-visibility-headroom", "jobs")}),
    (set_("Function", "jobs", "timeout", 361), {("queue-visibility-timeout", "jobs")}),
    (
        set_("EventSourceMapping", "jobs", "functionResponseTypes", None),
        {("mapping-report-batch-item-failures", "jobs")},
    ),
    # The ways on.
    (without("MetricAlarm", "history-stuck"), {("kinesis-destination-alarm", "history")}),
    (set_("MetricAlarm", "history-stuck", "threshold", 604800000), {("kinesis-destination-alarm", "history")}),
    (
        set_("MetricAlarm", "history-stuck", "dimensions", {"TableName": "other"}),
        {("kinesis-destination-alarm", "history")},
    ),
    (set_("Stream", "history", "recordDistributionStrategy", "AUTO"), {("kinesis-destination-order", "history")}),
    (set_("TopicSubscription", "crm", "redrivePolicy", None), {("subscription-dead-letter", "crm")}),
    (set_("EventTarget", "upgrades", "deadLetterConfig", None), {("event-target-dead-letter", "upgrades")}),
    (set_("Schedule", "nightly", "target.deadLetterConfig", None), {("schedule-dead-letter", "nightly")}),
    # The API.
    (set_("Route", "upgrade", "authorizationType", "NONE"), {("api-authorisation", "upgrade")}),
    (set_("Route", "upgrade", "authorizationType", None), {("api-authorisation", "upgrade")}),
]

FIFO = set_("EventSourceMapping", "mails", "destinationConfig.onFailure.destinationArn", "arn:aws:sqs:r:a:f.fifo")
ALLOW_ALL = json.dumps({"Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]})
#: Policies of the program are computed from resources, so a preview cannot read them.
AFTER_UP = [
    (FIFO, {("on-failure-destination-standard", "mails"), ("on-failure-destination-permission", "mails")}),
    (
        without("RolePolicy", "mails"),
        {("on-failure-destination-permission", "mails"), ("stream-read-permission", "mails")},
    ),
    (
        without("RolePolicy", "webhooks"),
        {("on-failure-destination-permission", "webhooks"), ("stream-read-permission", "webhooks")},
    ),
    (
        set_("Table", "users", "serverSideEncryption", {"enabled": True, "kmsKeyArn": "arn:aws:kms:r:a:key/users"}),
        {("stream-read-permission", "mails"), ("stream-read-permission", "webhooks")},
    ),
    (set_("Role", "clicks", "managedPolicyArns", []), {("stream-read-permission", "clicks")}),
    (
        set_("EventSourceMapping", "mails", "filterCriteria.filters", [{"pattern": '{"eventName": ["MODIFY"]}'}]),
        {("stream-write-back", "mails")},
    ),
    (set_("EventSourceMapping", "mails", "filterCriteria", None), {("stream-write-back", "mails")}),
    (
        set_("Topic", "oncall", "kmsMasterKeyId", "alias/aws/sns"),
        {
            *(("iterator-age-alarm", name) for name in ("mails", "clicks")),
            *(("dead-letter-alarm", name) for name in ("mails-failures", "webhooks-failures")),
            ("failure-archive-alarm", "clicks"),
            ("pipe-alarms", "webhooks"),
            ("kinesis-destination-alarm", "history"),
        },
    ),
    (
        set_("Bucket", "clicks-failures", "lifecycleRules", [{"enabled": True, "expiration": {"days": 13}}]),
        {("dead-letter-retention", "clicks-failures")},
    ),
    (without("RolePolicy", "clicks"), {("on-failure-destination-permission", "clicks")}),
    (set_("RolePolicy", "clicks", "policy", ALLOW_ALL), {("stream-role-least-privilege", "clicks")}),
    (
        set_("Role", "mails", "managedPolicyArns", ["arn:aws:iam::aws:policy/AmazonSQSFullAccess"]),
        {("stream-role-least-privilege", "mails")},
    ),
    (
        set_("Role", "webhooks", "inlinePolicies", [{"name": "all", "policy": ALLOW_ALL}]),
        {("stream-role-least-privilege", "webhooks")},
    ),
]


def findings(pairs):
    return {Finding(*pair) for pair in pairs}


@pytest.mark.parametrize(("mutate", "expected"), [*MUTATIONS, *AFTER_UP])
def test_after_up_the_right_rule_speaks_and_no_other(up, mutate, expected):
    assert Pack().findings(deployed(mutate(up))) == findings(expected)


#: One mutation for each set of findings: to a preview, only policies and ARNs are unknown that `up` knows.
PREVIEWED = [
    *{frozenset(expected): (mutate, expected) for mutate, expected in MUTATIONS}.values(),
    (FIFO, {("on-failure-destination-standard", "mails")}),
]


@pytest.mark.parametrize(("mutate", "expected"), PREVIEWED)
def test_in_a_preview_of_an_empty_account_the_right_rule_speaks_and_no_other(previewed, mutate, expected):
    assert Pack().findings(preview(mutate(previewed))) == findings(expected)
