"""Exemptions: resources that a rule leaves alone, each with a reason that shows in the result."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from policies.resources import Resource

#: JSON schema of the setting. A missing reason is the rule's own violation, so the schema does not demand one.
SCHEMA: Mapping[str, Any] = {
    "type": "array",
    "default": [],
    "description": "Resources the rule leaves alone. Each names one by `urn` (a glob) or by `tag` (`key=value`), "
    "and gives the reason.",
    "items": {
        "type": "object",
        "properties": {"urn": {"type": "string"}, "tag": {"type": "string"}, "reason": {"type": "string"}},
        "additionalProperties": False,
    },
}


@dataclass(frozen=True)
class Exemption:
    """One entry of `exemptions`.

    Attributes:
        urn: Glob of URNs.
        tag: `key=value`.
        reason: Why; without one the exemption does not hold.
    """

    urn: str
    tag: str
    reason: str

    def covers(self, resource: Resource) -> bool:
        """Whether it names the resource.

        Raises:
            Awaited: It goes by a tag that is not known yet.
        """
        if self.urn and fnmatchcase(resource.urn, _literal_brackets(self.urn)):
            return True
        key, separator, value = self.tag.partition("=")
        return bool(separator) and resource.tag(key) == value


def read(config: Mapping[str, Any]) -> list[Exemption]:
    """The exemptions of a rule's configuration."""
    return [
        Exemption(*(str(entry.get(key) or "").strip() for key in ("urn", "tag", "reason")))
        for entry in config["exemptions"]
    ]


def _literal_brackets(glob: str) -> str:
    # A URN may hold brackets (children made in a loop); in a glob only * and ? have a meaning here.
    return glob.replace("[", "[[]")
