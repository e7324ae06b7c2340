"""`Stack`: the resources of a program and how they refer to each other.

A reference is followed by its value: an ARN, a URL, a name, an id. Before the first deployment the value is not known;
then the recorded dependencies of the property lead to the resource, so that a preview finds the same one.
A name stands for a resource of the same region as the resource that uses it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

from pulumi_policy import PolicyProviderResource, PolicyResource

from policies.names import NAMING, Arn, physical_name
from policies.not_applicable import Awaited
from policies.regions import GLOBAL, Region, apart, region_of
from policies.resources import Block, Provider, Resource

T = TypeVar("T")

#: How the engine names the providers that it makes itself: `default_7_51_1`.
_DEFAULT_PROVIDER = re.compile(r"default(_.*)?")


class Stack:
    """The resources of a program.

    Args:
        resources: The resources of a stack policy's arguments. Nothing is read before a rule asks for it.
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
        """Return the resources of these types."""
        return [self._resource(found) for type_ in types for found in self._by_type.get(type_, ())]

    def all(self) -> Iterator[Resource]:
        """Yield every resource of the program."""
        return (self._resource(found) for found in self._by_urn.values())

    def derived(self, build: Callable[[Stack], T]) -> T:
        """Return the result of `build` for the stack, computed once."""
        if build not in self._derived:
            self._derived[build] = build(self)
        return self._derived[build]

    def linked(self, resource: Resource, property_: str, *types: str) -> list[Resource]:
        """Return the resources of these types that a property was computed from."""
        found = (self._by_urn.get(urn) for urn in resource.links.get(property_, ()))
        return [self._resource(link) for link in found if link is not None and link.resource_type in types]

    def find(self, type_: str, text: str, *, by: Resource | None = None) -> Resource | None:
        """Find the resource of a type that an ARN, a URL, an id or a name stands for.

        Args:
            type_: The type.
            text: The ARN, URL, id or name.
            by: The resource that uses it, and is in its region.

        Returns:
            The resource; `None` when the program has none.
        """
        name, arn = physical_name(type_, text), Arn.parse(text)
        found = self._names(type_).get(name, []) if name else []
        return next((each for each in found if _is_there(each, arn, by)), None)

    def follow(self, resource: Resource, path: str, *types: str) -> Resource | str | None:
        """Follow a property to the resource that it refers to.

        Args:
            resource: The resource whose property it is.
            path: The property, dotted: `destinationConfig.onFailure.destinationArn`.
            types: Types of resources it may name, the most specific first.

        Returns:
            The resource; the text when it names nothing in this program; `None` when it is not set.

        Raises:
            Awaited: It is not known yet, and its dependencies do not decide either.
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
            named = self.find(type_, text, by=resource)
            if named is not None:
                return named
        # The resource it names may have no known name yet; then the property's dependencies decide.
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
            self._read[found.urn] = Resource.of(
                found.resource_type, found.urn, found.name, found.props, links, _provider(found.provider)
            )
        return self._read[found.urn]


def name_of(resource: Resource) -> str | None:
    """Read the physical name of a resource; `None` while it is not known."""
    for key in (*NAMING.get(resource.type, ("name",)), "arn"):
        text = known_text(resource, key)
        name = physical_name(resource.type, text) if text else None
        if name:
            return name
    return None


def name_to_come(resource: Resource) -> str:
    """Tell how the name of a resource without one will begin: Pulumi's own names are `<name>-<seven digits>`.

    The empty text when the program computes the name from values not known yet.
    """
    naming = NAMING.get(resource.type, ("name",))
    return "" if any(resource.links.get(key) for key in naming) else f"{resource.name}-"


def known_text(resource: Resource, key: str) -> str | None:
    """Read a text property; `None` also while it is not known."""
    try:
        return resource.props.text(key)
    except Awaited:
        return None


def _is_there(resource: Resource, arn: Arn | None, by: Resource | None) -> bool:
    """Test whether a resource of the right name is also in the right region and account."""
    if arn is None:
        return by is None or resource.type in GLOBAL or not apart(region_of(resource), region_of(by))
    own = Arn.parse(known_text(resource, "arn"))
    if own is not None:
        return own.place == arn.place
    return not apart(region_of(resource), Region(arn.region, chosen=False))


def _provider(provider: PolicyProviderResource | None) -> Provider | None:
    if provider is None:
        return None
    return Provider(Block(provider.props, provider.name), explicit=_DEFAULT_PROVIDER.fullmatch(provider.name) is None)
