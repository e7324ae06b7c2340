"""The AWS requests that a program's resources become, judged by botocore's service models.

botocore itself checks names, types and required members of a request. Enums, patterns, lengths and ranges it leaves to
the service; they stand in the same models.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import boto3
import pulumi
from botocore.exceptions import ParamValidationError
from botocore.model import OperationModel, Shape

from local.deploy.program import Registration
from local.deploy.resources import RESOURCES
from local.deploy.resources.aws import Aws
from local.deploy.resources.members import NotUsed, to_document
from local.endpoint.clients import Connection
from ops.mocked_program import ACCOUNT, REGION

#: The state of what has settled, in the words of the services that have one.
_SETTLED = ("ACTIVE", "Active", "Enabled", "ENABLED", "RUNNING", "Successful", "AVAILABLE", "Deployed")
#: Texts with a meaning, by the member's name.
_TEXTS = {"State": "Enabled", "UUID": "0a1b2c3d-0000-4000-8000-000000000000"}


class RecordingAws(Aws):
    """An AWS that answers every request with a made-up success of its model's shape.

    Attributes:
        problems: What the models say against the requests.
    """

    def __init__(self) -> None:
        super().__init__(Connection("http://127.0.0.1:9", REGION, ACCOUNT, "AKIDEXAMPLE", "secret"))
        self.problems: list[str] = []

    def client(self, service: str) -> Any:
        if service not in self._clients:
            client = boto3.client(
                service,
                region_name=REGION,
                aws_access_key_id="AKIDEXAMPLE",
                aws_secret_access_key="secret",
            )
            client.meta.events.register("before-parameter-build", self._judge)
            client.meta.events.register("before-call", self._answer)
            self._clients[service] = client
        return self._clients[service]

    def _judge(self, params: Mapping[str, Any], model: OperationModel, **_: Any) -> None:
        shape = model.input_shape
        if shape is not None:
            self.problems += [f"{model.name} {problem}" for problem in problems(shape, params, "")]

    def _answer(self, model: OperationModel, **_: Any) -> tuple[Any, Mapping[str, Any]]:
        made = _made_up(model.output_shape, "") if model.output_shape else {}
        ok = type("Ok", (), {"status_code": 200})()
        return ok, {**made, "ResponseMetadata": {"HTTPStatusCode": 200}}


def problems(shape: Shape, value: Any, path: str) -> Iterator[str]:
    """List what a model says against a value, below the names and types that botocore checks itself."""
    limits: Mapping[str, Any] = shape.metadata
    match shape.type_name:
        case "structure":
            for name, member in value.items():
                if name in shape.members:
                    yield from problems(shape.members[name], member, f"{path}.{name}" if path else name)
        case "list":
            yield from _range(limits, len(value), path, "members")
            for number, member in enumerate(value):
                yield from problems(shape.member, member, f"{path}[{number}]")
        case "map":
            for key, member in value.items():
                yield from problems(shape.key, key, f"{path} key {key}")
                yield from problems(shape.value, member, f"{path}.{key}")
        case "string":
            allowed = getattr(shape, "enum", None) or limits.get("enum")
            if allowed and value not in allowed:
                yield f"{path}={value!r} is not one of {', '.join(allowed)}"
            pattern = limits.get("pattern")
            if pattern and not _matches(pattern, value):
                yield f"{path}={value!r} does not match {pattern}"
            yield from _range(limits, len(value), path, "characters")
        case "integer" | "long" | "float" | "double":
            yield from _range(limits, value, path, "")
        case _:
            pass


def _range(limits: Mapping[str, Any], value: float, path: str, unit: str) -> Iterator[str]:
    low, high = limits.get("min"), limits.get("max")
    if (low is not None and value < low) or (high is not None and value > high):
        yield f"{path}: {value} {unit} is not {low} to {high}"


def _matches(pattern: str, value: str) -> bool:
    try:
        return re.search(pattern.replace(r"\p{Alnum}", "A-Za-z0-9"), value) is not None
    except re.error:
        return True  # a pattern of Java's that Python has not


def _made_up(shape: Shape, name: str) -> Any:
    match shape.type_name:
        case "structure":
            return {each: _made_up(member, each) for each, member in shape.members.items()}
        case "list":
            return []
        case "map":
            return {}
        case "boolean":
            return True  # verified, enabled, …
        case "integer" | "long" | "float" | "double":
            return 0 if name.startswith("Failed") else 1
        case "timestamp":
            return datetime.datetime(2026, 1, 31, tzinfo=datetime.UTC)
        case "blob":
            return b""
        case _:
            allowed = getattr(shape, "enum", None) or ()
            if allowed:
                return next((each for each in _SETTLED if each in allowed), allowed[0])
            if name in _TEXTS:
                return _TEXTS[name]
            return f"arn:aws:made:{REGION}:{ACCOUNT}:up:1" if name.lower().endswith("arn") else "made-up"


def findings(resources: Iterable[Registration]) -> list[str]:
    """Send the requests of all resources, and list what the models say against them: resource and problem."""
    aws = RecordingAws()
    found: list[str] = []
    for each in resources:
        if each.type not in RESOURCES:
            continue
        aws.problems = []
        try:
            _request(aws, each)
        except ParamValidationError as error:
            aws.problems.append(" ".join(str(error).split()))
        found += [f"{each.urn.rpartition('::')[2]} ({each.type}): {problem}" for problem in aws.problems]
    return sorted(set(found))


def _request(aws: Aws, resource: Registration) -> None:
    declared = RESOURCES[resource.type]
    document: dict[str, Any] = {}
    for name, value in resource.inputs.items():
        # What an archive holds is checked where it is made.
        given = pulumi.AssetArchive({"handler.py": pulumi.StringAsset("")}) if name == "code" else value
        try:
            for key, member in to_document(declared.members, {name: given}).items():
                document[key] = {**document.get(key, {}), **member} if isinstance(member, dict) else member
        except NotUsed:
            pass  # not deployed on this machine, so there is no request; CloudFormation's schema knows it
    declared.settle(aws, declared.begin(aws, document), document)
