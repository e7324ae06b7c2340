"""The scenarios in examples/scenarios give what their comments say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from local.simulation.parsing import parse
from local.simulation.simulate import simulate

FOLDER = Path(__file__).parents[2] / "examples" / "scenarios"

#: Invocations by outcome, then what else a scenario is there to show.
EXPECTED: dict[str, dict[str, Any]] = {
    "batch-window": {"success": 3, "last": (5.0, ["105"])},
    "bisect": {"success": 3, "error": 5, "dead letters": ["106"]},
    "destination-fails": {"error": 2, "dropped": ["101", "102"], "DestinationDeliveryFailures": 1},
    "filters": {"success": 1, "filtered out": ["101"]},
    "kinesis-pipe": {
        "error": 2,
        "success": 2,
        "filtered out": ["shardId-000000000000:102"],
        "dead letters": ["103"],
        "last": (0.5, ["shardId-000000000000:104"]),
    },
    "latest-loses-records": {"success": 1, "last": (5.0, ["102"]), "PolledEventCount": 1},
    "malformed-answer": {"error": 2, "success": 1, "dropped": ["101", "102"], "Errors": 0},
    "merged-shards": {"success": 3, "last": (6.0, ["103"])},
    "parallelization": {"error": 7, "success": 2, "unfinished": ["101", "103"]},
    "partial-response": {"success": 1, "partial": 1, "error": 4, "dead letters": ["106"], "Errors": 0},
    "pasted-from-aws": {"partial": 1, "error": 3, "dead letters": ["58700000641778711598504"]},
    "pipe-enrichment": {"success": 2, "error": 1},
    "pipe-partial-failure": {"partial": 1, "error": 3, "dead letters": ["102"]},
    "poison-under-the-defaults": {"error": 1447, "success": 1, "dropped": ["101"], "last": (86403.75, ["102"])},
    "queue-fifo": {"error": 2, "success": 4, "dead letters": ["a2"], "last": (60.0, ["a3"])},
    "queue-partial-response": {"partial": 1, "error": 1, "success": 1, "unfinished": [], "dead letters": ["103"]},
    "record-age": {"success": 1, "dead letters": ["101"]},
    "reserved-concurrency": {"success": 2, "throttled": 3, "Throttles": 3, "last": (1.75, ["103"])},
    "retries-and-back-off": {"error": 6, "dead letters": ["101"], "last": (7.75, ["101"])},
    "slow-function": {"timeout": 2, "success": 2, "last": (20.75, ["102", "103"])},
    "split-shard": {"success": 2, "error": 3, "dropped": ["102"]},
    "three-minute-outage": {"error": 11, "success": 3, "dead letters": []},
    "throttled-function": {"throttled": 6, "success": 1, "Throttles": 6},
    "tumbling-window": {"success": 5},
    "tumbling-window-final-call-fails": {"success": 3, "error": 2, "dead letters": [None]},
}


def test_every_scenario_is_executed_and_listed():
    names = {path.stem for path in FOLDER.glob("*.yaml")}
    assert names == set(EXPECTED)
    listed = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert all(f"[{name}.yaml]({name}.yaml)" in listed for name in names)


@pytest.mark.parametrize("name", EXPECTED)
def test_a_scenario_shows_what_it_says(name: str):
    report = simulate(parse((FOLDER / f"{name}.yaml").read_text(encoding="utf-8"))).document
    outcomes = [each["outcome"] for each in report["invocations"]]
    bodies = [each["body"] for each in report["onFailure"] if each["delivered"]]
    letters = [
        body["messageId"] if "messageId" in body else info.get("startSequenceNumber")
        for body in bodies
        for name, info in body.items()
        if name.endswith("BatchInfo") or name == "messageId"
    ]
    last = report["invocations"][-1]
    seen: dict[str, Any] = {
        **{outcome: outcomes.count(outcome) for outcome in set(outcomes)},
        **report["metrics"],
        "dead letters": letters,
        "dropped": [each for entry in report["dropped"] for each in entry["identifiers"]],
        "filtered out": report["filteredOut"],
        "unfinished": report["unfinished"],
        "last": (last["t"], last["identifiers"]),
    }
    expected = EXPECTED[name]
    assert {figure: seen[figure] for figure in expected} == expected
    assert len(outcomes) == sum(expected.get(outcome, 0) for outcome in set(outcomes))
