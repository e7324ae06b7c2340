"""Adding a consumer takes one file and one statement, and no other change anywhere."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from local.deploy import deploy
from local.endpoint import Endpoint

PROGRAM = Path(__file__).parents[2]

FILE = '''
"""Tells sales who left."""

import os

from handlers.cdc import Change, client, consumer

ses = client("sesv2", attempts=1)


@consumer
def handler(change: Change) -> None:
    """Mail sales about each user that is deleted."""
    if change.event_name == "REMOVE":
        ses.send_email(
            FromEmailAddress=os.environ["MAIL_FROM"],
            Destination={"ToAddresses": ["sales@example.com"]},
            Content={
                "Simple": {
                    "Subject": {"Data": f"{change.keys['userId']} left"},
                    "Body": {"Text": {"Data": "Call them."}},
                }
            },
        )
'''

STATEMENT = """
from handlers import lost_users
changes.subscribe(lost_users.handler, access=[mail.send_access()], repeats="sales may call twice")
"""


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone with a consumer more, and a stack of its own beside the others that the endpoint may have."""
    clone = tmp_path_factory.mktemp("clone")
    for name in ("aws_semantics", "components", "handlers", "local", "ops"):
        shutil.copytree(PROGRAM / name, clone / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "Pulumi.yaml"):
        shutil.copy(PROGRAM / name, clone)
    shutil.copy(PROGRAM / "Pulumi.local.yaml", clone / "Pulumi.clone.yaml")

    (clone / "handlers" / "lost_users.py").write_text(FILE)
    before, subscribed, after = (
        (PROGRAM / "__main__.py").read_text().partition("changes.subscribe(welcome_email.handler")
    )
    statement_end = after.index("\n") + 1
    (clone / "__main__.py").write_text(before + subscribed + after[:statement_end] + STATEMENT + after[statement_end:])
    return clone


def test_a_new_consumer_is_deployed_and_works(clone: Path, aws: Endpoint) -> None:
    deployment = deploy(
        clone,
        "clone",
        aws.connection,
        config={"weir:mailFrom": "clone@example.com"},
    )
    consumers = deployment.outputs["consumers"]
    assert {"welcome-email", "lost-users"} <= set(consumers)

    table, dynamodb = deployment.outputs["usersTable"], aws.client("dynamodb")
    dynamodb.put_item(TableName=table, Item={"userId": {"S": "u1"}})
    dynamodb.delete_item(TableName=table, Key={"userId": {"S": "u1"}})
    mappings = [deployment.outputs["forwarder"], *(each["eventSourceMapping"] for each in consumers.values())]
    aws.control.wait_until_idle(mappings, timeout=60)

    sent = [(mail["To"], mail["Subject"]) for mail in aws.control.mails() if mail["Source"] == "clone@example.com"]
    assert sent == [(["sales@example.com"], "u1 left")]


def test_the_import_contracts_hold_without_a_change(clone: Path) -> None:
    lint = Path(sys.executable).parent / "lint-imports"
    checked = subprocess.run([lint, "--no-cache"], cwd=clone, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout


def test_a_consumer_that_imports_the_deployment_breaks_the_contracts(clone: Path, tmp_path: Path) -> None:
    other = tmp_path / "clone"
    shutil.copytree(clone, other)
    (other / "handlers" / "nosy.py").write_text("from components import Stream\n")
    lint = Path(sys.executable).parent / "lint-imports"
    checked = subprocess.run([lint, "--no-cache"], cwd=other, capture_output=True, text=True, check=False)
    assert "handlers.nosy -> components" in checked.stdout
    assert checked.returncode == 1
