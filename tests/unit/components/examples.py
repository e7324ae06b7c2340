"""The examples in the components' docstrings and guides, and the resources that they take as given."""

from __future__ import annotations

import inspect
import re
import textwrap
from pathlib import Path
from typing import Any

import pulumi
import pulumi_aws as aws

import components
from handlers import audit_log, onboarding, upgrade_api, welcome_email
from handlers.cdc import on
from tests.wheels import lock, wheel

#: The public components, by name.
COMPONENTS = [
    name
    for name in components.__all__
    if inspect.isclass(each := getattr(components, name)) and issubclass(each, pulumi.ComponentResource)
]

GUIDES = Path(__file__).parents[3] / "docs" / "guides"

#: Guides whose code blocks are parts of a program.
PROGRAM_GUIDES = ("alarms.md", "backfill.md", "components.md", "fan-out.md", "kinesis.md", "reconciliation.md")


def example_of(name: str) -> str:
    """Return the code of a public class's example."""
    found = re.search(r"Example:\n((?:    .*\n|\n)+)", f"{inspect.getdoc(getattr(components, name))}\n")
    assert found, f"{name} shows no example"
    return textwrap.dedent(found.group(1))


def examples_of(guide: str) -> list[str]:
    """List a guide's code blocks that are parts of a program."""
    text = (GUIDES / guide).read_text(encoding="utf-8")
    blocks = re.findall(r"^```(\w*)\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    return [code for language, code in blocks if not language and "→" not in code]


def surroundings() -> dict[str, Any]:
    """Create the resources that an example takes as given."""
    users = components.ChangeTable("surrounding-users", hash_key="userId")
    alarms = aws.sns.Topic("alarms")
    return {
        **{name: getattr(components, name) for name in components.__all__},
        "aws": aws,
        "on": on,
        "pulumi": pulumi,
        "audit_log": audit_log,
        "onboarding": onboarding,
        "upgrade_api": upgrade_api,
        "welcome_email": welcome_email,
        "users": users,
        "changes": components.Stream("surrounding-changes", source=users.stream, alarm_actions=[alarms.arn]),
        "fan_out": components.FanOut("surrounding-fan-out", source=users.stream, alarm_actions=[alarms.arn]),
        "ledger": components.EffectLedgerTable("surrounding-effects"),
        "mail": components.EmailSender("surrounding-mail", mail_from="hello@example.com"),
        "alarms": alarms,
        "chat": aws.sns.Topic("chat"),
        "pager": aws.sns.Topic("pager"),
    }


def write_locks(directory: Path) -> None:
    """Write the lock that an example names, below the project at `directory`."""
    (directory / "requirements").mkdir()
    lock(directory / "requirements" / "templates.txt", wheel(directory, "templates", ""))
