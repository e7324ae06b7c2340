"""The policies of the SDK that rules become: levels, configuration, exemptions, and rules that fail themselves."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

from pulumi_policy import (
    EnforcementLevel,
    Policy,
    PolicyConfigSchema,
    ReportViolation,
    ResourceValidationArgs,
    ResourceValidationPolicy,
    Severity,
    StackValidationArgs,
    StackValidationPolicy,
)

from policies import configuration, exemptions
from policies.graph import Stack
from policies.not_applicable import Awaited, NotApplicable
from policies.resources import Resource
from policies.rule import DOCS, AnyRule, Rule, StackRule, Violation

NAME = "weir"
#: The policies that take exemptions for many rules, and that check all exemptions at the end.
EXEMPTIONS, EXEMPTIONS_CHECK = "exemptions", "exemptions-check"
DESCRIPTION = "Demands on programs with DynamoDB or Kinesis streams, so that no change is lost silently."


def policies(rules: Iterable[AnyRule]) -> list[Policy]:
    """Make one policy of the SDK for each rule, and the two that look after exemptions."""
    every = list(rules)
    shared = exemptions.Shared([rule.id for rule in every])
    # Asked about each resource before the rules are, so that they know the shared exemptions.
    first = ResourceValidationPolicy(
        EXEMPTIONS,
        "Exemptions for many rules are taken from here",
        partial(_take_exemptions, shared),
        enforcement_level=EnforcementLevel.ADVISORY,
        config_schema=PolicyConfigSchema({"exemptions": dict(exemptions.SHARED_SCHEMA)}),
        url=f"{DOCS}/README.md",
    )
    last = StackValidationPolicy(
        EXEMPTIONS_CHECK,
        "Exemptions must name rules and resources that there are",
        partial(_check_exemptions, shared),
        enforcement_level=EnforcementLevel.ADVISORY,
        url=f"{DOCS}/README.md",
    )
    return [first, *(_policy(rule, shared) for rule in every), last]


def _take_exemptions(shared: exemptions.Shared, args: ResourceValidationArgs, _: ReportViolation) -> None:
    shared.configure(args.get_config().get("exemptions", ()))


def _check_exemptions(shared: exemptions.Shared, args: StackValidationArgs, report: ReportViolation) -> None:
    for finding in shared.findings(Stack(args.resources).all()):
        report(
            f"{finding}\n"
            "  what would be lost: a risk that was accepted is reported again, or one that nobody takes any more stays "
            "accepted\n"
            f"  fix: correct or remove the exemption in the policy pack's configuration ({DOCS}/README.md)",
            None,
        )


def _policy(rule: AnyRule, shared: exemptions.Shared) -> Policy:
    described: dict[str, Any] = {
        "name": rule.id,
        "description": rule.title,
        # The level is set here and nowhere else: one in `initial_config` without a level would make the rule advisory.
        "enforcement_level": EnforcementLevel(rule.level),
        "config_schema": PolicyConfigSchema(configuration.schema_of(rule)),
        "severity": Severity(rule.severity),
        "remediation_steps": rule.remediation,
        "url": rule.docs,
        "tags": ["streams"],
    }
    match rule:
        case Rule():
            return ResourceValidationPolicy(validate=partial(_validate_resource, rule, shared), **described)
        case StackRule():
            return StackValidationPolicy(validate=partial(_validate_stack, rule, shared), **described)


def _validate_resource(
    rule: Rule, shared: exemptions.Shared, args: ResourceValidationArgs, report: ReportViolation
) -> None:
    if args.resource_type not in rule.resources:
        return
    config = configuration.complete(rule, args.get_config())
    resource = Resource.of(args.resource_type, args.urn, args.name, args.props)
    session = _Session(rule, config, shared)
    session.judge(resource, lambda: rule.check(resource, config))
    session.close(lambda message, _: report(message, None), args.not_applicable)


def _validate_stack(
    rule: StackRule, shared: exemptions.Shared, args: StackValidationArgs, report: ReportViolation
) -> None:
    config = configuration.complete(rule, args.get_config())
    stack = Stack(args.resources)
    session = _Session(rule, config, shared)
    for resource in stack.of_type(*rule.resources):
        session.judge(resource, partial(rule.check, resource, stack, config))
    session.close(report, args.not_applicable)


class _Session:
    """One run of a rule: its findings, and the reasons why it has no verdict about the rest."""

    def __init__(self, rule: AnyRule, config: Mapping[str, Any], shared: exemptions.Shared) -> None:
        self._rule = rule
        self._misconfigured = list(configuration.problems(rule, config))
        self._own = [] if self._misconfigured else exemptions.read(config["exemptions"])
        self._exemptions = [*self._own, *shared.of(rule.id)]
        shared.remember(rule.id, self._own)
        self._found: dict[tuple[str, str], None] = {}
        self._silent: list[str] = []
        self._awaited: list[str] = []

    def judge(self, resource: Resource, answer: Callable[[], Iterable[Violation]]) -> None:
        """Ask the rule about a resource, and keep its answer."""
        if self._misconfigured:
            self._refuse_configuration(resource)
            return
        self._check_reasons(resource)
        try:
            for violation in answer():
                reason = self._exempt(resource, violation.about or resource)
                if reason is None:
                    self._report(violation, resource)
                else:
                    self._silent.append(f"{resource.name} is exempt: {reason}")
        except Awaited as awaited:
            self._awaited.append(awaited.reason)
        except NotApplicable as silent:
            self._silent.append(silent.reason)
        except Exception as error:  # noqa: BLE001 - an exception that leaves a policy ends the whole run
            self._fail(resource, error)

    def close(self, report: ReportViolation, not_applicable: Callable[[str], None]) -> None:
        """Hand the result to the SDK: violations, and the reasons why there is no verdict.

        Beside violations only the values that are awaited are named: those may turn into further ones.
        """
        for urn, message in self._found:
            report(message, urn)
        reasons = self._awaited if self._found else [*self._silent, *self._awaited]
        if reasons:
            not_applicable("; ".join(dict.fromkeys(reasons)))

    def _report(self, violation: Violation, subject: Resource) -> None:
        self._found[(violation.about or subject).urn, self._rule.message(violation, subject)] = None

    def _exempt(self, *resources: Resource) -> str | None:
        for exemption in self._exemptions:
            if exemption.reason and any(exemption.covers(resource) for resource in resources):
                return exemption.reason
        return None

    def _refuse_configuration(self, resource: Resource) -> None:
        self._report(
            Violation(
                what=f"the configuration of {self._rule.id} is wrong: {'; '.join(self._misconfigured)}",
                lost="until it is fixed the rule checks nothing, and what it guards against goes unseen",
                fix="fix it in the file that --policy-pack-config names",
            ),
            resource,
        )

    def _check_reasons(self, resource: Resource) -> None:
        for exemption in self._own:
            try:
                unexplained = not exemption.reason and exemption.covers(resource)
            except NotApplicable:
                continue
            if unexplained:
                self._report(
                    Violation(
                        what=f"an exemption from {self._rule.id} has no reason",
                        lost="nobody can tell later whether the risk was accepted or the rule was silenced; "
                        "until then the exemption does not hold",
                        fix="add the reason to the exemption in the policy pack's configuration, or remove it",
                    ),
                    resource,
                )

    def _fail(self, resource: Resource, error: Exception) -> None:
        # The error's own text may quote a property, and properties may be secret.
        where = traceback.extract_tb(error.__traceback__)[-1]
        reason = (
            f"the rule {self._rule.id} failed on {resource.name}: {type(error).__name__} at {where.name}:{where.lineno}"
        )
        # Not applicable is hard to see, and a guard that fails must be seen: the engine shows a pack's standard error.
        print(f"{reason}; the other rules ran", file=sys.stderr)  # noqa: T201 - see above
        self._silent.append(reason)
