"""`--policy-pack-config`: levels, settings, exemptions."""

from dataclasses import replace

import pytest
from pulumi.runtime.proto import analyzer_pb2 as analyzer

from policies.rule import Rule, Violation
from policies.rules import all_rules
from tests.policy.engine import Finding, Pack, changed, deployed, example

RULES = {rule.id: rule for rule in all_rules()}
MAPPING = deployed(example(RULES["mapping-bisect-on-error"].bad[0], previewed=False))
GOOD_MAPPING = deployed(example(RULES["mapping-bisect-on-error"].good[0], previewed=False))
BISECT = {Finding("mapping-bisect-on-error", "orders")}


def judge(rule_id, program, **settings):
    pack = Pack([RULES[rule_id]], config={rule_id: settings} if settings else None)
    return pack.findings(program)


def levels(rule, configured):
    program = deployed(example(rule.bad[0], previewed=False))
    pack = Pack([rule], config={rule.id: configured})
    return {
        diagnostic.enforcementLevel
        for answer in pack.answers(program)
        for diagnostic in answer.diagnostics
        if diagnostic.policyName == rule.id
    }


@pytest.mark.parametrize("rule", all_rules(), ids=lambda rule: rule.id)
def test_every_rule_takes_a_level(rule):
    assert levels(rule, "mandatory") == {analyzer.MANDATORY}
    assert levels(rule, "advisory") == {analyzer.ADVISORY}
    assert levels(rule, "disabled") == set()


@pytest.mark.parametrize("rule", all_rules(), ids=lambda rule: rule.id)
def test_every_rule_takes_exemptions_and_keeps_its_level_with_them(rule):
    settings = {"exemptions": [{"tag": "nobody=has", "reason": "for the test"}]}
    level = {"mandatory": analyzer.MANDATORY, "advisory": analyzer.ADVISORY}[rule.level]
    assert levels(rule, settings) == {level}
    everybody = {"exemptions": [{"urn": "*", "reason": "for the test"}]}
    assert levels(rule, everybody) == set()


@pytest.mark.parametrize("rule", all_rules(), ids=lambda rule: rule.id)
def test_a_pack_tells_no_configuration_of_its_own_that_could_lower_a_level(rule):
    info = Pack([rule]).servicer.GetAnalyzerInfo(None, None)
    assert not info.initialConfig
    (policy,) = [each for each in info.policies if each.name == rule.id]
    assert policy.enforcementLevel == {"mandatory": analyzer.MANDATORY, "advisory": analyzer.ADVISORY}[rule.level]


def test_an_exempt_resource_is_not_applicable_and_the_reason_shows():
    pack = Pack(
        [RULES["mapping-bisect-on-error"]],
        config={"mapping-bisect-on-error": {"exemptions": [{"urn": "*::orders", "reason": "batches of one"}]}},
    )
    answer = pack.analyze(MAPPING[0])
    assert not answer.diagnostics
    assert [each.reason for each in answer.not_applicable] == ["orders is exempt: batches of one"]


STALE = {Finding("exemptions-check", "")}


@pytest.mark.parametrize("exemption", [{"urn": "*::other"}, {"tag": "stage=prod"}])
def test_an_exemption_of_something_else_exempts_nothing_and_is_reported_as_stale(exemption):
    found = judge("mapping-bisect-on-error", MAPPING, exemptions=[{**exemption, "reason": "for the test"}])
    assert found == BISECT | STALE


@pytest.mark.parametrize(
    ("exemption", "problem"),
    [
        ({"tag": "stage"}, "the tag 'stage' has no value: write key=value"),
        ({"urn": "orders"}, "the urn 'orders' is a bare name: write *::orders, or the whole URN"),
        ({}, "an exemption names no resource: give it a urn or a tag"),
    ],
)
def test_an_exemption_that_can_name_nothing_is_a_wrong_configuration(exemption, problem):
    settings = {"exemptions": [{**exemption, "reason": "for the test"}]}
    answers = Pack([RULES["mapping-bisect-on-error"]], config={"mapping-bisect-on-error": settings}).answers(MAPPING)
    (message,) = [diagnostic.message for answer in answers for diagnostic in answer.diagnostics]
    assert message.splitlines()[1] == f"the configuration of mapping-bisect-on-error is wrong: {problem}"


def shared(*entries, rules=("mapping-bisect-on-error", "starting-position"), program=MAPPING):
    pack = Pack([RULES[rule] for rule in rules], config={"exemptions": {"exemptions": list(entries)}})
    return pack, pack.findings(program)


LATEST = deployed(example(RULES["starting-position"].bad[0], previewed=False))
REASON = {"reason": "baseline 2026-11-30"}


@pytest.mark.parametrize(
    ("rules", "left"),
    [
        ("*", set()),
        (["*"], set()),
        (["mapping-bisect-on-error", "starting-position"], set()),
        (["starting-position"], {"mapping-bisect-on-error"}),
        ("mapping-bisect-on-error", {"starting-position"}),
    ],
)
def test_one_exemption_holds_for_the_rules_it_names(rules, left):
    _, found = shared({"urn": "*::orders", "rules": rules, **REASON}, program=LATEST)
    assert {finding.rule for finding in found} == left


def test_a_shared_exemption_holds_for_a_rule_about_the_stack_and_shows_its_reason():
    program = deployed(example(RULES["dead-letter-alarm"].bad[0], previewed=False))
    pack, found = shared(
        {"urn": "*::failures", "rules": "dead-letter-alarm", **REASON}, rules=["dead-letter-alarm"], program=program
    )
    assert found == set()
    reasons = {each.policy_name: each.reason for each in pack.analyze_stack(program).not_applicable}
    assert reasons["dead-letter-alarm"] == "failures is exempt: baseline 2026-11-30"


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        ({"urn": "*::gone", "rules": "*", **REASON}, "the exemption of *::gone matches no resource"),
        (
            {"urn": "*::orders", "rules": ["maping-bisect-on-error"], **REASON},
            (
                "the exemption of *::orders names the rule 'maping-bisect-on-error', which there is not: "
                "did you mean mapping-bisect-on-error?"
            ),
        ),
        (
            {"urn": "*::orders", **REASON, "rules": []},
            "the exemption of *::orders names no rules: give their ids, or *",
        ),
        ({"urn": "*::orders", "rules": "*"}, "the exemption of *::orders has no reason, so it does not hold"),
        (
            {"urn": "orders", "rules": "*", **REASON},
            "the urn 'orders' is a bare name: write *::orders, or the whole URN",
        ),
        ({"tag": "stage", "rules": "*", **REASON}, "the tag 'stage' has no value: write key=value"),
    ],
)
def test_a_shared_exemption_that_does_not_hold_is_told_and_exempts_nothing(entry, told):
    pack, found = shared(entry, rules=["mapping-bisect-on-error"])
    assert found == BISECT | STALE
    (diagnostic,) = pack.analyze_stack(MAPPING).diagnostics
    assert diagnostic.message.splitlines()[1] == told


def test_a_shared_exemption_is_forgotten_when_the_pack_is_configured_again():
    pack, found = shared({"urn": "*", "rules": "*", **REASON}, rules=["mapping-bisect-on-error"])
    assert found == set()
    pack.configure({})
    assert pack.findings(MAPPING) == BISECT


def test_an_exemption_goes_by_a_tag_of_the_resource():
    (orders,) = example(RULES["mapping-bisect-on-error"].bad[0], previewed=False)
    tagged = deployed([changed(orders, tags={"stage": "load-test"})])
    exemptions = [{"tag": "stage=load-test", "reason": "generated data"}]
    assert judge("mapping-bisect-on-error", tagged, exemptions=exemptions) == set()


@pytest.mark.parametrize("reason", [{}, {"reason": ""}, {"reason": "  "}])
@pytest.mark.parametrize("program", [MAPPING, GOOD_MAPPING], ids=["bad", "good"])
def test_an_exemption_without_a_reason_is_a_violation_whatever_the_resource_says(program, reason):
    assert {
        finding.rule for finding in judge("mapping-bisect-on-error", program, exemptions=[{"urn": "*", **reason}])
    } == {"mapping-bisect-on-error"}


def test_an_exemption_without_a_reason_is_a_violation_of_a_rule_about_the_stack_too():
    good = deployed(example(RULES["dead-letter-alarm"].good[0], previewed=False))
    found = judge("dead-letter-alarm", good, exemptions=[{"urn": "*::failures"}])
    assert found == {Finding("dead-letter-alarm", "failures")}


def test_a_urn_with_brackets_is_taken_literally():
    (orders,) = example(RULES["mapping-bisect-on-error"].bad[0], previewed=False)
    urn = orders.urn.replace("::orders", "::orders[0]")
    program = deployed([replace(orders, urn=urn)])
    assert judge("mapping-bisect-on-error", program, exemptions=[{"urn": urn, "reason": "for the test"}]) == set()


def test_parameters_change_what_a_rule_demands():
    table = deployed(example(RULES["stream-view-type"].bad[0], previewed=False))
    assert judge("stream-view-type", table, allowed=["NEW_AND_OLD_IMAGES", "KEYS_ONLY"]) == set()
    route = deployed(example(RULES["api-authorisation"].bad[0], previewed=False))
    assert judge("api-authorisation", route, public_routes=["POST /users/{userId}/plan"]) == set()
    quick = deployed(example(RULES["api-authorisation"].bad[1], previewed=False))
    assert judge("api-authorisation", quick, public_routes=["$default"]) == set()
    alarm = deployed(example(RULES["iterator-age-alarm"].good[0], previewed=False))
    assert judge("iterator-age-alarm", alarm, maximum_hours=1) != set()
    queue = deployed(example(RULES["dead-letter-retention"].bad[0], previewed=False))
    assert judge("dead-letter-retention", queue, minimum_days=4) == set()


@pytest.mark.parametrize(
    ("rule_id", "settings", "problem"),
    [
        (
            "dead-letter-retention",
            {"minimum_day": 4},
            "there is no setting 'minimum_day', only minimum_days, exemptions",
        ),
        ("dead-letter-retention", {"minimum_days": "four"}, "minimum_days is not a number"),
        ("dead-letter-retention", {"minimum_days": True}, "minimum_days is not a number"),
        ("stream-view-type", {"allowed": "KEYS_ONLY"}, "allowed is not a list"),
        ("stream-view-type", {"allowed": [1]}, "allowed holds a value that is not a text"),
        ("stream-view-type", {"exemptions": {"urn": "*"}}, "exemptions is not a list"),
        ("stream-view-type", {"exemptions": ["*"]}, "exemptions holds a value that is not an object"),
    ],
)
def test_a_configuration_that_the_rule_does_not_take_is_a_violation_and_never_ignored(rule_id, settings, problem):
    for examples in (RULES[rule_id].good, RULES[rule_id].bad):
        program = deployed(example(examples[0], previewed=False))
        answers = Pack([RULES[rule_id]], config={rule_id: settings}).answers(program)
        messages = {diagnostic.message.splitlines()[1] for answer in answers for diagnostic in answer.diagnostics}
        assert messages == {f"the configuration of {rule_id} is wrong: {problem}"}


def test_a_rule_that_fails_does_not_end_the_run_and_says_so(capfd):
    def fails(resource, config):
        raise ValueError("the secret of the property")
        yield Violation(what="", lost="")

    rule = RULES["mapping-bisect-on-error"]
    broken = Rule(**{**{key: getattr(rule, key) for key in rule.__dataclass_fields__}, "check": fails})
    (reason,) = Pack([broken]).analyze(MAPPING[0]).not_applicable
    assert reason.reason.startswith("the rule mapping-bisect-on-error failed on orders: ValueError at fails:")
    said = capfd.readouterr().err
    assert "the other rules ran" in said
    assert "secret" not in said


def test_a_message_has_four_parts():
    (diagnostic,) = Pack([RULES["mapping-bisect-on-error"]]).analyze(MAPPING[0]).diagnostics
    title, what, where, lost, fix = diagnostic.message.splitlines()
    assert title == RULES["mapping-bisect-on-error"].title
    assert what == "a batch that fails as a whole is not split"
    assert where.strip() == "resource: orders (aws:lambda/eventSourceMapping:EventSourceMapping)"
    assert lost.strip().startswith("what would be lost: ")
    assert fix.strip() == (
        "fix: Set bisectBatchOnFunctionError: true (Python: bisect_batch_on_function_error=True). "
        "(docs/policies/mapping-bisect-on-error.md)"
    )


@pytest.mark.parametrize(
    ("pattern", "is_public"),
    [
        ("PUT /plan", True),
        ("PUT /*", True),
        ("* /plan", True),
        ("GET /*", False),
        ("PUT /plans", False),
        ("PUT", False),
    ],
)
def test_public_routes_are_patterns_and_count_for_methods_of_a_rest_api(pattern, is_public):
    program = deployed(example(RULES["api-authorisation"].bad[3], previewed=False))
    assert (judge("api-authorisation", program, public_routes=[pattern]) == set()) == is_public
