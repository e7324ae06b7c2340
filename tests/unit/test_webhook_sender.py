"""Signed webhooks, against a real server on this machine that checks the signature."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import pytest

from handlers import webhook_sender
from handlers.cdc import Discard, RetryAfter
from handlers.cdc.signatures import FRESH_SECONDS, is_signed, sign
from handlers.cdc.testing import change
from tests.partner import Partner

ADA = {"userId": "u1", "plan": "free", "version": 6}
UPGRADE = change(old=ADA, new={**ADA, "plan": "pro", "version": 7})


@pytest.fixture
def partner() -> Iterator[Partner]:
    with Partner().running() as server:
        yield server


@pytest.fixture(autouse=True)
def subscribed(partner: Partner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEBHOOK_URL", f"{partner.url}/hook")
    monkeypatch.setattr(webhook_sender.key, "value", lambda: "s3cret")


def verified(partner: Partner, *, secret: str = "s3cret", later: float = 0.0, body: bytes | None = None) -> bool:
    request = partner.requests[-1]
    given = request["headers"]
    return is_signed(
        secret,
        given["webhook-id"],
        given["webhook-timestamp"],
        request["body"] if body is None else body,
        given["webhook-signature"],
        now=time.time() + later,
    )


def test_a_change_of_plan_is_a_request_that_its_receiver_can_check(partner: Partner) -> None:
    webhook_sender.handler.function(UPGRADE)
    (request,) = partner.requests
    assert json.loads(request["body"]) == {"type": "plan.changed", "userId": "u1", "plan": "pro"}
    assert request["headers"]["webhook-id"] == UPGRADE.event_id
    assert request["headers"]["webhook-item-version"] == "7"
    assert verified(partner)


def test_another_secret_an_altered_body_and_an_old_request_are_told_apart(partner: Partner) -> None:
    webhook_sender.handler.function(UPGRADE)
    body = partner.requests[0]["body"]
    assert not verified(partner, secret="another")
    assert not verified(partner, body=body.replace(b"pro", b"max"))
    assert not verified(partner, body=body + b" ")
    assert not verified(partner, later=FRESH_SECONDS + 2)
    assert not verified(partner, later=-FRESH_SECONDS - 2)


def test_a_time_that_is_no_number_is_no_signature() -> None:
    assert not is_signed("s", "1", "now", b"", sign("s", "1", 0, b""), now=0)
    assert not is_signed("s", "1", "-5", b"", sign("s", "1", -5, b""), now=0)


def test_a_repeat_has_the_same_id(partner: Partner) -> None:
    webhook_sender.handler.function(UPGRADE)
    webhook_sender.handler.function(UPGRADE)
    assert len({request["headers"]["webhook-id"] for request in partner.requests}) == 1


@pytest.mark.parametrize("status", [429, 503])
def test_a_subscriber_that_asks_for_a_pause_gets_it(partner: Partner, status: int) -> None:
    partner.status, partner.headers = status, {"Retry-After": "30"}
    with pytest.raises(RetryAfter) as later:
        webhook_sender.handler.function(UPGRADE)
    assert later.value.seconds == 30


@pytest.mark.parametrize("status", [400, 403, 404, 410, 422])
def test_an_event_that_a_subscriber_will_never_take_is_parked(partner: Partner, status: int) -> None:
    partner.status = status
    with pytest.raises(Discard, match=f"the subscriber answers {status}"):
        webhook_sender.handler.function(UPGRADE)


@pytest.mark.parametrize("status", [401, 408, 409, 425, 429, 500, 502, 503])
def test_a_failure_that_may_pass_is_tried_again(partner: Partner, status: int) -> None:
    partner.status = status
    with pytest.raises(OSError, match=str(status)):
        webhook_sender.handler.function(UPGRADE)


@pytest.mark.parametrize("status", [301, 302, 303, 307])
def test_a_redirect_is_no_delivery_and_is_not_followed(partner: Partner, status: int) -> None:
    partner.status, partner.headers = status, {"Location": f"{partner.url}/elsewhere"}
    with pytest.raises(OSError, match=str(status)):
        webhook_sender.handler.function(UPGRADE)
    assert len(partner.refused) == 1


def test_a_refused_signature_reads_the_secret_again(partner: Partner, monkeypatch: pytest.MonkeyPatch) -> None:
    forgotten: list[bool] = []
    monkeypatch.setattr(webhook_sender.key, "forget", lambda: forgotten.append(True))
    partner.status = 401
    with pytest.raises(OSError, match="401"):
        webhook_sender.handler.function(UPGRADE)
    assert forgotten == [True]


def test_a_subscriber_that_cannot_be_reached_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEBHOOK_URL", "http://127.0.0.1:9")
    with pytest.raises(OSError, match="refused"):
        webhook_sender.handler.function(UPGRADE)
