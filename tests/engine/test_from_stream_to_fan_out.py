"""A consumer moves from the stream to a fan-out while users upgrade: no change is missed, and no mail is sent twice."""

from __future__ import annotations

from collections import Counter

from tests.engine.lab import Lab
from tests.engine.writes import Writes
from tests.local.test_deploy import post
from tests.local.world import wait_until


def test_a_consumer_moves_to_a_fan_out_without_a_gap_and_without_a_second_mail(engine: Lab) -> None:
    engine.config("protect", "false")
    engine.config("fanOut", "false")
    engine.config("functionTimeout", "10")  # a slow machine must not look like a failing consumer
    engine.config("retryAttempts", "10")
    engine.config("attempts", "5")
    engine.up()
    outputs = engine.outputs()
    control = engine.aws.control

    def upgrade(user: str) -> None:
        item = {"userId": {"S": user}, "plan": {"S": "free"}, "email": {"S": f"{user}@example.com"}}
        engine.aws.client("dynamodb").put_item(TableName=outputs["usersTable"], Item=item)
        assert post(engine.aws, f"{outputs['apiUrl']}/users/{user}/plan", '{"plan": "pro"}')[0] == 200

    def mails() -> Counter[str]:
        return Counter(address for mail in control.mails() for address in mail["To"])

    upgrade("ada")
    wait_until(lambda: mails()["ada@example.com"])
    direct = outputs["consumers"]["welcome-email"]["eventSourceMapping"]
    engine.aws.client("lambda").update_event_source_mapping(UUID=direct, Enabled=False)
    wait_until(lambda: control.mapping(direct).state == "Disabled")
    upgrade("bob")  # written while nothing reads

    engine.config("fanOut", "true")
    with Writes(engine, outputs["usersTable"], "moving") as writes:
        moved = engine.up()
    assert moved.steps["EventSourceMapping welcome-email"] in ("create", "replace", "delete")
    moved_outputs = engine.outputs()
    assert moved_outputs["usersTable"] == outputs["usersTable"]
    upgrade("cid")
    consumer = moved_outputs["consumers"]["welcome-email"]
    for mapping in (moved_outputs["forwarder"], consumer["eventSourceMapping"]):
        control.wait_until_idle([mapping], timeout=240)
    assert mails() == {f"{user}@example.com": 1 for user in ("ada", "bob", "cid", *writes.users)}
    assert engine.up("--expect-no-changes").steps == {}
