"""From rules to the SDK's policies: levels, configuration, exemptions, and what happens when a rule itself fails."""

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
from policies.not_applicable import NotApplicable
from policies.resources import Resource
from policies.rule import AnyRule, Rule, StackRule, Violation

NAME = "weir"
DESCRIPTION = "What a program with DynamoDB or Kinesis streams must satisfy so that no change is lost silently."


def policies(rules: Iterable[AnyRule]) -> list[Policy]:
    """One policy of the SDK for each rule."""
    return [_policy(rule) for rule in rules]


def _policy(rule: AnyRule) -> Policy:
    described: dict[str, Any] = {
        "name": rule.id,
        "description": rule.title,
        # A level stands here and nowhere else: one in `initial_config` without a level would make the rule advisory.
        "enforcement_level": EnforcementLevel(rule.level),
        "config_schema": PolicyConfigSchema(configuration.schema_of(rule)),
        "severity": Severity(rule.severity),
        "remediation_steps": rule.remediation,
        "url": rule.docs,
        "tags": ["streams"],
    }
    match rule:
        case Rule():
            return ResourceValidationPolicy(validate=partial(_validate_resource, rule), **described)
        case StackRule():
            return StackValidationPolicy(validate=partial(_validate_stack, rule), **described)


def _validate_resource(rule: Rule, args: ResourceValidationArgs, report: ReportViolation) -> None:
    if args.resource_type not in rule.resources:
        return
    config = configuration.complete(rule, args.get_config())
    resource = Resource.of(args.resource_type, args.urn, args.name, args.props)
    session = _Session(rule, config)
    session.judge(resource, lambda: rule.check(resource, config))
    session.close(lambda message, _: report(message, None), args.not_applicable)


def _validate_stack(rule: StackRule, args: StackValidationArgs, report: ReportViolation) -> None:
    config = configuration.complete(rule, args.get_config())
    stack = Stack(args.resources)
    session = _Session(rule, config)
    for resource in stack.of_type(*rule.resources):
        session.judge(resource, partial(rule.check, resource, stack, config))
    session.close(report, args.not_applicable)


class _Session:
    """One run of a rule: what it found, and why it could not say anything about the rest."""

    def __init__(self, rule: AnyRule, config: Mapping[str, Any]) -> None:
        self._rule = rule
        self._misconfigured = list(configuration.problems(rule, config))
        self._exemptions = [] if self._misconfigured else exemptions.read(config)
        self._found: dict[tuple[str, str], None] = {}
        self._silent: list[str] = []

    def judge(self, resource: Resource, answer: Callable[[], Iterable[Violation]]) -> None:
        """Ask the rule about a resource, and keep what it says."""
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
        except NotApplicable as silent:
            self._silent.append(silent.reason)
        except Exception as error:  # noqa: BLE001 - an exception that leaves a policy ends the whole run
            self._fail(resource, error)

    def close(self, report: ReportViolation, not_applicable: Callable[[str], None]) -> None:
        """Hand the result to the SDK: violations, or why there is nothing to say."""
        for urn, message in self._found:
            report(message, urn)
        if self._silent and not self._found:
            not_applicable("; ".join(dict.fromkeys(self._silent)))

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
                lost="until it is mended the rule judges nothing, so that what it guards against would go unseen",
                fix="mend it in the file that --policy-pack-config names",
            ),
            resource,
        )

    def _check_reasons(self, resource: Resource) -> None:
        for exemption in self._exemptions:
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
