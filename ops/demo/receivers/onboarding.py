"""The executions of the onboarding workflow."""

from __future__ import annotations

import contextlib
import json
from collections import Counter
from collections.abc import Generator, Sequence
from typing import ClassVar

from ops.demo.mechanisms import Mechanism
from ops.demo.plan import FREE_PLAN, PAID_PLAN, Plan
from ops.demo.receivers.receiver import (
    Change,
    Deployed,
    Receiver,
    Served,
    plan_after,
    plan_before,
    plan_changes,
    user_of,
)


class Onboarding(Receiver):
    """The executions of the state machine, by the upgrade in their input."""

    consumer: ClassVar[str] = "onboarding"
    claim: ClassVar[str] = "each of the {count} upgrades started one onboarding workflow"
    mechanism: ClassVar[Mechanism] = Mechanism.EXECUTION_NAME

    @contextlib.contextmanager
    def serving(self, without: Mechanism | None) -> Generator[Served]:  # noqa: ARG002 - Step Functions is the endpoint's
        """Switch the workflow on."""
        yield Served({"weir:onboarding": "true"})

    def begin(self, deployed: Deployed, plan: Plan, without: Mechanism | None) -> None:  # noqa: ARG002
        """Without the mechanism, let every start have a name of its own."""
        if without is Mechanism.EXECUTION_NAME:
            deployed.endpoint.control.ignore_conditions(operation="stepfunctions:StartExecution")

    def expected(self, plan: Plan, changes: Sequence[Change]) -> Counter[str]:  # noqa: ARG002 - the changes know
        """Return each upgrade from the free plan to the paid one: the user, and the item's version."""
        return Counter(
            f"{user_of(change)}#{change['dynamodb']['NewImage']['version']['N']}"
            for change in plan_changes(changes)
            if (plan_before(change), plan_after(change)) == (FREE_PLAN, PAID_PLAN)
        )

    def found(self, deployed: Deployed) -> Counter[str]:
        """Return the upgrade of each execution."""
        machines = deployed.endpoint.client("stepfunctions")
        pages = machines.get_paginator("list_executions").paginate(
            stateMachineArn=deployed.outputs["onboardingWorkflow"]
        )
        started = [each["executionArn"] for page in pages for each in page["executions"]]
        inputs = [json.loads(machines.describe_execution(executionArn=arn)["input"]) for arn in started]
        return Counter(document["upgrade"] for document in inputs)
