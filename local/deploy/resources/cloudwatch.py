"""Log groups, alarms and dashboards."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from local.deploy.resources.aws import Aws
from local.deploy.resources.members import Document, as_json, as_pairs
from local.deploy.resources.resource_type import Change, Found, Gone, Name, ResourceType, words


def _create_log_group(aws: Aws, request: Document) -> str:
    aws.client("logs").create_log_group(logGroupName=request["logGroupName"])
    return request["logGroupName"]


def _keep_logs(aws: Aws, id_: str, request: Document) -> None:
    if days := request.get("retentionInDays"):
        aws.client("logs").put_retention_policy(logGroupName=id_, retentionInDays=days)


def _read_log_group(aws: Aws, id_: str, _request: Document) -> Found:
    for found in aws.client("logs").describe_log_groups(logGroupNamePrefix=id_)["logGroups"]:
        if found["logGroupName"] == id_:
            # No retention means that events never expire, which Pulumi writes as 0.
            return Found({"retentionInDays": 0, **found}, {"name": id_, "arn": aws.arn("logs", f"log-group:{id_}")})
    raise Gone(id_)


def _update_log_group(aws: Aws, id_: str, change: Change) -> None:
    if not change.new.get("retentionInDays"):
        aws.client("logs").delete_retention_policy(logGroupName=id_)


def _delete_log_group(aws: Aws, id_: str, _request: Document) -> None:
    aws.client("logs").delete_log_group(logGroupName=id_)


def _put_alarm(aws: Aws, request: Document) -> str:
    aws.client("cloudwatch").put_metric_alarm(**{"Dimensions": [], **request})
    return request["AlarmName"]


def _read_alarm(aws: Aws, id_: str, _request: Document) -> Found:
    for found in aws.client("cloudwatch").describe_alarms(AlarmNames=[id_])["MetricAlarms"]:
        return Found(found, {"name": id_, "arn": aws.arn("cloudwatch", f"alarm:{id_}")})
    raise Gone(id_)


def _put_alarm_again(aws: Aws, _id: str, change: Change) -> None:
    _put_alarm(aws, change.new)


def _delete_alarm(aws: Aws, id_: str, _request: Document) -> None:
    aws.client("cloudwatch").delete_alarms(AlarmNames=[id_])


def _put_composite(aws: Aws, request: Document) -> str:
    aws.client("cloudwatch").put_composite_alarm(**request)
    return request["AlarmName"]


def _read_composite(aws: Aws, id_: str, _request: Document) -> Found:
    described = aws.client("cloudwatch").describe_alarms(AlarmNames=[id_], AlarmTypes=["CompositeAlarm"])
    for found in described["CompositeAlarms"]:
        return Found(found, {"arn": aws.arn("cloudwatch", f"alarm:{id_}")})
    raise Gone(id_)


def _put_composite_again(aws: Aws, _id: str, change: Change) -> None:
    _put_composite(aws, change.new)


def _put_dashboard(aws: Aws, request: Document) -> str:
    aws.client("cloudwatch").put_dashboard(**request)
    return request["DashboardName"]


def _read_dashboard(aws: Aws, id_: str, _request: Document) -> Found:
    found = aws.client("cloudwatch").get_dashboard(DashboardName=id_)
    # The provider writes the ARN with no region, as CloudWatch does.
    return Found(found, {"dashboardArn": f"arn:aws:cloudwatch::{aws.account_id}:dashboard/{id_}"})


def _put_dashboard_again(aws: Aws, _id: str, change: Change) -> None:
    _put_dashboard(aws, change.new)


def _delete_dashboard(aws: Aws, id_: str, _request: Document) -> None:
    aws.client("cloudwatch").delete_dashboards(DashboardNames=[id_])


_ALARM: Mapping[str, Any] = {
    "name": "AlarmName",
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
    "dimensions": as_pairs("Dimensions", "Name"),
}

TYPES: Mapping[str, ResourceType] = {
    "aws:cloudwatch/logGroup:LogGroup": ResourceType(
        members={"name": "logGroupName", "retentionInDays": "retentionInDays"},
        begin=_create_log_group,
        settle=_keep_logs,
        read=_read_log_group,
        update=_update_log_group,
        delete=_delete_log_group,
        name=Name(longest=512, allowed=r"[A-Za-z0-9_./#-]"),
        replaces=words("name namePrefix logGroupClass"),
        outputs=words("arn"),
    ),
    "aws:cloudwatch/compositeAlarm:CompositeAlarm": ResourceType(
        members={
            "alarmName": "AlarmName",
            "alarmDescription": "AlarmDescription",
            "alarmRule": "AlarmRule",
            "alarmActions": "AlarmActions",
            "okActions": "OKActions",
            "insufficientDataActions": "InsufficientDataActions",
            "actionsEnabled": "ActionsEnabled",
        },
        begin=_put_composite,
        read=_read_composite,
        update=_put_composite_again,
        delete=_delete_alarm,
        replaces=words("alarmName"),
        outputs=words("arn"),
    ),
    "aws:cloudwatch/dashboard:Dashboard": ResourceType(
        members={"dashboardName": "DashboardName", "dashboardBody": as_json("DashboardBody")},
        begin=_put_dashboard,
        read=_read_dashboard,
        update=_put_dashboard_again,
        delete=_delete_dashboard,
        replaces=words("dashboardName"),
        outputs=words("dashboardArn"),
    ),
    "aws:cloudwatch/metricAlarm:MetricAlarm": ResourceType(
        members=_ALARM,
        begin=_put_alarm,
        read=_read_alarm,
        update=_put_alarm_again,
        delete=_delete_alarm,
        name=Name(allowed=r"[^\x00-\x1f]"),
        replaces=words("name"),
        outputs=words("arn"),
    ),
}
"""Types of the package `cloudwatch` that observe."""
