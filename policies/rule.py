"""`Rule` and `StackRule`: the parts of a rule. One rule is one file in `policies/rules`, found by listing it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from policies.graph import Stack
from policies.not_applicable import Awaited
from policies.resources import Resource

Level: TypeAlias = Literal["advisory", "mandatory"]
Config: TypeAlias = Mapping[str, Any]

#: Where the generated pages of the rules are.
DOCS = "docs/policies"


@dataclass(frozen=True, kw_only=True)
class Violation:
    """One breach of a rule, in the words of the person who has to fix it.

    Attributes:
        what: The fault. It quotes numbers, settings and filters, never other property values: those may be secret.
        lost: The loss it leads to, and when.
        fix: The remedy; the rule's own remediation when not given.
        about: The resource to report, when it is not the one that the rule looked at.
    """

    what: str
    lost: str
    fix: str | None = None
    about: Resource | None = None


#: Yields the violations of one resource, none when it complies, and raises `NotApplicable` when it has no verdict.
Check: TypeAlias = Callable[[Resource, Config], Iterable[Violation]]
StackCheck: TypeAlias = Callable[[Resource, Stack, Config], Iterable[Violation]]


@dataclass(frozen=True, kw_only=True)
class Parameter:
    """A setting of a rule, given by `pulumi preview --policy-pack-config`.

    Attributes:
        default: The value when the configuration does not name it.
        schema: JSON schema of its values.
        description: Its meaning, with its unit.
    """

    default: Any
    schema: Mapping[str, Any]
    description: str


@dataclass(frozen=True, kw_only=True)
class _Described:
    """The description of a rule.

    Attributes:
        id: Its public name; with hyphens as underscores, the name of its file.
        level: The effect of a violation unless the configuration says otherwise: mandatory stops the deployment.
        severity: The damage when it happens.
        title: The demand, as a sentence with "must", or with "should" when it is advice.
        why: The consequences otherwise.
        remediation: The remedy, with property names as the state has them and as Python spells them.
        resources: Type tokens of the resources it looks at.
        parameters: Its settings, by name.
        limits: The cases it cannot see, or reports only once everything is deployed.
        good, bad: Resources that comply and that do not, as the `resources` of a Pulumi YAML program.
    """

    id: str
    level: Level
    severity: Literal["low", "medium", "high", "critical"]
    title: str
    why: str
    remediation: str
    resources: tuple[str, ...]
    parameters: Mapping[str, Parameter] = field(default_factory=dict[str, Parameter])
    limits: str = ""
    good: tuple[str, ...]
    bad: tuple[str, ...]

    @property
    def docs(self) -> str:
        """The address of its page, from the root of the clone or of the gathered pack."""
        return f"{DOCS}/{self.id}.md"

    def message(self, violation: Violation, subject: Resource) -> str:
        """Write a violation in four parts: the fault, the resource, the loss with its time, and the fix."""
        about = violation.about or subject
        return (
            f"{violation.what}\n"
            f"  resource: {about.name} ({about.type})\n"
            f"  what would be lost: {violation.lost}\n"
            f"  fix: {violation.fix or self.remediation} ({self.docs})"
        )


@dataclass(frozen=True, kw_only=True)
class Rule(_Described):
    """A rule that one resource's own properties decide, checked before the resource is created."""

    check: Check


@dataclass(frozen=True, kw_only=True)
class StackRule(_Described):
    """A rule that needs other resources too, checked when all of them are known: in the preview, and after `up`."""

    check: StackCheck


AnyRule: TypeAlias = Rule | StackRule


def each(*answers: Callable[[], Iterable[Violation]]) -> Iterable[Violation]:
    """Combine several questions about one resource: each is answered, even when another awaits a value.

    Raises:
        Awaited: A question awaits a value; raised after the violations of the others.
    """
    awaited: Awaited | None = None
    for answer in answers:
        try:
            yield from answer()
        except Awaited as unknown:
            awaited = awaited or unknown
    if awaited is not None:
        raise awaited
