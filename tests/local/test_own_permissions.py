"""A function's log, which its role has to allow, and what of the roles' policies is not evaluated."""

from __future__ import annotations

import json
from typing import Any

import pytest

conforms = pytest.mark.conformance

ACCOUNT = "111122223333"

PRINTS = """
def handler(event, context):
    print("hello")
    print('{"_aws": {"Timestamp": 1, "CloudWatchMetrics": [{"Namespace": "own", "Dimensions": [[]], '
          '"Metrics": [{"Name": "Hello"}]}]}, "Hello": 1}')
    return {"n": 1}
"""


def allow(*actions: str, resource: Any = "*") -> dict[str, Any]:
    return {"Effect": "Allow", "Action": list(actions), "Resource": resource}


@conforms("IAM-20", "documented")
def test_iam_20_a_function_without_permission_for_its_log_has_none(world):
    role = world.make_role(world.name)
    group = f"/aws/lambda/{world.name}"
    logs = world.client("logs")
    world.function(PRINTS, role=role)

    def groups():
        return [each["logGroupName"] for each in logs.describe_log_groups(logGroupNamePrefix=group)["logGroups"]]

    def hellos() -> int:
        return world.log().count("hello")

    world.invoke()
    world.allow(world.name, allow("logs:CreateLogStream", "logs:PutLogEvents"))
    world.invoke()
    assert groups() == []
    assert world.control.metric_sum("Invocations", FunctionName=world.name) == 2
    # As AWSLambdaBasicExecutionRole does: the group is created too.
    world.allow(world.name, allow("logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"))
    before = world.control.metric_sum("Hello")
    world.invoke()
    assert (groups(), hellos()) == ([group], 1)
    assert world.control.metric_sum("Hello") == before + 1
    # A group that exists needs no permission to create one; another group's permission is of no use.
    of_group = f"arn:aws:logs:us-east-1:{ACCOUNT}:log-group:{group}:*"
    world.allow(world.name, allow("logs:CreateLogStream", "logs:PutLogEvents", resource=of_group))
    world.invoke()
    assert hellos() == 2
    world.allow(world.name, allow("logs:CreateLogStream", "logs:PutLogEvents", resource=f"{of_group[:-2]}-other:*"))
    world.invoke()
    assert hellos() == 2
    # The tail of an invocation comes from Lambda and not from the log.
    answer = world.client("lambda").invoke(FunctionName=world.name, LogType="Tail")
    assert answer["LogResult"]


def test_what_is_not_evaluated_of_the_roles_of_functions_and_machines_is_listed(world):
    condition = {"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}
    for service in ("lambda", "states"):
        role = world.make_role(f"{world.name}-{service}", {**allow("sqs:*"), "Condition": condition}, service=service)
        if service == "lambda":
            world.function(PRINTS, role=role)
        else:
            world.client("stepfunctions").create_state_machine(
                name=world.name,
                roleArn=role,
                definition=json.dumps({"StartAt": "end", "States": {"end": {"Type": "Succeed"}}}),
            )
        said = [each for each in world.control.unjudged() if each.startswith(f"{role}: ")]
        assert [each.partition(" is not evaluated here")[0] for each in said] == [
            f"{role}: the condition operator IpAddress",
            f"{role}: the condition key aws:SourceIp",
        ]
