"""Filters of mappings on the endpoint, seen through boto3."""

from __future__ import annotations

import json

import pytest
from botocore.exceptions import ClientError

conforms = pytest.mark.conformance
honours = pytest.mark.honours


def criteria(*patterns):
    return {"FilterCriteria": {"Filters": [{"Pattern": json.dumps(pattern)} for pattern in patterns]}}


@pytest.fixture
def written(world):
    """A stream of four items, two of them with the attribute that the filter asks for."""
    stream = world.table()
    world.function()
    world.put("a")
    world.put("b", do="nap")
    world.put("c")
    world.put("d", do="nap")
    return stream


NAPS = {"dynamodb": {"NewImage": {"do": {"S": ["nap"]}}}}


@conforms("ESM-BATCH-5", "recorded")
@honours("lambda:CreateEventSourceMapping", "FilterCriteria")
def test_esm_batch_5_only_what_a_pattern_matches_is_delivered_and_fills_a_batch(world, written):
    mapping = world.mapping(written, BatchSize=2, **criteria(NAPS))
    world.settle(mapping)
    assert world.invocations(mapping) == [(["b", "d"], "success")]


@conforms("ESM-PARAM-11", "documented")
def test_esm_param_11_of_several_patterns_one_suffices(world, written):
    mapping = world.mapping(written, **criteria(NAPS, {"dynamodb": {"Keys": {"id": {"S": ["a"]}}}}))
    world.settle(mapping)
    assert world.invocations(mapping) == [(["a", "b", "d"], "success")]


@conforms("ESM-METRIC-2", "documented")
def test_esm_metric_2_what_no_pattern_matches_is_counted_and_done_with(world, written):
    mapping = world.mapping(written, MetricsConfig={"Metrics": ["EventCount"]}, **criteria({"eventName": ["REMOVE"]}))
    world.settle(mapping)
    assert world.invocations(mapping) == []
    counts = {
        name: world.control.metric_sum(name, EventSourceMappingUUID=mapping)
        for name in ("PolledEventCount", "FilteredOutEventCount", "InvokedEventCount")
    }
    assert counts == {"PolledEventCount": 4, "FilteredOutEventCount": 4, "InvokedEventCount": 0}
    assert world.control.mapping(mapping).unfinished == 0


@honours("lambda:UpdateEventSourceMapping", "FilterCriteria")
def test_what_was_filtered_out_does_not_come_back_with_another_filter(world, written):
    mapping = world.mapping(written, **criteria(NAPS))
    world.settle(mapping)
    world.client("lambda").update_event_source_mapping(UUID=mapping, FilterCriteria={})
    world.wait_until(lambda: world.control.mapping(mapping).state == "Enabled")
    world.put("e")
    world.settle(mapping)
    assert world.invocations(mapping) == [(["b", "d"], "success"), (["e"], "success")]


@conforms("ESM-CREATE-6", "recorded")
def test_esm_create_6_a_filter_is_described_as_it_was_given_and_gone_when_it_is_empty(world, written):
    given = criteria(NAPS)
    mapping = world.mapping(written, Enabled=False, **given)
    functions = world.client("lambda")
    assert functions.get_event_source_mapping(UUID=mapping)["FilterCriteria"] == given["FilterCriteria"]
    functions.update_event_source_mapping(UUID=mapping, FilterCriteria={"Filters": []})
    assert "FilterCriteria" not in functions.get_event_source_mapping(UUID=mapping)


@conforms("ESM-REFUSE-5", "recorded")
@conforms("ESM-FILTER-1", "recorded")
@pytest.mark.parametrize("pattern", ['{"eventName": "INSERT"}', "{", '{"eventName": []}'])
def test_esm_refuse_5_a_filter_that_is_no_event_pattern_is_refused_as_aws_does(world, written, pattern):
    with pytest.raises(ClientError, match=r"InvalidParameterValueException.*Invalid filter pattern definition\."):
        world.mapping(written, FilterCriteria={"Filters": [{"Pattern": pattern}]})
