"""An engine that asks a pack about a program: each resource by its inputs, then the stack by its outputs.

A program is a list of registrations, of a real program (`run`) or of the resources of an example (`example`).
"""

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pulumi
import yaml
from google.protobuf import struct_pb2
from pulumi.output import Unknown
from pulumi.runtime.proto import analyzer_pb2 as analyzer
from pulumi_policy import EnforcementLevel
from pulumi_policy.policy import _PolicyAnalyzerServicer  # what the engine talks to; the SDK ships no test double

from local.deploy.program import Registration, run_program
from policies.pack import NAME, policies
from policies.rules import all_rules
from tests.policy.provider_outputs import Provider, checked, created

UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
SIGNATURE = "4dabf18193072939515e22adb298388d"
SECRET = "1b47061264138c4ac30d75fd1eb44270"
ARCHIVE = "0def7320c3a5731c473e5ecbe6d01bc7"

#: Properties that only creation determines; in a preview the provider answers them as unknown.
COMPUTED = ("arn", "id", "url", "uuid", "streamArn", "qualifiedArn", "keyId", "version")


@dataclass(frozen=True)
class Asked:
    """A resource as a policy sees it.

    Attributes:
        registration: What the program registered.
        inputs: After the provider's Check.
        outputs: What the provider answered.
        provider: The name and the configuration of its provider, when the engine tells it.
    """

    registration: Registration
    inputs: Mapping[str, Any]
    outputs: Mapping[str, Any]
    provider: tuple[str, Mapping[str, Any]] | None = None


@dataclass(frozen=True, order=True)
class Finding:
    """A violation: the rule's id, and the resource's name in the program."""

    rule: str
    resource: str


def wire(value: Any) -> Any:
    """A value as it goes over the wire."""
    if isinstance(value, Unknown):
        return UNKNOWN
    if isinstance(value, pulumi.Archive):
        return {SIGNATURE: ARCHIVE, "assets": {}}
    if isinstance(value, Mapping):
        return {key: wire(member) for key, member in value.items()}
    if isinstance(value, (list, tuple)):
        return [wire(member) for member in value]
    return value


def struct(values: Mapping[str, Any]) -> struct_pb2.Struct:
    made = struct_pb2.Struct()
    made.update(wire(values))
    return made


class Pack:
    """The pack behind the SDK's own servicer, in this process."""

    def __init__(self, rules: Iterable[Any] | None = None, config: Mapping[str, Any] | None = None) -> None:
        self.rules = list(all_rules() if rules is None else rules)
        self.servicer = _PolicyAnalyzerServicer(NAME, "0.0.1", policies(self.rules), EnforcementLevel.ADVISORY)
        if config:
            self.configure(config)

    def configure(self, config: Mapping[str, Any]) -> None:
        """Configure policies like the engine does with `--policy-pack-config`."""
        levels = {"exemptions": "advisory", "exemptions-check": "advisory"}
        levels |= {rule.id: rule.level for rule in self.rules}
        configured = {}
        for name, given in config.items():
            settings = {"enforcementLevel": given} if isinstance(given, str) else dict(given)
            level = settings.pop("enforcementLevel", levels[name])
            properties = struct_pb2.Struct()
            properties.update(settings)
            configured[name] = analyzer.PolicyConfig(
                properties=properties, enforcementLevel=analyzer.EnforcementLevel.Value(level.upper())
            )
        self.servicer.Configure(analyzer.ConfigureAnalyzerRequest(policyConfig=configured), None)

    def analyze(self, asked: Asked) -> analyzer.AnalyzeResponse:
        return self.servicer.Analyze(analyze_request(asked), None)

    def analyze_stack(self, program: Iterable[Asked]) -> analyzer.AnalyzeResponse:
        return self.servicer.AnalyzeStack(stack_request(program), None)

    def answers(self, program: list[Asked]) -> list[analyzer.AnalyzeResponse]:
        return [*map(self.analyze, program), self.analyze_stack(program)]

    def findings(self, program: list[Asked]) -> set[Finding]:
        """Every violation in a program. A rule that could not run is an error: none may read an unknown unprepared."""
        found: set[Finding] = set()
        for asked, answer in zip([*program, None], self.answers(program), strict=True):
            failed = [each.reason for each in answer.not_applicable if "failed on" in each.reason]
            assert not failed, failed
            for diagnostic in answer.diagnostics:
                assert "can't run policy" not in diagnostic.message, diagnostic.message
                urn = diagnostic.urn or (asked.registration.urn if asked else "")
                found.add(Finding(diagnostic.policyName, urn.rpartition("::")[2]))
        return found


def analyze_request(asked: Asked) -> analyzer.AnalyzeRequest:
    registration = asked.registration
    return analyzer.AnalyzeRequest(
        type=registration.type,
        urn=registration.urn,
        name=registration.name,
        properties=struct(asked.inputs),
        options=analyzer.AnalyzerResourceOptions(parent=registration.parent),
    )


def provider_of(asked: Asked) -> analyzer.AnalyzerProviderResource | None:
    if asked.provider is None:
        return None
    name, configuration = asked.provider
    type_ = "pulumi:providers:aws"
    return analyzer.AnalyzerProviderResource(
        type=type_, urn=f"urn:pulumi:dev::weir::{type_}::{name}", name=name, properties=struct(configuration)
    )


def stack_request(program: Iterable[Asked]) -> analyzer.AnalyzeStackRequest:
    return analyzer.AnalyzeStackRequest(
        resources=[
            analyzer.AnalyzerResource(
                type=asked.registration.type,
                urn=asked.registration.urn,
                name=asked.registration.name,
                parent=asked.registration.parent,
                properties=struct(asked.outputs),
                options=analyzer.AnalyzerResourceOptions(parent=asked.registration.parent),
                provider=provider_of(asked),
                dependencies=asked.registration.dependencies,
                propertyDependencies={
                    key: analyzer.AnalyzerPropertyDependencies(urns=urns)
                    for key, urns in asked.registration.property_dependencies.items()
                },
            )
            for asked in program
        ]
    )


#: A program in one phase: what the engine asks about.
Phase = Callable[[list[Registration]], list[Asked]]


def preview(registrations: list[Registration]) -> list[Asked]:
    """Preview an empty account by the AWS provider: names are known, everything computed is not."""
    asked = []
    for each in registrations:
        inputs = checked(each.type, each.name, each.inputs) if each.custom else dict(each.inputs)
        computed = dict.fromkeys(COMPUTED, Unknown()) if each.custom else {}
        asked.append(Asked(each, inputs, {**computed, **inputs}))
    return asked


def bare_preview(registrations: list[Registration]) -> list[Asked]:
    """Preview an empty account by a provider that answers nothing beyond the inputs."""
    return [Asked(each, each.inputs, each.inputs) for each in registrations]


def deployed(registrations: list[Registration]) -> list[Asked]:
    """Answer as after `up`: everything is known."""
    asked = []
    for each in registrations:
        if not each.custom:
            asked.append(Asked(each, each.inputs, each.inputs))
            continue
        inputs = checked(each.type, each.name, each.inputs)
        answer = created(each.type, each.name, inputs)
        asked.append(Asked(each, inputs, {**inputs, **answer.outputs, "id": answer.id}))
    return asked


def run(
    program: Path | Callable[[], object],
    *,
    previewed: bool,
    project: str = "weir",
    stack: str = "dev",
    config: Mapping[str, str] | None = None,
) -> list[Registration]:
    """Run a program for its registrations, in a preview of an empty account or in `up`."""
    return run_program(
        program, Provider(), project=project, stack=stack, config=config, preview=previewed
    ).registrations


_REFERENCE = re.compile(r"\$\{([\w-]+)\.(\w+)\}")


def example(text: str, *, previewed: bool) -> list[Registration]:
    """Make the registrations of the `resources` of a Pulumi YAML program."""
    resources: dict[str, dict[str, Any]] = yaml.safe_load(text)
    done: dict[str, Registration] = {}
    while len(done) < len(resources):
        ready = [
            name
            for name, resource in resources.items()
            if name not in done and {match[0] for match in _REFERENCE.findall(json.dumps(resource))} <= done.keys()
        ]
        assert ready, f"a reference to a resource that is not there: {resources.keys() - done.keys()}"
        for name in ready:
            done[name] = _registration(name, resources[name], done, previewed)
    return list(done.values())


def _registration(
    name: str, resource: Mapping[str, Any], done: Mapping[str, Registration], previewed: bool
) -> Registration:
    package, module, kind = resource["type"].split(":")
    type_ = f"{package}:{module}/{kind[0].lower()}{kind[1:]}:{kind}"
    properties = resource.get("properties", {})
    return Registration(
        urn=f"urn:pulumi:dev::weir::{type_}::{name}",
        type=type_,
        name=name,
        custom=True,
        parent="",
        inputs={key: _resolved(value, done, previewed) for key, value in properties.items()},
        property_dependencies={
            key: tuple(dict.fromkeys(done[found].urn for found, _ in _REFERENCE.findall(json.dumps(value))))
            for key, value in properties.items()
        },
    )


def _resolved(value: Any, done: Mapping[str, Registration], previewed: bool) -> Any:
    match value:
        case {"fn::toJSON": document}:
            resolved = _resolved(document, done, previewed)
            return Unknown() if _has_unknown(resolved) else json.dumps(resolved)
        case dict():
            return {key: _resolved(member, done, previewed) for key, member in value.items()}
        case list():
            return [_resolved(member, done, previewed) for member in value]
        case str() if _REFERENCE.search(value):
            attributes = [_attribute(done[name], key, previewed) for name, key in _REFERENCE.findall(value)]
            if any(isinstance(attribute, Unknown) for attribute in attributes):
                return Unknown()
            return _REFERENCE.sub(lambda _: str(attributes.pop(0)), value)
        case _:
            return value


def _attribute(registration: Registration, key: str, previewed: bool) -> Any:
    inputs = checked(registration.type, registration.name, registration.inputs)
    if key in inputs:
        return inputs[key]
    answer = created(registration.type, registration.name, inputs)
    return Unknown() if previewed else {**answer.outputs, "id": answer.id}[key]


def _has_unknown(value: Any) -> bool:
    match value:
        case dict():
            return any(map(_has_unknown, value.values()))
        case list():
            return any(map(_has_unknown, value))
        case _:
            return isinstance(value, Unknown)


def changed(registration: Registration, **inputs: Any) -> Registration:
    """A registration with other inputs."""
    return replace(registration, inputs={**registration.inputs, **inputs})
