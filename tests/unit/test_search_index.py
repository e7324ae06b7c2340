"""The search index, as far as it can be seen without a node: requests, verdicts of each document, and signatures."""

from __future__ import annotations

import json
from typing import Any

import opensearchpy
import pytest

from handlers import search_index
from handlers.cdc import Change, Discard
from handlers.cdc.projection_search import NotIndexed, _client
from handlers.cdc.testing import change

ADA = {"userId": "u1", "plan": "free", "version": 7}


class Engine:
    """An engine that answers what a test says.

    Attributes:
        calls: The bodies of bulk requests, line by line.
        statuses: The status of each document of the next request, and its error's type.
    """

    def __init__(self) -> None:
        self.calls: list[list[Any]] = []
        self.statuses: list[tuple[int, str]] = []

    def bulk(self, *, index: str, body: str, params: Any) -> Any:
        assert (index, body[-1], params) == ("users-v1", "\n", {"request_timeout": 10.0})
        self.calls.append([json.loads(line) for line in body.splitlines()])
        documents = len(self.calls[-1]) // 2
        statuses = [*self.statuses, *[(201, "")] * documents][:documents]
        reason = "Preview of field's value: 'ada@example.com'"
        return {
            "items": [
                {"index": {"status": code, "error": {"type": type_, "reason": reason}}} for code, type_ in statuses
            ]
        }


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Engine:
    engine = Engine()
    monkeypatch.setattr(search_index.users, "_client", engine)
    return engine


def write(*changes: Change) -> Any:
    return search_index.handler.function(list(changes))


def test_a_batch_is_one_call_with_external_versions_and_a_tombstone_for_a_removal(engine: Engine) -> None:
    assert write(change(new=ADA), change(old=ADA)) == []
    ((first, document, second, tombstone),) = engine.calls
    assert first == {"index": {"_id": "u1", "version": 7, "version_type": "external"}}
    assert document == ADA
    assert second == {"index": {"_id": "u1", "version": 7, "version_type": "external_gte"}}
    assert (tombstone["deleted"], set(tombstone)) == (True, {"deleted", "deletedAt"})


def test_an_empty_batch_calls_nothing(engine: Engine) -> None:
    assert write() == []
    assert engine.calls == []


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (200, None),
        (409, None),
        (400, Discard),
        (403, NotIndexed),
        (404, NotIndexed),
        (429, NotIndexed),
        (503, NotIndexed),
    ],
)
def test_each_document_has_a_verdict_of_its_own_that_quotes_no_content(
    engine: Engine, status: int, error: type[Exception] | None
) -> None:
    engine.statuses = [(201, ""), (status, "some_exception")]
    good, other = change(new=ADA), change(new={**ADA, "userId": "u2"})
    named = write(good, other)
    assert [(each, type(problem)) for each, problem in named] == ([] if error is None else [(other, error)])
    assert all(str(problem) == f"OpenSearch answers {status} some_exception" for _, problem in named)


def test_without_an_address_the_error_names_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SEARCH_URL", raising=False)
    monkeypatch.setattr(search_index.users, "_client", None)
    with pytest.raises(RuntimeError, match="SEARCH_URL is not set"):
        write(change(new=ADA))


def test_a_domain_of_aws_is_called_with_signatures_of_its_region_and_another_engine_without(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    signed = _client("https://vpc-users-abc.eu-west-1.es.amazonaws.com").transport.kwargs["http_auth"]
    assert isinstance(signed, opensearchpy.Urllib3AWSV4SignerAuth)
    assert signed.signer.region == "eu-west-1"
    assert "http_auth" not in _client("http://127.0.0.1:9200").transport.kwargs


def test_a_snapshot_without_a_version_is_left_out_of_its_batch(engine: Engine) -> None:
    assert write(change(new={"userId": "u2", "plan": "free"}), change(new=ADA)) == []
    ((first, _),) = engine.calls
    assert first["index"]["_id"] == "u1"


def test_users_without_a_version_are_left_out() -> None:
    assert not search_index.handler.condition(change(new={"userId": "u1"}))
