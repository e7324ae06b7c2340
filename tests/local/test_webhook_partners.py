"""A partner with OAuth client credentials, deployed without the CLI: the token is fetched, shown and fetched anew."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest

from local.deploy import deploy
from local.endpoint import Endpoint
from tests.local.world import wait_until
from tests.partner import Partner

ROOT = Path(__file__).parents[2]

PROGRAM = """
import pulumi

from components import OAuthClient, WebhookBus

config = pulumi.Config()
hooks = WebhookBus("hooks")
address = config.require("partner")
client = OAuthClient(
    token_url=f"{address}/token", client_id="weir", client_secret=config.require_secret("clientSecret")
)
partner = hooks.partner("acme", url=f"{address}/hook", authorization=client, detail_types=["user changed"])
pulumi.export("bus", hooks.bus.name)
pulumi.export("connection", partner.connection.name)
pulumi.export("deadLetters", partner.dead_letters.url)
"""


@pytest.fixture(scope="module")
def partner() -> Iterator[Partner]:
    with Partner().running() as server:
        yield server


@pytest.fixture(scope="module")
def outputs(tmp_path_factory: pytest.TempPathFactory, aws: Endpoint, partner: Partner) -> dict[str, Any]:
    project = tmp_path_factory.mktemp("partners")
    for name in ("components", "handlers", "aws_semantics"):
        (project / name).symlink_to(ROOT / name)
    (project / "__main__.py").write_text(PROGRAM)
    keys = "".join(f"  {key}: {{type: string}}\n" for key in ("partner", "clientSecret"))
    (project / "Pulumi.yaml").write_text(f"name: partners\nruntime: python\nconfig:\n{keys}")
    (project / "Pulumi.test.yaml").write_text("config:\n  aws:region: us-east-1\n")
    config, secrets = {"partners:partner": partner.url}, {"partners:clientSecret": "s3cret"}
    return dict(deploy(project, "test", aws.connection, config=config, secrets=secrets).outputs)


def put(aws: Endpoint, outputs: dict[str, Any], number: int, *, detail_type: str = "user changed") -> None:
    entry = {"Source": "hooks", "DetailType": detail_type, "Detail": json.dumps({"n": number})}
    answer = aws.client("events").put_events(Entries=[{**entry, "EventBusName": outputs["bus"]}])
    assert answer["FailedEntryCount"] == 0


def numbers(partner: Partner) -> list[int]:
    return [each["n"] for each in partner.events()]


def test_the_partner_sees_a_token_that_its_client_was_given(
    aws: Endpoint, outputs: dict[str, Any], partner: Partner
) -> None:
    put(aws, outputs, 1, detail_type="of no interest")
    put(aws, outputs, 2)
    wait_until(lambda: 2 in numbers(partner))
    put(aws, outputs, 3)
    wait_until(lambda: 3 in numbers(partner))
    assert {each["headers"]["authorization"] for each in partner.requests} == {"Bearer token-1"}
    (asked,) = partner.clients
    assert parse_qs(asked["body"].decode()) == {
        "grant_type": ["client_credentials"],
        "client_id": ["weir"],
        "client_secret": ["s3cret"],
    }
    assert 1 not in numbers(partner)


def test_a_token_that_the_partner_refuses_is_fetched_anew(
    aws: Endpoint, outputs: dict[str, Any], partner: Partner
) -> None:
    partner.status = 401
    put(aws, outputs, 4)
    wait_until(lambda: partner.refused)
    partner.status = 200
    aws.control.advance_clock(600)
    wait_until(lambda: 4 in numbers(partner))
    shown = next(each["headers"]["authorization"] for each in partner.requests if json.loads(each["body"])["n"] == 4)
    assert shown == f"Bearer {partner.tokens[-1]}"
    assert len(partner.tokens) > 1
    assert "Messages" not in aws.client("sqs").receive_message(QueueUrl=outputs["deadLetters"])


def test_the_secret_is_read_back_from_nowhere(aws: Endpoint, outputs: dict[str, Any]) -> None:
    described = aws.client("events").describe_connection(Name=outputs["connection"])
    assert described["AuthorizationType"] == "OAUTH_CLIENT_CREDENTIALS"
    assert described["AuthParameters"]["OAuthParameters"]["ClientParameters"] == {"ClientID": "weir"}
    assert "s3cret" not in f"{described}{outputs}"
