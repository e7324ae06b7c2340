"""The welcome email: sent once per user and paid plan, and only when the plan really changed."""

from collections.abc import Iterator

import boto3
import pytest
from botocore.stub import Stubber

from handlers import welcome_email
from handlers.cdc.testing import InMemoryLedger, Invocation, change, record, stream_event

ADA = {"userId": "u1", "email": "ada@example.com"}


@pytest.fixture(autouse=True)
def ledger(monkeypatch: pytest.MonkeyPatch) -> InMemoryLedger:
    store = InMemoryLedger()
    monkeypatch.setattr(welcome_email.mails, "store", store)
    return store


@pytest.fixture(autouse=True)
def ses(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stubber]:
    """SES's client, which refuses every mail that a test has not announced."""
    client = boto3.client("sesv2", region_name="us-east-1", aws_access_key_id="none", aws_secret_access_key="none")
    monkeypatch.setattr(welcome_email, "ses", client)
    monkeypatch.setenv("MAIL_FROM", "hello@example.com")
    with Stubber(client) as stubber:
        yield stubber
        stubber.assert_no_pending_responses()


def expect_mail(ses: Stubber, address: str = "ada@example.com", plan: str = "pro") -> None:
    ses.add_response(
        "send_email",
        {"MessageId": "m1"},
        {
            "FromEmailAddress": "hello@example.com",
            "Destination": {"ToAddresses": [address]},
            "Content": {
                "Simple": {
                    "Subject": {"Data": f"Welcome to {plan}"},
                    "Body": {"Text": {"Data": f"Your {plan} plan is active. Thank you for upgrading!"}},
                }
            },
        },
    )


@pytest.mark.parametrize("plan", ["pro", "enterprise"])
def test_a_user_who_upgrades_is_welcomed(ses: Stubber, ledger: InMemoryLedger, plan: str) -> None:
    expect_mail(ses, plan=plan)
    welcome_email.handler.function(change(old={**ADA, "plan": "free"}, new={**ADA, "plan": plan}))
    assert list(ledger.items) == [f"welcome-email:u1#plan-{plan}"]


def test_the_mail_is_remembered_for_ever(ses: Stubber, ledger: InMemoryLedger) -> None:
    expect_mail(ses)
    welcome_email.handler.function(change(old={**ADA, "plan": "free"}, new={**ADA, "plan": "pro"}))
    assert ledger.items["welcome-email:u1#plan-pro"]["expiresAt"] is None


def test_a_record_delivered_twice_sends_one_mail(ses: Stubber) -> None:
    expect_mail(ses)
    event = stream_event(record(old={**ADA, "plan": "free"}, new={**ADA, "plan": "pro"}))
    assert welcome_email.handler(event, Invocation()) == {"batchItemFailures": []}
    assert welcome_email.handler(event, Invocation()) == {"batchItemFailures": []}


def test_the_same_plan_later_on_sends_no_second_mail(ses: Stubber) -> None:
    expect_mail(ses)
    free, pro = {**ADA, "plan": "free"}, {**ADA, "plan": "pro"}
    event = stream_event(record(old=free, new=pro), record(old=pro, new=free), record(old=free, new=pro))
    assert welcome_email.handler(event, Invocation()) == {"batchItemFailures": []}


@pytest.mark.parametrize(
    "images",
    [
        {"new": {**ADA, "plan": "pro"}},
        {"old": {**ADA, "plan": "pro"}},
        {"old": {**ADA, "plan": "pro"}, "new": {**ADA, "plan": "free"}},
        {"old": {**ADA, "plan": "pro", "seen": 1}, "new": {**ADA, "plan": "pro", "seen": 2}},
        {"old": {**ADA, "plan": "free"}, "new": ADA},
    ],
    ids=["insert", "remove", "downgrade", "another attribute", "plan removed"],
)
def test_any_other_change_sends_nothing(images: dict[str, dict[str, object]], ledger: InMemoryLedger) -> None:
    event = stream_event(record(**images))
    assert welcome_email.handler(event, Invocation()) == {"batchItemFailures": []}
    assert ledger.items == {}


@pytest.mark.parametrize("address", [None, "", "nobody", "@", "ada@", 42])
def test_a_user_without_a_usable_address_fails_and_keeps_no_claim(address: object, ledger: InMemoryLedger) -> None:
    user = {"userId": "u1", **({} if address is None else {"email": address})}
    upgrade = change(old={**user, "plan": "free"}, new={**user, "plan": "pro"})
    with pytest.raises(welcome_email.UnusableAddress):
        welcome_email.handler.function(upgrade)
    assert ledger.items == {}


def test_a_throttled_mail_is_sent_by_the_retry(ses: Stubber) -> None:
    event = stream_event(record(old={**ADA, "plan": "free"}, new={**ADA, "plan": "pro"}))
    ses.add_client_error("send_email", "TooManyRequestsException")
    number = event["Records"][0]["dynamodb"]["SequenceNumber"]
    assert welcome_email.handler(event, Invocation()) == {"batchItemFailures": [{"itemIdentifier": number}]}
    expect_mail(ses)
    assert welcome_email.handler(event, Invocation()) == {"batchItemFailures": []}
