"""`api-authorisation`: every caller that can write is known."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from fnmatch import fnmatchcase
from typing import NamedTuple

from policies.aws_types import API, FUNCTION_URL, REST_API, REST_API_POLICY, REST_METHOD, REST_RESOURCE, ROUTE
from policies.graph import Stack
from policies.not_applicable import Awaited, NotApplicable
from policies.resources import Resource
from policies.rule import Config, Parameter, StackRule, Violation
from policies.stream_readers import has_stream
from policies.wording import named, setting

#: Settings that only a route of a WebSocket API has.
_WEBSOCKET = ("modelSelectionExpression", "requestModels", "routeResponseSelectionExpression")


class _Open(NamedTuple):
    """A way in without authorisation.

    Attributes:
        key: Its route key, for `public_routes`.
        what: The fault.
        fix: The remedy.
    """

    key: str
    what: str
    fix: str


def check(resource: Resource, stack: Stack, config: Config) -> Iterator[Violation]:
    """Check the authorisation of a route, a REST method, an API created in one step, or a function URL."""
    if not has_stream(stack):
        raise NotApplicable("the program has no stream that a write could set in motion")
    found = _JUDGES[resource.type](resource, stack)
    # A pattern has * and ? only: brackets and braces belong to route keys.
    patterns = [str(pattern).replace("[", "[[]") for pattern in config["public_routes"]]
    if found is not None and not any(fnmatchcase(found.key, pattern) for pattern in patterns):
        yield Violation(
            what=found.what,
            lost="from the first minute on anybody who finds the address writes to the table, and every consumer acts "
            "on it: mails, charges and webhooks that cannot be taken back",
            fix=found.fix,
        )


def _route(route: Resource, stack: Stack) -> _Open | None:
    key = route.props.text("routeKey") or ""
    if " " not in key and key != "$default":
        raise NotApplicable(f"{route.name} is a route of a WebSocket API")
    if key == "$default" and _is_websocket(route, stack):
        raise NotApplicable(f"{route.name} is a route of a WebSocket API, behind its $connect")
    if key.startswith("OPTIONS "):
        raise NotApplicable(f"{route.name} answers preflights, which browsers send without credentials")
    if route.props.text("authorizationType") not in (None, "NONE"):
        return None
    return _Open(
        key,
        "the route takes requests from anybody",
        f"set {named('authorizationType')} to AWS_IAM, JWT or CUSTOM",
    )


def _is_websocket(route: Resource, stack: Stack) -> bool:
    if any(route.props.given(setting) for setting in _WEBSOCKET):
        return True
    try:
        api = stack.follow(route, "apiId", API)
    except Awaited:
        return False
    return isinstance(api, Resource) and api.props.text("protocolType") == "WEBSOCKET"


def _quick_create(api: Resource, _: Stack) -> _Open | None:
    if api.props.text("target") is None:
        return None
    return _Open(
        api.props.text("routeKey") or "$default",
        "the API is created with a target, so its only route is public",
        f"remove target, and create an integration and routes with an {named('authorizationType')}",
    )


def _function_url(url: Resource, _: Stack) -> _Open | None:
    if url.props.text("authorizationType") not in (None, "NONE"):
        return None
    return _Open("", "the function URL takes requests from anybody", f"set {setting('authorizationType', 'AWS_IAM')}")


def _rest_method(method: Resource, stack: Stack) -> _Open | None:
    verb = (method.props.text("httpMethod") or "").upper()
    if verb == "OPTIONS":
        raise NotApplicable(f"{method.name} answers preflights, which browsers send without credentials")
    if method.props.text("authorization") not in (None, "NONE"):
        return None
    api = stack.follow(method, "restApi", REST_API)
    if isinstance(api, Resource) and _is_closed(api, stack):
        raise NotApplicable(f"the API of {method.name} is private, or has a policy of its own")
    return _Open(
        f"{verb} {_path(method, stack)}",
        "the method takes requests from anybody",
        "set authorization to AWS_IAM, COGNITO_USER_POOLS or CUSTOM; an API key identifies a caller and authorises "
        "nobody",
    )


def _is_closed(api: Resource, stack: Stack) -> bool:
    """Test whether a REST API is private, or has a resource policy, which decides about its callers."""
    if api.props.given("policy") or "PRIVATE" in api.props.block("endpointConfiguration").texts("types"):
        return True
    return any(stack.follow(policy, "restApiId", REST_API) is api for policy in stack.of_type(REST_API_POLICY))


def _path(method: Resource, stack: Stack) -> str:
    """Spell the path of a REST method from the parts of its resource and the ones above."""
    if stack.linked(method, "resourceId", REST_API):
        # The API itself has one resource only: its root.
        return "/"
    parts: list[str] = []
    place = stack.follow(method, "resourceId", REST_RESOURCE)
    while isinstance(place, Resource) and len(parts) < 100:
        parts.insert(0, place.props.text("pathPart") or "")
        try:
            place = stack.follow(place, "parentId", REST_RESOURCE)
        except Awaited:
            break
    return "/" + "/".join(parts)


_JUDGES: Mapping[str, Callable[[Resource, Stack], _Open | None]] = {
    API: _quick_create,
    FUNCTION_URL: _function_url,
    REST_METHOD: _rest_method,
    ROUTE: _route,
}


RULE = StackRule(
    id="api-authorisation",
    level="mandatory",
    severity="critical",
    title="Every caller of an API or a function URL must be known",
    why="In a program with a stream one write is enough to set every side effect in motion. A route or a REST "
    "method without authorisation, an API that AWS creates in one step from a target, and a function URL of type "
    "NONE take that write from anybody. Preflights (OPTIONS) carry no credentials, and the routes of a WebSocket "
    "API are behind its $connect: neither is judged. A webhook whose function checks a signature is meant to be "
    "public: list its route in public_routes, or exempt it with that reason.",
    remediation="Authorise every route, or list the ones meant to be public in public_routes.",
    resources=(ROUTE, API, FUNCTION_URL, REST_METHOD),
    parameters={
        "public_routes": Parameter(
            default=[],
            schema={"type": "array", "items": {"type": "string"}},
            description='Route keys that may be public, as patterns with * and ?: "GET /health", "GET /*", "$default".',
        )
    },
    check=check,
    limits="A $default route whose API is not in the program is taken for HTTP: exempt that of a WebSocket API. An API "
    "imported from an OpenAPI body is not read, and neither is the resource policy of a REST API: one with a policy is "
    "not judged. A function URL has no route key: exempt one that is meant to be public. A program without a table or "
    "Kinesis stream, and without a reader of one, is not judged.",
    good=(
        """
        users:
          type: aws:dynamodb:Table
          properties:
            attributes: [{name: userId, type: S}]
            hashKey: userId
            billingMode: PAY_PER_REQUEST
            streamEnabled: true
            streamViewType: NEW_AND_OLD_IMAGES
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
        users:
          type: aws:dynamodb:Table
          properties:
            attributes: [{name: userId, type: S}]
            hashKey: userId
            billingMode: PAY_PER_REQUEST
            streamEnabled: true
            streamViewType: NEW_AND_OLD_IMAGES
        upgrade:
          type: aws:apigatewayv2:Route
          properties:
            apiId: a1b2c3
            routeKey: POST /users/{userId}/plan
        """,
        """
        users:
          type: aws:dynamodb:Table
          properties:
            attributes: [{name: userId, type: S}]
            hashKey: userId
            billingMode: PAY_PER_REQUEST
            streamEnabled: true
            streamViewType: NEW_AND_OLD_IMAGES
        quick:
          type: aws:apigatewayv2:Api
          properties:
            protocolType: HTTP
            target: arn:aws:lambda:us-east-1:111122223333:function:upgrade
        """,
        """
        users:
          type: aws:dynamodb:Table
          properties:
            attributes: [{name: userId, type: S}]
            hashKey: userId
            billingMode: PAY_PER_REQUEST
            streamEnabled: true
            streamViewType: NEW_AND_OLD_IMAGES
        url:
          type: aws:lambda:FunctionUrl
          properties: {functionName: upgrade, authorizationType: NONE}
        """,
        """
        users:
          type: aws:dynamodb:Table
          properties:
            attributes: [{name: userId, type: S}]
            hashKey: userId
            billingMode: PAY_PER_REQUEST
            streamEnabled: true
            streamViewType: NEW_AND_OLD_IMAGES
        rest: {type: aws:apigateway:RestApi}
        plan:
          type: aws:apigateway:Resource
          properties: {restApi: "${rest.id}", parentId: root, pathPart: plan}
        upgrade:
          type: aws:apigateway:Method
          properties: {restApi: "${rest.id}", resourceId: "${plan.id}", httpMethod: PUT, authorization: NONE}
        """,
    ),
)
