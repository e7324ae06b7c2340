"""The examples in the components' docstrings and in their guide run as they stand."""

from __future__ import annotations

import inspect
import re
import textwrap
from pathlib import Path
from typing import Any

import pulumi
import pulumi_aws as aws
import pytest

import components
from handlers import audit_log, onboarding, upgrade_api, welcome_email
from handlers.cdc import on
from tests.wheels import lock, wheel

COMPONENTS = [
    name
    for name in components.__all__
    if inspect.isclass(each := getattr(components, name)) and issubclass(each, pulumi.ComponentResource)
]


def example_of(name: str) -> str:
    found = re.search(r"Example:\n((?:    .*\n|\n)+)", f"{inspect.getdoc(getattr(components, name))}\n")
    assert found, f"{name} shows no example"
    return textwrap.dedent(found.group(1))


GUIDES = Path(__file__).parents[3] / "docs" / "guides"
GUIDE = (GUIDES / "components.md").read_text(encoding="utf-8")
FAN_OUT = (GUIDES / "fan-out.md").read_text(encoding="utf-8")
KINESIS = (GUIDES / "kinesis.md").read_text(encoding="utf-8")
ALARMS = (GUIDES / "alarms.md").read_text(encoding="utf-8")
RECONCILIATION = (GUIDES / "reconciliation.md").read_text(encoding="utf-8")


def surroundings() -> dict[str, Any]:
    """Create the resources that an example takes as given."""
    users = components.ChangeTable("surrounding-users", hash_key="userId")
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
        "changes": components.Stream("surrounding-changes", source=users.stream),
        "fan_out": components.FanOut("surrounding-fan-out", source=users.stream),
        "ledger": components.EffectLedgerTable("surrounding-effects"),
        "mail": components.EmailSender("surrounding-mail", mail_from="hello@example.com"),
        "alarms": aws.sns.Topic("alarms"),
        "chat": aws.sns.Topic("chat"),
        "pager": aws.sns.Topic("pager"),
    }


@pytest.fixture(autouse=True)
def locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Write the lock that an example names."""
    (tmp_path / "requirements").mkdir()
    lock(tmp_path / "requirements" / "templates.txt", wheel(tmp_path, "templates", ""))
    monkeypatch.setattr("components.python_layer._PROJECT", tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.mark.parametrize("name", COMPONENTS)
def test_the_example_of_a_component_deploys(run, name: str) -> None:
    done = run(lambda: exec(example_of(name), surroundings()))
    assert len(done.registrations) > len(run(surroundings).registrations)


def test_the_example_of_a_stream_source_deploys(run) -> None:
    done = run(lambda: exec(example_of("StreamSource"), surroundings()))
    assert done.one("Stream", "orders")


def examples_of(guide: str) -> list[str]:
    blocks = re.findall(r"^```(\w*)\n(.*?)^```$", guide, re.DOTALL | re.MULTILINE)
    return [text for language, text in blocks if not language and "→" not in text]


@pytest.mark.parametrize(
    "example",
    [
        *examples_of(GUIDE),
        *examples_of(FAN_OUT),
        *examples_of(KINESIS),
        *examples_of(ALARMS),
        *examples_of(RECONCILIATION),
    ],
)
def test_an_example_of_the_guide_deploys(run, example: str) -> None:
    done = run(lambda: exec(example, surroundings()))
    assert len(done.registrations) > len(run(surroundings).registrations)


@pytest.mark.parametrize("name", components.__all__)
def test_the_guide_names_everything_that_is_public(name: str) -> None:
    assert re.search(rf"\b{name}\b", GUIDE)
