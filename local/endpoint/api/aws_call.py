"""AWS calls: the operation and the arguments of an HTTP request, found by botocore's service models."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, cast
from urllib.parse import parse_qsl, unquote

import botocore.loaders
from botocore.model import OperationModel, ServiceModel

from local.endpoint.api.errors import AwsError, NotSimulated
from local.endpoint.api.http_messages import Request

#: The services that the endpoint simulates, by boto3's names.
SERVICES = (
    "apigatewayv2",
    "cloudwatch",
    "dynamodb",
    "dynamodbstreams",
    "events",
    "iam",
    "kinesis",
    "kms",
    "lambda",
    "logs",
    "pipes",
    "s3",
    "scheduler",
    "secretsmanager",
    "sesv2",
    "sns",
    "sqs",
    "ssm",
    "stepfunctions",
    "sts",
)


@dataclass(frozen=True)
class AwsCall:
    """One call of an AWS operation.

    Attributes:
        service: boto3's name of the service.
        operation: The operation, e.g. `CreateTable`.
        protocol: botocore's name of the protocol the client speaks.
        parameters: The arguments, by the names of the input's members. Values are as the protocol carries them; a
            streamed body stands under its member's name as bytes.
        request: The HTTP request that makes the call.
    """

    service: str
    operation: str
    protocol: str
    parameters: Mapping[str, Any] = field(default_factory=dict[str, Any])
    request: Request = field(default=Request(), repr=False)

    def __str__(self) -> str:
        return f"{self.service}:{self.operation}"


def identify(request: Request) -> AwsCall:
    """Find the operation that a request calls.

    Raises:
        NotSimulated: No service of the program has it.
        AwsError: Its body is malformed.
    """
    target = request.headers.get("x-amz-target")
    if target is not None:
        return _json_call(target, request)
    candidates = _by_signing_name().get(request.signing_name or "", [])
    if not candidates:
        signed_for = f"the service {request.signing_name!r}" if request.signing_name else "requests without a signature"
        raise NotSimulated(
            f"the local endpoint does not simulate {signed_for} ({request.method} {unquote(request.path)}): it serves "
            f"{', '.join(SERVICES)}, and the routes of HTTP APIs"
        )
    if request.is_form:
        return _query_call(candidates[0], request)
    for name in candidates:
        matched = _match(name, request)
        if matched is not None:
            operation, labels = matched
            protocol = service_model(name).metadata["protocol"]
            return AwsCall(name, operation.name, protocol, _rest_parameters(operation, labels, request), request)
    raise NotSimulated(
        f"{request.method} {unquote(request.path)} is not an operation of {' or '.join(candidates)} in this version "
        "of botocore"
    )


def call_of(service: str, operation: str, request: Request) -> AwsCall:
    """Return the call of a request whose operation is known.

    Args:
        service: boto3's name of the service.
        operation: The operation's name.
        request: The request, which need not be signed.
    """
    target = request.headers.get("x-amz-target")
    if target is not None:
        return _json_call(target, request)
    if request.is_form:
        return _query_call(service, request)
    model = service_model(service)
    route = _route_of(service, operation)
    found = route.match(request, request.path.rstrip("/") or "/")
    labels = {} if found is None else found[1]
    parameters = _rest_parameters(route.operation, labels, request)
    return AwsCall(service, operation, model.metadata["protocol"], parameters, request)


def protocol_of(request: Request) -> str:
    """Guess the protocol of a client whose operation is not known."""
    if "x-amz-target" in request.headers:
        return "json"
    if request.signing_name == "s3":
        return "rest-xml"
    return "query" if request.is_form else "rest-json"


@cache
def service_model(service: str) -> ServiceModel:
    """Return botocore's model of a service."""
    return ServiceModel(botocore.loaders.create_loader().load_service_model(service, "service-2"), service)


@cache
def _by_signing_name() -> Mapping[str, list[str]]:
    """Return the services by the name in their signatures."""
    named: dict[str, list[str]] = {}
    for service in SERVICES:
        metadata = service_model(service).metadata
        named.setdefault(metadata.get("signingName") or metadata["endpointPrefix"], []).append(service)
    return named


@cache
def _by_target() -> Mapping[str, str]:
    """Return the services by the prefix of their targets."""
    models = ((service, service_model(service).metadata.get("targetPrefix")) for service in SERVICES)
    return {prefix: service for service, prefix in models if prefix}


def _json_call(target: str, request: Request) -> AwsCall:
    prefix, _, operation = target.partition(".")
    name = _by_target().get(prefix)
    if name is not None:
        return AwsCall(name, operation, "json", _document(request.body or b"{}"), request)
    raise NotSimulated(f"the local endpoint does not simulate {target}: it serves {', '.join(SERVICES)}")


def _query_call(service: str, request: Request) -> AwsCall:
    form = request.query | dict(parse_qsl(request.body.decode(), keep_blank_values=True))
    operation = form.pop("Action", "")
    form.pop("Version", None)
    parameters: dict[str, Any] = {}
    for name, value in form.items():
        member, _, rest = name.partition(".")
        if rest:
            parameters.setdefault(member, {})[rest] = value
        else:
            parameters[member] = value
    return AwsCall(service, operation, "query", parameters, request)


def _document(body: bytes) -> dict[str, Any]:
    try:
        document = json.loads(body)
    except ValueError as wrong:
        raise AwsError("SerializationException", f"the request's body is not JSON: {wrong}") from wrong
    if not isinstance(document, dict):
        raise AwsError("SerializationException", "the request's body is not a JSON object")
    return cast("dict[str, Any]", document)


@dataclass(frozen=True)
class _Route:
    operation: OperationModel
    pattern: re.Pattern[str]
    labels: tuple[str, ...]
    query: tuple[tuple[str, str], ...]
    literals: int

    def match(self, request: Request, path: str) -> tuple[int, dict[str, str]] | None:
        """Return how specific the match is, and the values of the path's labels; `None` if there is no match."""
        found = self.pattern.fullmatch(path)
        if request.method != self.operation.http["method"] or found is None:
            return None
        given = request.query
        if any(name not in given or (value and given[name] != value) for name, value in self.query):
            return None
        required = 0
        wanted = self.operation.input_shape.required_members if self.operation.input_shape else ()
        for member, shape in _members(self.operation):
            location, name = shape.serialization.get("location"), shape.serialization.get("name")
            if member in wanted and location in ("querystring", "header"):
                if name.lower() not in (request.headers if location == "header" else map(str.lower, given)):
                    return None
                required += 1
        score = 100 * self.literals + 10 * len(self.query) + required
        return score, dict(zip(self.labels, map(unquote, found.groups()), strict=True))


@cache
def _route_of(service: str, operation: str) -> _Route:
    return _route(service_model(service).operation_model(operation))


@cache
def _routes(service: str) -> tuple[_Route, ...]:
    model = service_model(service)
    operations = map(model.operation_model, model.operation_names)
    return tuple(_route(operation) for operation in operations if not operation.deprecated)


def _route(operation: OperationModel) -> _Route:
    path, _, query = operation.http["requestUri"].partition("?")
    labels: list[str] = []
    pattern = ""
    for part in re.split(r"(\{[^}]+\})", path.rstrip("/") or "/"):
        if part.startswith("{"):
            labels.append(part.strip("{}+"))
            pattern += "(.+)" if part.endswith("+}") else "([^/]+)"
        else:
            pattern += re.escape(part)
    literals = len([part for part in path.split("/") if part and "{" not in part])
    return _Route(
        operation, re.compile(pattern), tuple(labels), tuple(parse_qsl(query, keep_blank_values=True)), literals
    )


def _match(service: str, request: Request) -> tuple[OperationModel, dict[str, str]] | None:
    path = request.path.rstrip("/") or "/"
    best: tuple[int, OperationModel, dict[str, str]] | None = None
    for route in _routes(service):
        found = route.match(request, path)
        if found is not None and (best is None or found[0] > best[0]):
            best = (found[0], route.operation, found[1])
    return None if best is None else best[1:]


def _members(operation: OperationModel) -> Iterator[tuple[str, Any]]:
    shape = operation.input_shape
    return iter(()) if shape is None else iter(shape.members.items())


def _rest_parameters(operation: OperationModel, labels: Mapping[str, str], request: Request) -> dict[str, Any]:
    parameters: dict[str, Any] = {}
    payload = operation.input_shape.serialization.get("payload") if operation.input_shape else None
    query = request.query
    body: Mapping[str, Any] = {}
    if payload is not None:
        if request.body:
            parameters[payload] = request.body
    elif request.body and operation.service_model.metadata["protocol"] == "rest-json":
        body = _document(request.body)
    for member, shape in _members(operation):
        name = shape.serialization.get("name", member)
        match shape.serialization.get("location"):
            case "uri":
                value = labels.get(name)
            case "querystring":
                value = query.get(name)
            case "header":
                value = request.headers.get(name.lower())
            case _:
                value = body.get(name)
        if value is not None and member not in parameters:
            parameters[member] = value
    unknown = set(body) - {shape.serialization.get("name", member) for member, shape in _members(operation)}
    return parameters | {name: body[name] for name in unknown}
