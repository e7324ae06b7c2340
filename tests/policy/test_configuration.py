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
    return {diagnostic.enforcementLevel for answer in pack.answers(program) for diagnostic in answer.diagnostics}


@pytest.mark.parametrize("rule", all_rules(), ids=lambda rule: rule.id)
def test_every_rule_takes_a_level(rule):
    assert levels(rule, "mandatory") == {analyzer.MANDATORY}
    assert levels(rule, "advisory") == {analyzer.ADVISORY}
    assert levels(rule, "disabled") == set()


@pytest.mark.parametrize("rule", all_rules(), ids=lambda rule: rule.id)
def test_every_rule_takes_exemptions_and_keeps_its_level_with_them(rule):
    settings = {"exemptions": [{"urn": "urn:nobody", "reason": "for the test"}]}
    level = {"mandatory": analyzer.MANDATORY, "advisory": analyzer.ADVISORY}[rule.level]
    assert levels(rule, settings) == {level}
    everybody = {"exemptions": [{"urn": "*", "reason": "for the test"}]}
    assert levels(rule, everybody) == set()


@pytest.mark.parametrize("rule", all_rules(), ids=lambda rule: rule.id)
def test_a_pack_tells_no_configuration_of_its_own_that_could_lower_a_level(rule):
    info = Pack([rule]).servicer.GetAnalyzerInfo(None, None)
    assert not info.initialConfig
    assert (
        info.policies[0].enforcementLevel
        == {"mandatory": analyzer.MANDATORY, "advisory": analyzer.ADVISORY}[rule.level]
    )


def test_an_exempt_resource_is_not_applicable_and_the_reason_shows():
    pack = Pack(
        [RULES["mapping-bisect-on-error"]],
        config={"mapping-bisect-on-error": {"exemptions": [{"urn": "*::orders", "reason": "batches of one"}]}},
    )
    answer = pack.analyze(MAPPING[0])
    assert not answer.diagnostics
    assert [each.reason for each in answer.not_applicable] == ["orders is exempt: batches of one"]


@pytest.mark.parametrize("exemption", [{"urn": "*::other"}, {"tag": "stage=prod"}, {"tag": "stage"}, {}])
def test_an_exemption_of_something_else_exempts_nothing(exemption):
    assert judge("mapping-bisect-on-error", MAPPING, exemptions=[{**exemption, "reason": "for the test"}]) == BISECT


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
        ("stream-view-type", {"allowed": [1]}, "allowed holds what is not a text"),
        ("stream-view-type", {"exemptions": {"urn": "*"}}, "exemptions is not a list"),
        ("stream-view-type", {"exemptions": ["*"]}, "exemptions holds what is not an object"),
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
