"""Log groups and alarms."""

from __future__ import annotations

from typing import Any

from local.deploy.program import Created
from local.deploy.resources.aws import Aws
from local.deploy.resources.inputs import Inputs


def log_group(inputs: Inputs, aws: Aws) -> Created:
    """CreateLogGroup, and PutRetentionPolicy where logs are not kept for ever."""
    name = inputs.name()
    retention = inputs.take("retentionInDays")
    inputs.finish()
    logs = aws.client("logs")
    logs.create_log_group(logGroupName=name)
    if retention:
        logs.put_retention_policy(logGroupName=name, retentionInDays=retention)
    return Created(name, {"name": name, "arn": aws.arn("logs", f"log-group:{name}")})


def metric_alarm(inputs: Inputs, aws: Aws) -> Created:
    """PutMetricAlarm."""
    name = inputs.name()
    request: dict[str, Any] = inputs.members(
        {
            "alarmDescription": "AlarmDescription",
            "namespace": "Namespace",
            "metricName": "MetricName",
            "statistic": "Statistic",
            "period": "Period",
            "evaluationPeriods": "EvaluationPeriods",
            "datapointsToAlarm": "DatapointsToAlarm",
            "threshold": "Threshold",
            "comparisonOperator": "ComparisonOperator",
            "treatMissingData": "TreatMissingData",
            "alarmActions": "AlarmActions",
            "okActions": "OKActions",
        }
    )
    dimensions = inputs.take("dimensions", {})
    inputs.finish()
    aws.client("cloudwatch").put_metric_alarm(
        AlarmName=name, Dimensions=[{"Name": key, "Value": value} for key, value in dimensions.items()], **request
    )
    return Created(name, {"name": name, "arn": aws.arn("cloudwatch", f"alarm:{name}")})
