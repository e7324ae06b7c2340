"""The CRM: each change once, with time-outs, pauses and refusals, against a real server on this machine."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from handlers import crm_sync
from handlers.cdc import Discard, RetryAfter
from handlers.cdc.testing import InMemoryLedger, change
from ops.demo.receivers.crm_server import CrmServer

ADA = {"userId": "u1", "version": 7}


@pytest.fixture
def crm() -> Iterator[CrmServer]:
    with CrmServer().running() as server:
        yield server


@pytest.fixture(autouse=True)
def ledger(crm: CrmServer, monkeypatch: pytest.MonkeyPatch) -> InMemoryLedger:
    store = InMemoryLedger()
    monkeypatch.setattr(crm_sync.calls, "store", store)
    monkeypatch.setattr(crm_sync.token, "value", lambda: "s3cret")
    monkeypatch.setenv("CRM_URL", crm.url)
    return store


def upgrade() -> None:
    crm_sync.handler.function(change(old={**ADA, "plan": "free", "version": 6}, new={**ADA, "plan": "pro"}))


def test_a_change_of_plan_reaches_the_crm_with_token_and_idempotency_key(crm: CrmServer) -> None:
    upgrade()
    (request,) = crm.requests
    assert (request["path"], request["body"]) == ("/users/u1", {"plan": "pro"})
    assert (request["Authorization"], request["Idempotency-Key"]) == ("Bearer s3cret", "u1#7")


def test_a_users_id_names_that_user_whatever_it_is_written_with(crm: CrmServer) -> None:
    old = {"userId": "../a b?x=é", "version": 7}
    crm_sync.handler.function(change(old={**old, "plan": "free", "version": 6}, new={**old, "plan": "pro"}))
    assert [request["path"] for request in crm.requests] == ["/users/..%2Fa%20b%3Fx%3D%C3%A9"]


def test_a_repeated_change_is_sent_once(crm: CrmServer) -> None:
    upgrade()
    upgrade()
    assert len(crm.requests) == 1


@pytest.mark.parametrize("status", [429, 503])
def test_a_busy_crm_says_how_long_to_wait_and_the_change_is_sent_then(crm: CrmServer, status: int) -> None:
    crm.answers.append((status, {"Retry-After": "30"}))
    with pytest.raises(RetryAfter) as later:
        upgrade()
    assert later.value.seconds == 30
    upgrade()
    assert [request["Idempotency-Key"] for request in crm.requests] == ["u1#7", "u1#7"]


@pytest.mark.parametrize("status", [400, 404, 422])
def test_an_update_that_the_crm_will_never_take_is_parked(crm: CrmServer, status: int) -> None:
    crm.answers.append((status, {}))
    with pytest.raises(Discard, match=f"the CRM answers {status}"):
        upgrade()


@pytest.mark.parametrize("status", [408, 409, 429, 500, 502, 503])
def test_a_failure_that_may_pass_is_tried_again(crm: CrmServer, status: int) -> None:
    crm.answers.append((status, {}))
    with pytest.raises(OSError, match=str(status)):
        upgrade()
    upgrade()
    assert len(crm.requests) == 2


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_token_is_read_again(crm: CrmServer, monkeypatch: pytest.MonkeyPatch, status: int) -> None:
    forgotten: list[bool] = []
    monkeypatch.setattr(crm_sync.token, "forget", lambda: forgotten.append(True))
    crm.answers.append((status, {}))
    with pytest.raises(OSError, match=str(status)):
        upgrade()
    assert forgotten == [True]


def test_an_answer_that_is_lost_is_asked_for_again_under_the_same_key(crm: CrmServer) -> None:
    crm.answers.append((0, {}))
    with pytest.raises(OSError):  # noqa: PT011 - a reset or a closed connection, as it happens
        upgrade()
    upgrade()
    assert {request["Idempotency-Key"] for request in crm.requests} == {"u1#7"}


def test_a_crm_that_cannot_be_reached_is_tried_again(monkeypatch: pytest.MonkeyPatch, crm: CrmServer) -> None:
    monkeypatch.setenv("CRM_URL", "http://127.0.0.1:9")
    with pytest.raises(OSError, match="refused"):
        upgrade()
