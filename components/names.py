"""Checks physical names before anything is made: what AWS takes, with what Pulumi adds."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

import pulumi

from components.refusal import Refused


@dataclass(frozen=True)
class NameRule:
    """A service's rule for names.

    Attributes:
        what: The kind of resource, for messages.
        longest: Characters it takes.
        allowed: Pattern of a whole name.
        words: The pattern in words.
    """

    what: str
    longest: int
    allowed: str
    words: str


#: https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
BUCKET = NameRule("bucket", 63, r"[a-z0-9][a-z0-9.-]*[a-z0-9]", "lower-case letters, digits and hyphens")
#: A function and its role have one name; https://docs.aws.amazon.com/lambda/latest/api/API_CreateFunction.html,
#: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
FUNCTION = NameRule("function", 64, r"[A-Za-z0-9_-]+", "letters, digits, hyphens and underscores")
#: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-quotas.html
QUEUE = NameRule("queue", 80, r"[A-Za-z0-9_-]+", "letters, digits, hyphens and underscores")
#: Of 80 characters, five are `.fifo`.
FIFO_QUEUE = NameRule("FIFO queue", 75, r"[A-Za-z0-9_-]+", "letters, digits, hyphens and underscores")

#: https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html
STATE_MACHINE = NameRule("state machine", 80, r"[A-Za-z0-9_-]+", "letters, digits, hyphens and underscores")


def check_name(name: str, rule: NameRule, *, of: str | None = None) -> None:
    """Refuse a name that AWS would refuse once Pulumi has made a physical name of it.

    Args:
        name: Name of the resource in the program.
        rule: The service's rule.
        of: Name that the user gave, where the resource's is made of it.

    Raises:
        Refused: The name is too long, or holds a character that AWS does not take.
    """
    physical = _physical(name)
    shorten = of or name
    if len(physical) > rule.longest:
        raise Refused(
            f"{shorten}: its {rule.what} would be called {physical} in the stack {pulumi.get_stack()}, which has "
            f"{len(physical)} characters, and AWS takes {rule.longest}: shorten the name by "
            f"{len(physical) - rule.longest}"
        )
    if not re.fullmatch(rule.allowed, physical):
        raise Refused(
            f"{shorten}: its {rule.what} would be called {physical} in the stack {pulumi.get_stack()}, and AWS takes "
            f"only {rule.words}: change the name"
        )


def _physical(name: str) -> str:
    """Return the name that Pulumi generates: with seven hexadecimal digits, or by the stack's pulumi:autonaming.

    https://www.pulumi.com/docs/iac/concepts/resources/names/#autonaming-configuration
    """
    settings: Any = json.loads(pulumi.Config("pulumi").get("autonaming") or "{}")
    if settings.get("mode") == "verbatim":
        return name
    pattern = str(settings.get("pattern") or "${name}-${hex(7)}")
    known = {"name": name, "stack": pulumi.get_stack(), "project": pulumi.get_project()}
    for key, value in known.items():
        pattern = pattern.replace(f"${{{key}}}", value)
    # Random parts: ${hex(n)}, ${alphanum(n)}, ${string(n)}, ${num(n)} and ${uuid}.
    pattern = re.sub(r"\$\{(?:hex|alphanum|string|num)\((\d+)\)\}", lambda found: "0" * int(found[1]), pattern)
    return pattern.replace("${uuid}", "0" * 36)
