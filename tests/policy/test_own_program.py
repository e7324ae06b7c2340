"""This project's own program, in every stack, under the strict preset."""

import json
from pathlib import Path

import pulumi_aws as aws
import pytest

from components import (
    BusTarget,
    ChangeTable,
    EffectLedgerTable,
    EmailSender,
    FanOut,
    QueueDelivery,
    Stream,
    StreamDelivery,
    StreamPipe,
)
from local.deploy.stack_files import read_stack_files
from tests.policy.engine import Pack, bare_preview, deployed, preview, run
from tests.reference import welcome_email

ROOT = Path(__file__).resolve().parents[2]
STACKS = sorted(path.name.split(".")[1] for path in ROOT.glob("Pulumi.*.yaml"))


#: The demo gives a poison record up within seconds, on purpose (Pulumi.local.yaml).
SHORT_RETRIES = {"retries-outlast-an-outage": {"enforcementLevel": "mandatory", "minimum_seconds": 3}}


def every_way():
    """Every way from a change to a worker that the components have."""
    alarms = aws.sns.Topic("alarms")
    users = ChangeTable("users", hash_key="userId", kms_key_arn="arn:aws:kms:us-east-1:111122223333:key/1")
    ledger = EffectLedgerTable("effects")
    mail = EmailSender("mail", mail_from="hello@example.com")
    fan_out = FanOut("fan-out", source=users.stream, archive_days=7, alarm_actions=[alarms.arn])
    fan_out.subscribe(welcome_email.handler, access=[ledger.access(), mail.send_access()])
    fan_out.subscribe(
        welcome_email.handler,
        name="to-sqs",
        access=[ledger.access(), mail.send_access()],
        delivery=QueueDelivery(on_failure="sqs"),
    )
    bus = aws.cloudwatch.EventBus("changes")
    StreamPipe("to-bus", source=users.stream, target=BusTarget(arn=bus.arn), alarm_actions=[alarms.arn])
    orders = ChangeTable("orders", hash_key="orderId", range_key="at")
    direct = Stream("orders", source=orders.stream, alarm_actions=[alarms.arn])
    direct.subscribe(welcome_email.handler, name="direct", access=[ledger.access(), mail.send_access()])


@pytest.mark.parametrize("previewed", [True, False])
def test_every_way_that_the_components_have_passes_the_strict_preset(previewed):
    strict = Pack(config=json.loads((ROOT / "policies" / "configs" / "strict.json").read_text()))
    registered = run(every_way, previewed=previewed)
    assert strict.findings(preview(registered) if previewed else deployed(registered)) == set()


@pytest.mark.parametrize("stack", STACKS)
def test_the_program_passes_the_strict_preset(stack):
    config = read_stack_files(ROOT, stack).config
    preset = json.loads((ROOT / "policies" / "configs" / "strict.json").read_text())
    strict = Pack(config={**preset, **(SHORT_RETRIES if stack == "local" else {})})
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
