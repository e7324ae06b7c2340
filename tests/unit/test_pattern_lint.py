"""Filters that AWS accepts and that never match, or always do, each with the one that was meant."""

import pytest

from aws_semantics.event_patterns import InvalidPattern, impossible, lint


def new(attribute):
    return {"dynamodb": {"NewImage": attribute}}


# title: (pattern, path of the finding, what, part of why and fix, view type), and the same meant well
CASES = {
    "numeric on a number of DynamoDB": (
        new({"age": {"N": [{"numeric": [">", 17]}]}}),
        ("dynamodb.NewImage.age.N[0]", "can never match", "is a string in a record"),
        new({"age": {"N": [{"prefix": "1"}]}}),
    ),
    "a dead numeric beside a living alternative": (
        new({"age": {"N": [{"numeric": [">", 100]}, {"anything-but": "101"}]}}),
        ("dynamodb.NewImage.age.N[0]", "can never match", "is a string in a record"),
        new({"age": {"N": [{"anything-but": "101"}]}}),
    ),
    "a number that is not quoted": (
        new({"age": {"N": [101]}}),
        ("dynamodb.NewImage.age.N[0]", "can never match", "as strings"),
        new({"age": {"N": ["101"]}}),
    ),
    "a number in a set that is not quoted": (
        new({"ages": {"NS": [101]}}),
        ("dynamodb.NewImage.ages.NS[0]", "can never match", "as strings"),
        new({"ages": {"NS": ["101"]}}),
    ),
    "a number with zeroes that DynamoDB does not keep": (
        new({"price": {"N": ["10.50"]}}),
        ("dynamodb.NewImage.price.N[0]", "can never match", 'write "10.5"'),
        new({"price": {"N": ["10.5", "0", "-3", "1E+100", "100"]}}),
    ),
    "a text for a number": (
        new({"price": {"N": ["ten"]}}),
        ("dynamodb.NewImage.price.N[0]", "can never match", "not a number"),
        new({"price": {"S": ["ten"]}}),
    ),
    "a missing type descriptor": (
        new({"plan": ["pro"]}),
        ("dynamodb.NewImage.plan", "can never match", "type descriptor"),
        new({"plan": {"S": ["pro"]}}),
    ),
    "exists above the type descriptor": (
        new({"plan": [{"exists": True}]}),
        ("dynamodb.NewImage.plan", "can never match", "leaves only"),
        new({"plan": {"S": [{"exists": True}]}}),
    ),
    "not exists above the type descriptor": (
        new({"plan": [{"exists": False}]}),
        ("dynamodb.NewImage.plan", "always matches", "leaves only"),
        new({"plan": {"S": [{"exists": False}]}}),
    ),
    "exists on an image": (
        {"dynamodb": {"OldImage": [{"exists": False}]}},
        ("dynamodb.OldImage", "always matches", "name an attribute"),
        {"dynamodb": {"OldImage": {"id": {"S": [{"exists": False}]}}}},
    ),
    "exists on the whole of dynamodb": (
        {"dynamodb": [{"exists": True}]},
        ("dynamodb", "can never match", "leaves only"),
        {"dynamodb": {"SequenceNumber": [{"exists": True}]}},
    ),
    "a map without what is in it": (
        new({"profile": {"M": [{"exists": True}]}}),
        ("dynamodb.NewImage.profile.M", "can never match", "name what is inside"),
        new({"profile": {"M": {"city": {"S": [{"exists": True}]}}}}),
    ),
    "a map's member without a type descriptor": (
        new({"profile": {"M": {"city": ["Bern"]}}}),
        ("dynamodb.NewImage.profile.M.city", "can never match", "name what is inside"),
        new({"profile": {"M": {"city": {"S": ["Bern"]}}}}),
    ),
    "a map without M": (
        new({"profile": {"city": {"S": ["Bern"]}}}),
        ("dynamodb.NewImage.profile.city.S", "can never match", "no type descriptor 'city'"),
        new({"profile.city": {"S": ["Bern"]}}),
    ),
    "a list without a type descriptor": (
        new({"tags": {"L": ["a"]}}),
        ("dynamodb.NewImage.tags.L", "can never match", "name what is inside"),
        new({"tags": {"L": {"S": ["a"]}}}),
    ),
    "a list with an index": (
        new({"tags": {"L": {"0": {"S": ["a"]}}}}),
        ("dynamodb.NewImage.tags.L.0.S", "can never match", "no type descriptor '0'"),
        new({"tags": {"L": {"M": {"a": {"L": {"N": ["1"]}}}}}}),
    ),
    "something below a string": (
        new({"plan": {"S": {"name": ["pro"]}}}),
        ("dynamodb.NewImage.plan.S.name", "can never match", "nothing below it"),
        new({"plan": {"M": {"name": {"S": ["pro"]}}}}),
    ),
    "a type descriptor in lower case": (
        new({"plan": {"s": ["pro"]}}),
        ("dynamodb.NewImage.plan.s", "can never match", "write S"),
        new({"plan": {"S": ["pro"]}}),
    ),
    "a word for a type descriptor": (
        new({"plan": {"String": ["pro"]}}),
        ("dynamodb.NewImage.plan.String", "can never match", "use one of S, N"),
        new({"plan.of.user": {"S": ["pro"]}}),
    ),
    "a dotted name that ends without a type descriptor": (
        {"dynamodb.NewImage.plan.x": ["pro"]},
        ("dynamodb.NewImage.plan.x", "can never match", "no type descriptor 'x'"),
        {"dynamodb.NewImage.plan.S": ["pro"]},
    ),
    "a boolean in quotes": (
        new({"active": {"BOOL": ["true"]}}),
        ("dynamodb.NewImage.active.BOOL[0]", "can never match", "not quoted"),
        new({"active": {"BOOL": [True]}}),
    ),
    "null for NULL": (
        new({"plan": {"NULL": [None]}}),
        ("dynamodb.NewImage.plan.NULL[0]", "can never match", "write [true]"),
        new({"plan": {"NULL": [True]}}),
    ),
    "false for NULL": (
        new({"plan": {"NULL": [False]}}),
        ("dynamodb.NewImage.plan.NULL[0]", "can never match", "always true"),
        new({"plan": {"NULL": [{"exists": False}]}}),
    ),
    "a number for a string": (
        new({"plan": {"S": [1]}}),
        ("dynamodb.NewImage.plan.S[0]", "can never match", "write a string"),
        new({"plan": {"S": ["1", {"anything-but": 1}]}}),
    ),
    "a sequence number that is not quoted": (
        {"dynamodb": {"SequenceNumber": [{"numeric": [">", 1]}]}},
        ("dynamodb.SequenceNumber[0]", "can never match", "JSON string"),
        {"dynamodb": {"SizeBytes": [{"numeric": [">", 1]}]}},
    ),
    "a size in quotes": (
        {"dynamodb": {"SizeBytes": ["1"]}},
        ("dynamodb.SizeBytes[0]", "can never match", "JSON number"),
        {"dynamodb": {"ApproximateCreationDateTime": [{"numeric": [">", 1]}]}},
    ),
    "an event name that does not exist": (
        {"eventName": ["INSERT", "UPDATE"]},
        ("eventName[1]", "can never match", "INSERT, MODIFY, REMOVE"),
        {"eventName": ["INSERT", {"prefix": "MOD"}, {"anything-but": "INSERT"}]},
    ),
    "an event name in lower case": (
        {"eventName": ["insert"]},
        ("eventName[0]", "can never match", "INSERT, MODIFY, REMOVE"),
        {"eventName": [{"equals-ignore-case": "insert"}]},
    ),
    "another event source": (
        {"eventSource": ["aws.dynamodb"]},
        ("eventSource[0]", "can never match", "write aws:dynamodb"),
        {"eventSource": ["aws:dynamodb"], "awsRegion": ["eu-west-1"], "eventVersion": ["1.1"], "eventID": ["a"]},
    ),
    "another user than the service": (
        {"userIdentity": {"type": ["service"]}},
        ("userIdentity.type[0]", "can never match", "write Service"),
        {"userIdentity": {"type": ["Service"], "principalId": ["dynamodb.amazonaws.com"]}},
    ),
    "a user identity field that does not exist": (
        {"userIdentity": {"principalID": ["dynamodb.amazonaws.com"]}},
        ("userIdentity.principalID", "can never match", "write principalId"),
        {"userIdentity": {"principalId": [{"exists": False}]}},
    ),
    "the stream's ARN": (
        {"eventSourceARN": [{"prefix": "arn:"}]},
        ("eventSourceARN", "can never match", "after the filter"),
        {"eventSource": [{"prefix": "aws:"}]},
    ),
    "a filter for Kinesis": (
        {"data": {"dynamodb": {"NewImage": {"plan": {"S": ["pro"]}}}}},
        ("data.dynamodb.NewImage.plan.S", "can never match", "Kinesis"),
        new({"data": {"S": ["pro"]}}),
    ),
    "a filter for SQS": (
        {"body": {"plan": ["pro"]}},
        ("body.plan", "can never match", "SQS"),
        new({"body": {"S": ["pro"]}}),
    ),
    "the whole event": (
        {"Records": {"eventName": ["INSERT"]}},
        ("Records.eventName", "can never match", "one record"),
        {"eventName": ["INSERT"]},
    ),
    "a name in snake case": (
        {"event_name": ["INSERT"]},
        ("event_name", "can never match", "write eventName"),
        {"eventName": ["INSERT"]},
    ),
    "a missing name that is not there anyway": (
        {"event_name": [{"exists": False}]},
        ("event_name", "always matches", "write eventName"),
        {"eventName": [{"exists": True}]},
    ),
    "an image in lower case": (
        {"dynamodb": {"newImage": {"plan": {"S": ["pro"]}}}},
        ("dynamodb.newImage.plan.S", "can never match", "write NewImage"),
        new({"plan": {"S": ["pro"]}}),
    ),
    "an image outside dynamodb": (
        {"NewImage": {"plan": {"S": ["pro"]}}},
        ("NewImage.plan.S", "can never match", "no field NewImage"),
        new({"plan": {"S": ["pro"]}}),
    ),
    "an unknown field of dynamodb": (
        {"dynamodb": {"plan": {"S": ["pro"]}}},
        ("dynamodb.plan.S", "can never match", "no field dynamodb.plan"),
        {"dynamodb": {"Keys": {"plan": {"S": ["pro"]}}}},
    ),
    "a new image of a removed item": (
        {"eventName": ["REMOVE"], **new({"plan": {"S": ["pro"]}})},
        ("dynamodb.NewImage.plan.S", "can never match", "REMOVE records have no NewImage"),
        {"eventName": ["REMOVE", "MODIFY"], **new({"plan": {"S": ["pro"]}})},
    ),
    "an old image of an inserted item": (
        {"eventName": [{"prefix": "INS"}], "dynamodb": {"OldImage": {"plan": {"S": ["pro"]}}}},
        ("dynamodb.OldImage.plan.S", "can never match", "INSERT records have no OldImage"),
        {"eventName": ["INSERT"], "dynamodb": {"OldImage": {"plan": {"S": [{"exists": False}]}}}},
    ),
    "a new image of a removed item in one branch": (
        {"$or": [{"eventName": ["REMOVE"], **new({"plan": {"S": ["pro"]}})}, {"eventName": ["INSERT"]}]},
        ("dynamodb.NewImage.plan.S", "can never match", "REMOVE records have no NewImage"),
        {"$or": [{"eventName": ["MODIFY"], **new({"plan": {"S": ["pro"]}})}, {"eventName": ["REMOVE"]}]},
    ),
}


@pytest.mark.parametrize(("bad", "expected", "good"), CASES.values(), ids=CASES)
def test_a_part_without_effect_is_found_and_its_good_counterpart_is_not(bad, expected, good):
    path, what, reason = expected
    (finding,) = lint(bad, "NEW_AND_OLD_IMAGES")
    assert (finding.path, finding.what) == (path, what)
    assert reason in f"{finding.why}; {finding.fix}"
    assert lint(good, "NEW_AND_OLD_IMAGES") == []


@pytest.mark.parametrize(
    ("view_type", "missing"),
    [
        ("KEYS_ONLY", ["NewImage", "OldImage"]),
        ("NEW_IMAGE", ["OldImage"]),
        ("OLD_IMAGE", ["NewImage"]),
        ("NEW_AND_OLD_IMAGES", []),
        (None, []),
    ],
)
def test_an_image_that_the_view_type_lacks_is_found(view_type, missing):
    images = {name: {"plan": {"S": ["pro"]}} for name in ("Keys", "NewImage", "OldImage")}
    findings = lint({"dynamodb": images}, view_type)
    assert [finding.path for finding in findings] == [f"dynamodb.{image}.plan.S" for image in missing]
    assert all(f"view type {view_type} carries no" in finding.why for finding in findings)


def test_a_missing_image_that_is_asked_to_be_absent_always_is():
    (finding,) = lint({"dynamodb": {"OldImage": {"plan": {"S": [{"exists": False}]}}}}, "NEW_IMAGE")
    assert finding.what == "always matches"


def test_another_view_type_than_the_streams_is_found():
    pattern = {"dynamodb": {"StreamViewType": ["NEW_IMAGE"]}}
    assert lint(pattern, "NEW_IMAGE") == []
    assert lint(pattern) == []
    (finding,) = lint(pattern, "OLD_IMAGE")
    assert finding.fix == "write OLD_IMAGE"


def test_the_filters_that_aws_documents_are_clean():
    for pattern in (
        '{"userIdentity": {"type": ["Service"], "principalId": ["dynamodb.amazonaws.com"]}}',
        '{"eventName": ["REMOVE"], "dynamodb": {"OldImage": {"status": {"S": [{"anything-but": ["done"]}]}}}}',
        '{"dynamodb": {"NewImage": {"vin": {"S": [{"prefix": "W"}]}, "n": {"N": [{"exists": true}]}}}}',
        '{"dynamodb": {"$or": [{"Keys": {"id": {"S": ["a"]}}}, {"NewImage": {"b": {"B": ["AQ=="]}}}]}}',
        '{"dynamodb": {"ApproximateCreationDateTime": [{"numeric": [">", 1700000000]}]}}',
    ):
        assert lint(pattern, "NEW_AND_OLD_IMAGES") == []


def test_a_finding_reads_as_one_sentence():
    (finding,) = lint({"event_name": ["INSERT"]})
    assert str(finding) == (
        "event_name can never match: a stream record has no field event_name; write eventName: names are case-sensitive"
    )


def test_what_is_not_a_pattern_or_a_view_type_is_refused():
    with pytest.raises(InvalidPattern):
        lint({"eventName": "INSERT"})
    with pytest.raises(ValueError, match="no view type 'BOTH'"):
        lint({"eventName": ["INSERT"]}, "BOTH")


KEYS = {"pk": "S", "sk": "N"}


@pytest.mark.parametrize(
    ("path", "dead"),
    [
        ({"SK": {"N": ["1"]}}, True),
        ({"sk": {"S": ["1"]}}, True),
        ({"userId": {"S": [{"prefix": "a"}]}}, True),
        ({"sk": {"N": ["1"]}}, False),
        ({"pk": {"S": [{"prefix": "USER#"}]}, "sk": {"N": ["1"]}}, False),
        # A missing key is a missing field, and a dot in a name leaves open where it ends.
        ({"SK": {"S": [{"exists": False}]}}, False),
        ({"a.b": {"S": ["1"]}}, False),
    ],
)
def test_a_filter_on_keys_is_dead_when_the_table_has_no_such_key(path, dead):
    pattern = {"dynamodb": {"Keys": path}}
    assert bool(impossible(pattern, keys=KEYS)) == dead
    assert impossible(pattern) == []


def test_a_filter_on_a_missing_key_names_the_keys_that_there_are():
    (finding,) = lint({"dynamodb": {"Keys": {"SK": {"N": ["1"]}}}}, keys=KEYS)
    assert "the table's keys are pk (S) and sk (N)" in finding.why
