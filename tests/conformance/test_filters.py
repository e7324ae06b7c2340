"""Selection by a mapping's filters (docs/aws-semantics.md §2.8)."""

from __future__ import annotations

import json

import pytest

from tests.conformance.simulated import batches, refused, run

conforms = pytest.mark.conformance

RECORDS = """
records:
  - dynamodb: {SequenceNumber: "1", Keys: {pk: {S: a}}, NewImage: {pk: {S: a}, n: {N: "101"}, note: {S: x}}}
  - eventName: REMOVE
    userIdentity: {type: Service, principalId: dynamodb.amazonaws.com}
    dynamodb: {SequenceNumber: "2", Keys: {pk: {S: b}}, OldImage: {pk: {S: b}}}
"""


def selected(*patterns: object) -> str:
    texts = [pattern if isinstance(pattern, str) else json.dumps(pattern) for pattern in patterns]
    filters = json.dumps([{"Pattern": text} for text in texts])
    report = run(
        f"eventSourceMapping: {{StartingPosition: TRIM_HORIZON, FilterCriteria: {{Filters: {filters}}}}}\n{RECORDS}"
    )
    return "".join(batches(report))


@conforms("ESM-FILTER-1", "recorded")
@pytest.mark.parametrize("pattern", ['{"eventName": "MODIFY"}', '{"dynamodb": {"SizeBytes": 300}}'])
def test_esm_filter_1_a_value_that_is_no_array_is_refused(pattern: str):
    scenario = f"""
    eventSourceMapping:
      StartingPosition: TRIM_HORIZON
      FilterCriteria: {{Filters: [{{Pattern: '{pattern}'}}]}}
    """
    assert refused(scenario) == "eventSourceMapping: Invalid filter pattern definition."


@conforms("ESM-FILTER-2", "recorded")
def test_esm_filter_2_everything_that_get_records_shows_can_be_filtered_on_and_the_arn_cannot():
    assert selected({"eventName": ["REMOVE"]}) == "2"
    assert selected({"eventSource": ["aws:dynamodb"]}) == "12"
    assert selected({"userIdentity": {"type": ["Service"]}}) == "2"
    assert selected({"eventSourceARN": [{"exists": True}]}) == ""


@conforms("ESM-FILTER-3", "recorded")
def test_esm_filter_3_a_path_without_the_type_matches_nothing():
    assert selected({"dynamodb": {"NewImage": {"note": {"S": ["x"]}}}}) == "1"
    assert selected({"dynamodb": {"NewImage": {"note": ["x"]}}}) == ""


@conforms("ESM-FILTER-4", "recorded")
def test_esm_filter_4_a_number_is_text_and_numeric_never_matches_it():
    assert selected({"dynamodb": {"NewImage": {"n": {"N": [{"numeric": [">", 100]}]}}}}) == ""
    assert selected({"dynamodb": {"NewImage": {"n": {"N": ["101"]}}}}) == "1"
    assert selected({"dynamodb": {"ApproximateCreationDateTime": [{"numeric": [">", 0]}]}}) == "12"
    assert selected({"dynamodb": {"SizeBytes": [{"numeric": [">", 6]}]}}) == "1"  # 15 bytes, and 6


@conforms("ESM-FILTER-5", "recorded")
def test_esm_filter_5_exists_works_on_leaves_only():
    assert selected({"dynamodb": {"NewImage": {"note": {"S": [{"exists": True}]}}}}) == "1"
    assert selected({"dynamodb": {"NewImage": {"note": [{"exists": True}]}}}) == ""
    assert selected({"dynamodb": {"NewImage": {"note": [{"exists": False}]}}}) == "12"


@conforms("ESM-FILTER-6", "recorded")
def test_esm_filter_6_anything_but_does_not_match_what_is_missing():
    other = {"dynamodb": {"NewImage": {"note": {"S": [{"anything-but": "y"}]}}}}
    none = {"dynamodb": {"NewImage": {"note": {"S": [{"exists": False}]}}}}
    assert selected(other) == "1"
    assert selected({"$or": [other, none]}) == "12"


@conforms("ESM-FILTER-7", "recorded")
def test_esm_filter_7_a_number_is_compared_by_its_value_and_the_last_of_two_equal_names_counts():
    assert selected('{"dynamodb": {"SizeBytes": [6.0]}}') == "2"
    assert selected('{"dynamodb": {"SizeBytes": [6e0]}}') == "2"
    assert selected('{"eventName": ["INSERT"], "eventName": ["REMOVE"]}') == "2"


@conforms("ESM-FILTER-8", "documented")
def test_esm_filter_8_what_looks_like_a_path_to_the_other_image_is_a_text():
    image = "b"  # of the record's only attribute in both images
    for path in ("$.dynamodb.OldImage.pk.S", "<$.dynamodb.OldImage.pk.S>"):
        assert selected({"dynamodb": {"Keys": {"pk": {"S": [path]}}}}) == ""
    assert selected({"dynamodb": {"Keys": {"pk": {"S": [image]}}, "OldImage": {"pk": {"S": [image]}}}}) == "2"


@conforms("ESM-PARAM-11", "documented")
def test_esm_param_11_of_several_patterns_one_has_to_match():
    assert selected({"eventName": ["REMOVE"]}, {"dynamodb": {"NewImage": {"n": {"N": ["101"]}}}}) == "12"
