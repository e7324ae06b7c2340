"""`Stack`: the resources of a program and how they refer to each other.

A reference is followed by what it says: an ARN, a URL, a name, an id. Before the first deployment it says nothing yet;
then the recorded dependencies of the property lead to the resource, so that a preview finds what `up` will find.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from pulumi_policy import PolicyResource

from policies.names import NAMING, Arn, physical_name
from policies.not_applicable import Awaited
from policies.resources import Resource

T = TypeVar("T")


class Stack:
    """The resources of a program.

    Args:
        resources: What the SDK hands to a stack policy. Nothing is read before a rule asks for it.
    """

    def __init__(self, resources: Iterable[PolicyResource]) -> None:
        self._by_type: dict[str, list[PolicyResource]] = {}
        self._by_urn: dict[str, PolicyResource] = {}
        for resource in resources:
            self._by_type.setdefault(resource.resource_type, []).append(resource)
            self._by_urn[resource.urn] = resource
        self._read: dict[str, Resource] = {}
        self._named: dict[str, dict[str, list[Resource]]] = {}
        self._derived: dict[Any, Any] = {}

    def of_type(self, *types: str) -> list[Resource]:
        """The resources of these types."""
        return [self._resource(found) for type_ in types for found in self._by_type.get(type_, ())]

    def derived(self, build: Callable[[Stack], T]) -> T:
        """What `build` makes of the stack, made once."""
        if build not in self._derived:
            self._derived[build] = build(self)
        return self._derived[build]

    def linked(self, resource: Resource, property_: str, *types: str) -> list[Resource]:
        """The resources of these types that a property was computed from."""
        found = (self._by_urn.get(urn) for urn in resource.links.get(property_, ()))
        return [self._resource(link) for link in found if link is not None and link.resource_type in types]

    def find(self, type_: str, text: str) -> Resource | None:
        """The resource of a type that an ARN, a URL, an id or a name stands for; `None` when the program has none."""
        name, arn = physical_name(type_, text), Arn.parse(text)
        found = self._names(type_).get(name, []) if name else []
        return next((resource for resource in found if arn is None or _same_place(resource, arn)), None)

    def follow(self, resource: Resource, path: str, *types: str) -> Resource | str | None:
        """What a property refers to.

        Args:
            resource: The resource whose property it is.
            path: The property, dotted: `destinationConfig.onFailure.destinationArn`.
            types: Types of resources it may name, the most specific first.

        Returns:
            The resource; the text when it names nothing in this program; `None` when it is not set.

        Raises:
            Awaited: It is not known yet, and what it was computed from does not tell either.
        """
        property_ = path.partition(".")[0]
        try:
            block, key = resource.props.at(path)
            text = block.text(key)
        except Awaited:
            for type_ in types:
                found = self.linked(resource, property_, type_)
                if len(found) == 1:
                    return found[0]
                if found:
                    break
            raise
        if text is None:
            return None
        for type_ in types:
            named = self.find(type_, text)
            if named is not None:
                return named
        # It may name a resource that does not tell its own name: what it was computed from decides.
        nameless = [link for link in self.linked(resource, property_, *types) if name_of(link) is None]
        return nameless[0] if len(nameless) == 1 else text

    def _names(self, type_: str) -> dict[str, list[Resource]]:
        if type_ not in self._named:
            named: dict[str, list[Resource]] = {}
            for resource in self.of_type(type_):
                name = name_of(resource)
                if name is not None:
                    named.setdefault(name, []).append(resource)
            self._named[type_] = named
        return self._named[type_]

    def _resource(self, found: PolicyResource) -> Resource:
        if found.urn not in self._read:
            links = {key: [link.urn for link in value] for key, value in found.property_dependencies.items()}
            self._read[found.urn] = Resource.of(found.resource_type, found.urn, found.name, found.props, links)
        return self._read[found.urn]


def name_of(resource: Resource) -> str | None:
    """The physical name of a resource; `None` while it is not known."""
    for key in (*NAMING.get(resource.type, ("name",)), "arn"):
        text = known_text(resource, key)
        name = physical_name(resource.type, text) if text else None
        if name:
            return name
    return None


def name_to_come(resource: Resource) -> str:
    """How the name of a resource that has none yet will begin: Pulumi's own names are `<name>-<seven digits>`.

    Empty when the program computes the name from what is not known yet.
    """
    naming = NAMING.get(resource.type, ("name",))
    return "" if any(resource.links.get(key) for key in naming) else f"{resource.name}-"


def known_text(resource: Resource, key: str) -> str | None:
    """A text property; `None` also while it is not known."""
    try:
        return resource.props.text(key)
    except Awaited:
        return None


def _same_place(resource: Resource, arn: Arn) -> bool:
    own = Arn.parse(known_text(resource, "arn"))
    return own is None or own.place == arn.place
