"""The audit log's bucket: what its consumer may do, and configurations that are refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pulumi
import pytest

from components import AuditBucket, Refused, StreamSource
from tests.everything import EVERYTHING, install_nothing

SOURCE = StreamSource(
    arn="arn:aws:dynamodb:eu-central-1:123456789012:table/users/stream/1", keys={"userId": "S"}, table="users"
)
ENTRIES = "arn:aws:s3:::audit-log/dt=*"
ON = {"weir:auditLog": "true"}


def test_entries_may_be_created_and_read_and_nothing_may_be_overwritten(configured) -> None:
    statements = configured("dev", ON).statements("audit-log")
    assert [each for each in statements if "audit-log/" in str(each["Resource"])][:2] == [
        {
            "Effect": "Allow",
            "Action": ["s3:PutObject"],
            "Resource": ENTRIES,
            "Condition": {"Null": {"s3:if-none-match": "false"}},
        },
        {"Effect": "Allow", "Action": ["s3:GetObject"], "Resource": ENTRIES},
    ]


def test_what_is_dropped_and_hashed_comes_from_the_configuration_and_the_key_from_secrets_manager(configured) -> None:
    run = configured("dev", EVERYTHING)
    variables = run.one("Function", "audit-log").inputs["environment"]["variables"]
    assert (variables["AUDIT_DROP"], variables["AUDIT_HASH"]) == ("phone", "email")
    assert variables["AUDIT_HASH_KEY_SECRET"] == "audit-log-hash-key-id"
    assert "a key" not in str(variables)
    assert configured("dev", ON).all("Secret") == []


def test_the_consumer_has_the_alarms_of_every_consumer(configured) -> None:
    alarms = {name: set(each["alarms"]) for name, each in configured("dev", ON).outputs["consumers"].items()}
    assert alarms["audit-log"] == alarms["welcome-email"]


@pytest.fixture(autouse=True)
def no_registry(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    install_nothing(monkeypatch, tmp_path)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"drop": ["userId"]}, "audit-log: drop names userId, which is of the item's key"),
        ({"drop": ["email"], "hashed": ["email"], "hash_key": "k"}, "email is both dropped and hashed"),
        ({"hashed": ["email"]}, "email is hashed without a key"),
    ],
)
def test_a_redaction_that_cannot_work_is_refused(mocked, settings: Any, says: str) -> None:
    with pytest.raises(Refused, match=says):
        mocked(lambda: AuditBucket("audit-log", source=SOURCE, **settings))


@pytest.mark.parametrize(
    ("overrides", "line"),
    [
        ({**ON, "weir:auditHash": "email"}, "weir:auditHashKey is missing, and auditHash is set: run  "),
        ({"weir:auditDrop": "phone"}, "weir:auditDrop is set, and auditLog is not, so that nothing uses it: run  "),
        ({**ON, "weir:auditDrop": "a,,b"}, "weir:auditDrop is 'a,,b': write names of attributes, as in "),
        ({**ON, "weir:auditDrop": "a b"}, "weir:auditDrop is 'a b': write names of attributes, as in "),
        ({**ON, "weir:fanOut": "false"}, "weir:auditLog is set, and fanOut is false: "),
    ],
)
def test_a_configuration_that_would_be_ignored_is_one_line(configured, overrides: Any, line: str) -> None:
    with pytest.raises(pulumi.RunError) as refused:
        configured("dev", overrides)
    assert str(refused.value).startswith(f"Pulumi.dev.yaml: {line}")
