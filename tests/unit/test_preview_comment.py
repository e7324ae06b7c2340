"""The comment of the CI recipe: the diff, the violations and the errors of a preview, from the engine's event log."""

from __future__ import annotations

from typing import Any

from tools.preview_comment import ROWS, comment

URN = "urn:pulumi:dev::shop::weir:index:Stream$aws:sqs/queue:Queue::orders"


def step(op: str, urn: str = URN, diffs: list[str] | None = None) -> dict[str, Any]:
    return {"resourcePreEvent": {"metadata": {"op": op, "urn": urn, "type": "aws:sqs/queue:Queue", "diffs": diffs}}}


def test_a_preview_without_changes_says_so() -> None:
    assert comment([step("same"), {"summaryEvent": {}}]) == "### Pulumi preview: no changes\n"


def test_changes_are_counted_and_listed_with_what_differs() -> None:
    written = comment([step("update", diffs=["visibilityTimeoutSeconds"]), step("create"), step("create")])
    assert written.startswith("### Pulumi preview: 2 create, 1 update\n")
    assert "| update | Queue | orders | visibilityTimeoutSeconds |" in written


def test_a_violation_shows_its_rule_and_its_whole_message_in_one_row() -> None:
    event = {
        "policyEvent": {
            "enforcementLevel": "mandatory",
            "policyName": "mapping-bounded-retries",
            "resourceUrn": URN,
            "message": "retries have no end\nfix: set a | b",
        }
    }
    assert "| mandatory | mapping-bounded-retries | orders | retries have no end<br>fix: set a \\| b |" in comment(
        [event]
    )


def test_errors_are_quoted_and_warnings_are_not() -> None:
    events = [{"diagnosticEvent": {"severity": each, "message": f"an {each}\n"}} for each in ("error", "warning")]
    assert comment(events).endswith("#### Errors\n```\nan error\n```\n")


def test_a_long_list_ends_with_the_number_of_those_left_out() -> None:
    assert "… and 5 more" in comment([step("create")] * (ROWS + 5))
