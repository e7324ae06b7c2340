"""`Service`: the whole program with every consumer and its backend, in trouble."""

from __future__ import annotations

import contextlib
import functools
import io
import json
import zipfile
from collections import Counter
from collections.abc import Generator
from dataclasses import dataclass, field
from io import StringIO
from typing import Any

from botocore.credentials import Credentials
from rich.console import Console

from ops.demo.claims import event_id
from ops.demo.evidence import Observer
from ops.demo.mechanisms import demo_inputs
from ops.demo.plan import FREE_PLAN, PAID_PLAN, Plan, account_of, address_of
from ops.demo.receivers import RECEIVERS, Deployed, Receiver
from ops.demo.receivers.crm import Crm
from ops.demo.receivers.receiver import Change, plan_changes, user_of
from ops.demo.repeats import repeat
from ops.demo.traffic import PlanApi
from ops.local_stack import local_stack
from tests.local.test_function_permissions import CALLS
from tests.local.world import wait_until

#: More attempts than any fault of these tests takes, so that a change is parked only where a test means it to be.
ATTEMPTS = 6

#: Consumers that a backfill gives the table's items to: two with effects, and two with rows.
BACKFILLED = ("welcome-email", "crm-sync", "entitlements", "users-by-email")

#: Far beyond what any fault takes on two busy cores.
PATIENCE = 300.0


@dataclass
class Service:
    """The deployed program, its users and the receivers of its effects.

    Attributes:
        poison: Users whose mail can never be sent.
        created: Every user that was created.
        done_before: Event ids of changes that a consumer's former mapping was done with.
    """

    deployed: Deployed
    receivers: dict[str, Receiver]
    poison: set[str] = field(default_factory=set[str])
    created: set[str] = field(default_factory=set[str])
    done_before: dict[str, frozenset[str]] = field(default_factory=dict[str, frozenset[str]])

    def __post_init__(self) -> None:
        self.control = self.deployed.endpoint.control
        self.observer = Observer(self.deployed)
        self._clients: dict[str, Any] = {}
        endpoint = self.deployed.endpoint
        keys = Credentials(endpoint.access_key_id, endpoint.secret_access_key)
        self._api = PlanApi(self.deployed.outputs["apiUrl"], keys, endpoint.region)

    @property
    def crm(self) -> Any:
        receiver = self.receivers["crm-sync"]
        assert isinstance(receiver, Crm)
        return receiver.server

    def client(self, service: str) -> Any:
        if service not in self._clients:
            self._clients[service] = self.deployed.endpoint.client(service)
        return self._clients[service]

    def create(self, *users: str) -> None:
        """Create users on the free plan, each with an account; those of `poison` have no address."""
        for user in users:
            item = {"userId": user, "plan": FREE_PLAN}
            item |= {} if user in self.poison else {"email": address_of(user)}
            values = {name: {"S": value} for name, value in item.items()}
            self.client("dynamodb").put_item(TableName=self.deployed.outputs["usersTable"], Item=values)
            assert self._api.open_account(account_of(user), user) == 201
        self.created.update(users)

    def set_plan(self, plan: str, *users: str) -> None:
        """Set the plan of users over the API, which no fault of a consumer may touch."""
        assert [self._api.set_plan(user, plan) for user in users] == [200] * len(users)

    def upgrade(self, *users: str) -> None:
        """Create users, and upgrade them over the API."""
        self.create(*users)
        self.set_plan(PAID_PLAN, *users)

    def changes(self, consumer: str | None = None) -> list[Change]:
        """The changes of the users, or those that a consumer gets."""
        return self.observer.changes(consumer and self.observer.stream(consumer))

    def wait_for(self, *consumers: str) -> None:
        """Wait until these consumers, by default all, are done with every change."""
        for name in consumers or self.receivers:
            changes = {event_id(change) for change in self.changes(name)}
            before = self.done_before.get(name, frozenset())
            wait_until(
                lambda name=name, before=before, changes=changes: changes <= self.observer.progress(name).done | before,
                timeout=PATIENCE,
            )
            wait_until(lambda name=name: self.control.mapping(self.observer.mapping(name)).idle, timeout=PATIENCE)

    def repeat(self, changes: list[Change]) -> None:
        """Deliver changes to every consumer that got them again, and wait until they are done with them."""
        for name in self.receivers:
            before, own = self.observer.progress(name).deliveries, set(map(event_id, self.changes(name)))
            if not own.issuperset(map(event_id, changes)):
                continue
            repeat(self.deployed, name, changes)
            wait_until(
                lambda name=name, before=before: self.observer.progress(name).deliveries >= before + len(changes),
                timeout=PATIENCE,
            )

    def check(self) -> None:
        """Check that all is quiet, that every change had its effects once, and that only poison was given up."""
        self.wait_for()
        plan = Plan(
            users=(),
            upgraded=(),
            no_address=frozenset(self.poison),
            crashing=frozenset(),
            returning=frozenset(),
            lost_answers=(),
            throttled=(),
            account_first=tuple(self.created),
        )
        wrong: dict[str, Any] = {}
        for name, receiver in self.receivers.items():
            expected, found = receiver.expected(plan, self.changes(name)), receiver.found(self.deployed)
            if expected != found:
                wrong[name] = {"missing": expected - found, "too many": found - expected}
        assert wrong == {}, wrong
        given_up = {name: self.given_up(name) for name in self.receivers}
        assert self.dead_letters() == given_up

    def plan_changes_of(self, user: str) -> set[str]:
        """The event ids of the changes of a user's plan."""
        return {event_id(change) for change in plan_changes(self.changes()) if user_of(change) == user}

    def attempts_at(self, consumer: str, changes: set[str]) -> int:
        """How often a consumer was invoked with one of these changes."""
        history = self.control.history(self.observer.mapping(consumer))
        return sum(bool(changes & {*entry["event_ids"]}) for entry in history if entry["kind"] == "invocation")

    def replaced(self, consumer: str, uuid: str, done: frozenset[str]) -> None:
        """Note that a consumer has a new mapping, with a history of its own; the old one was done with `done`."""
        outputs = json.loads(json.dumps(dict(self.deployed.outputs)))
        if consumer == "forwarder":
            outputs["forwarder"] = uuid
        else:
            outputs["consumers"][consumer]["eventSourceMapping"] = uuid
            self.done_before[consumer] = done
        self.deployed = Deployed(self.deployed.endpoint, outputs)
        self.observer = Observer(self.deployed)

    def given_up(self, consumer: str) -> set[str]:
        """The users whose change this consumer must have given up."""
        return {user for user in self.poison if consumer in ("welcome-email", "account-ready")}

    def dead_letters(self) -> dict[str, set[str]]:
        """The users of the changes in each consumer's failure destination."""
        return {name: set(map(user_of, self.observer.dead_letters(name))) for name in self.receivers}

    def role(self, consumer: str) -> str:
        """The ARN of the role of a consumer's function."""
        return self.client("lambda").get_function_configuration(FunctionName=self.deployed.function(consumer))["Role"]

    def renew(self, consumer: str) -> None:
        """Let a consumer's next invocation run in a new process."""
        functions, name = self.client("lambda"), self.deployed.function(consumer)
        variables = functions.get_function_configuration(FunctionName=name)["Environment"]["Variables"]
        environment = {"Variables": {**variables, "RENEWED": "yes"}}
        functions.update_function_configuration(FunctionName=name, Environment=environment)

    def refusals(self, consumer: str, calls: list[tuple[str, str, dict[str, Any]]]) -> list[str]:
        """The codes of the errors that calls by a function with a consumer's role end with."""
        archive = io.BytesIO()
        with zipfile.ZipFile(archive, "w") as code:
            code.writestr("function.py", CALLS)
        functions, name = self.client("lambda"), f"{consumer}-tries"
        functions.create_function(
            FunctionName=name,
            Runtime="python3.13",
            Role=self.role(consumer),
            Handler="function.handler",
            Code={"ZipFile": archive.getvalue()},
            Timeout=30,
        )
        codes: list[str] = []
        for service, operation, parameters in calls:
            event = {"service": service, "operation": operation, "parameters": parameters}
            answer = json.loads(functions.invoke(FunctionName=name, Payload=json.dumps(event))["Payload"].read())
            codes.append(answer.get("Code", "allowed"))
        functions.delete_function(FunctionName=name)
        return codes

    def empty(self, output: str) -> None:
        """Delete every item of a table, by the stack's output with its name."""
        name, dynamodb = self.deployed.outputs[output], self.client("dynamodb")
        keys = [each["AttributeName"] for each in dynamodb.describe_table(TableName=name)["Table"]["KeySchema"]]
        for item in self.deployed.items(name):
            dynamodb.delete_item(TableName=name, Key={key: item[key] for key in keys})

    def begin_backfill(self) -> str:
        """Start a walk that gives the table's items to consumers; its execution's ARN."""
        machine = self.deployed.outputs["backfill"]
        started = self.client("stepfunctions").start_execution(stateMachineArn=machine, input='{"dryRun": false}')
        return started["executionArn"]

    def finish_backfill(self, execution: str) -> dict[str, int]:
        """Wait for a walk; how many items each consumer was sent."""
        found: dict[str, Any] = {}

        def ended() -> bool:
            found.update(self.client("stepfunctions").describe_execution(executionArn=execution))
            return found["status"] != "RUNNING"

        wait_until(ended, timeout=PATIENCE)
        assert found["status"] == "SUCCEEDED", found
        sent: Counter[str] = Counter()
        for segment in json.loads(found["output"]):
            sent.update(segment["sent"])
        return dict(sent)

    def close(self) -> None:
        self._api.close()


@contextlib.contextmanager
def running() -> Generator[Service]:
    """Run a block with the whole program, every consumer on."""
    receivers = {each.consumer: each() for each in RECEIVERS if not each.is_pipe}
    # As in the demo: the processes of all consumers share this machine.
    config = {"weir:attempts": str(ATTEMPTS), "weir:backfill": ",".join(BACKFILLED), "weir:functionTimeout": "3"}
    secrets = dict[str, str]()
    with contextlib.ExitStack() as stack:
        for receiver in receivers.values():
            served = stack.enter_context(receiver.serving(None))
            config |= served.config
            secrets |= served.secrets
        console = Console(file=StringIO())
        few = functools.partial(demo_inputs, None, receivers)  # invocations at a time: each is a process
        endpoint, deployment = stack.enter_context(
            local_stack(console, config=config, secrets=secrets, change_inputs=few)
        )
        service = Service(Deployed(endpoint, deployment.outputs), receivers)
        stack.callback(service.close)
        yield service
