"""HTTP APIs."""

from __future__ import annotations

from collections.abc import Mapping

from local.deploy.resources.aws import Aws
from local.deploy.resources.members import Block, Document
from local.deploy.resources.resource_type import Change, Found, Name, ResourceType, words


def _create_api(aws: Aws, request: Document) -> str:
    return aws.client("apigatewayv2").create_api(**request)["ApiId"]


def _read_api(aws: Aws, id_: str, _request: Document) -> Found:
    found = aws.client("apigatewayv2").get_api(ApiId=id_)
    return Found(
        found,
        {
            "name": found["Name"],
            "apiEndpoint": _url(aws, id_),
            "arn": f"arn:aws:apigateway:{aws.region}::/apis/{id_}",
            "executionArn": aws.arn("execute-api", id_),
        },
    )


def _update_api(aws: Aws, id_: str, change: Change) -> None:
    aws.client("apigatewayv2").update_api(ApiId=id_, Name=change.new["Name"])


def _delete_api(aws: Aws, id_: str, _request: Document) -> None:
    aws.client("apigatewayv2").delete_api(ApiId=id_)


def _create_stage(aws: Aws, request: Document) -> str:
    aws.client("apigatewayv2").create_stage(**request)
    return request["StageName"]


def _read_stage(aws: Aws, id_: str, request: Document) -> Found:
    api_id = request["ApiId"]
    found = aws.client("apigatewayv2").get_stage(ApiId=api_id, StageName=id_)
    below = "" if id_ == "$default" else f"/{id_}"
    return Found(
        found,
        {
            "name": id_,
            "invokeUrl": _url(aws, api_id) + below,
            "arn": f"arn:aws:apigateway:{aws.region}::/apis/{api_id}/stages/{id_}",
            "executionArn": aws.arn("execute-api", f"{api_id}/{id_}"),
        },
    )


def _delete_stage(aws: Aws, id_: str, request: Document) -> None:
    aws.client("apigatewayv2").delete_stage(ApiId=request["ApiId"], StageName=id_)


def _create_integration(aws: Aws, request: Document) -> str:
    return aws.client("apigatewayv2").create_integration(**request)["IntegrationId"]


def _read_integration(aws: Aws, id_: str, request: Document) -> Found:
    return Found(_one(aws, "integration", request["ApiId"], id_), {})


def _update_integration(aws: Aws, id_: str, change: Change) -> None:
    aws.client("apigatewayv2").update_integration(**change.new, IntegrationId=id_)


def _delete_integration(aws: Aws, id_: str, request: Document) -> None:
    aws.client("apigatewayv2").delete_integration(ApiId=request["ApiId"], IntegrationId=id_)


def _create_route(aws: Aws, request: Document) -> str:
    return aws.client("apigatewayv2").create_route(**request)["RouteId"]


def _read_route(aws: Aws, id_: str, request: Document) -> Found:
    return Found(_one(aws, "route", request["ApiId"], id_), {})


def _update_route(aws: Aws, id_: str, change: Change) -> None:
    aws.client("apigatewayv2").update_route(**change.new, RouteId=id_)


def _delete_route(aws: Aws, id_: str, request: Document) -> None:
    aws.client("apigatewayv2").delete_route(ApiId=request["ApiId"], RouteId=id_)


def _create_authorizer(aws: Aws, request: Document) -> str:
    return aws.client("apigatewayv2").create_authorizer(**request)["AuthorizerId"]


def _read_authorizer(aws: Aws, id_: str, request: Document) -> Found:
    found = _one(aws, "authorizer", request["ApiId"], id_)
    return Found(found, {"name": found["Name"]})


def _update_authorizer(aws: Aws, id_: str, change: Change) -> None:
    aws.client("apigatewayv2").update_authorizer(**change.new, AuthorizerId=id_)


def _delete_authorizer(aws: Aws, id_: str, request: Document) -> None:
    aws.client("apigatewayv2").delete_authorizer(ApiId=request["ApiId"], AuthorizerId=id_)


def _one(aws: Aws, what: str, api_id: str, id_: str) -> Document:
    get = getattr(aws.client("apigatewayv2"), f"get_{what}")
    return get(ApiId=api_id, **{f"{what.capitalize()}Id": id_})


def _url(aws: Aws, api_id: str) -> str:
    # A URL that this machine can resolve; <api>.execute-api.<region>.amazonaws.com is on AWS only.
    return f"{aws.endpoint_url}/_aws/execute-api/{api_id}"


TYPES: Mapping[str, ResourceType] = {
    "aws:apigatewayv2/api:Api": ResourceType(
        members={"name": "Name", "protocolType": "ProtocolType"},
        begin=_create_api,
        read=_read_api,
        update=_update_api,
        updates=words("Name"),
        delete=_delete_api,
        name=Name(longest=128, allowed=r"."),
        replaces=words("protocolType credentialsArn routeKey target"),
        outputs=words("apiEndpoint arn executionArn"),
    ),
    "aws:apigatewayv2/authorizer:Authorizer": ResourceType(
        members={
            "apiId": "ApiId",
            "name": "Name",
            "authorizerType": "AuthorizerType",
            "identitySources": "IdentitySource",
            "jwtConfiguration": Block("JwtConfiguration", {"issuer": "Issuer", "audiences": "Audience"}),
        },
        begin=_create_authorizer,
        read=_read_authorizer,
        update=_update_authorizer,
        delete=_delete_authorizer,
        name=Name(longest=128, allowed=r"."),
        replaces=words("apiId"),
    ),
    "aws:apigatewayv2/integration:Integration": ResourceType(
        members={
            "apiId": "ApiId",
            "integrationType": "IntegrationType",
            "integrationUri": "IntegrationUri",
            "payloadFormatVersion": "PayloadFormatVersion",
        },
        begin=_create_integration,
        read=_read_integration,
        update=_update_integration,
        delete=_delete_integration,
        replaces=words("apiId integrationType integrationSubtype"),
    ),
    "aws:apigatewayv2/route:Route": ResourceType(
        members={
            "apiId": "ApiId",
            "routeKey": "RouteKey",
            "target": "Target",
            "authorizationType": "AuthorizationType",
            "authorizerId": "AuthorizerId",
            "authorizationScopes": "AuthorizationScopes",
        },
        begin=_create_route,
        read=_read_route,
        update=_update_route,
        delete=_delete_route,
        replaces=words("apiId"),
    ),
    "aws:apigatewayv2/stage:Stage": ResourceType(
        members={"name": "StageName", "apiId": "ApiId", "autoDeploy": "AutoDeploy"},
        begin=_create_stage,
        read=_read_stage,
        delete=_delete_stage,
        name=Name(longest=128, allowed=r"[A-Za-z0-9_.$-]"),
        replaces=words("apiId name"),
        outputs=words("arn executionArn invokeUrl"),
    ),
}
"""Types of the package `apigatewayv2`."""
