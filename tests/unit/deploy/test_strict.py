"""Inputs checked against pulumi_aws's own argument types."""

from __future__ import annotations

from typing import Any

import pulumi
import pytest
from pulumi.output import Unknown

from local.deploy.strict import problems

MAPPING = "aws:lambda/eventSourceMapping:EventSourceMapping"
TABLE = "aws:dynamodb/table:Table"


@pytest.mark.parametrize(
    ("resource_type", "inputs"),
    [
        (MAPPING, {"functionName": "f", "batchSize": 10, "filterCriteria": {"filters": [{"pattern": "{}"}]}}),
        (MAPPING, {"functionName": Unknown(), "filterCriteria": Unknown(), "functionResponseTypes": [Unknown()]}),
        (MAPPING, {"functionName": "f", "batchSize": None}),
        (TABLE, {"tags": {"a": "b"}, "attributes": [{"name": "a", "type": "S"}], "ttl": {"attributeName": "a"}}),
        ("aws:lambda/function:Function", {"role": "r", "code": pulumi.AssetArchive({})}),
        ("aws:cloudwatch/metricAlarm:MetricAlarm", {"threshold": 1, "dimensions": {"QueueName": "q"}}),
        ("aws:s3/bucketVersioning:BucketVersioning", {"bucket": "b", "versioningConfiguration": {"status": "Enabled"}}),
        ("weir:index:Stream", {"anything": 1}),
    ],
)
def test_inputs_that_the_provider_takes_have_no_problem(resource_type: str, inputs: dict[str, Any]) -> None:
    assert problems(resource_type, inputs) == []


@pytest.mark.parametrize(
    ("resource_type", "inputs", "found"),
    [
        (MAPPING, {}, "functionName is missing"),
        (MAPPING, {"functionName": "f", "bisect": True}, "bisect is not a known property"),
        (MAPPING, {"functionName": "f", "filter_criteria": {}}, "filter_criteria is not a known property"),
        (MAPPING, {"functionName": "f", "batchSize": "10"}, "batchSize is str, not int"),
        (MAPPING, {"functionName": "f", "batchSize": 1.5}, "batchSize is float, not int"),
        (MAPPING, {"functionName": "f", "batchSize": True}, "batchSize is bool, not int"),
        (MAPPING, {"functionName": "f", "enabled": 1}, "enabled is int, not bool"),
        (MAPPING, {"functionName": 5}, "functionName is int, not str"),
        (
            MAPPING,
            {"functionName": "f", "destinationConfig": {"onFailure": {"destination": "arn"}}},
            "destinationConfig.onFailure.destination is not a known property",
        ),
        (
            MAPPING,
            {"functionName": "f", "filterCriteria": {"filters": [{}, {"pattern": 5}]}},
            "filterCriteria.filters[1].pattern is int, not str",
        ),
        (MAPPING, {"functionName": "f", "functionResponseTypes": "x"}, "functionResponseTypes is str, not list"),
        (MAPPING, {"functionName": "f", "filterCriteria": []}, "filterCriteria is list, not dict"),
        (TABLE, {"tags": {"a": 1}}, "tags.a is int, not str"),
        (TABLE, {"tags": []}, "tags is list, not dict"),
        (TABLE, {"attributes": [{"name": "a"}]}, "attributes[0].type is missing"),
        ("aws:lambda/function:Function", {"role": "r", "code": "zip"}, "code is str, not Archive"),
        ("aws:cloudwatch/metricAlarm:MetricAlarm", {"threshold": "1"}, "threshold is str, not float"),
    ],
)
def test_what_the_provider_would_refuse_is_found(resource_type: str, inputs: dict[str, Any], found: str) -> None:
    assert found in problems(resource_type, inputs)
