"""Every program, in every stack and every example, is what AWS takes: judged by AWS's own models and schemas."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import pytest
from cfnlint.helpers import load_resource

from aws_semantics.event_patterns import pattern as event_pattern
from local.deploy import strict
from local.deploy.program import Registration
from tests.policy.engine import Asked, Pack
from tests.unit.aws_checks import cloudformation, dashboards, events, requests
from tests.unit.aws_checks.programs import PROGRAMS, ROOT, resources_of, run_of

every_program = pytest.mark.parametrize("program", PROGRAMS)


@every_program
def test_inputs_have_the_names_and_types_of_the_provider(program: str) -> None:
    found = {each.urn: strict.problems(each.type, each.inputs) for each in resources_of(program)}
    assert {urn: problems for urn, problems in found.items() if problems} == {}


@every_program
def test_the_requests_are_in_the_ranges_of_aws_models(program: str) -> None:
    assert requests.findings(resources_of(program)) == []


@functools.cache
def judged_by_schemas() -> Mapping[str, list[str]]:
    return cloudformation.findings(each for program in PROGRAMS for each in resources_of(program))


@every_program
def test_resources_iam_documents_and_state_machines_fit_cloudformations_schemas(program: str) -> None:
    here = {each.urn for each in resources_of(program)} | {"the template"}
    assert {urn: found for urn, found in judged_by_schemas().items() if urn in here} == {}


#: Actions on `*` that could name resources, and why they do not.
ON_ANYTHING = dict.fromkeys(
    [
        "ec2:assignprivateipaddresses",
        "ec2:createnetworkinterface",
        "ec2:deletenetworkinterface",
        "ec2:unassignprivateipaddresses",
    ],
    "Lambda makes a function's network interfaces itself, under ids that nobody knows before",
)


@every_program
def test_no_statement_allows_an_action_on_everything_that_could_name_a_resource(program: str) -> None:
    known = iam_actions()
    wide = [
        (each.name, action)
        for each, statement in statements(resources_of(program))
        if statement["Effect"] == "Allow" and "*" in as_list(statement.get("Resource", []))
        for action in map(str.lower, as_list(statement["Action"]))
        if action not in ON_ANYTHING and ("*" in action or known[action].get("Resources"))
    ]
    assert wide == []


@every_program
def test_no_statement_allows_all_actions_of_a_service(program: str) -> None:
    wide = [
        (each.name, action)
        for each, statement in statements(resources_of(program))
        if statement["Effect"] == "Allow"
        for action in as_list(statement["Action"])
        if "*" in action
    ]
    assert wide == []


@every_program
def test_event_patterns_are_what_aws_takes(program: str) -> None:
    for each in resources_of(program):
        for pattern in patterns(each.inputs):
            event_pattern.validate(pattern)


@every_program
def test_every_event_pattern_matches_an_event_of_its_source(program: str) -> None:
    assert events.dead_patterns(resources_of(program)) == []


@every_program
def test_dashboards_show_metrics_in_a_body_that_cloudwatch_takes(program: str) -> None:
    resources = resources_of(program)
    bodies = [each.inputs["dashboardBody"] for each in resources if each.type.endswith(":Dashboard")]
    assert [problem for body in bodies for problem in dashboards.problems(body)] == []


#: A bench for the real engine, with settings that nobody should copy: retries that end within a second.
BENCH = "every component"


@pytest.mark.parametrize("program", sorted(PROGRAMS.keys() - {BENCH}))
def test_the_strict_policy_pack_has_nothing_to_say(program: str) -> None:
    strict_pack = Pack(config=json.loads((ROOT / "policies" / "configs" / "strict.json").read_text()))
    run = run_of(program)
    asked = []
    for each in run.registrations:
        created = run.created.get(each.urn)
        outputs = {**each.inputs, **created.outputs, "id": created.id} if created else each.inputs
        asked.append(Asked(each, each.inputs, outputs))
    assert strict_pack.findings(asked) == set()


def statements(resources: list[Registration]) -> Iterator[tuple[Registration, Mapping[str, Any]]]:
    """Yield the statements of every IAM document that a resource is given."""
    for each in resources:
        for value in each.inputs.values():
            if isinstance(value, str) and '"Statement"' in value:
                for statement in as_list(json.loads(value)["Statement"]):
                    yield each, statement


def patterns(value: Any) -> Iterator[str]:
    """Yield the event patterns anywhere in a resource's inputs."""
    match value:
        case Mapping():
            for name, member in value.items():
                if name in {"pattern", "eventPattern"} and isinstance(member, str):
                    yield member
                else:
                    yield from patterns(member)
        case list():
            for member in value:
                yield from patterns(member)
        case _:
            pass


def as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


@functools.cache
def iam_actions() -> Mapping[str, Mapping[str, Any]]:
    """AWS's service authorization reference, as cfn-lint brings it: each action in lower case."""
    from cfnlint.data import AdditionalSpecs

    reference = load_resource(AdditionalSpecs, "Policies.json")
    return {
        f"{service}:{action}": details
        for service, described in reference.items()
        for action, details in described["Actions"].items()
    }


# What the checks find: a check that finds nothing in anything would pass all of the above.

BROKEN: Mapping[str, tuple[str, dict[str, Any], str]] = {
    "an unknown retention": ("aws:cloudwatch/logGroup:LogGroup", {"retentionInDays": 31}, "retentionInDays"),
    "a record age below a minute": (
        "aws:lambda/eventSourceMapping:EventSourceMapping",
        {"maximumRecordAgeInSeconds": 604801},
        "MaximumRecordAgeInSeconds",
    ),
    "an unknown stream view": ("aws:dynamodb/table:Table", {"streamViewType": "IMAGES"}, "StreamViewType"),
}


@pytest.mark.parametrize("what", BROKEN)
def test_a_value_that_aws_refuses_is_found(what: str) -> None:
    type_, change, _ = BROKEN[what]
    right = next(each for each in resources_of("prod without a fan-out") if each.type == type_)
    wrong = replace(right, inputs={**right.inputs, **change})
    assert cloudformation.findings([right]) == {}
    assert cloudformation.findings([wrong]) or requests.findings([wrong])


def test_an_action_that_does_not_exist_is_found() -> None:
    role = next(each for each in resources_of("prod") if each.type.endswith(":RolePolicy"))
    wrong = replace(role, inputs={**role.inputs, "policy": role.inputs["policy"].replace("logs:Put", "logs:Putt")})
    (found,) = cloudformation.findings([wrong]).values()
    assert "'puttlogevents' is not one of" in found[0]


def test_an_action_on_another_services_resource_is_found() -> None:
    role = next(each for each in resources_of("prod") if each.type.endswith(":RolePolicy"))
    wrong = replace(
        role, inputs={**role.inputs, "policy": role.inputs["policy"].replace("arn:aws:logs", "arn:aws:sqs")}
    )
    (found,) = cloudformation.findings([wrong]).values()
    assert "'logs:PutLogEvents' requires a resource of" in found[-1] or "logs:" in found[-1]
