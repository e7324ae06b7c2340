"""Event buses, their archives, the rules that send events on, and the API destinations that they send to."""

from __future__ import annotations

from collections.abc import Mapping

from local.deploy.resources.aws import Aws
from local.deploy.resources.members import Block, Blocks, Document, Members, as_json
from local.deploy.resources.resource_type import Change, Found, Gone, Name, ResourceType, words


def _create_bus(aws: Aws, request: Document) -> str:
    aws.client("events").create_event_bus(**request)
    return request["Name"]


def _read_bus(aws: Aws, id_: str, _request: Document) -> Found:
    return Found({}, {"name": id_, "arn": aws.client("events").describe_event_bus(Name=id_)["Arn"]})


def _delete_bus(aws: Aws, id_: str, _request: Document) -> None:
    aws.client("events").delete_event_bus(Name=id_)


def _put_rule(aws: Aws, request: Document) -> str:
    aws.client("events").put_rule(**request)
    bus = request.get("EventBusName", "default")
    return request["Name"] if bus == "default" else f"{bus}/{request['Name']}"


def _read_rule(aws: Aws, _id: str, request: Document) -> Found:
    found = aws.client("events").describe_rule(**_rule(request))
    return Found(found, {"name": found["Name"], "arn": found["Arn"]})


def _put_rule_again(aws: Aws, _id: str, change: Change) -> None:
    _put_rule(aws, change.new)


def _delete_rule(aws: Aws, _id: str, request: Document) -> None:
    aws.client("events").delete_rule(**_rule(request))


def _rule(request: Document) -> Document:
    return {name: request[name] for name in ("Name", "EventBusName") if name in request}


def _put_target(aws: Aws, request: Document) -> str:
    target = {name: value for name, value in request.items() if name not in ("Rule", "EventBusName")}
    answer = aws.client("events").put_targets(**_rule_of(request), Targets=[target])
    if answer["FailedEntryCount"]:
        raise ValueError(f"the rule did not take its target: {answer['FailedEntries'][0]['ErrorMessage']}")
    return f"{request['Rule']}-{request['Id']}"


def _read_target(aws: Aws, id_: str, request: Document) -> Found:
    for found in aws.client("events").list_targets_by_rule(**_rule_of(request))["Targets"]:
        if found["Id"] == request["Id"]:
            return Found(found, {"targetId": found["Id"]})
    raise Gone(id_)


def _put_target_again(aws: Aws, _id: str, change: Change) -> None:
    _put_target(aws, change.new)


def _remove_target(aws: Aws, _id: str, request: Document) -> None:
    aws.client("events").remove_targets(**_rule_of(request), Ids=[request["Id"]])


def _rule_of(request: Document) -> Document:
    return {name: request[name] for name in ("Rule", "EventBusName") if name in request}


def _create_archive(aws: Aws, request: Document) -> str:
    aws.client("events").create_archive(**request)
    return request["ArchiveName"]


def _read_archive(aws: Aws, id_: str, _request: Document) -> Found:
    found = aws.client("events").describe_archive(ArchiveName=id_)
    return Found(found, {"name": id_, "arn": found["ArchiveArn"]})


def _update_archive(aws: Aws, id_: str, change: Change) -> None:
    given = {name: value for name, value in change.new.items() if name != "EventSourceArn"}
    aws.client("events").update_archive(**{"RetentionDays": 0, **given, "ArchiveName": id_})


def _delete_archive(aws: Aws, id_: str, _request: Document) -> None:
    aws.client("events").delete_archive(ArchiveName=id_)


def _create_connection(aws: Aws, request: Document) -> str:
    aws.client("events").create_connection(**request)
    return request["Name"]


def _read_connection(aws: Aws, id_: str, request: Document) -> Found:
    found = aws.client("events").describe_connection(Name=id_)
    # AWS describes no secrets, so that the parameters keep their inputs.
    described = {**found, "AuthParameters": request.get("AuthParameters", {})}
    # AWS keeps them in a secret of its own, which the endpoint has no need of.
    outputs = {"name": id_, "arn": found["ConnectionArn"], "secretArn": f"{found['ConnectionArn']}/secret"}
    return Found(described, outputs)


def _update_connection(aws: Aws, id_: str, change: Change) -> None:
    aws.client("events").update_connection(**{**change.new, "Name": id_})


def _delete_connection(aws: Aws, id_: str, _request: Document) -> None:
    aws.client("events").delete_connection(Name=id_)


def _create_destination(aws: Aws, request: Document) -> str:
    aws.client("events").create_api_destination(**request)
    return request["Name"]


def _read_destination(aws: Aws, id_: str, _request: Document) -> Found:
    found = aws.client("events").describe_api_destination(Name=id_)
    return Found(found, {"name": id_, "arn": found["ApiDestinationArn"]})


def _update_destination(aws: Aws, id_: str, change: Change) -> None:
    aws.client("events").update_api_destination(**{"InvocationRateLimitPerSecond": 300, **change.new, "Name": id_})


def _delete_destination(aws: Aws, id_: str, _request: Document) -> None:
    aws.client("events").delete_api_destination(Name=id_)


_PARAMETER: Members = {"key": "Key", "value": "Value", "isValueSecret": "IsValueSecret"}

_AUTH: Members = {
    "apiKey": Block("ApiKeyAuthParameters", {"key": "ApiKeyName", "value": "ApiKeyValue"}),
    "oauth": Block(
        "OAuthParameters",
        {
            "authorizationEndpoint": "AuthorizationEndpoint",
            "httpMethod": "HttpMethod",
            "oauthHttpParameters": Block(
                "OAuthHttpParameters",
                {"bodies": Blocks("BodyParameters", _PARAMETER)},
            ),
            "clientParameters": Block("ClientParameters", {"clientId": "ClientID", "clientSecret": "ClientSecret"}),
        },
    ),
}

TYPES: Mapping[str, ResourceType] = {
    "aws:cloudwatch/eventApiDestination:EventApiDestination": ResourceType(
        members={
            "name": "Name",
            "description": "Description",
            "connectionArn": "ConnectionArn",
            "invocationEndpoint": "InvocationEndpoint",
            "httpMethod": "HttpMethod",
            "invocationRateLimitPerSecond": "InvocationRateLimitPerSecond",
        },
        begin=_create_destination,
        read=_read_destination,
        update=_update_destination,
        delete=_delete_destination,
        name=Name(longest=64),
        replaces=words("name"),
        outputs=words("arn"),
    ),
    "aws:cloudwatch/eventArchive:EventArchive": ResourceType(
        members={
            "name": "ArchiveName",
            "description": "Description",
            "eventSourceArn": "EventSourceArn",
            "eventPattern": as_json("EventPattern"),
            "retentionDays": "RetentionDays",
        },
        begin=_create_archive,
        read=_read_archive,
        update=_update_archive,
        delete=_delete_archive,
        name=Name(longest=48),
        replaces=words("name eventSourceArn"),
        outputs=words("arn"),
    ),
    "aws:cloudwatch/eventConnection:EventConnection": ResourceType(
        members={
            "name": "Name",
            "description": "Description",
            "authorizationType": "AuthorizationType",
            "authParameters": Block("AuthParameters", _AUTH),
        },
        begin=_create_connection,
        read=_read_connection,
        update=_update_connection,
        delete=_delete_connection,
        name=Name(longest=64),
        replaces=words("name"),
        outputs=words("arn secretArn"),
    ),
    "aws:cloudwatch/eventBus:EventBus": ResourceType(
        members={"name": "Name"},
        begin=_create_bus,
        read=_read_bus,
        delete=_delete_bus,
        name=Name(longest=256, allowed=r"[A-Za-z0-9_./-]"),
        replaces=words("name eventSourceName"),
        outputs=words("arn"),
    ),
    "aws:cloudwatch/eventRule:EventRule": ResourceType(
        members={
            "name": "Name",
            "eventBusName": "EventBusName",
            "eventPattern": as_json("EventPattern"),
            "description": "Description",
            "state": "State",
        },
        begin=_put_rule,
        read=_read_rule,
        update=_put_rule_again,
        delete=_delete_rule,
        name=Name(longest=64),
        replaces=words("name namePrefix eventBusName"),
        outputs=words("arn"),
    ),
    "aws:cloudwatch/eventTarget:EventTarget": ResourceType(
        members={
            "targetId": "Id",
            "rule": "Rule",
            "eventBusName": "EventBusName",
            "arn": "Arn",
            "roleArn": "RoleArn",
            "inputPath": "InputPath",
            "httpTarget": Block(
                "HttpParameters",
                {
                    "headerParameters": "HeaderParameters",
                    "pathParameterValues": "PathParameterValues",
                    "queryStringParameters": "QueryStringParameters",
                },
            ),
            "retryPolicy": Block(
                "RetryPolicy",
                {
                    "maximumEventAgeInSeconds": "MaximumEventAgeInSeconds",
                    "maximumRetryAttempts": "MaximumRetryAttempts",
                },
            ),
            "deadLetterConfig": Block("DeadLetterConfig", {"arn": "Arn"}),
        },
        begin=_put_target,
        read=_read_target,
        update=_put_target_again,
        delete=_remove_target,
        name=Name("targetId", longest=64),
        replaces=words("rule eventBusName targetId"),
    ),
}
"""Types of the package `cloudwatch` that belong to EventBridge."""
