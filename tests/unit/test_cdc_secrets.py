"""Secrets in handlers: read when they are used, kept for five minutes, never in the environment."""

from __future__ import annotations

import pytest

from handlers.cdc.secrets import CACHED_SECONDS, Secret

ARN = "arn:aws:secretsmanager:us-east-1:123456789012:secret:crm-AbCdEf"


class Manager:
    """Stands for Secrets Manager: each value is another one."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def get_secret_value(self, *, SecretId: str) -> dict[str, str]:  # noqa: N803 - AWS's name
        self.asked.append(SecretId)
        return {"SecretString": f"value-{len(self.asked)}"}


@pytest.fixture
def manager(monkeypatch: pytest.MonkeyPatch) -> Manager:
    manager = Manager()
    monkeypatch.setattr("handlers.cdc.secrets.BoundedClient", lambda _: manager)
    monkeypatch.setenv("TOKEN_SECRET", ARN)
    return manager


def test_a_secret_is_read_when_it_is_used_and_kept(manager: Manager) -> None:
    token = Secret("TOKEN_SECRET")
    assert manager.asked == []
    assert [token.value(), token.value()] == ["value-1", "value-1"]
    assert manager.asked == [ARN]


def test_a_rotated_secret_holds_within_five_minutes(manager: Manager) -> None:
    now = [0.0]
    token = Secret("TOKEN_SECRET", clock=lambda: now[0])
    assert token.value() == "value-1"
    now[0] = CACHED_SECONDS - 1
    assert token.value() == "value-1"
    now[0] = CACHED_SECONDS
    assert token.value() == "value-2"


def test_a_secret_that_was_refused_is_read_again(manager: Manager) -> None:
    token = Secret("TOKEN_SECRET")
    token.value()
    token.forget()
    assert token.value() == "value-2"


def test_a_secret_without_its_variable_says_what_to_do(manager: Manager, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TOKEN_SECRET")
    with pytest.raises(RuntimeError, match=r"TOKEN_SECRET is not set, .*give the consumer access"):
        Secret("TOKEN_SECRET").value()
