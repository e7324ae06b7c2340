"""The CI recipe for users, step by step: `.github/workflows/pulumi.yml` with the real engine, and `gh` stood in for."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from local.pulumi_host.cli import Cli
from tests.engine.lab import ROOT, Lab, copy_project, lab

WORKFLOW = ROOT / ".github" / "workflows" / "pulumi.yml"

#: `gh`, which keeps what it was called with and the comment.
GH = """#!/bin/sh
echo "$@" > gh.txt
cp comment.md posted.md
"""

#: Expressions of the workflow, and what GitHub puts in their place. No other is written in a script.
EXPRESSIONS = {"${{ github.event.number }}": "12", "${{ github.token }}": "token"}


class Runner:
    """Runs the scripts of the recipe's steps as GitHub does: in order, until one fails."""

    def __init__(self, engine: Lab) -> None:
        self.engine = engine
        gh = engine.project / "bin" / "gh"
        gh.parent.mkdir(exist_ok=True)
        gh.write_text(GH)
        gh.chmod(0o755)
        (self.job,) = yaml.safe_load(WORKFLOW.read_text())["jobs"].values()

    def run(self, event: str) -> tuple[list[str], str]:
        """Run the job for an event.

        Returns:
            The names of the steps that were run, and the conclusion.
        """
        ran: list[str] = []
        outcomes: dict[str, str] = {}
        for step in self.job["steps"]:
            # Packages and plugins are there already.
            if "run" not in step or step["run"] == "pulumi install":
                continue
            if not self._applies(step.get("if", ""), event, outcomes):
                continue
            status = self._script(step["run"], step.get("env", {}))
            ran.append(step["name"])
            if "id" in step:
                outcomes[step["id"]] = "failure" if status else "success"
            if status and not step.get("continue-on-error"):
                return ran, "failure"
        return ran, "success"

    def _applies(self, condition: str, event: str, outcomes: Mapping[str, str]) -> bool:
        known = {
            "": True,
            "github.event_name == 'pull_request'": event == "pull_request",
            "github.event_name == 'push'": event == "push",
            "steps.preview.outcome == 'failure'": outcomes.get("preview") == "failure",
        }
        return known[condition]

    def _script(self, script: str, variables: Mapping[str, Any]) -> int:
        for expression, value in EXPRESSIONS.items():
            script = script.replace(expression, value)
        assert "${{" not in script
        path = f"{self.engine.project / 'bin'}:{ROOT / '.venv' / 'bin'}:{self.engine.environment['PATH']}"
        own = {name: EXPRESSIONS.get(str(value), str(value)) for name, value in variables.items()}
        return subprocess.run(
            ["bash", "-e", "-c", script],
            cwd=self.engine.project,
            env={**self.engine.environment, **own, "PATH": path},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
        ).returncode

    @property
    def comment(self) -> str:
        """The comment that was posted."""
        return (self.engine.project / "posted.md").read_text()


@pytest.fixture(scope="module")
def runner(tmp_path_factory: pytest.TempPathFactory, cli: Cli) -> Iterator[Runner]:
    directory: Path = tmp_path_factory.mktemp("recipe")
    project = copy_project(directory)
    shutil.copytree(ROOT / "tools", project / "tools", ignore=shutil.ignore_patterns("__pycache__"))
    with lab(directory, cli, project) as engine:
        yield Runner(engine)


PULL_REQUEST = ["Preview with the policy pack", "Write the comment", "Comment"]


def test_a_pull_request_gets_the_diff_as_a_comment_and_deploys_nothing(runner: Runner) -> None:
    assert runner.run("pull_request") == (PULL_REQUEST, "success")
    assert (runner.engine.project / "gh.txt").read_text() == (
        "pr comment 12 --body-file comment.md --edit-last --create-if-none\n"
    )
    assert runner.comment.startswith("### Pulumi preview: ")
    assert "| create | Table | users |" in runner.comment
    assert runner.engine.aws.client("dynamodb").list_tables()["TableNames"] == []


def test_a_pull_request_that_breaks_a_rule_fails_and_its_comment_says_why(runner: Runner) -> None:
    with runner.engine.edited("__main__.py", ("deletion_protection=config.protect", "deletion_protection=False")):
        assert runner.run("pull_request") == ([*PULL_REQUEST, "Fail where the preview did"], "failure")
    assert "| mandatory | stream-table-protection | users" in runner.comment


def test_a_merge_deploys(runner: Runner) -> None:
    assert runner.run("push") == (["Deploy"], "success")
    assert "usersTable" in runner.engine.outputs()
