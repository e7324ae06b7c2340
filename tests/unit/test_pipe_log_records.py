"""Log records of pipes."""

from __future__ import annotations

import json
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local.engine.pipes import log_records
from local.engine.pipes.log_records import LEVEL_OF, RECORD_BYTES, is_logged, record

conforms = pytest.mark.conformance


def make(**data):
    return record("EXECUTION_STARTED", data=data, error=None, pipe_arn="arn", execution_id="id", now=1.5)


def size(made):
    return len(json.dumps(made, separators=(",", ":")).encode())


@conforms("PIPE-OPS-2", "documented")
def test_pipe_ops_2_a_record_is_dated_in_milliseconds():
    assert make()["timestamp"] == 1500


@conforms("PIPE-OPS-1", "documented")
def test_pipe_ops_1_execution_data_that_is_too_long_is_cut_the_payload_first():
    made = make(payload=["x" * RECORD_BYTES], awsRequest={"a": 1}, awsResponse={"b": 2})
    assert made["truncatedFields"] == ["payload"]
    assert made["payload"].startswith('["xxx')
    assert (made["awsRequest"], made["awsResponse"]) == ('{"a":1}', '{"b":2}')


def test_a_field_is_cut_whole_before_the_next_one_is():
    made = make(payload="p" * 10, awsRequest="q" * RECORD_BYTES, awsResponse="r" * 10)
    assert made["truncatedFields"] == ["payload", "awsRequest"]
    assert (made["payload"], made["awsResponse"]) == ("", "r" * 10)


@conforms("PIPE-OPS-1", "documented")
@given(
    st.fixed_dictionaries(
        {},
        optional={
            name: st.builds(lambda text, times: text * times, st.text(max_size=8), st.integers(0, 200))
            for name in ("payload", "awsRequest", "awsResponse")
        },
    )
)
def test_pipe_ops_1_a_record_never_has_more_than_256_kilobytes(data):
    with mock.patch.object(log_records, "RECORD_BYTES", 2048):
        assert size(make(**data)) <= 2048


@conforms("PIPE-OPS-2", "documented")
def test_pipe_ops_2_a_level_holds_the_steps_of_the_levels_before():
    for step in LEVEL_OF:
        shown = [is_logged(step, level) for level in ("OFF", "ERROR", "INFO", "TRACE")]
        assert shown == sorted(shown)
        assert (shown[0], shown[-1]) == (False, True)
