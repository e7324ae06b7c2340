"""The search index on a real node: the newest change stands, deletes hold, and each refused document is named."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import opensearchpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opensearchpy import OpenSearch

from handlers import search_index
from handlers.cdc import Change, Discard
from handlers.cdc.invocation import running
from handlers.cdc.projection_search import NotIndexed
from handlers.cdc.testing import Invocation, change
from handlers.cdc.time_budget import OutOfTime
from local.deploy import deploy
from local.endpoint import Endpoint
from tests.local.test_deploy import post
from tests.local.test_program_read_models import refusal
from tests.local.world import wait_until

PROGRAM = Path(__file__).parents[2]
INDEX = search_index.users.index
ADA = {"userId": "u1", "email": "ada@example.com", "plan": "free", "version": 7}


@pytest.fixture
def index(engine: OpenSearch, node: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[OpenSearch]:
    """The node without an index, as a new environment finds it."""
    begin_anew(engine, node, monkeypatch)
    yield engine
    if search_index.users._client is not None:
        search_index.users._client.close()


def begin_anew(engine: OpenSearch, node: str, patch: pytest.MonkeyPatch) -> None:
    engine.indices.delete(index=INDEX, params={"ignore_unavailable": "true"})
    patch.setenv("SEARCH_URL", node)
    patch.setattr(search_index.users, "_client", None)


def write(*changes: Change) -> list[Any]:
    return search_index.handler.function(list(changes))  # type: ignore[return-value]


def found(engine: OpenSearch, **query: Any) -> list[dict[str, Any]]:
    """What readers find under the alias, by user."""
    engine.indices.refresh(index=INDEX)
    body = {"query": query or {"match_all": {}}, "sort": "userId"}
    return [hit["_source"] for hit in engine.search(index="users", body=body)["hits"]["hits"]]


def to(plan: str, version: int = 8) -> Change:
    return change(old={**ADA, "version": version - 1}, new={**ADA, "plan": plan, "version": version})


def test_a_user_is_found_by_words_of_the_address_and_by_plan(index: OpenSearch) -> None:
    assert write(change(new=ADA), to("pro")) == []
    assert found(index, match={"email": "ada"}) == found(index, term={"plan": "pro"})
    assert [user["version"] for user in found(index)] == [8]


def test_a_late_or_repeated_change_is_done_and_changes_nothing(index: OpenSearch) -> None:
    assert write(to("pro", 9)) == []
    assert write(to("enterprise", 8), to("pro", 9)) == []
    assert [user["plan"] for user in found(index)] == ["pro"]


def test_a_delete_holds_longer_than_opensearch_remembers_one(index: OpenSearch) -> None:
    assert write(change(new=ADA)) == []
    index.indices.put_settings(index=INDEX, body={"index.gc_deletes": "0s"})
    assert write(change(old=ADA)) == []
    index.indices.refresh(index=INDEX)
    assert write(change(new=ADA)) == []
    assert found(index) == []
    assert write(to("pro", 9)) == []
    assert [user["plan"] for user in found(index)] == ["pro"]


def test_a_plain_delete_would_be_forgotten_and_undone(index: OpenSearch) -> None:
    """The reason for tombstones."""
    assert write(change(new=ADA)) == []
    index.indices.put_settings(index=INDEX, body={"index.gc_deletes": "0s"})
    index.delete(index=INDEX, id="u1", params={"version": 7, "version_type": "external_gte"})
    index.indices.refresh(index=INDEX)
    wait_until(lambda: write(change(new=ADA)) == [] and found(index) != [])


def test_a_document_that_the_mapping_refuses_is_parked_and_the_others_are_indexed(index: OpenSearch) -> None:
    bad = change(new={**ADA, "userId": "u2", "plan": {"no": "keyword"}})
    ((failed, error),) = write(change(new=ADA), bad, change(new={**ADA, "userId": "u3"}))
    assert failed is bad
    assert isinstance(error, Discard)
    assert "mapper_parsing_exception" in str(error)
    assert "keyword" not in str(error)
    assert [user["userId"] for user in found(index)] == ["u1", "u3"]


def test_a_document_that_cannot_be_taken_now_is_named_for_another_attempt(index: OpenSearch) -> None:
    assert write(change(new=ADA)) == []
    index.indices.put_settings(index=INDEX, body={"index.blocks.write": True})
    late = to("pro")
    ((failed, error),) = write(late)
    assert (failed, type(error)) == (late, NotIndexed)
    index.indices.put_settings(index=INDEX, body={"index.blocks.write": False})
    assert write(late) == []


def test_an_index_that_another_environment_has_made_is_used(index: OpenSearch, monkeypatch: pytest.MonkeyPatch) -> None:
    assert write(change(new=ADA)) == []
    search_index.users._client.close()
    monkeypatch.setattr(search_index.users, "_client", None)
    assert write(to("pro")) == []


def test_an_engine_that_is_not_there_fails_the_batch(index: OpenSearch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEARCH_URL", "http://127.0.0.1:9")
    with pytest.raises(opensearchpy.ConnectionError):
        write(change(new=ADA))


def test_without_time_for_a_call_none_is_begun(index: OpenSearch) -> None:
    with running(Invocation(seconds=0.1)), pytest.raises(OutOfTime):
        write(change(new=ADA))


def test_numbers_keep_all_their_digits(index: OpenSearch) -> None:
    assert write(change(new={**ADA, "seats": 12345678901234567})) == []
    assert found(index)[0]["seats"] == 12345678901234567


#: Writes of users: who, and the plan; a plan of `None` is a delete.
writes = st.lists(
    st.tuples(st.sampled_from(["u1", "u2"]), st.sampled_from(["free", "pro", None])), min_size=1, max_size=8
)


@settings(max_examples=max(settings().max_examples // 3, 1))  # each makes an index
@given(writes, st.data())
def test_the_index_has_the_tables_items_after_any_history_and_any_deliveries(
    engine: OpenSearch, node: str, done: list[Any], data: st.DataObject
) -> None:
    table: dict[str, dict[str, Any]] = {}
    changes: list[Change] = []
    for version, (user, plan) in enumerate(done, start=1):
        old = table.pop(user, None)
        if plan is not None:
            table[user] = {"userId": user, "plan": plan, "version": version}
        if old or user in table:
            changes.append(change(old=old, new=table.get(user)))
    with pytest.MonkeyPatch.context() as patch:
        begin_anew(engine, node, patch)
        assert write(change(new={"userId": "u0", "version": 1})) == []
        for _ in range(2):
            order = data.draw(st.permutations(changes))
            half = data.draw(st.integers(0, len(order)))
            assert write(*order[:half]) == write(*order[half:]) == []
        search_index.users._client.close()
    assert [user for user in found(engine) if user["userId"] != "u0"] == [table[user] for user in sorted(table)]


def test_one_write_in_the_api_reaches_the_index_and_the_role_reaches_nothing_else(
    aws: Endpoint, node: str, index: OpenSearch
) -> None:
    config = {"weir:mailFrom": "search@example.com", "weir:functionTimeout": "20", "weir:searchUrl": node}
    outputs = deploy(PROGRAM, "local", aws.connection, config=config | {"weir:attempts": "6"}).outputs
    item = {"userId": {"S": "u1"}, "email": {"S": "ada@example.com"}, "plan": {"S": "free"}, "version": {"N": "1"}}
    aws.client("dynamodb").put_item(TableName=outputs["usersTable"], Item=item)
    assert post(aws, f"{outputs['apiUrl']}/users/u1/plan", '{"plan": "pro"}')[0] == 200
    wait_until(lambda: index.indices.exists(index=INDEX), timeout=120)
    wait_until(lambda: [user["plan"] for user in found(index, match={"email": "ada"})] == ["pro"], timeout=120)
    for service, operation, parameters in (
        ("dynamodb", "scan", {"TableName": outputs["usersTable"]}),
        ("dynamodb", "put_item", {"TableName": outputs["effectLedgerTable"], "Item": item}),
        ("secretsmanager", "get_secret_value", {"SecretId": "any"}),
    ):
        assert refusal(aws, outputs, "search-index", service, operation, parameters) == "AccessDeniedException"
