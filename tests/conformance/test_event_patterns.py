"""Event patterns, as AWS evaluates them (docs/aws-semantics.md §2.8).

Each row states one fact of which an AWS answer is on record, or that AWS's open-source matcher, event-ruler, tests:
the pattern, an event, and whether AWS selects it or refuses the pattern.
"""

import json
from decimal import Decimal
from types import MappingProxyType

import pytest

from aws_semantics.event_patterns import InvalidPattern, Pattern, matches, validate


def leaf(*alternatives):
    return {"k": list(alternatives)}


SELECTS = {
    "an exact string": (leaf("a", "b"), {"k": "b"}),
    "an empty string": (leaf(""), {"k": ""}),
    "a string that is a star, literally": (leaf("*"), {"k": "*"}),
    "a string that is a backslash": (leaf("\\"), {"k": "\\"}),
    "true": (leaf(True), {"k": True}),
    "null": (leaf(None), {"k": None}),
    "an integer": (leaf(200), {"k": 200}),
    "300 written as 300.0": (leaf(300), {"k": 300.0}),
    "300 written as 3.0e2": ('{"k": [300]}', '{"k": 3.0e2}'),
    "an account number, too big to be compared as a number": (leaf(123456789012), {"k": 123456789012}),
    "a number with more than six decimals, by its text": ('{"k": [0.1234567]}', '{"k": 0.1234567}'),
    "a field with a dot in its name, for nested objects": ({"a": {"b.c": ["x"]}}, {"a": {"b": {"c": "x"}}}),
    "nested objects, for a field with a dot in its name": ({"a": {"b": {"c": ["x"]}}}, {"a": {"b.c": "x"}}),
    "both spellings of a dotted name at once": (
        {"a": {"b": ["x"], "c": ["y"]}},
        {"a.b": "x", "a": {"c": "y"}},
    ),
    "one more spelling of a dotted name": (
        {"a": {"b": {"c": ["x"], "d": ["y"]}}},
        {"a": {"b.c": "x", "b": {"d": "y"}}},
    ),
    "one name in two spellings, by either value": (
        leaf("x", "z") | {"a": {"b": ["2"]}},
        {"k": "x", "a.b": "1", "a": {"b": "2"}},
    ),
    "more fields than the pattern names": (leaf("a"), {"k": "a", "other": "b"}),
    "several fields, joined by and": ({"a": [1], "b": [2]}, {"a": 1, "b": 2}),
    "the last of a field that is named twice": (
        '{"k": [{"prefix": "us-"}], "k": [{"anything-but": "us-1"}]}',
        {"k": "eu-1"},
    ),
    "objects that are named twice, collected": ('{"o": {"a": [1]}, "o": {"b": [2]}}', {"o": {"a": 1, "b": 2}}),
    # arrays in events
    "an array of which one element matches": (leaf("a", "b"), {"k": ["x", "b"]}),
    "an array in an array": (leaf("b"), {"k": [["x"], ["b"]]}),
    "an array of objects of which one matches": ({"k": {"id": [{"exists": True}]}}, {"k": [{"x": 1}, {"id": 2}]}),
    "two fields found in one element": ({"k": {"a": [1], "b": [2]}}, {"k": [{"a": 1, "b": 3}, {"a": 1, "b": 2}]}),
    "fields of two arrays, each in its own": (
        {"k": {"a": [1]}, "l": {"b": [2]}},
        {"k": [{"a": 1}], "l": [{"b": 1}, {"b": 2}]},
    ),
    "an array of objects in objects in arrays": (
        {"k": {"l": {"a": [1], "b": [2]}}},
        {"k": [{"l": [{"a": 1, "b": 2}]}]},
    ),
    "a field that the chosen element lacks": ({"k": {"a": [1], "b": [{"exists": False}]}}, {"k": [{"a": 1}, {"b": 2}]}),
    # AWS differs in this one (the guide says why): "a" comes first, so every element would have to lack it.
    "a field that the chosen element lacks, its name first": (
        {"k": {"a": [{"exists": False}], "b": [1]}},
        {"k": [{"b": 1}, {"a": 2}]},
    ),
    "an array with scalars beside objects": ({"k": ["x"], "k.b": [1]}, {"k": ["x", {"b": 1}]}),
    # prefix, suffix, equals-ignore-case
    "a prefix": (leaf({"prefix": "2022-"}), {"k": "2022-07"}),
    "an empty prefix": (leaf({"prefix": ""}), {"k": "x"}),
    "a suffix": (leaf({"suffix": ".png"}), {"k": "a.png"}),
    "an empty suffix": (leaf({"suffix": ""}), {"k": "x"}),
    "a prefix in another case": (leaf({"prefix": {"equals-ignore-case": "EventB"}}), {"k": "eventbridge"}),
    "a suffix in another case": (leaf({"suffix": {"equals-ignore-case": ".PNG"}}), {"k": "a.Png"}),
    "a string in another case": (leaf({"equals-ignore-case": "aLiCe"}), {"k": "Alice"}),
    "an empty string in any case": (leaf({"equals-ignore-case": ""}), {"k": ""}),
    "exactly": (leaf({"exactly": "a"}), {"k": "a"}),
    # anything-but
    "anything but a string": (leaf({"anything-but": "a"}), {"k": "b"}),
    "anything but a string, null": (leaf({"anything-but": "a"}), {"k": None}),
    "anything but a list of strings": (leaf({"anything-but": ["a", "b"]}), {"k": "c"}),
    "anything but a list of strings, null": (leaf({"anything-but": ["a", "b"]}), {"k": None}),
    "anything but a number": (leaf({"anything-but": 123}), {"k": 124}),
    "anything but zero": (leaf({"anything-but": 0}), {"k": 789}),
    "anything but a number, a string of its digits": (leaf({"anything-but": 123}), {"k": "123"}),
    "anything but a list of numbers": (leaf({"anything-but": [100, 200]}), {"k": 300}),
    "anything but a prefix": (leaf({"anything-but": {"prefix": "init"}}), {"k": "pending"}),
    "anything but a prefix, a number": (leaf({"anything-but": {"prefix": "init"}}), {"k": 12}),
    "anything but a prefix, null": (leaf({"anything-but": {"prefix": "init"}}), {"k": None}),
    "anything but prefixes": (leaf({"anything-but": {"prefix": ["init", "term"]}}), {"k": "pending"}),
    "anything but prefixes, a number": (leaf({"anything-but": {"prefix": ["init", "term"]}}), {"k": 12}),
    "anything but a suffix": (leaf({"anything-but": {"suffix": ".txt"}}), {"k": "a.png"}),
    "anything but suffixes": (leaf({"anything-but": {"suffix": [".txt", ".rtf"]}}), {"k": "a.png"}),
    "anything but suffixes, null": (leaf({"anything-but": {"suffix": [".txt", ".rtf"]}}), {"k": None}),
    "anything but a string in any case": (leaf({"anything-but": {"equals-ignore-case": "init"}}), {"k": "done"}),
    "anything but strings in any case": (
        leaf({"anything-but": {"equals-ignore-case": ["init", "stop"]}}),
        {"k": "done"},
    ),
    "anything but strings in any case, null": (leaf({"anything-but": {"equals-ignore-case": ["a", "b"]}}), {"k": None}),
    "anything but a wildcard": (leaf({"anything-but": {"wildcard": "*/lib/*"}}), {"k": "/bin/x"}),
    "anything but a wildcard, a number": (leaf({"anything-but": {"wildcard": "*/lib/*"}}), {"k": 123}),
    "anything but a wildcard, null": (leaf({"anything-but": {"wildcard": "*/lib/*"}}), {"k": None}),
    "anything but an empty wildcard": (leaf({"anything-but": {"wildcard": ""}}), {"k": "x"}),
    "anything but wildcards": (leaf({"anything-but": {"wildcard": ["*/lib/*", "*/bin/*"]}}), {"k": "/etc/x"}),
    "an array of which one element is anything but": (leaf({"anything-but": "a"}), {"k": ["a", "b"]}),
    # numeric
    "a number above a bound": (leaf({"numeric": [">", 100]}), {"k": 101}),
    "a float above a bound": (leaf({"numeric": [">", 100]}), {"k": 101.0}),
    "a number at a closed bound": (leaf({"numeric": ["<=", 10]}), {"k": 10}),
    "a number at a closed lower bound": (leaf({"numeric": [">=", 10]}), {"k": 10}),
    "a number below a bound": (leaf({"numeric": ["<", 10]}), {"k": 9.999999}),
    "a number equal to another spelling": (leaf({"numeric": ["=", 3.018e2]}), {"k": 301.8}),
    "a number in a range": (leaf({"numeric": [">", 0, "<=", 5]}), {"k": 5}),
    "a number near the limit": (leaf({"numeric": [">", 4_999_999_999]}), {"k": 5_000_000_000}),
    # exists
    "a field that is there": (leaf({"exists": True}), {"k": "x"}),
    "a field that is there and null": (leaf({"exists": True}), {"k": None}),
    "a field that is not there": (leaf({"exists": False}), {"j": 1}),
    "a field that is not there, nor its parent": ({"a": {"b": [{"exists": False}]}}, {"j": 1}),
    "a field that is not there, its parent being a leaf": ({"a": {"b": [{"exists": False}]}}, {"a": 1}),
    "an empty array, as not there": (leaf({"exists": False}), {"k": []}),
    "an empty object, as not there": (leaf({"exists": False}), {"k": {}}),
    "a field that is not a leaf, as not there": (leaf({"exists": False}), {"k": {"S": "x"}}),
    "the first of several alternatives": (leaf({"exists": True}, {"prefix": "no"}, {"suffix": "no"}), {"k": "x"}),
    # wildcard
    "a wildcard at the end": (leaf({"wildcard": "dir/*"}), {"k": "dir/"}),
    "a wildcard in the middle": (leaf({"wildcard": "/Users/*/doc.txt"}), {"k": "/Users/u/dir/doc.txt"}),
    "a wildcard before text that repeats": (leaf({"wildcard": "/U/*/d/d/d/x"}), {"k": "/U/u/d/d/d/d/x"}),
    "two wildcards": (leaf({"wildcard": "arn:aws:events:*:event-bus/*"}), {"k": "arn:aws:events:r:1:event-bus/b"}),
    "nothing but a wildcard": (leaf({"wildcard": "*"}), {"k": ""}),
    "an empty wildcard": (leaf({"wildcard": ""}), {"k": ""}),
    "an escaped star": (leaf({"wildcard": r"a\*c"}), {"k": "a*c"}),
    "an escaped star before a wildcard": (leaf({"wildcard": r"a\**"}), {"k": "a*bc"}),
    "an escaped backslash": (leaf({"wildcard": r"a\\*"}), {"k": "a\\bc"}),
    # cidr
    "an IPv4 address in a network": (leaf({"cidr": "10.0.0.0/24"}), {"k": "10.0.0.255"}),
    "an IPv4 network with an odd number of bits": (leaf({"cidr": "10.1.255.77/17"}), {"k": "10.1.128.0"}),
    "an IPv6 address in a network": (leaf({"cidr": "2001:db8:1234:1a00::/64"}), {"k": "2001:db8:1234:1a00::1"}),
    "an IPv6 address in another spelling": (leaf("::1"), {"k": "0:0:0:0:0:0:0:1"}),
    "a time, although it looks like an address": (leaf("12:30"), {"k": "12:30"}),
    # $or
    "one branch of $or": (
        {"d": {"$or": [{"a": [{"numeric": [">", 0]}]}, {"b": [{"numeric": ["<", 10]}]}]}},
        {"d": {"a": 0, "b": 0}},
    ),
    "one branch of $or beside a field": ({"s": ["x"], "$or": [{"a": [1]}, {"b": [2]}]}, {"s": "x", "b": 2}),
    "$or inside $or": ({"$or": [{"a": [1]}, {"b": [2], "$or": [{"c": [3]}, {"d": [4]}]}]}, {"b": 2, "d": 4}),
    "$or on both levels": (
        {"$or": [{"a": [1]}, {"b": [2]}], "o": {"$or": [{"c": [3]}, {"d": [4]}]}},
        {"b": 2, "o": {"c": 3}},
    ),
    "$or with exists on a missing field": ({"$or": [{"a": [{"exists": False}]}, {"b": [1]}]}, {"b": 2}),
    "$or below an array, in one element": (
        {"k": {"x": [1], "$or": [{"y": [2]}, {"z": [3]}]}},
        {"k": [{"x": 1}, {"x": 1, "z": 3}]},
    ),
    "a field in a branch of $or and another beside it, in one object": (
        {"$or": [{"o": {"a": [1]}}, {"x": [1]}], "o": {"b": [2]}},
        {"o": {"a": 1, "b": 2}},
    ),
    "a field in a branch of $or and another beside it, in one element": (
        {"$or": [{"o": {"a": [1]}}, {"x": [1]}], "o": {"b": [2]}},
        {"o": [{"a": 1}, {"a": 1, "b": 2}]},
    ),
    "the field after $or, which replaces that of a branch": ({"$or": [{"a": [1]}, {"b": [2]}], "a": [3]}, {"a": 3}),
    # DynamoDB
    "a number of DynamoDB, by its digits": ({"n": {"N": ["1234"]}}, {"n": {"N": "1234"}}),
    "exists at the type descriptor": ({"p": {"S": [{"exists": True}]}}, {"p": {"S": "x"}}),
    "anything-but or absent, value": ({"p": {"S": [{"anything-but": ["x"]}, {"exists": False}]}}, {"p": {"S": "y"}}),
    "anything-but or absent, absent": ({"p": {"S": [{"anything-but": ["x"]}, {"exists": False}]}}, {"p": {"N": "1"}}),
    "anything-but or absent, no attribute": (
        {"p": {"S": [{"anything-but": ["x"]}, {"exists": False}]}},
        {"q": {"N": "1"}},
    ),
    "a dead numeric beside a living alternative": (
        {"p": {"N": [{"numeric": [">", 100]}, {"anything-but": "101"}]}},
        {"p": {"N": "42"}},
    ),
    "a member of a string set": ({"p": {"SS": ["b"]}}, {"p": {"SS": ["a", "b"]}}),
}

DOES_NOT_SELECT = {
    "another string": (leaf("a"), {"k": "A"}),
    "a name in another case": (leaf("a"), {"K": "a"}),
    "a string for true": (leaf(True), {"k": "true"}),
    "1 for true": (leaf(True), {"k": 1}),
    "true for 1": (leaf(1), {"k": True}),
    "the string null for null": (leaf(None), {"k": "null"}),
    "an empty array for null": (leaf(None), {"k": []}),
    "a missing field for null": (leaf(None), {}),
    "the digits of a number": (leaf(300), {"k": "300"}),
    "a big number in another spelling": ('{"k": [10000000000]}', '{"k": 1e10}'),
    "a big number for a small one with the same key": (leaf(6000), {"k": 6_000_000_000}),
    "a number that only a float cannot tell apart": ('{"k": [1]}', '{"k": 1.0000000000000000001}'),
    "one of two fields": ({"a": [1], "b": [2]}, {"a": 1}),
    "an object where a leaf is asked for": (leaf("a"), {"k": {"a": "a"}}),
    "a leaf where an object is asked for": ({"k": {"a": ["x"]}}, {"k": "x"}),
    "JSON in a string": ({"d": {"a": ["x"]}}, {"d": '{"a": "x"}'}),
    "a dotted name above the object": ({"a": {"b": ["x"]}}, {"a.b": {"b": "x"}}),
    "a dotted name in a pattern above the object": ({"a.b": {"b": ["x"]}}, {"a": {"b": "x"}}),
    "the first of a field that is named twice": ('{"k": ["a"], "k": ["b"]}', {"k": "a"}),
    # arrays in events
    "an array without a matching element": (leaf("a"), {"k": ["b", "c"]}),
    "two fields found in two elements": ({"k": {"a": [1], "b": [2]}}, {"k": [{"a": 1, "b": 3}, {"a": 2, "b": 2}]}),
    "two fields found in two elements of an inner array": (
        {"k": {"l": {"a": [1], "b": [2]}}},
        {"k": [{"l": [{"a": 1}, {"b": 2}]}, {"l": [{"a": 1}]}]},
    ),
    "a field that one element lacks and another has": ({"k": {"b": [{"exists": False}]}}, {"k": [{"a": 1}, {"b": 2}]}),
    "a field that the only matching element has": (
        {"k": {"a": [1], "b": [{"exists": False}]}},
        {"k": [{"a": 1, "b": 1}, {"a": 2}]},
    ),
    "a field beside $or that the event lacks": (
        {"$or": [{"o": {"a": [1]}}, {"x": [1]}], "o": {"b": [2]}},
        {"o": {"a": 1}},
    ),
    "the field of a branch, which the one after $or replaces": ({"$or": [{"a": [1]}, {"b": [2]}], "a": [3]}, {"a": 1}),
    "two fields of one array with a dotted name, one of them named in $or": (
        {"$or": [{"k": {"l": {"a": [1]}}}, {"x": [1]}], "k.l.b": [2]},
        {"k.l": [{"a": 1}, {"b": 2}]},
    ),
    "two fields of one array, one of them named in $or": (
        {"$or": [{"k": {"a": [1]}}, {"x": [1]}], "k": {"b": [2]}},
        {"k": [{"a": 1}, {"b": 2}]},
    ),
    # prefix, suffix, equals-ignore-case
    "another prefix": (leaf({"prefix": "2022-"}), {"k": "2023-07"}),
    "a prefix of a number": (leaf({"prefix": "1"}), {"k": 12}),
    "another suffix": (leaf({"suffix": ".png"}), {"k": "a.PNG"}),
    "another suffix in any case": (leaf({"suffix": {"equals-ignore-case": ".PNG"}}), {"k": "a.jpg"}),
    "another string in any case": (leaf({"equals-ignore-case": "alice"}), {"k": "bob"}),
    "a text for an empty string in any case": (leaf({"equals-ignore-case": ""}), {"k": "x"}),
    # anything-but
    "the refused string": (leaf({"anything-but": "a"}), {"k": "a"}),
    "a string of a refused list": (leaf({"anything-but": ["a", "b"]}), {"k": "b"}),
    "the refused number in another spelling": (leaf({"anything-but": [100, 300]}), {"k": 300.0}),
    "a refused prefix": (leaf({"anything-but": {"prefix": "init"}}), {"k": "initial"}),
    "one of the refused prefixes": (leaf({"anything-but": {"prefix": ["x", "init"]}}), {"k": "initial"}),
    "a refused suffix": (leaf({"anything-but": {"suffix": ".txt"}}), {"k": "a.txt"}),
    "a refused string in any case": (leaf({"anything-but": {"equals-ignore-case": "INIT"}}), {"k": "init"}),
    "a refused wildcard": (leaf({"anything-but": {"wildcard": "*/lib/*"}}), {"k": "a/lib/b"}),
    "a missing field, although it is not the refused string": (leaf({"anything-but": "a"}), {"j": 1}),
    "a missing field, with a refused list": (leaf({"anything-but": ["a", "b"]}), {"j": 1}),
    "a missing field, with a refused prefix": (leaf({"anything-but": {"prefix": "a"}}), {"j": 1}),
    "a missing field, with refused suffixes": (leaf({"anything-but": {"suffix": ["a"]}}), {"j": 1}),
    "a missing field, with a refused wildcard": (leaf({"anything-but": {"wildcard": "*a"}}), {"j": 1}),
    "a missing field, with a refused string in any case": (
        leaf({"anything-but": {"equals-ignore-case": "a"}}),
        {"j": 1},
    ),
    # numeric
    "a number at an open bound": (leaf({"numeric": [">", 100]}), {"k": 100}),
    "a number outside a range": (leaf({"numeric": [">", 0, "<", 5]}), {"k": 5}),
    "a string of digits, for numeric": (leaf({"numeric": [">", 100]}), {"k": "300"}),
    "null, for numeric": (leaf({"numeric": [">", 100]}), {"k": None}),
    "true, for numeric": (leaf({"numeric": [">", 0]}), {"k": True}),
    "a number beyond the limit, for numeric": (leaf({"numeric": [">", 100]}), {"k": 6_000_000_000}),
    "a number with more than six decimals, for numeric": (leaf({"numeric": [">", 0]}), {"k": 0.1234567}),
    # exists
    "a missing field, for exists": (leaf({"exists": True}), {"j": 1}),
    "an empty array, for exists": (leaf({"exists": True}), {"k": []}),
    "an object, for exists": (leaf({"exists": True}), {"k": {"S": "x"}}),
    "a field that is there, for not exists": ({"a": {"b": [{"exists": False}]}}, {"a": {"b": None}}),
    # wildcard
    "a text without the tail": (leaf({"wildcard": "/Users/*/doc.txt"}), {"k": "/Users/u/doc.md"}),
    "a text whose head and tail overlap": (leaf({"wildcard": "aba*ba"}), {"k": "aba"}),
    "a text whose middle overlaps its tail": (leaf({"wildcard": "a*bc*c"}), {"k": "abc"}),
    "a text for an empty wildcard": (leaf({"wildcard": ""}), {"k": "x"}),
    "a number for a wildcard": (leaf({"wildcard": "*"}), {"k": 1}),
    "any text for an escaped star": (leaf({"wildcard": r"a\*c"}), {"k": "abc"}),
    # cidr
    "an address outside the network": (leaf({"cidr": "10.0.0.0/24"}), {"k": "10.0.1.0"}),
    "an IPv6 address outside the network": (leaf({"cidr": "2001:db8:1234:1a00::/64"}), {"k": "2001:db8:1234:1b00::1"}),
    "a number for a network": (leaf({"cidr": "10.0.0.0/24"}), {"k": 123}),
    "a text for a network": (leaf({"cidr": "10.0.0.0/24"}), {"k": "ten"}),
    "an IPv4 address for an IPv6 network": (leaf({"cidr": "::/1"}), {"k": "10.0.0.1"}),
    "another text for an IPv6 address": (leaf("::1"), {"k": "localhost"}),
    # $or
    "no branch of $or": ({"$or": [{"a": [1]}, {"b": [2]}]}, {"a": 2, "b": 1}),
    "a branch of $or without the field beside it": ({"s": ["x"], "$or": [{"a": [1]}, {"b": [2]}]}, {"s": "y", "a": 1}),
    # DynamoDB
    "exists above the type descriptor": ({"p": [{"exists": True}]}, {"p": {"S": "x"}}),
    "numeric for a number of DynamoDB": ({"p": {"N": [{"numeric": [">", 100]}]}}, {"p": {"N": "101"}}),
    "anything-but or absent, the refused value": (
        {"p": {"N": [{"numeric": [">", 100]}, {"anything-but": "101"}]}},
        {"p": {"N": "101"}},
    ),
    "a value without its type descriptor": ({"p": ["x"]}, {"p": {"S": "x"}}),
}

REFUSED = {
    "text that is not JSON": ("this is no JSON", "not JSON"),
    "single quotes": ("{'k': ['a']}", "not JSON"),
    "JSON that is cut off": ('{"k": [', "not JSON"),
    "NaN": ('{"k": [NaN]}', "NaN"),
    "an integer of 5,000 digits": ('{"k": [' + "9" * 5000 + "]}", "not JSON"),
    "a list": ('["a"]', "JSON object"),
    "a string as the pattern": ('"a"', "JSON object"),
    "a list from Python": (["a"], "JSON object"),
    "an empty pattern": ({}, "empty object"),
    "an empty object in it": ({"k": {}}, "empty object"),
    "an empty array": ({"k": []}, "empty array"),
    "a string without an array": ({"k": "a"}, r'write \["a"\]'),
    "a number without an array": ({"k": 42}, r"write \[42\]"),
    "null without an array": ({"k": None}, "must be an object or an array"),
    "an array in an array": ({"k": [["a"]]}, "not an array"),
    "a name that is no string": ({1: ["a"]}, "not a string"),
    "an operator in capitals": (leaf({"EXISTS": True}), "no operator 'EXISTS'"),
    "numeric in capitals": (leaf({"NUMERIC": ["=", 5]}), "no operator 'NUMERIC'"),
    "an operator that does not exist": (leaf({"regex": "a.*"}), "no operator 'regex'"),
    "two operators in one object": (leaf({"prefix": "a", "suffix": "b"}), "one key"),
    "no operator in an object": (leaf({}), "one key"),
    "exists with a string": (leaf({"exists": "true"}), "true or false"),
    "exists with 1": (leaf({"exists": 1}), "true or false"),
    "exists with 0": (leaf({"exists": 0}), "true or false"),
    "prefix with a number": (leaf({"prefix": 123}), "takes a string"),
    "prefix with a list": (leaf({"prefix": ["a"]}), "takes a string, not an array"),
    "prefix with another operator": (leaf({"prefix": {"suffix": "a"}}), "equals-ignore-case"),
    "prefix in any case with a list": (leaf({"prefix": {"equals-ignore-case": ["a"]}}), "takes a string"),
    "suffix with a number": (leaf({"suffix": 123}), "takes a string"),
    "suffix with a list": (leaf({"suffix": [".png"]}), "takes a string"),
    "equals-ignore-case with a list": (leaf({"equals-ignore-case": ["a"]}), "takes a string"),
    "equals-ignore-case with an object": (
        leaf({"equals-ignore-case": {"prefix": "a"}}),
        "takes a string, not an object",
    ),
    "exactly with a number": (leaf({"exactly": 1}), "takes a string"),
    "anything-but null": (leaf({"anything-but": None}), "no null"),
    "anything-but true": (leaf({"anything-but": True}), "no boolean"),
    "anything-but nothing": (leaf({"anything-but": []}), "empty array"),
    "anything-but a string and null": (leaf({"anything-but": ["a", None]}), "strings only"),
    "anything-but a string and a number": (leaf({"anything-but": ["a", 1]}), "strings only"),
    "anything-but a number that is not comparable": (leaf({"anything-but": 6_000_000_000}), r"5\.0e9"),
    "anything-but an operator it does not take": (leaf({"anything-but": {"numeric": ["=", 1]}}), "one of prefix"),
    "anything-but two operators": (leaf({"anything-but": {"prefix": "a", "suffix": "b"}}), "one of prefix"),
    "anything-but an empty prefix": (leaf({"anything-but": {"prefix": ""}}), "empty prefix"),
    "anything-but an empty suffix": (leaf({"anything-but": {"suffix": ["a", ""]}}), "empty suffix"),
    "anything-but a number as prefix": (leaf({"anything-but": {"prefix": 123}}), "a list of strings"),
    "anything-but a number among prefixes": (leaf({"anything-but": {"prefix": [123, "a"]}}), "a list of strings"),
    "anything-but a number as suffix": (leaf({"anything-but": {"suffix": 123}}), "a list of strings"),
    "anything-but a prefix in any case": (
        leaf({"anything-but": {"prefix": {"equals-ignore-case": "a"}}}),
        "list of strings",
    ),
    "anything-but a suffix in any case": (
        leaf({"anything-but": {"suffix": {"equals-ignore-case": "a"}}}),
        "list of strings",
    ),
    "anything-but a number in any case": (leaf({"anything-but": {"equals-ignore-case": 123}}), "a list of strings"),
    "anything-but numbers in any case": (leaf({"anything-but": {"equals-ignore-case": [1, 2]}}), "a list of strings"),
    "anything-but a number as wildcard": (leaf({"anything-but": {"wildcard": 123}}), "a list of strings"),
    "anything-but a number among wildcards": (leaf({"anything-but": {"wildcard": [123, "*a"]}}), "a list of strings"),
    "numeric without a list": (leaf({"numeric": 5}), "takes a list"),
    "numeric with an empty list": (leaf({"numeric": []}), "one or two pairs"),
    "numeric without a number": (leaf({"numeric": [">"]}), "one or two pairs"),
    "numeric with half a range": (leaf({"numeric": [">", 0, "<"]}), "one or two pairs"),
    "numeric with a quoted number": (leaf({"numeric": [">", "0"]}), "unquoted"),
    "numeric with true": (leaf({"numeric": [">", True]}), "unquoted"),
    "numeric with an operator it lacks": (leaf({"numeric": ["!=", 0]}), "none that AWS takes"),
    "numeric with a number for an operator": (leaf({"numeric": [0, 0]}), "none that AWS takes"),
    "numeric with two lower bounds": (leaf({"numeric": [">", 0, ">", 0]}), "none that AWS takes"),
    "numeric with the upper bound first": (leaf({"numeric": ["<", 5, ">", 0]}), "none that AWS takes"),
    "numeric with two equalities": (leaf({"numeric": ["=", 5, "=", 5]}), "none that AWS takes"),
    "numeric with an empty range": (leaf({"numeric": [">", 5, "<", 5]}), "range is empty"),
    "numeric beyond five billion": (leaf({"numeric": [">", 5_000_000_001]}), r"5\.0e9"),
    "numeric far beyond": ('{"k": [{"numeric": [">", -1e999999999]}]}', r"5\.0e9"),
    "numeric just beyond": (leaf({"numeric": [">", 5000000000.5]}), r"5\.0e9"),
    "numeric with seven decimals": ('{"k": [{"numeric": ["=", 0.1234567]}]}', "six decimals"),
    "a wildcard with a number": (leaf({"wildcard": 123}), "takes a string"),
    "a wildcard with a list": (leaf({"wildcard": ["a*"]}), "takes a string"),
    "two wildcards in a row": (leaf({"wildcard": "a:**:b"}), "in a row at 2"),
    "six wildcards": (leaf({"wildcard": "*:*:*:*:*:event-bus/*"}), "too complex"),
    "a backslash that escapes a letter": (leaf({"wildcard": r"a\b"}), "escapes nothing"),
    "a backslash at the end": (leaf({"wildcard": "a\\"}), "escapes nothing"),
    "cidr with a list": (leaf({"cidr": ["10.0.0.0/24"]}), "takes a string"),
    "cidr without bits": (leaf({"cidr": "10.0.0.0"}), "number of bits"),
    "cidr with two slashes": (leaf({"cidr": "10.0.0.0/8/8"}), "number of bits"),
    "cidr with bits that are no number": (leaf({"cidr": "bad-/64filter"}), "number of bits"),
    "cidr with negative bits": (leaf({"cidr": "10.0.0.0/-1"}), "number of bits"),
    "cidr with an address that is none": (leaf({"cidr": "xx.11.xx/8"}), "not an IPv4 or IPv6 address"),
    "cidr with an IPv6 address that is none": (leaf({"cidr": "xxxx:db8:1234:1a00::/64"}), "not an IPv4 or IPv6"),
    "cidr with all bits": (leaf({"cidr": "10.0.0.1/32"}), "at most 31"),
    "cidr with all IPv6 bits": (leaf({"cidr": "::1/128"}), "at most 127"),
    "$or without an array": ({"$or": {"a": [1]}}, "at least two objects"),
    "$or with one branch": ({"$or": [{"a": [1]}]}, "at least two objects"),
    "$or with values": ({"$or": ["a", "b"]}, r"\$or\[0\]: must be an object"),
    "$or with an empty branch": ({"$or": [{"a": [1]}, {}]}, "empty object"),
    "an operator in the place of a field in $or": ({"$or": [{"prefix": ["a"]}, {"b": [1]}]}, "operator's name"),
    "an operator deep in $or": ({"$or": [{"a": {"numeric": [1]}}, {"b": [1]}]}, "operator's name"),
}


@pytest.mark.parametrize(("pattern", "event"), SELECTS.values(), ids=SELECTS)
def test_a_pattern_selects(pattern, event):
    validate(pattern)
    assert matches(pattern, event)


@pytest.mark.parametrize(("pattern", "event"), DOES_NOT_SELECT.values(), ids=DOES_NOT_SELECT)
def test_a_pattern_does_not_select(pattern, event):
    validate(pattern)
    assert not matches(pattern, event)


@pytest.mark.parametrize(("pattern", "reason"), REFUSED.values(), ids=REFUSED)
def test_a_pattern_is_refused_with_a_reason(pattern, reason):
    with pytest.raises(InvalidPattern, match=reason):
        validate(pattern)
    with pytest.raises(InvalidPattern, match=reason):
        matches(pattern, {"k": "a"})


@pytest.mark.parametrize(("pattern", "event"), [*SELECTS.values(), *DOES_NOT_SELECT.values()])
def test_json_text_and_mappings_are_read_alike(pattern, event):
    def as_text(value):
        return value if isinstance(value, str) else json.dumps(value)

    def as_dict(value):
        return json.loads(value) if isinstance(value, str) else value

    exact_as_dict = pattern == as_dict(as_text(pattern)) and event == as_dict(as_text(event))
    expected = matches(pattern, event)
    assert Pattern(as_text(pattern)).matches(as_text(event)) is expected
    if exact_as_dict:
        assert Pattern(as_dict(pattern)).matches(as_dict(event)) is expected


def test_1000_combinations_of_branches_are_the_most_that_aws_takes():
    def choices(levels, last):
        inner = {"$or": [{f"v{n}": [1]} for n in range(last)]}
        for level in range(levels):
            inner = {f"level{level}": inner, "$or": [{f"a{level}.{n}": [1]} for n in range(10)]}
        return inner

    validate(choices(2, 10))
    with pytest.raises(InvalidPattern, match="1100 ways"):
        validate(choices(2, 11))


def test_a_pattern_nested_beyond_reason_is_refused_not_a_crash():
    deep = ["x"]
    for _ in range(50_000):
        deep = {"a": deep}
    with pytest.raises(InvalidPattern, match="nested"):
        validate(deep)
    with pytest.raises(InvalidPattern, match="nested"):
        matches(deep, {})
    with pytest.raises(InvalidPattern, match="nested"):
        validate('{"a":' * 50_000 + '["x"]' + "}" * 50_000)
    with pytest.raises(InvalidPattern, match="nested"):
        validate({"a." * 200: ["x"]})


def test_an_event_that_is_no_object_is_an_error():
    for event in ("plain text", '"a string"', "[1]"):
        with pytest.raises(ValueError, match="JSON"):
            matches(leaf("a"), event)


def test_a_pattern_that_changes_between_two_calls_is_read_again():
    pattern = leaf("a")
    assert matches(pattern, {"k": "a"})
    pattern["k"][0] = "b"
    assert not matches(pattern, {"k": "a"})


def test_a_number_that_json_does_not_have_is_no_number_to_compare():
    for number in (float("nan"), float("inf")):
        assert not matches(leaf({"numeric": [">", 0]}), {"k": number})
        assert matches(leaf({"anything-but": 1}), {"k": number})


def test_any_mapping_is_an_event_and_a_pattern():
    pattern, event = MappingProxyType(leaf(Decimal("1.0"))), MappingProxyType({"k": 1})
    assert matches(pattern, event)
    assert Pattern(pattern).matches(event)


def test_a_branch_of_a_branch_that_names_what_is_beside_it_is_judged_together():
    pattern = {"$or": [{"x": [1], "$or": [{"o": {"a": [1]}}, {"y": [1]}], "o": {"b": [2]}}, {"z": [1]}]}
    assert matches(pattern, {"x": 1, "o": [{"a": 1, "b": 2}]})
    assert not matches(pattern, {"x": 1, "o": [{"a": 1}, {"b": 2}]})
