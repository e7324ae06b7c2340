"""The program's own consumers, all on: one upgrade in the API becomes one of each effect."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from handlers.cdc import clients
from handlers.cdc.counters import Counters
from handlers.plans import FEATURES
from local.deploy import deploy
from local.endpoint import Endpoint
from ops.demo.receivers.crm_server import CrmServer
from tests.local.test_deploy import post
from tests.local.world import wait_until

PROGRAM = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def aws() -> Iterator[Endpoint]:
    """An endpoint of this module's own: another module deploys the same stack, which an endpoint takes once."""
    with Endpoint() as endpoint:
        yield endpoint


@pytest.fixture(scope="module")
def crm() -> Iterator[CrmServer]:
    with CrmServer().running() as server:
        yield server


@pytest.fixture(scope="module")
def outputs(aws: Endpoint, crm: CrmServer) -> dict[str, Any]:
    """The program's outputs, after one upgrade of a user and a repeat of every message of it."""
    config = {
        "weir:mailFrom": "consumers@example.com",
        "weir:crmUrl": crm.url,
        "weir:functionTimeout": "4",
    }
    secrets = {"weir:crmToken": "s3cret"}
    # The first answer of the CRM is lost, so its update comes again, under the same idempotency key.
    crm.answers.append((0, {}))
    deployment = deploy(PROGRAM, "local", aws.connection, config=config, secrets=secrets, name_seed="consumers")
    outputs = deployment.outputs
    aws.client("dynamodb").put_item(
        TableName=outputs["usersTable"],
        Item={"userId": {"S": "u1"}, "email": {"S": "ada@example.com"}, "plan": {"S": "free"}, "version": {"N": "1"}},
    )
    assert post(aws, f"{outputs['apiUrl']}/users/u1/plan", '{"plan": "pro"}')[0] == 200
    return outputs


def item(aws: Endpoint, table: str) -> dict[str, Any]:
    return aws.client("dynamodb").get_item(TableName=table, Key={"userId": {"S": "u1"}}).get("Item", {})


def test_the_entitlements_follow_the_plan(aws: Endpoint, outputs: dict[str, Any]) -> None:
    wait_until(lambda: item(aws, outputs["entitlementsTable"]).get("plan") == {"S": "pro"})
    found = item(aws, outputs["entitlementsTable"])
    assert [each["S"] for each in found["features"]["L"]] == FEATURES["pro"]


def test_the_counts_follow_the_plan(aws: Endpoint, outputs: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "AWS_ENDPOINT_URL": aws.url,
        "AWS_DEFAULT_REGION": aws.region,
        "AWS_ACCESS_KEY_ID": aws.access_key_id,
        "AWS_SECRET_ACCESS_KEY": aws.secret_access_key,
        "COUNTER_TABLE": outputs["planCountsTable"],
    }.items():
        monkeypatch.setenv(name, value)
    # Clients and their credentials are kept for a process, which other tests may have made for another endpoint.
    clients._session.cache_clear()
    clients._made.cache_clear()
    counts = Counters("plan-counts")
    # The day is the endpoint's, whose clock other tests put forward: a change carries the time of its table's stream.
    today = f"upgrades#{datetime.fromtimestamp(aws.control.advance_clock(0), UTC):%Y-%m-%d}"
    # A read of several counters is no transaction: it may see one of them before the others.
    wait_until(lambda: [counts.read(each) for each in ("users#free", "users#pro", today)] == [0, 1, 1])


def test_the_crm_is_told_with_its_token_from_secrets_manager(crm: CrmServer, outputs: dict[str, Any]) -> None:
    wait_until(lambda: len(crm.requests) == 2)
    assert [request["body"] for request in crm.requests] == [{"plan": "pro"}] * 2
    assert {request["Authorization"] for request in crm.requests} == {"Bearer s3cret"}
    assert len({request["Idempotency-Key"] for request in crm.requests}) == 1


def test_one_mail_is_sent(aws: Endpoint, outputs: dict[str, Any]) -> None:
    def mails() -> list[str]:
        return [mail["Subject"] for mail in aws.control.mails() if mail["Source"] == "consumers@example.com"]

    wait_until(mails)
    aws.control.wait_until_idle([each["eventSourceMapping"] for each in outputs["consumers"].values()], timeout=60)
    assert mails() == ["Welcome to pro"]


def test_the_token_stands_in_no_functions_environment(aws: Endpoint, outputs: dict[str, Any]) -> None:
    name = outputs["functionNames"]["crm-sync"]
    variables = aws.client("lambda").get_function(FunctionName=name)["Configuration"]["Environment"]["Variables"]
    assert variables["CRM_TOKEN_SECRET"].startswith("arn:aws:secretsmanager:")
    assert "s3cret" not in str(variables)
