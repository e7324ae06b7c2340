"""The permissions of a role: the policies attached to it in the program, and the actions that they allow.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from pulumi_policy.proxy import UnknownValueError

from policies.aws_types import (
    POLICY,
    POLICY_ATTACHMENT,
    ROLE,
    ROLE_POLICY,
    ROLE_POLICY_ATTACHMENT,
    ROLE_POLICY_ATTACHMENTS,
)
from policies.graph import Stack
from policies.managed_policies import MANAGED_POLICIES
from policies.names import Arn
from policies.not_applicable import Awaited
from policies.resources import Block, Resource, some

#: Stands in an ARN for a part that is not known yet.
UNKNOWN = "\N{REPLACEMENT CHARACTER}"


@dataclass(frozen=True)
class Statement:
    """One statement of a policy.

    Attributes:
        source: The policy, for messages.
        effect: `Allow` or `Deny`.
        actions: Patterns of actions; all but these when `other_actions`.
        resources: Patterns of ARNs; all but these when `other_resources`.
        principals: AWS principals of a resource's own policy; `*` is everybody.
        services: Service principals of a resource's own policy.
        conditional: Whether it has a condition.
        narrowed: Whether its condition leaves some of the resources only, e.g. those with a tag.
    """

    source: str
    effect: str
    actions: tuple[str, ...]
    resources: tuple[str, ...]
    principals: tuple[str, ...] = ()
    services: tuple[str, ...] = ()
    other_actions: bool = False
    other_resources: bool = False
    conditional: bool = False
    narrowed: bool = False

    def is_about(self, action: str) -> bool:
        """Test whether an action falls under it."""
        return any(matches(pattern.lower(), action.lower()) for pattern in self.actions) != self.other_actions

    def covers(self, arn: str) -> bool:
        """Test whether a resource falls under it.

        Raises:
            Awaited: The ARN has parts that are not known yet and decide.
        """
        if self.other_resources:
            return not any(matches(pattern, arn) for pattern in self.resources)
        return some(self.resources, lambda pattern: _covers(pattern, arn))


@dataclass(frozen=True)
class Permissions:
    """The statements of a role's policies, as far as they are known.

    Attributes:
        statements: The statements.
        awaited: Policies that are not known yet.
        outside: Policies that are not in the program, and not AWS's own that are known here.
        any: Whether a policy is attached at all.
    """

    statements: tuple[Statement, ...]
    awaited: tuple[Awaited, ...]
    outside: tuple[str, ...]
    any: bool = True

    def allow(self, action: str, arn: str) -> bool:
        """Test whether a role with them may do an action on a resource.

        A condition is taken to hold, except on a denial.

        Raises:
            Awaited: That depends on a policy or a part of the ARN that is not known.
        """
        about = [statement for statement in self.statements if statement.is_about(action)]
        denials = [statement for statement in about if statement.effect == "Deny" and not statement.conditional]
        if some(denials, lambda statement: statement.covers(arn)):
            return False
        if some([each for each in about if each.effect == "Allow"], lambda statement: statement.covers(arn)):
            return True
        for awaited in self.awaited:
            raise awaited
        for policy in self.outside:
            raise Awaited(f"what {policy} allows")
        return False


def permissions(stack: Stack, role: Resource) -> Permissions:
    """Read the policies attached to a role in the program."""
    return stack.derived(_RolePolicies)(role)


def parse_document(document: Any, source: str) -> tuple[Statement, ...]:
    """Read the statements of a policy document, given as JSON text or as the object itself.

    A text that is not a document, and an element of a wrong type, have no statements.
    """
    if isinstance(document, str):
        try:
            document = json.loads(document)
        except ValueError:
            return ()
    block = _Members(document if isinstance(document, Mapping) else {})
    statements = block.get("statement", "statements")
    if isinstance(statements, Mapping):
        statements = [statements]
    if not isinstance(statements, Sequence) or isinstance(statements, str):
        return ()
    return tuple(_statement(_Members(each), source) for each in statements if isinstance(each, Mapping))


class _Members:
    """Members of a policy document, whose case differs between JSON and typed arguments."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values = {str(key).lower(): key for key in values}
        self._source = values

    def get(self, *names: str) -> Any:
        return next((self._source[self._values[name]] for name in names if name in self._values), None)

    def has(self, *names: str) -> bool:
        return any(name in self._values for name in names)

    def texts(self, *names: str) -> tuple[str, ...]:
        return _texts(self.get(*names))


def _statement(members: _Members, source: str) -> Statement:
    principal = members.get("principal", "principals")
    by_kind = _Members(principal if isinstance(principal, Mapping) else {})
    condition = members.get("condition", "conditions")
    return Statement(
        source=source,
        effect="Deny" if members.get("effect") == "Deny" else "Allow",
        actions=members.texts("action", "actions", "notaction", "notactions"),
        resources=members.texts("resource", "resources", "notresource", "notresources"),
        principals=by_kind.texts("aws") or members.texts("principal", "principals"),
        services=by_kind.texts("service"),
        other_actions=members.has("notaction", "notactions"),
        other_resources=members.has("notresource", "notresources"),
        conditional=bool(condition),
        narrowed=isinstance(condition, Mapping) and any(_narrows(*each) for each in condition.items()),
    )


#: Condition keys whose value belongs to the resource, so that a test of them leaves some resources only.
_OF_THE_RESOURCE = ("aws:resourcetag/", "s3:existingobjecttag/", "s3:bucketarn", "dynamodb:leadingkeys")


def _narrows(operator: str, tests: Any) -> bool:
    """Test whether one operator of a condition leaves only the resources with certain properties."""
    name = str(operator).lower()
    if not name.split(":")[-1].startswith(("stringequals", "stringlike", "arnequals", "arnlike")):
        return False
    if name.endswith("ifexists") or not isinstance(tests, Mapping):
        return False
    return any(
        str(key).lower().startswith(_OF_THE_RESOURCE) and set(_texts(values)) - {"*"} for key, values in tests.items()
    )


def _texts(value: Any) -> tuple[str, ...]:
    if isinstance(value, str):
        return (value,)
    return tuple(each for each in value if isinstance(each, str)) if isinstance(value, Sequence) else ()


class _RolePolicies:
    """Every policy attached to a role in the program, however it is attached."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._statements: dict[str, list[Statement]] = {}
        self._awaited: dict[str, list[Awaited]] = {}
        self._outside: dict[str, list[str]] = {}
        self._anywhere: list[Awaited] = []
        self._attached: set[str] = set()
        for inline in stack.of_type(ROLE_POLICY):
            for role in self._roles(inline, "role"):
                self._add_document(role, inline, inline.props)
        for attachment in stack.of_type(ROLE_POLICY_ATTACHMENT):
            for role in self._roles(attachment, "role"):
                self._attach(role, attachment, "policyArn")
        for attachment in stack.of_type(POLICY_ATTACHMENT):
            for role in self._many(attachment, "roles", ROLE):
                if isinstance(role, Resource):
                    self._attach(role, attachment, "policyArn")
        for attachment in stack.of_type(ROLE_POLICY_ATTACHMENTS):
            for role in self._roles(attachment, "roleName"):
                self._attach_all(role, attachment, "policyArns")
        for role in stack.of_type(ROLE):
            self._attach_all(role, role, "managedPolicyArns")
            try:
                for inline in role.props.blocks("inlinePolicies"):
                    self._add_document(role, role, inline)
            except Awaited as awaited:
                self._await(role, awaited)

    def __call__(self, role: Resource) -> Permissions:
        return Permissions(
            tuple(self._statements.get(role.urn, ())),
            (*self._awaited.get(role.urn, ()), *self._anywhere),
            tuple(self._outside.get(role.urn, ())),
            role.urn in self._attached,
        )

    def _roles(self, resource: Resource, path: str) -> Iterator[Resource]:
        try:
            role = self._stack.follow(resource, path, ROLE)
        except Awaited as awaited:
            self._anywhere.append(awaited)
            return
        if isinstance(role, Resource):
            yield role

    def _many(self, resource: Resource, property_: str, type_: str) -> Iterator[Resource | str | Awaited]:
        """Yield the members of a list of references: resources, texts that name none of the program, unknown ones."""
        found: list[Resource] = []
        texts: list[str] = []
        awaited: list[Awaited] = []
        try:
            items = resource.props.items(property_)
        except Awaited as unknown:
            items, awaited = [], [unknown]
        for item in items:
            try:
                text = item()
            except Awaited as unknown:
                awaited.append(unknown)
                continue
            if isinstance(text, str):
                named = self._stack.find(type_, text, by=resource)
                if named is None:
                    texts.append(text)
                else:
                    found.append(named)
        # Dependencies stand in for unknown items first, then for names that match no known resource.
        linked = [link for link in self._stack.linked(resource, property_, type_) if link not in found]
        yield from (*found, *linked)
        yield from awaited[len(linked) :]
        yield from texts[max(len(linked) - len(awaited), 0) :]

    def _attach(self, role: Resource, by: Resource, path: str) -> None:
        try:
            self._attach_one(role, self._stack.follow(by, path, POLICY))
        except Awaited as awaited:
            self._await(role, awaited)

    def _attach_all(self, role: Resource, by: Resource, property_: str) -> None:
        for policy in self._many(by, property_, POLICY):
            self._attach_one(role, policy)

    def _attach_one(self, role: Resource, policy: Resource | str | Awaited | None) -> None:
        self._attached.add(role.urn)
        match policy:
            case Resource():
                self._add_document(role, policy, policy.props)
            case Awaited():
                self._await(role, policy)
            case str():
                arn = Arn.parse(policy)
                name = policy.rsplit("/", 1)[-1]
                if arn is not None and arn.place == ":aws" and name in MANAGED_POLICIES:
                    statements = parse_document(MANAGED_POLICIES[name], managed(name))
                    self._statements.setdefault(role.urn, []).extend(statements)
                else:
                    self._outside.setdefault(role.urn, []).append(name)
            case None:
                pass

    def _add_document(self, role: Resource, policy: Resource, holder: Block) -> None:
        self._attached.add(role.urn)
        try:
            statements = document(holder, policy.name)
        except Awaited as awaited:
            self._await(role, awaited)
        else:
            self._statements.setdefault(role.urn, []).extend(statements)

    def _await(self, role: Resource, awaited: Awaited) -> None:
        self._awaited.setdefault(role.urn, []).append(awaited)


def managed(name: str) -> str:
    """Name the source of statements of AWS's own policies."""
    return f"AWS's {name}"


def document(holder: Block, source: str) -> tuple[Statement, ...]:
    """Read the statements in a block's `policy`.

    Raises:
        Awaited: It is not known yet, or a part of it is not.
    """
    try:
        return parse_document(holder.raw("policy"), source)
    except UnknownValueError:
        raise Awaited(f"{holder.path}.policy") from None


@cache
def _pattern(glob: str) -> re.Pattern[str]:
    parts = ("." if each == "?" else ".*" if each == "*" else re.escape(each) for each in re.split(r"([*?])", glob))
    return re.compile("".join(parts), re.DOTALL)


def matches(glob: str, text: str) -> bool:
    """Test whether IAM's pattern, with `*` and `?`, covers a text."""
    return _pattern(glob).fullmatch(text) is not None


#: Services whose ARNs have a kind before the name: table/users, stream/clicks.
_WITH_KINDS = ("dynamodb", "kinesis")


def is_everything(resource: str, service: str) -> bool:
    """Test whether a pattern covers any name of a resource of the service."""
    arn = Arn.parse(resource)
    if arn is None:
        return matches(resource, f"arn:aws:{service}:us-east-1:111122223333:\0")
    if arn.service not in (service, "*"):
        return False
    name = arn.resource
    if service in _WITH_KINDS:
        kind, separator, rest = name.partition("/")
        if not separator or "*" in kind:
            return "*" in kind
        name = rest
    return set(name.split("/")[0]) <= {"*", "?"} and "*" in name


def _covers(glob: str, arn: str) -> bool:
    if matches(glob, arn):
        return True
    if UNKNOWN in arn and _may_match(glob, arn):
        raise Awaited(f"the ARN of what {arn.split(':')[2]} policies name")
    return False


@cache
def _may_match(glob: str, arn: str) -> bool:
    """Test whether a pattern matches an ARN for some value of its unknown parts."""
    if not glob or not arn:
        return set(glob) <= {"*"} and set(arn) <= {UNKNOWN}
    if glob[0] == "*" or arn[0] == UNKNOWN:
        # An unknown part of an ARN ends at the next colon.
        stays = glob[0] != ":" and _may_match(glob[1:], arn)
        return stays or _may_match(glob, arn[1:])
    return glob[0] in ("?", arn[0]) and _may_match(glob[1:], arn[1:])
