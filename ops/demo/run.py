"""Runs the demo: endpoint, backends, program, traffic, and then the evidence."""

from __future__ import annotations

import contextlib
import functools
import time
from collections import Counter
from collections.abc import Callable, Collection, Generator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from botocore.credentials import Credentials as SigningCredentials
from rich.console import Console

from local.deploy.deployment import Deployment
from local.endpoint import Endpoint
from ops.demo.claims import Evidence, event_id, judge
from ops.demo.evidence import Observer, Progress
from ops.demo.mechanisms import OF_EVERY_CONSUMER, OF_STREAMS, Mechanism, demo_inputs
from ops.demo.plan import Plan, account_of, make_plan
from ops.demo.receivers import RECEIVERS, Deployed, Receiver
from ops.demo.receivers.receiver import Change, plan_changes, user_of
from ops.demo.repeats import repeat
from ops.demo.report import Report
from ops.demo.traffic import PlanApi, send_all
from ops.local_stack import local_stack
from ops.progress import Step, step

#: On the direct route the one consumer reads the stream itself.
DIRECT_CONSUMER = "welcome-email"
_DIRECT = {"weir:fanOut": "false"}
#: With a fan-out, two processes of each consumer share this machine: that takes more time than the stack's file allows.
#: A crashed worker's claim in the ledger still ends before the last attempt: after 4 s, and 6 s.
_FAN_OUT = {"weir:functionTimeout": "3"}
#: Many times what a run takes, for a machine with other work to do.
QUIET_WITHIN_SECONDS = 600.0
#: Seconds between two looks at the consumers' work.
POLL_SECONDS = 0.5
#: Seconds without any progress after which no function can still run, and by which the endpoint's clock is moved then:
#: a message whose function was killed stays hidden for six times the function's time.
STILL_SECONDS, PAUSE_SECONDS = 4.0, 20.0
#: The alarms' period.
PERIOD_SECONDS = 60


class NotQuiet(RuntimeError):
    """Changes were still on their way when the demo stopped waiting."""


class NotShown(ValueError):
    """The demo cannot show this choice of consumers and mechanism; the message says why."""


def chosen(only: Collection[str], without: Mechanism | None, *, direct: bool) -> list[Receiver]:
    """Choose the consumers to show.

    Args:
        only: Their names; all when empty.
        without: The mechanism to switch off.
        direct: Whether they read the stream itself.

    Raises:
        NotShown: There is no such consumer, or it has nothing of the mechanism.
    """
    known = {receiver.consumer: receiver for receiver in RECEIVERS}
    if unknown := sorted(set(only) - set(known)):
        raise NotShown(f"the demo shows no consumer {unknown[0]!r}: it has {', '.join(known)}")
    names = [name for name in known if name in only or not only]
    if direct:
        if only and list(only) != [DIRECT_CONSUMER]:
            raise NotShown(f"on the direct route the demo shows {DIRECT_CONSUMER} alone")
        names = [DIRECT_CONSUMER]
    names = [name for name in known if name in names or any(name in known[each].companions for each in names)]
    owners = [name for name in known if without in known[name].mechanisms]
    if without not in OF_EVERY_CONSUMER and owners and not set(owners) & set(names):
        raise NotShown(f"{without} belongs to {', '.join(owners)}, which this demo does not show")
    return [known[name]() for name in names]


def run_demo(
    users: int,
    *,
    port: int,
    without: Mechanism | None,
    console: Console,
    only: Collection[str] = (),
    direct: bool = False,
) -> Report:
    """Run the demo, with progress on `console`.

    Args:
        users: How many users there are, 20 to 5,000.
        port: Port of the endpoint; 0 takes a free one.
        without: A mechanism to switch off.
        console: Where progress goes.
        only: Names of the consumers to show; all when empty.
        direct: Let the one consumer read the stream itself, without a fan-out.

    Raises:
        NotShown: There is no such consumer, or it has nothing of the mechanism.
        ValueError: There are too few or too many users.
        EndpointError: The endpoint cannot be started, e.g. because the port is in use.
        DeployFailed: The program cannot be deployed.
        NotQuiet: Changes were still on their way long after the last request.
    """
    started = time.monotonic()
    direct = direct or without in OF_STREAMS
    receivers = chosen(only, without, direct=direct)
    if without is not None:
        console.print(f"switched off: {without}, so {without.switched_off}", soft_wrap=True)
    with _deployed(receivers, without, port=port, direct=direct, console=console) as (endpoint, deployment):
        report = _run(Deployed(endpoint, deployment.outputs), receivers, users, without=without, console=console)
    return replace(report, seconds=time.monotonic() - started)


def run_on(endpoint: Endpoint, outputs: Mapping[str, Any], users: int, *, console: Console) -> Report:
    """Run the demo on a stack that is deployed, whoever has deployed it, with the consumers that need no backend.

    Args:
        endpoint: Its endpoint.
        outputs: Its outputs.
        users: How many users there are, 20 to 5,000.
        console: Where progress goes.

    Raises:
        ValueError: There are too few or too many users.
        NotQuiet: Changes were still on their way long after the last request.
    """
    deployed = {*outputs["consumers"], *outputs["pipes"]}
    receivers = [each() for each in RECEIVERS if each.consumer in deployed and not each.has_server]
    return _run(Deployed(endpoint, outputs), receivers, users, without=None, console=console)


@contextlib.contextmanager
def _deployed(
    receivers: Sequence[Receiver], without: Mechanism | None, *, port: int, direct: bool, console: Console
) -> Generator[tuple[Endpoint, Deployment]]:
    """Run a block with the backends of the receivers, and the program deployed."""
    config = dict(_DIRECT if direct else _FAN_OUT)
    secrets: dict[str, str] = {}
    change = functools.partial(demo_inputs, without, [receiver.consumer for receiver in receivers])
    with contextlib.ExitStack() as backends:
        for receiver in receivers:
            served = backends.enter_context(receiver.serving(without))
            config |= served.config
            secrets |= served.secrets
        with local_stack(console, port=port, change_inputs=change, config=config, secrets=secrets) as deployed:
            yield deployed


def _run(
    deployed: Deployed, receivers: Sequence[Receiver], users: int, *, without: Mechanism | None, console: Console
) -> Report:
    plan = make_plan(users)
    started = time.monotonic()
    demo = _Demo(deployed, receivers, plan)
    with step(console, "create the users") as creating:
        demo.create_users(creating)
    with step(console, "arrange what goes wrong") as arranging:
        demo.let_things_go_wrong(without)
        arranging.tell(
            f"{len(plan.no_address)} unusable addresses, {len(plan.crashing)} record that kills the function, "
            f"{len(plan.lost_answers)} answers that get lost, {len(plan.throttled)} throttled calls"
        )
    with step(console, "upgrade them over the API") as upgrading:
        demo.send_requests(upgrading)
    with step(console, "wait until all is quiet") as waiting:
        demo.wait_until_quiet(waiting)
        waiting.tell("every change is done with")
    for receiver in receivers:
        if receiver.by_hand:
            with step(console, receiver.by_hand) as acting:
                receiver.act(deployed, plan, acting.tell)
    if not demo.direct:
        with step(console, "let old changes come again, behind newer ones") as repeating:
            demo.repeat_old_changes(repeating)
    with step(console, "advance the alarms' clock to the end of the period"):
        demo.evaluate_alarms()
    evidence = demo.evidence()
    return Report(
        users=users,
        without=without,
        counts=demo.counts(evidence),
        consumers=evidence.consumers,
        verdicts=judge(plan, evidence),
        seconds=time.monotonic() - started,
    )


class _Demo:
    """One run on a deployed stack."""

    def __init__(self, deployed: Deployed, receivers: Sequence[Receiver], plan: Plan) -> None:
        self._deployed = deployed
        self._control = deployed.endpoint.control
        self._receivers = receivers
        self._plan = plan
        self._observer = Observer(deployed)
        self._began = time.time()
        self._answers: Counter[int] = Counter()
        self._alarms: dict[str, str] = {}

    @property
    def direct(self) -> bool:
        """Whether the consumer reads the stream itself."""
        return "forwarder" not in self._deployed.outputs

    def create_users(self, creating: Step) -> None:
        items = [self._plan.item_of(user) for user in self._plan.users]
        for start in range(0, len(items), 25):
            puts = [
                {"PutRequest": {"Item": {name: {"S": value} for name, value in item.items()}}}
                for item in items[start : start + 25]
            ]
            self._deployed.dynamodb.batch_write_item(RequestItems={self._deployed.outputs["usersTable"]: puts})
        self.wait_until_quiet(creating)
        creating.tell(f"{len(items)}, and every consumer has seen them")

    def let_things_go_wrong(self, without: Mechanism | None) -> None:
        for receiver in self._receivers:
            for user in () if receiver.is_pipe else self._plan.lost_answers:
                self._control.drop_answer(containing=user, function=self._deployed.function(receiver.consumer))
            receiver.begin(self._deployed, self._plan, without)

    def send_requests(self, upgrading: Step) -> None:
        endpoint = self._deployed.endpoint
        credentials = SigningCredentials(endpoint.access_key_id, endpoint.secret_access_key)
        api = PlanApi(self._deployed.outputs["apiUrl"], credentials, endpoint.region)
        try:
            requests = [self._requests_of(user, api) for user in self._plan.upgraded]
            total = sum(map(len, requests))
            self._answers = send_all(requests, lambda answered: upgrading.tell(f"{answered} of {total} requests"))
        finally:
            api.close()

    def _requests_of(self, user: str, api: PlanApi) -> list[Callable[[], int]]:
        """List a user's requests: the plans, and before or behind them the account."""
        requests: list[Callable[[], int]] = [
            functools.partial(api.set_plan, user, plan) for plan in self._plan.requests_of(user)
        ]
        if self._has_accounts and user in self._plan.accounts:
            place = 0 if user in self._plan.account_first else len(requests)
            requests.insert(place, functools.partial(api.open_account, account_of(user), user))
        return requests

    @property
    def _has_accounts(self) -> bool:
        return "accountsTable" in self._deployed.outputs

    def _must_be_answered(self) -> dict[int, int]:
        """Return how many requests the API must answer with which status."""
        upgrades = sum(len(self._plan.requests_of(user)) for user in self._plan.upgraded)
        return {200: upgrades, **({201: len(self._plan.accounts)} if self._has_accounts else {})}

    def wait_until_quiet(self, waiting: Step, deliveries: Mapping[str, int] | None = None) -> None:
        """Wait until every consumer is done with every change, and has had so many deliveries.

        Raises:
            NotQuiet: They are not in time.
        """
        changes = {name: {event_id(change) for change in found} for name, found in self._changes().items()}
        deadline = time.monotonic() + QUIET_WITHIN_SECONDS
        work: dict[str, Progress] = {}
        left = {name: len(found) for name, found in changes.items()}
        busy = list(left)
        seen, since = dict[str, tuple[int, int]](), time.monotonic()
        while True:
            for name in busy:  # each question takes time from the work itself
                work[name] = self._observer.progress(name)
                left[name] = len(changes[name] - work[name].done)
            busy = [name for name in work if left[name] or work[name].deliveries < (deliveries or {}).get(name, 0)]
            if not busy and self._observer.are_idle(work) and self._is_settled():
                return
            waiting.tell(_told(left, work))
            now = {name: (left[name], work[name].deliveries) for name in busy}
            if now != seen:
                seen, since = now, time.monotonic()
            elif time.monotonic() > since + STILL_SECONDS:
                # Nothing runs: what is left waits between two attempts.
                self._control.advance_clock(PAUSE_SECONDS)
                since = time.monotonic()
            if time.monotonic() > deadline:
                raise NotQuiet(f"not quiet after {QUIET_WITHIN_SECONDS:g} s of waiting: {waiting.detail}")
            time.sleep(POLL_SECONDS)

    def _is_settled(self) -> bool:
        return all(
            each.is_settled(self._deployed, self._observer.progress(each.consumer).accepted)
            for each in self._receivers
            if each.is_pipe
        )

    def _changes(self) -> dict[str, list[Change]]:
        """Read the changes that each consumer gets, each stream once."""
        streams = {each.consumer: self._observer.stream(each.consumer) for each in self._receivers}
        found = {stream: self._observer.changes(stream) for stream in set(streams.values())}
        return {name: found[stream] for name, stream in streams.items()}

    def repeat_old_changes(self, repeating: Step) -> None:
        """Send old changes of some users to every consumer again, as a replay or a late redrive would."""
        deliveries: dict[str, int] = {}
        again = {name: self._old(changes) for name, changes in self._changes().items()}
        for receiver in self._receivers:
            name = receiver.consumer
            deliveries[name] = self._observer.progress(name).deliveries + len(again[name])
            receiver.before_repeats(self._deployed)
            repeat(self._deployed, name, again[name])
        self.wait_until_quiet(repeating, deliveries)
        repeating.tell(f"{max(map(len, again.values()))} changes, to each consumer")

    def _old(self, changes: Sequence[Change]) -> list[Change]:
        """List the changes of plans before each user's last one, or the accounts, of which there is one change each."""
        of_plans = plan_changes(changes)
        latest = {user_of(change): event_id(change) for change in of_plans}
        return [
            change
            for change in of_plans or changes
            if user_of(change) in self._plan.returning and latest.get(user_of(change)) != event_id(change)
        ]

    def evaluate_alarms(self) -> None:
        """Let every period since the beginning end: an alarm went off if it was in ALARM at the end of any."""
        now = self._control.advance_clock(0)  # ahead of this machine's where a workflow's wait was cut short
        periods = int((now - self._began) // PERIOD_SECONDS) + 1
        for number in range(periods, -1, -1):
            states = self._control.evaluate_alarms(at=now + PERIOD_SECONDS * (1 - number))
            for name, state in states.items():
                if self._alarms.get(name) != "ALARM":
                    self._alarms[name] = state

    def evidence(self) -> Evidence:
        changes = self._changes()
        functions = sum(not receiver.is_pipe for receiver in self._receivers)
        faults = {"lost answers": (len(self._plan.lost_answers) * functions, self._lost_answers())}
        for receiver in self._receivers:
            faults |= receiver.faults(self._deployed, self._plan)
        return Evidence(
            direct=self.direct,
            requests=self._must_be_answered(),
            answers=self._answers,
            faults=faults,
            consumers={
                receiver.consumer: self._observer.of_consumer(
                    receiver, self._plan, changes[receiver.consumer], self._alarms_of(receiver.consumer)
                )
                for receiver in self._receivers
            },
        )

    def counts(self, evidence: Evidence) -> dict[str, int]:
        effects = self._control.metrics()
        return {
            "changes written": len(
                {event_id(change) for each in evidence.consumers.values() for change in each.changes}
            ),
            "effects applied": _total(effects, "EffectsApplied"),
            "duplicates suppressed": _total(effects, "EffectsSuppressed"),
            "dead letters": sum(len(each.dead_letters) for each in evidence.consumers.values()),
        }

    def _alarms_of(self, consumer: str) -> dict[str, str]:
        return {short: self._alarms[name] for short, name in self._observer.alarms(consumer).items()}

    def _lost_answers(self) -> int:
        return sum(fault["fired"] for fault in self._control.faults() if fault["kind"] == "drop answer")


def _told(left: Mapping[str, int], work: Mapping[str, Progress]) -> str:
    waiting = ", ".join(f"{count} for {name}" for name, count in left.items() if count)
    invocations = sum(each.invocations for each in work.values())
    retries = sum(each.retries for each in work.values())
    return f"changes left: {waiting or 'none'}; {invocations} invocations, {retries} retries"


def _total(metrics: Sequence[Mapping[str, Any]], name: str) -> int:
    return int(sum(metric["sum"] for metric in metrics if metric["name"] == name))
