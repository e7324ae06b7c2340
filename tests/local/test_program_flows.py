"""The program's consumers that start something longer, all on: one upgrade in the API becomes one of each."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from typer.testing import CliRunner

from handlers.cdc.signatures import is_signed
from handlers.cdc.workflow import execution_name
from local.deploy import deploy
from local.endpoint import Endpoint
from ops.cli import app
from tests.local.test_deploy import post
from tests.local.test_program_read_models import refusal
from tests.local.world import wait_until
from tests.partner import Partner

PROGRAM = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def aws() -> Iterator[Endpoint]:
    """An endpoint of this module's own: another module deploys the same stack, which an endpoint takes once."""
    with Endpoint() as endpoint:
        yield endpoint


@pytest.fixture(scope="module")
def partner() -> Iterator[Partner]:
    """Gets the events of the bus."""
    with Partner().running() as server:
        yield server


@pytest.fixture(scope="module")
def subscriber() -> Iterator[Partner]:
    """Gets the signed webhooks."""
    with Partner().running() as server:
        yield server


@pytest.fixture(scope="module")
def outputs(aws: Endpoint, partner: Partner, subscriber: Partner) -> dict[str, Any]:
    config = {
        "weir:mailFrom": "flows@example.com",
        "weir:functionTimeout": "4",
        "weir:onboarding": "true",
        "weir:accounts": "true",
        "weir:reconciliation": "true",
        "weir:reconciliationSchedule": "by hand",
        "weir:webhookUrl": f"{partner.url}/hook",
        "weir:webhookKey": "s3cret",
        "weir:signedWebhookUrl": f"{subscriber.url}/signed",
        "weir:signedWebhookSecret": "whsec",
    }
    return dict(deploy(PROGRAM, "local", aws.connection, config=config, name_seed="flows").outputs)


def put_user(aws: Endpoint, outputs: dict[str, Any], user: str, *, version: int = 1, plan: str = "free") -> None:
    item = {"userId": {"S": user}, "email": {"S": f"{user}@example.com"}, "plan": {"S": plan}}
    aws.client("dynamodb").put_item(TableName=outputs["usersTable"], Item={**item, "version": {"N": str(version)}})


def upgrade(aws: Endpoint, outputs: dict[str, Any], user: str, plan: str = "pro") -> None:
    answer = post(aws, f"{outputs['apiUrl']}/users/{user}/plan", json.dumps({"plan": plan}))
    assert answer == (200, {"userId": user, "plan": plan, "changed": True})


def events_of(receiver: Partner, user: str) -> list[dict[str, Any]]:
    return [each for each in receiver.events() if each["userId"] == user]


class TestWebhooks:
    """Each test has a user of its own."""

    def test_a_partner_gets_an_upgrade_with_its_key(
        self, aws: Endpoint, outputs: dict[str, Any], partner: Partner
    ) -> None:
        put_user(aws, outputs, "ida")
        upgrade(aws, outputs, "ida")
        wait_until(lambda: events_of(partner, "ida"))
        event = events_of(partner, "ida")[0]
        assert (event["plan"], event["version"]) == ("pro", "2")
        headers = next(each["headers"] for each in partner.requests if b'"ida"' in each["body"])
        assert headers["x-api-key"] == "s3cret"

    def test_a_partner_that_is_down_for_an_hour_gets_everything_then(
        self, aws: Endpoint, outputs: dict[str, Any], partner: Partner
    ) -> None:
        partner.status = 503
        for user in ("kim", "lea"):
            put_user(aws, outputs, user)
            upgrade(aws, outputs, user)
        wait_until(lambda: {b"kim", b"lea"} <= {each["body"].split(b'"')[7] for each in partner.refused})
        aws.control.advance_clock(3600)
        partner.status = 200
        aws.control.advance_clock(3600)
        wait_until(lambda: events_of(partner, "kim") and events_of(partner, "lea"))
        sqs = aws.client("sqs")
        assert "Messages" not in sqs.receive_message(QueueUrl=outputs["webhookDeadLetters"])

    def test_what_a_partner_refuses_is_a_dead_letter_and_can_be_replayed(
        self, aws: Endpoint, outputs: dict[str, Any], partner: Partner
    ) -> None:
        partner.status, began = 422, aws.control.advance_clock(0)
        put_user(aws, outputs, "max")
        upgrade(aws, outputs, "max")
        sqs = aws.client("sqs")
        wait_until(lambda: sqs.receive_message(QueueUrl=outputs["webhookDeadLetters"]).get("Messages"))
        partner.status = 200
        events, bus = aws.client("events"), aws.client("events").describe_event_bus(Name=outputs["webhookBus"])["Arn"]
        events.start_replay(
            ReplayName="after-the-refusal",
            EventSourceArn=outputs["webhookArchive"],
            EventStartTime=datetime.fromtimestamp(began - 60, UTC),
            EventEndTime=datetime.fromtimestamp(aws.control.advance_clock(0) + 60, UTC),
            Destination={"Arn": bus},
        )
        wait_until(lambda: events_of(partner, "max"))

    def test_a_subscriber_gets_a_signed_request(
        self, aws: Endpoint, outputs: dict[str, Any], subscriber: Partner
    ) -> None:
        put_user(aws, outputs, "nia")
        upgrade(aws, outputs, "nia")
        wait_until(lambda: events_of(subscriber, "nia"))
        request = next(each for each in subscriber.requests if b'"nia"' in each["body"])
        given = request["headers"]
        sent, signature = given["webhook-timestamp"], given["webhook-signature"]
        assert is_signed("whsec", given["webhook-id"], sent, request["body"], signature, now=float(sent))
        assert given["webhook-item-version"] == "2"

    def test_the_secret_stands_in_no_functions_environment(self, aws: Endpoint, outputs: dict[str, Any]) -> None:
        name = outputs["functionNames"]["webhook-sender"]
        variables = aws.client("lambda").get_function(FunctionName=name)["Configuration"]["Environment"]["Variables"]
        assert "whsec" not in str(variables)

    @pytest.mark.parametrize(
        ("service", "operation", "parameters"),
        [
            ("secretsmanager", "put_secret_value", {"SecretId": "webhook-secret", "SecretString": "mine"}),
            ("events", "put_events", {"Entries": [{"Source": "s", "DetailType": "t", "Detail": "{}"}]}),
            ("dynamodb", "get_item", {"TableName": "users", "Key": {"userId": {"S": "nia"}}}),
        ],
    )
    def test_the_sender_may_only_read_its_secret(
        self, aws: Endpoint, outputs: dict[str, Any], service: str, operation: str, parameters: dict[str, Any]
    ) -> None:
        assert "AccessDenied" in refusal(aws, outputs, "webhook-sender", service, operation, parameters)


class TestAccounts:
    """Each test has a user of its own."""

    def ready_mails(self, aws: Endpoint, user: str) -> list[str]:
        return [
            message["Subject"]
            for message in aws.control.mails()
            if message["To"] == [f"{user}@example.com"] and message["Subject"].endswith("is ready")
        ]

    def open_account(self, aws: Endpoint, outputs: dict[str, Any], user: str) -> None:
        answer = post(aws, f"{outputs['apiUrl']}/accounts/of-{user}", json.dumps({"userId": user}))
        assert answer == (201, {"accountId": f"of-{user}", "userId": user})

    def plan_in(self, aws: Endpoint, outputs: dict[str, Any], user: str) -> str | None:
        return self.parts(aws, outputs, user).get("user", {}).get("plan", {}).get("S")

    def parts(self, aws: Endpoint, outputs: dict[str, Any], user: str) -> dict[str, Any]:
        """The documents that have arrived for a user."""
        key = {"sequenceKey": {"S": f"account-ready#{user}"}}
        item = aws.client("dynamodb").get_item(TableName=outputs["waitingTable"], Key=key).get("Item", {})
        return {name.partition("#")[2]: each["M"] for name, each in item.items() if name.startswith("document#")}

    @pytest.mark.parametrize("first", ["user", "account"])
    def test_a_user_with_a_paid_plan_and_an_account_gets_one_mail_whichever_came_first(
        self, aws: Endpoint, outputs: dict[str, Any], first: str
    ) -> None:
        user = f"{first}-first"
        put_user(aws, outputs, user)
        steps = [lambda: upgrade(aws, outputs, user), lambda: self.open_account(aws, outputs, user)]
        if first == "account":
            steps.reverse()
        steps[0]()
        wait_until(lambda: [*self.parts(aws, outputs, user)] == [first])
        assert self.ready_mails(aws, user) == []
        steps[1]()
        wait_until(lambda: self.ready_mails(aws, user))
        # The next plan is a new document, and no second mail.
        upgrade(aws, outputs, user, plan="enterprise")
        wait_until(lambda: self.plan_in(aws, outputs, user) == "enterprise")
        aws.control.wait_until_idle([outputs["consumers"]["account-ready"]["eventSourceMapping"]], timeout=60)
        assert self.ready_mails(aws, user) == [f"Your account of-{user} is ready"]

    def test_an_account_that_is_opened_twice_is_the_same_one(self, aws: Endpoint, outputs: dict[str, Any]) -> None:
        self.open_account(aws, outputs, "uma")
        answer = post(aws, f"{outputs['apiUrl']}/accounts/of-uma", json.dumps({"userId": "uma"}))
        assert answer == (200, {"accountId": "of-uma", "userId": "uma"})
        answer = post(aws, f"{outputs['apiUrl']}/accounts/of-uma", json.dumps({"userId": "vic"}))
        assert answer[0] == 409

    @pytest.mark.parametrize(
        ("service", "operation", "parameters"),
        [
            ("dynamodb", "get_item", {"TableName": "waitingTable", "Key": {"sequenceKey": {"S": "account-ready#uma"}}}),
            ("dynamodb", "delete_item", {"TableName": "waitingTable", "Key": {"sequenceKey": {"S": "uma"}}}),
            ("dynamodb", "update_item", {"TableName": "accountsTable", "Key": {"accountId": {"S": "of-uma"}}}),
        ],
    )
    def test_the_consumer_may_only_bring_parts(
        self, aws: Endpoint, outputs: dict[str, Any], service: str, operation: str, parameters: dict[str, Any]
    ) -> None:
        named = {**parameters, "TableName": outputs[parameters["TableName"]]}
        assert "AccessDenied" in refusal(aws, outputs, "account-ready", service, operation, named)


class TestOnboarding:
    """Each test has a user of its own."""

    def started(self, aws: Endpoint, outputs: dict[str, Any], user: str) -> str:
        """The ARN of the execution of a user's second version."""
        name = execution_name(f"onboarding:{user}#2")
        return f"{outputs['onboardingWorkflow'].replace(':stateMachine:', ':execution:')}:{name}"

    def status(self, aws: Endpoint, outputs: dict[str, Any], user: str) -> str | None:
        key = {"upgrade": {"S": f"{user}#2"}}
        found = aws.client("dynamodb").get_item(TableName=outputs["onboardingsTable"], Key=key).get("Item", {})
        return found.get("status", {}).get("S")

    def token(self, aws: Endpoint, outputs: dict[str, Any], user: str) -> str:
        """The token of a user's request for approval, which comes a minute after the upgrade."""
        queue, machines, found = aws.client("sqs"), aws.client("stepfunctions"), list[str]()
        started = self.started(aws, outputs, user)

        def has_started() -> bool:
            listed = machines.list_executions(stateMachineArn=outputs["onboardingWorkflow"])["executions"]
            return started in {each["executionArn"] for each in listed}

        # The clock is put forward only then: a change must not grow too old on its way.
        wait_until(has_started)

        def asked() -> bool:
            aws.control.advance_clock(10)
            approvals = outputs["onboardingApprovals"]
            for message in queue.receive_message(QueueUrl=approvals, MaxNumberOfMessages=10).get("Messages", []):
                # Kept, the requests of other tests' users would come again before this one's.
                queue.delete_message(QueueUrl=approvals, ReceiptHandle=message["ReceiptHandle"])
                request = json.loads(message["Body"])
                if request["userId"] == user:
                    found.append(request["taskToken"])
                    assert (request["from"], request["plan"]) == ("free", "pro")
            return bool(found)

        wait_until(asked)
        return found[0]

    def test_an_approved_upgrade_is_active_and_has_one_execution(self, aws: Endpoint, outputs: dict[str, Any]) -> None:
        put_user(aws, outputs, "ada")
        upgrade(aws, outputs, "ada")
        machines = aws.client("stepfunctions")
        token = self.token(aws, outputs, "ada")
        assert self.status(aws, outputs, "ada") == "reserved"
        machines.send_task_success(taskToken=token, output='{"approvedBy": "grace"}')
        wait_until(lambda: self.status(aws, outputs, "ada") == "active")
        (execution,) = [
            each
            for each in machines.list_executions(stateMachineArn=outputs["onboardingWorkflow"])["executions"]
            if each["executionArn"] == self.started(aws, outputs, "ada")
        ]
        wait_until(lambda: machines.describe_execution(executionArn=execution["executionArn"])["status"] == "SUCCEEDED")

    def test_a_refused_upgrade_is_released(self, aws: Endpoint, outputs: dict[str, Any]) -> None:
        put_user(aws, outputs, "bob")
        upgrade(aws, outputs, "bob")
        token = self.token(aws, outputs, "bob")
        aws.client("stepfunctions").send_task_failure(taskToken=token, error="Refused", cause="no contract")
        wait_until(lambda: self.status(aws, outputs, "bob") == "released")
        key = {"upgrade": {"S": "bob#2"}}
        item = aws.client("dynamodb").get_item(TableName=outputs["onboardingsTable"], Key=key)["Item"]
        assert item["reason"] == {"S": "Refused"}

    def test_an_upgrade_that_nobody_answers_is_released_after_three_days(
        self, aws: Endpoint, outputs: dict[str, Any]
    ) -> None:
        put_user(aws, outputs, "eve")
        upgrade(aws, outputs, "eve")
        token = self.token(aws, outputs, "eve")
        aws.control.advance_clock(3 * 24 * 3600)
        wait_until(lambda: self.status(aws, outputs, "eve") == "released")
        with pytest.raises(ClientError, match="TaskTimedOut"):
            aws.client("stepfunctions").send_task_success(taskToken=token, output="{}")

    @pytest.mark.parametrize(
        ("service", "operation", "parameters"),
        [
            ("stepfunctions", "stop_execution", {"executionArn": "{execution}"}),
            ("stepfunctions", "send_task_success", {"taskToken": "t", "output": "{{}}"}),
            ("sqs", "receive_message", {"QueueUrl": "{approvals}"}),
            ("dynamodb", "put_item", {"TableName": "{table}", "Item": {"upgrade": {"S": "mine"}}}),
        ],
    )
    def test_the_consumer_may_only_start(
        self, aws: Endpoint, outputs: dict[str, Any], service: str, operation: str, parameters: dict[str, Any]
    ) -> None:
        names = {
            "execution": self.started(aws, outputs, "ada"),
            "approvals": outputs["onboardingApprovals"],
            "table": outputs["onboardingsTable"],
        }
        tried = {key: value.format(**names) if isinstance(value, str) else value for key, value in parameters.items()}
        assert "AccessDenied" in refusal(aws, outputs, "onboarding", service, operation, tried)


class TestReconciliation:
    """An outage that outlasts the stream: what the accounts' mail rests on is lost, with users of this test's own."""

    def mails(self, aws: Endpoint, user: str) -> int:
        subject = f"Your account of-{user} is ready"
        return sum(each["Subject"] == subject and each["To"] == [f"{user}@example.com"] for each in aws.control.mails())

    def lose(self, aws: Endpoint, outputs: dict[str, Any], user: str, *tables: str) -> None:
        keys = {"waitingTable": "sequenceKey", "effectLedgerTable": "effectKey"}
        for table in tables:
            key = {keys[table]: {"S": f"account-ready#{user}"}}
            lost = aws.client("dynamodb").delete_item(TableName=outputs[table], Key=key, ReturnValues="ALL_OLD")
            assert lost["Attributes"]

    def weir(self, aws: Endpoint, outputs: dict[str, Any], directory: Path, *arguments: str) -> dict[str, Any]:
        """Run `weir reconcile`, and return what it says of the accounts' consumers."""
        environment = {
            "AWS_ENDPOINT_URL": aws.url,
            "AWS_REGION": aws.region,
            "AWS_ACCESS_KEY_ID": aws.access_key_id,
            "AWS_SECRET_ACCESS_KEY": aws.secret_access_key,
        }
        state = directory / "stack.json"
        state.write_text(json.dumps({"environment": environment, "outputs": outputs}))
        ran = CliRunner().invoke(app, ["reconcile", "--json", "--state", str(state), *arguments])
        assert ran.exit_code in (0, 1), ran.output
        said = json.loads(ran.stdout)
        names = ("account-ready", "account-ready-accounts")
        return {kind: {name: said[kind].get(name, 0) for name in names} for kind in ("missing", "sent")} | {
            "executions": sorted(said["executions"])
        }

    def test_a_mail_whose_two_halves_are_there_is_found_missing_and_sent_once(
        self, aws: Endpoint, outputs: dict[str, Any], tmp_path: Path
    ) -> None:
        for user in ("sam", "tom", "ute"):
            put_user(aws, outputs, user)
            upgrade(aws, outputs, user)
        for user in ("sam", "tom"):
            answer = post(aws, f"{outputs['apiUrl']}/accounts/of-{user}", json.dumps({"userId": user}))
            assert answer[0] == 201
            wait_until(lambda user=user: self.mails(aws, user) == 1)
        mappings = [each["eventSourceMapping"] for each in outputs["consumers"].values()]
        aws.control.wait_until_idle([*outputs["forwarders"].values(), *mappings], timeout=180)
        nothing = {"account-ready": 0, "account-ready-accounts": 0}
        walks = ["account-reconciliation", "reconciliation"]
        assert self.weir(aws, outputs, tmp_path) == {"missing": nothing, "sent": nothing, "executions": walks}

        self.lose(aws, outputs, "sam", "effectLedgerTable")  # both halves wait in the sequencer's table
        self.lose(aws, outputs, "tom", "effectLedgerTable", "waitingTable")  # and of these two neither does
        lost = {"account-ready": 2, "account-ready-accounts": 2}
        assert self.weir(aws, outputs, tmp_path) == {"missing": lost, "sent": nothing, "executions": walks}
        assert self.weir(aws, outputs, tmp_path, "--yes") == {"missing": lost, "sent": lost, "executions": walks}
        wait_until(lambda: self.mails(aws, "sam") == 2 and self.mails(aws, "tom") == 2)
        aws.control.wait_until_idle(mappings, timeout=180)
        assert [self.mails(aws, user) for user in ("sam", "tom", "ute")] == [2, 2, 0]
        assert self.weir(aws, outputs, tmp_path) == {"missing": nothing, "sent": nothing, "executions": walks}


class TestTimeOuts:
    """The last of this module: they move the clock by a week."""

    def mails(self, aws: Endpoint, user: str) -> list[str]:
        subjects = ("Your account is missing", f"Your account of-{user} is ready")
        sent = [each["Subject"] for each in aws.control.mails() if each["To"] == [f"{user}@example.com"]]
        return [each for each in sent if each in subjects]

    def waiting(self, aws: Endpoint, user: str) -> list[str]:
        """The schedules that wait for a user's account."""
        name = hashlib.sha256(f"account-ready#{user}".encode()).hexdigest()
        return [each["Name"] for each in aws.client("scheduler").list_schedules(NamePrefix=name)["Schedules"]]

    def open_account(self, aws: Endpoint, outputs: dict[str, Any], user: str) -> None:
        answer = post(aws, f"{outputs['apiUrl']}/accounts/of-{user}", json.dumps({"userId": user}))
        assert answer == (201, {"accountId": f"of-{user}", "userId": user})

    def test_a_user_is_reminded_once_of_an_account_that_never_came_and_otherwise_never(
        self, aws: Endpoint, outputs: dict[str, Any]
    ) -> None:
        for user in ("wes", "xan"):
            put_user(aws, outputs, user)
            upgrade(aws, outputs, user)
            wait_until(lambda user=user: self.waiting(aws, user))
        self.open_account(aws, outputs, "xan")
        wait_until(lambda: self.mails(aws, "xan"))
        calls = {"FunctionName": outputs["timeOuts"]}
        aws.control.advance_clock(7 * 24 * 3600)
        wait_until(lambda: self.mails(aws, "wes"))
        wait_until(lambda: not self.waiting(aws, "wes") and not self.waiting(aws, "xan"))
        # The other part comes too late: the time-out's effect has taken its place.
        self.open_account(aws, outputs, "wes")
        key = {"sequenceKey": {"S": "account-ready#wes"}}
        table = {"TableName": outputs["waitingTable"], "Key": key}
        wait_until(lambda: "document#account" in aws.client("dynamodb").get_item(**table)["Item"])
        mapping = outputs["consumers"]["account-ready-accounts"]["eventSourceMapping"]
        aws.control.wait_until_idle([mapping], timeout=60)
        wait_until(lambda: aws.control.metric_sum("Invocations", **calls) >= 2)
        assert self.mails(aws, "wes") == ["Your account is missing"]
        assert self.mails(aws, "xan") == ["Your account of-xan is ready"]
        assert aws.control.metric_sum("Errors", **calls) == 0
