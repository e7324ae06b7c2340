"""Outputs of the AWS provider that policies can see: names, ARNs, ids."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from local.deploy.program import Created, Registration

ACCOUNT, REGION = "111122223333", "us-east-1"

#: The property that a resource without a name of its own gets one in.
_NAMED = {
    "aws:s3/bucket:Bucket": "bucket",
    "aws:s3/bucketV2:BucketV2": "bucket",
    "aws:cloudwatch/compositeAlarm:CompositeAlarm": "alarmName",
    **dict.fromkeys(
        (
            "aws:dynamodb/table:Table",
            "aws:kinesis/stream:Stream",
            "aws:kinesis/streamConsumer:StreamConsumer",
            "aws:lambda/function:Function",
            "aws:lambda/alias:Alias",
            "aws:pipes/pipe:Pipe",
            "aws:sqs/queue:Queue",
            "aws:sns/topic:Topic",
            "aws:iam/role:Role",
            "aws:iam/rolePolicy:RolePolicy",
            "aws:iam/policy:Policy",
            "aws:cloudwatch/metricAlarm:MetricAlarm",
            "aws:cloudwatch/eventRule:EventRule",
            "aws:cloudwatch/eventApiDestination:EventApiDestination",
            "aws:scheduler/scheduleGroup:ScheduleGroup",
            "aws:sfn/stateMachine:StateMachine",
        ),
        "name",
    ),
}


def checked(type_: str, name: str, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Apply the provider's Check: add a name where the program gives none."""
    key = _NAMED.get(type_)
    if key is None or key in inputs:
        return dict(inputs)
    suffix = ".fifo" if inputs.get("fifoQueue") or inputs.get("fifoTopic") else ""
    return {**inputs, key: f"{name}-{_digits(type_, name)}{suffix}"}


def created(type_: str, name: str, inputs: Mapping[str, Any]) -> Created:
    """Answer the id of a resource, and its outputs without the inputs."""
    inputs = checked(type_, name, inputs)
    own = str(inputs.get(_NAMED.get(type_, ""), f"{name}-{_digits(type_, name)}"))
    given = {key: own for key in [_NAMED.get(type_)] if key}

    region = inputs.get("region", REGION)

    def arn(service: str, resource: str, place: str = f"{region}:{ACCOUNT}") -> str:
        return f"arn:aws:{service}:{place}:{resource}"

    match type_.rsplit(":", 1)[1]:
        case "Table":
            outputs = {"arn": arn("dynamodb", f"table/{own}")}
            if inputs.get("streamEnabled"):
                outputs["streamLabel"] = "2026-01-01T00:00:00.000"
                outputs["streamArn"] = f"{outputs['arn']}/stream/{outputs['streamLabel']}"
            return Created(own, {**given, **outputs})
        case "Stream":
            return Created(arn("kinesis", f"stream/{own}"), {**given, "arn": arn("kinesis", f"stream/{own}")})
        case "StreamConsumer":
            return Created(own, {**given, "arn": f"{inputs['streamArn']}/consumer/{own}:1767225600"})
        case "Queue":
            url = f"https://sqs.{region}.amazonaws.com/{ACCOUNT}/{own}"
            return Created(url, {**given, "url": url, "arn": arn("sqs", own)})
        case "Topic":
            return Created(arn("sns", own), {**given, "arn": arn("sns", own)})
        case "Bucket" | "BucketV2":
            return Created(own, {**given, "arn": arn("s3", own, ":")})
        case "Function":
            name_arn = arn("lambda", f"function:{own}")
            return Created(own, {**given, "arn": name_arn, "qualifiedArn": f"{name_arn}:7", "version": "7"})
        case "Alias" if "functionName" in inputs:
            function = str(inputs["functionName"]).split(":function:")[-1].split(":")[0]
            return Created(own, {**given, "arn": arn("lambda", f"function:{function}:{own}")})
        case "EventSourceMapping":
            uuid = f"{_digits(type_, name)}0-0000-4000-8000-000000000000"
            return Created(uuid, {"uuid": uuid, "arn": arn("lambda", f"event-source-mapping:{uuid}")})
        case "Pipe":
            return Created(own, {**given, "arn": arn("pipes", f"pipe/{own}")})
        case "Role":
            return Created(own, {**given, "arn": arn("iam", f"role/{own}", f":{ACCOUNT}")})
        case "Policy":
            made = arn("iam", f"policy/{own}", f":{ACCOUNT}")
            return Created(made, {**given, "arn": made})
        case "MetricAlarm" | "CompositeAlarm":
            return Created(own, {**given, "arn": arn("cloudwatch", f"alarm:{own}")})
        case "StateMachine":
            made = arn("states", f"stateMachine:{own}")
            return Created(made, {**given, "arn": made})
        case "ScheduleGroup":
            return Created(own, {**given, "arn": arn("scheduler", f"schedule-group/{own}")})
        case "Key":
            return Created(own, {"keyId": own, "arn": arn("kms", f"key/{own}")})
        case "Api":
            endpoint = f"https://{own}.execute-api.{REGION}.amazonaws.com"
            return Created(own, {"executionArn": arn("execute-api", own), "apiEndpoint": endpoint})
        case "Stage":
            return Created(own, {"invokeUrl": f"https://{inputs['apiId']}.execute-api.{REGION}.amazonaws.com"})
        case "EmailIdentity" | "LogGroup" | "ConfigurationSet":
            return Created(own, {"name": own, "arn": arn("logs", f"log-group:{own}")})
        case _:
            return Created(own, given)


class Provider:
    """Answers a program like the AWS provider does, and creates nothing."""

    def create(self, registration: Registration) -> Created:
        return created(registration.type, registration.name, registration.inputs)

    def invoke(self, token: str, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        match token.rsplit(":", 1)[1]:
            case "getCallerIdentity":
                return {"accountId": ACCOUNT, "arn": f"arn:aws:iam::{ACCOUNT}:user/me", "id": ACCOUNT, "userId": "me"}
            case "getRegion":
                return {"region": REGION, "name": REGION, "id": REGION, "description": "", "endpoint": ""}
            case "getPolicyDocument":
                text = json.dumps({"Version": "2012-10-17", "Statement": [*map(_statement, arguments["statements"])]})
                return {"json": text, "minifiedJson": text, "id": "1"}
            case _:
                raise NotImplementedError(token)


def _statement(given: Mapping[str, Any]) -> dict[str, Any]:
    statement: dict[str, Any] = {"Effect": given.get("effect", "Allow")}
    for key, member in {"actions": "Action", "resources": "Resource"}.items():
        if key in given:
            # The provider writes a list of one as the element itself.
            statement[member] = given[key][0] if len(given[key]) == 1 else given[key]
    if "principals" in given:
        statement["Principal"] = {each["type"]: each["identifiers"] for each in given["principals"]}
    return statement


def _digits(*parts: str) -> str:
    return hashlib.sha256(":".join(parts).encode()).hexdigest()[:7]
