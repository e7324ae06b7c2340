"""Secrets, two stacks of one account, renamed projects, foreign resources and `pulumi.automation`."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from local.deploy.deployment import DeployFailed
from ops.engine import Engine
from tests.engine.lab import ROOT, SOURCES, STRICT, Lab, lab

ADDRESS = "somebody-secret@example.com"

FOREIGN = """
import pulumi
import pulumi_aws as aws

certificate = aws.acm.Certificate("crm", domain_name="crm.example.com")
vpc = aws.ec2.get_vpc_output(default=True)
pulumi.export("certificate", certificate.arn)
pulumi.export("vpc", vpc.cidr_block)


def tagged(args: pulumi.ResourceTransformArgs) -> pulumi.ResourceTransformResult | None:
    if args.type_ != "aws:sqs/queue:Queue":
        return None
    return pulumi.ResourceTransformResult({**args.props, "visibilityTimeoutSeconds": 45}, args.opts)


pulumi.runtime.register_resource_transform(tagged)
aws.sqs.Queue("queue")
"""

#: The stack `local` owns a queue; the stack `reader` finds it by the outputs, reads it by its id and looks up a table.
READS = """
import pulumi
import pulumi_aws as aws

if pulumi.get_stack() == "local":
    queue = aws.sqs.Queue("orders", visibility_timeout_seconds=45)
    pulumi.export("queueUrl", queue.url)
    pulumi.export("token", pulumi.Output.secret("top-secret"))
else:
    owner = pulumi.StackReference(f"{pulumi.get_organization()}/small/local")
    queue = aws.sqs.Queue.get("orders", owner.require_output("queueUrl"))
    aws.sqs.Queue("own", visibility_timeout_seconds=queue.visibility_timeout_seconds)
    pulumi.export("arn", queue.arn)
    pulumi.export("token", owner.require_output("token"))
    pulumi.export("hashKey", aws.dynamodb.get_table_output(name="users").hash_key)
    pulumi.export("region", aws.get_region_output().region)
    pulumi.export("account", aws.get_caller_identity_output().account_id)
    pulumi.export("partition", aws.get_partition_output().partition)
"""

NETWORK = """
import pulumi

network = pulumi.StackReference(f"{pulumi.get_organization()}/network/prod")
pulumi.export("subnet", network.require_output("subnetIds")[0])
"""

PIPE = """
import json

import pulumi
import pulumi_aws as aws

trust = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "pipes.amazonaws.com"}}
may = {"Effect": "Allow", "Action": ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes",
    "sqs:SendMessage"], "Resource": "*"}
role = aws.iam.Role("role", assume_role_policy=json.dumps({"Version": "2012-10-17", "Statement": [trust]}))
policy = aws.iam.RolePolicy(
    "may", role=role.name, policy=json.dumps({"Version": "2012-10-17", "Statement": [may]})
)
sources = [aws.sqs.Queue(f"source-{number}") for number in range(2)]
target = aws.sqs.Queue("target")
pipe = aws.pipes.Pipe(
    "pipe",
    role_arn=role.arn,
    source=sources[pulumi.Config().require_int("source")].arn,
    target=target.arn,
    opts=pulumi.ResourceOptions(depends_on=[policy]),
)
"""


def project(directory: Path, main: str, config: dict[str, Any]) -> Path:
    """Write a small project."""
    made = directory / "project"
    made.mkdir()
    (made / "Pulumi.yaml").write_text(
        "name: small\nruntime: {name: python, options: {toolchain: pip, virtualenv: .venv}}\n"
    )
    (made / "Pulumi.local.yaml").write_text(json.dumps({"config": {"aws:region": "us-east-1", **config}}))
    (made / "__main__.py").write_text(main)
    (made / ".venv").symlink_to(ROOT / ".venv")
    return made


@pytest.fixture(scope="module")
def secret(engine: Lab) -> str:
    """What `up` of a stack with a secret address prints."""
    engine.config("mailFrom", ADDRESS, "--secret")
    engine.config("mailIdentityOwned", "false")
    engine.aws.client("sesv2").create_email_identity(EmailIdentity=ADDRESS)
    return engine.up("--show-replacement-steps", "--diff").output


def test_a_secret_address_is_never_in_clear(secret: str, engine: Lab) -> None:
    assert ADDRESS not in secret
    assert ADDRESS not in engine.state()
    assert ADDRESS not in json.dumps(engine.outputs())
    assert ADDRESS not in engine.preview("--diff").output
    function = engine.aws.client("lambda").get_function(FunctionName=engine.outputs()["functionNames"]["welcome-email"])
    assert function["Configuration"]["Environment"]["Variables"]["MAIL_FROM"] == ADDRESS


def test_the_pack_checks_an_exported_state(secret: str, engine: Lab) -> None:
    state = engine.project.parent / "state.json"
    engine.pulumi("stack", "export", "--file", str(state))
    engine.pulumi("policy", "analyze", "--file", str(state), *STRICT)
    state.write_text(
        state.read_text().replace('"deletionProtectionEnabled": true', '"deletionProtectionEnabled": false')
    )
    refused = engine.pulumi("policy", "analyze", "--file", str(state), *STRICT, status=1)
    assert "[mandatory] [severity: medium]  stream-table-protection" in refused.output


def test_a_consumer_is_added_renamed_and_removed(secret: str, engine: Lab) -> None:
    first = "changes.subscribe(welcome_email.handler, access"
    access = "access=[ledger.access(), mail.send_access()]"
    free = "opts=pulumi.ResourceOptions(protect=False, aliases=[])"
    second = f'changes.subscribe(welcome_email.handler, name="second", {free}, {access})\n{first}'
    with engine.edited("__main__.py", (first, second)):
        added = engine.up(*STRICT).steps
    assert added["EventSourceMapping second"] == "create"
    assert not [name for name in added if "welcome-email" in name]
    renamed = second.replace("aliases=[]", 'aliases=[pulumi.Alias(name="second")]').replace('"second",', '"other",')
    with engine.edited("__main__.py", (first, renamed)):
        assert not {"replace", "delete", "create"} & set(engine.up().steps.values())
    removed = engine.up().steps
    assert removed["EventSourceMapping other"] == "delete"
    assert not [name for name in removed if "welcome-email" in name]


def test_an_automation_program_previews_and_deploys(secret: str, engine: Lab) -> None:
    ran = subprocess.run(
        [sys.executable, ROOT / "examples" / "automate.py", engine.project, "local"],
        env=engine.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "usersTable" in json.loads(ran.stdout.splitlines()[-1])["outputs"]


@pytest.fixture(scope="module")
def other(secret: str, engine: Lab) -> None:
    """A second stack, `other`, which owns the identity of another address."""
    shutil.copy(engine.project / "Pulumi.local.yaml", engine.project / "Pulumi.other.yaml")
    with working_on(engine, "other"):
        engine.pulumi("stack", "init", "other")
        engine.config("protect", "false")
        engine.config("mailFrom", "both@example.com")
        engine.config("mailIdentityOwned", "true")
        engine.up()


@contextmanager
def working_on(engine: Lab, stack: str) -> Iterator[None]:
    """Run commands for another stack within the block."""
    before = engine.environment["PULUMI_STACK"]
    engine.environment["PULUMI_STACK"] = stack
    try:
        yield
    finally:
        engine.environment["PULUMI_STACK"] = before


@pytest.mark.usefixtures("other")
def test_the_operator_s_commands_know_a_stack_of_the_cli_by_its_name(engine: Lab) -> None:
    with working_on(engine, "other"):
        outputs = engine.outputs()
    status = subprocess.run(
        [Path(sys.executable).with_name("weir"), "status", "-s", "other", "--json"],
        env={name: value for name, value in engine.environment.items() if name != "PULUMI_STACK"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert status.returncode in (0, 1), status.stdout + status.stderr  # 1: somebody should act
    assert {each["name"] for each in json.loads(status.stdout)["consumers"]} >= outputs["consumers"].keys()


@pytest.mark.usefixtures("other")
def test_a_second_stack_uses_the_identity_and_leaves_it_to_its_owner(engine: Lab) -> None:
    engine.config("mailFrom", "both@example.com")
    engine.config("mailIdentityOwned", "true")
    engine.config("protect", "false")
    refused = engine.up(status=1)
    assert "AlreadyExistsException" in refused.errors
    engine.config("mailIdentityOwned", "false")
    engine.up()
    engine.destroy()
    identity = engine.aws.client("sesv2").get_email_identity(EmailIdentity="both@example.com")
    assert identity["VerifiedForSendingStatus"]


@pytest.fixture
def small(tmp_path: Path, cli: Any, request: pytest.FixtureRequest) -> Iterator[Lab]:
    main, config = request.param
    with lab(tmp_path, cli, project(tmp_path, main, config)) as made:
        yield made


STUBS = {"aws:acm/certificate:Certificate": {}, "aws:ec2/getVpc:getVpc": {"id": "vpc-1", "cidrBlock": "10.0.0.0/16"}}


@pytest.mark.parametrize("small", [(FOREIGN, {})], indirect=True)
def test_foreign_resources_are_refused_with_the_line_to_add(small: Lab) -> None:
    refused = small.up(status=1)
    assert "add  aws:acm/certificate:Certificate::crm: {}" in refused.output


@pytest.mark.parametrize("small", [(FOREIGN, {"small:localStubs": STUBS})], indirect=True)
def test_foreign_resources_are_stood_in_for_and_transforms_run(small: Lab) -> None:
    small.up()
    outputs = small.outputs()
    assert outputs == {"certificate": "arn:aws:acm:us-east-1:111122223333:crm", "vpc": "10.0.0.0/16"}
    url = small.aws.client("sqs").get_queue_url(QueueName=_queue(small))["QueueUrl"]
    found = small.aws.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["VisibilityTimeout"])
    assert found["Attributes"]["VisibilityTimeout"] == "45"
    assert small.up("--expect-no-changes").steps == {}
    small.destroy()


@pytest.mark.parametrize("small", [(READS, {})], indirect=True)
def test_a_stack_reads_the_outputs_of_another_and_what_they_name(small: Lab) -> None:
    small.aws.client("dynamodb").create_table(
        TableName="users",
        KeySchema=[{"AttributeName": "userId", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "userId", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    small.up()
    shutil.copy(small.project / "Pulumi.local.yaml", small.project / "Pulumi.reader.yaml")
    small.environment["PULUMI_STACK"] = "reader"
    small.pulumi("stack", "init", "reader")
    assert small.preview().steps["Queue own"] == "create"
    small.up()
    outputs = small.outputs()
    assert outputs.pop("arn").rpartition(":")[2].startswith("orders-")
    assert outputs == {
        "token": "[secret]",
        "hashKey": "userId",
        "region": "us-east-1",
        "account": "111122223333",
        "partition": "aws",
    }
    assert "top-secret" not in small.state()
    assert set(small.up("--expect-no-changes").steps.values()) == {"read"}
    small.destroy()
    (left,) = small.aws.client("sqs").list_queues()["QueueUrls"]
    assert "/orders-" in left, "a resource that was read is not deleted"


STACK_STUB = "pulumi:pulumi:StackReference::organization/network/prod"


@pytest.mark.parametrize(
    "small", [(NETWORK, {"small:localStubs": {STACK_STUB: {"subnetIds": ["s-1"]}}})], indirect=True
)
def test_a_stack_of_others_is_stood_in_for_and_follows_the_file(small: Lab) -> None:
    engine = Engine(small.project, "local", small.environment)
    engine.up()
    assert engine.outputs() == {"subnet": "s-1"}
    file = small.project / "Pulumi.local.yaml"
    file.write_text(file.read_text().replace("s-1", "s-2"))
    engine.up()
    assert engine.outputs() == {"subnet": "s-2"}


@pytest.mark.parametrize("small", [(NETWORK, {})], indirect=True)
def test_a_stack_that_is_not_here_is_refused_with_the_line_to_add(small: Lab) -> None:
    with pytest.raises(DeployFailed) as refused:
        Engine(small.project, "local", small.environment).up()
    assert f"add  {STACK_STUB}: {{}}  to small:localStubs" in str(refused.value)


def _queue(small: Lab) -> str:
    (name,) = [
        each["outputs"]["name"]
        for each in json.loads(small.state())["deployment"]["resources"]
        if each["type"] == "aws:sqs/queue:Queue"
    ]
    return name


@pytest.mark.parametrize("small", [(PIPE, {"small:source": 0})], indirect=True)
def test_a_pipe_that_gets_another_source_is_replaced(small: Lab) -> None:
    small.up()
    small.config("source", "1")
    assert small.up().steps["Pipe pipe"] in ("replace", "create-replacement", "delete-replaced")
    assert small.up("--expect-no-changes").steps == {}


def test_a_project_that_is_renamed_reads_its_own_configuration(engine: Lab, tmp_path: Path, cli: Any) -> None:
    copied = tmp_path / "project"
    copied.mkdir()
    for name in SOURCES:
        source, target = ROOT / name, copied / name
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, target)
    (copied / ".venv").symlink_to(ROOT / ".venv")
    for file in (copied / "Pulumi.yaml", copied / "Pulumi.local.yaml"):
        file.write_text(file.read_text().replace("name: weir\n", "name: shop\n"))
    with lab(tmp_path, cli, copied) as shop:
        refused = shop.preview(status=1).errors
        assert "weir:mailFrom is of a project named weir, and this one is named shop: write shop:mailFrom" in refused
        stack_file = copied / "Pulumi.local.yaml"
        stack_file.write_text(stack_file.read_text().replace("weir:", "shop:"))
        assert "create" in shop.preview().steps.values()


def test_a_project_made_by_pulumi_new_previews(engine: Lab, tmp_path: Path) -> None:
    template = tmp_path / "template"
    template.mkdir()
    for name in SOURCES:
        source, target = ROOT / name, template / name
        copy = shutil.copytree if source.is_dir() else shutil.copy
        copy(source, target)
    made = tmp_path / "project"
    made.mkdir()
    answers = ("--config", "aws:region=us-east-1", "--config", "mailFrom=hello@example.com")
    environment = {name: value for name, value in engine.environment.items() if name != "PULUMI_STACK"}
    new = subprocess.run(
        [
            "pulumi",
            "new",
            str(template),
            "--dir",
            str(made),
            "--name",
            "shop",
            "--stack",
            "dev",
            "--yes",
            "--generate-only",
            "--force",
            *answers,
            "--non-interactive",
        ],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert new.returncode == 0, new.stdout + new.stderr
    assert "name: shop" in (made / "Pulumi.yaml").read_text()
    (made / ".venv").symlink_to(ROOT / ".venv")
    (made / "Pulumi.dev.yaml").write_text("config:\n  aws:region: us-east-1\n  shop:mailFrom: hello@example.com\n")
    for command in (["stack", "init", "dev"], ["preview", "--non-interactive", "--suppress-progress"]):
        ran = subprocess.run(
            ["pulumi", *command], cwd=made, env=environment, capture_output=True, text=True, check=False
        )
        assert ran.returncode == 0, ran.stdout + ran.stderr
