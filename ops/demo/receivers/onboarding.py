"""The executions of the onboarding workflow, and the people who approve."""

from __future__ import annotations

import contextlib
import json
import time
from collections import Counter
from collections.abc import Callable, Generator, Sequence
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

#: What the workflow waits before it asks for approval.
COOL_DOWN_SECONDS = 60
#: Many times what the executions take to end.
ENDED_WITHIN_SECONDS = 300.0


class Onboarding(Receiver):
    """The executions of the state machine, by the upgrade in their input, and how each ended."""

    consumer: ClassVar[str] = "onboarding"
    claim: ClassVar[str] = (
        "each of the {count} upgrades has one onboarding: approved ones are active, refused ones released"
    )
    mechanisms: ClassVar[tuple[Mechanism, ...]] = (Mechanism.EXECUTION_NAME, Mechanism.COMPENSATION)
    by_hand: ClassVar[str] = "approve and refuse onboardings, a minute later"

    def __init__(self) -> None:
        self._is_decided = False

    @contextlib.contextmanager
    def serving(self, without: Mechanism | None) -> Generator[Served]:  # noqa: ARG002 - Step Functions is the endpoint's
        """Switch the workflow on."""
        yield Served({"weir:onboarding": "true"})

    def begin(self, deployed: Deployed, plan: Plan, without: Mechanism | None) -> None:  # noqa: ARG002
        """Without the mechanism, let every start have a name of its own."""
        if without is Mechanism.EXECUTION_NAME:
            deployed.endpoint.control.ignore_conditions(operation="stepfunctions:StartExecution")

    def act(self, deployed: Deployed, plan: Plan, tell: Callable[[str], None]) -> None:
        """Answer each request for approval, which comes after the minute that a workflow waits.

        Raises:
            TimeoutError: An execution did not end.
        """
        deployed.endpoint.control.advance_clock(COOL_DOWN_SECONDS)
        machines, sqs = deployed.endpoint.client("stepfunctions"), deployed.endpoint.client("sqs")
        queue, answered = deployed.outputs["onboardingApprovals"], Counter[str]()
        deadline = time.monotonic() + ENDED_WITHIN_SECONDS
        while self._executions(deployed, statusFilter="RUNNING"):
            if time.monotonic() > deadline:
                raise TimeoutError(f"onboardings were still running after {ENDED_WITHIN_SECONDS:g} s")
            asked = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10, WaitTimeSeconds=1).get("Messages", [])
            for message in asked:
                request = json.loads(message["Body"])
                if request["userId"] in plan.refused:
                    machines.send_task_failure(taskToken=request["taskToken"], error="Refused", cause="by the plan")
                    answered["refused"] += 1
                else:
                    machines.send_task_success(taskToken=request["taskToken"], output='{"approvedBy": "the demo"}')
                    answered["approved"] += 1
                sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
            tell(", ".join(f"{count} {what}" for what, count in answered.items()))
        self._is_decided = True

    def expected(self, plan: Plan, changes: Sequence[Change]) -> Counter[str]:
        """Return each upgrade from the free plan to the paid one: the user, the item's version, and the decision."""
        upgrades = [
            (user_of(change), change["dynamodb"]["NewImage"]["version"]["N"])
            for change in plan_changes(changes)
            if (plan_before(change), plan_after(change)) == (FREE_PLAN, PAID_PLAN)
        ]
        return Counter(
            self._effect(f"{user}#{version}", "released" if user in plan.refused else "active")
            for user, version in upgrades
        )

    def found(self, deployed: Deployed) -> Counter[str]:
        """Return the upgrade of each execution, and the onboarding's status."""
        machines = deployed.endpoint.client("stepfunctions")
        started = self._executions(deployed)
        inputs = [json.loads(machines.describe_execution(executionArn=arn)["input"]) for arn in started]
        rows = deployed.items(deployed.outputs["onboardingsTable"])
        status = {row["upgrade"]["S"]: row["status"]["S"] for row in rows}
        return Counter(
            self._effect(document["upgrade"], status.get(document["upgrade"], "unknown")) for document in inputs
        )

    def _executions(self, deployed: Deployed, **only: str) -> list[str]:
        """List the ARNs of the executions."""
        machines = deployed.endpoint.client("stepfunctions").get_paginator("list_executions")
        pages = machines.paginate(stateMachineArn=deployed.outputs["onboardingWorkflow"], **only)
        return [each["executionArn"] for page in pages for each in page["executions"]]

    def _effect(self, upgrade: str, status: str) -> str:
        return f"{upgrade} is {status}" if self._is_decided else upgrade
