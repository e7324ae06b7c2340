"""Runs the demo: endpoint, program, traffic, and then the evidence."""

from __future__ import annotations

import functools
import json
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from botocore.credentials import Credentials as SigningCredentials
from rich.console import Console

from local.endpoint import Endpoint
from ops.demo.claims import Evidence, judge
from ops.demo.mechanisms import Mechanism, inputs_without
from ops.demo.plan import Plan, address_of, make_plan
from ops.demo.report import Report
from ops.demo.traffic import PlanApi, send_all
from ops.local_stack import local_stack
from ops.progress import Step, step

CONSUMER = "welcome-email"
#: The demo shows what an event source mapping of a stream does, so its consumer reads the stream itself.
_DIRECT = {"weir:fanOut": "false"}
#: Several times what a run takes on a slow machine.
QUIET_WITHIN_SECONDS = 180.0
#: The alarms' period.
PERIOD_SECONDS = 60


class NotQuiet(RuntimeError):
    """Changes were still on their way when the demo stopped waiting."""


def run_demo(users: int, *, port: int, without: Mechanism | None, console: Console) -> Report:
    """Run the demo, with progress on `console`.

    Args:
        users: How many users there are, 20 to 5,000.
        port: Port of the endpoint; 0 takes a free one.
        without: A mechanism to switch off.
        console: Where progress goes.

    Raises:
        ValueError: There are too few or too many users.
        EndpointError: The endpoint cannot be started, e.g. because the port is in use.
        DeployFailed: The program cannot be deployed.
        NotQuiet: Changes were still on their way long after the last request.
    """
    started = time.monotonic()
    change = functools.partial(inputs_without, without)
    with local_stack(console, port=port, change_inputs=change, config=_DIRECT) as (endpoint, deployment):
        report = run_on(endpoint, deployment.outputs, users, without=without, console=console)
    return replace(report, seconds=time.monotonic() - started)


def run_on(
    endpoint: Endpoint, outputs: Mapping[str, Any], users: int, *, without: Mechanism | None, console: Console
) -> Report:
    """Run the demo on a stack that is deployed, whoever has deployed it.

    Args:
        endpoint: Its endpoint.
        outputs: Its outputs.
        users: How many users there are, 20 to 5,000.
        without: The mechanism that is switched off.
        console: Where progress goes.

    Raises:
        ValueError: There are too few or too many users.
        NotQuiet: Changes were still on their way long after the last request.
    """
    plan = make_plan(users)
    started = time.monotonic()
    demo = _Demo(endpoint, outputs, plan)
    with step(console, "create the users") as creating:
        demo.create_users(creating)
    with step(console, "arrange what goes wrong") as arranging:
        demo.let_things_go_wrong(without)
        arranging.tell(
            f"{len(plan.no_address)} unusable addresses, {len(plan.crashing)} record that kills the function, "
            f"{len(plan.lost_answers)} answers that get lost, {len(plan.throttled)} throttled mails"
        )
    with step(console, "upgrade them over the API") as upgrading:
        demo.send_requests(upgrading)
    with step(console, "wait until all is quiet") as waiting:
        demo.wait_until_quiet(waiting)
    with step(console, "advance the alarms' clock to the end of the period"):
        demo.evaluate_alarms()
    evidence = demo.evidence()
    return Report(
        users=users,
        without=None if without is None else without.value,
        counts=demo.counts(evidence),
        alarms=evidence.alarms,
        verdicts=judge(plan, evidence),
        seconds=time.monotonic() - started,
    )


class _Demo:
    """One run on a deployed stack."""

    def __init__(self, endpoint: Endpoint, outputs: Mapping[str, Any], plan: Plan) -> None:
        self._endpoint = endpoint
        self._control = endpoint.control
        self._outputs = outputs
        self._region = endpoint.region
        self._plan = plan
        self._consumer: Mapping[str, Any] = outputs["consumers"][CONSUMER]
        self._dynamodb = endpoint.client("dynamodb")
        self._answers: Counter[int] = Counter()
        self._alarms: dict[str, str] = {}

    def create_users(self, creating: Step) -> None:
        items = [self._plan.item_of(user) for user in self._plan.users]
        for start in range(0, len(items), 25):
            puts = [
                {"PutRequest": {"Item": {name: {"S": value} for name, value in item.items()}}}
                for item in items[start : start + 25]
            ]
            self._dynamodb.batch_write_item(RequestItems={self._outputs["usersTable"]: puts})
        self._settle(creating, len(items))
        creating.tell(f"{len(items)}, and the consumer has seen them")

    def let_things_go_wrong(self, without: Mechanism | None) -> None:
        for user in self._plan.lost_answers:
            self._control.drop_answer(containing=user)
        for user in self._plan.throttled:
            self._control.throttle("sesv2:SendEmail", containing=address_of(user), times=1)
        for user in self._plan.crashing:
            self._control.crash(containing=user)
        if without is Mechanism.LEDGER:
            self._control.lose_writes(self._outputs["effectLedgerTable"])

    def send_requests(self, upgrading: Step) -> None:
        requests = [(user, self._plan.requests_of(user)) for user in self._plan.upgraded]
        total = sum(len(plans) for _, plans in requests)
        credentials = SigningCredentials(self._endpoint.access_key_id, self._endpoint.secret_access_key)
        api = PlanApi(self._outputs["apiUrl"], credentials, self._region)
        try:
            self._answers = send_all(
                requests, api.set_plan, lambda answered: upgrading.tell(f"{answered} of {total} requests")
            )
        finally:
            api.close()

    def wait_until_quiet(self, waiting: Step) -> None:
        self._settle(waiting, len(self._stream()))
        waiting.tell("every change is done with")

    def evaluate_alarms(self) -> None:
        # Alarms look at whole periods, and nobody wants to watch the rest of one.
        states = self._control.evaluate_alarms(at=time.time() + PERIOD_SECONDS)
        self._alarms = {short: states[name] for short, name in self._consumer["alarms"].items()}

    def evidence(self) -> Evidence:
        history = self._history()
        faults = self._control.faults()
        return Evidence(
            answers=self._answers,
            changes=self._stream(),
            processed=list(_processed(history)),
            unfinished=self._control.mapping(self._consumer["eventSourceMapping"]).unfinished,
            mails=Counter(address for mail in self._control.mails() for address in mail["To"]),
            dead_letters=self._dead_letters(),
            alarms=self._alarms,
            faults={
                "lost answers": sum(fault["fired"] for fault in faults if fault["kind"] == "drop answer"),
                "throttled mails": sum(fault["fired"] for fault in faults if fault["kind"] == "throttle"),
            },
            crash_batches=[
                len(entry["identifiers"]) for entry in history if entry.get("error_type") == "Runtime.ExitError"
            ],
            filtered_out=list(_identifiers(history, "filtered out")),
        )

    def counts(self, evidence: Evidence) -> dict[str, int]:
        history = self._history()
        invocations = [entry for entry in history if entry["kind"] == "invocation"]
        effects = self._control.metrics()
        return {
            "changes written": len(evidence.changes),
            "filtered out": len(evidence.filtered_out),
            "batches": len({entry["request_id"] for entry in invocations}),
            "invocations": len(invocations),
            "retries": sum(entry["attempt"] > 1 for entry in invocations),
            "bisections": sum(entry["bisected"] for entry in invocations),
            "effects applied": _total(effects, "EffectsApplied"),
            "duplicates suppressed": _total(effects, "EffectsSuppressed"),
            "dead letters": sum(len(json.loads(document["payload"])["Records"]) for document in evidence.dead_letters),
        }

    def _settle(self, running: Step, changes: int) -> None:
        """Wait until this many changes are finished: accepted, filtered out or given up.

        Raises:
            NotQuiet: They are not in time.
        """
        deadline = time.monotonic() + QUIET_WITHIN_SECONDS
        while True:
            history = self._history()
            done = {*_processed(history), *_identifiers(history, "given up"), *_identifiers(history, "filtered out")}
            if len(done) >= changes:
                return
            status = self._control.mapping(self._consumer["eventSourceMapping"])
            left = f"{changes - len(done)} changes left"
            running.tell(
                f"{left}, {status.invocations} invocations, {status.retries} retries, "
                f"{status.bisections} bisections, {status.givenUp} given up"
            )
            if time.monotonic() > deadline:
                raise NotQuiet(f"{left} after {QUIET_WITHIN_SECONDS:g} s of waiting: {running.text}")
            time.sleep(0.2)

    def _history(self) -> list[dict[str, Any]]:
        return self._control.history(self._consumer["eventSourceMapping"])

    def _stream(self) -> list[dict[str, Any]]:
        streams = self._endpoint.client("dynamodbstreams")
        arn = self._outputs["streamArn"]
        records: list[dict[str, Any]] = []
        for shard in streams.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"]:
            iterator = streams.get_shard_iterator(
                StreamArn=arn, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
            )["ShardIterator"]
            while iterator is not None:
                page = streams.get_records(ShardIterator=iterator)
                records += page["Records"]
                iterator = page.get("NextShardIterator") if page["Records"] else None
        return records

    def _dead_letters(self) -> list[dict[str, Any]]:
        s3 = self._endpoint.client("s3")
        bucket = self._consumer["failureDestination"].rpartition(":")[2]
        keys = [
            entry["Key"]
            for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket)
            for entry in page.get("Contents", [])
        ]
        return [json.loads(s3.get_object(Bucket=bucket, Key=key)["Body"].read()) for key in keys]


def _processed(history: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for entry in history:
        if entry["kind"] == "invocation":
            yield from entry["identifiers"][: entry["accepted"]]


def _identifiers(history: Sequence[Mapping[str, Any]], kind: str) -> Iterator[str]:
    for entry in history:
        if entry["kind"] == kind:
            yield from entry["identifiers"]


def _total(metrics: Any, name: str) -> int:
    return int(sum(metric["sum"] for metric in metrics if metric["name"] == name))
