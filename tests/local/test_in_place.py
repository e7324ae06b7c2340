"""Changes of a program that was deployed without the Pulumi CLI: made in place, or said to need a restart."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from local.deploy import Deployment, deploy
from local.deploy.in_place import NeedsRestart, update_in_place
from local.endpoint import Endpoint

numbers = itertools.count(1)

PROJECT = "name: changing\nruntime: python\n"
PROGRAM = """
import pulumi
import pulumi_aws as aws

role = aws.iam.Role("role", assume_role_policy='{"Version": "2012-10-17", "Statement": [{"Effect": "Allow",'
    ' "Action": "sts:AssumeRole", "Principal": {"Service": "lambda.amazonaws.com"}}]}')
function = aws.lambda_.Function(
    "function",
    role=role.arn,
    runtime="python3.13",
    handler="code.handler",
    timeout=3,
    code=pulumi.AssetArchive({"code.py": pulumi.FileAsset("CODE")}),
)
queue = aws.sqs.Queue("queue", visibility_timeout_seconds=30)
pulumi.export("function", function.name)
pulumi.export("queue", queue.url)
"""


class Program:
    """A program of its own, deployed."""

    def __init__(self, directory: Path, aws: Endpoint) -> None:
        self._directory, self._aws = directory, aws
        self.stack = f"s{next(numbers)}"
        (directory / "Pulumi.yaml").write_text(PROJECT)
        (directory / f"Pulumi.{self.stack}.yaml").write_text("config:\n  aws:region: us-east-1\n")
        self.write()
        self.deployment: Deployment = deploy(directory, self.stack, aws.connection)

    def write(self, *replacements: tuple[str, str], code: str = "def handler(event, context):\n    return 1\n") -> None:
        text = PROGRAM.replace("CODE", str(self._directory / "function.txt"))
        for old, new in replacements:
            assert old in text
            text = text.replace(old, new)
        (self._directory / "__main__.py").write_text(text)
        (self._directory / "function.txt").write_text(code)

    def update(self) -> list[str]:
        self.deployment, changed = update_in_place(self._directory, self.deployment, self._aws.connection)
        return changed


@pytest.fixture
def program(tmp_path: Path, aws: Endpoint) -> Program:
    return Program(tmp_path, aws)


def test_what_has_not_changed_is_left_alone(program: Program) -> None:
    assert program.update() == []


def test_code_and_settings_change_in_place_and_names_stay(program: Program, aws: Endpoint) -> None:
    before = dict(program.deployment.outputs)
    program.write(("timeout=3", "timeout=9"), ("=30", "=45"), code="def handler(event, context):\n    return 2\n")
    assert sorted(program.update()) == ["function", "queue"]
    assert program.deployment.outputs == before
    answer = aws.client("lambda").invoke(FunctionName=before["function"])
    assert answer["Payload"].read() == b"2"
    found = aws.client("lambda").get_function(FunctionName=before["function"])["Configuration"]
    assert found["Timeout"] == 9
    attributes = aws.client("sqs").get_queue_attributes(QueueUrl=before["queue"], AttributeNames=["VisibilityTimeout"])
    assert attributes["Attributes"] == {"VisibilityTimeout": "45"}
    assert program.update() == []


@pytest.mark.parametrize(
    ("replacement", "message"),
    [
        (("queue = aws", 'aws.sns.Topic("more")\nqueue = aws'), r"^more \(aws:sns/topic:Topic\) is new: restart"),
        (
            ('\nqueue = aws.sqs.Queue("queue", visibility_timeout_seconds=30)', "\nqueue = function"),
            r"queue \(aws:sqs/queue:Queue\) is gone: restart",
        ),
        (
            ('Queue("queue",', 'Queue("queue", name="other",'),
            r"^queue \(aws:sqs/queue:Queue\): name cannot be changed in place: restart",
        ),
    ],
)
def test_what_cannot_be_changed_in_place_needs_a_restart_and_changes_nothing(
    program: Program, replacement: tuple[str, str], message: str
) -> None:
    program.write(replacement, ("timeout=3", "timeout=9"), ("queue.url", "function.arn"))
    with pytest.raises(NeedsRestart, match=message):
        program.update()
    program.write()
    assert program.update() == []
