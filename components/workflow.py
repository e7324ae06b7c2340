"""`Workflow`: a Step Functions state machine that a consumer starts once per change."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, cast

import pulumi
import pulumi_aws as aws

from components.access import Access, Statement, allow, policy_document, trust
from components.alarms import WORKFLOW_ALARMS, AlarmOpinion, make_alarms
from components.names import STATE_MACHINE, check_name
from components.refusal import Refused
from components.watched import Line, Watched

_PROJECT = Path(__file__).resolve().parents[1]

#: A name in a definition that an access stands for, as CloudFormation's DefinitionSubstitutions write it.
_NAME: Final = re.compile(r"\$\{([^}]*)\}")

#: Longer than any approval waits: a request is there as long as its token can be answered.
_APPROVAL_RETENTION_SECONDS: Final = 14 * 24 * 3600


class Workflow(pulumi.ComponentResource):
    """A state machine of type STANDARD: steps that wait, ask people, and take back what was done.

    A consumer starts it with `handlers.cdc.workflow.Workflow`, one execution per key. Guide: docs/guides/workflows.md.

    Args:
        definition: Path of a definition in the Amazon States Language, from the project's root. `${NAME}` in it stands
            for the value of the variable `NAME` of an access.
        access: Permissions of the machine's role, and the variables of the definition.
        approvals: Name of a variable for the URL of a queue of requests that people answer by their task token; `None`
            for no such queue.
        alarms: The alarms, `WORKFLOW_ALARMS` by default.
        alarm_actions: ARNs that alarms notify, usually of SNS topics.
        page_actions: ARNs that the urgent ones notify; `alarm_actions` when not given.

    Attributes:
        machine: The `aws.sfn.StateMachine`.
        role: Its `aws.iam.Role`.
        policy: The role's only policy, an `aws.iam.RolePolicy`; `None` without an access.
        approvals: The `aws.sqs.Queue` of requests, or `None`.
        alarms: Each `aws.cloudwatch.MetricAlarm`, by name.

    Raises:
        Refused: The definition is not JSON with states, names a variable that no access sets, or waits for a task
            token without a time-out; or two accesses set one variable.

    Example:
        table = ProjectionTable("onboardings", hash_key="upgrade")
        workflow = Workflow(
            "onboarding",
            definition="handlers/onboarding.asl.json",
            access=[table.access("ONBOARDINGS_TABLE")],
            approvals="APPROVALS_QUEUE",
        )
        fan_out.subscribe(onboarding.handler, access=[workflow.start_access("ONBOARDING_WORKFLOW")])
    """

    def __init__(
        self,
        name: str,
        *,
        definition: str,
        access: Sequence[Access] = (),
        approvals: str | None = None,
        alarms: Sequence[AlarmOpinion] = WORKFLOW_ALARMS,
        alarm_actions: Sequence[pulumi.Input[str]] = (),
        page_actions: Sequence[pulumi.Input[str]] | None = None,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        check_name(name, STATE_MACHINE)
        text = _read(name, definition)
        super().__init__("weir:index:Workflow", name, {}, opts)
        child = pulumi.ResourceOptions(parent=self)
        self.approvals: aws.sqs.Queue | None = None
        granted = list(access)
        if approvals is not None:
            self.approvals = aws.sqs.Queue(
                f"{name}-approvals",
                message_retention_seconds=_APPROVAL_RETENTION_SECONDS,
                sqs_managed_sse_enabled=True,
                opts=child,
            )
            granted.append(Access([allow(["sqs:SendMessage"], self.approvals.arn)], {approvals: self.approvals.url}))
        variables = _variables(name, definition, text, granted)
        statements: list[Statement] = [statement for each in granted for statement in each.statements]
        self.role = aws.iam.Role(name, assume_role_policy=trust("states.amazonaws.com"), opts=child)
        self.policy: aws.iam.RolePolicy | None = None
        if statements:  # IAM takes no policy without one, and a definition may call nothing
            document = policy_document(statements)
            self.policy = aws.iam.RolePolicy(name, role=self.role.name, policy=document, opts=child)
        self.machine = aws.sfn.StateMachine(
            name,
            type="STANDARD",
            role_arn=self.role.arn,
            definition=pulumi.Output.all(**variables).apply(lambda values: _filled(text, values)),
            # The first execution may follow at once.
            opts=pulumi.ResourceOptions(parent=self, depends_on=[self.policy] if self.policy else []),
        )
        self.alarms = make_alarms(
            name,
            alarms,
            {"StateMachineArn": self.machine.arn},
            actions=alarm_actions,
            page_actions=page_actions,
            opts=child,
        )
        self.register_outputs({"stateMachineArn": self.machine.arn})

    def start_access(self, variable: str) -> Access:
        """Permission to start executions, and neither to stop nor to answer any.

        Args:
            variable: The environment variable that `handlers.cdc.workflow.Workflow` takes the ARN from.
        """
        return Access([allow(["states:StartExecution"], self.machine.arn)], {variable: self.machine.arn})

    def watched(self) -> Sequence[Watched]:
        """Return what a dashboard shows of the state machine."""
        by_machine = {"StateMachineArn": self.machine.arn}
        started, failed, timed_out = (
            Line(namespace="AWS/States", metric=metric, dimensions=by_machine)
            for metric in ("ExecutionsStarted", "ExecutionsFailed", "ExecutionsTimedOut")
        )
        return [
            Watched(
                name=self.pulumi_resource_name,
                batches=[started],
                failures=[failed, timed_out],
                alarms=[*self.alarms.values()],
            )
        ]


def _read(name: str, definition: str) -> str:
    text = (_PROJECT / definition).read_text(encoding="utf-8")
    try:
        machine = json.loads(text)
    except ValueError as wrong:
        raise Refused(f"{name}: {definition} is not JSON: {wrong}") from None
    if not isinstance(machine, dict) or not isinstance(cast("dict[str, Any]", machine).get("States"), dict):
        raise Refused(f"{name}: {definition} has no States: write it in the Amazon States Language")
    for state_name, state in _states(cast("dict[str, Any]", machine)):
        waits = str(state.get("Resource", "")).endswith(".waitForTaskToken")
        if waits and not any(member.startswith(("TimeoutSeconds", "HeartbeatSeconds")) for member in state):
            raise Refused(
                f"{name}: the state {state_name!r} of {definition} waits for a task token without a time-out: if "
                "nobody answers, its execution runs for a year; give it TimeoutSeconds, and a Catch that takes back "
                "what was done before"
            )
    return text


def _states(machine: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield every state by its name, also those of branches and maps."""
    for name, state in machine["States"].items():
        yield name, state
        items = [state[member] for member in ("ItemProcessor", "Iterator") if member in state]
        for inner in (*state.get("Branches", ()), *items):
            yield from _states(inner)


def _variables(name: str, definition: str, text: str, access: Sequence[Access]) -> dict[str, pulumi.Input[str]]:
    variables: dict[str, pulumi.Input[str]] = {}
    for each in access:
        for variable, value in each.environment.items():
            if variable in variables:
                raise Refused(f"{name}: two accesses set {variable}, and one of the two would win: rename one")
            variables[variable] = value
    if missing := sorted(set(_NAME.findall(text)) - variables.keys()):
        raise Refused(
            f"{name}: {definition} names {', '.join(missing)}, which no access sets; set are "
            f"{', '.join(sorted(variables)) or 'none'}"
        )
    return variables


def _filled(text: str, values: Mapping[str, str]) -> str:
    """Put values in the place of their names, written as parts of JSON strings."""
    return _NAME.sub(lambda found: json.dumps(values[found[1]])[1:-1], text)
