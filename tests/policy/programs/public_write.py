"""Anybody may write: a route without authorisation, an API made in one step, a function URL, a health check."""

import pulumi_aws as aws

EXPECTED = {("api-authorisation", name) for name in ("upgrade", "health", "quick", "url")}


def program():
    function = aws.lambda_.Function(
        "upgrade", name="upgrade", role="arn:aws:iam::111122223333:role/upgrade", s3_bucket="b", s3_key="k"
    )
    # What anybody writes here becomes a change.
    aws.dynamodb.Table(
        "users",
        attributes=[{"name": "id", "type": "S"}],
        hash_key="id",
        billing_mode="PAY_PER_REQUEST",
        stream_enabled=True,
        stream_view_type="NEW_AND_OLD_IMAGES",
        point_in_time_recovery={"enabled": True},
        deletion_protection_enabled=True,
    )
    api = aws.apigatewayv2.Api("api", protocol_type="HTTP")
    aws.apigatewayv2.Route("upgrade", api_id=api.id, route_key="POST /users/{userId}/plan")
    aws.apigatewayv2.Route("health", api_id=api.id, route_key="GET /health", authorization_type="NONE")
    aws.apigatewayv2.Route("signed", api_id=api.id, route_key="GET /plan", authorization_type="AWS_IAM")
    aws.apigatewayv2.Route(
        "token", api_id=api.id, route_key="$default", authorization_type="JWT", authorizer_id="a1b2c3"
    )
    aws.apigatewayv2.Api("quick", protocol_type="HTTP", target="arn:aws:lambda:us-east-1:111122223333:function:upgrade")
    aws.lambda_.FunctionUrl("url", function_name=function.name, authorization_type="NONE")
    aws.lambda_.FunctionUrl("signed", function_name=function.name, authorization_type="AWS_IAM")
