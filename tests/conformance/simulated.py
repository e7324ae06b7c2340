"""Runs a scenario and looks at its report."""

from __future__ import annotations

from typing import Any

import pytest

from local.simulation.parsing import InvalidScenario, parse
from local.simulation.simulate import simulate

Report = dict[str, Any]

QUEUE = "arn:aws:sqs:us-east-1:111122223333:failures"
TOPIC = "arn:aws:sns:us-east-1:111122223333:failures"
BUCKET = "arn:aws:s3:::failures"


def run(scenario: str) -> Report:
    """The report of a scenario written as YAML."""
    return simulate(parse(scenario)).document


def refused(scenario: str) -> str:
    """Return the problems of an invalid scenario."""
    with pytest.raises(InvalidScenario) as error:
        parse(scenario)
    return str(error.value)


def mapping(settings: str, *, records: int = 4, rest: str = "") -> Report:
    """The report of a mapping with these settings and records 1, 2, 3…, all written at once."""
    written = "\n".join(f'  - {{dynamodb: {{SequenceNumber: "{number}"}}}}' for number in range(1, records + 1))
    return run(f"eventSourceMapping: {{StartingPosition: TRIM_HORIZON, {settings}}}\nrecords:\n{written}\n{rest}")


def batches(report: Report) -> list[str]:
    """The records of each invocation, as one word: `1234`, or `-` for the final call of a window."""
    return ["".join(each["identifiers"]) or "-" for each in report["invocations"]]


def outcomes(report: Report) -> list[str]:
    """Return the outcome of each invocation."""
    return [each["outcome"] for each in report["invocations"]]


def times(report: Report) -> list[float]:
    """Return the time of each invocation, in seconds."""
    return [each["t"] for each in report["invocations"]]


def letters(report: Report) -> list[Report]:
    """The documents that the on-failure destination got."""
    return [each["body"] for each in report["onFailure"] if each["delivered"]]


def same_request(report: Report) -> list[int]:
    """Number the invocations, those with the same request id by its first occurrence."""
    ids = [each["requestId"] for each in report["invocations"]]
    return [ids.index(each) for each in ids]
