"""`Night`: the whole program on an endpoint of its own, and the operator's commands against it."""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from botocore.client import BaseClient
from botocore.credentials import Credentials
from typer.testing import CliRunner

from local.deploy import Deployment
from local.endpoint import Endpoint
from ops.cli import app
from ops.demo.traffic import PlanApi
from tests.local.world import wait_until

CONSUMER = "welcome-email"


@dataclass(frozen=True)
class Said:
    """The exit code, the output and the errors of a command."""

    code: int
    output: str
    errors: str

    @property
    def documents(self) -> list[Any]:
        """The output's lines as JSON."""
        return [json.loads(line) for line in self.output.splitlines()]


@dataclass
class Night:
    """The program on an endpoint, in trouble.

    Attributes:
        state: File with the stack, as `weir local up --json` prints it.
    """

    endpoint: Endpoint
    deployment: Deployment
    state: Path
    _clients: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        environment = {
            "AWS_ENDPOINT_URL": self.endpoint.url,
            "AWS_REGION": self.endpoint.region,
            "AWS_ACCESS_KEY_ID": self.endpoint.access_key_id,
            "AWS_SECRET_ACCESS_KEY": self.endpoint.secret_access_key,
            "WEIR_CONTROL_TOKEN": self.endpoint.control_token,
        }
        self.state.write_text(json.dumps({"environment": environment, "outputs": dict(self.deployment.outputs)}))

    @property
    def outputs(self) -> Any:
        return self.deployment.outputs

    @property
    def mapping(self) -> str:
        return self.outputs["consumers"][CONSUMER]["eventSourceMapping"]

    @property
    def bucket(self) -> str:
        return self.outputs["consumers"][CONSUMER]["failureDestination"].rpartition(":")[2]

    def client(self, service: str) -> Any:
        if service not in self._clients:
            self._clients[service] = self.endpoint.client(service)
        return self._clients[service]

    def weir(self, *arguments: str) -> Said:
        """Type a command of `weir`, with the stack's file."""
        done = CliRunner().invoke(app, [*arguments, "--state", str(self.state)], env={"COLUMNS": "400"})
        if done.exception and not isinstance(done.exception, SystemExit):
            raise done.exception
        return Said(done.exit_code, done.stdout, done.stderr)

    def upgrade(self, *users: str, email: str = "{user}@example.com") -> None:
        """Create users and upgrade them over the API."""
        for user in users:
            item = {"userId": user, "plan": "free", "email": email.format(user=user)}
            self.client("dynamodb").put_item(
                TableName=self.outputs["usersTable"], Item={name: {"S": value} for name, value in item.items()}
            )
            self.set_plan(user, "pro")

    def set_plan(self, user: str, plan: str) -> None:
        """Set a user's plan over the API."""
        keys = Credentials(self.endpoint.access_key_id, self.endpoint.secret_access_key)
        api = PlanApi(self.outputs["apiUrl"], keys, self.deployment.region)
        try:
            assert api.set_plan(user, plan) == 200
        finally:
            api.close()

    def break_mails(self) -> None:
        """Let every mail fail from now on."""
        self.endpoint.control.fail("sesv2:SendEmail", times=10_000)

    def repair(self) -> None:
        """Let mails be sent again."""
        self.endpoint.control.clear_faults()

    def give_up(self, *users: str) -> None:
        """Bring upgrades into the failure destination, and repair the cause."""
        before = sum(len(each["keys"]) for each in self.given_up())
        self.break_mails()
        self.upgrade(*users)
        self.wait_for_dead_letters(before + len(users))
        self.repair()

    def wait_for_dead_letters(self, count: int) -> None:
        """Wait until records are in the failure destination, and the mapping is quiet."""
        wait_until(lambda: sum(len(each["keys"]) for each in self.given_up()) >= count, timeout=120)
        self.endpoint.control.wait_until_idle([self.mapping], timeout=120)

    def given_up(self) -> list[Any]:
        return [each for each in self.endpoint.control.history(self.mapping) if each["kind"] == "given up"]

    def mails(self) -> list[str]:
        """The addresses that got a mail, in order."""
        return [address for mail in self.endpoint.control.mails() for address in mail["To"]]

    def settle(self) -> None:
        """Repair everything, wait until what was written is delivered, and remove what could not be."""
        self.repair()
        self.endpoint.control.wait_until_idle([self.mapping], timeout=120)
        self.empty()

    def empty(self) -> None:
        """Remove every dead letter and receipt."""
        s3 = self.client("s3")
        for each in s3.list_objects_v2(Bucket=self.bucket).get("Contents", []):
            s3.delete_object(Bucket=self.bucket, Key=each["Key"])


def acting_as(night: Night, policy: Any, state: Path) -> Night:
    """The same stack, for a caller whose role has one policy and no other."""
    iam, sts = night.client("iam"), night.client("sts")
    account = sts.get_caller_identity()["Account"]
    root = {"AWS": f"arn:aws:iam::{account}:root"}
    trust = {"Effect": "Allow", "Principal": root, "Action": "sts:AssumeRole"}
    with contextlib.suppress(iam.exceptions.EntityAlreadyExistsException):
        iam.create_role(
            RoleName="operator", AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trust]})
        )
    iam.put_role_policy(RoleName="operator", PolicyName="printed", PolicyDocument=json.dumps(policy))
    keys = sts.assume_role(RoleArn=f"arn:aws:iam::{account}:role/operator", RoleSessionName="operator")["Credentials"]
    acting = Night(night.endpoint, night.deployment, state)
    written = json.loads(state.read_text())
    written["environment"] |= {
        "AWS_ACCESS_KEY_ID": keys["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": keys["SecretAccessKey"],
        "AWS_SESSION_TOKEN": keys["SessionToken"],
    }
    state.write_text(json.dumps(written))
    return acting


#: IAM actions of operations that have another name.
ACTION_OF = {
    "s3:GetBucketLifecycleConfiguration": "s3:GetLifecycleConfiguration",
    "s3:ListObjectsV2": "s3:ListBucket",
    "sqs:ChangeMessageVisibilityBatch": "sqs:ChangeMessageVisibility",
    "lambda:Invoke": "lambda:InvokeFunction",
}


def calls(patch: pytest.MonkeyPatch) -> set[str]:
    """Note the IAM action of every call that boto3 makes from here on."""
    made: set[str] = set()
    original = BaseClient._make_api_call

    def note(self: Any, operation: str, arguments: Any) -> Any:
        service = {"dynamodbstreams": "dynamodb"}.get(name := self.meta.service_model.service_name, name)
        made.add(ACTION_OF.get(f"{service}:{operation}", f"{service}:{operation}"))
        return original(self, operation, arguments)

    patch.setattr(BaseClient, "_make_api_call", note)
    return made
