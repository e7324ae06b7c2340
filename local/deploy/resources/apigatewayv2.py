"""HTTP APIs."""

from __future__ import annotations

from local.deploy.program import Created
from local.deploy.resources.aws import Aws
from local.deploy.resources.inputs import Inputs


def api(inputs: Inputs, aws: Aws) -> Created:
    """CreateApi."""
    name = inputs.name()
    request = inputs.members({"protocolType": "ProtocolType"})
    inputs.finish()
    made = aws.client("apigatewayv2").create_api(Name=name, **request)
    api_id = made["ApiId"]
    return Created(
        api_id,
        {
            "name": name,
            "apiEndpoint": _url(aws, api_id),
            "arn": f"arn:aws:apigateway:{aws.region}::/apis/{api_id}",
            "executionArn": aws.arn("execute-api", api_id),
        },
    )


def stage(inputs: Inputs, aws: Aws) -> Created:
    """CreateStage."""
    name = inputs.name()
    request = inputs.members({"apiId": "ApiId", "autoDeploy": "AutoDeploy"})
    inputs.finish()
    aws.client("apigatewayv2").create_stage(StageName=name, **request)
    api_id = request["ApiId"]
    below = "" if name == "$default" else f"/{name}"
    return Created(
        name,
        {
            "name": name,
            "invokeUrl": _url(aws, api_id) + below,
            "arn": f"arn:aws:apigateway:{aws.region}::/apis/{api_id}/stages/{name}",
            "executionArn": aws.arn("execute-api", f"{api_id}/{name}"),
        },
    )


def integration(inputs: Inputs, aws: Aws) -> Created:
    """CreateIntegration."""
    request = inputs.members(
        {
            "apiId": "ApiId",
            "integrationType": "IntegrationType",
            "integrationUri": "IntegrationUri",
            "payloadFormatVersion": "PayloadFormatVersion",
        }
    )
    inputs.finish()
    return Created(aws.client("apigatewayv2").create_integration(**request)["IntegrationId"], {})


def route(inputs: Inputs, aws: Aws) -> Created:
    """CreateRoute."""
    request = inputs.members(
        {"apiId": "ApiId", "routeKey": "RouteKey", "target": "Target", "authorizationType": "AuthorizationType"}
    )
    inputs.finish()
    return Created(aws.client("apigatewayv2").create_route(**request)["RouteId"], {})


def _url(aws: Aws, api_id: str) -> str:
    # A URL that this machine can resolve; <api>.execute-api.<region>.amazonaws.com is on AWS only.
    return f"{aws.endpoint_url}/_aws/execute-api/{api_id}"
