"""Exemptions: resources that a rule leaves alone, each with a reason that shows in the result.

A rule takes its own, and the policy `exemptions` takes those that hold for many rules.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from fnmatch import fnmatchcase
from typing import Any

from policies.not_applicable import Awaited
from policies.resources import Resource

_MEMBERS: Mapping[str, Any] = {"urn": {"type": "string"}, "tag": {"type": "string"}, "reason": {"type": "string"}}

#: JSON schema of a rule's setting. A missing reason is the rule's own violation, so the schema does not demand one.
SCHEMA: Mapping[str, Any] = {
    "type": "array",
    "default": [],
    "description": "Resources the rule leaves alone. Each names one by `urn` (a glob) or by `tag` (`key=value`), "
    "and gives the reason.",
    "items": {"type": "object", "properties": _MEMBERS, "additionalProperties": False},
}

#: JSON schema of the setting of the policy `exemptions`.
SHARED_SCHEMA: Mapping[str, Any] = {
    "type": "array",
    "default": [],
    "description": "Resources that rules leave alone. Each names its `rules` (ids, or * for all), a resource by `urn` "
    "(a glob) or by `tag` (`key=value`), and gives the reason.",
    "items": {
        "type": "object",
        "properties": {
            **_MEMBERS,
            "rules": {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]},
        },
        "additionalProperties": False,
    },
}

#: Stands for every rule.
ALL_RULES = "*"


@dataclass(frozen=True)
class Exemption:
    """One entry of `exemptions`.

    Attributes:
        urn: Glob of URNs.
        tag: `key=value`.
        reason: The reason; without one the exemption does not hold.
        rules: The ids of the rules it is for, or `*`; of no meaning in a rule's own setting.
    """

    urn: str
    tag: str
    reason: str
    rules: tuple[str, ...] = (ALL_RULES,)

    def covers(self, resource: Resource) -> bool:
        """Test whether it names the resource.

        Raises:
            Awaited: It goes by a tag that is not known yet.
        """
        if self.urn and fnmatchcase(resource.urn, _literal_brackets(self.urn)):
            return True
        key, separator, value = self.tag.partition("=")
        return bool(separator) and resource.tag(key) == value

    def is_for(self, rule: str) -> bool:
        """Test whether it is for a rule."""
        return rule in self.rules or ALL_RULES in self.rules

    def __str__(self) -> str:
        return f"the exemption of {self.urn or self.tag or 'nothing'}"


def read(entries: Iterable[Mapping[str, Any]]) -> list[Exemption]:
    """Read the entries of a setting."""
    return [
        Exemption(
            *(str(entry.get(key) or "").strip() for key in ("urn", "tag", "reason")),
            rules=_texts(entry.get("rules", ALL_RULES)),
        )
        for entry in entries
    ]


def problems(exemption: Exemption) -> Iterator[str]:
    """Tell what keeps an entry from naming a resource."""
    if not exemption.urn and not exemption.tag:
        yield "an exemption names no resource: give it a urn or a tag"
    if exemption.urn and not exemption.urn.startswith("urn:") and not set("*?") & set(exemption.urn):
        yield f"the urn {exemption.urn!r} is a bare name: write *::{exemption.urn}, or the whole URN"
    if exemption.tag and "=" not in exemption.tag:
        yield f"the tag {exemption.tag!r} has no value: write key=value"


class Shared:
    """The exemptions that hold for many rules, and every entry that was given anywhere.

    The engine hands each policy its own settings only, so this object carries them from one to the others: the
    policy `exemptions` is asked first about every resource.

    Args:
        rules: The ids of the rules that there are.
    """

    def __init__(self, rules: Collection[str]) -> None:
        self._rules = rules
        self._shared: list[Exemption] = []
        self._own: dict[str, list[Exemption]] = {}

    def configure(self, entries: Iterable[Mapping[str, Any]]) -> None:
        """Take the entries of the policy `exemptions`."""
        self._shared = read(entries)

    def remember(self, rule: str, own: list[Exemption]) -> None:
        """Keep a rule's own entries for the check of the stack."""
        self._own[rule] = own

    def of(self, rule: str) -> list[Exemption]:
        """Return the shared entries that hold for a rule; faulty ones do not."""
        return [each for each in self._shared if each.is_for(rule) and not any(self._faults(each))]

    def findings(self, resources: Iterable[Resource]) -> Iterator[str]:
        """Tell the faulty entries, and those that match no resource of the program."""
        every = list(resources)
        for exemption in self._shared:
            faults = [*self._faults(exemption)]
            yield from faults
            if not faults and not _matches_any(exemption, every):
                yield f"{exemption} matches no resource"
        for rule, own in self._own.items():
            for exemption in own:
                if not any(problems(exemption)) and not _matches_any(exemption, every):
                    yield f"{exemption} from {rule} matches no resource"

    def _faults(self, exemption: Exemption) -> Iterator[str]:
        yield from problems(exemption)
        if not exemption.rules:
            yield f"{exemption} names no rules: give their ids, or *"
        for rule in exemption.rules:
            if rule != ALL_RULES and rule not in self._rules:
                near = get_close_matches(rule, self._rules, n=1)
                yield f"{exemption} names the rule {rule!r}, which there is not" + (
                    f": did you mean {near[0]}?" if near else ""
                )
        if not exemption.reason:
            yield f"{exemption} has no reason, so it does not hold"


def _matches_any(exemption: Exemption, resources: Iterable[Resource]) -> bool:
    for resource in resources:
        try:
            if exemption.covers(resource):
                return True
        except Awaited:
            return True
    return False


def _texts(value: Any) -> tuple[str, ...]:
    if isinstance(value, str):
        return (value,)
    return tuple(each for each in value if isinstance(each, str)) if isinstance(value, list) else ()


def _literal_brackets(glob: str) -> str:
    # A URN may hold brackets (children made in a loop); in a glob only * and ? have a meaning here.
    return glob.replace("[", "[[]")
