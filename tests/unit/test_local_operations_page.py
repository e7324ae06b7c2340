from __future__ import annotations

import pytest

from local.endpoint.api.operations import OPERATIONS, Members
from tools import local_operations


def test_every_operation_and_member_that_the_endpoint_takes_is_shown_by_a_test():
    assert local_operations.wrong() == [], (
        "mark a test that sets the member and looks for its effect with `honours`, "
        "or take it out of local/endpoint/api/operations.py"
    )


def test_the_page_of_operations_is_what_the_list_and_the_tests_say():
    written = local_operations.PAGE.read_text(encoding="utf-8")
    assert written == local_operations.page(), "run `make docs` and commit docs/local-operations.md"


def test_what_no_test_shows_is_named(monkeypatch: pytest.MonkeyPatch):
    listed = {**OPERATIONS["sts"], "GetSessionToken": Members(frozenset({"DurationSeconds"}), frozenset({"TokenCode"}))}
    monkeypatch.setitem(OPERATIONS, "sts", listed)
    assert local_operations.wrong() == [
        "no test shows sts:GetSessionToken",
        "no test shows DurationSeconds of sts:GetSessionToken",
        "no test shows TokenCode of sts:GetSessionToken",
    ]


def test_what_is_shown_and_not_listed_is_named(monkeypatch: pytest.MonkeyPatch):
    queues = {**OPERATIONS["sqs"], "GetQueueUrl": Members(frozenset(), frozenset())}
    monkeypatch.setitem(OPERATIONS, "sqs", queues)
    without = {name: members for name, members in OPERATIONS["sts"].items() if name != "GetCallerIdentity"}
    monkeypatch.setitem(OPERATIONS, "sts", without)
    assert local_operations.wrong() == [
        "a test shows QueueName of sqs:GetQueueUrl, which is not listed",
        "a test shows QueueOwnerAWSAccountId of sqs:GetQueueUrl, which is not listed",
        "a test shows sts:GetCallerIdentity, which is not listed",
    ]
