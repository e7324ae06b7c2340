"""`WebhookBus`: a partner's connection, rate, retries and dead letters, and the least that its role may do."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from components import ApiKey, OAuthClient, Refused, WebhookBus
from tests.everything import EVERYTHING

DESTINATION = "arn:aws:events:eu-central-1:123456789012:api-destination/webhooks-partner/0"


@pytest.fixture(scope="module")
def program() -> Any:
    from tests.unit.components.conftest import run_stack

    return run_stack("prod", EVERYTHING)


def test_a_partner_is_tried_for_a_day_and_what_it_refuses_is_kept(program: Any) -> None:
    target = program.one("EventTarget").inputs
    assert target["arn"] == DESTINATION
    assert target["inputPath"] == "$.detail"
    assert target["retryPolicy"] == {"maximumEventAgeInSeconds": 86_400, "maximumRetryAttempts": 185}
    assert target["deadLetterConfig"]["arn"].endswith(":webhooks-partner-dead-letters")
    alarm = program.one("MetricAlarm", "webhooks-partner-webhooks-undelivered").inputs
    assert alarm["dimensions"] == {"QueueName": "webhooks-partner-dead-letters"}


def test_the_rules_role_may_call_one_destination(program: Any) -> None:
    (policy,) = [each for each in program.all("RolePolicy") if each.inputs["role"] == "webhooks-partner"]
    assert json.loads(policy.inputs["policy"])["Statement"] == [
        {"Effect": "Allow", "Action": ["events:InvokeApiDestination"], "Resource": DESTINATION}
    ]
    trust = json.loads(program.one("Role", "webhooks-partner").inputs["assumeRolePolicy"])
    assert trust["Statement"][0]["Principal"] == {"Service": "events.amazonaws.com"}


def test_the_dead_letter_queue_lets_one_rule_in(program: Any) -> None:
    (statement,) = json.loads(program.one("QueuePolicy", "webhooks-partner-dead-letters").inputs["policy"])["Statement"]
    assert statement["Principal"] == {"Service": "events.amazonaws.com"}
    assert statement["Condition"]["ArnEquals"]["aws:SourceArn"].endswith(":rule/webhooks-partner")


def test_the_bus_is_archived(program: Any) -> None:
    archive = program.one("EventArchive").inputs
    assert (archive["retentionDays"], archive["eventSourceArn"].endswith(":event-bus/webhooks")) == (30, True)


def test_a_partner_may_ask_for_types_a_rate_and_oauth(run: Any) -> None:
    client = OAuthClient(token_url="https://acme.example.com/token", client_id="weir", client_secret="s3cret")

    def webhooks() -> None:
        WebhookBus("hooks").partner(
            "acme",
            url="https://acme.example.com/hook",
            authorization=client,
            detail_types=["user changed"],
            calls_per_second=5,
            retry_hours=1,
        )

    done = run(webhooks)
    connection = done.one("EventConnection").inputs
    assert connection["authorizationType"] == "OAUTH_CLIENT_CREDENTIALS"
    assert connection["authParameters"]["oauth"]["clientParameters"] == {"clientId": "weir", "clientSecret": "s3cret"}
    assert done.one("EventApiDestination").inputs["invocationRateLimitPerSecond"] == 5
    pattern = json.loads(done.one("EventRule").inputs["eventPattern"])
    assert pattern == {"source": ["hooks"], "detail-type": ["user changed"]}
    assert done.one("EventTarget").inputs["retryPolicy"]["maximumEventAgeInSeconds"] == 3600


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"url": "http://acme.example.com"}, "is not HTTPS"),
        ({"calls_per_second": 0}, "calls_per_second=0 is not 1 to 300"),
        ({"calls_per_second": 301}, "calls_per_second=301 is not 1 to 300"),
        ({"retry_hours": 25}, "retry_hours=25 is not 1 to 24"),
    ],
)
def test_what_eventbridge_does_not_take_is_refused(mocked: Any, settings: dict[str, Any], says: str) -> None:
    given = {"url": "https://acme.example.com/hook", "authorization": ApiKey(value="k"), **settings}
    with pytest.raises(Refused, match=says):
        mocked(lambda: WebhookBus("hooks").partner("acme", **given))


def test_a_client_s_secret_goes_to_no_address_in_clear(run: Any) -> None:
    client = OAuthClient(token_url="http://acme.example.com/token", client_id="weir", client_secret="s3cret")
    hook = "https://acme.example.com/hook"
    with pytest.raises(Refused, match=r"acme: token_url=.* is not HTTPS"):
        run(lambda: WebhookBus("hooks").partner("acme", url=hook, authorization=client))


def test_a_partner_s_secret_is_one_in_the_state_however_it_was_given() -> None:
    async def are_secret() -> list[bool]:
        client = OAuthClient(token_url="https://acme.example.com/token", client_id="weir", client_secret="s3cret")
        oauth = client.arguments()["auth_parameters"]["oauth"]
        key = ApiKey(value="k").arguments()["auth_parameters"]["api_key"]
        return [await each.is_secret() for each in (oauth["client_parameters"]["client_secret"], key["value"])]

    assert asyncio.run(are_secret()) == [True, True]


def test_a_partner_has_a_name_of_its_own(mocked: Any) -> None:
    def twice() -> None:
        hooks = WebhookBus("hooks")
        for _ in range(2):
            hooks.partner("acme", url="https://acme.example.com/hook", authorization=ApiKey(value="k"))

    with pytest.raises(Refused, match="acme is a partner of hooks already"):
        mocked(twice)


@pytest.mark.parametrize(("key", "secret"), [("webhookUrl", "webhookKey"), ("signedWebhookUrl", "signedWebhookSecret")])
def test_an_address_needs_its_secret(configured: Any, key: str, secret: str) -> None:
    with pytest.raises(Exception, match=f"weir:{secret} is missing, and {key} is set"):
        configured("dev", {f"weir:{key}": "https://acme.example.com/hook"})
