"""This project's own program, in every stack, under the strict preset."""

import json
from pathlib import Path

import pulumi_aws as aws
import pytest

from components import (
    ChangeTable,
    KinesisChanges,
    Stream,
    StreamDelivery,
)
from local.deploy.stack_files import read_stack_files
from tests.everything import EVERYTHING, install_nothing
from tests.policy.engine import Pack, bare_preview, deployed, preview, run
from tests.reference import welcome_email

ROOT = Path(__file__).resolve().parents[2]
STACKS = sorted(path.name.split(".")[1] for path in ROOT.glob("Pulumi.*.yaml"))


@pytest.fixture(autouse=True)
def no_registry(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    install_nothing(monkeypatch, tmp_path)


@pytest.mark.parametrize(("stack", "consumers"), [*((each, {}) for each in STACKS), ("prod", EVERYTHING)])
def test_the_program_passes_the_strict_preset(stack, consumers):
    config = read_stack_files(ROOT, stack, consumers).config
    strict = Pack(config=json.loads((ROOT / "policies" / "configs" / "strict.json").read_text()))
    before = run(ROOT, previewed=True, stack=stack, config=config)
    after = run(ROOT, previewed=False, stack=stack, config=config)
    assert strict.findings(preview(before)) == set()
    assert strict.findings(bare_preview(before)) == set()
    assert strict.findings(deployed(after)) == set()


@pytest.mark.parametrize("kind", ["s3", "sqs", "sns"])
def test_a_consumer_with_any_failure_destination_passes_the_strict_preset(kind):
    strict = Pack(config=json.loads((ROOT / "policies" / "configs" / "strict.json").read_text()))

    def program():
        users = ChangeTable("users", hash_key="userId", deletion_protection=True)
        delivery = StreamDelivery(on_failure=kind)
        changes = Stream("changes", source=users.stream, delivery=delivery, alarm_actions=[aws.sns.Topic("oncall").arn])
        changes.subscribe(welcome_email.handler)

    before, after = run(program, previewed=True), run(program, previewed=False)
    assert strict.findings(preview(before)) == set()
    assert strict.findings(bare_preview(before)) == set()
    assert strict.findings(deployed(after)) == set()


def test_the_kinesis_route_passes_the_strict_preset():
    strict = Pack(config=json.loads((ROOT / "policies" / "configs" / "strict.json").read_text()))

    def program():
        users = ChangeTable("users", hash_key="userId", deletion_protection=True)
        history = KinesisChanges("history", table=users, alarm_actions=[aws.sns.Topic("oncall").arn])
        history.subscribe(welcome_email.handler)
        history.subscribe(welcome_email.handler, name="enhanced", enhanced_fan_out=True)

    before, after = run(program, previewed=True), run(program, previewed=False)
    assert strict.findings(preview(before)) == set()
    assert strict.findings(bare_preview(before)) == set()
    assert strict.findings(deployed(after)) == set()
