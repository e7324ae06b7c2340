"""Forming of batches (docs/aws-semantics.md §1.1, §2.1 to §2.4)."""

from __future__ import annotations

import json

import pytest

from local.engine.streams import lane
from tests.conformance.simulated import QUEUE, batches, letters, mapping, outcomes, run, times

conforms = pytest.mark.conformance


@conforms(
    "ESM-BATCH-1", "documented", partly="polling four times a second: a record is read at once when it can be seen"
)
def test_esm_batch_1_a_shard_has_one_invocation_at_a_time():
    report = mapping("BatchSize: 1", records=3, rest="handler: [{takes: 2}]")
    assert times(report) == [0, 2, 4]


@conforms("ESM-BATCH-2", "documented")
def test_esm_batch_2_a_full_batch_does_not_wait_for_its_window():
    report = mapping("BatchSize: 2, MaximumBatchingWindowInSeconds: 30", records=3)
    assert list(zip(batches(report), times(report), strict=True)) == [("12", 0), ("3", 30)]
    exactly = mapping("BatchSize: 2, MaximumBatchingWindowInSeconds: 30", records=2)
    assert times(exactly) == [0]


@conforms("ESM-BATCH-2", "documented")
def test_esm_batch_2_a_batch_is_invoked_when_its_payload_is_full():
    image = f"{{text: {{S: {'x' * 350_000}}}}}"
    many = "\n".join(f'  - {{dynamodb: {{SequenceNumber: "{number}", NewImage: {image}}}}}' for number in range(1, 20))
    report = run(
        f"eventSourceMapping: {{StartingPosition: TRIM_HORIZON, MaximumBatchingWindowInSeconds: 60}}\nrecords:\n{many}"
    )
    sizes = [len(each["identifiers"]) for each in report["invocations"]]
    assert sizes == [17, 2]  # 17 times 350 kB is under 6 MB, and 18 times is over
    assert times(report) == [0, 60]


@conforms("ESM-BATCH-2", "documented")
def test_esm_batch_2_a_batch_never_mixes_shards():
    report = run("""
    eventSourceMapping: {StartingPosition: TRIM_HORIZON}
    stream: {shards: [{id: left}, {id: right}]}
    records:
      - {shard: left, dynamodb: {SequenceNumber: "1"}}
      - {shard: right, dynamodb: {SequenceNumber: "2"}}
      - {shard: left, dynamodb: {SequenceNumber: "3"}}
    """)
    assert sorted(batches(report)) == ["13", "2"]


@conforms("ESM-BATCH-3", "documented")
def test_esm_batch_3_without_a_window_a_batch_is_what_there_is():
    report = run("""
    eventSourceMapping: {StartingPosition: TRIM_HORIZON}
    records:
      - {at: 0, dynamodb: {SequenceNumber: "1"}}
      - {at: 1, dynamodb: {SequenceNumber: "2"}}
      - {at: 1.5, dynamodb: {SequenceNumber: "3"}}
      - {at: 1.6, dynamodb: {SequenceNumber: "4"}}
    handler: [{when: {contains: ["2"]}, takes: 1}]
    """)
    assert list(zip(batches(report), times(report), strict=True)) == [("1", 0), ("2", 1), ("34", 2)]


@conforms("ESM-BATCH-4", "recorded")
def test_esm_batch_4_the_next_window_starts_when_the_previous_invocation_ends():
    report = mapping("BatchSize: 2, MaximumBatchingWindowInSeconds: 5", records=5, rest="handler: [{takes: 0.5}]")
    assert list(zip(batches(report), times(report), strict=True)) == [("12", 0), ("34", 0.5), ("5", 6)]


@conforms("ESM-BATCH-4", "documented")
def test_esm_batch_4_a_record_that_comes_within_the_window_waits_for_its_end_and_a_later_one_for_a_whole_window():
    report = run("""
    eventSourceMapping: {StartingPosition: TRIM_HORIZON, BatchSize: 2, MaximumBatchingWindowInSeconds: 5}
    records:
      - {at: 0, dynamodb: {SequenceNumber: "1"}}
      - {at: 1, dynamodb: {SequenceNumber: "2"}}
      - {at: 4, dynamodb: {SequenceNumber: "3"}}
      - {at: 20, dynamodb: {SequenceNumber: "4"}}
    handler: [{takes: 0.5}]
    """)
    assert list(zip(batches(report), times(report), strict=True)) == [("12", 1), ("3", 6.5), ("4", 25)]


@conforms("ESM-BATCH-5", "recorded")
def test_esm_batch_5_records_that_no_filter_matches_never_enter_a_batch():
    report = run("""
    eventSourceMapping:
      StartingPosition: TRIM_HORIZON
      BatchSize: 2
      FilterCriteria: {Filters: [{Pattern: '{"eventName": ["MODIFY"]}'}]}
    records:
      - {eventName: INSERT, dynamodb: {SequenceNumber: "1"}}
      - {eventName: MODIFY, dynamodb: {SequenceNumber: "2"}}
      - {eventName: REMOVE, dynamodb: {SequenceNumber: "3"}}
      - {eventName: MODIFY, dynamodb: {SequenceNumber: "4"}}
      - {eventName: INSERT, dynamodb: {SequenceNumber: "5"}}
    """)
    assert batches(report) == ["24"]
    assert report["filteredOut"] == ["1", "3", "5"]
    assert list(report["checkpoints"].values()) == ["5"]


@conforms("ESM-BATCH-6", "recorded")
@pytest.mark.parametrize(("retries", "gives_up_at"), [(0, 0), (2, 0.75)])
def test_esm_batch_6_a_record_too_large_for_an_invocation_spends_its_retries_and_is_never_delivered(
    retries: int, gives_up_at: float, monkeypatch: pytest.MonkeyPatch
):
    # Items of 400 kB can exceed the real limit as JSON: a name of one letter and a boolean are 5 bytes there, 20 here.
    monkeypatch.setattr(lane, "RECORDS_BYTES", 2000)
    flags = {f"a{index}": {"BOOL": True} for index in range(60)}
    large = {"SequenceNumber": "1", "NewImage": flags, "OldImage": flags}
    scenario = {
        "eventSourceMapping": {
            "StartingPosition": "TRIM_HORIZON",
            "MaximumRetryAttempts": retries,
            "DestinationConfig": {"OnFailure": {"Destination": QUEUE}},
        },
        "records": [{"dynamodb": large}, {"dynamodb": {"SequenceNumber": "2"}}],
    }
    report = run(json.dumps(scenario))
    assert batches(report) == ["2"]
    (letter,) = letters(report)
    assert letter["requestContext"]["condition"] == "RetryAttemptsExhausted"
    assert letter["requestContext"]["approximateInvokeCount"] == retries + 1
    assert "responseContext" not in letter
    assert report["onFailure"][0]["t"] == gives_up_at


@conforms("ESM-ORDER-1", "documented")
@conforms("ESM-ORDER-2", "documented")
def test_esm_order_1_a_factor_delivers_that_many_batches_of_a_shard_at_a_time_and_keeps_each_items_order():
    items = "\n".join(
        f'  - {{dynamodb: {{SequenceNumber: "{number}", Keys: {{pk: {{S: item-{number % 10}}}}}}}}}'
        for number in range(100, 160)
    )
    report = run(f"""
eventSourceMapping: {{StartingPosition: TRIM_HORIZON, BatchSize: 5, ParallelizationFactor: 4}}
records:
{items}
handler: [{{takes: 1}}]
""")
    running = [sum(at <= other < at + 1 for other in times(report)) for at in times(report)]
    assert max(running) == 4
    seen: dict[int, list[int]] = {}
    for each in report["invocations"]:
        for identifier in map(int, each["identifiers"]):
            seen.setdefault(identifier % 10, []).append(identifier)
    assert all(numbers == sorted(numbers) for numbers in seen.values())
    assert sum(map(len, seen.values())) == 60


@conforms("ESM-ORDER-1", "documented")
def test_esm_order_1_no_more_batches_run_at_a_time_than_shards_times_the_factor():
    items = "\n".join(
        f'  - {{shard: shard-{number % 2}, dynamodb: {{SequenceNumber: "{number}", Keys: {{pk: {{S: "{number}"}}}}}}}}'
        for number in range(100, 160)
    )
    report = run(f"""
eventSourceMapping: {{StartingPosition: TRIM_HORIZON, BatchSize: 1, ParallelizationFactor: 3}}
stream: {{shards: [{{id: shard-0}}, {{id: shard-1}}]}}
records:
{items}
handler: [{{takes: 1}}]
""")
    running = [sum(at <= other < at + 1 for other in times(report)) for at in times(report)]
    assert max(running) == 2 * 3
    assert len(batches(report)) == 60


@conforms("ESM-ORDER-3", "deduced")
def test_esm_order_3_the_lane_follows_from_the_items_whole_key_and_stays():
    report = run("""
    eventSourceMapping: {StartingPosition: TRIM_HORIZON, BatchSize: 1, ParallelizationFactor: 10}
    records:
      - {dynamodb: {SequenceNumber: "1", Keys: {pk: {S: a}, sk: {S: "1"}}}}
      - {dynamodb: {SequenceNumber: "2", Keys: {pk: {S: a}, sk: {S: "2"}}}}
      - {dynamodb: {SequenceNumber: "3", Keys: {sk: {S: "1"}, pk: {S: a}}}}
    """)
    lane = {each["identifiers"][0]: each["lane"] for each in report["invocations"]}
    assert lane["1"] == lane["3"] != lane["2"]


@conforms("ESM-ORDER-2", "documented")
def test_esm_order_2_a_poison_item_holds_up_its_own_lane_only():
    report = run("""
    eventSourceMapping: {StartingPosition: TRIM_HORIZON, BatchSize: 1, ParallelizationFactor: 10}
    until: 100
    records:
      - {dynamodb: {SequenceNumber: "1", Keys: {pk: {S: bad}}}}
      - {dynamodb: {SequenceNumber: "2", Keys: {pk: {S: bad}}}}
      - {dynamodb: {SequenceNumber: "3", Keys: {pk: {S: good}}}}
    handler: [{when: {contains: ["1"]}, then: raise}]
    """)
    assert "3" in batches(report)
    assert report["unfinished"] == ["1", "2"]
    assert list(report["checkpoints"].values()) == [None]  # what is done behind an open record is no prefix


@conforms("ESM-ORDER-4", "documented")
def test_esm_order_4_a_child_waits_for_its_parent_in_whatever_order_the_shards_are_named():
    report = run("""
    eventSourceMapping: {StartingPosition: TRIM_HORIZON}
    stream: {shards: [{id: grandchild, parent: child}, {id: child, parent: parent}, {id: parent}]}
    records:
      - {shard: grandchild, dynamodb: {SequenceNumber: "3"}}
      - {shard: child, dynamodb: {SequenceNumber: "2"}}
      - {shard: parent, dynamodb: {SequenceNumber: "1"}}
    handler: [{takes: 1}]
    """)
    assert list(zip(batches(report), times(report), strict=True)) == [("1", 0), ("2", 1), ("3", 2)]


@conforms("DDB-SHARD-2", "documented", partly="no shard of the endpoint splits")
@conforms("ESM-ORDER-4", "documented")
def test_esm_order_4_a_child_waits_for_its_parent_and_siblings_do_not_wait():
    report = run("""
    eventSourceMapping: {StartingPosition: TRIM_HORIZON, BatchSize: 1, MaximumRetryAttempts: 2}
    stream: {shards: [{id: parent}, {id: left, parent: parent}, {id: right, parent: parent}, {id: other}]}
    records:
      - {shard: left, dynamodb: {SequenceNumber: "3"}}
      - {shard: right, dynamodb: {SequenceNumber: "4"}}
      - {shard: parent, dynamodb: {SequenceNumber: "1"}}
      - {shard: parent, at: 5, dynamodb: {SequenceNumber: "2"}}
      - {shard: other, dynamodb: {SequenceNumber: "5"}}
    handler: [{when: {contains: ["2"]}, then: raise}]
    """)
    at = dict(zip(batches(report), times(report), strict=True))
    assert at["5"] == at["1"] == 0
    assert at["3"] == at["4"] == 5.75  # when the parent's last record was given up
    assert report["checkpoints"] == {"parent": "2", "left": "3", "right": "4", "other": "5"}


@conforms("ESM-PARAM-14", "documented")
@conforms("ESM-METRIC-2", "documented")
@pytest.mark.parametrize("filters", ["", """FilterCriteria: {Filters: [{Pattern: '{"eventName": ["REMOVE"]}'}]}"""])
def test_esm_param_14_a_mapping_that_is_not_enabled_reads_nothing(filters: str):
    report = mapping(f"Enabled: false, {filters}")
    assert report["invocations"] == []
    assert report["unfinished"] == ["1", "2", "3", "4"]
    assert list(report["checkpoints"].values()) == [None]
    assert set(report["metrics"].values()) == {0}


@conforms("ESM-PARAM-4", "documented")
def test_esm_param_4_latest_skips_what_was_written_before_the_mapping_existed():
    records = 'records: [{at: -1, dynamodb: {SequenceNumber: "1"}}, {at: 1, dynamodb: {SequenceNumber: "2"}}]'
    latest = run(f"eventSourceMapping: {{StartingPosition: LATEST}}\n{records}")
    oldest = run(f"eventSourceMapping: {{StartingPosition: TRIM_HORIZON}}\n{records}")
    assert batches(latest) == ["2"]
    assert latest["metrics"]["PolledEventCount"] == 1
    assert batches(oldest) == ["1", "2"]


@conforms("ESM-PARAM-1", "recorded")
def test_esm_param_1_without_a_batch_size_it_is_100():
    report = mapping("", records=101)
    assert [len(each["identifiers"]) for each in report["invocations"]] == [100, 1]


@conforms("ESM-PARAM-1", "recorded")
def test_esm_param_1_a_large_batch_needs_no_window():
    report = mapping("BatchSize: 101, MaximumBatchingWindowInSeconds: 0", records=102)
    assert [len(each["identifiers"]) for each in report["invocations"]] == [101, 1]


@conforms("ESM-PARAM-2", "documented")
def test_esm_param_2_a_batch_waits_as_long_as_its_window():
    report = run("""
    eventSourceMapping: {StartingPosition: TRIM_HORIZON, MaximumBatchingWindowInSeconds: 10}
    records:
      - {at: 3, dynamodb: {SequenceNumber: "1"}}
      - {at: 8, dynamodb: {SequenceNumber: "2"}}
      - {at: 13, dynamodb: {SequenceNumber: "3"}}
    """)
    assert list(zip(batches(report), times(report), strict=True)) == [("123", 13)]


@conforms("ESM-PARAM-6", "recorded")
@pytest.mark.parametrize("retries", [0, 1, 5])
def test_esm_param_6_n_retries_are_n_plus_one_invocations(retries: int):
    report = mapping(f"MaximumRetryAttempts: {retries}", records=1, rest="handler: [{then: raise}]")
    assert len(report["invocations"]) == retries + 1
    assert report["dropped"][0]["reason"] == "RetryAttemptsExhausted"


@conforms("DDB-LIMIT-1", "documented")
def test_ddb_limit_1_a_record_is_gone_after_the_retention_although_nobody_read_it():
    report = run("""
    eventSourceMapping: {StartingPosition: TRIM_HORIZON}
    records:
      - {at: 0, visibleAt: 90000, dynamodb: {SequenceNumber: "1"}}
      - {at: 10000, visibleAt: 90000, dynamodb: {SequenceNumber: "2"}}
    """)
    assert batches(report) == ["2"]
    assert report["dropped"] == [{"t": 90000.0, "identifiers": ["1"], "reason": "retention"}]


@conforms("DDB-RECORD-4", "recorded")
def test_ddb_record_4_sequence_numbers_of_different_lengths_are_compared_as_numbers():
    report = run("""
    eventSourceMapping: {StartingPosition: TRIM_HORIZON, BatchSize: 1}
    records:
      - {dynamodb: {SequenceNumber: "104000001594719230901025"}}
      - {dynamodb: {SequenceNumber: "58700000641778711598503"}}
    """)
    assert [each["identifiers"][0][:3] for each in report["invocations"]] == ["587", "104"]


@conforms("ESM-BATCH-1", "documented")
def test_esm_batch_1_records_that_come_during_an_invocation_wait_for_it():
    report = run("""
    eventSourceMapping: {StartingPosition: TRIM_HORIZON}
    function: {Timeout: 900}
    records:
      - {at: 0, dynamodb: {SequenceNumber: "1"}}
      - {at: 1, dynamodb: {SequenceNumber: "2"}}
      - {at: 99, dynamodb: {SequenceNumber: "3"}}
    handler: [{times: 1, takes: 100}]
    """)
    assert list(zip(batches(report), times(report), strict=True)) == [("1", 0), ("23", 100)]
    assert outcomes(report) == ["success", "success"]
