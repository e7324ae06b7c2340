"""`api-authorisation`: whoever makes the write is known."""

from __future__ import annotations

from collections.abc import Iterator

from policies.aws_types import API, FUNCTION_URL, ROUTE
from policies.not_applicable import NotApplicable
from policies.resources import Resource
from policies.rule import Config, Parameter, Rule, Violation

#: What only a route of a WebSocket API has.
_WEBSOCKET = ("modelSelectionExpression", "requestModels", "routeResponseSelectionExpression")


def check(resource: Resource, config: Config) -> Iterator[Violation]:
    """Authorisation of a route, an API made in one step, or a function URL."""
    match resource.type:
        case t if t == ROUTE:
            public, what = _route(resource), "the route takes requests from anybody"
            fix = 'set authorization_type to "AWS_IAM", "JWT" or "CUSTOM"'
        case t if t == API:
            public, what = _quick_create(resource), "the API is made with a target, so its only route is public"
            fix = "remove target, and make an integration and routes with an authorization_type"
        case _:
            public, what = _function_url(resource), "the function URL takes requests from anybody"
            fix = 'set authorization_type="AWS_IAM"'
    if public is not None and public not in config["public_routes"]:
        yield Violation(
            what=what,
            lost="from the first minute on anybody who finds the address writes to the table, and every consumer acts "
            "on it: mails, charges and webhooks that cannot be taken back",
            fix=fix,
        )


def _route(route: Resource) -> str | None:
    """The key of a route of an HTTP API without authorisation."""
    key = route.props.text("routeKey") or ""
    if " " not in key and key != "$default":
        raise NotApplicable(f"{route.name} is a route of a WebSocket API")
    if key == "$default" and any(route.props.given(setting) for setting in _WEBSOCKET):
        raise NotApplicable(f"{route.name} is a route of a WebSocket API")
    return key if route.props.text("authorizationType") in (None, "NONE") else None


def _quick_create(api: Resource) -> str | None:
    """The key of the route that AWS makes for an API with a target."""
    if api.props.text("target") is None:
        return None
    return api.props.text("routeKey") or "$default"


def _function_url(url: Resource) -> str | None:
    return "" if url.props.text("authorizationType") in (None, "NONE") else None


RULE = Rule(
    id="api-authorisation",
    level="mandatory",
    severity="critical",
    title="Whoever calls an HTTP API or a function URL is known",
    why="One write is enough to set every side effect in motion. A route without authorisation, an API that AWS makes "
    "in one step from a target, and a function URL of type NONE take that write from anybody.",
    remediation="Authorise every route, or list the ones meant to be public in public_routes.",
    resources=(ROUTE, API, FUNCTION_URL),
    parameters={
        "public_routes": Parameter(
            default=[],
            schema={"type": "array", "items": {"type": "string"}},
            description='Route keys that may be public, e.g. "GET /health" or "$default".',
        )
    },
    check=check,
    limits="A route by itself does not say whether its API speaks HTTP or WebSocket; $default is taken for HTTP, so "
    "exempt the $default route of a WebSocket API. An API imported from an OpenAPI body is not read. A function URL "
    "has no route key: exempt one that is meant to be public.",
    good=(
        """
        upgrade:
          type: aws:apigatewayv2:Route
          properties:
            apiId: a1b2c3
            routeKey: POST /users/{userId}/plan
            authorizationType: AWS_IAM
        """,
    ),
    bad=(
        """
        upgrade:
          type: aws:apigatewayv2:Route
          properties:
            apiId: a1b2c3
            routeKey: POST /users/{userId}/plan
        """,
        """
        quick:
          type: aws:apigatewayv2:Api
          properties:
            protocolType: HTTP
            target: arn:aws:lambda:us-east-1:111122223333:function:upgrade
        """,
        """
        url:
          type: aws:lambda:FunctionUrl
          properties: {functionName: upgrade, authorizationType: NONE}
        """,
    ),
)
