"""The runbook's commands, typed as they stand on its pages, against the whole program in trouble."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from io import StringIO

import pytest
from rich.console import Console

from components.reconciliation import RECONCILIATION_ALARMS
from ops.local_stack import local_stack
from tests.local.operator_world import Night
from tools import runbook


def typed(page: str) -> list[str]:
    """The commands on a page."""
    (block,) = re.findall(r"^```sh\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    return [line for line in block.splitlines() if not line.startswith("#")]


@pytest.fixture(scope="module")
def in_trouble(operated: Night) -> Night:
    operated.give_up("runbook")
    return operated


@pytest.fixture(scope="module")
def walked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Night]:
    """The program with its fan-out and a reconciliation."""
    with local_stack(Console(file=StringIO()), config={"weir:reconciliation": "true"}) as (endpoint, deployment):
        yield Night(endpoint, deployment, tmp_path_factory.mktemp("walked") / "local.json")


#: The stack of an alarm that a stack without a fan-out does not have.
STACK_OF = dict.fromkeys((opinion.name for opinion in RECONCILIATION_ALARMS), "walked")
#: A command that brings about the trouble on the page.
BEFORE = {"not-polling": ("pause", runbook.CONSUMER)}

#: Alarms with the same trouble have the same commands: one page of each.
DIFFERENT = {tuple(runbook.commands(name)): name for name in runbook.STEPS}.values()


@pytest.mark.parametrize("alarm", DIFFERENT)
def test_the_commands_of_a_page_run_as_they_stand(alarm: str, request: pytest.FixtureRequest) -> None:
    stack: Night = request.getfixturevalue(STACK_OF.get(alarm, "in_trouble"))
    page = (runbook.FOLDER / f"{alarm}.md").read_text(encoding="utf-8")
    commands = typed(page)
    assert commands == list(runbook.commands(alarm))
    if alarm in BEFORE:
        assert stack.weir(*BEFORE[alarm]).code == 0
    for command in commands:
        weir, *arguments = shlex.split(command)
        assert (weir, arguments[-2:]) == ("weir", ["-s", runbook.STACK])
        said = stack.weir(*arguments)
        assert said.code in (0, 1), f"{command}: {said.errors}"


def test_the_first_command_of_an_alarm_s_description_is_on_its_page(in_trouble: Night) -> None:
    names = list(in_trouble.outputs["consumers"]["welcome-email"]["alarms"].values())
    described = in_trouble.client("cloudwatch").describe_alarms(AlarmNames=names)["MetricAlarms"]
    assert len(described) == len(names)
    for alarm in described:
        first = re.search(r"First: (weir .*?) -s local \(docs/runbook/(.*?)\)\.", alarm["AlarmDescription"])
        assert first is not None, alarm["AlarmDescription"]
        assert first[1] in (runbook.FOLDER / first[2]).read_text(encoding="utf-8")
